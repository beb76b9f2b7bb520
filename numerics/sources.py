r"""One ridge fit on several sources: the fixed point that its deterministic equivalent needs.

Source g has T_g rows with input eigenvalues s_{g,j}, weight ω_g and share p_g = T_g/T of all T rows. The fit is
(Σ_g ω_g S_g + λ)^{-1} Σ_g ω_g X_gᵀ y_g / T, and its resolvent has the equivalent R = (λ + Σ_g η_g Σ_g)^{-1} with

    η_g = p_g ω_g / (1 + ω_g tr(Σ_g R)/T).

We write η_g = h q_g with Σ_g q_g = 1 and κ = λ/h, so that h R = Q = (κ + Σ_g q_g Σ_g)^{-1}. Then λ = 0 is an
ordinary point on both sides of T = d: above it κ = 0, below it h = 0. One source has q = 1 and κ the effective ridge.

The equations are the stationarity of a function of x that is *convex*, with η_g = m e^{x_g} and λ = l m,

    Φ(x) = (1/T) Σ_j μ_j log(l + Σ_g e^{x_g} s_{g,j}) − Σ_g p_g x_g + m Σ_g e^{x_g}/ω_g,

so damped Newton converges from any start (derived here; ∂Φ/∂x_g = 0 is the equation above). (l, m) = (λ, 1) for
T ≥ d and (1, λ) for T < d. The direction in which all x_g move together is soft near T = d and λ = 0: its gradient
and curvature are formed from T − df without cancellation.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.functionals import counted, samples_left
from modelcollapse.numerics.ridge_equation import solve

__all__ = ["Trust", "one_source", "projections", "several_sources", "solve_soft", "times"]

ITERATIONS = 200


class Trust(NamedTuple):
    """κ (P,), shares q (G, P), scale h (P,) of the equivalent of a fit, and whether it converged (P,)."""

    kappa: jax.Array
    shares: jax.Array
    scale: jax.Array
    converged: jax.Array


def one_source(eigenvalues, multiplicity, samples, weight, ridge):
    """κ of a fit on one source: the effective ridge at λ/ω.

    Shapes: eigenvalues and multiplicity (P or 1, A), the rest (P,).
    """
    kappa, converged = solve(eigenvalues, multiplicity, samples, ridge / weight)
    left, _ = samples_left(eigenvalues, multiplicity, samples, jnp.where(jnp.isinf(kappa), 0, kappa))
    scale = weight * jnp.where(jnp.isinf(kappa), 1, left / samples)
    return Trust(kappa, jnp.ones_like(kappa)[None], scale, converged)


def several_sources(eigenvalues, multiplicity, rows, weights, ridge):
    """κ, q and h of a fit on G sources.

    Shapes: eigenvalues (G, P or 1, A), multiplicity (P or 1, A), rows and weights (G, P), ridge (P,). Sources without
    rows or weight are dropped (q_g = 0). Derivatives of every order are exact.
    """
    samples = rows.sum(0)
    used = (rows > 0) & (weights > 0)
    share = jnp.where(used, rows, 0) / samples
    weight = jnp.where(used, weights, 1)
    trust = jnp.sum(share * weight, 0)
    guess = share * weight / trust
    spread = jnp.broadcast_to(eigenvalues, (*rows.shape, eigenvalues.shape[-1]))
    pooled = jnp.einsum("gp,gpa->pa", guess, spread)
    start, ok = solve(pooled, multiplicity, samples, ridge / trust)
    null = jnp.isinf(start)
    start = jnp.where(null, 1, start)
    left, _ = samples_left(pooled, multiplicity, samples, start)

    directions = counted(jnp.sum(jnp.where(pooled > 0, multiplicity, 0), -1))
    below = samples < directions
    critical = (samples == directions) & (ridge == 0)
    finite = jnp.where(null, 1, ridge)
    offset, slope = jnp.where(below, 1, finite), jnp.where(below, finite, 1)
    problem = (eigenvalues, multiplicity, samples, share, weight, used, offset, slope)

    positive = jnp.where(start > 0, start, 1)
    level = jnp.where(below, 1 / positive, jnp.where(start > 0, finite / positive, trust * left / samples))
    x = jnp.log(jnp.where(used, guess, 1)) + jnp.log(jnp.where(critical, 1, level))
    x = jnp.where(used, x, -jnp.inf)
    x, converged = _settle(problem, critical | null, jax.lax.stop_gradient(x))

    top = x.max(0)
    parts = jnp.where(used, jnp.exp(jnp.where(used, x - top, 0)), 0)
    total = parts.sum(0)
    fixed = Trust(
        jnp.where(critical, 0, offset / total * jnp.exp(-top)),
        jnp.where(critical | null, share, parts / total),
        jnp.where(critical, 0, slope * total * jnp.exp(top)),
        ok & (converged | critical | null),
    )
    # sources alike but for their labels are one source of T rows: take its more accurate values, keep the derivatives
    alike = (
        jnp.all(~used | (weights == jnp.max(jnp.where(used, weights, 0), 0)), 0)
        & ~null
        & jnp.all(jnp.where(used[:, :, None], spread == pooled, True), (0, 2))
    )
    exact = Trust(start, share, trust * left / samples, fixed.converged)
    kappa, shares, scale, converged = jax.tree.map(
        lambda value, fine: (
            value + jax.lax.stop_gradient(jnp.where(alike, fine - value, 0).astype(value.dtype))
            if value.dtype != bool
            else value
        ),
        fixed,
        exact,
    )
    return Trust(jnp.where(null, jnp.inf, kappa), shares, jnp.where(null, 1, scale), converged)


@jax.custom_jvp
def _settle(problem, settled, start):
    """The stationary point x of Φ, and whether it was found; lanes that are settled keep their start.

    Its derivative by the problem is that of one Newton step from x, as the gradient is zero there; the rule names x
    itself, so derivatives of higher order follow.
    """
    x, converged = _descend(problem, settled, start)
    return jax.lax.fori_loop(0, 2, lambda _, x: _step(problem, settled, x), x), converged


@_settle.defjvp
def _settle_jvp(primals, tangents):
    problem, settled, _ = primals
    x, converged = _settle(*primals)
    _, slope = jax.jvp(lambda problem: _step(problem, settled, x), (problem,), tangents[:1])
    return (x, converged), (slope, np.zeros(converged.shape, jax.dtypes.float0))


def _step(problem, settled, x):
    return jnp.where(problem[5] & ~settled, x + jnp.where(settled, 0, _newton(problem, x)), x)


def _newton(problem, x):
    """The Newton step of Φ at x."""
    eigenvalues, multiplicity, samples, share, weight, used, offset, slope = problem
    top = x.max(0)
    scaled = jnp.where(used, jnp.exp(jnp.where(used, x - top, 0)), 0)
    total = scaled.sum(0)
    shares = scaled / total
    mixed = jnp.einsum("gp,gpa->pa", shares, jnp.broadcast_to(eigenvalues, (*x.shape, eigenvalues.shape[-1])))
    kappa = offset / total * jnp.exp(-top)
    penalty = jnp.where(used, slope * total * jnp.exp(top) * shares / weight, 0)
    learned, null = projections(eigenvalues, mixed, shares, kappa)
    trace = jnp.einsum("pa,gpa->gp", jnp.broadcast_to(multiplicity, mixed.shape), learned) / samples
    gradient = jnp.where(used, trace - share + penalty, 0)
    left, _ = samples_left(mixed, multiplicity, samples, kappa)
    total_gradient = penalty.sum(0) - left / samples
    cross = jnp.einsum("pa,gpa,hpa->ghp", jnp.broadcast_to(multiplicity, mixed.shape), learned, learned) / samples
    diagonal = jnp.where(used, trace + penalty, 1)
    hessian = jnp.eye(len(x), dtype=x.dtype)[:, :, None] * diagonal - cross
    row = jnp.einsum("pa,gpa,pa->gp", jnp.broadcast_to(multiplicity, mixed.shape), learned, null) / samples + penalty
    return -solve_soft(hessian, row, gradient, total_gradient, share)


def projections(eigenvalues, mixed, shares, kappa):
    """π_g = q_g s_g Q, (G, P, A), and κQ = 1 − Σ_g π_g, (P, A), without a division by zero."""
    finite = jnp.where(jnp.isinf(kappa), 1, kappa)[:, None]
    denominator = finite + mixed
    positive = denominator > 0
    safe = jnp.where(positive, denominator, 1)
    infinite = jnp.isinf(kappa)[:, None]
    null = jnp.where(infinite | ~positive, 1, finite / safe)
    learned = jnp.where(infinite | ~positive, 0, shares[:, :, None] * eigenvalues / safe)
    return learned, null


def solve_soft(hessian, row, right, total, share):
    """Solve H z = y when H is nearly singular along (1, …, 1) but 1ᵀH and 1ᵀy are known accurately.

    hessian (G, G, P), row = 1ᵀH and right = y (G, P), total = 1ᵀy (P,); the source with the largest `share` is
    eliminated last, with its equation replaced by the sum of all. No pivoting: the rest of H is positive definite.
    """
    sources = right.shape[0]
    if sources == 1:
        return (total / row[0])[None]
    order = jnp.argsort(share, axis=0, stable=True)
    right = jnp.take_along_axis(right, order, 0)
    row = jnp.take_along_axis(row, order, 0)
    hessian = jnp.take_along_axis(jnp.take_along_axis(hessian, order[:, None], 0), order[None], 1)
    rows = [jnp.concatenate([hessian[g], right[g][None]]) for g in range(sources - 1)]
    rows.append(jnp.concatenate([row, total[None]]))
    for k in range(sources):
        for g in range(k + 1, sources):
            rows[g] = rows[g] - rows[g][k] / rows[k][k] * rows[k]
    solution = [jnp.zeros_like(total)] * sources
    for k in reversed(range(sources)):
        known = sum((times(rows[k][h], solution[h]) for h in range(k + 1, sources)), jnp.zeros_like(total))
        rest, pivot = rows[k][sources] - known, rows[k][k]
        infinite = jnp.where(rest == 0, 0, jnp.where(rest > 0, jnp.inf, -jnp.inf))
        solution[k] = jnp.where(pivot == 0, infinite, rest / jnp.where(pivot == 0, 1, pivot))
    return jnp.take_along_axis(jnp.stack(solution), jnp.argsort(order, axis=0), 0)


def times(small, large):
    """small · large with 0 · inf = 0 and the usual derivative wherever `large` is finite."""
    void = (small == 0) & jnp.isinf(large)
    return jnp.where(void, 0, small * jnp.where(void, 1, large))


def _descend(problem, settled, x):
    """Damped Newton: a step of length log(1 + 2n)/(2n), n = max|Δx|, never leaves the region of descent."""
    used = problem[5]
    tiny = 8 * jnp.finfo(x.dtype).eps

    def size(step):
        return jnp.max(jnp.where(used, jnp.abs(step), 0), 0)

    def advance(state):
        x, last, done, count = state
        step = _newton(problem, x)
        length = size(step)
        damping = jnp.where(length > 1e-8, jnp.log1p(2 * length) / jnp.where(length > 0, 2 * length, 1), 1)
        stalled = (length < 1e-6) & (length >= last)
        x = jnp.where(used & ~done & ~stalled, x + damping * step, x)
        return x, jnp.where(done, last, length), done | stalled | (length <= tiny), count + 1

    def unfinished(state):
        return (state[3] < ITERATIONS) & ~jnp.all(state[2])

    lanes = x.shape[1:]
    state = (x, jnp.full(lanes, jnp.inf, x.dtype), settled, 0)
    x, last, done, _ = jax.lax.while_loop(unfinished, advance, state)
    return x, done | (last < 1e-10)
