r"""The effective ridge κ(λ, T): the largest root of κ − λ = κ df_1(κ)/T. One bracketed root for it and its kin.

**Form.** Divided by κ/T the equation reads h = 0 with

    h(u) = T − df_1(κ) − T λ/κ,    u = log κ,                                                               (1)

and T − df_1 computed as in `shares`. With p = s/(s+κ), q = 1 − p the derivatives in u are

    h' = Σ μ p q + T λ/κ,    h'' = Σ μ p q (p − q) − T λ/κ,    so h' > 0 and |h''| ≤ h'.                    (2)

h increases, so there is one positive root or none; none exactly for λ = 0 and T ≥ d, where κ = 0. Random features and
sources of unequal weights have equations of the same make, h(u) = T − df_1(κ(u)) − x(u), with other `Balance`s; (2)
holds for them too.

**Certificates.** |(log h')'| ≤ 1 turns every evaluation into two bounds. With the Newton step n = −h/h' the root is at
a distance of at least log(1 + |n|) and, for |n| < 1, at most −log(1 − |n|), on the side that the               (3)
sign tells. The first bracket is that of two flat spectra, whose equation is quadratic: all d eigenvalues set
to their mean raises κ (df_1 is concave in s), all set to the smallest lowers it.

**Steps.** For |n| < 1/2 Halley's, whose error is at most about (5/12)·step³: the iteration ends with the
first step below ε^{1/3}/2. Farther out A = T − h is modelled by A^γ linear in u, γ = 1 − A A''/A'² (γ
= 0 for a power law, 1 for eigenvalues that fall exponentially), which gives

    u ← u + (A/A')·((T/A)^γ − 1)/γ .                                                                        (4)

A step that leaves the bracket, or follows one that did not halve it, is replaced by bisection in u.

**Derivatives** come from the implicit function theorem, by differentiating κT − λT = κ df_1(κ):

    (T − df_2) dκ = T dλ − (κ df_1/T) dT + κ Σ p dμ + Σ μ q² ds .                                           (5)

Source of the equation: Dohmatob, Feng, Kempe, arXiv 2402.07712; form, bounds and steps derived here.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from modelcollapse.numerics.arrays import Array, differentiable, namespace, quiet
from modelcollapse.numerics.equivalents.shares import atom_sums, counted, divide, in_range, samples_left, shares

__all__ = [
    "ITERATIONS",
    "Balance",
    "Extent",
    "Root",
    "bracketed_root",
    "extent",
    "flat",
    "ridge_balance",
    "root",
    "solve",
]

ITERATIONS = 100


class Root(NamedTuple):
    """The effective ridge, whether it converged, and its passes over the atoms."""

    kappa: Float[Array, " P"]
    converged: Bool[Array, " P"]
    passes: Int[Array, " P"]


class Balance(NamedTuple):
    """What an equation h = (whole − Σ_L μ) + (atoms of (2) of `shares`) + rest is at a position u."""

    kappa: Float[Array, " P"]
    speed: Float[Array, " P"]  # d log κ/du
    bend: Float[Array, " P"]  # d² log κ/du²
    whole: Float[Array, " P"]  # rows, of which Σ_L μ is subtracted exactly
    rest: Float[Array, " P"]
    slope: Float[Array, " P"]  # d rest/du
    curvature: Float[Array, " P"]  # d² rest/du²


class Extent(NamedTuple):
    """The number of directions d, the mean eigenvalue and the smallest, Σ_j μ_j s_j; zero if there is no direction."""

    dimension: Float[Array, " P"]
    mean: Float[Array, " P"]
    smallest: Float[Array, " P"]
    trace: Float[Array, " P"]


class _State(NamedTuple):
    position: Array
    low: Array
    high: Array
    halved: Array
    done: Array
    passes: Array


def extent(eigenvalues, multiplicity):
    """The Extent of a spectrum, eigenvalues in range."""
    xp = namespace(eigenvalues, multiplicity)
    positive = (eigenvalues > 0) & (multiplicity > 0)
    dimension, trace = atom_sums(xp.where(positive, multiplicity, 0), multiplicity * eigenvalues)
    dimension = counted(dimension)
    mean = divide(trace, dimension, 0)
    smallest = xp.minimum(xp.min(xp.where(positive, eigenvalues, np.inf), axis=-1), mean)
    return Extent(dimension, mean, smallest, trace)


def flat(eigenvalue, dimension, samples, ridge):
    """The effective ridge of d equal eigenvalues: the root of κ² − bκ − λs = 0, b = λ − s(1 − d/T)."""
    xp = namespace(eigenvalue, dimension, samples, ridge)
    linear = ridge - eigenvalue * ((samples - dimension) / samples)
    distance = xp.hypot(linear, 2 * xp.sqrt(ridge) * xp.sqrt(eigenvalue))
    gap = xp.where(distance > linear, distance - linear, 1)
    return xp.where(linear > 0, (linear + distance) / 2, 2 * ridge * (eigenvalue / gap))


def _far_step(xp, samples, h, slope, curvature):
    """The step in u of (4)."""
    tiny = np.finfo(h.dtype).eps
    total = xp.maximum(samples - h, tiny * samples)
    ratio = xp.log(samples / total)
    gamma = xp.clip(1 + (total / slope) * (curvature / slope), -1 / tiny, 1 / tiny)
    straight = xp.abs(gamma * ratio) < tiny
    power = xp.expm1(xp.clip(gamma * ratio, -80, 80)) / xp.where(straight, 1, gamma)
    return -(total / slope) * xp.where(straight, ratio, power)


def bracketed_root(balance, eigenvalues, multiplicity, samples, low, high, known, iterations=ITERATIONS):
    """The position e^u at which an equation of this module holds, converged and passes: three (P,).

    balance : function of the position (P,), a Balance; h increases in u, |h''| ≤ h'
    samples : (P,), T of (4), the value of T − h at the root
    low, high : (P,), positive positions that bracket the root
    known : (P,) bool, positions that are not asked for
    """
    xp = namespace(eigenvalues, multiplicity, samples, low, high)
    limits = np.finfo(low.dtype)

    def width(low, high):
        return xp.log(xp.maximum(high, low)) - xp.log(low)

    def improve(state):
        position, low, high = state.position, state.low, state.high
        kappa, speed, bend, rows, rest, rest_slope, rest_curvature = balance(position)
        fitted, lost = shares(eigenvalues, kappa[:, None])
        large, both = eigenvalues > kappa[:, None], multiplicity * fitted * lost
        whole, part, slope, curvature = atom_sums(
            xp.where(large, multiplicity, 0),
            multiplicity * xp.where(large, lost, -fitted),
            both,
            both * (fitted - lost),
        )
        h = ((rows - counted(whole)) + part) + rest
        curvature = (bend * slope + speed**2 * curvature) + rest_curvature
        slope = xp.maximum(speed * slope + rest_slope, limits.tiny)

        newton = -h / slope
        size = xp.minimum(xp.abs(newton), 1 / limits.eps**2)
        short = 1 - size * (1 + 64 * limits.eps)  # rounding must not pass a size of 1 for less
        at_least, at_most = 1 + size, xp.where(short > 0, 1 / xp.where(short > 0, short, 1), np.inf)
        new_low = xp.maximum(low, xp.where(h > 0, position / at_most, position * at_least))  # (3)
        new_high = xp.minimum(high, xp.where(h > 0, position / at_least, position * at_most))

        near = size < 0.5
        halley = newton / xp.where(near, 1 + newton * (curvature / slope) / 2, 1)
        step = xp.where(near, halley, _far_step(xp, samples, h, slope, curvature))
        proposal = position * xp.exp(step)
        done = near & (xp.abs(halley) < limits.eps ** (1 / 3) / 2)
        trusted = (near | state.halved) & (new_low <= proposal) & (proposal <= new_high)
        new = xp.where(done | trusted, proposal, xp.sqrt(new_low) * xp.sqrt(new_high))

        halved = width(new_low, new_high) < width(low, high) / 2
        done = done | (new_high <= new_low * (1 + 4 * limits.eps))
        fresh = _State(new, new_low, new_high, halved, done, state.passes + 1)
        return _State(*(xp.where(state.done, old, x) for old, x in zip(state, fresh, strict=True)))

    def unfinished(state):
        return xp.any(~state.done & (state.passes < iterations))

    start = _State(high, low, high, xp.ones_like(known), known, xp.zeros_like(known, dtype=np.int32))
    end = xp.while_loop(unfinished, improve, start)
    return end.position, end.done, end.passes


@quiet()
def root(eigenvalues, multiplicity, samples, ridge, iterations=ITERATIONS):
    """`solve` with the number of passes over the atoms; not differentiable."""
    xp = namespace(eigenvalues, multiplicity, samples, ridge)
    dtype = xp.result_type(eigenvalues, multiplicity, samples, ridge)
    limits = np.finfo(dtype)
    eigenvalues, multiplicity, samples, ridge = (
        xp.asarray(x, dtype) for x in (eigenvalues, multiplicity, samples, ridge)
    )
    eigenvalues, finite_ridge = in_range(eigenvalues), in_range(ridge)
    dimension, mean, smallest, _ = extent(eigenvalues, multiplicity)
    vanishes = (finite_ridge == 0) & (samples >= dimension)
    known = vanishes | (dimension == 0) | (ridge > limits.max / 16)
    low = xp.maximum(flat(smallest, dimension, samples, finite_ridge), xp.maximum(finite_ridge, 4 * limits.tiny))
    high = xp.maximum(flat(mean, dimension, samples, finite_ridge), low)

    def balance(kappa):
        return ridge_balance(kappa, samples, finite_ridge)

    kappa, converged, passes = bracketed_root(
        balance, eigenvalues, multiplicity, samples, low, high, known, iterations=iterations
    )
    return Root(xp.where(known, xp.where(vanishes, 0, ridge), kappa), converged, passes)


def ridge_balance(kappa, samples, ridge):
    """The Balance of (1), whose position is κ itself."""
    penalty = samples * (ridge / kappa)
    one = namespace(kappa).ones_like(kappa)
    return Balance(kappa, one, 0 * one, samples, -penalty, penalty, -penalty)


def _solve_rule(arguments, results, tangents):
    eigenvalues, multiplicity, samples, _ = arguments
    d_eigenvalues, d_multiplicity, d_samples, d_ridge = tangents
    kappa, _ = results
    xp = namespace(*arguments, *tangents)
    _, left = samples_left(eigenvalues, multiplicity, samples, kappa)
    eigenvalues = in_range(eigenvalues)
    _, lost = shares(eigenvalues, in_range(kappa)[:, None])
    (removed,) = atom_sums(multiplicity * eigenvalues * lost)
    moved = xp.sum(lost * (eigenvalues * d_multiplicity + multiplicity * lost * d_eigenvalues), axis=-1)
    rest = (moved - removed / samples * d_samples) / xp.where(left > 0, left, np.inf)
    return samples / left * d_ridge + rest, None  # (5)


@quiet()
@differentiable(_solve_rule)
def solve(
    eigenvalues: Float[Array, "#P A"],
    multiplicity: Float[Array, "#P A"],
    samples: Float[Array, " P"],
    ridge: Float[Array, " P"],
) -> tuple[Float[Array, " P"], Bool[Array, " P"]]:
    r"""The effective ridge, and whether each point converged.

    eigenvalues, multiplicity: not negative; zeros pad and count for nothing.
    samples: positive and finite; T − Σμ is taken as float arithmetic gives it.
    ridge: in [0, ∞]; ∞ gives κ = ∞, the null model.

    κ = 0 for ridge = 0 and T ≥ d; κ = ridge if all eigenvalues are zero. Derivatives of every order, in both modes.
    At ridge = 0, T = d the derivative in the ridge is infinite and the root has a corner in the others, where
    zero is returned; a zero tangent or cotangent times that infinity is NaN, so callers mask such points
    beforehand. A root below the dtype's normal range comes back as about its smallest normal number.

    >>> from modelcollapse.numerics.equivalents.shares import degrees_of_freedom
    >>> s, one = np.array([[1.0, 0.5, 0.1]]), np.ones((1, 3))
    >>> kappa, converged = solve(s, one, np.array([2.0]), np.array([0.3]))
    >>> bool(np.isclose(kappa - 0.3, kappa * degrees_of_freedom(s, one, kappa, 1) / 2, rtol=1e-14).all())
    True
    """
    return root(eigenvalues, multiplicity, samples, ridge)[:2]
