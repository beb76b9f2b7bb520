"""Walk the steps of a pipeline: every step moves the moments of the models before it.

What moments are depends on the population, which offers six moves:

    truth()                              the moments of the truth
    advance(place, step, models, joint)  the moments of a step's model; its projections, the linear maps by which its
                                         mean follows from its label models; flags, whether each root was found
    covariance(projections, parts)       the covariance of that model with an older one, from its label models'
    own_covariance(moments)              the covariance of a model with itself
    transposed(covariance)               the covariance of the second model with the first
    readout(moments, tested)             bias and variance on test inputs

`joint(i, k)` is the covariance of two models, None for independent ones. Only pairs that a later step needs are carried
(`theory.pipelines.reading`), and moments are dropped after their last use.
"""

from modelcollapse.theory.pipelines.reading import cleaned
from modelcollapse.theory.pipelines.steps import FitStep, TruthStep

__all__ = ["error_parts", "errors_on_the_way", "label_model", "last_moments", "moments_before_last"]


def error_parts(schedule, numbers, population, tested):
    """Bias and variance of the last model, the same with all labels it sees written by the truth, and all flags.

    numbers: lanes (P or 1,), one array for each leaf; tested: the test inputs, in the population's form.
    """
    last = schedule.steps[-1]
    if population.reads_last(last):
        model, flags = label_model(schedule, numbers, population)
        *parts, converged = population.read_last(len(schedule.steps) - 1, last.filled(numbers), model, tested)
        return *parts, (*flags, converged)
    moments, flags = last_moments(schedule, numbers, population)
    parts = population.readout(moments, tested)
    clean, origin = cleaned(schedule.steps)
    if clean.steps == schedule.steps:
        return parts, parts, flags
    moments, clean_flags = last_moments(clean, numbers, population.rearranged(origin))
    return parts, population.readout(moments, tested), flags + clean_flags


def errors_on_the_way(schedule, numbers, population, tested):
    """Test errors of all fits, in the order of the steps, and all flags."""
    errors = []

    def read(step, moments):
        if isinstance(step, FitStep):
            errors.append(sum(population.readout(moments, tested)))

    _, _, flags = _walk(schedule, schedule.steps, numbers, population, read)
    return errors, flags


def label_model(schedule, numbers, population):
    """Moments of the model that labels the last fit, a fit on one source, and all flags."""
    moments, _, flags = _walk(schedule, schedule.steps[:-1], numbers, population)
    return moments[schedule.steps[-1].parents[0]], flags


def moments_before_last(schedule, numbers, population):
    """Moments of the parents of the last model, by place, and the function of their covariances."""
    moments, joint, _ = _walk(schedule, schedule.steps[:-1], numbers, population)
    return {place: moments[place] for place in schedule.steps[-1].parents}, joint


def last_moments(schedule, numbers, population):
    """Moments of the last model, and all flags."""
    moments, _, flags = _walk(schedule, schedule.steps, numbers, population)
    return moments[len(schedule.steps) - 1], flags


def _walk(schedule, steps, numbers, population, read=None):
    """Moments of the models of the first steps that are still needed after them, their covariances, the flags.

    read : function of every step and its moments
    """
    moments, covariances, flags = {}, {}, ()

    def joint(i, k):
        if i == k:
            return population.own_covariance(moments[i])
        return covariances.get((i, k)) if i > k else population.transposed(covariances.get((k, i)))

    for i, step in enumerate(steps):
        if isinstance(step, TruthStep):
            moments[i] = population.truth()
            continue
        models = {parent: moments[parent] for parent in step.parents}
        moments[i], projections, converged = population.advance(i, step.filled(numbers), models, joint)
        flags += converged
        if read is not None:
            read(step, moments[i])
        for k in schedule.pairs[i]:
            if k == i:
                continue
            certain = [isinstance(schedule.steps[parent], TruthStep) for parent in step.parents]
            parts = [None if sure else joint(parent, k) for parent, sure in zip(step.parents, certain, strict=True)]
            if any(part is not None for part in parts):
                covariances[i, k] = population.covariance(projections, parts)
        for pair in schedule.dropped[i]:
            covariances.pop(pair, None)
        for k in schedule.last_read[i]:
            del moments[k]
    return moments, joint, flags
