"""`simulate`: run a pipeline many times and measure its test error.

Inputs and labels are drawn, models are fitted, errors are measured; nothing of the closed forms is used. What is drawn
is as small as exactness in law allows (see `samplers`), and addressed by seed, grid point and trial (see `streams`):
a seed gives the same numbers whatever the batch size, the number of workers and the cluster.
"""

import math
from typing import Any

import numpy as np

from modelcollapse._progress import Progress
from modelcollapse.theory.populations.spectrum import Spectrum
from modelcollapse.theory.populations.threads import pinned
from modelcollapse.validation.cluster import finished_batches
from modelcollapse.validation.estimates import Estimate
from modelcollapse.validation.problems import SimulatedFit, SimulatedRepeat, SimulatedSgd, problems_of
from modelcollapse.validation.samplers import SAMPLERS, sampler_of, trial_cost
from modelcollapse.validation.streams import seed_sequence, stream_key
from modelcollapse.validation.tails import tail_index

__all__ = ["simulate", "simulate_each"]

_FIRST = 100
_BATCH_COST = 2e9
_WIDEST_BATCH = 256
_DEVICE_NUMBERS = 2.5e8  # of one dense factor in all trials of a batch: 2 GB
_DEVICE_DIM = 256


def simulate(
    model,
    trials=None,
    seed=0,
    *,
    relative_error=None,
    max_trials=100_000,
    values=None,
    inputs=None,
    distribution="gaussian",
    df=None,
    conditional=None,
    sampler="auto",
    backend="auto",
    batch_size=None,
    first_trial=0,
    workers=1,
    client=None,
    progress: Any = True,
):
    """The test error of a pipeline, by running it.

    Parameters
    ----------
    model : Model
        truth, fit, chain, accumulate or a mixture; samples must be whole numbers.
    trials : int, optional
        Independent runs of the whole pipeline, at least 2; default 200. With `relative_error` the first 100.
    seed : int, SeedSequence or Generator
        Whole numbers of any size. A Generator is advanced.
    relative_error : float, optional
        Run until standard error / mean is at most this at every grid point, or `max_trials` are reached.
    values, inputs : as for `predict`
        Values of free symbols; eigenvalues of the test inputs, an array over atoms or a function of the eigenvalues.
    distribution : "gaussian", "rademacher", "uniform", "student" or array of rows (N, d)
        The law of the inputs: independent coordinates in the eigenbasis (Student-t with `df` > 4 degrees of freedom),
        or rows of a data set, whitened and drawn with replacement. All but "gaussian" draw every design.
    conditional : bool, optional
        Average each trial over the label noise of its last fit. Same mean, less spread; quantiles are then no longer
        those of single runs. Default: only with `relative_error`, and only where the last fit is least squares on
        T ≥ d rows. There it is free; elsewhere the trace was measured to give 0.66 (T = 600) to 1.17 (T = 150) times
        the precision per second at d = 300 (`benchmarks/bench_simulation.py`).
    sampler : "auto", "student", "bidiagonal", "bartlett" or "direct"
        See `modelcollapse.validation.samplers`.
    backend : "auto", "numpy" or "jax"
        What runs the dense fits; "auto" is NumPy and LAPACK on CPUs, and JAX on an accelerator for large fits (see
        `modelcollapse.validation.devices`). The two draw different numbers from one law.
    first_trial : int
        Number of the first trial: continue a simulation of the same seed and `merge` the two.
    batch_size, workers, client, progress
        Trials at a time; threads; a dask.distributed Client; a progress bar (True, if the work is long and rich is
        installed), or a function of (done, total). None of them changes a number.

    Returns
    -------
    Estimate, its `error_rate` another one: the share of test inputs on which sign(x·ŵ) is not sign(x·w0), exactly for
    every trial (the angle between ŵ and w0 over π). An interrupted run (Ctrl-C) returns the trials that were finished.

    Raises
    ------
    ValueError for samples that are not whole, a spectrum that cannot be expanded to its true eigenvalues (infinite,
    fractional or too large) and numbers outside their domain; TypeError for free symbols without values.

    Examples
    --------
    One seed, one answer, in whatever pieces it is computed:

    >>> import modelcollapse as mc
    >>> model = mc.fit(mc.truth(mc.isotropic(20)).label(50, noise=0.5), ridge=0.1)
    >>> whole = simulate(model, trials=60, seed=7)
    >>> pieces = simulate(model, 40, 7, batch_size=3).merge(simulate(model, 20, 7, first_trial=40))
    >>> bool(np.all(whole.draws == pieces.draws)), f"{whole.mean:.2f} ± {whole.standard_error:.2f}"
    (True, '0.14 ± 0.01')
    """
    return simulate_each(
        [model],
        trials,
        seed,
        relative_error=relative_error,
        max_trials=max_trials,
        values=values,
        inputs=inputs,
        distribution=distribution,
        df=df,
        conditional=conditional,
        sampler=sampler,
        backend=backend,
        batch_size=batch_size,
        first_trial=first_trial,
        workers=workers,
        client=client,
        progress=progress,
    )[0]


def simulate_each(
    models,
    trials=None,
    seed=0,
    *,
    relative_error=None,
    max_trials=100_000,
    values=None,
    inputs=None,
    distribution="gaussian",
    df=None,
    conditional=None,
    sampler="auto",
    backend="auto",
    batch_size=None,
    first_trial=0,
    workers=1,
    client=None,
    progress: Any = True,
):
    """An Estimate for each of several pipelines, all batches of all of them in one queue; see `simulate`."""
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler = {sampler!r} is unknown; give one of {', '.join(SAMPLERS)}")
    first = _whole("trials", trials, 2) if trials is not None else (200 if relative_error is None else _FIRST)
    if backend not in ("auto", "numpy", "jax"):
        raise ValueError(f"backend = {backend!r} is unknown; give 'auto', 'numpy' or 'jax'")
    _whole("max_trials", max_trials, 2)
    _whole("first_trial", first_trial, 0)
    workers = _whole("workers", workers, 1)
    if relative_error is not None and not 0 < relative_error < math.inf:
        raise ValueError(f"relative_error = {relative_error!r} is outside (0, inf); give a precision such as 0.01")
    sequence = seed_sequence(seed)
    runs = []
    for model in models:
        shape, problems = problems_of(model, values, inputs, distribution, df)
        if not isinstance(model.spectrum, Spectrum):
            _require_plain(model.spectrum, conditional, sampler, backend)
            runs.append(_Run(shape, problems, False, sampler, "numpy", first_trial))
            continue
        if conditional is None:
            averaged = relative_error is not None and _is_free(problems, sampler)
        else:
            averaged = bool(conditional)
        runs.append(_Run(shape, problems, averaged, sampler, _backend(problems, sampler, backend), first_trial))
    keys = [stream_key(sequence, point) for point in range(max((len(run.problems) for run in runs), default=0))]
    goals = {run: min(first, max_trials) if relative_error is not None else first for run in runs}
    interrupted = False
    size = max((len(problem.truth) for run in runs for problem in run.problems), default=0)
    with pinned(size), Progress(progress) as bar:
        try:
            while goals:
                _advance(goals, keys, batch_size, workers, client, bar)
                goals = {run: goal for run in goals if (goal := run.next_goal(relative_error, max_trials)) > run.done}
        except KeyboardInterrupt:
            interrupted = True
    return [run.estimate(keys, interrupted) for run in runs]


def _require_plain(population, conditional, sampler, backend):
    for name, value, known in (
        ("conditional", conditional, (None, False)),
        ("sampler", sampler, ("auto", "direct")),
        ("backend", backend, ("auto", "numpy")),
    ):
        if value not in known:
            raise ValueError(f"{name} = {value!r} on a population of {population.noun} is not supported; leave it out")


class _Run:
    """One pipeline on its way: draws (points, trials) and which of them are there."""

    def __init__(self, shape, problems, conditional, sampler, backend, first_trial):
        self.shape, self.problems, self.conditional = shape, problems, conditional
        self.sampler, self.backend, self.first_trial = sampler, backend, first_trial
        self.draws = np.empty((2, len(problems), 0))  # test errors and 0–1 errors
        self.there = np.empty((len(problems), 0), bool)

    @property
    def done(self):
        """Trials that are finished at every point, without a gap."""
        missing = np.flatnonzero(~self.there.all(0))
        return int(missing[0]) if missing.size else self.there.shape[1]

    def grow(self, goal):
        more = goal - self.there.shape[1]
        self.draws = np.pad(self.draws, ((0, 0), (0, 0), (0, more)))
        self.there = np.pad(self.there, ((0, 0), (0, more)))

    def batches(self, goal, keys, batch_size):
        """(point, arguments of run_trials) up to the goal, all points of a range of trials together."""
        cost = max(trial_cost(problem, self.sampler) for problem in self.problems)
        size = batch_size or int(min(max(_BATCH_COST / cost, 4), _WIDEST_BATCH))
        if self.backend == "jax" and not batch_size:
            size = int(min(max(_DEVICE_NUMBERS / max(len(p.truth) for p in self.problems) ** 2, 16), 1024))
        first = self.first_trial
        for start in range(self.done, goal, size):
            stop = min(start + size, goal)
            for point, problem in enumerate(self.problems):
                options = (self.sampler, self.conditional, self.backend)
                yield point, (problem, keys[point], first + start, first + stop, *options)

    def take(self, point, start, draws):
        here = slice(start - self.first_trial, start - self.first_trial + draws.shape[1])
        self.draws[:, point, here] = draws
        self.there[point, here] = True

    def next_goal(self, relative_error, max_trials):
        """How many trials are needed in all, judged by those that are there."""
        if relative_error is None:
            return self.done
        mean, spread = self.draws[0].mean(1), self.draws[0].std(1, ddof=1)
        needed = np.max(np.divide(spread, relative_error * mean, out=np.zeros_like(mean), where=spread > 0) ** 2)
        if needed <= self.done:
            return self.done
        return int(min(max_trials, max(1.1 * needed, 1.2 * self.done), 4 * self.done))

    def estimate(self, keys, interrupted):
        if self.done < 2:
            raise KeyboardInterrupt
        span = (self.first_trial, self.first_trial + self.done)
        errors, rates = self.draws[..., : self.done].reshape(2, *self.shape, self.done)
        details = {
            "interrupted": interrupted,
            "streams": tuple((problem.digest(), key, *span) for problem, key in zip(self.problems, keys, strict=False)),
        }
        tails = np.reshape([tail_index(problem) for problem in self.problems], self.shape)
        known = not self.conditional and not np.isnan(rates).any()
        rate = Estimate.from_draws(rates, **details) if known else None
        return Estimate.from_draws(errors, tails, conditional=self.conditional, error_rate=rate, **details)


def _advance(goals, keys, batch_size, workers, client, bar):
    """Run every pipeline up to its goal."""
    batches = []
    for run, goal in goals.items():
        batches += [(run, *batch) for batch in run.batches(goal, keys, batch_size)]
        run.grow(goal)
    work = [arguments for _, _, arguments in batches]
    for finished, (i, draws) in enumerate(finished_batches(work, workers, client), 1):
        run, point, (_, _, start, *_) = batches[i]
        run.take(point, start, draws)
        bar.report(finished, len(batches))


def _backend(problems, sampler, wanted):
    """JAX for dense fits from _DEVICE_DIM directions up if there is an accelerator."""
    fits = [step for problem in problems for step in problem.steps if hasattr(step, "sources")]
    steps = [step for step in fits if not isinstance(step, SimulatedSgd)]
    plain = len(steps) == len(fits) and all(step.filter is None and np.isinf(step.features) for step in steps)
    if wanted == "jax" and not plain:
        raise ValueError("backend = 'jax' has no fits by training or over random features; give 'numpy' or 'auto'")
    linked = any(source.link is not None or source.keep is not None for step in steps for source in step.sources)
    if wanted == "jax" and linked:
        raise ValueError("backend = 'jax' draws no labels through a link and filters no rows; give 'numpy' or 'auto'")
    plain = plain and not linked
    if wanted != "auto" or not plain:
        return "jax" if wanted == "jax" else "numpy"
    dense = any(trial_cost(problem, sampler) > len(problem.truth) ** 2 * _DEVICE_DIM for problem in problems)
    if not dense or max(len(problem.truth) for problem in problems) < _DEVICE_DIM:
        return "numpy"
    from modelcollapse.validation.devices import accelerated

    return "jax" if accelerated() else "numpy"


def _is_free(problems, sampler):
    """Whether averaging over the label noise of the last fit costs nothing: least squares with T ≥ d."""
    for problem in problems:
        step = problem.steps[-1]
        if not isinstance(step, SimulatedFit | SimulatedRepeat):
            return False
        if isinstance(step, SimulatedRepeat) and (step.keep or step.generations == 0):
            return False
        if sampler_of(problem.distribution, step, sampler) != "student":
            return False
    return True


def _whole(name, value, low):
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} = {value!r} is a {type(value).__name__}; give a whole number")
    if value < low:
        raise ValueError(f"{name} = {value} is outside [{low}, inf); give a whole number, {low} at least")
    return int(value)
