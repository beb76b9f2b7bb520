"""Whole error surfaces of a last fit on one source: a table for each label model, a look-up for each point.

`surface` serves the pipelines whose last step is a fit on one source with the spectrum's own inputs, on one spectrum,
whenever many grid points share a label model. The label models are computed on their own grid, and what the tables
of `interpolation` do not serve (κ = 0 or infinite, or a refused certificate) is evaluated directly.
"""

import math

import numpy as np

from modelcollapse.numerics.arrays import jit
from modelcollapse.numerics.equivalents import ridge_equation
from modelcollapse.numerics.evaluation import tables
from modelcollapse.numerics.evaluation.double_precision import double_precision
from modelcollapse.numerics.evaluation.lanes import flat, padded_atoms
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.walk import label_model
from modelcollapse.numerics.steps import Atoms, Moments

__all__ = ["surface"]

FEWEST_POINTS = 512
CHUNK = 4096
PANELS = (40, 96, 256)

_solve = jit(ridge_equation.solve)


def surface(question):
    """Bias, variance, those of clean labels, and flags, each (points,), flags 0 where nothing is filled in; or None."""
    grid, schedule = question.grid, question.reading.schedule
    last = schedule.steps[-1]
    if grid.points < FEWEST_POINTS or not OnSpectrum.reads_last(last) or last.sources[0].shifted:
        return None
    upstream = np.broadcast_shapes(*(np.shape(number) for number in grid.numbers[: -len(last.numbers)]))
    if not grid.one_spectrum or grid.points < FEWEST_POINTS * math.prod(upstream):
        return None
    samples, noise, weight, ridge = (flat(number, grid.shape) for number in last.filled(grid.numbers).numbers)
    ridge = ridge / weight
    served = np.isfinite(ridge) & ((ridge > 0) | (samples < _dimension(grid.atoms)))
    if np.count_nonzero(served) < FEWEST_POINTS * math.prod(upstream):
        return None
    results = [np.empty(grid.points) for _ in range(4)] + [np.zeros(grid.points)]
    with double_precision():
        count = grid.atoms.eigenvalues.size
        wide = grid.padded(padded_atoms(count, 1))  # as for a single point, whose kernels serve the label models
        few = narrow_atoms(count)
        narrow, inputs = Atoms(*(x[:, :few] for x in wide[0])), wide[2][:, :few]
        bounds = _bounds(narrow, samples[served], ridge[served])
        if bounds is None:
            return None
        for where, model, fine in _label_models(question, upstream, wide):
            if not fine:
                continue
            row = Moments(*(np.asarray(x)[:, :few] for x in model))
            table = tables.tabulate(narrow, inputs, row, *bounds)
            points = where[served[where]]
            for start in range(0, points.size, CHUNK):
                _fill(results, table, points[start : start + CHUNK], samples, noise, ridge)
    return results


def narrow_atoms(count):
    """The number of atoms, padding included, of kernels that share work between points: few sizes, little waste."""
    return max(128, 2 ** math.ceil(math.log2(count))) if count <= 512 else 128 * math.ceil(count / 128)


def _dimension(atoms):
    return np.sum(atoms.multiplicity[atoms.eigenvalues > 0])


def _bounds(atoms, samples, ridge):
    """The smallest κ of a table and its number of panels; None if the range of κ is too wide.

    κ increases with the ridge and falls with the samples, so corners of the range of both bound it.
    """
    corners = []
    for part in (ridge > 0, ridge == 0):
        if part.any():
            corners += [(samples[part].max(), ridge[part].min()), (samples[part].min(), ridge[part].max())]
    corners = np.array((corners * 2)[:4])
    kappa, converged = map(np.asarray, _solve(atoms.eigenvalues, atoms.multiplicity, corners[:, 0], corners[:, 1]))
    low, high = kappa.min(), kappa.max()
    if not (converged.all() and 1e-280 < low and high < 1e280):
        return None
    wanted = math.log(high / low) / (2 * tables.HALF_WIDTH) + 2
    panels = next((size for size in PANELS if size >= wanted), None)
    return None if panels is None else (np.float64(low * math.exp(-tables.HALF_WIDTH)), panels)


def _label_models(question, upstream, wide):
    """For every point of the label models' own grid: indices of its points, Moments (1, A), whether solved."""
    grid, population = question.grid, OnSpectrum(*wide[:2], exact=question.exact)
    places = np.arange(grid.points).reshape(grid.shape)
    axes = (1,) * (places.ndim - len(upstream)) + upstream
    for index in np.ndindex(axes):
        numbers = [_at(np.asarray(number, float), index) for number in grid.numbers]
        model, flags = label_model(question.reading.schedule, numbers, population)
        where = places[tuple(i if size > 1 else slice(None) for i, size in zip(index, axes, strict=True))]
        yield where.reshape(-1), model, all(bool(np.all(flag)) for flag in flags)


def _at(number, index):
    """The value (1,) of a leaf at an index of a grid that it broadcasts to."""
    if number.ndim == 0:
        return number[None]
    tail = index[len(index) - number.ndim :]
    return number[tuple(i if size > 1 else 0 for i, size in zip(tail, number.shape, strict=True))][None]


def _fill(results, table, here, samples, noise, ridge):
    lanes = np.pad(here, (0, CHUNK - here.size), mode="edge")
    parts, clean, ok = tables.look_up(table, samples[lanes], noise[lanes], ridge[lanes])
    for result, value in zip(results, (*parts, *clean, ok), strict=True):
        result[here] = np.asarray(value)[: here.size]
