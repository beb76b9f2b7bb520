"""Where the error sits: bias and variance of a prediction by eigendirection of the inputs."""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics import steps
from modelcollapse.numerics.boundary import evaluate_in_chunks
from modelcollapse.numerics.evaluation import last_moments

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


def directions(reading, problem, exact):
    """Directions of a problem; RuntimeError where an effective ridge was not found."""

    def run(numbers, atoms, shifts, tested):
        moments, fine = last_moments(reading.plan, numbers, atoms, shifts, exact)
        still = 0 * moments.variance
        bias = steps.energy_by_atom(atoms, tested, moments.deficit, still)
        variance = steps.energy_by_atom(atoms, tested, still, moments.variance)
        converged = np.all([np.asarray(flags).all() for flags in fine])
        return bias, variance, moments.ratio, np.full(bias.shape[0], float(converged))

    bias, variance, learned, converged = evaluate_in_chunks(problem, run, 4, 12, share=True)
    if not np.all(converged):
        raise RuntimeError("an effective ridge was not found; a ridge further from zero may help")
    atoms = problem.atoms
    known = (np.array(x) for x in (atoms.eigenvalues, atoms.multiplicity, problem.inputs * atoms.signal))
    return Directions(*known, bias=bias, variance=variance, learned=learned)
