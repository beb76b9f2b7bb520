"""Ways to evaluate a pipeline on a grid: shared work where many points have something in common, else point by point.

A *route* looks at a question and returns a plan of the work that it can share, or None. Run, the plan fills in the
points that it serves; what is left goes the direct way. All routes agree to 1e-12 where they serve the same point.
"""

import numpy as np

from modelcollapse.numerics.evaluation.lanes import evaluate_on
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.outcome import all_found, require_finite, require_found
from modelcollapse.numerics.evaluation.question import Question
from modelcollapse.numerics.evaluation.surfaces import surface
from modelcollapse.numerics.evaluation.training_curves import training_curve
from modelcollapse.numerics.evaluation.walk import error_parts, errors_on_the_way
from modelcollapse.theory.pipelines.model import require_model
from modelcollapse.theory.pipelines.steps import FitStep
from modelcollapse.theory.populations.spectrum import Spectrum
from modelcollapse.theory.populations.threads import pinned

__all__ = ["errors_of_fits", "evaluated", "question_of"]

ROUTES = (surface, training_curve)


def question_of(model, values=None, inputs=None, finite_size=False):
    """The prepared question about a model on any population."""
    require_model("model", model)
    if isinstance(model.spectrum, Spectrum):
        return Question.of(model, values, inputs, finite_size)
    from modelcollapse.numerics.evaluation.point_by_point import PointQuestion

    return PointQuestion.of(model, values, inputs, finite_size)


def evaluated(question):
    """Bias, variance, those of clean labels, and whether every root was found: five arrays of the grid's shape."""
    if not isinstance(question, Question):
        return question.evaluated()
    grid = question.grid
    for route in ROUTES:
        with pinned(grid.atoms.eigenvalues.shape[-1]):
            found = route(question)
        if found is not None:
            left = np.flatnonzero(found[-1] == 0)
            if left.size:
                numbers = [
                    np.broadcast_to(x, grid.shape).reshape(-1)[left] if np.size(x) > 1 else np.reshape(x, ())
                    for x in grid.numbers
                ]
                for result, value in zip(found, _directly(question, grid.at(numbers, left.shape)), strict=True):
                    result[left] = value
            return [result.reshape(grid.shape) for result in found]
    return _directly(question, grid)


def _directly(question, grid):
    def run(numbers, atoms, shifts, tested):
        population = OnSpectrum(atoms, shifts, question.exact)
        parts, clean, converged = error_parts(question.reading.schedule, numbers, population, tested)
        return *parts, *clean, np.atleast_1d(all_found(converged))

    return evaluate_on(grid, run, 5, question.alive, share=True, effort=question._replace(grid=grid).effort)


def errors_of_fits(question):
    """Test errors (fits, *grid) of all fits of a pipeline on a spectrum, those on the way to the last one included.

    One walk serves them all: a loop's errors over its rounds are those of its last model's ancestors. Raises what
    `predict` raises.
    """

    def run(numbers, atoms, shifts, tested):
        population = OnSpectrum(atoms, shifts, question.exact)
        errors, converged = errors_on_the_way(question.reading.schedule, numbers, population, tested)
        return *errors, np.atleast_1d(all_found(converged))

    count = sum(isinstance(step, FitStep) for step in question.reading.steps)
    *errors, converged = evaluate_on(question.grid, run, count + 1, question.alive, share=True, effort=question.effort)
    require_found(converged)
    require_finite(*errors)
    return np.array(errors)
