"""Which share of its rows a source keeps: an expectation over inputs and labels."""

from dataclasses import replace

import numpy as np

from modelcollapse.numerics.evaluation.lanes import evaluate_on, most_lanes, spread
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum, judged
from modelcollapse.numerics.evaluation.question import Question
from modelcollapse.numerics.evaluation.routes import question_of
from modelcollapse.numerics.evaluation.walk import moments_before_last
from modelcollapse.numerics.steps.kept import shares_kept
from modelcollapse.numerics.steps.kept_dense import parts_dense
from modelcollapse.theory.pipelines.nodes import Fit

__all__ = ["rows_kept"]


def rows_kept(source):
    """The expected share of rows that a source keeps, of the grid's shape; TypeError for free symbols."""
    counted = replace(source, samples=1.0, weight=1.0)
    question = question_of(Fit(source.model.spectrum, (counted,), 1.0))
    if not isinstance(question, Question):
        return _point_by_point(question)
    schedule, grid = question.reading.schedule, question.grid
    last = len(schedule.steps) - 1

    def run(numbers, atoms, shifts, tested):
        population = OnSpectrum(atoms, shifts, question.exact)
        models, joint = moments_before_last(schedule, numbers, population)
        step = schedule.steps[last].filled(numbers)
        inputs = population.inputs(last, step)[0]
        lanes = most_lanes(step.numbers, models, inputs, atoms.eigenvalues)
        step = step.mapped(lambda number: spread(number, lanes))
        models = {place: spread(model, lanes) for place, model in models.items()}
        return shares_kept(atoms, inputs, **judged(step, models, joint, atoms))

    (share,) = evaluate_on(grid, run, 1, question.alive, share=True, effort=question.effort)
    return np.asarray(share)[()]


def _point_by_point(question):
    here, schedule = question.population, question.reading.schedule
    last, shares = len(schedule.steps) - 1, []
    for point in range(int(np.prod(question.shape))):
        numbers = [float(x[point]) for x in question.numbers]
        models, joint = moments_before_last(schedule, numbers, here)
        step = schedule.steps[last].filled(numbers)
        covariance = here.shifts.get((last, 0), here.covariance_of_inputs)
        (part,) = parts_dense(covariance, **here.judged(step, models, joint))
        shares.append(part.share[0])
    return np.reshape(shares, question.shape)[()]
