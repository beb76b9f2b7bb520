r"""Leave-one-out of ridge fits that are refitted on their own predictions, from one eigendecomposition.

With the smoother H of a ridge fit and R = 1 − H, a refit of weight ξ predicts ŷ = (H − ξHR) y on its rows. To leave row
i out is to leave it out of both fits. Row i out of a ridge fit is row i with the label that the fit without it
predicts; applied twice, with e = Ry, f = R²y, ρ_i = R_ii, τ_i = (R²)_ii, the residual of row i is

    ℓ_i = e_i/ρ_i − ξ (f_i − τ_i e_i/ρ_i)/ρ_i .                                                             (1)

It is linear in ξ, so the mean square is a parabola in ξ, whose vertex is the best weight. An intercept is a direction
of H without penalty. Derived here; with ξ = 0 it is the usual shortcut, PRESS.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["RefitPath", "refit_path"]


class RefitPath(NamedTuple):
    """At ridges (L,): the weights ξ, the leave-one-out residuals (outputs, T, L), tr H without the intercept."""

    weights: np.ndarray
    residuals: np.ndarray
    degrees_of_freedom: np.ndarray

    @property
    def error(self):
        """The mean square of the residuals, (L,)."""
        return np.mean(self.residuals**2, (0, 1))

    def gain(self, at, other, rival):
        """How much smaller the mean square is at one place than at one of another RefitPath, in standard errors of the
        mean over rows; 0 where nothing differs."""
        gaps = np.mean(other.residuals[..., rival] ** 2 - self.residuals[..., at] ** 2, 0)
        spread = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
        return float(np.mean(gaps) / spread) if spread > 0 else 0.0


def refit_path(path, vectors, targets, ridges, weight=None):
    """RefitPath of a RidgePath.

    vectors: (T, r), its directions; targets: (T, outputs), centred where the fit has an intercept; ridges: (L,);
    weight: ξ of all fits, None for the best one at each ridge, which all outputs share.

    >>> from modelcollapse.numerics.provenance.ridge_path import RidgePath
    >>> x, y = np.array([[1.0], [0.0], [0.0]]), np.array([[2.0], [1.0], [0.0]])
    >>> found = refit_path(RidgePath(np.ones(1), x.T @ y, 1.0, 3, 2), x, y, np.array([1 / 3]))
    >>> found.error.round(6).tolist(), bool(found.weights[0] == 0)    # without the first row there is nothing to learn
    ([1.666667], True)
    """
    alpha = path.rows * np.asarray(ridges, float)
    kept = 1 / (path.values[:, None] + alpha)
    if path.null:
        kept, size = np.where(alpha > 0, alpha * kept, 0.0), np.ones_like(alpha)
        outside = np.maximum(
            1 - np.sum(vectors**2, 1) - (len(vectors) - len(path.values) - path.null) / len(vectors), 0
        )
        rest = targets - vectors @ path.coordinates
    else:  # in units of alpha, so that interpolation is a point like others
        size, outside, rest = alpha, np.zeros(len(vectors)), np.zeros_like(targets)
    rho, tau = (outside[:, None] + vectors**2 @ kept**power for power in (1, 2))
    plain, moved = [], []
    for coordinates, residue in zip(path.coordinates.T, rest.T, strict=True):
        e, f = (residue[:, None] + vectors @ (coordinates[:, None] * kept**power) for power in (1, 2))
        alone = np.divide(e, rho, out=np.zeros_like(e), where=rho > 0)
        plain.append(alone)
        moved.append(size * np.divide(f - tau * alone, rho, out=np.zeros_like(e), where=rho > 0))  # (1)
    plain, moved = np.array(plain), np.array(moved)
    curve = np.sum(moved**2, (0, 1))
    if weight is None:
        weights = np.divide(np.sum(plain * moved, (0, 1)), curve, out=np.zeros_like(curve), where=curve > 0)
    else:
        weights = np.full(len(alpha), float(weight))
    fitted = path.values[:, None] / (path.values[:, None] + alpha)
    return RefitPath(weights, plain - weights * moved, np.sum(fitted * (1 - weights * (1 - fitted)), 0))
