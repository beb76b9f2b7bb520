"""Run trials of a problem: every step of its plan on a batch of trials, models dropped after their last use."""

import numpy as np

from modelcollapse.theory.pipelines.steps import MixtureStep, TruthStep
from modelcollapse.validation.problems import SimulatedFit, SimulatedPoint, SimulatedSgd, SimulatedSurrogate
from modelcollapse.validation.samplers import Place, conditional_fit, fit_step, repeat_step
from modelcollapse.validation.streams import Streams

__all__ = ["run_trials"]


def run_trials(problem, key, start, stop, sampler="auto", conditional=False, backend="numpy"):
    """Test errors and 0–1 errors of the trials start..stop−1, (2, stop − start): a pure function of its arguments.

    The 0–1 error of a trial averaged over its label noise (`conditional`) is NaN: it is no average of that kind.
    """
    if not isinstance(problem, SimulatedPoint):
        return problem.run(key, start, stop)
    streams, trials, added = Streams(key), range(start, stop), 0.0
    models, last_use = {}, _last_uses(problem.steps)
    for i, step in enumerate(problem.steps):
        place = Place(streams, key, i, trials, backend)
        if conditional and i == len(problem.steps) - 1:
            models[i], added = conditional_fit(problem, step, models, place, sampler)
        elif isinstance(step, TruthStep):
            models[i] = np.broadcast_to(problem.truth, (len(trials), len(problem.truth)))
        elif isinstance(step, MixtureStep):
            models[i] = sum(c * models[parent] for c, parent in zip(step.coefficients, step.parents, strict=True))
        elif isinstance(step, SimulatedSurrogate):
            drawn = [generator.standard_normal(len(problem.truth)) for generator in place.generators()]
            models[i] = step.ratio * problem.truth + step.spread * np.array(drawn)
        elif isinstance(step, SimulatedFit | SimulatedSgd):
            labels = [models[source.parent] for source in step.sources]
            others = [[models[k] for k in (*source.voters, source.judge) if k is not None] for source in step.sources]
            models[i] = fit_step(problem, step, labels, place, sampler, others)
        else:
            models[i] = repeat_step(problem, step, models[step.parents[0]], place, sampler)
        for parent in last_use[i]:
            del models[parent]
    fitted = models[len(problem.steps) - 1]
    error = fitted - problem.truth
    errors = np.sum(problem.tested * error**2, axis=1) + added  # row by row: a matrix product would depend on the batch
    return np.stack([errors, np.full(len(trials), np.nan) if conditional else error_rates(problem, fitted)])


def error_rates(problem, fitted):
    """How often sign(x·ŵ) is not sign(x·w0) for Gaussian test inputs: the angle between ŵ (B, d) and w0 over π."""
    length = np.sqrt(np.sum(problem.tested * problem.truth**2))
    if not length:
        return np.full(len(fitted), 0.5)
    unit = problem.truth / length
    along = np.sum(problem.tested * fitted * unit, axis=1)
    across = np.sqrt(np.sum(problem.tested * (fitted - along[:, None] * unit) ** 2, axis=1))
    return np.where((along == 0) & (across == 0), 0.5, np.arctan2(across, along) / np.pi)


def _last_uses(steps):
    last = {parent: i for i, step in enumerate(steps) for parent in step.parents}
    uses = [[] for _ in steps]
    for parent, i in last.items():
        uses[i].append(parent)
    return uses
