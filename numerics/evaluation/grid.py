"""The numbers of a pipeline on one grid, checked: what every reader of it with JAX starts from."""

import math
import weakref

import jax
import numpy as np

from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.pipelines.reading import leaf_values
from modelcollapse.theory.pipelines.steps import SgdStep
from modelcollapse.theory.populations.spectrum_inputs import shifted_eigenvalues

__all__ = ["Grid", "few_atoms", "grid_of", "require_range", "shifts_of"]

COMPRESS_ABOVE = 2048  # atoms
LARGEST = 1e290

_compressed = weakref.WeakKeyDictionary()  # spectrum -> its atoms, compressed, and their padded rows by size


class Grid:
    """The leaves and atoms of a pipeline as float64 arrays, with the grid's shape.

    `rows`: padded one-row pieces by number of atoms, kept from one grid on a spectrum to the next.
    """

    def __init__(self, shape, numbers, atoms, shifts, tested, rows=None):
        self.shape, self.numbers, self.atoms, self.shifts, self.tested = shape, numbers, atoms, shifts, tested
        self.rows = {} if rows is None else rows

    @property
    def points(self):
        return math.prod(self.shape)

    @property
    def arrays(self):
        """Atoms, shifts and test inputs, atoms last."""
        return self.atoms, self.shifts, self.tested

    def padded(self, atoms):
        """The arrays of a grid on one spectrum, each (1, atoms), zero atoms appended."""
        if atoms not in self.rows:
            self.rows[atoms] = jax.tree.map(
                lambda x: np.pad(np.asarray(x, np.float64).reshape(1, -1), ((0, 0), (0, atoms - x.shape[-1]))),
                self.arrays,
            )
        return self.rows[atoms]

    @property
    def one_spectrum(self):
        """Whether eigenvalues, shifts and test inputs are the same at all points."""
        return all(x.size == x.shape[-1] for x in jax.tree.leaves(self.arrays))

    def at(self, numbers, shape):
        """The same spectrum with other numbers on another grid."""
        return Grid(shape, numbers, *self.arrays, self.rows)


def grid_of(reading, spectrum, values, inputs=None):
    """Evaluate the leaves of a pipeline and its spectrum: a Grid. Raises for free symbols and bad numbers."""
    numbers = leaf_values(reading.leaves, values)
    free = bool(spectrum.free)
    spectrum = spectrum.subs(values) if free else spectrum
    rows = None
    if not reading.shifted and inputs is None and not any(isinstance(step, SgdStep) for step in reading.steps):
        atoms, rows = few_atoms(spectrum, remember=not free)
        tested, shifts = atoms.eigenvalues, {}
    else:
        eigenvalues, shifts = spectrum.eigenvalues, shifts_of(reading, spectrum.eigenvalues)
        tested = eigenvalues if inputs is None else shifted_eigenvalues("inputs", inputs, eigenvalues)
        widest = np.maximum.reduce(np.broadcast_arrays(eigenvalues, tested, *shifts.values()))
        atoms = Atoms(eigenvalues, spectrum.signal, spectrum.multiplicity, widest)
    require_range(atoms)
    arrays = [*atoms, tested, *shifts.values()]
    return Grid(reading.grid_shape(numbers, *arrays), numbers, atoms, shifts, tested, rows)


def require_range(atoms):
    """Refuse spectra whose largest eigenvalue or label variance is near the ends of double precision.

    Products of two such numbers, and reciprocals, would leave it silently.
    """
    label_variance = np.sum(atoms.eigenvalues * atoms.signal, -1)
    for name, value in (("largest eigenvalue", np.max(atoms.scale, -1)), ("label variance", label_variance)):
        outside = (value > 0) & ~((value > 1 / LARGEST) & (value < LARGEST))
        if np.any(outside):
            bad = float(np.atleast_1d(value)[np.atleast_1d(outside)][0])
            raise ValueError(
                f"the {name} of the spectrum is {bad:.3g}, near the ends of double precision; "
                "multiply eigenvalues and ridges, or signal and squared noise, by one number: the test error is "
                "multiplied by it too"
            )


def few_atoms(spectrum, remember=True):
    """(atoms, rows): the atoms of a spectrum, compressed where that pays, and a place for their padded rows."""
    if remember and spectrum in _compressed:
        return _compressed[spectrum]
    few = spectrum.compress() if spectrum.eigenvalues.shape[-1] > COMPRESS_ABOVE else spectrum
    found = Atoms(few.eigenvalues, few.signal, few.multiplicity, few.eigenvalues), {}
    if remember:
        _compressed[spectrum] = found
    return found


def shifts_of(reading, eigenvalues):
    """Input eigenvalues of the shifted sources: {(step, source): array with atoms last}."""
    return {place: shifted_eigenvalues("inputs", inputs, eigenvalues) for place, inputs in reading.inputs.items()}
