"""Where NumPy meets JAX: double precision, padding to few shapes, chunks of bounded memory.

Public functions hand float64 NumPy arrays in and get float64 NumPy arrays back. The caller's JAX configuration is
untouched: `jax.enable_x64` is a context of this thread, entered around a complete computation.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.pipelines import Fit, shifted_eigenvalues
from modelcollapse.theory.plans import leaf_values

__all__ = ["Problem", "evaluate_in_chunks", "problem_of", "shifts_of"]

CHUNK_BYTES = 64 * 2**20  # of all arrays that are alive at once
_FEWEST_ATOMS = {1: 1024, 64: 64, 4096: 16}
COMPRESS_ABOVE = 2048


class Problem:
    """The numbers of a pipeline on one grid: leaves and atoms as float64 arrays, with the grid's shape."""

    def __init__(self, shape, numbers, atoms, shifts, inputs):
        self.shape, self.numbers, self.atoms, self.shifts, self.inputs = shape, numbers, atoms, shifts, inputs

    @property
    def points(self):
        return math.prod(self.shape)


def problem_of(reading, spectrum, values, inputs=None):
    """Evaluate the leaves of a pipeline and its spectrum: a Problem. Raises for free symbols and bad numbers."""
    numbers = leaf_values(reading.leaves, values)
    spectrum = spectrum.subs(values) if spectrum.free else spectrum
    shifted = any(any(step.shifted) for step in reading.plan.steps)
    if not shifted and inputs is None and spectrum.eigenvalues.shape[-1] > COMPRESS_ABOVE:
        spectrum = spectrum.compress()
    eigenvalues, signal, multiplicity = spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity
    shifts = shifts_of(reading, eigenvalues)
    tested = eigenvalues if inputs is None else shifted_eigenvalues("inputs", inputs, eigenvalues)
    widest = np.maximum.reduce(np.broadcast_arrays(eigenvalues, tested, *shifts.values()))
    arrays = [eigenvalues, signal, multiplicity, widest, tested, *shifts.values()]
    try:
        shape = np.broadcast_shapes(*(np.shape(x) for x in numbers), *(x.shape[:-1] for x in arrays))
    except ValueError:
        named = {f"{name} {np.shape(x)}" for (name, _, _), x in zip(reading.leaves, numbers, strict=True) if np.ndim(x)}
        named |= {f"spectrum {x.shape[:-1]}" for x in arrays[:1] if x.ndim > 1}
        raise ValueError(
            f"the grids do not broadcast together: {', '.join(sorted(named))}; add axes of length 1 as for NumPy arrays"
        ) from None
    return Problem(shape, numbers, Atoms(eigenvalues, signal, multiplicity, widest), shifts, tested)


def shifts_of(reading, eigenvalues):
    """Input eigenvalues of the shifted sources: {(step, source): array with atoms last}."""
    return {
        (i, g): shifted_eigenvalues("inputs", source.inputs, eigenvalues)
        for i, node in enumerate(reading.nodes) if isinstance(node, Fit)
        for g, source in enumerate(node.sources) if source.inputs is not None
    }


def evaluate_in_chunks(problem, run, outputs, alive=8, progress=None):
    """`run(numbers, atoms, shifts, inputs)` on padded pieces of a grid; float64 arrays of the grid's shape.

    `run` returns `outputs` arrays (P,); `alive` is the number of (P, A) arrays that it holds at once.
    """
    points = problem.points
    atoms_count = problem.atoms.eigenvalues.shape[-1]
    results = [np.empty(points) for _ in range(outputs)]
    numbers = [_flat(x, problem.shape) for x in problem.numbers]
    arrays = {"shifts": problem.shifts, "inputs": problem.inputs, "atoms": problem.atoms}
    with jax.enable_x64(True):
        done = 0
        while done < points:
            size = _chunk(points - done, atoms_count, alive)
            here = slice(done, min(done + size, points))
            padded = max(_FEWEST_ATOMS[size], 4 ** math.ceil(math.log(atoms_count, 4)))

            def piece(x, here=here, size=size, padded=padded):
                return _piece(x, problem.shape, here, size, padded)

            parts = jax.tree.map(piece, arrays)
            out = run(
                [_lanes(x, here, size) for x in numbers],
                parts["atoms"],
                parts["shifts"],
                parts["inputs"],
            )
            for result, value in zip(results, out, strict=True):
                result[here] = np.asarray(value)[: here.stop - here.start]
            done = here.stop
            if progress is not None:
                progress(done, points)
    return [result.reshape(problem.shape) for result in results]


def _chunk(points, atoms, alive):
    for size in (4096, 64):
        fits = size * max(atoms, _FEWEST_ATOMS[size]) * 8 * alive <= CHUNK_BYTES
        if fits and points > (1 if size == 64 else 512):
            return size
    return 1


def _flat(number, shape):
    return np.broadcast_to(np.asarray(number, np.float64), shape).reshape(-1)


def _lanes(flat, here, size):
    lanes = flat[here]
    if len(lanes) < size:
        lanes = np.concatenate([lanes, np.full(size - len(lanes), lanes[-1])])
    return jnp.asarray(lanes, jnp.float64)


def _piece(array, shape, here, size, atoms):
    """A piece of an array with atoms last, zero atoms appended; one row if it does not vary over the grid."""
    if array.ndim > 1 and math.prod(array.shape[:-1]) > 1:
        rows = np.broadcast_to(array, (*shape, array.shape[-1])).reshape(-1, array.shape[-1])[here]
        rows = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), 0)])
    else:
        rows = array.reshape(1, -1)
    return jnp.asarray(np.pad(rows, ((0, 0), (0, atoms - rows.shape[-1]))), jnp.float64)
