"""Whole error surfaces of a last fit on one source: a table for each label model, a look-up for each point.

`surface` serves the pipelines whose last step is a fit on one source with the spectrum's own inputs, on one spectrum,
whenever many grid points share a label model. The label models are computed on their own grid, and what the tables
of `interpolation` do not serve (κ = 0 or infinite, or a refused certificate) is evaluated directly.
"""

import math

import jax
import numpy as np

from modelcollapse.numerics import interpolation, ridge_equation
from modelcollapse.numerics.boundary import Problem, evaluate_in_chunks, padded_atoms
from modelcollapse.numerics.evaluation import label_model
from modelcollapse.numerics.steps import Atoms, Moments

__all__ = ["surface"]

FEWEST_POINTS = 512
CHUNK = 4096
PANELS = (40, 96, 256)

_solve = jax.jit(ridge_equation.solve)


def surface(reading, problem, exact, run, alive):
    """What `evaluate_in_chunks(problem, run, 5, alive)` returns, from tables where that pays; else None."""
    plan = reading.plan
    last = plan.steps[-1]
    if problem.points < FEWEST_POINTS or last.kind != "fit" or len(last.parents) > 1 or last.shifted[0]:
        return None
    upstream = np.broadcast_shapes(*(np.shape(problem.numbers[slot]) for slot in range(last.slots[0])))
    if not problem.one_spectrum or problem.points < FEWEST_POINTS * math.prod(upstream):
        return None
    samples, noise, weight, ridge = (
        np.broadcast_to(np.asarray(problem.numbers[slot], float), problem.shape).reshape(-1) for slot in last.slots
    )
    ridge = ridge / weight
    served = np.isfinite(ridge) & ((ridge > 0) | (samples < _dimension(problem.atoms)))
    if np.count_nonzero(served) < FEWEST_POINTS * math.prod(upstream):
        return None
    results = [np.empty(problem.points) for _ in range(4)] + [np.zeros(problem.points)]
    with jax.enable_x64(True):
        count = problem.atoms.eigenvalues.size
        wide = problem.padded(padded_atoms(count, 1))  # as for a single point, whose kernels serve the label models
        few = max(128, 2 ** math.ceil(math.log2(count))) if count <= 512 else 128 * math.ceil(count / 128)
        narrow, inputs = Atoms(*(x[:, :few] for x in wide["atoms"])), wide["inputs"][:, :few]
        bounds = _bounds(narrow, samples[served], ridge[served])
        if bounds is None:
            return None
        for where, model, fine in _label_models(plan, problem, upstream, wide, exact):
            if not fine:
                continue
            row = Moments(*(np.asarray(x)[:, :few] for x in model))
            table = interpolation.tabulate(narrow, inputs, row, *bounds)
            points = where[served[where]]
            for start in range(0, points.size, CHUNK):
                _fill(results, table, points[start : start + CHUNK], samples, noise, ridge)
    _evaluate_rest(problem, np.flatnonzero(results[4] == 0), results, run, alive)
    return [result.reshape(problem.shape) for result in results]


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
    wanted = math.log(high / low) / (2 * interpolation.HALF_WIDTH) + 2
    panels = next((size for size in PANELS if size >= wanted), None)
    return None if panels is None else (np.float64(low * math.exp(-interpolation.HALF_WIDTH)), panels)


def _label_models(plan, problem, upstream, wide, exact):
    """For every point of the label models' own grid: indices of its points, Moments (1, A), whether solved."""
    flat = np.arange(problem.points).reshape(problem.shape)
    axes = (1,) * (flat.ndim - len(upstream)) + upstream
    for index in np.ndindex(axes):
        numbers = [_at(np.asarray(number, float), index) for number in problem.numbers]
        model, flags = label_model(plan, numbers, wide["atoms"], wide["shifts"], exact)
        where = flat[tuple(i if size > 1 else slice(None) for i, size in zip(index, axes, strict=True))]
        yield where.reshape(-1), model, all(bool(np.all(flag)) for flag in flags)


def _at(number, index):
    """The value (1,) of a leaf at an index of a grid that it broadcasts to."""
    if number.ndim == 0:
        return number[None]
    tail = index[len(index) - number.ndim :]
    return number[tuple(i if size > 1 else 0 for i, size in zip(tail, number.shape, strict=True))][None]


def _fill(results, table, here, samples, noise, ridge):
    lanes = np.pad(here, (0, CHUNK - here.size), mode="edge")
    parts, clean, ok = interpolation.look_up(table, samples[lanes], noise[lanes], ridge[lanes])
    for result, value in zip(results, (*parts, *clean, ok), strict=True):
        result[here] = np.asarray(value)[: here.size]


def _evaluate_rest(problem, rest, results, run, alive):
    if not rest.size:
        return
    numbers = [
        np.broadcast_to(x, problem.shape).reshape(-1)[rest] if np.size(x) > 1 else np.reshape(x, ())
        for x in problem.numbers
    ]
    part = Problem(rest.shape, numbers, problem.atoms, problem.shifts, problem.inputs, problem.rows)
    for result, value in zip(results, evaluate_in_chunks(part, run, 5, alive, share=True), strict=True):
        result[rest] = value
