r"""Model size: a ridge fit on m random features z = Fx, F with independent N(0, 1/m) entries, fresh for each fit.

ŵ = Fᵀv with v = argmin (1/T)‖y − XFᵀv‖² + λ‖v‖²; least squares, or of least norm in v, for λ = 0.

**Effective ridge.** κ solves λ = κ (1 − df_1/T)(1 − df_1/m) with df_1 < min(T, m). Let N be the smaller and M the
larger of T and m, and x = 1 − df_1/N. The other factor is αx + β, α = N/M, β = 1 − N/M, so x is known from λ/κ,

    αx² + βx = λ/κ,      and      h(u) = N − df_1(κ) − N x(λ/κ),   u = log κ,

increases from 0 at the root with |h''| ≤ h', as in `ridge_equation`, whose bounds and steps serve here. m = ∞ has
x = λ/κ and is that equation. Both factors follow from λ/κ alone, without a difference of nearly equal numbers.

**Moments.** Given F the fit is a ridge fit with covariance FΣFᵀ, and FᵀF is a sample covariance of m samples: the
two-point equivalent is applied twice. With p = s/(s+κ), q = 1 − p, label moments E w_j = a_j w0_j, c_j = E w_j²,

    Ω = m − df_2,   ϱ = (m − df_1)/Ω,   T(1 − γ) = T − df_1 + ϱ(df_1 − df_2),
    v = [Σ_j s_j c_j q_j² + σ² + (Σ_j s_j q_j²/Ω) Σ_i p_i² c_i] / (T(1 − γ)),

the new predictor has mean p_j a_j w0_j and second moment

    E ŵ_j² = p_j² c_j + v s_j/(s_j+κ)² + (q_j²/Ω) Σ_i [p_i² c_i + v s_i/(s_i+κ)²].

In words: the ridge predictor of effective ridge κ, whose squared length divided by Ω is spread over all directions in
proportion to q². All terms are positive. m = ∞ is the generation map of `steps`. The test error that follows is that
of Dohmatob, Feng, Subramonian, Kempe, arXiv 2410.04840, Theorem 2, and Atanasov, Zavatone-Veth, Pehlevan 2024; the
moments per direction, and with them errors on shifted test inputs and fits on labels of such fits, are derived here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from modelcollapse.numerics import ridge_equation, steps
from modelcollapse.numerics.functionals import atom_sums, counted, in_range, samples_left, shares
from modelcollapse.numerics.sources import projections
from modelcollapse.numerics.steps import Moments

__all__ = ["effective_ridge", "feature_step", "unused"]

ITERATIONS = 100


class _State(NamedTuple):
    kappa: jax.Array
    low: jax.Array
    high: jax.Array
    halved: jax.Array
    done: jax.Array


def _ordered(samples, features):
    """N = min(T, m), α = N/M and β = 1 − N/M; the order is taken by T ≤ m, so that derivatives hold at T = m."""
    fewer = samples <= features
    least, most = jnp.where(fewer, samples, features), jnp.where(fewer, features, samples)
    endless = jnp.isinf(most)
    return least, least / most, jnp.where(endless, 1, (most - least) / jnp.where(endless, 1, most))


def _smaller_factor(alpha, beta, share):
    """x ≥ 0 of αx² + βx = λ/κ, and the root of the discriminant √(β² + 4αλ/κ)."""
    square = beta**2 + 4 * alpha * share
    root = jnp.sqrt(jnp.where(square > 0, square, 1)) * (square > 0)
    return 2 * share / jnp.where(square > 0, beta + root, 1), root


def _times(left, right):
    """left · right with 0 · inf = inf · 0 = 0 and the usual derivatives wherever both are finite."""
    void = ((left == 0) & jnp.isinf(right)) | (jnp.isinf(left) & (right == 0))
    return jnp.where(void, 0, jnp.where(void, 1, left) * jnp.where(void, 1, right))


def unused(eigenvalues, multiplicity, samples, features, ridge, kappa):
    """(1 − df_1/T, 1 − df_1/m), each (P,), at the effective ridge κ of λ = `ridge`; to the accuracy of κ.

    >>> s, one = jnp.array([[3.0, 1.0]]), jnp.ones((1, 2))
    >>> samples, features, ridge = jnp.array([5.0]), jnp.array([1.5]), jnp.array([0.2])
    >>> kappa, _ = effective_ridge(s, one, samples, features, ridge)
    >>> of_samples, of_features = unused(s, one, samples, features, ridge, kappa)
    >>> bool(jnp.allclose(of_samples, 1 - (s / (s + kappa)).sum() / samples, rtol=1e-5))
    True
    """
    least, alpha, beta = _ordered(samples, features)
    null, least_squares = jnp.isinf(kappa), kappa == 0
    finite = jnp.where(null | least_squares, 1, kappa)
    small, _ = _smaller_factor(alpha, beta, jnp.where(null, 1, in_range(ridge) / finite))
    left, _ = samples_left(eigenvalues, multiplicity, least, jnp.zeros_like(finite))
    small = jnp.where(least_squares, left / least, small)
    large = alpha * small + beta
    fewer = samples <= features
    return jnp.where(fewer, small, large), jnp.where(fewer, large, small)


def _root(eigenvalues, multiplicity, samples, features, ridge):
    dtype = jnp.result_type(eigenvalues, multiplicity, samples, features, ridge)
    limits = jnp.finfo(dtype)
    eigenvalues, multiplicity, samples, features, ridge = (
        jnp.asarray(x, dtype) for x in (eigenvalues, multiplicity, samples, features, ridge)
    )
    eigenvalues, finite_ridge = in_range(eigenvalues), in_range(ridge)
    least, alpha, beta = _ordered(samples, features)

    positive = (eigenvalues > 0) & (multiplicity > 0)
    dimension, trace = atom_sums(jnp.where(positive, multiplicity, 0), multiplicity * eigenvalues)
    dimension = counted(dimension)
    empty = dimension == 0
    mean = jnp.where(empty, 0, trace / jnp.where(empty, 1, dimension))
    smallest = jnp.minimum(jnp.min(jnp.where(positive, eigenvalues, jnp.inf), axis=-1), mean)
    vanishes = (finite_ridge == 0) & (least >= dimension)
    known = vanishes | (ridge > limits.max / 16)

    # the larger factor lies between β and 1; df_1 ≤ N/2 and x ≤ 1/2 at the second upper bound
    at_most = jnp.where(finite_ridge > 0, finite_ridge / jnp.maximum(beta, limits.tiny), 0)
    flat = ridge_equation._flat(mean, dimension, least, jnp.minimum(at_most, limits.max / 16))
    half = jnp.maximum(2 * trace / least, finite_ridge / (alpha / 4 + beta / 2))
    low = jnp.maximum(ridge_equation._flat(smallest, dimension, least, finite_ridge), 4 * limits.tiny)
    low = jnp.maximum(low, finite_ridge)
    high = jnp.maximum(jnp.minimum(flat, half), low)

    def improve(state):
        kappa, low, high = state.kappa, state.low, state.high
        fitted, lost = shares(eigenvalues, kappa[:, None])
        both = multiplicity * fitted * lost
        slope, curvature = atom_sums(both, both * (fitted - lost))
        left, _ = samples_left(eigenvalues, multiplicity, least, kappa)
        share = finite_ridge / kappa
        small, root = _smaller_factor(alpha, beta, share)
        root = jnp.where(root > 0, root, 1)
        falling = least * share / root
        h, slope = left - least * small, jnp.maximum(slope + falling, limits.tiny)
        curvature = curvature - falling * (1 - 2 * alpha * share / root**2)

        newton = -h / slope
        size = jnp.minimum(jnp.abs(newton), 1 / limits.eps**2)
        at_least, at_most = 1 + size, jnp.where(size < 1, 1 / jnp.where(size < 1, 1 - size, 1), jnp.inf)
        new_low = jnp.maximum(low, jnp.where(h > 0, kappa / at_most, kappa * at_least))
        new_high = jnp.minimum(high, jnp.where(h > 0, kappa / at_least, kappa * at_most))

        near = size < 0.5
        halley = newton / jnp.where(near, 1 + newton * (curvature / slope) / 2, 1)
        far = ridge_equation._far_step(least, h, slope, curvature)
        proposal = kappa * jnp.exp(jnp.where(near, halley, far))
        done = near & (jnp.abs(halley) < limits.eps ** (1 / 3) / 2)
        trusted = (near | state.halved) & (new_low <= proposal) & (proposal <= new_high)
        new = jnp.where(done | trusted, proposal, jnp.sqrt(new_low) * jnp.sqrt(new_high))
        halved = ridge_equation._width(new_low, new_high) < ridge_equation._width(low, high) / 2
        done |= new_high <= new_low * (1 + 4 * limits.eps)
        fresh = _State(new, new_low, new_high, halved, done)
        return _State(*(jnp.where(state.done, old, x) for old, x in zip(state, fresh, strict=True)))

    def step(carry):
        passes, state = carry
        return passes + 1, improve(state)

    def unfinished(carry):
        passes, state = carry
        return (passes < ITERATIONS) & jnp.any(~state.done)

    start = _State(high, low, high, jnp.ones_like(known), known | empty)
    passes, end = lax.while_loop(unfinished, step, (0, start))
    return jnp.where(known, jnp.where(vanishes, 0, ridge), end.kappa), end.done, passes


@jax.custom_jvp
def effective_ridge(eigenvalues, multiplicity, samples, features, ridge):
    r"""The effective ridge of random features, and whether each point converged: (kappa (P,), converged (P,) bool).

    eigenvalues, multiplicity: (P, A) or (1, A), not negative; zeros pad and count for nothing.
    samples: (P,), positive and finite. features: (P,), positive; ∞ is `ridge_equation.solve`.
    ridge: (P,), in [0, ∞]; ∞ gives κ = ∞, the null model.

    κ = 0 for ridge = 0 and min(T, m) ≥ d. Differentiable in both modes. The derivative in the ridge is infinite at
    ridge = 0 for T = m < d and for min(T, m) = d; the dtype's largest number stands there for infinity, so that a zero
    times it is zero.

    >>> s, one = jnp.array([[1.0, 0.5, 0.1]]), jnp.ones((1, 3))
    >>> kappa, converged = effective_ridge(s, one, jnp.array([2.0]), jnp.array([4.0]), jnp.array([0.3]))
    >>> df = (s / (s + kappa)).sum()
    >>> bool(jnp.allclose(kappa * (1 - df / 2) * (1 - df / 4), 0.3))
    True
    """
    return _root(eigenvalues, multiplicity, samples, features, ridge)[:2]


@effective_ridge.defjvp
def _effective_ridge_jvp(primals, tangents) -> Any:
    eigenvalues, multiplicity, samples, features, ridge = primals
    d_eigenvalues, d_multiplicity, d_samples, d_features, d_ridge = tangents
    kappa, converged = effective_ridge(*primals)
    of_samples, of_features = unused(eigenvalues, multiplicity, samples, features, ridge, kappa)
    eigenvalues = in_range(eigenvalues)
    fitted, lost = shares(eigenvalues, in_range(kappa)[:, None])
    removed, spread = atom_sums(multiplicity * eigenvalues * lost, multiplicity * fitted * lost)
    moved = jnp.sum(lost * (eigenvalues * d_multiplicity + multiplicity * lost * d_eigenvalues), axis=-1)

    by_samples, by_features = of_features / samples, of_samples / features
    both = by_samples + by_features  # −∂(λ/κ)/∂df_1
    void = both == 0
    both = jnp.where(void, 1, both)
    part = jnp.where(void, 0.5, by_samples / both)
    slope = of_samples * of_features / both + spread
    shrunk = removed * (part / samples * d_samples + (1 - part) / features * d_features)
    rest = (moved - shrunk) / jnp.where(slope > 0, slope, jnp.inf)
    steep = jnp.where(void, 0, slope * both)
    most = jnp.finfo(steep.dtype).max
    by_ridge = jnp.where(steep > 1 / most, 1 / jnp.where(steep > 1 / most, steep, 1), most)
    return (kappa, converged), (by_ridge * d_ridge + rest, np.zeros(converged.shape, jax.dtypes.float0))


def feature_step(atoms, inputs, samples, features, doubt, ridge, exact, start):
    """A fit on random features of one source.

    Parameters
    ----------
    atoms : Atoms
    inputs : (P or 1, A), eigenvalues of the source's inputs
    samples, features, doubt, ridge : (P,), rows T, features m in (0, ∞], variance of the label noise, λ over the weight
    exact : bool ()
        Use the exact inverse-Wishart mean for least squares (ridge 0) on T > min(m, d) rows: T − min(m, d) − 1 in place
        of T − min(m, d). What depends on F stays the equivalent for m < d.
    start : Moments (P, A) of the label model

    Returns
    -------
    Moments (P, A) of the fit, the projection p (P, A) by which covariances with other predictors follow, and
    `converged` (P,). Bias and variance of the test error, on shifted test inputs too, are `steps.readout` of them.

    The variance is infinite where T(1 − γ) = 0 (no ridge, T = m < d or T = d ≤ m) and there is noise or missed signal.

    >>> s, one = jnp.array([[1.0]]), jnp.array([1.0])
    >>> atoms = steps.Atoms(s, s, 100 * s, s)
    >>> truth = Moments(s, 0 * s, 0 * s)
    >>> fit, *_ = feature_step(atoms, s, 150 * one, 40 * one, 0 * one, 0 * one, False, truth)
    >>> bias, variance = steps.readout(atoms, s, fit)
    >>> bool(jnp.allclose(bias + variance, (1 - 40 / 100) / (1 - 40 / 150)))  # missed signal is noise to m features
    True
    """
    kappa, converged = effective_ridge(inputs, atoms.multiplicity, samples, features, ridge)
    of_samples, of_features = unused(inputs, atoms.multiplicity, samples, features, ridge, kappa)
    null_model = jnp.isinf(kappa)
    finite = jnp.where(null_model, 1, kappa)
    spread = jnp.broadcast_to(inputs, (len(samples), inputs.shape[-1]))
    learned, null = projections(inputs[None], spread, jnp.ones_like(kappa)[None], kappa)
    learned = learned[0]
    denominator = finite[:, None] + spread
    kernel = jnp.where(denominator > 0, 1 / jnp.where(denominator > 0, denominator, 1), 0)
    unresolved, per_noise = atom_sums(
        atoms.multiplicity * learned * null * (spread > 0), atoms.multiplicity * learned * kernel
    )

    spare = of_features + unresolved / features  # Ω/m
    leak = steps.ratio(1 / features, spare)
    left = samples * of_samples + of_features / jnp.where(spare > 0, spare, 1) * unresolved

    scatter = _times(leak, steps.energy(atoms, learned**2, start.ratio, start.variance))
    missed = _times(null**2, start.variance + _times(atoms.scale, scatter[:, None]))
    risk = steps.energy(atoms, inputs, null * start.ratio, missed) + doubt
    more = left > 1
    wishart = exact & (ridge == 0) & ((kappa == 0) | (features < samples))
    inflation = jnp.where(more, left / jnp.where(more, left - 1, 1), jnp.inf)
    gain = _times(steps.ratio(risk, left), jnp.where(wishart, inflation, 1))
    gain = jnp.where(null_model, 0, gain)

    scatter = scatter + _times(gain, _times(leak, per_noise))
    fresh = _times(atoms.scale * learned * kernel, gain[:, None])
    spilled = _times(atoms.scale * null**2, scatter[:, None])
    variance = _times(learned**2, start.variance) + fresh + spilled
    return Moments(learned * start.ratio, learned * start.deficit + null, variance), learned, converged
