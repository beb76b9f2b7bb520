"""Inputs that are not distributed as the spectrum says: eigenvalues of another covariance in the same eigenbasis."""

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf

__all__ = ["infinitely_many", "input_eigenvalues", "shifted_eigenvalues"]


def infinitely_many(spectrum):
    """Whether a spectrum has infinitely many directions: only power laws can."""
    dim = spectrum.dim if getattr(spectrum, "kind", ("",))[0] == "power_law" else 0
    return not is_expression(dim) and bool(np.any(np.isinf(dim)))


def input_eigenvalues(name, inputs, spectrum):
    """Check a covariate shift: None, a function of the eigenvalues, or an array with atoms last."""
    if inputs is None:
        return None
    if infinitely_many(spectrum):
        raise ValueError(f"{name} on a spectrum with dim = inf is not supported; give the spectrum a finite dim")
    if callable(inputs):
        if not spectrum.free:
            shifted_eigenvalues(name, inputs, spectrum.eigenvalues)
        return inputs
    array = leaf(name, inputs, domains.EIGENVALUE)
    if spectrum.free:
        raise ValueError(f"{name} is an array on a spectrum with free symbols; give a function of the eigenvalues")
    if not isinstance(array, np.ndarray) or array.shape[-1] != spectrum.eigenvalues.shape[-1]:
        found = np.shape(inputs)[-1] if np.ndim(inputs) else "a single number"
        raise ValueError(
            f"{name} has {found} on its last axis and the spectrum {spectrum.eigenvalues.shape[-1]} atoms; "
            "give one eigenvalue per atom, or a function of the eigenvalues"
        )
    return array


def shifted_eigenvalues(name, inputs, eigenvalues):
    """The eigenvalues of a shifted covariance on an array of eigenvalues."""
    if not callable(inputs):
        return inputs
    shifted = np.asarray(inputs(np.array(eigenvalues)), dtype=float)
    if shifted.shape != eigenvalues.shape:
        raise ValueError(
            f"{name} returned shape {shifted.shape} for eigenvalues of shape {eigenvalues.shape}; "
            "give a function that acts elementwise"
        )
    domains.EIGENVALUE.check(f"{name}(eigenvalues)", shifted)
    return shifted
