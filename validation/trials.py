"""Run trials of a problem: every step of its plan on a batch of trials, models dropped after their last use."""

import numpy as np

from modelcollapse.theory.pipelines.steps import MixtureStep, TruthStep
from modelcollapse.validation.problems import SimulatedFit, SimulatedPoint, SimulatedSurrogate
from modelcollapse.validation.samplers import Place, conditional_fit, fit_step, repeat_step
from modelcollapse.validation.streams import Streams

__all__ = ["run_trials"]


def run_trials(problem, key, start, stop, sampler="auto", conditional=False, backend="numpy"):
    """Test errors of the trials start..stop−1, (stop − start,): a pure function of its arguments."""
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
        elif isinstance(step, SimulatedFit):
            models[i] = fit_step(problem, step, [models[source.parent] for source in step.sources], place, sampler)
        else:
            models[i] = repeat_step(problem, step, models[step.parents[0]], place, sampler)
        for parent in last_use[i]:
            del models[parent]
    error = models[len(problem.steps) - 1] - problem.truth
    return np.sum(problem.tested * error**2, axis=1) + added  # row by row: a matrix product would depend on the batch


def _last_uses(steps):
    last = {parent: i for i, step in enumerate(steps) for parent in step.parents}
    uses = [[] for _ in steps]
    for parent, i in last.items():
        uses[i].append(parent)
    return uses
