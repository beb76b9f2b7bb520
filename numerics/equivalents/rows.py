r"""A kernel ridge fit on a random subset of rows: its deterministic equivalent, row by row.

Rows i of the pools that a fit uses are drawn with chance τ_i = T_g/M_g, weighted by ω_i; with the ridge λ of the mean
squared error over all T rows, Λ_i = Tλ/ω_i, P the random selection and y the labels of all rows,

    f̂ = K G y,   G = P(PKP + Λ)^{-1}P,     E G ≃ Γ = (K + diag κ)^{-1},   κ_i = F_i(κ) = Λ_i + (1 − τ_i)/Γ_ii.   (1)

1/Γ_ii is a Schur complement, so F is increasing and concave, and the right root is the *largest*. With

    B_ij = (1 − τ_i) Γ_ij²/Γ_ii²,     1 − B = D^{-1} S,   S = D − Γ∘Γ,   D_i = Γ_ii²/(1 − τ_i),                   (2)

S symmetric, the radius of B is below one exactly if S is positive definite: a Cholesky factor is the certificate.
Newton steps κ ← κ + S^{-1} D (F(κ) − κ) from any point with that property land above every root (by concavity) and
then descend to the largest one. Rows that are drawn for certain, τ_i = 1, have κ_i = Λ_i and drop out of S. For
symmetric C and independent noise of variance N_i

    E G C G ≃ Γ (C + diag κ̇) Γ,        S κ̇ = [ΓCΓ]_ii,                                                           (3)
    E G diag(N) G ≃ Γ diag(κ') Γ,       (1 − B) κ' = N.                                                            (4)

**Least squares.** Where the rows used span only r < T directions, K = ΦΦᵀ, the equations are written for c = κ/(Tλ),

    Γ̂ = Tλ Γ = c^{-1} − c^{-1}Φ (Tλ + Φᵀc^{-1}Φ)^{-1} Φᵀc^{-1},   c_i = 1/ω_i + (1 − τ_i)/Γ̂_ii,                  (5)

in which λ = 0 is an ordinary point; (2)–(4) are the same in Γ̂ and c, and KΓ = Φ (…)^{-1} Φᵀc^{-1}.

Derived here (the single-site equivalent of a random subset); its limit τ → 1 is leave-one-out.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics import duals
from modelcollapse.numerics.arrays import Array
from modelcollapse.numerics.duals import Dual, value_of
from modelcollapse.numerics.equivalents.next_order import NextOrder
from modelcollapse.numerics.equivalents.symmetric import (
    definite,
    diagonal_of,
    factored,
    inverse,
    plus_diagonal,
    solve,
)
from modelcollapse.theory.populations.factors import factor_of

__all__ = ["Medium", "Selection", "UsedRows", "medium", "spread_noise"]

STEPS = 80
PRECISION = 1e-11  # relative, of the last Newton step
ROUNDING = 1e-5  # where steps stop to shrink: rounding of K moves the smallest κ of smooth kernels by that much


class Selection(NamedTuple):
    """What is drawn: chances τ and weights ω of the n rows used, the unnormalised ridge Tλ, the number T of rows, and
    the places of each pool among the n."""

    chance: Float[Array, " n"]
    weight: Float[Array, " n"]
    penalty: Any
    samples: Any
    pools: list


class Medium(NamedTuple):
    """The equivalent of a fit: Γ and κ, up to the scale of (5), the hat matrix KΓ on all rows, and `converged`.

    further : what is left of it to the next order, None where all rows are drawn or no root was found
    """

    gamma: Float[Array, "n n"]
    kappa: Float[Array, " n"]
    hat: Float[Array, "M n"]
    converged: Any
    further: Any = None

    @property
    def mean_hat(self):
        """K E G on all rows."""
        return self.hat if self.further is None else self.further.hat


class Further:
    """The `NextOrder` of a medium with the hat matrix H = KΓ; turn: 1 − DΓ (n, n); hat: H(1 − DΓ) on all rows."""

    def __init__(self, order, hat):
        self.order, self._hat = order, hat
        self.turn = plus_diagonal(-(order.used(order.shift()) @ order.gamma), np.ones(len(order.gamma)))

    @functools.cached_property
    def hat(self):
        return self._hat @ self.turn


class UsedRows:
    """The n rows of some pools in a kernel matrix (M, M), and the directions that they span."""

    def __init__(self, gram, rank, used):
        self.used, self.block, self.gram = used, gram[np.ix_(used, used)], gram
        self.whole = rank == len(gram)  # then any rows are independent
        self.others = np.setdiff1d(np.arange(len(gram)), used)
        self.across = gram[np.ix_(self.others, used)]

    @functools.cached_property
    def factor(self):
        """Φ (n, r) of the rows used."""
        return factor_of("kernel", self.block)

    @functools.cached_property
    def factor_of_others(self):
        """Coordinates (M − n, r) of all other rows along the same directions."""
        return np.linalg.lstsq(self.factor, self.across.T, rcond=None)[0].T

    @property
    def rank(self):
        return len(self.used) if self.whole else self.factor.shape[1]

    def joined(self, inner, outer):
        """A matrix (M, n) by its lines on the rows used and on the others."""
        lines = duals.concatenate([inner, outer]) if isinstance(inner, Dual) else np.concatenate([inner, outer])
        return lines[np.argsort(np.concatenate([self.used, self.others]))]


def medium(rows: UsedRows, selection: Selection, start=None) -> Medium:
    """The Medium of a fit; `start`: a point for Newton, of another ridge on the same rows."""
    values = value_of(selection)
    form = _LeastSquares(rows) if rows.rank < values.samples else _Interpolating(rows)
    kappa, converged = _root(form, values, start)
    if any(isinstance(x, Dual) for x in selection):
        kappa = _in_first_order(form, selection, values, kappa)
    gamma = form.resolvent(selection, kappa)
    inner = np.eye(len(rows.used)) - gamma * kappa[:, None]
    found = Medium(gamma, kappa, rows.joined(inner, form.outer(selection, gamma, kappa)), converged)
    return found._replace(further=_further(found, selection)) if converged and np.any(values.chance < 1) else found


def _further(found, selection):
    """The Further of a medium."""
    return Further(NextOrder(found.gamma, selection.chance, selection.pools), found.hat)


class _Interpolating:
    """Equations (1)."""

    def __init__(self, rows):
        self.rows = rows

    def floor(self, selection):
        return selection.penalty / selection.weight

    def start(self, selection):
        return (self.floor(selection) + (1 - selection.chance) * np.diag(self.rows.block)) / selection.chance

    def resolvent(self, selection, kappa):
        return inverse(plus_diagonal(self.rows.block, kappa))

    def outer(self, selection, gamma, kappa):
        """KΓ on the rows that are not used."""
        return self.rows.across @ gamma


class _LeastSquares:
    """Equations (5)."""

    def __init__(self, rows):
        self.rows = rows

    def floor(self, selection):
        return 1 / selection.weight

    def start(self, selection):
        samples = selection.samples
        return self.floor(selection) / selection.chance * (samples / (samples - self.rows.rank))

    def _learned(self, selection, kappa):
        scaled = self.rows.factor * (1 / kappa)[:, None]
        inside = self.rows.factor.T @ scaled
        return scaled, inverse(plus_diagonal(inside, selection.penalty + np.zeros(len(inside)))) @ scaled.T

    def resolvent(self, selection, kappa):
        scaled, learned = self._learned(selection, kappa)
        return plus_diagonal(-(scaled @ learned), 1 / kappa)

    def outer(self, selection, gamma, kappa):
        return self.rows.factor_of_others @ self._learned(selection, kappa)[1]


def spread_noise(medium, selection, noise, square):
    """κ̇ of (3) for [ΓCΓ]_ii = `square` plus κ' of (4) for N = `noise`, (n,)."""
    varies = value_of(selection.chance) < 1
    inner, scale = _stability(medium.gamma, selection, varies)
    right = square[varies] + scale * noise[varies] + (_part(medium.gamma, varies, ~varies) ** 2) @ noise[~varies]
    return _placed(varies, solve(inner, right[:, None])[:, 0], noise[~varies])


def _placed(varies, first, second) -> Any:
    """A vector by its entries where `varies` and where not."""
    places = np.argsort(np.concatenate([np.flatnonzero(varies), np.flatnonzero(~varies)]))
    return duals.concatenate([first, second])[places]


def _part(gamma, first, second):
    """The lines and columns of a matrix where so marked."""
    return gamma if first.all() and second.all() else gamma[np.ix_(first, second)]


def _stability(gamma, selection, varies):
    """S and D of (2), on the rows that are not drawn for certain."""
    inner = _part(gamma, varies, varies)
    scale = diagonal_of(inner) ** 2 / (1 - selection.chance)[varies]
    return plus_diagonal(-(inner * inner), scale), scale


def _away(form, selection, kappa, gamma):
    """F(κ) − κ."""
    return form.floor(selection) + (1 - selection.chance) / diagonal_of(gamma) - kappa


def _step(away, gamma, scale, solve_by, varies):
    """S^{-1} D (F(κ) − κ); what is drawn for certain follows Λ alone."""
    known = (_part(gamma, varies, ~varies) ** 2) @ away[~varies]
    return _placed(varies, solve_by((scale * away[varies] + known)[:, None])[:, 0], away[~varies])


def _in_first_order(form, selection, values, kappa):
    """The root with its tangents: a Newton step of dual numbers at the root, exact in first order as F(κ) = κ."""
    gamma = form.resolvent(values, kappa)
    varies = values.chance < 1
    inner, scale = _stability(gamma, values, varies)
    away = _away(form, selection, kappa, form.resolvent(selection, kappa))
    return kappa + _step(away, gamma, scale, lambda right: solve(inner, right), varies)


def _root(form, selection, start):
    """The largest root κ, and whether it was found."""
    varies, floor = selection.chance < 1, form.floor(selection)
    if not np.any(varies):
        return floor, np.array(True)
    kappa = np.where(varies, form.start(selection) if start is None else start, floor)
    length, landed = np.inf, False
    for _ in range(STEPS):
        gamma = form.resolvent(selection, kappa)
        stable = certificate(gamma, selection, varies)
        if stable is None:  # the radius of B is below one further up
            if landed:
                break
            kappa = np.where(varies, 4 * kappa, floor)
            continue
        landed, (factor, scale) = True, stable
        if length < PRECISION:
            return kappa, np.array(True)
        step = _step(_away(form, selection, kappa, gamma), gamma, scale, lambda right: factored(factor, right), varies)
        step = np.where(varies, step, 0)
        kappa = np.maximum(kappa + step, floor)
        last, length = length, np.max(np.abs(step) / kappa)
        if length < ROUNDING and length >= last:
            return kappa, np.array(True)
    return kappa, np.array(False)


def certificate(gamma, selection, varies):
    """The Cholesky factor of S and D, None unless S is positive definite."""
    if not np.isfinite(gamma[0, 0]):
        return None
    inner, scale = _stability(gamma, selection, varies)
    factor = definite(inner)
    return None if factor is None else (factor, scale)
