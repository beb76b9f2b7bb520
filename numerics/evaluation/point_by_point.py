"""Pipelines on dense populations: one point of a grid at a time, on NumPy arrays or dual numbers.

Moments are matrices there, and what a point costs are a few inverses of them: nothing is gained by lanes or a compiler.
One population object serves all points, and keeps what they share.
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.duals import Dual, value_of
from modelcollapse.numerics.evaluation.on_gaussian import OnGaussian
from modelcollapse.numerics.evaluation.on_row_spectrum import OnRowSpectrum
from modelcollapse.numerics.evaluation.on_rows import OnRows
from modelcollapse.numerics.evaluation.outcome import all_found, require_found
from modelcollapse.numerics.evaluation.question import refuse_filters
from modelcollapse.numerics.evaluation.walk import error_parts, last_moments
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols, slopes_of
from modelcollapse.theory.pipelines.model import sources_of
from modelcollapse.theory.pipelines.reading import Reading, checked_values, leaf_values, read
from modelcollapse.theory.pipelines.steps import FitStep
from modelcollapse.theory.populations.data_rows import DataRows
from modelcollapse.theory.populations.dense_gaussian import Gaussian
from modelcollapse.theory.populations.threads import on_one_thread

__all__ = ["PointQuestion", "PointSlopes", "tested_inputs"]


class PointQuestion(NamedTuple):
    """A question on a dense population: the reading, the grid's shape, numbers (points,) of every leaf."""

    reading: Reading
    shape: tuple
    numbers: list
    population: Any
    tested: Any

    @classmethod
    def of(cls, model, values, inputs, finite_size):
        """The prepared question; TypeError and ValueError in one sentence for what cannot be asked."""
        reading = read(model)
        numbers = leaf_values(reading.leaves, checked_values(model, values))
        shape = reading.grid_shape(numbers)
        flat = [np.broadcast_to(np.asarray(x, float), shape).reshape(-1) for x in numbers]
        for step in reading.filled(numbers):
            if isinstance(step, FitStep):
                refuse_filters(step)
        population = population_of(reading, model.spectrum, bool(np.any(finite_size)))
        return cls(reading, shape, flat, population, tested_inputs(model, inputs))

    @on_one_thread
    def evaluated(self):
        """Bias, variance, those of clean labels, and whether every root was found: five arrays of the grid's shape."""
        points, places = distinct(self.numbers, self.shape)
        found = np.empty((5, np.max(places) + 1 if len(places) else 0))
        for here in pieces(self.population, points, found.shape[1]):
            numbers = [x[here] for x in points]
            parts, clean, flags = error_parts(self.reading.schedule, numbers, self.population, self.tested)
            for line, value in zip(found, (*parts, *clean, all_found(flags)), strict=True):
                line[here] = value
        return [result[places].reshape(self.shape) for result in found]

    @on_one_thread
    def angles(self):
        """Mean angle to the truth, overlap, mean squares of the score and of the truth's, each of the grid's shape."""
        if not hasattr(self.population, "angle"):
            raise ValueError(
                "error rates on rows are not known in closed form; simulate, or use a spectrum or mc.gaussian"
            )
        found = [self.population.angle(moments, self.tested) for moments in self._moments()]
        return [np.reshape(part, self.shape) for part in np.reshape(found, (-1, 4)).T]

    @on_one_thread
    def by_row(self):
        """The expected squared error of each row of the tested pool, (*grid, rows)."""
        found = [self.population.by_row(moments, self.tested) for moments in self._moments()]
        return np.reshape([missed**2 + variance for missed, variance in found], (*self.shape, -1))

    def _moments(self):
        """Moments of the last model, point by point."""
        for point in range(int(np.prod(self.shape))):
            numbers = [float(x[point]) for x in self.numbers]
            moments, flags = last_moments(self.reading.schedule, numbers, self.population)
            require_found(all_found(flags))
            yield moments


class PointSlopes:
    """The test error of a pipeline on a dense population and its derivatives by the symbols `over`: see `Slopes`."""

    nodes_per_decade, log_sample = 2, 3  # each costs inverses

    def __init__(self, model, over, values, start):
        self.model, self.over, self.reading = model, tuple(over), read(model)
        values = {**checked_values(model, values), **start}
        question = PointQuestion.of(model, values, None, False)
        self.population, self.tested = question.population, question.tested
        self.shape = np.broadcast_shapes(question.shape, *map(np.shape, values.values()))
        self.moving = [bool(free_symbols(value) & set(self.over)) for _, value, _ in self.reading.leaves]
        numbers = leaf_values(self.reading.leaves, values)
        self.numbers = [np.broadcast_to(np.asarray(x, float), self.shape).reshape(-1) for x in numbers]
        self.others = tuple(symbol for symbol in model.free if symbol not in start)
        self.fixed = [np.broadcast_to(np.asarray(values[s], float), self.shape).reshape(-1) for s in self.others]

    @property
    def lanes(self):
        return int(np.prod(self.shape))

    def _named(self, lanes, point):
        return dict(zip((*self.over, *self.others), (*point, *(x[lanes] for x in self.fixed)), strict=True))

    def check(self, lanes, point):
        """Raise ValueError if a point leaves the domain of a number of the pipeline."""
        named = self._named(lanes, point)
        for (name, value, domain), moves in zip(self.reading.leaves, self.moving, strict=True):
            if moves:
                domain.check(f"{name} = {value}", evaluate(value, named))

    @on_one_thread
    def __call__(self, lanes, point):
        """Test error (N,) and its derivatives (symbols, N) at points (symbols, N) of the lanes (N,)."""
        lanes, point = np.asarray(lanes, int), np.asarray(point, float)
        errors, slopes = np.empty(len(lanes)), np.empty((len(self.over), len(lanes)))
        flags = np.empty(len(lanes), bool)
        for here in pieces(self.population, [x[lanes] for x in self.numbers], len(lanes)):
            errors[here], slopes[:, here], flags[here] = self._at(lanes[here], point[:, here])
        require_found(flags)
        return errors, slopes

    @on_one_thread
    def errors(self, lanes, point):
        """Test error (N,) alone."""
        lanes, point = np.asarray(lanes, int), np.asarray(point, float)
        errors, flags = np.empty(len(lanes)), np.empty(len(lanes), bool)
        for here in pieces(self.population, [x[lanes] for x in self.numbers], len(lanes)):
            numbers = self._numbers(lanes[here], self._named(lanes[here], point[:, here]))
            moments, found = last_moments(self.reading.schedule, numbers, self.population)
            errors[here], flags[here] = sum(self.population.readout(moments, self.tested)), all_found(found)
        require_found(flags)
        return errors

    def finite(self, lanes, point):
        """The same with derivatives of zero where they are not finite: for optimisers, whose search goes on."""
        error, slopes = self(lanes, point)
        return error, np.where(np.isfinite(error) & np.isfinite(slopes), slopes, 0)

    @on_one_thread
    def scales(self):
        """Logarithms of the smallest and the largest ridge between which the last fit changes, (lanes,)."""
        last = self.reading.steps[-1]
        found = [
            self.population.scales(len(self.reading.steps) - 1, last.filled([float(x[lane]) for x in self.numbers]))
            for lane in range(self.lanes)
        ]
        return np.log(np.reshape(found, (-1, 2)).T)

    def _numbers(self, lanes, named):
        """Numbers of the pipeline at one lane or several."""
        return [
            np.broadcast_to(np.asarray(evaluate(value, named), float), np.shape(lanes)) if moves else number[lanes]
            for (_, value, _), number, moves in zip(self.reading.leaves, self.numbers, self.moving, strict=True)
        ]

    def _at(self, lanes, point):
        """Errors, slopes and flags at one lane or several: arrays of their shape."""
        named, shape = self._named(lanes, point), np.shape(lanes)
        numbers = [
            Dual(number, np.stack(list(slopes_of(value, self.over, named, shape)))) if moves else number
            for (_, value, _), number, moves in zip(
                self.reading.leaves, self._numbers(lanes, named), self.moving, strict=True
            )
        ]
        moments, flags = last_moments(self.reading.schedule, numbers, self.population)
        error = sum(self.population.readout(moments, self.tested))
        slopes = error.tangents if isinstance(error, Dual) else np.zeros((len(self.over), *shape))
        return value_of(error), slopes, all_found(flags)


def distinct(numbers, shape):
    """The points of a grid without repetition, numbers (leaves, distinct), and which of them each point is."""
    if not numbers:
        return numbers, np.zeros(int(np.prod(shape)), int)
    found, places = np.unique(np.stack(numbers), axis=1, return_inverse=True)
    return list(found), places.reshape(-1)


def pieces(population, numbers, points):
    """Indices of points that are computed at a time: many where moments are numbers per direction; for matrices one
    after the other, by the numbers of the last step first, so that what depends on these alone is made once."""
    together = getattr(population, "together", None)
    if together is None:
        return np.lexsort(numbers) if numbers else range(points)
    size = max(1, together // population.size)
    return [slice(start, min(start + size, points)) for start in range(0, points, size)]


def population_of(reading, population, finite_size=False):
    """The moves of the walk on a dense population."""
    if isinstance(population, Gaussian):
        return OnGaussian(population, reading.inputs, finite_size)
    return OnRows(population, len(reading.steps) - 1) if population.method == "rows" else OnRowSpectrum(population)


def tested_inputs(model, inputs):
    """The test inputs: those asked for, else those of the last fit's first source."""
    population, sources = model.spectrum, sources_of(model)
    if inputs is None and isinstance(population, DataRows) and sources:
        return sources[0].inputs
    return population.checked_inputs("inputs", inputs)
