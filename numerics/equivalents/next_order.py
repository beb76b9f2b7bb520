r"""What the equivalent of a random subset of rows leaves out, to first order in 1/T.

Let W(K) = E log det(PKP + Λ) on the rows that are drawn. Its derivatives are what a fit needs: ∂W/∂K = E G and
−∂_ε E G(K + εC) = E G C G. The equivalent of `rows` takes W for the stationary value of a sum over single rows. To the
next order there are the rings of pairs of rows that scatter into each other,

    W_1 = tr f(A),   f(x) = ½[log(1 − x) − x/(1 − x) + x²],   A_ij = a_i a_j Γ_ij² for i ≠ j, A_ii = 0,            (1)

with a_i² = (1 − τ_i)/(τ_i Γ_ii²), and, because a pool gives exactly T_g of its M_g rows, not each by a lot of its own,

    W_2 = −½ Σ_g T_g (1 − τ_g) ∂²W/∂T_g² = ½ Σ_g τ_g (1 − τ_g)/M_g u_gᵀ Q (1 − βQ)^{-1} u_g,                      (2)

Q = Γ∘Γ, β_i = (1 − τ_i)/Γ_ii², u_g = 1/Γ_ii on the rows of pool g, 0 elsewhere. Both depend on K by Γ alone, so that K
is changed by Y = ∂(W_1 + W_2)/∂Γ, and κ with it, as by any change of K. With Γ̇ = −P, P = Γ(C + diag(κ̇ + κ'))Γ,

    E G ≃ Γ − ΓDΓ,     D = Y + diag y,     S y = diag(ΓYΓ),                                                         (3)
    E G C G ≃ (1 − ΓD) P (1 − DΓ) − Γ D'[P] Γ.                                                                      (4)

(1) is the sum over rings in a theory of n → 0 replicas: pairs of rows exchange a symmetric n × n matrix, which has
n(n + 1)/2 − 1 components with eigenvalue A and one with (1 + n/2) A; a ring of two is counted three times. Where
few rows decide, the series does not converge for these: D_ij is used with the strength s_i s_j, s_i = 1/√(1 + r_i²),
r_i = [(1 − A)^{-3}]_ii − 1, the rings through a row as D' counts them. Derived here.
"""

import numpy as np

from modelcollapse.numerics import duals
from modelcollapse.numerics.duals import value_of
from modelcollapse.numerics.equivalents.symmetric import diagonal_of, inverse, plus_diagonal

__all__ = ["NextOrder"]


class NextOrder:
    """W_1 + W_2 of a medium Γ (n, n); rows are drawn with chances τ (n,) from pools, a list of places among the n."""

    def __init__(self, gamma, chance, pools):
        self.gamma, self.scale, self.chance = gamma, diagonal_of(gamma), chance
        self.amplitude = duals.sqrt((1 - chance) / chance) / self.scale
        self.rings = self._scattered(gamma * gamma)
        self.resolvent = inverse(plus_diagonal(-self.rings, np.ones(len(gamma))))
        twice = self.resolvent @ self.resolvent.T  # symmetric, which the product is told
        self.slope = _off_diagonal(self.rings - 0.5 * (self.resolvent + twice))  # f'(A)
        self.strength = 1 / duals.sqrt(1 + ((twice * self.resolvent).sum(1) - 1) ** 2)
        self.counts = [_Count(self, pool) for pool in pools if np.any(value_of(chance)[pool] < 1)]
        push = self.push()
        self.pulled = push @ gamma
        self.unit = self.resolvent @ (self.amplitude * (gamma * self.pulled).sum(0))  # y = a · unit, as S^{-1} = aXa
        self.own = self.amplitude * self.unit  # y

    def shift(self):
        """D (n, n)."""
        return plus_diagonal(self.push(), self.own)

    def used(self, matrix):
        """A matrix (n, n) with the strengths of its rows and columns."""
        return matrix * self.strength[:, None] * self.strength[None]

    def _slope_moved(self, rings):
        """The change of f'(A) with A."""
        resolvent = self.resolvent @ rings @ self.resolvent
        twice = resolvent @ self.resolvent
        return _off_diagonal(rings - 0.5 * (resolvent + twice + twice.T))

    def _scattered(self, matrix):
        return _off_diagonal(matrix * self.amplitude[:, None] * self.amplitude[None])

    def shifted(self, moved):
        """D'[Γ̇] (n, n) for a symmetric change Γ̇ of the medium."""
        a, push = self.amplitude, self.pushed(moved)
        right = ((self.gamma @ push) * self.gamma).sum(1) + 2 * (moved * self.pulled).sum(0)
        right = right + 2 * ((self.gamma * moved) @ self.own)
        own = 2 * diagonal_of(moved) * self.unit / (self.chance * self.scale)
        return plus_diagonal(push, a * (self.resolvent @ (a * right - own)))

    def push(self):
        """Y (n, n)."""
        within = (self.slope * self.rings).sum(1) / self.scale
        total = plus_diagonal(2 * self._scattered(self.slope * self.gamma), -2 * within)
        for count in self.counts:
            total = total + count.push()
        return total

    def pushed(self, moved):
        """Y'[Γ̇] (n, n)."""
        scale, gamma = self.scale, self.gamma
        relative = diagonal_of(moved) / scale
        shrinks = relative[:, None] + relative[None]
        rings = 2 * self._scattered(gamma * moved) - self.rings * shrinks
        slope = self._slope_moved(rings)
        within = (slope * self.rings + self.slope * rings - self.slope * self.rings * relative[:, None]).sum(1) / scale
        total = 2 * self._scattered(slope * gamma + self.slope * (moved - gamma * shrinks))
        total = plus_diagonal(total, -2 * within)
        for count in self.counts:
            total = total + count.pushed(moved)
        return total


def _off_diagonal(matrix):
    return plus_diagonal(matrix, -diagonal_of(matrix))


class _Count:
    """One pool's part of (2): l = (1 − βQ)^{-1}u and w = Q l, so that W_2 = ½ c uᵀw."""

    def __init__(self, order, pool):
        self.gamma, self.scale, self.missing = order.gamma, order.scale, 1 - order.chance
        self.amplitude, self.resolvent = order.amplitude, order.resolvent
        self.inside = np.zeros(len(self.scale))
        self.inside[pool] = 1
        chance = order.chance[pool][0]
        self.share = chance * (1 - chance) / len(pool)
        self.left = self._solved(self.inside / self.scale)
        self.right = self._squares(self.left)

    def _squares(self, vector):
        return (self.gamma * self.gamma) @ vector

    def _solved(self, vector):
        """(1 − βQ)^{-1} of a vector."""
        a = self.amplitude
        return vector + a * (self.resolvent @ (a * self._squares(vector)))

    def push(self):
        left, right = self.left, self.right
        own = self.inside * right / self.scale**2 + self.missing * right**2 / self.scale**3
        return plus_diagonal(self.gamma * left[:, None] * left[None], -own) * self.share

    def pushed(self, moved):
        left, right, scale = self.left, self.right, self.scale
        relative = diagonal_of(moved) / scale
        squares = 2 * ((self.gamma * moved) @ left)  # Q̇ l
        turned = self._solved(
            self.missing / scale**2 * (squares - 2 * relative * right) - self.inside * relative / scale
        )
        grown = squares + self._squares(turned)
        own = self.inside * (grown - 2 * relative * right) / scale**2
        own = own + self.missing * right * (2 * grown - 3 * relative * right) / scale**3
        outer = turned[:, None] * left[None]
        total = self.gamma * (outer + outer.T) + moved * left[:, None] * left[None]
        return plus_diagonal(total, -own) * self.share
