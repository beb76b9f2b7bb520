r"""What one kernel ridge fit on a random subset of rows does to the moments of functions on all rows.

A model is a function on the M rows; its moments are the deviation of its mean from the targets, e = f* − E w (M,), and
its covariance (M, M). Labels ℓ of the rows used have deviation e, covariance V, independent noise of variance N. With
Γ, κ, κ̇, κ' of `equivalents.rows`, H = KΓ and q = κ̇ + κ', where C = mean·meanᵀ + V,

    f* − E f̂ = f* − Hℓ   (= e + κ Γℓ on the rows used),      Cov f̂ = H (V + diag q) Hᵀ.                           (1)

**A row that the fit has not seen** sees the fit without it: with U = 1 − diag(1/Γ_jj) Γ, zero on its diagonal,

    E f̂_j | j unseen = (Uℓ)_j,      Var f̂_j | j unseen = [U (V + diag q) Uᵀ]_jj,                                   (2)

never negative. For labels that are the targets, (2) is the squared leave-one-out residual in the medium Γ.

**Several labellers of one pool.** Rows are given to sources g at random with shares p_g: their labels are Σ p_g w_g,
plus independent noise of variance Σ p_g σ_g² + Σ_{g<h} p_g p_h E(w_g − w_h)².                                       (3)

Derived here.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, namespace
from modelcollapse.numerics.duals import value_of
from modelcollapse.numerics.equivalents.rows import diagonal_of, spread_noise
from modelcollapse.numerics.equivalents.shares import not_negative

__all__ = ["Fitted", "Labels", "added_up", "bounded", "fit_rows", "spread_of"]


class Labels(NamedTuple):
    """Labels of the n rows used: mean targets − e, covariance V or None for none, variance N of independent noise.

    bound: variances that V was added up from without a subtraction, None for its own.
    """

    deviation: Float[Array, " n"]
    covariance: Any
    noise: Float[Array, " n"]
    bound: Any = None


class Fitted(NamedTuple):
    """A fit: deviation of its mean (M,), its inner noise q (n,), deviation and variance on unseen rows (n,)."""

    deviation: Float[Array, " M"]
    inner: Float[Array, " n"]
    unseen_deviation: Float[Array, " n"]
    unseen_variance: Float[Array, " n"]


def fit_rows(medium, selection, rows, targets, labels: Labels) -> Fitted:
    """The moments of a fit, given its Medium."""
    used, gamma = rows.used, medium.gamma
    deviation, covariance, noise, bound = labels
    label = targets[used] - deviation
    pulled, scale = gamma @ label, diagonal_of(gamma)
    square = pulled * pulled
    if covariance is not None:
        square = square + diagonal_of(gamma @ covariance @ gamma)
    inner = spread_noise(medium, selection, noise, square)
    kept = deviation + medium.kappa * pulled
    outer = targets[rows.others] - medium.hat[rows.others] @ label
    left_out = np.eye(len(used)) - gamma / scale[:, None]
    return Fitted(
        rows.joined(kept, outer), inner, deviation + pulled / scale, spread_of(left_out, covariance, inner, bound)
    )


def spread_of(maps, covariance, inner, bound=None):
    """The diagonal of A (V + diag q) Aᵀ for maps A (m, n); `bound` as of Labels."""
    spread = (maps * maps) @ inner
    if covariance is None:
        return spread
    spread = spread + namespace(maps, covariance).einsum("ij,ij->i", maps @ covariance, maps)
    return bounded(spread, lambda: added_up(maps, diagonal_of(covariance) if bound is None else bound))


def added_up(maps, bound):
    """A bound of the variances of A l from those of l, (n,): plain numbers."""
    maps = value_of(maps)
    return maps.shape[-1] * (maps * maps) @ value_of(bound)


def bounded(variance, bound):
    """Variances that rounding may have left below zero; bound() is what they were added up from."""
    return not_negative(variance, bound()) if np.any(value_of(variance) < 0) else variance
