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

import contextlib
import math
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modelcollapse._files import save_table
from modelcollapse._progress import Progress
from modelcollapse.theory.scaling import optimal_exponent
from modelcollapse.validation.studies.reports import asked, save_picture
from modelcollapse.validation.studies.worlds import CLEAN_ROWS, DIM, HELD_OUT, REGIMES, estimator_of, world_of

__all__ = ["HELD_OUT", "METHODS", "REGIMES", "Record", "main", "run", "summarise"]

METHODS = ("RidgeCV", "5-fold", "GCV", "schedule", "20 clean rows", "ours", "ours, noise unknown")
GENERATIONS = (0, 1, 5, 20)


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
    told = estimator_of(regime, generator_noise=regime.noise, **provenance).fit(X, y)
    marks = np.repeat(["model", "real"], [len(X), CLEAN_ROWS])
    untold = estimator_of(regime, **provenance)
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
    world = world_of(regime, rng)
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
    pool = ProcessPoolExecutor(workers) if workers > 1 else contextlib.nullcontext()
    with pool as processes, Progress(progress, "regimes") as bar:
        found = (processes.map if processes else map)(_job, jobs)
        for done, (regime, results) in enumerate(zip(regimes, found, strict=True), 1):
            records += _records(regime, results)
            bar.report(done, len(regimes))
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


DRAWN = {"GCV": (3, "s"), "20 clean rows": (5, "^"), "ours": (0, "o"), "ours, noise unknown": (2, "D")}


def plot(records, path):
    """Mean regret against generations, ± a standard error: one panel a problem, one line a criterion of DRAWN."""
    from modelcollapse._extras import require
    from modelcollapse._pictures.style import COLOURS

    panels = {}
    for (problem, generator, *_, samples, _), row in _rows(records).items():
        panels.setdefault((problem, generator, samples), []).append(row)
    high = -(-len(panels) // 3)
    figure = require("matplotlib.figure", extra="plots").Figure((9, 0.7 + 2.1 * high), layout="constrained")
    axes = figure.subplots(high, 3, sharex=True, sharey=True, squeeze=False)
    at = np.arange(len(GENERATIONS))
    for ax, ((problem, generator, samples), rows) in zip(axes.flat, panels.items(), strict=False):
        for method, (colour, marker) in DRAWN.items():
            mean, error = 100 * np.array([(row[method].mean, row[method].standard_error) for row in rows]).T
            ax.errorbar(at[: len(rows)], np.maximum(mean, 0.1), error, color=COLOURS[colour], marker=marker, ms=4,
                        lw=1.2, label=method)  # fmt: skip
        ax.set(yscale="log", ylim=(0.1, 2000), xticks=at, xticklabels=GENERATIONS)
        ax.set_title(f"{problem}\n{generator}, T = {samples}", fontsize=9)
        ax.grid(axis="y", alpha=0.3, lw=0.6)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel("generations n", fontsize=10)
    figure.supylabel("test error above the best ridge (%)", fontsize=10)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    save_picture(figure, path)


def main(arguments=None):
    """The command; returns its exit status."""
    options = asked(
        arguments, "study", "Which criterion should choose the ridge when labels are synthetic?", least=1,
        trials="chains per regime (default 40; 4 with --fast)", fast="a few trials of a third of the regimes",
    )  # fmt: skip
    regimes = REGIMES[::3] if options.fast else REGIMES + HELD_OUT
    trials = options.trials or (4 if options.fast else 40)
    records = run(trials, options.seed, regimes, options.workers, progress=True)
    print(summarise(records))
    for key, excess in harms(records):
        print(f"harm: {key[0]}, {key[1]}, n = {key[2]}: {100 * excess:.1f} % above GCV")
    if options.output:
        save_table([asdict(record) for record in records], options.output)
    if options.plot:
        plot(records, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
