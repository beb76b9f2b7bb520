"""A dense Gaussian population: inputs N(0, Σ) with any Σ, so that covariances of sources need not commute."""

from typing import ClassVar

import numpy as np

from modelcollapse.theory.populations.data import square_matrix, vector
from modelcollapse.theory.populations.factors import factor_of
from modelcollapse.theory.populations.population import DensePopulation

__all__ = ["Gaussian", "gaussian"]


class Gaussian(DensePopulation):
    """What `gaussian` returns: `covariance` (d, d), `weights` (d,)."""

    covariance: np.ndarray
    weights: np.ndarray
    noun: ClassVar = "dense Gaussian inputs"
    supported: ClassVar = frozenset({"accumulate", "link", "keep"})

    def __init__(self, covariance, weights):
        self._fill({"covariance": covariance, "weights": weights})

    @property
    def label_variance(self):
        """The variance of the labels without noise."""
        return float(self.weights @ self.covariance @ self.weights)

    def checked_inputs(self, name, inputs):
        """None for the population's own covariance, or another one, (d, d)."""
        return None if inputs is None else _covariance(name, inputs, len(self.weights))

    def __repr__(self):
        variance = self.weights @ self.covariance @ self.weights
        return f"gaussian({len(self.weights)} directions, label variance {variance:.6g})"


def gaussian(covariance, weights) -> Gaussian:
    """Inputs x ~ N(0, Σ) and the truth x·w0, in any basis.

    Parameters
    ----------
    covariance : array (d, d), symmetric and positive semidefinite
    weights : array (d,)
        w0. Covariances of sources, `label(..., inputs=)`, and of a test, `predict(..., inputs=)`, are (d, d) too.

    Raises ValueError for shapes that do not fit and a covariance that is not positive semidefinite.

    In its eigenbasis it is a spectrum:

    >>> import modelcollapse as mc
    >>> X = np.random.default_rng(0).standard_normal((50, 8)); covariance, w0 = X.T @ X / 50, np.ones(8)
    >>> populations = mc.gaussian(covariance, w0), mc.from_covariance(covariance, w0)
    >>> errors = [mc.predict(mc.fit(mc.truth(p).label(20, 0.1), ridge=0.1)).test_error for p in populations]
    >>> bool(np.isclose(*errors, rtol=1e-12)), round(float(errors[0]), 4)
    (True, 0.2166)
    """
    weights = vector("weights", weights)
    return Gaussian(_covariance("covariance", covariance, len(weights)), weights)


def _covariance(name, value, dim):
    matrix = square_matrix(name, value)
    if len(matrix) != dim:
        raise ValueError(f"{name} is {len(matrix)} x {len(matrix)} and weights has {dim} entries; give equally many")
    factor_of(name, matrix)
    return matrix
