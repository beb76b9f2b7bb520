r"""Which criterion should choose the ridge when the labels are synthetic? A study, reproducible by one
command.

    python -m modelcollapse.validation.study --output table.csv --plot picture.png

Every trial runs a chain of generators, fits one ridge path on labels of its last model, and lets each
criterion pick from the same path. The *regret* is the test error of the pick over the smallest on the path,
minus one: 0 is the oracle. On synthetic problems the test error is $\|\hat w - w_0\|_\Sigma^2$, exactly; on
real data it is the mean squared error on held-out rows with their real labels, label noise included, which
makes regrets smaller.

Criteria: `RidgeCV` (scikit-learn's, leave-one-out), `5-fold` cross-validation, `GCV`, the paper's schedule
$\lambda = s_1 T^{-\ell_\star}$ (capacity and source known; power laws only), `20 clean rows` as a validation
set, `ours` (`CollapseAwareRidge` told the provenance), and `ours, noise unknown` (σ0 estimated from the same
20 clean rows).

Problems: isotropic and power-law spectra, d = 200, and three data sets that come with scikit-learn (digits by
an RBF kernel, diabetes, breast cancer), whose chains start at the real labels. Generators: least squares (T_0
> d), ridge, and under-determined ones. The regimes of HELD_OUT (wine, the digits without a kernel and with a
polynomial one, a Laplacian kernel on diabetes, a steep power law with T < d) were never looked at while the
estimator was made: its few constants are chosen on the others.
"""

import argparse
import contextlib
import csv
import functools
import json
import math
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modelcollapse.theory.scaling import optimal_exponent

__all__ = ["HELD_OUT", "METHODS", "REGIMES", "Record", "main", "run", "summarise"]

METHODS = ("RidgeCV", "5-fold", "GCV", "schedule", "20 clean rows", "ours", "ours, noise unknown")
GENERATIONS = (0, 1, 5, 20)
CLEAN_ROWS = 20


@dataclass(frozen=True)
class Regime:
    """One problem and one kind of generator; every trial visits all of GENERATIONS along one chain.

    noise: label noise of students and generators alike; exponents: (β, r) of a power law.
    """

    problem: str
    generator: str
    samples: int
    generator_samples: int
    generator_ridge: float
    noise: float
    exponents: tuple[float, float] | None = None
    kernel: str = "linear"
    gamma: float | None = None


@dataclass(frozen=True)
class Record:
    """Regret of one method in one regime over trials."""

    problem: str
    generator: str
    generations: int
    samples: int
    generator_samples: int
    method: str
    trials: int
    mean: float
    standard_error: float
    median: float


def _synthetic(problem, noise, exponents, samples=300):
    kinds = (("least squares", 400, 0.0), ("ridge", 400, 0.01), ("under-determined", 120, 0.0))
    return [Regime(problem, kind, samples, t0, ridge, noise, exponents) for kind, t0, ridge in kinds]


REGIMES = (
    *_synthetic("isotropic", 0.5, None),
    *_synthetic("power law 1.5, 0.25", 0.1, (1.5, 0.25)),
    *_synthetic("power law 1.5, 0.7", 0.1, (1.5, 0.7)),
    *_synthetic("power law 1.2, 0.5", 0.1, (1.2, 0.5)),
    Regime("power law 1.5, 0.7", "least squares", 120, 400, 0.0, 0.1, (1.5, 0.7)),
    Regime("digits, RBF", "ridge", 300, 400, 1e-3, 0.3, kernel="rbf", gamma=0.1),
    Regime("digits, RBF", "under-determined", 300, 300, 0.0, 0.3, kernel="rbf", gamma=0.1),
    Regime("diabetes", "least squares", 100, 60, 0.0, 0.7),
    Regime("diabetes, RBF", "ridge", 100, 100, 1e-2, 0.7, kernel="rbf", gamma=0.1),
    Regime("breast cancer", "least squares", 150, 100, 0.0, 0.5),
    Regime("breast cancer", "ridge", 150, 100, 1e-2, 0.5),
)
HELD_OUT = (
    Regime("wine", "least squares", 60, 27, 0.0, 0.4),
    Regime("digits", "least squares", 300, 400, 0.0, 0.6),
    Regime("diabetes, Laplacian", "ridge", 100, 100, 1e-2, 0.7, kernel="laplacian", gamma=0.1),
    Regime("digits, polynomial", "under-determined", 300, 300, 0.0, 0.3, kernel="poly"),
    Regime("power law 1.8, 0.5", "under-determined", 120, 100, 0.0, 0.1, (1.8, 0.5)),
)
DIM = 200
_SYNTHETIC = frozenset(regime.problem for regime in REGIMES + HELD_OUT if regime.problem.startswith(("iso", "power")))


@functools.cache
def _spectrum(exponents):
    """Eigenvalues (d,) and truth (d,)."""
    if exponents is None:
        return np.ones(DIM), np.full(DIM, DIM**-0.5)
    beta, r = exponents
    j = np.arange(1.0, DIM + 1)
    return j**-beta, np.sqrt(j ** -(1 + 2 * r * beta) / j**-beta)


@functools.cache
def _data(problem):
    """Standardised inputs and targets of a bundled data set."""
    from sklearn import datasets

    name = problem.split(",")[0].replace(" ", "_")
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        X, y = X / 16, y % 2
    else:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X.astype(float), (y - y.mean()) / y.std()


class _Synthetic:
    """Gaussian inputs, a linear truth, an exact test error."""

    def __init__(self, regime, rng):
        self.regime, self.rng = regime, rng
        self.eigenvalues, self.truth = _spectrum(regime.exponents)
        self.weights = self.truth

    def inputs(self, rows):
        return self.rng.standard_normal((rows, DIM)) * np.sqrt(self.eigenvalues)

    def labels(self, X, clean=False):
        weights = self.truth if clean else self.weights
        return X @ weights + self.regime.noise * self.rng.standard_normal(len(X))

    def next_generation(self):
        rows, ridge = self.regime.generator_samples, self.regime.generator_ridge
        if ridge == 0 and rows > DIM:  # exact in law: a multivariate t
            q = self.rng.chisquare(rows - DIM + 1)
            step = self.rng.standard_normal(DIM) / np.sqrt(q * self.eigenvalues)
            self.weights = self.weights + self.regime.noise * step
            return
        X = self.inputs(rows)
        y = self.labels(X)
        if rows < DIM:
            self.weights = X.T @ np.linalg.solve(X @ X.T + rows * ridge * np.eye(rows), y)
        else:
            self.weights = np.linalg.solve(X.T @ X + rows * ridge * np.eye(DIM), X.T @ y)

    def features(self, X):
        return lambda inputs: inputs

    def errors(self, coefficients, intercepts, features):
        return (coefficients - self.truth) ** 2 @ self.eigenvalues + intercepts**2


class _Real:
    """A bundled data set, split into test, student and generator rows; the first generator sees the real labels,
    and consecutive ones share no row.
    """

    def __init__(self, regime, rng):
        self.regime, self.rng = regime, rng
        self.X, self.y = _data(regime.problem)
        order = rng.permutation(len(self.X))
        held_out = len(order) // 4
        first = held_out + regime.samples + CLEAN_ROWS
        self.test, self.student, self.pool = order[:held_out], order[held_out:first], order[first:]
        self.rows, self.model = self.pool[:0], None

    def inputs(self, rows):
        self.rows = self.rng.permutation(self.student)[:rows]
        return self.X[self.rows]

    def labels(self, X, clean=False):
        if clean or self.model is None:
            return self.y[self.rows]
        return self.model.predict(X) + self.regime.noise * self.rng.standard_normal(len(X))

    def next_generation(self):
        fresh = np.setdiff1d(self.pool, self.rows)
        self.rows = self.rng.choice(fresh, size=self.regime.generator_samples, replace=False)
        X = self.X[self.rows]
        y = self.labels(X)
        self.model = _estimator(self.regime, ridges=[self.regime.generator_ridge]).fit(X, y)

    def features(self, X):
        if self.regime.kernel == "linear":
            return lambda inputs: inputs
        from sklearn.decomposition import KernelPCA
        from sklearn.metrics.pairwise import pairwise_kernels

        def kernel(Z):
            return pairwise_kernels(Z, X, metric=self.regime.kernel, gamma=self.regime.gamma, filter_params=True)

        found = KernelPCA(kernel="precomputed", eigen_solver="dense").fit(kernel(X))
        return lambda inputs: found.transform(kernel(inputs))

    def errors(self, coefficients, intercepts, features):
        predictions = coefficients @ features(self.X[self.test]).T + intercepts[:, None]
        return np.mean((predictions - self.y[self.test]) ** 2, axis=1)


def _estimator(regime, **options):
    from modelcollapse.estimator import CollapseAwareRidge

    return CollapseAwareRidge(kernel=regime.kernel, gamma=regime.gamma, **options)


def _path(F, y, ridges):
    """Coefficients (L, p) and intercepts (L,) of ridge with an intercept."""
    centre, level = F.mean(axis=0), y.mean()
    U, lengths, V = np.linalg.svd(F - centre, full_matrices=False)
    shrink = lengths / (lengths**2 + len(F) * ridges[:, None])
    coefficients = (shrink * (U.T @ (y - level))) @ V
    return coefficients, level - coefficients @ centre


def _five_fold(F, y, ridges, rng):
    folds = rng.permutation(len(F)) % 5
    errors = np.zeros(len(ridges))
    for fold in range(5):
        coefficients, intercepts = _path(F[folds != fold], y[folds != fold], ridges)
        here = folds == fold
        errors += np.sum((coefficients @ F[here].T + intercepts[:, None] - y[here]) ** 2, axis=1)
    return errors


def _schedule(regime, generations):
    """λ = T^-ℓ⋆ (s_1 = 1) with n = T^a, T_0 = T^b, d = T^(b-f)."""
    log = math.log(regime.samples)
    b = math.log(regime.generator_samples) / log
    best = optimal_exponent(
        *regime.exponents,
        generations_exponent=math.log(generations) / log if generations else -math.inf,
        generator_samples_exponent=b,
        aspect_exponent=max(0.0, b - math.log(DIM) / log),
    )
    return regime.samples**-best.ell


def _picks(regime, generations, X, y, clean, features, ridges, rng):
    """Errors need the path, methods an index on it: {method: index}, coefficients (L, p), intercepts (L,)."""
    from sklearn.linear_model import RidgeCV

    F, (clean_X, clean_y) = features(X), clean
    coefficients, intercepts = _path(F, y, ridges)
    on_clean = np.mean((coefficients @ features(clean_X).T + intercepts[:, None] - clean_y) ** 2, axis=1)
    provenance = {
        "generations": generations,
        "generator_samples": regime.generator_samples,
        "generator_ridge": regime.generator_ridge,
        "ridges": ridges,
    }
    told = _estimator(regime, generator_noise=regime.noise, **provenance).fit(X, y)
    marks = np.repeat(["model", "real"], [len(X), CLEAN_ROWS])
    untold = _estimator(regime, **provenance)
    untold = untold.fit(np.vstack([X, clean_X]), np.append(y, clean_y), origin=marks)
    chosen: Any = RidgeCV(alphas=ridges * len(X)).fit(F, y).alpha_
    leave_one_out = chosen / len(X)
    picks = {
        "RidgeCV": np.argmin(np.abs(np.log(leave_one_out / ridges))),
        "5-fold": np.argmin(_five_fold(F, y, ridges, rng)),
        "GCV": np.argmin(told.path_["gcv"]),
        "20 clean rows": np.argmin(on_clean),
        "ours": np.argmin(told.path_["corrected_risk"]),
        "ours, noise unknown": np.argmin(untold.path_["corrected_risk"]),
    }
    if regime.exponents is not None:
        picks["schedule"] = np.argmin(np.abs(np.log(ridges / _schedule(regime, generations))))
    return picks, coefficients, intercepts


def trial(regime, seed, ridges_per_decade=6):
    """{(generations, method): regret} of one chain; `seed` is a SeedSequence or an integer."""
    rng = np.random.default_rng(seed)
    world = (_Synthetic if regime.problem in _SYNTHETIC else _Real)(regime, rng)
    regrets, done = {}, 0
    for generations in GENERATIONS:
        while done < generations:
            world.next_generation()
            done += 1
        inputs = world.inputs(regime.samples + CLEAN_ROWS)
        X, clean = inputs[CLEAN_ROWS:], (inputs[:CLEAN_ROWS], world.labels(inputs, clean=True)[:CLEAN_ROWS])
        y = world.labels(inputs)[CLEAN_ROWS:]
        features = world.features(X)
        F = features(X)
        trace = np.sum((F - F.mean(axis=0)) ** 2) / len(F)
        ridges = trace * np.geomspace(1e-8, 1e2, 10 * ridges_per_decade + 1)
        picks, coefficients, intercepts = _picks(regime, generations, X, y, clean, features, ridges, rng)
        errors = world.errors(coefficients, intercepts, features)
        for method, pick in picks.items():
            regrets[generations, method] = float(errors[pick] / errors.min() - 1)
    return regrets


def _job(job):
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return [trial(*arguments) for arguments in job]


def run(trials=40, seed=0, regimes=REGIMES + HELD_OUT, workers=1, progress=None):
    """All regimes; a list of Records. The numbers depend on `seed` and `trials`, not on `workers`."""
    seeds = np.random.SeedSequence(seed).spawn(len(regimes))
    jobs = [[(regime, s) for s in root.spawn(trials)] for regime, root in zip(regimes, seeds, strict=True)]
    records = []
    with ProcessPoolExecutor(workers) if workers > 1 else contextlib.nullcontext() as pool:
        for regime, results in zip(regimes, (pool.map if pool else map)(_job, jobs), strict=True):
            records += _records(regime, results)
            if progress:
                progress(f"{regime.problem}, {regime.generator}")
    return records


def _records(regime, results):
    records = []
    for generations, method in results[0]:
        values = np.array([result[generations, method] for result in results])
        spread = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        records.append(
            Record(
                regime.problem,
                regime.generator,
                generations,
                regime.samples,
                regime.generator_samples,
                method,
                len(values),
                float(values.mean()),
                float(spread),
                float(np.median(values)),
            )
        )
    return records


def summarise(records):
    """The table as text: mean regret ± standard error in percent, a line per regime."""
    lines = [f"{'problem':21}{'generator':18}{'n':>3}{'T':>5}{'T0':>5}" + "".join(f"{m:>21}" for m in METHODS)]
    for key, row in _rows(records).items():
        cells = "".join(f"{_percent(row.get(method)):>21}" for method in METHODS)
        lines.append(f"{key[0]:21}{key[1]:18}{key[2]:3d}{key[3]:5d}{key[4]:5d}{cells}")
    return "\n".join(lines)


def _percent(record):
    return "-" if record is None else f"{100 * record.mean:.1f} ± {100 * record.standard_error:.1f} %"


def _rows(records):
    """{regime and generations: {method: Record}} in order."""
    rows = {}
    for record in records:
        key = (record.problem, record.generator, record.generations, record.samples, record.generator_samples)
        rows.setdefault(key, {})[record.method] = record
    return rows


def harms(records, method="ours", tolerance=0.02):
    """Regimes where the method's mean test error exceeds GCV's by more than the tolerance, (key, excess)
    pairs."""
    found = []
    for key, row in _rows(records).items():
        excess = (1 + row[method].mean) / (1 + row["GCV"].mean) - 1
        if excess > tolerance:
            found.append((key, excess))
    return found


def plot(records, path):
    """Mean regret of every method in every regime, one line of marks each."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    colours = ("#999999", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#0072B2", "#009E73")
    rows = _rows(records)
    figure = Figure(figsize=(9, 1.5 + 0.2 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for method, colour, marker in zip(METHODS, colours, "xv^Pdos", strict=True):
        at = [i for i, row in enumerate(rows.values()) if method in row]
        values = [row[method] for row in rows.values() if method in row]
        percent = [max(100 * v.mean, 0.1) for v in values]
        errors = [100 * v.standard_error for v in values]
        axes.errorbar(percent, at, xerr=errors, fmt=marker, color=colour, label=method, ms=5, lw=0.8, alpha=0.9)
    names = [f"{p}; {g}; n = {n}" + (f"; T = {t}" if t == 120 else "") for p, g, n, t, _ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set(xscale="log", xlim=(0.08, None), xlabel="test error above the oracle ridge (%)")
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.grid(axis="y", lw=0.3)
    axes.axvline(5, color="black", lw=0.6, ls=":")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=130)


def write(records, path):
    """The records as CSV, or as JSON where the name ends in .json."""
    rows = [asdict(record) for record in records]
    with open(path, "w", newline="", encoding="utf-8") as file:
        if str(path).endswith(".json"):
            json.dump(rows, file, indent=1)
        else:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def main(arguments=None):
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m modelcollapse.validation.study",
        description="Which criterion should choose the ridge when labels are synthetic?",
        epilog="example: python -m modelcollapse.validation.study --output table.csv --plot picture.png",
    )
    parser.add_argument("--output", help="write all records to this .csv or .json file")
    parser.add_argument("--plot", help="draw the regrets to this .png, .svg or .pdf file")
    parser.add_argument("--fast", action="store_true", help="a few trials of a third of the regimes")
    parser.add_argument("--trials", type=int, help="chains per regime (default 40; 4 with --fast)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.trials is not None and options.trials < 1:
        parser.error(f"--trials {options.trials} is less than 1; give at least one chain per regime")
    regimes = REGIMES[::3] if options.fast else REGIMES + HELD_OUT
    trials = options.trials or (4 if options.fast else 40)
    records = run(trials, options.seed, regimes, options.workers, lambda text: print(text, file=sys.stderr))
    print(summarise(records))
    for key, excess in harms(records):
        print(f"harm: {key[0]}, {key[1]}, n = {key[2]}: {100 * excess:.1f} % above GCV")
    if options.output:
        write(records, options.output)
    if options.plot:
        plot(records, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
