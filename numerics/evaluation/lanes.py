"""Lanes of a grid, and where NumPy meets JAX: reshaping, padding to few shapes, chunks of bounded memory.

A *lane* is one point of a flattened grid. Arrays that vary over the grid have a leading axis of lanes, what is the same
at all points has a single one; arrays over atoms have these on their last axis.

Public functions hand float64 NumPy arrays in and get float64 NumPy arrays back. The caller's JAX configuration is
untouched: see `double_precision`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.arrays import namespace
from modelcollapse.numerics.evaluation.double_precision import double_precision
from modelcollapse.theory.populations.threads import pinned

__all__ = ["evaluate_on", "flat", "most_lanes", "padded_atoms", "rows", "spread"]

CHUNK_BYTES = 64 * 2**20  # of all arrays that are alive at once
CACHE_BYTES = 2**20  # of one array, from which on wide chunks no longer pay
SMALL_EFFORT = 250  # milliseconds: compiling a kernel takes several times as long
_FEWEST_ATOMS = {1: 1024, 64: 64, 4096: 16}


def flat(number, shape):
    """A number or grid as lanes (points,)."""
    return np.broadcast_to(np.asarray(number, np.float64), shape).reshape(-1)


def rows(array, shape, xp=np):
    """An array with atoms last as (1, atoms) if it does not vary over the grid, else (points, atoms)."""
    if math.prod(array.shape[:-1]) == 1:
        return array.reshape(1, -1)
    return xp.broadcast_to(array, (*shape, array.shape[-1])).reshape(-1, array.shape[-1])


def most_lanes(*trees):
    """The largest leading axis of arrays."""
    return max(x.shape[0] for x in jax.tree.leaves(trees))


def spread(tree, lanes):
    """Arrays of one lane or `lanes`, repeated to `lanes`."""

    def repeat(x):
        return x if x.shape[0] == lanes else namespace(x).broadcast_to(x, (lanes, *x.shape[1:]))

    return jax.tree.map(repeat, tree)


def evaluate_on(grid, run, outputs, alive=8, share=False, effort=np.inf):
    """`run(numbers, atoms, shifts, tested)` on all points of a grid: `outputs` float64 arrays of the grid's shape.

    `run` returns arrays (P,) or (P, A). A small `effort` (estimated milliseconds, see `effort`) is made at once, on
    NumPy arrays; else padded pieces of the grid go to JAX, `alive` being the number of (P, A) arrays that `run` holds.
    With `share` a number that is the same at all points comes as a single lane, and outputs may have one lane.
    """
    if not grid.points:
        return [np.empty(grid.shape)] * outputs
    numbers = [
        np.asarray(x, np.float64).reshape(1) if share and np.size(x) == 1 else flat(x, grid.shape) for x in grid.numbers
    ]
    if effort <= SMALL_EFFORT:
        with pinned(grid.atoms.eigenvalues.shape[-1]):
            found = run(numbers, *jax.tree.map(lambda x: rows(x, grid.shape), grid.arrays))
        results = [np.array(np.broadcast_to(x, (grid.points, *np.shape(x)[1:])), np.float64) for x in found]
    else:
        results = _in_chunks(grid, numbers, run, alive, share)
    return [result.reshape(grid.shape + result.shape[1:]) for result in results]


def _in_chunks(grid, numbers, run, alive, share):
    points, count = grid.points, grid.atoms.eigenvalues.shape[-1]
    results: list = []
    same = share and grid.one_spectrum
    with double_precision():
        done = 0
        while done < points:
            size = _chunk(points - done, count, alive)
            here = slice(done, min(done + size, points))
            padded = padded_atoms(count, size)

            def piece(x, here=here, size=size, padded=padded):
                return _piece(x, grid.shape, here, size, padded)

            parts = jax.tree.map(jnp.asarray, grid.padded(padded)) if same else jax.tree.map(piece, grid.arrays)
            lanes = [x if share and x.size == 1 else _lanes(x, here, size) for x in numbers]
            for k, value in enumerate(run(lanes, *parts)):
                value = np.asarray(value)[: here.stop - here.start]
                value = value[:, :count] if value.ndim > 1 else value
                if len(results) == k:
                    results.append(np.empty((points, *value.shape[1:])))
                results[k][here] = value
            done = here.stop
    return results


def padded_atoms(atoms, points):
    """The number of atoms, padding included, of kernels on so many points."""
    base = 4 if points == 1 else 2
    return max(_FEWEST_ATOMS[points], base ** math.ceil(math.log(atoms, base)))


def _chunk(points, atoms, alive):
    for size, fewest in ((4096, 512), (64, 1)):
        bytes_ = size * padded_atoms(atoms, size) * 8
        if points > fewest and bytes_ * alive <= CHUNK_BYTES and bytes_ <= CACHE_BYTES:
            return size
    return 1


def _lanes(numbers, here, size):
    lanes = numbers[here]
    if len(lanes) < size:
        lanes = np.concatenate([lanes, np.full(size - len(lanes), lanes[-1])])
    return jnp.asarray(lanes, jnp.float64)


def _piece(array, shape, here, size, atoms):
    """A piece of an array with atoms last, zero atoms appended; one row if it does not vary over the grid."""
    piece = rows(array, shape)
    if len(piece) > 1:
        piece = piece[here]
        piece = np.concatenate([piece, np.repeat(piece[-1:], size - len(piece), 0)])
    return jnp.asarray(np.pad(piece, ((0, 0), (0, atoms - piece.shape[-1]))), jnp.float64)
