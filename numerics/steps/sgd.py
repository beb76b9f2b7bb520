r"""One pass of stochastic gradient descent on fresh Gaussian rows: how it moves the moments of the predictors.

Let w be the label model, e = ŵ − w, n = T/B steps of length η on batches of B rows, labels with independent noise of
variance σ². In the eigenbasis of the inputs, u_j = ηs_j, Isserlis' formula
E x xᵀCx xᵀ = 2ΣCΣ + Σ tr ΣC for one row, and independence of the rows of a batch, give for c_j = E e_j²

    E[e | w] ← (1 − u_j) E[e | w],     c_j ← α_j c_j + (η u_j/B)(Σ_i s_i c_i + σ²),     α_j = (1 − u_j)² + u_j²/B.  (1)

(1) is exact, for a random w too, and closed: covariances across directions never enter. From w = 0, c_j(0) = E w_j².
With β_j = (1 − u_j)² the mean of ŵ given w is (1 − (1 − u_j)^n) w_j, and what ŵ has beside it, independent of all
older predictors given w, is

    c_j − β_j^n E w_j² = (α_j^n − β_j^n) E w_j² + (η u_j/B) Σ_{t<n} α_j^{n−1−t} ρ_t,   ρ_t = Σ_i s_i c_i(t) + σ²:    (2)

scatter along the direction itself, and scatter that all directions share. (1) and (2) are linear in c, so sums over the
μ_a directions of an atom obey them with u_j → μ_a u_a in the shared part, whatever μ_a > 0; directions with s_j = 0
stay as they are. With z-transforms, x = 1 − z, δ_j = 1 − α_j = u_j(2 − u_j(1 + 1/B)),

    Σ_{t<n} α_j^{n−1−t} ρ_t = (1/2πi) ∮ z^n ρ̂(z)/(δ_j − x) dz,     ρ̂ = [Σ_i s_i E w_i²/(δ_i − x) − σ²/x]/(1 − F(x)),
    F(x) = (1/B) Σ_j μ_j u_j²/(δ_j − x).                                                                           (3)

F(0) < 1 and all δ_j > 0 is stability ((2) of `theory.pipelines.sgd`); then the integrand is singular on x_1 ≤ x ≤ 1
alone, x_1 the smallest root of F = 1, and at x = 0 through the noise. So an error curve of any length costs one
contour, not n steps, and n need not be whole. The contour is z = z_1 sech²(v − iψ), v real, with z_1 = 1 − x_1 for the
signal, z_1 = 1 for the noise: it winds around 0 < z < z_1 from z = 0, where z^n vanishes, and near z_1 it is a parabola
of width 1/n for long training. The trapezoid rule in v converges geometrically; `NODES` of them give 1e-10 or better
for every n ≥ 1 and batches up to 1e6.

**Several labellers.** A row is of source g with chance p_g: y = x·w̄ + x·Δ_g + ε, w̄ = Σ p_g w_g, Δ_g = w_g − w̄. Since
Σ p_g Δ_g = 0, in (1) σ² becomes Σ_g p_g(σ_g² + E‖Δ_g‖²_Σ) and every step adds 2(u_j²/B) E_g Δ_gj² to c_j.           (4)

Derived here; (1) for a fixed w is classical (Feuer and Weinstein 1985).
"""

import itertools
import math

import numpy as np

from modelcollapse.numerics.arrays import namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, not_negative, times
from modelcollapse.numerics.steps.moments import Atoms, Moments, energy_by_atom

__all__ = ["NODES", "sgd_step"]

NODES = 80
WIDEST, WIDTH = 0.8, 1.8  # of the angle ψ, for one step and for many
DIGITS = 40.0  # −log of what is left of the integrand at the end of a contour
ROUNDS = 24  # of Newton's method
AT_A_TIME = 2**21  # of the resolvent's entries


@quiet()
def sgd_step(atoms, inputs, steps, noise_variance, apart, step, batch, start):
    """One pass over n batches, labelled by `start`.

    Parameters
    ----------
    atoms : Atoms
    inputs : (P or 1, A), eigenvalues of the inputs
    steps, noise_variance, step, batch : (P,); n ≥ 1; the noise with the scatter of several labellers
    apart : (P, A), Σ_g p_g s_j E Δ_gj² of several labellers by atom, zero for one
    start : Moments (P, A) of the mean label model

    Returns
    -------
    Moments, the projection 1 − (1 − u)^n (P, A) by which covariances with other predictors follow, and whether training
    is stable (P,): unstable training has no contour. Points are worked on one after the other.
    """
    xp = namespace(atoms, inputs, steps, noise_variance, apart, step, batch, start)
    rows = [xp.broadcast_to(x, start.ratio.shape) for x in (inputs, *atoms[1:], apart)]

    def one(lane):
        (s, signal, multiplicity, scale, apart), n, noise_variance, step, batch, start = lane
        u = step * s
        excess = u * u / batch
        alpha = (1 - u) * (1 - u) + excess
        delta = u * (2 - u * (1 + 1 / batch))
        lost, learned = _mean_left(xp, u, n)
        logarithm = xp.minimum(xp.where(delta > 0.5, xp.log(alpha), xp.log1p(-xp.minimum(delta, 0.5))), 0)
        slower = -xp.expm1(n * xp.log1p(-xp.minimum(excess / alpha, 1 - np.finfo(u.dtype).eps)))  # 1 − (β/α)^n
        kept = xp.exp(n * logarithm)

        endless = xp.isinf(start.variance) & (s > 0)
        known = xp.where(xp.isinf(start.variance), 0, start.variance)
        per_atom = energy_by_atom(Atoms(s, signal, multiplicity, scale), s, start.ratio, known)
        shared = multiplicity * excess
        turns = _turns(xp, delta, shared, per_atom, noise_variance, excess * apart, n, batch)
        own = times(kept * slower, divide(scale * start.ratio**2 * signal, multiplicity, 0) + known)
        summed = divide(-xp.expm1(n * logarithm), delta, 0)  # Σ α^t
        mixed = 2 * excess * summed * divide(scale * apart, s * multiplicity, 0)
        turns = not_negative(turns, summed * (per_atom.sum(-1) + noise_variance + apart.sum(-1)))
        variance = learned**2 * known + own + mixed + scale * step * u / batch * turns
        variance = xp.where(xp.any(endless) & (s > 0), np.inf, variance)
        moments = Moments(learned * start.ratio, start.deficit + lost * start.ratio, variance)
        return moments, learned, _stable(xp, delta, shared)

    return xp.over_lanes(one, (tuple(rows), steps, noise_variance, step, batch, start))


def _mean_left(xp, u, n):
    """(1 − u)^n and what it is short of 1; for u > 1 and whole n with the sign of an odd or even number of steps."""
    over, hit = u > 1, u == 1
    size = xp.log1p(xp.where(over, u - 2, xp.where(hit, 0, -u)))  # log |1 − u|
    left = xp.where(hit, 0, xp.exp(n * size))
    sign = xp.where(over & (xp.mod(xp.stop_gradient(xp.round(n)), 2) == 1), -1, 1)
    left = sign * left
    return left, xp.where(over | hit, 1 - left, -xp.expm1(n * size))


def _stable(xp, delta, shared):
    """Whether all δ are positive and F(0) < 1."""
    inside = xp.all((delta > 0) | (shared == 0))
    return inside & (divide(shared, delta, 0).sum(-1) < 1)


def _turns(xp, delta, shared, energy, noise_variance, scatter, n, batch):
    """The sums of (3) over the steps, (A,): δ, μu²/B, s E w², (u²/B) s E Δ² by atom, all (A,)."""
    fixed = [xp.stop_gradient(x) for x in (delta, shared, n, batch)]
    ends = np.linspace(0, NODES, 1 + math.ceil(NODES * delta.shape[-1] / AT_A_TIME)).astype(int)
    total = 0
    for k, first in enumerate((_smallest_root(*fixed[:2]), 0 * fixed[2])):
        path = _contour(first, *fixed[2:])
        for low, high in itertools.pairwise(ends):
            x, logarithm, weight = (part[low:high] for part in path)
            resolvent = 1 / (delta - x[:, None])
            source = resolvent @ energy if k == 0 else -(noise_variance + 2 * (resolvent @ scatter)) / x
            risk = xp.exp(n * logarithm) * weight * source / (1 - resolvent @ shared)
            total = total + (risk @ resolvent).imag
    return total


def _smallest_root(delta, shared):
    """The smallest root of F(x) = Σ shared/(δ − x) = 1, by Newton's method on 1/F.

    1/F, a sum of parallel resistors, is concave in x, so a step from 0 leads to an upper bound, the smallest δ − shared
    is another, and from there the steps fall to the root.
    """
    xp = namespace(delta, shared)
    counts = shared > 0
    highest = xp.min(xp.where(counts, delta - shared, np.inf), -1)
    highest = xp.where(xp.isfinite(highest), highest, 0)

    def descend(k, x):
        share = divide(shared, xp.where(counts, delta - x, 1))
        pull = share.sum(-1)
        moved = (pull - 1) * pull / divide(share * share, shared, 0).sum(-1)
        return xp.where(xp.isfinite(moved), xp.clip(x - moved, 0, highest), x)

    return xp.repeat(ROUNDS, descend, descend(0, 0 * highest), ROUNDS)


def _contour(first, n, batch):
    """x, log z and dz/π (NODES,) on the upper half of the contour from z = 0 around z = 1 − first."""
    xp = namespace(first, n, batch)
    angle = xp.minimum(WIDTH / xp.sqrt(n), WIDEST)
    range_ = (DIGITS + xp.log1p(batch)) / (2 * (n + 1))
    spacing = (range_ + xp.log1p(xp.sqrt(-xp.expm1(-2 * range_)))) / NODES  # cosh of the last v is e^range
    v = (np.arange(NODES) + 0.5).astype(n.dtype) * spacing
    grown = xp.expm1(2 * (v - 1j * angle))
    tangent = grown / (grown + 2)
    square = tangent * tangent
    near = xp.abs(square) < 0.5
    small = xp.where(near, square, 0)
    size = xp.where(near, xp.log1p(xp.abs(small) ** 2 - 2 * small.real) / 2, xp.log(xp.abs(1 - square)))
    turned = size + 1j * xp.arctan2(-square.imag, 1 - square.real)
    scale = (1 - first) * spacing / np.pi
    return first + (1 - first) * square, xp.log1p(-first) + turned, -2 * scale * (1 - square) * tangent
