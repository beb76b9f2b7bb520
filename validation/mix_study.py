r"""Real and synthetic rows in one fit: which way of choosing weight and ridge costs least? Reproducible by one command.

    python -m modelcollapse.validation.mix_study --output table.csv --plot picture.png

Every trial draws 20, 60 or 200 real rows and a few hundred that a model labelled, and computes the fits of all weights
and ridges on a grid. The *regret* of a strategy is the test error of what it picks over the smallest on the grid, minus
one. A regime in which the data sets leave open whether the median regret of ours exceeds that of the better of real
only and pooled by LIMIT (the difference is within SURE standard errors of it) gets as many again, up to MOST times as
many: a few data sets of twenty real rows say nothing of six points.

Strategies: `real only` (leave-one-out on real rows), `pooled` (GCV on all rows, each as heavy), `teacher alone` (GCV on
synthetic rows), `leave-one-out` (over weight and ridge, on the real rows), `ours`
(`CollapseAwareRidge(weights="auto")`) and `ours, provenance` (told generations, rows and ridge of the teachers; trees
are not described). The regimes of HELD_OUT, and those of TABLES, a table with units, gaps and a category in the usual
scikit-learn pipeline, were looked at ten times, once with the method as it is. Changes were made on REGIMES and on
problems such as LINEAR_TEACHERS (kernel students of linear teachers, with few real rows), with one exception: that
provenance is refused where the rows contradict it was prompted by `friedman 3, RBF`.
"""

import contextlib
import math
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import bootstrap

from modelcollapse._files import save_table
from modelcollapse._progress import Progress
from modelcollapse.numerics.mixes.choice import WEIGHTS, beliefs, choose
from modelcollapse.numerics.mixes.leave_one_out import gcv, weighted_path
from modelcollapse.numerics.mixes.moments import rows_of
from modelcollapse.numerics.mixes.teachers import informed
from modelcollapse.validation.studies.mixes import HELD_OUT, LINEAR_TEACHERS, REGIMES, TABLES, draw
from modelcollapse.validation.studies.reports import asked, dots, save_picture

__all__ = [
    "HELD_OUT",
    "LINEAR_TEACHERS",
    "REAL",
    "REGIMES",
    "STRATEGIES",
    "TABLES",
    "MixRecord",
    "main",
    "run",
    "trial",
]

STRATEGIES = ("real only", "pooled", "teacher alone", "leave-one-out", "ours", "ours, provenance")
REAL = (20, 60, 200)
LIMIT, SURE, MOST = 0.06, 2.0, 8
ALL = REGIMES + HELD_OUT + TABLES + LINEAR_TEACHERS


@dataclass(frozen=True)
class MixRecord:
    """Regret of one strategy in one regime over trials."""

    problem: str
    teacher: str
    generations: int
    teacher_rows: int
    real: int
    strategy: str
    trials: int
    mean: float
    standard_error: float
    median: float


def trial(regime, real, seed):
    """{strategy: regret} of one data set."""
    found = draw(regime, real, np.random.default_rng(seed))
    features = _features(regime, found.X)
    y = found.y[:, None]
    rows = rows_of(features.values, y, found.origin)

    def errors(path, rows=rows):
        return _errors(found, features, rows, path, regime)

    paths = [weighted_path(rows, np.array([1.0, weight])) for weight in WEIGHTS]
    grid = [errors(path) for path in paths]
    alike = int(np.flatnonzero(WEIGHTS == 1)[0])
    fake = rows_of(features.values[found.origin == 1], y[found.origin == 1], np.zeros(sum(found.origin), dtype=int))
    taught = weighted_path(fake, [1.0])
    picks = {
        "real only": grid[0][np.argmin(paths[0].loss)],
        "pooled": grid[alike][np.argmin(gcv(rows, paths[alike], np.ones(2)))],
        "teacher alone": errors(taught, fake)[np.argmin(gcv(fake, taught, [1.0]))],
        "leave-one-out": np.concatenate(grid)[np.argmin(np.concatenate([path.loss for path in paths]))],
    }
    ours = {"ours": beliefs(rows)}
    if regime.provenance:
        ours["ours, provenance"], *_ = informed(rows, ours["ours"], {1: regime.provenance})
    for name, belief in ours.items():
        pick = choose(rows, belief).best
        picks[name] = errors(pick.path)[pick.at]
    best = np.concatenate(grid).min()
    return {name: float(error / best - 1) for name, error in picks.items()}


def _features(regime, X):
    from modelcollapse.estimators.mix import kernel_features, linear_features

    if not regime.gamma:
        return linear_features(X, np.finfo(float).eps, True)
    from sklearn.metrics.pairwise import rbf_kernel

    return kernel_features(rbf_kernel(X, gamma=regime.gamma), np.finfo(float).eps, True)


def _errors(found, features, rows, path, regime):
    """Test errors (L,) of the fits of a path."""
    slopes = rows.rotation @ path.slopes[:, :, 0].T
    level = path.intercepts[:, 0] - rows.offset @ slopes
    if features.maps is not None:
        slopes = features.maps @ slopes
        slopes -= slopes.mean(axis=0) * bool(regime.gamma)
        level = level - features.offset @ slopes
    if found.truth is not None:
        return found.eigenvalues @ (slopes - found.truth[:, None]) ** 2 + level**2
    inputs = found.test
    if regime.gamma:
        from sklearn.metrics.pairwise import rbf_kernel

        inputs = rbf_kernel(found.test, found.X, gamma=regime.gamma)
    return np.mean((inputs @ slopes + level - found.targets[:, None]) ** 2, axis=0)


def _job(job):
    """The results of one regime: of `trials` data sets, and of more where these do not decide."""
    regime, real, root, trials = job
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while not results or (len(results) < MOST * trials and not decided(results)):
            results += [trial(regime, real, seed) for seed in root.spawn(max(trials, len(results)))]
    return results


def decided(results):
    """Whether the median regrets of ours are clearly above or clearly below LIMIT more than the better of real only and
    pooled.

    >>> def found(spread):
    ...     ours = 0.1 + spread * np.random.default_rng(0).random(24)
    ...     return [{"real only": 0.3, "pooled": 0.1, "ours": regret} for regret in ours]
    >>> decided(found(0.01)), decided(found(0.1)), decided(found(0.9))
    (True, False, True)
    """
    if len(results) < 2:
        return True
    names = [name for name in ("ours", "ours, provenance") if name in results[0]]
    return all(
        _apart(*(np.array([one[s] for one in results]) for s in (name, "real only", "pooled"))) for name in names
    )


def _apart(ours, alone, pooled):
    def over(ours, alone, pooled, axis=-1):
        medians = (np.median(values, axis=axis) for values in (ours, alone, pooled))
        return next(medians) - np.minimum(*medians)

    error = bootstrap(
        (ours, alone, pooled), over, paired=True, n_resamples=400, method="basic", rng=np.random.default_rng(0)
    ).standard_error
    return abs(over(ours, alone, pooled) - LIMIT) >= SURE * error


def run(trials, seed=0, regimes=ALL, real=REAL, workers=1, progress=None):
    """All regimes, by `trials` data sets each or more; a list of MixRecords. The numbers depend on `seed` and `trials`,
    not on `workers`."""
    cells = [(regime, n) for regime in regimes for n in real if n <= _largest(regime)]
    seeds = np.random.SeedSequence(seed).spawn(len(cells))
    jobs = [(*cell, root, trials) for cell, root in zip(cells, seeds, strict=True)]
    pool = ProcessPoolExecutor(workers) if workers > 1 else contextlib.nullcontext()
    records = []
    with pool as processes, Progress(progress, "regimes") as bar:
        for done, ((regime, n), results) in enumerate(
            zip(cells, (processes.map if processes else map)(_job, jobs), strict=True), 1
        ):
            for name in results[0]:
                values = np.array([result[name] for result in results])
                spread = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
                records.append(
                    MixRecord(regime.problem, regime.teacher, regime.generations, regime.teacher_rows, n, name,
                              len(values), float(values.mean()), float(spread), float(np.median(values)))
                )  # fmt: skip
            bar.report(done, len(cells))
    return records


def _largest(regime):
    """Number of real rows: the data may have no more, and linear teachers of kernel students are of interest at few."""
    return min(REAL) if regime in LINEAR_TEACHERS else 60 if regime.problem.startswith("diabetes") else max(REAL)


def rows_of_records(records):
    """{(problem, teacher, generations, teacher rows, real): {strategy: MixRecord}} in order."""
    found = {}
    for record in records:
        key = (record.problem, record.teacher, record.generations, record.teacher_rows, record.real)
        found.setdefault(key, {})[record.strategy] = record
    return found


def summarise(records):
    """Median over regimes of the median regret, and the worst one against the better of real only and pooled."""
    lines = []
    table = rows_of_records(records)
    for real in sorted({key[4] for key in table}):
        for name in STRATEGIES:
            cells = [row for key, row in table.items() if key[4] == real and name in row]
            medians = [row[name].median for row in cells]
            over = [row[name].median - min(row["real only"].median, row["pooled"].median) for row in cells]
            lines.append(f"{real:4d} real rows  {name:17} median {100 * np.median(medians):7.1f} %   worst against the "
                         f"better of real only and pooled {100 * max(over):+7.1f} points")  # fmt: skip
    return "\n".join(lines)


def plot(records, path):
    """Median regret of every strategy in every regime with 60 real rows, or what there is."""
    table = rows_of_records(records)
    real = 60 if any(key[4] == 60 for key in table) else next(iter(table))[4]
    table = {key: row for key, row in table.items() if key[4] == real}
    marks = {
        name: [(i, row[name].median, row[name].standard_error) for i, row in enumerate(table.values()) if name in row]
        for name in STRATEGIES
    }
    names = [f"{problem}; {teacher}, n = {n}, T0 = {t0}" for problem, teacher, n, t0, _ in table]
    save_picture(dots(names, marks, xlabel=f"test error above the best weight and ridge (%), {real} real rows"), path)


def main(arguments=None):
    """The command; returns its exit status."""
    options = asked(
        arguments, "mix_study", "Which way of weighing synthetic rows costs least?", least=1,
        trials="data sets per regime, at least (default 12; 2 with --fast)",
        fast="two trials of a third of the regimes",
    )  # fmt: skip
    regimes = REGIMES[::3] if options.fast else ALL
    records = run(options.trials or (2 if options.fast else 12), options.seed, regimes, REAL, options.workers, True)
    print(summarise(records))
    if options.output:
        save_table([asdict(record) for record in records], options.output)
    if options.plot:
        plot(records, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
