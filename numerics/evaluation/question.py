"""A question about a pipeline, prepared and checked once: its reading, its numbers on a grid, the means it asks for."""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.evaluation.effort import effort_of
from modelcollapse.numerics.evaluation.grid import Grid, grid_of
from modelcollapse.theory.pipelines.building import refuse_interpolating_chain
from modelcollapse.theory.pipelines.filters import GradientDescent, refuse_unstable
from modelcollapse.theory.pipelines.model import require_model
from modelcollapse.theory.pipelines.reading import Reading, checked_values, read
from modelcollapse.theory.pipelines.sgd import OnePassSGD, refuse_impossible_pass
from modelcollapse.theory.pipelines.steps import ChainStep, FitStep
from modelcollapse.theory.populations.spectrum_inputs import input_eigenvalues

__all__ = ["Question", "refuse_impossible"]


class Question(NamedTuple):
    """The reading of a model, its Grid, and whether finite-size means are asked for: a bool array ()."""

    reading: Reading
    grid: Grid
    exact: Any

    @classmethod
    def of(cls, model, values=None, inputs=None, finite_size=False):
        """The prepared question; TypeError and ValueError in one sentence for what cannot be asked."""
        require_model("model", model)
        reading = read(model)
        values = checked_values(model, values)
        inputs = input_eigenvalues("inputs", inputs, model.spectrum)
        grid = grid_of(reading, model.spectrum, values, inputs)
        refuse_impossible(reading, grid, model.spectrum)
        return cls(reading, grid, np.asarray(finite_size))

    @property
    def effort(self):
        """Estimated milliseconds of a walk on NumPy arrays."""
        steps = self.reading.filled(self.grid.numbers)
        return effort_of(steps, self.grid.points, self.grid.atoms.eigenvalues.shape[-1])

    @property
    def alive(self):
        """How many arrays (points, atoms) the walk holds at once."""
        return 12 + max(map(len, self.reading.schedule.pairs)) * 2


def refuse_impossible(reading, grid, spectrum):
    """Refuse least-squares generators on infinitely many directions, and fits that cannot be computed.

    Those have no rows, pool sources of different weights, or descend a gradient in steps that are too long.
    """
    for i, step in enumerate(reading.filled(grid.numbers)):
        if isinstance(step, ChainStep):
            refuse_interpolating_chain(spectrum, step.ridge, step.generations)
        if isinstance(step, FitStep):
            if not np.all(sum(np.asarray(rows.samples) * np.asarray(rows.weight) for rows in step.sources) > 0):
                raise ValueError("samples = 0 in all sources of a fit; give at least one source rows and weight")
            weight = 1.0 if step.plain else common_weight(step.sources)
            refuse_filters(step)
            if step.filter is not None and step.filter.filter in _REFUSALS:
                _REFUSALS[step.filter.filter](step, weight, grid.shifts.get((i, 0), grid.atoms.eigenvalues), grid.atoms)


def refuse_filters(step):
    """Refuse filters of rows that keep nothing, and those beside sources of another weight."""
    for kept in (source.keep for source in step.sources if source.keep is not None):
        kept.keep.refuse_empty(kept.values)
    if step.judges:
        common_weight(step.sources)


def _refuse_long_steps(step, weight, inputs, atoms):
    samples = sum(np.where(np.asarray(rows.weight) > 0, rows.samples, 0) for rows in step.sources)
    length = step.filter.values[0] * weight * samples / sum(rows.samples for rows in step.sources)
    refuse_unstable(length, inputs, atoms.multiplicity, samples)


def _refuse_pass(step, weight, inputs, atoms):
    if any(np.any((np.asarray(rows.weight) == 0) & (np.asarray(rows.samples) > 0)) for rows in step.sources):
        raise ValueError("weight = 0.0 in a pass of SGD, which would see these rows in vain; leave the source out")
    samples = sum(np.asarray(rows.samples) for rows in step.sources)
    length, batch = step.filter.values
    refuse_impossible_pass(length, batch, samples, weight, inputs, atoms.signal, atoms.multiplicity)


_REFUSALS = {GradientDescent: _refuse_long_steps, OnePassSGD: _refuse_pass}


def common_weight(sources):
    """The weight of all sources that have rows and weight; ValueError if they differ."""
    weights = np.stack(np.broadcast_arrays(*[np.where(np.asarray(x.samples) > 0, x.weight, 0) for x in sources]))
    highest = weights.max(0)
    unequal = (weights > 0) & (weights != highest)
    if unequal.any():
        raise ValueError(
            f"weight = {float(weights[unequal][0])!r} and weight = {float(highest.max())!r} in one fit by a filter, "
            "over random features or with keep=, which pools its sources; give them equal weights, or fit by a ridge "
            "without keep="
        )
    return highest
