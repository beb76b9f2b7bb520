"""Where the error sits: bias and variance of a prediction by eigendirection of the inputs."""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics import steps
from modelcollapse.numerics.evaluation.lanes import evaluate_on
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.outcome import require_found
from modelcollapse.numerics.evaluation.walk import last_moments

__all__ = ["Directions", "directions"]


@dataclass(frozen=True, eq=False)
class Directions:
    """The parts of a test error by eigendirection, arrays (*grid, atoms); what an atom stands for is added up.

    Attributes
    ----------
    eigenvalues, multiplicity : of the inputs, and how many directions share each; (atoms,) or (*grid, atoms)
    signal : the truth's part of the label variance, s_j Σ w0²; what is lost if nothing is learned
    bias, variance : sum over the last axis to those of the prediction
    learned : a_j, the share of the truth in the mean predictor, E w_j = a_j w0_j
    """

    eigenvalues: np.ndarray
    multiplicity: np.ndarray
    signal: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    learned: np.ndarray

    @property
    def test_error(self):
        return self.bias + self.variance

    def to_dict(self):
        """Columns by name: NumPy arrays."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self):
        return f"Directions({'x'.join(map(str, self.bias.shape))}: bias and variance by eigendirection)"


def directions(question):
    """Directions of a prepared Question; RuntimeError where an effective ridge was not found."""
    grid = question.grid

    def run(numbers, atoms, shifts, tested):
        population = OnSpectrum(atoms, shifts, question.exact)
        moments, flags = last_moments(question.reading.schedule, numbers, population)
        zeros = np.zeros_like(moments.variance)
        bias = steps.energy_by_atom(atoms, tested, moments.deficit, zeros)
        variance = steps.energy_by_atom(atoms, tested, zeros, moments.variance)
        converged = np.all([np.asarray(flag).all() for flag in flags])
        return bias, variance, moments.ratio, np.full(bias.shape[0], float(converged))

    bias, variance, learned, converged = evaluate_on(grid, run, 4, 12, share=True, effort=question.effort)
    require_found(converged, grid.shape)
    atoms = grid.atoms
    known = (np.array(x) for x in (atoms.eigenvalues, atoms.multiplicity, grid.tested * atoms.signal))
    return Directions(*known, bias=bias, variance=variance, learned=learned)
