"""Where NumPy meets JAX: double precision, padding to few shapes, chunks of bounded memory.

Public functions hand float64 NumPy arrays in and get float64 NumPy arrays back. The caller's JAX configuration is
untouched: `jax.enable_x64` is a context of this thread, entered around a complete computation.
"""

import math
import weakref

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.pipelines import Fit, shifted_eigenvalues
from modelcollapse.theory.plans import leaf_values

__all__ = ["Problem", "evaluate_in_chunks", "padded_atoms", "problem_of", "shifts_of"]

CHUNK_BYTES = 64 * 2**20  # of all arrays that are alive at once
CACHE_BYTES = 2**20  # of one array, from which on wide chunks no longer pay
_FEWEST_ATOMS = {1: 1024, 64: 64, 4096: 16}
COMPRESS_ABOVE = 2048


_seen = weakref.WeakKeyDictionary()  # spectrum -> its atoms, compressed, and their padded rows by size


class Problem:
    """The numbers of a pipeline on one grid: leaves and atoms as float64 arrays, with the grid's shape.

    `rows`: padded one-row pieces by number of atoms, kept from one problem on a spectrum to the next.
    """

    def __init__(self, shape, numbers, atoms, shifts, inputs, rows=None):
        self.shape, self.numbers, self.atoms, self.shifts, self.inputs = shape, numbers, atoms, shifts, inputs
        self.rows = {} if rows is None else rows

    @property
    def points(self):
        return math.prod(self.shape)

    def padded(self, atoms):
        """Atoms, shifts and test inputs of a problem on one spectrum, each (1, atoms), zero atoms appended."""
        if atoms not in self.rows:
            self.rows[atoms] = jax.tree.map(
                lambda x: np.pad(np.asarray(x, np.float64).reshape(1, -1), ((0, 0), (0, atoms - x.shape[-1]))),
                {"shifts": self.shifts, "inputs": self.inputs, "atoms": self.atoms},
            )
        return self.rows[atoms]

    @property
    def one_spectrum(self):
        """Whether eigenvalues, shifts and test inputs are the same at all points."""
        return all(x.size == x.shape[-1] for x in (self.inputs, *self.atoms, *self.shifts.values()))


def problem_of(reading, spectrum, values, inputs=None):
    """Evaluate the leaves of a pipeline and its spectrum: a Problem. Raises for free symbols and bad numbers."""
    numbers = leaf_values(reading.leaves, values)
    free = bool(spectrum.free)
    spectrum = spectrum.subs(values) if free else spectrum
    shifted = any(any(step.shifted) for step in reading.plan.steps)
    rows = None
    if not shifted and inputs is None:
        atoms, rows = _fewest_atoms(spectrum, remember=not free)
        tested, shifts = atoms.eigenvalues, {}
    else:
        eigenvalues, shifts = spectrum.eigenvalues, shifts_of(reading, spectrum.eigenvalues)
        tested = eigenvalues if inputs is None else shifted_eigenvalues("inputs", inputs, eigenvalues)
        widest = np.maximum.reduce(np.broadcast_arrays(eigenvalues, tested, *shifts.values()))
        atoms = Atoms(eigenvalues, spectrum.signal, spectrum.multiplicity, widest)
    arrays = [*atoms, tested, *shifts.values()]
    try:
        shape = np.broadcast_shapes(*(np.shape(x) for x in numbers), *(x.shape[:-1] for x in arrays))
    except ValueError:
        named = {f"{name} {np.shape(x)}" for (name, _, _), x in zip(reading.leaves, numbers, strict=True) if np.ndim(x)}
        named |= {f"spectrum {x.shape[:-1]}" for x in arrays[:1] if x.ndim > 1}
        raise ValueError(
            f"the grids do not broadcast together: {', '.join(sorted(named))}; add axes of length 1 as for NumPy arrays"
        ) from None
    return Problem(shape, numbers, atoms, shifts, tested, rows)


def _fewest_atoms(spectrum, remember=True):
    """The atoms of a spectrum, compressed where that pays, and a place for their padded rows."""
    if remember and spectrum in _seen:
        return _seen[spectrum]
    few = spectrum.compress() if spectrum.eigenvalues.shape[-1] > COMPRESS_ABOVE else spectrum
    found = Atoms(few.eigenvalues, few.signal, few.multiplicity, few.eigenvalues), {}
    if remember:
        _seen[spectrum] = found
    return found


def shifts_of(reading, eigenvalues):
    """Input eigenvalues of the shifted sources: {(step, source): array with atoms last}."""
    return {
        (i, g): shifted_eigenvalues("inputs", source.inputs, eigenvalues)
        for i, node in enumerate(reading.nodes)
        if isinstance(node, Fit)
        for g, source in enumerate(node.sources)
        if source.inputs is not None
    }


def evaluate_in_chunks(problem, run, outputs, alive=8, progress=None, share=False):
    """`run(numbers, atoms, shifts, inputs)` on padded pieces of a grid; float64 arrays of the grid's shape.

    `run` returns `outputs` arrays (P,); `alive` is the number of (P, A) arrays that it holds at once. With `share`
    a number that is the same at all points comes as a single lane, and outputs may have one lane.
    """
    points = problem.points
    atoms_count = problem.atoms.eigenvalues.shape[-1]
    results: list = [None] * outputs
    numbers = [
        np.asarray(x, np.float64).reshape(1) if share and np.size(x) == 1 else _flat(x, problem.shape)
        for x in problem.numbers
    ]
    arrays = {"shifts": problem.shifts, "inputs": problem.inputs, "atoms": problem.atoms}
    same = share and problem.one_spectrum
    with jax.enable_x64(True):
        done = 0
        while done < points:
            size = _chunk(points - done, atoms_count, alive)
            here = slice(done, min(done + size, points))
            padded = padded_atoms(atoms_count, size)

            def piece(x, here=here, size=size, padded=padded):
                return _piece(x, problem.shape, here, size, padded)

            parts = problem.padded(padded) if same else jax.tree.map(piece, arrays)
            out = run(
                [x if share and x.size == 1 else _lanes(x, here, size) for x in numbers],
                parts["atoms"],
                parts["shifts"],
                parts["inputs"],
            )
            for k, value in enumerate(out):
                value = np.asarray(value)[: here.stop - here.start]
                value = value[:, :atoms_count] if value.ndim > 1 else value
                if results[k] is None:
                    results[k] = np.empty((points, *value.shape[1:]))
                results[k][here] = value
            done = here.stop
            if progress is not None:
                progress(done, points)
    if not points:
        return [np.empty(problem.shape)] * outputs
    return [result.reshape(problem.shape + result.shape[1:]) for result in results]


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
