r"""Stop training, or choose a ridge? Optimal stopping against the optimal ridge, reproducible by one command.

    python -m modelcollapse.validation.stopping_study --output table.csv --plot picture.png

Problems and generators are those of `modelcollapse.validation.study`: isotropic and power-law spectra with d = 200 at
T = 300 and 120, and the digits' RBF kernel. For labels of the n-th generator the theory says when to stop gradient flow
on half the mean squared error (`optimal_stopping`), the test error there, and that of the best ridge. Then the flow is
really run and stopped there: on Gaussian inputs (`simulate`), and on the digits themselves (`kernel_chain`).

On real labels (n = 0) two criteria are computed on the same draws: GCV along ridges, and along the flow what looks
like it,

$$ \frac{mean_i (y_i - \hat y_i)^2}{(1 - tr\, S g(S) / T)^2} , $$

relative to the test error, label noise included (1 is right), at the best penalty and far beyond it, and by how much
the test error at the criterion's pick exceeds the smallest.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from modelcollapse._extras import require
from modelcollapse._files import save_table
from modelcollapse._progress import Progress
from modelcollapse.numerics.compilation_cache import keep_compiled_kernels
from modelcollapse.numerics.questions.best_ridge import optimal_ridge
from modelcollapse.numerics.questions.best_time import optimal_stopping
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.pipelines import chain, fit, truth
from modelcollapse.theory.pipelines.filters import GradientFlow, Ridge, largest_eigenvalue
from modelcollapse.theory.spectra import Spectrum, from_samples
from modelcollapse.validation import datasets, study
from modelcollapse.validation.kernel_chains import kernel_chain
from modelcollapse.validation.simulation import simulate
from modelcollapse.validation.studies.reports import asked, read_records, save_picture
from modelcollapse.validation.studies.worlds import spectrum_of_exponents

__all__ = ["GENERATIONS", "REGIMES", "Record", "criteria", "main", "read", "run"]

GENERATIONS = study.GENERATIONS
_SYNTHETIC = [regime for regime in study.REGIMES[:12] if regime.problem.startswith(("isotropic", "power law"))]
REGIMES = (
    *(replace(regime, samples=samples) for samples in (300, 120) for regime in _SYNTHETIC),
    *(regime for regime in study.REGIMES if regime.problem == "digits, RBF"),
)
DATA_SETS = 100


@dataclass(frozen=True)
class Record:
    """One problem, one number of generations.

    time, test_error: where to stop and what is reached; ridge, ridge_test_error: the best ridge; ratio: of the two
    errors; measured ± standard_error: `trials` real runs stopped at `time`; stable_step: the longest step of gradient
    descent; gcv ...: see `criteria`, None where n > 0 and on the digits.
    """

    problem: str
    generator: str
    samples: int
    generations: int
    noise: float
    time: float
    test_error: float
    ridge: float
    ridge_test_error: float
    ratio: float
    measured: float
    standard_error: float
    trials: int
    stable_step: float
    gcv: float | None = None
    gcv_late: float | None = None
    gcv_excess: float | None = None
    lookalike: float | None = None
    lookalike_late: float | None = None
    lookalike_excess: float | None = None


def spectrum_of(regime):
    """The Spectrum of a regime's problem."""
    if regime.kernel != "linear":
        data = datasets.digits()
        return from_samples(data.inputs, data.targets, regime.kernel, gamma=regime.gamma)
    eigenvalues, weights = spectrum_of_exponents(regime.exponents)
    return Spectrum(eigenvalues, weights**2)


def run(trials=200, seed=0, regimes=REGIMES, workers=1, progress=None):
    """All regimes; a list of Records, with n = 0 once for every problem and number of rows.

    The numbers depend on `seed` and `trials`, not on `workers`, which are processes.
    """
    first = {(regime.problem, regime.samples): i for i, regime in reversed(list(enumerate(regimes)))}
    seeds = np.random.SeedSequence(seed).spawn(len(regimes))
    jobs = [
        (regime, GENERATIONS if first[regime.problem, regime.samples] == i else GENERATIONS[1:], trials, root)
        for i, (regime, root) in enumerate(zip(regimes, seeds, strict=True))
    ]
    records = []
    fresh = multiprocessing.get_context("spawn")  # JAX does not survive a fork
    with ProcessPoolExecutor(workers, fresh, keep_compiled_kernels) if workers > 1 else nullcontext() as pool:
        results = (pool.map if pool else map)(_records, *zip(*jobs, strict=True))
        with Progress(progress, "regimes") as bar:
            for done, found in enumerate(results, 1):
                records += found
                bar.report(done, len(regimes))
    return records


def _records(regime, generations, trials, seed):
    generations = np.array(generations)
    spectrum = spectrum_of(regime)
    labels = _labels(spectrum, regime, generations)
    stop, ridge = optimal_stopping(fit(labels)), optimal_ridge(fit(labels))
    if regime.kernel == "linear":
        stopped = fit(labels, filter=GradientFlow(stop.time))
        found = simulate(stopped, trials, seed, progress=False)
    else:
        data, trials = datasets.digits(), max(trials // 10, 2)
        found = kernel_chain(
            data.inputs, data.targets, regime.kernel, gamma=regime.gamma, generations=generations, time=stop.time,
            samples=regime.samples, noise=regime.noise, generator_samples=regime.generator_samples,
            generator_ridge=regime.generator_ridge, runs=trials, seed=seed,
        )  # fmt: skip
    edge, _ = largest_eigenvalue(spectrum.eigenvalues, spectrum.multiplicity, regime.samples)
    columns = stop.time, stop.test_error, ridge.ridge, ridge.test_error, stop.ratio, found.mean, found.standard_error
    records = []
    for n, *numbers in zip(generations, *columns, strict=True):
        author = regime.generator if n else "none"
        entries: list[Any] = [regime.problem, author, regime.samples, int(n), regime.noise, *map(float, numbers)]
        records.append(Record(*entries, trials=trials, stable_step=float(2 / edge)))
    if generations[0] == 0 and regime.kernel == "linear":
        measured = criteria(regime, records[0].time, records[0].ridge, seed.spawn(1)[0])
        records[0] = replace(records[0], **measured)
    return records


def _labels(spectrum, regime, generations):
    """What the last fit is fitted on."""
    generator = regime.generator_samples, regime.noise, regime.generator_ridge
    return chain(truth(spectrum), generations, *generator).label(regime.samples, regime.noise)


def criteria(regime, time, ridge, seed, count=DATA_SETS):
    """GCV along ridges and its lookalike along times, on `count` data sets with real labels.

    Returns {"gcv", "gcv_late", "gcv_excess", "lookalike", ...}: the mean criterion at `ridge` and `time`, and where
    training has gone on ten times as long or the ridge is a tenth, relative to the mean test error there plus σ²; and
    the mean excess of the test error at the criterion's pick.
    """
    rng, T, sigma = np.random.default_rng(seed), regime.samples, regime.noise
    s, w0 = spectrum_of_exponents(regime.exponents)
    grid = np.geomspace(1e-3, 1e3, 61)
    paths = {"gcv": Ridge(ridge / grid), "lookalike": GradientFlow(time * grid)}
    found = {name: np.empty((count, 2, len(grid))) for name in paths}
    for trial in range(count):
        X = rng.standard_normal((T, len(s))) * np.sqrt(s)
        y = X @ w0 + sigma * rng.standard_normal(T)
        U, z, V = np.linalg.svd(X, full_matrices=False)
        c = U.T @ y
        outside = y @ y - c @ c if T > len(s) else 0.0
        for name, path in paths.items():
            left = path.residual(z[:, None] ** 2 / T)  # (min(T, d), grid)
            errors = s @ (V.T @ ((1 - left) * (c / z)[:, None]) - w0[:, None]) ** 2
            free = (T - len(c) + left.sum(axis=0)) / T  # 1 − tr S g(S) / T without cancellation
            found[name][trial] = errors, (c**2 @ left**2 + outside) / T / free**2
    measured = {}
    for name, (errors, criterion) in ((name, np.moveaxis(values, 1, 0)) for name, values in found.items()):
        picks = np.take_along_axis(errors, np.argmin(criterion, axis=1)[:, None], 1)
        for suffix, place in (("", 30), ("_late", 40)):  # 10 per decade, from 1e-3
            measured[name + suffix] = float(criterion[:, place].mean() / (errors[:, place].mean() + sigma**2))
        measured[f"{name}_excess"] = float(picks.mean() / errors.min(axis=1).mean() - 1)
    return measured


def summarise(records):
    """The table as text, a line per record."""
    lines = [f"{'problem':21}{'generator':18}{'T':>5}{'n':>4}{'time':>10}{'error':>10}{'/ ridge':>9}   measured"]
    for r in records:
        lines.append(
            f"{r.problem:21}{r.generator:18}{r.samples:5}{r.generations:4}{r.time:10.4g}{r.test_error:10.4g}{r.ratio:9.4f}"
            f"   {r.measured:.4g} ± {r.standard_error:.2g}"
        )
    return "\n".join(lines)


def plot(path, trials, seed=0):
    """Errors along training with their turning points and real runs; what is lost in every direction by then."""
    from modelcollapse import plot

    figure = require("matplotlib.figure", extra="plots").Figure(figsize=(10.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    times, few = np.geomspace(0.3, 1e5, 81), np.geomspace(1, 3e4, 7)
    generations, shown = np.array(GENERATIONS)[:, None], _SYNTHETIC[6:9]
    labels = _labels(spectrum_of(shown[0]), shown[0], generations)
    best = optimal_stopping(fit(labels))
    errors = predict(fit(labels, filter=GradientFlow(times))).test_error
    found = simulate(fit(labels, filter=GradientFlow(few)), trials, seed, progress=False)
    names = [f"n = {n}" for n in GENERATIONS]
    points = {name: (few, *pair) for name, *pair in zip(names, found.mean, found.standard_error, strict=True)}
    plot.error_curves(times, dict(zip(names, errors, strict=True)), measured=points,
                      xlabel="time of gradient flow (1 / largest eigenvalue)", ax=left)  # fmt: skip
    left.plot(np.ravel(best.time), np.ravel(best.test_error), "*", color="white", markeredgecolor="black",
              markersize=14, zorder=4)  # fmt: skip
    left.set_title(f"{shown[0].problem}, {shown[0].generator} generators; stars: where to stop", fontsize="medium")
    labels = _labels(spectrum_of(shown[2]), shown[2], generations[:, 0])
    stopped = predict(fit(labels, filter=GradientFlow(optimal_stopping(fit(labels)).time))).by_direction()
    for name, kept, look in zip(names, stopped.learned, ("-", "--", "-.", ":"), strict=True):
        right.plot(np.arange(1, len(kept) + 1), 1 - kept, look, color=plot.COLOURS[names.index(name)], label=name)
    right.set(xscale="log", ylim=(0, 1.02), xlabel="eigendirection, largest eigenvalue first",
              ylabel="share of the signal that is lost")  # fmt: skip
    right.legend(frameon=False, title="stopped at the best time", title_fontsize="small")
    right.set_title(f"{shown[2].problem}, {shown[2].generator} generators", fontsize="medium")
    save_picture(figure, path)


def read(path):
    """The Records of a .csv file that the command wrote.

    >>> import tempfile, os
    >>> one = Record("isotropic", "none", 300, 0, 0.5, 3.4, 0.26, 0.1, 0.25, 1.04, 0.26, 0.01, 200, 0.6)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_table([asdict(one)], os.path.join(folder, "a.csv"))
    ...     read(os.path.join(folder, "a.csv")) == [one]
    True
    """
    return read_records(path, Record)


def main(arguments=None):
    """The command; returns its exit status."""
    options = asked(
        arguments, "stopping_study", "Stop training, or choose a ridge? Optimal stopping against the optimal ridge.",
        least=2, trials="real runs (default: 200; a tenth of it on the digits)",
    )  # fmt: skip
    if not options.output and not options.plot:
        print("nothing to do; give --output FILE.csv, --plot FILE.png or both", file=sys.stderr)
        return 2
    keep_compiled_kernels()
    trials = options.trials or 200
    if options.output:
        records = run(trials, options.seed, REGIMES, options.workers, progress=True)
        print(summarise(records))
        save_table([asdict(record) for record in records], options.output)
    if options.plot:
        plot(options.plot, trials, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
