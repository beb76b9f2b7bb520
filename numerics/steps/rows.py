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
from modelcollapse.numerics.equivalents.rows import spread_noise
from modelcollapse.numerics.equivalents.shares import not_negative
from modelcollapse.numerics.equivalents.symmetric import diagonal, diagonal_of, plus_diagonal

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
    """A fit: deviation of its mean (M,); the covariance (n, n) of Gℓ in the medium, so that Cov f̂ = H inside Hᵀ; its
    inner noise q (n,); deviation and variance on unseen rows (n,)."""

    deviation: Float[Array, " M"]
    inside: Float[Array, "n n"]
    inner: Float[Array, " n"]
    unseen_deviation: Float[Array, " n"]
    unseen_variance: Float[Array, " n"]


def fit_rows(medium, selection, rows, targets, labels: Labels) -> Fitted:
    """The moments of a fit, given its Medium."""
    used, gamma = rows.used, medium.gamma
    deviation, covariance, noise, bound = labels
    label = targets[used] - deviation
    pulled, scale = gamma @ label, diagonal_of(gamma)
    seen = None if covariance is None else gamma @ covariance
    square = pulled * pulled if seen is None else pulled * pulled + (seen * gamma).sum(1)
    inner = spread_noise(medium, selection, noise, square)
    seen = gamma * inner if seen is None else seen + gamma * inner
    unseen = deviation + pulled / scale
    variance = spread_of(np.eye(len(used)) - gamma / scale[:, None], covariance, inner, bound)
    if medium.further is None:
        turned, inside = label, _labels_inside(covariance, inner)
    else:
        order, turn = medium.further.order, medium.further.turn
        turned, added = turn @ label, order.used(order.shifted(seen @ gamma + pulled[:, None] * pulled[None]))
        before = _labels_inside(covariance, inner)
        inside = (turn * inner if covariance is None else turn @ before) @ turn.T - added
        less, wider = _on_unseen(medium, selection, label, pulled, turned, noise - inner, seen, inside - before)
        unseen, variance = unseen - less, namespace(variance, wider).maximum(variance + wider, 0.0)
    kept = deviation + (label - turned) + medium.kappa * (gamma @ turned)
    outer = targets[rows.others] - medium.hat[rows.others] @ turned
    return Fitted(rows.joined(kept, outer), inside, inner, unseen, variance)


def _labels_inside(covariance, inner):
    """V + diag q."""
    return diagonal(inner) if covariance is None else plus_diagonal(covariance, inner)


def _on_unseen(medium, selection, label, pulled, turned, excess, seen, change):
    """What the next order changes in mean and variance on unseen rows, by (4).

    pulled : Γℓ; turned : (1 − DΓ)ℓ; excess : N − q; seen : ΓC for C = V + diag q; change : of C
    """
    gamma, kappa, turn, scale = medium.gamma, medium.kappa, medium.further.turn, diagonal_of(medium.gamma)
    varies = value_of(selection.chance) < 1
    missing, penalty = 1 - selection.chance + ~varies, kappa - (1 - selection.chance) / scale
    learned, turning = gamma @ turned, gamma @ change
    inside = diagonal_of(change) + turned**2 - label**2
    once = diagonal_of(turning) + learned * turned - pulled * label
    twice = (turning * gamma).sum(1) + learned**2 - pulled**2
    crossed = ((seen.T + gamma * excess[:, None]) * turn.T).sum(1) - diagonal_of(seen) - excess * scale
    crossed = crossed + label * (turn.T @ pulled - pulled)
    wider = inside - 2 * kappa * once + (kappa**2 - penalty**2) * twice + 2 * penalty * crossed
    less = (pulled - learned) / scale - (label - turned) / missing
    return less * varies, (wider / missing - 2 * (label - pulled / scale) * less - less**2) * varies


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
