r"""The effective ridge κ(λ, T): the largest root of κ − λ = κ df_1(κ)/T.

**Form.** Divided by κ/T the equation reads h = 0 with

    h(u) = T − df_1(κ) − T λ/κ,    u = log κ,

and T − df_1 computed as in `functionals`. With p = s/(s+κ), q = 1 − p the derivatives in u are

    h' = Σ μ p q + T λ/κ,    h'' = Σ μ p q (p − q) − T λ/κ,    so h' > 0 and |h''| ≤ h'.

h increases, so there is one positive root or none; none exactly for λ = 0 and T ≥ d, where κ = 0.

**Certificates.** |(log h')'| ≤ 1 turns every evaluation into two bounds. With the Newton step n = −h/h' the
root is at a distance of at least log(1 + |n|) and, for |n| < 1, at most −log(1 − |n|), on the side that the
sign tells. The first bracket is that of two flat spectra, whose equation is quadratic: all d eigenvalues set
to their mean raises κ (df_1 is concave in s), all set to the smallest lowers it.

**Steps.** For |n| < 1/2 Halley's, whose error is at most about (5/12)·step³: the iteration ends with the
first step below ε^{1/3}/2. Farther out A = df_1 + T λ/κ is modelled by A^γ linear in u, γ = 1 − A A''/A'² (γ
= 0 for a power law, 1 for eigenvalues that fall exponentially), which gives

    u ← u + (A/A')·((T/A)^γ − 1)/γ .

A step that leaves the bracket, or follows one that did not halve it, is replaced by bisection in u.

**Derivatives** come from the implicit function theorem, by differentiating κT − λT = κ df_1(κ):

    (T − df_2) dκ = T dλ − (κ df_1/T) dT + κ Σ p dμ + Σ μ q² ds .

Source of the equation: Dohmatob, Feng, Kempe, arXiv 2402.07712; form, bounds and steps derived here.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from modelcollapse.numerics.functionals import atom_sums, counted, in_range, samples_left, shares

__all__ = ["ITERATIONS", "Root", "root", "solve"]

ITERATIONS = 100


class Root(NamedTuple):
    """The effective ridge, whether it converged, and its passes over the atoms, each (P,)."""

    kappa: jax.Array
    converged: jax.Array
    passes: jax.Array


class _State(NamedTuple):
    kappa: jax.Array
    low: jax.Array
    high: jax.Array
    halved: jax.Array
    done: jax.Array
    passes: jax.Array


def _flat(eigenvalue, dimension, samples, ridge):
    """The effective ridge of d equal eigenvalues: the root of κ² − bκ − λs = 0, b = λ − s(1 − d/T)."""
    linear = ridge - eigenvalue * ((samples - dimension) / samples)
    distance = jnp.hypot(linear, 2 * jnp.sqrt(ridge) * jnp.sqrt(eigenvalue))
    gap = jnp.where(distance > linear, distance - linear, 1)
    return jnp.where(linear > 0, (linear + distance) / 2, 2 * ridge * (eigenvalue / gap))


def _width(low, high):
    return jnp.log(jnp.maximum(high, low)) - jnp.log(low)


def _far_step(samples, h, slope, curvature):
    """The step in log κ under the model A^γ = linear."""
    tiny = jnp.finfo(h.dtype).eps
    total = jnp.maximum(samples - h, tiny * samples)
    ratio = jnp.log(samples / total)
    gamma = jnp.clip(1 + (total / slope) * (curvature / slope), -1 / tiny, 1 / tiny)
    straight = jnp.abs(gamma * ratio) < tiny
    power = jnp.expm1(jnp.clip(gamma * ratio, -80, 80)) / jnp.where(straight, 1, gamma)
    return -(total / slope) * jnp.where(straight, ratio, power)


def root(eigenvalues, multiplicity, samples, ridge, iterations=ITERATIONS):
    """`solve` with the number of passes over the atoms; not differentiable."""
    dtype = jnp.result_type(eigenvalues, multiplicity, samples, ridge)
    limits = jnp.finfo(dtype)
    eigenvalues, multiplicity, samples, ridge = (
        jnp.asarray(x, dtype) for x in (eigenvalues, multiplicity, samples, ridge)
    )
    eigenvalues, finite_ridge = in_range(eigenvalues), in_range(ridge)

    positive = (eigenvalues > 0) & (multiplicity > 0)
    dimension, trace = atom_sums(jnp.where(positive, multiplicity, 0), multiplicity * eigenvalues)
    dimension = counted(dimension)
    smallest = jnp.min(jnp.where(positive, eigenvalues, jnp.inf), axis=-1)
    empty = dimension == 0
    mean = jnp.where(empty, 0, trace / jnp.where(empty, 1, dimension))
    smallest = jnp.where(empty, 0, jnp.minimum(smallest, mean))
    vanishes = (finite_ridge == 0) & (samples >= dimension)

    floor = jnp.maximum(finite_ridge, 4 * limits.tiny)
    low = jnp.maximum(_flat(smallest, dimension, samples, finite_ridge), floor)
    high = jnp.maximum(_flat(mean, dimension, samples, finite_ridge), low)

    def improve(state):
        kappa, low, high = state.kappa, state.low, state.high
        fitted, lost = shares(eigenvalues, kappa[:, None])
        large, both = eigenvalues > kappa[:, None], multiplicity * fitted * lost
        whole, part, slope, curvature = atom_sums(
            jnp.where(large, multiplicity, 0),
            multiplicity * jnp.where(large, lost, -fitted),
            both,
            both * (fitted - lost),
        )
        penalty = samples * (finite_ridge / kappa)
        h, curvature = ((samples - counted(whole)) + part) - penalty, curvature - penalty
        slope = jnp.maximum(slope + penalty, limits.tiny)

        newton = -h / slope
        size = jnp.minimum(jnp.abs(newton), 1 / limits.eps**2)
        at_least, at_most = 1 + size, jnp.where(size < 1, 1 / jnp.where(size < 1, 1 - size, 1), jnp.inf)
        new_low = jnp.maximum(low, jnp.where(h > 0, kappa / at_most, kappa * at_least))
        new_high = jnp.minimum(high, jnp.where(h > 0, kappa / at_least, kappa * at_most))

        near = size < 0.5
        halley = newton / jnp.where(near, 1 + newton * (curvature / slope) / 2, 1)
        proposal = kappa * jnp.exp(jnp.where(near, halley, _far_step(samples, h, slope, curvature)))
        done = near & (jnp.abs(halley) < limits.eps ** (1 / 3) / 2)
        trusted = (near | state.halved) & (new_low <= proposal) & (proposal <= new_high)
        middle = jnp.sqrt(new_low) * jnp.sqrt(new_high)
        new = jnp.where(done | trusted, proposal, middle)

        halved = _width(new_low, new_high) < _width(low, high) / 2
        done |= new_high <= new_low * (1 + 4 * limits.eps)
        fresh = _State(new, new_low, new_high, halved, done, state.passes + 1)
        return _State(*(jnp.where(state.done, old, x) for old, x in zip(state, fresh, strict=True)))

    known = vanishes | empty | (ridge > limits.max / 16)
    start = _State(high, low, high, jnp.ones_like(known), known, jnp.zeros_like(known, dtype=jnp.int32))

    def unfinished(state):
        return jnp.any(~state.done & (state.passes < iterations))

    end = lax.while_loop(unfinished, improve, start)
    kappa = jnp.where(known, jnp.where(vanishes, 0, ridge), end.kappa)
    return Root(kappa, end.done, end.passes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(4,))
def solve(eigenvalues, multiplicity, samples, ridge, iterations=ITERATIONS):
    r"""The effective ridge, and whether each point converged: (kappa (P,), converged (P,) bool).

    eigenvalues, multiplicity: (P, A) or (1, A), not negative; zeros pad and count for nothing.
    samples: (P,), positive and finite; T − Σμ is taken as float arithmetic gives it.
    ridge: (P,), in [0, ∞]; ∞ gives κ = ∞, the null model.
    iterations: bound on the passes over the atoms (typically three to five are made); a point that needs more
    is returned with converged = False.

    κ = 0 for ridge = 0 and T ≥ d; κ = ridge if all eigenvalues are zero. Differentiable twice, in both modes.
    At ridge = 0, T = d the derivative in the ridge is infinite and the root has a corner in the others, where
    zero is returned; a zero tangent or cotangent times that infinity is NaN, so callers mask such points
    beforehand. A root below the dtype's normal range comes back as about its smallest normal number.

    >>> from modelcollapse.numerics.functionals import degrees_of_freedom
    >>> s, one = jnp.array([[1.0, 0.5, 0.1]]), jnp.ones((1, 3))
    >>> kappa, converged = solve(s, one, jnp.array([2.0]), jnp.array([0.3]))
    >>> bool(jnp.allclose(kappa - 0.3, kappa * degrees_of_freedom(s, one, kappa, 1) / 2))
    True
    """
    return root(eigenvalues, multiplicity, samples, ridge, iterations)[:2]


@solve.defjvp
def _solve_jvp(iterations, primals, tangents):
    eigenvalues, multiplicity, samples, _ = primals
    d_eigenvalues, d_multiplicity, d_samples, d_ridge = tangents
    kappa, converged = solve(*primals, iterations)
    _, left = samples_left(eigenvalues, multiplicity, samples, kappa)
    eigenvalues = in_range(eigenvalues)
    _, lost = shares(eigenvalues, in_range(kappa)[:, None])
    (removed,) = atom_sums(multiplicity * eigenvalues * lost)
    moved = jnp.sum(lost * (eigenvalues * d_multiplicity + multiplicity * lost * d_eigenvalues), axis=-1)
    rest = (moved - removed / samples * d_samples) / jnp.where(left > 0, left, jnp.inf)
    tangent = samples / left * d_ridge + rest
    return (kappa, converged), (tangent, np.zeros(converged.shape, jax.dtypes.float0))
