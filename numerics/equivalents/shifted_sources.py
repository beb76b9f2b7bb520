r"""One ridge fit on several sources of different inputs: the fixed point that its deterministic equivalent needs.

Source g has T_g rows with input eigenvalues s_{g,j}, weight ω_g and share p_g = T_g/T of all T rows. The fit is
(Σ_g ω_g S_g + λ)^{-1} Σ_g ω_g X_gᵀ y_g / T, and its resolvent has the equivalent R = (λ + Σ_g η_g Σ_g)^{-1} with

    η_g = p_g ω_g / (1 + ω_g tr(Σ_g R)/T).                                                                  (1)

We write η_g = h q_g with Σ_g q_g = 1 and κ = λ/h, so that h R = Q = (κ + Σ_g q_g Σ_g)^{-1}. Then λ = 0 is an
ordinary point on both sides of T = d: above it κ = 0, below it h = 0. One source has q = 1 and κ the effective ridge.

The equations are the stationarity of a function of x that is *convex*, with η_g = m e^{x_g} and λ = l m,

    Φ(x) = (1/T) Σ_j μ_j log(l + Σ_g e^{x_g} s_{g,j}) − Σ_g p_g x_g + m Σ_g e^{x_g}/ω_g,                    (2)

so damped Newton converges from any start (derived here; ∂Φ/∂x_g = 0 is the equation above). (l, m) = (λ, 1) for
T ≥ d and (1, λ) for T < d. The direction in which all x_g move together is soft near T = d and λ = 0: its gradient
and curvature are formed from T − df without cancellation. Others are soft where some sources alone interpolate and the
rest weigh next to nothing; where rounding moves such an x_g by more than PRECISION, or Φ has no minimum (λ = 0 and a
source that interpolates directions which no other source has), the point counts as not converged.

A source whose inputs are all zero teaches nothing: its q is 0, and it counts neither in T nor in λ's share of it.
"""

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, differentiable, namespace, push_forward, quiet
from modelcollapse.numerics.equivalents.ridge_equation import solve
from modelcollapse.numerics.equivalents.shares import counted, divide, samples_left, times
from modelcollapse.numerics.equivalents.sources import RidgeEquivalent, projections

__all__ = ["several_sources", "solve_soft"]

ITERATIONS = 200
PRECISION = 1e-8


@quiet()
def several_sources(
    eigenvalues: Float[Array, "G #P A"],
    multiplicity: Float[Array, "#P A"],
    rows: Float[Array, "G P"],
    weights: Float[Array, "G P"],
    ridge: Float[Array, " P"],
) -> RidgeEquivalent:
    """κ, q and h of a fit on G sources, at the ridge λ ≥ 0 relative to the T rows.

    Sources without rows, weight or inputs are dropped (q_g = 0), and h is relative to the rows of the others.
    Derivatives of every order are exact.
    """
    xp = namespace(eigenvalues, multiplicity, rows, weights, ridge)
    everything = rows.sum(0)
    used = (rows > 0) & (weights > 0) & xp.any((eigenvalues > 0) & (multiplicity > 0), -1)
    idle = ~xp.any(used, 0)
    rows = xp.where(used | idle, rows, 0)
    samples = rows.sum(0)
    ridge = ridge * (everything / samples)
    share = xp.where(used, rows, 0) / samples
    weight = xp.where(used, weights, 1)
    trust = xp.where(idle, 1, xp.sum(share * weight, 0))
    guess = share * weight / trust
    pooled = (guess[:, :, None] * eigenvalues).sum(0)
    start, ok = solve(pooled, multiplicity, samples, ridge / trust)
    null = xp.isinf(start)
    start = xp.where(null, 1, start)
    left, _ = samples_left(pooled, multiplicity, samples, start)

    directions = counted(xp.sum(xp.where(pooled > 0, multiplicity, 0), -1))
    below = samples < directions
    critical = (samples == directions) & (ridge == 0)
    settled = critical | null | idle
    finite = xp.where(null, 1, ridge)
    offset, slope = xp.where(below, 1, finite), xp.where(below, finite, 1)

    positive = xp.where(start > 0, start, 1)
    level = xp.where(below, 1 / positive, xp.where(start > 0, finite / positive, trust * left / samples))
    x = xp.log(xp.where(used, guess, 1)) + xp.log(xp.where(settled, 1, level))
    x = xp.where(used, xp.stop_gradient(x), -np.inf)
    x, converged = _settle(eigenvalues, multiplicity, samples, share, weight, offset, slope, settled * 1.0, x)

    top = xp.where(idle, 0, xp.max(x, 0))
    parts = xp.where(used, xp.exp(xp.where(used, x - top, 0)), 0)
    total = xp.where(idle, 1, parts.sum(0))
    kappa = xp.where(critical, 0, offset / total * xp.exp(-top))
    scale = xp.where(critical, 0, slope * total * xp.exp(top))
    return RidgeEquivalent(
        xp.where(null, np.inf, xp.where(idle, ridge, kappa)),
        xp.where(critical | null, share, parts / total),
        xp.where(null | idle, 1, scale),
        ok & (converged | settled),
    )


def _settle_rule(arguments, results, tangents):
    """That of one Newton step from x, as the gradient is zero there; x is named, so higher orders follow."""
    *problem, settled, _ = arguments
    x, _ = results
    xp = namespace(*arguments, *tangents)
    moved = push_forward(lambda *problem: _newton(problem, x), problem, tangents[:7])
    return xp.where((arguments[3] > 0) & (settled == 0), moved, 0), None


@differentiable(_settle_rule)
def _settle(eigenvalues, multiplicity, samples, share, weight, offset, slope, settled, start):
    """The stationary point x of Φ, and whether it was found; lanes that are settled keep their start.

    Damped Newton: a step of length log(1 + 2n)/(2n), n = max|Δx|, never leaves the region of descent.
    """
    problem = eigenvalues, multiplicity, samples, share, weight, offset, slope
    xp, tiny = namespace(*problem, start), 8 * np.finfo(start.dtype).eps
    used, settled = share > 0, settled > 0

    def size(step):
        return xp.max(xp.where(used, xp.abs(step), 0), 0)

    def advance(state):
        x, last, done, count = state
        step = _newton(problem, x)
        length = size(step)
        damping = xp.where(length > 1e-8, xp.log1p(2 * length) / xp.where(length > 0, 2 * length, 1), 1)
        stalled = (length < 1e-6) & (length >= last)
        x = xp.where(used & ~done & ~stalled, x + damping * step, x)
        return x, xp.where(done, last, length), done | stalled | (length <= tiny), count + 1

    def unfinished(state):
        return (state[3] < ITERATIONS) & ~xp.all(state[2])

    state = (start, xp.full_like(start[0], np.inf), settled, 0)
    x, last, done, _ = xp.while_loop(unfinished, advance, state)
    for _ in range(2):
        x = xp.where(used & ~settled, x + _newton(problem, x), x)
    return x, (done | (last < 1e-10)) & (size(_newton(problem, x, rounding=True)) < PRECISION)


def _newton(problem, x, rounding=False):
    """The Newton step of Φ at x; with `rounding` a bound of what rounding of the gradient moves x by."""
    eigenvalues, multiplicity, samples, share, weight, offset, slope = problem
    xp = namespace(*problem, x)
    used = share > 0
    top = x.max(0)
    scaled = xp.where(used, xp.exp(xp.where(used, x - top, 0)), 0)
    total = scaled.sum(0)
    shares = scaled / total
    mixed = (shares[:, :, None] * eigenvalues).sum(0)
    multiplicity = xp.broadcast_to(multiplicity, mixed.shape)
    kappa = offset / total * xp.exp(-top)
    penalty = xp.where(used, slope * total * xp.exp(top) * shares / weight, 0)
    learned, null = projections(eigenvalues, mixed, shares, kappa)
    trace = (multiplicity * learned).sum(-1) / samples
    cross = xp.einsum("pa,gpa,hpa->ghp", multiplicity, learned, learned) / samples
    hessian = xp.where(np.eye(len(x), dtype=bool)[:, :, None], xp.where(used, trace + penalty, 1), 0) - cross
    row = (multiplicity * learned * null).sum(-1) / samples + penalty
    gradient = xp.where(used, trace - share + penalty, 0)
    left, _ = samples_left(mixed, multiplicity, samples, kappa)
    total_gradient = penalty.sum(0) - left / samples
    step = -solve_soft(hessian, row, gradient, total_gradient, share)
    if not rounding:
        return step
    noise = np.finfo(x.dtype).eps * xp.where(used, trace + share + penalty, 0)
    return xp.abs(step) + xp.abs(solve_soft(hessian, row, noise, noise.sum(0) * 0 + row.sum(0) * 1e-15, share))


def solve_soft(hessian, row, right, total, share):
    """Solve H z = y when H is nearly singular along (1, …, 1) but 1ᵀH and 1ᵀy are known accurately.

    hessian (G, G, P), row = 1ᵀH and right = y (G, P), total = 1ᵀy (P,); the source with the largest `share` is
    eliminated last, with its equation replaced by the sum of all. No pivoting: the rest of H is positive definite.
    """
    xp = namespace(hessian, row, right, total)
    sources = right.shape[0]
    order = xp.argsort(share, axis=0, stable=True)
    right = xp.take_along_axis(right, order, 0)
    row = xp.take_along_axis(row, order, 0)
    hessian = xp.take_along_axis(xp.take_along_axis(hessian, order[:, None], 0), order[None], 1)
    rows = [xp.concatenate([hessian[g], right[g][None]]) for g in range(sources - 1)]
    rows.append(xp.concatenate([row, total[None]]))
    for k in range(sources):
        for g in range(k + 1, sources):
            rows[g] = rows[g] - rows[g][k] / rows[k][k] * rows[k]
    solution = [xp.zeros_like(total)] * sources
    for k in reversed(range(sources)):
        known = sum((times(rows[k][h], solution[h]) for h in range(k + 1, sources)), xp.zeros_like(total))
        rest, pivot = rows[k][sources] - known, rows[k][k]
        solution[k] = divide(rest, pivot, xp.where(rest == 0, 0.0, xp.sign(rest) * np.inf))
    return xp.take_along_axis(xp.stack(solution), xp.argsort(order, axis=0), 0)
