"""How well theory predicts what training on real rows gives: `python -m benchmarks.rows [--trials N] [--only WORD]`.

Chains of kernel ridge fits are really trained on random subsets of bundled data sets, n = 0 and 5 generations, on 15,
50 and 85 % of the rows; the error is measured on rows that the last fit has not seen. Beside it stand three predictions
that know the data set only: row by row, by the spectrum of the rows, and as if the features were Gaussian. A deviation
*beyond* two standard errors is what is left of it once two standard errors of the runs are taken off. Then mixes of two
pools that differ in their inputs, dense Gaussians, and the time that a prediction takes beside the runs that give its
precision.

Errors with next to no ridge have long tails, and a standard error from few runs says too little: where it is above 1 %,
the first runs only say how many are needed for that, and that many others are taken, 10 000 at most.
"""

import argparse
import time

import numpy as np

import modelcollapse as mc

NOISE, RIDGES, PARTS, GENERATIONS = 0.1, (1e-5, 1e-3, 0.1), (0.15, 0.5, 0.85), (0, 5)
PRECISION = 0.01  # of the runs that a prediction replaces
RESOLVED, MOST = 0.01, 10_000  # relative standard error of the runs that are shown, and how many there are
KERNELS = {
    "rbf": lambda d: {"kernel": "rbf", "gamma": 1 / d},
    "laplacian": lambda d: {"kernel": "laplacian", "gamma": 1 / d},
    "cubic": lambda d: {"kernel": "polynomial", "degree": 3, "gamma": 1 / d, "coef0": 1},
    "linear": lambda d: {"kernel": "linear"},
}


def data_sets():
    """name -> (inputs, targets), digits and breast cancer by a random subset of their rows.

    Columns are standardised, of digits only centred and brought to one scale: see `rare_columns`.
    """
    from sklearn import datasets

    found, rng = {}, np.random.default_rng(0)
    for name, most in (("digits", 600), ("diabetes", 442), ("breast_cancer", 500), ("wine", 178)):
        inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
        targets = targets % 2 if name == "digits" else targets
        rows = rng.permutation(len(inputs))[:most]
        inputs, targets = inputs[rows], targets[rows].astype(float)
        inputs = inputs[:, inputs.std(0) > 0]
        scale = np.sqrt(inputs.var(0).mean()) if name == "digits" else inputs.std(0)
        found[name] = (inputs - inputs.mean(0)) / scale, (targets - targets.mean()) / targets.std()
    return found


def chains(truth, count):
    """The settings on one population: (rows, generations, ridge, model)."""
    for part in PARTS:
        rows = int(part * count)
        for n in GENERATIONS:
            for ridge in RIDGES:
                labels = mc.chain(truth, n, rows, NOISE, ridge=ridge)
                yield rows, n, ridge, mc.fit(labels.label(rows, NOISE), ridge=ridge)


def compared(model, others, trials):
    """Relative deviation and standard error of each prediction; seconds of the first, and of the runs it replaces."""
    start = time.process_time()
    first = mc.predict(model).test_error
    predicting, start = time.process_time() - start, time.process_time()
    found = mc.simulate(model, trials, progress=False)
    each = (time.process_time() - start) / trials
    spread = found.standard_error * np.sqrt(trials) / found.mean
    needed = min(MOST, int(np.ceil((spread / RESOLVED) ** 2)))
    if needed > trials:
        found = mc.simulate(model, needed, seed=1, progress=False)
    errors = np.array([first, *(mc.predict(other).test_error for other in others)])
    return found.mean / errors - 1, found.standard_error / errors, (predicting, each * (spread / PRECISION) ** 2)


def table(trials, only):
    """Deviations (settings, 3) and their standard errors over all data sets and kernels, and seconds (settings, 2)."""
    results = []
    for name, (inputs, targets) in data_sets().items():
        for kernel, options in KERNELS.items():
            if only not in f"{name} {kernel}":
                continue
            given = options(inputs.shape[1])
            populations = [
                mc.rows(inputs, targets, **given),
                mc.rows(inputs, targets, **given, method="spectrum"),
                mc.from_samples(inputs, targets, **given),
            ]
            listed = [list(chains(mc.truth(population), len(targets))) for population in populations]
            for (rows, n, ridge, model), *others in zip(*listed, strict=True):
                found = compared(model, [other[-1] for other in others], trials)
                results.append(found)
                line = "  ".join(f"{d:+7.1%} ± {s:5.1%}" for d, s in zip(*found[:2], strict=True))
                print(f"{name:13} {kernel:9} T={rows:4} n={n} ridge={ridge:<6g} {line}", flush=True)
    return [np.array(part) for part in zip(*results, strict=True)]


def summary(deviations, errors):
    """One line for each prediction: median, 90 %, worst, worst beyond two standard errors."""
    print(f"\n{'prediction':28} median    90 %   worst   beyond two s.e.")
    for name, d, s in zip(
        ("row by row", "spectrum of the rows", "as if Gaussian"), deviations.T, errors.T, strict=True
    ):
        size = np.abs(d)
        beyond = np.max(size - 2 * s)
        print(f"{name:28} {np.median(size):6.1%}  {np.quantile(size, 0.9):6.1%}  {size.max():6.1%}   {beyond:6.1%}")


def pools(trials):
    """Mixes of real rows and rows of other inputs that a teacher labelled, the error on a third pool."""
    inputs, targets = data_sets()["digits"]
    rng = np.random.default_rng(1)
    dimmed = 0.7 * inputs[200:400] + 0.3 * rng.standard_normal((200, inputs.shape[1]))
    everything = np.vstack([inputs[:200], dimmed, inputs[400:]])
    pools = {"real": np.arange(200), "fake": np.arange(200, 400), "test": np.arange(400, 600)}
    data = mc.rows(everything, targets, "rbf", gamma=1 / inputs.shape[1], pools=pools)
    w0 = mc.truth(data)
    print("\nmixes of two pools, error on a third          deviation")
    for weight in (0.1, 0.3, 1.0):
        for ridge in (1e-4, 1e-2):
            teacher = mc.fit(w0.label(120, NOISE, inputs="real"), ridge=1e-2)
            fake = teacher.label(150, NOISE, weight=weight, inputs="fake")
            model = mc.fit(w0.label(60, NOISE, inputs="real"), fake, ridge=ridge)
            found, error = mc.simulate(model, trials, inputs="test", progress=False), mc.predict(model, inputs="test")
            off, spread = found.mean / error.test_error - 1, found.standard_error / error.test_error
            print(f"weight {weight:<4g} ridge {ridge:<6g}                        {off:+.2%} ± {spread:.2%}")


def rare_columns(trials):
    """Where the prediction fails: standardised pixels that are lit in few images, few rows, next to no ridge."""
    inputs, targets = data_sets()["digits"]
    w0 = mc.truth(mc.rows(inputs / inputs.std(0), targets, "linear"))
    print("\ndigits, every pixel standardised, linear          deviation")
    for ridge in (1e-5, 1e-3, 0.1):
        model = mc.fit(w0.label(90, NOISE), ridge=ridge)
        found, error = mc.simulate(model, trials, progress=False), mc.predict(model)
        off, spread = found.mean / error.test_error - 1, found.standard_error / error.test_error
        print(f"90 rows, ridge {ridge:<6g}                             {off:+.1%} ± {spread:.1%}")


def gaussians(trials, dim=150):
    """A real + synthetic mix whose covariances do not commute."""
    rng = np.random.default_rng(2)

    def covariance(decay):
        basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        return (basis * np.arange(1.0, dim + 1) ** -decay) @ basis.T

    own, fake, tested = covariance(0.7), covariance(0.5), covariance(1.0)
    w0 = mc.truth(mc.gaussian(own, rng.standard_normal(dim)))
    print("\ndense Gaussians in three eigenbases           deviation")
    for weight in (0.1, 2.0):
        for ridge in (1e-4, 1e-1):
            teacher = mc.fit(w0.label(250, 0.5), ridge=0.05)
            model = mc.fit(w0.label(100, 0.5), teacher.label(300, 0.5, weight=weight, inputs=fake), ridge=ridge)
            found, error = mc.simulate(model, trials, inputs=tested, progress=False), mc.predict(model, inputs=tested)
            off, spread = found.mean / error.test_error - 1, found.standard_error / error.test_error
            print(f"weight {weight:<4g} ridge {ridge:<6g}                        {off:+.2%} ± {spread:.2%}")


def cost():
    """Seconds of one fit on two pools of 2000 rows in all, and points a second by the spectrum."""
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((2000, 10))
    targets = np.sin(inputs[:, 0])
    halves = {"real": np.arange(1000), "fake": np.arange(1000, 2000)}
    w0 = mc.truth(mc.rows(inputs, targets, "rbf", gamma=0.1, pools=halves))
    start = time.perf_counter()
    mc.predict(mc.fit(w0.label(300, 0.1, inputs="real"), w0.label(600, 0.3, inputs="fake", weight=0.5), ridge=1e-3))
    print(f"\none fit on two pools, M = 2000: {time.perf_counter() - start:.1f} s")
    alike = mc.truth(mc.rows(inputs[:600], targets[:600], "rbf", gamma=0.1, method="spectrum"))
    mc.predict(mc.fit(alike.label(300, 0.1), ridge=1e-3))
    start = time.perf_counter()
    mc.predict(mc.fit(alike.label(300, 0.1), ridge=np.geomspace(1e-6, 1, 2000)))
    print(f"by the spectrum of 600 rows: {2000 / (time.perf_counter() - start):.0f} points a second")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--only", default="", help="part of a data set or kernel")
    options = parser.parse_args()
    deviations, errors, seconds = table(options.trials, options.only)
    summary(deviations, errors)
    ratio = seconds[:, 1] / seconds[:, 0]
    print(f"\nruns that give {PRECISION:.0%} take {np.median(ratio):.1f} times the time of a prediction (median)")
    pools(5 * options.trials)
    rare_columns(5 * options.trials)
    gaussians(5 * options.trials)
    cost()


if __name__ == "__main__":
    main()
