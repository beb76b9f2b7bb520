r"""The errors of one fit at any number of points, from tables in log κ.

All that a fit on one source needs from a spectrum are sums over its atoms that depend on the effective ridge κ
alone. With the fitted share p = s/(s+κ), q = 1 − p, the label model's mean ratio a, b = 1 − a, and its variance
v_j = Var w_j, on test inputs of eigenvalues u_j (all sums over the atoms, μ multiplicity, θ signal energy):

    T − df_1 = (T − Σ_L μ) + G,   G = Σ_L μ q − Σ_{not L} μ p,      T − df_2 = Tλ/κ + Σ μ p q,
    R = Σ s q² (a²θ + μ v),   B = Σ u θ (p b + q)²,   W = Σ u μ v p²,   D = Σ u μ s/(s+κ)²,

    bias = B,   variance = W + D (R + σ²)/(T − df_2),   and the clean error with a = 1, v = 0 .

(T − df_2 = (T − df_1) + Σ μ p q, and T − df_1 = Tλ/κ at the root: two positive terms, no cancellation.) Each term is
analytic in log κ in the strip |Im log κ| < π. The range of κ is cut into panels of half-width h = 1/4 in log κ, where
interpolation in m Chebyshev points errs by about (2π/h)^-m: m = 12 points reach rounding, which the last coefficients
certify. L = {s > κ at the panel's middle} is fixed within a panel, so that G is analytic there, and the whole number
Σ_L μ is subtracted from T exactly: near T = d nothing cancels either (see `functionals`).

The root of T − df_1 = Tλ/κ is bracketed by bisection over the panels' edges, where the left side minus the right
increases, then found by a secant and two Halley steps on the polynomials (errors ≤ 0.03, 1e-5, 1e-15; see
`ridge_equation`). A point then costs about a hundred multiplications, however many atoms there are. Points without a
positive finite κ, and any that a certificate refuses, are returned with ok = False. Derived here.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.arrays import jit
from modelcollapse.numerics.equivalents.shares import atom_sums, counted, in_range, shares
from modelcollapse.numerics.steps import times

__all__ = ["HALF_WIDTH", "Table", "look_up", "tabulate"]

HALF_WIDTH = 0.25
ORDER = 12
TOLERANCE = 1e-13


class Table(NamedTuple):
    """κ and Σ_L μ at the middles of K panels, Σ_L μ and G at their edges, F Chebyshev series, certificates."""

    middle: jax.Array  # (K,)
    whole: jax.Array  # (K,)
    edge_whole: jax.Array  # (K + 1,)
    edge_rest: jax.Array  # (K + 1,)
    coefficients: jax.Array  # (F, ORDER, K)
    certified: jax.Array  # (K,) bool


@functools.partial(jit, static="panels")
def tabulate(atoms, inputs, model, lowest, panels):
    """The sums of this module for κ from `lowest` up to lowest·exp(2 HALF_WIDTH panels).

    atoms: Atoms (1, A); inputs: (1, A), eigenvalues of the test inputs; model: Moments (1, A) of the label model;
    lowest: (), positive. Returns a Table.
    """
    dtype = atoms.eigenvalues.dtype
    angles = np.pi * (np.arange(ORDER) + 0.5) / ORDER
    transform = np.cos(np.outer(np.arange(ORDER), angles)) * (2 / ORDER)
    transform[0] /= 2
    middle = lowest * jnp.exp(2 * HALF_WIDTH * (jnp.arange(panels, dtype=dtype) + 0.5))
    edges = lowest * jnp.exp(2 * HALF_WIDTH * jnp.arange(panels + 1, dtype=dtype))
    kappa = middle[:, None] * jnp.asarray(np.exp(HALF_WIDTH * np.cos(angles)), dtype)

    s, signal, multiplicity = in_range(atoms.eigenvalues[0]), atoms.signal[0], atoms.multiplicity[0]
    scale = atoms.scale[0]
    ratio, deficit, u = model.ratio[0], model.deficit[0], inputs[0]
    variance = times(multiplicity / jnp.where(scale > 0, scale, 1), model.variance[0])
    seen, tested = s * (ratio**2 * signal + variance), u * variance

    p, q = shares(s, kappa[:, :, None])
    kernel = 1 / (s + kappa[:, :, None])
    both = multiplicity * p * q
    values = atom_sums(
        multiplicity * jnp.where(s > middle[:, None, None], q, -p),
        both,
        both * (p - q),
        (u * kernel) * (multiplicity * p),
        s * signal * q**2,
        u * signal * q**2,
        seen * q**2,
        u * signal * (p * deficit + q) ** 2,
        tested * p**2,
    )
    coefficients = jnp.einsum("fkm,jm->fjk", jnp.stack(values), jnp.asarray(transform, dtype), precision="highest")
    size = coefficients[:, 0].at[jnp.array([0, 2])].set(coefficients[1, 0])
    omitted = jnp.abs(coefficients[:, -1]) / 16 + jnp.abs(coefficients[:, -2]) / 256
    certified = jnp.all(omitted <= TOLERANCE * size, 0)

    (whole,) = atom_sums(jnp.where(s > middle[:, None], multiplicity, 0))
    whole = counted(whole)
    p, q = shares(s, edges[:, None])
    large = s > edges[:, None]
    edge_whole, edge_rest = atom_sums(jnp.where(large, multiplicity, 0), multiplicity * jnp.where(large, q, -p))
    return Table(middle, whole, edge_whole, edge_rest, coefficients, certified)


def _evaluate(coefficients, panel, x):
    """Chebyshev series (F, ORDER, K), each point (P,) in its own panel, at x in [−1, 1]: (F, P)."""

    def add(k, sums):
        last, before = sums
        return coefficients[:, ORDER - 1 - k][:, panel] + 2 * x * last - before, last

    zero = jnp.zeros((coefficients.shape[0], *x.shape), x.dtype)
    last, before = jax.lax.fori_loop(0, ORDER - 1, add, (zero, zero))
    return coefficients[:, 0][:, panel] + x * last - before


@jit
def look_up(table, samples, noise, ridge):
    """(bias, variance), (clean bias, clean variance) and ok of fits with the numbers (P,): five arrays (P,)."""
    panels = table.middle.shape[0]
    rounds = (panels - 1).bit_length()
    lowest = table.middle[0] * jnp.exp(-HALF_WIDTH).astype(ridge.dtype)
    edges = lowest * jnp.exp(2 * HALF_WIDTH * jnp.arange(panels + 1, dtype=ridge.dtype))
    load = samples * ridge

    def height(edge):
        return ((samples - table.edge_whole[edge]) + table.edge_rest[edge]) - load / edges[edge]

    def halve(k, panel):
        higher = jnp.minimum(panel + (1 << rounds >> (k + 1)), panels - 1)
        return jnp.where(height(higher) <= 0, higher, panel)

    panel = jax.lax.fori_loop(0, rounds, halve, jnp.zeros(samples.shape, jnp.int32))
    low, high = height(panel), height(panel + 1)
    middle, missing = table.middle[panel], samples - table.whole[panel]
    load = load / middle
    x = 2 * (-low / jnp.where(high > low, high - low, 1)) - 1

    def halley(_, state):
        x, _ = state
        penalty = load * jnp.exp(-HALF_WIDTH * x)
        rest, slope, curvature = _evaluate(table.coefficients[:3], panel, x)
        newton = -((missing + rest) - penalty) / (slope + penalty)
        step = newton / (1 + newton * ((curvature - penalty) / (slope + penalty)) / 2)
        return x + step / HALF_WIDTH, step

    x, step = jax.lax.fori_loop(0, 2, halley, (x, x))
    penalty = load * jnp.exp(-HALF_WIDTH * x)
    _, slope, _, spread, clean_risk, clean_bias, risk, bias, variance = _evaluate(table.coefficients, panel, x)
    gain = spread / (penalty + slope)
    ok = (low <= 0) & (high >= 0) & (jnp.abs(step) < 1e-3) & (jnp.abs(x) < 1.01) & table.certified[panel]
    return (
        (bias, variance + gain * (risk + noise**2)),
        (clean_bias, gain * (clean_risk + noise**2)),
        ok,
    )
