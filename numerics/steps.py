r"""One step of a pipeline: how a fit changes the first and second moments of the predictors.

Every predictor of a pipeline has, in the eigendirection j of the input covariance, a mean that is a multiple of the
signal, E w_j = a_j w0_j, and a covariance with every other predictor. We carry

    a_j,   b_j = 1 − a_j   (both, so that neither loses digits),   V_j = scale_j · Cov(w_j, w'_j),

with scale_j the largest eigenvalue that any input distribution of the pipeline has in direction j, so that V stays
bounded where plain covariances grow like 1/s_j. The expectation of a squared linear form in the predictors is
the sum of (mean coefficient)²·θ_j (signal energy θ) and of a quadratic form in V times the multiplicity μ_j.

Fit on G sources (derived here; with one source it contains Theorem 1 of Dohmatob, Feng, Kempe 2024, with several the
ridge theorem of Dohmatob, Feng, Subramonian, Kempe 2024). With κ, q, h, Q and p_g of `sources` and
π_g = q_g s_g Q, the mean of the new predictor given the label models is w̄ = Σ_g π_g w_g. Let

    ρ_g = E‖w̄ − w_g‖²_{Σ_g} + σ_g²                      the risk of w̄ on source g,
    v   = (1/T) q ∘ H^{-1}(q ∘ ρ),  H = diag(p) − (q_g q_h tr Σ_g Q Σ_h Q / T)_{gh}.

The new predictor is w̄ plus noise, independent of everything else, with covariance Σ_h v_h Q Σ_h Q. For one source,
v = ρ/(T − df_2(κ)) and Q = (Σ + κ)^{-1}: the generation map

    a ← p a,   E w² ← p² E w² + v s/(s+κ)²,   p = s/(s+κ),   v = [κ² Σ_j s_j E w_j²/(s_j+κ)² + σ²]/(T − df_2).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modelcollapse.numerics.functionals import samples_left
from modelcollapse.numerics.ridge_equation import solve
from modelcollapse.numerics.sources import Trust, projections, solve_soft, times

__all__ = [
    "Atoms",
    "Moments",
    "accumulate",
    "chain",
    "clean_accumulate",
    "clean_chain",
    "combine",
    "energy",
    "energy_by_atom",
    "fit",
    "mixture",
    "readout",
    "variance_of",
]


class Atoms(NamedTuple):
    """A spectrum, arrays (P or 1, A): eigenvalues, signal, multiplicity and the scale of covariances."""

    eigenvalues: Any
    signal: Any
    multiplicity: Any
    scale: Any


class Moments(NamedTuple):
    """One predictor, arrays (P, A): mean ratio a, deficit b = 1 − a, scaled variance V."""

    ratio: Any
    deficit: Any
    variance: Any


def ratio(numerator, denominator):
    """numerator / denominator ≥ 0 with 0 / 0 = 0 and x / 0 = inf."""
    zero = denominator == 0
    at_zero = jnp.where(numerator == 0, 0, jnp.inf)
    return jnp.where(zero, at_zero, numerator / jnp.where(zero, 1, denominator))


def energy_by_atom(atoms, inputs, mean, variance):
    """inputs_j (mean_j² θ_j + μ_j variance_j), variance in units of `scale`: (P, A)."""
    relative = jnp.where(inputs > 0, inputs / jnp.where(atoms.scale > 0, atoms.scale, 1), 0)
    return inputs * mean**2 * atoms.signal + times(relative * atoms.multiplicity, variance)


def energy(atoms, inputs, mean, variance):
    """Σ_j inputs_j (mean_j² θ_j + μ_j variance_j), variance in units of `scale`: (P,)."""
    return jnp.sum(energy_by_atom(atoms, inputs, mean, variance), -1)


def variance_of(coefficients, models, joint):
    """Scaled variance of Σ_h coefficients_h w_h, infinite if one with weight is: (P, A)."""
    squares = [times(c**2, model.variance) for c, model in zip(coefficients, models, strict=True)]
    crossed = [times(2 * coefficients[g] * coefficients[h], value) for (g, h), value in joint.items()]
    diagonal = sum(squares[1:], squares[0])
    return jnp.where(jnp.isinf(diagonal), jnp.inf, sum(crossed, diagonal))


def fit(atoms, inputs, trust, rows, noise, weights, ridge, exact, models, joint):
    """A fit on G sources, given its equivalent.

    Parameters
    ----------
    inputs : (G, P or 1, A), eigenvalues of each source's inputs
    trust : Trust
    rows, noise, weights : (G, P)
    ridge : (P,)
    exact : bool ()
        Use the exact inverse-Wishart mean for least squares on sources alike but for their labels.
    models : tuple of G Moments
    joint : dict (g, h), g > h, of scaled covariances (P, A) of the label models; missing ones are zero

    Returns
    -------
    Moments of the fit, and the projections π (G, P, A) by which covariances with other predictors follow.
    """
    kappa, shares, scale, _ = trust
    sources, samples = len(models), rows.sum(0)
    part, used = rows / samples, shares > 0
    spread = jnp.broadcast_to(inputs, (sources, len(samples), inputs.shape[-1]))
    mixed = jnp.einsum("gp,gpa->pa", shares, spread)
    multiplicity = jnp.broadcast_to(atoms.multiplicity, mixed.shape)
    learned, null = projections(inputs, mixed, shares, kappa)
    ratios = jnp.stack([m.ratio for m in models])
    deficits = jnp.stack([m.deficit for m in models])

    risks = []
    for g in range(sources):
        others = [h for h in range(sources) if h != g]
        mean = sum((learned[h] * (deficits[g] - deficits[h]) for h in others), -null * ratios[g])
        own = -sum((learned[h] for h in others), null)
        doubt = variance_of([own if h == g else learned[h] for h in range(sources)], models, joint)
        risks.append(energy(atoms, inputs[g], mean, doubt) + noise[g] ** 2)
    risk = jnp.stack(risks)

    infinite = jnp.isinf(kappa)
    finite = jnp.where(infinite, 1, kappa)
    _, left = samples_left(mixed, multiplicity, samples, finite)
    if sources == 1:
        gain = ratio(risk, left)
    else:
        cross = jnp.einsum("pa,gpa,hpa->ghp", multiplicity, learned, learned) / samples
        hessian = jnp.eye(sources, dtype=risk.dtype)[:, :, None] * jnp.where(used, part, 1) - cross
        penalty = scale * shares / jnp.where(used, weights, 1)
        row = jnp.einsum("pa,gpa,pa->gp", multiplicity, learned, null) / samples + penalty
        right = shares * jnp.where(used, risk, 0)
        gain = shares * solve_soft(hessian, row, right, right.sum(0), part) / samples
    alike = jnp.all(~used[:, :, None] | (jnp.abs(spread - mixed) <= 1e-12 * mixed), (0, 2))
    alike &= jnp.all(jnp.abs(shares - part) <= 1e-12, 0)
    wishart = exact & alike & (ridge == 0) & (kappa == 0)
    more = left > 1
    inflation = jnp.where(more, left / jnp.where(more, left - 1, 1), jnp.inf)
    gain = times(gain, jnp.where(wishart, inflation, 1))
    gain = jnp.where(infinite, 0, gain)

    denominator = finite[:, None] + mixed
    kernel = jnp.where(denominator > 0, 1 / jnp.where(denominator > 0, denominator, 1), 0)
    fresh = times(spread * (jnp.sqrt(atoms.scale) * kernel) ** 2, gain[:, :, None]).sum(0)
    moments = Moments(
        (learned * ratios).sum(0), (learned * deficits).sum(0) + null, variance_of(list(learned), models, joint) + fresh
    )
    return moments, learned


def combine(learned, covariances):
    """Covariance of a new predictor with an older one: Σ_g π_g Cov(w_g, older), with None for zero."""
    terms = [times(p, value) for p, value in zip(learned, covariances, strict=True) if value is not None]
    return sum(terms[1:], terms[0])


def mixture(coefficients, models, joint):
    """Σ_k c_k w_k: coefficients (K, P). Returns its Moments and the coefficients as projections (K, P, 1)."""
    weights = coefficients[:, :, None]
    ratios = sum(c * m.ratio for c, m in zip(weights, models, strict=True))
    missing = 1 - coefficients.sum(0)
    deficits = sum(c * m.deficit for c, m in zip(weights, models, strict=True)) + missing[:, None]
    return Moments(ratios, deficits, variance_of(list(weights), models, joint)), weights


def _one_fit(atoms, samples, noise, ridge, exact, start, kappa):
    """A fit on one source with unit weight and unshifted inputs."""
    trust = Trust(kappa, jnp.ones_like(kappa)[None], kappa, kappa)
    one = jnp.ones_like(samples)[None]
    moments, learned = fit(
        atoms, atoms.eigenvalues[None], trust, samples[None], noise[None], one, ridge, exact, (start,), {}
    )
    return moments, learned[0]


def _repeat(count, length, body, state):
    """`body` for k = 0 .. max(count) − 1, masked per lane; a static `length` allows reverse differentiation."""

    def masked(k, state):
        new = body(k, state)
        return jnp.where((k < count)[:, None], new, state)

    if length is None:
        return jax.lax.fori_loop(0, jnp.max(count).astype(int), masked, state)
    return jax.lax.scan(lambda carry, k: (masked(k, carry), None), state, jnp.arange(length))[0]


def chain(atoms, generations, samples, noise, ridge, exact, start, length=None):
    """n generations of fits with the same numbers (P,). Returns Moments, the projection p^n (P, A), converged (P,).

    Means shrink by p^n = (s/(s+κ))^n. Least-squares generations (κ = 0) add n equal increments of variance; others
    iterate the generation map of this module on the variance.
    """
    s, kappa_and_ok = atoms.eigenvalues, solve(atoms.eigenvalues, atoms.multiplicity, samples, ridge)
    kappa, converged = kappa_and_ok
    infinite = jnp.isinf(kappa)
    finite = jnp.where(infinite, 1, kappa)[:, None]
    one_learned, one_null = projections(
        s[None], jnp.broadcast_to(s, (len(samples), s.shape[-1])), jnp.ones_like(kappa)[None], kappa
    )
    learned, null = one_learned[0], one_null
    alive = learned > 0
    decay = jnp.where(alive, -jnp.log1p(finite / jnp.where(s > 0, s, 1)), -1)

    def survival(k):
        """p^k and 1 − p^k."""
        k = jnp.broadcast_to(k, kappa.shape)[:, None]
        exponent = k * decay
        return (
            jnp.where(alive, jnp.exp(exponent), jnp.where(k > 0, 0, 1)),
            jnp.where(alive, -jnp.expm1(exponent), jnp.where(k > 0, 1, 0)),
        )

    kept, lost = survival(generations)
    _, left = samples_left(s, atoms.multiplicity, samples, finite[:, 0])
    wishart = exact & (ridge == 0) & (kappa == 0)
    left = jnp.where(wishart, jnp.maximum(left - 1, 0), left)
    denominator = finite + s
    kernel = jnp.where(denominator > 0, 1 / jnp.where(denominator > 0, denominator, 1), 0)
    shape = jnp.where(infinite[:, None], 0, s * (jnp.sqrt(atoms.scale) * kernel) ** 2)

    least_squares = kappa == 0
    total = ratio(generations * noise**2, left)[:, None]

    def advance(k, variance):
        mean = null * survival(k)[0] * start.ratio
        risk = energy(atoms, s, mean, times(null**2, variance)) + noise**2
        return times(learned**2, variance) + times(shape, ratio(risk, left)[:, None])

    iterated = _repeat(jnp.where(least_squares, 0, generations), length, advance, start.variance)
    added = times(jnp.where(s > 0, shape, 0), total) + start.variance
    variance = jnp.where(least_squares[:, None], added, iterated)
    variance = jnp.where((s > 0) | (generations == 0)[:, None], variance, 0)
    return Moments(kept * start.ratio, kept * start.deficit + lost, variance), kept, converged


def clean_chain(atoms, generations, samples, noise, ridge, exact, start):
    """The last generation of a chain had the truth labelled its data; `start` if there is none."""
    kappa, converged = solve(atoms.eigenvalues, atoms.multiplicity, samples, ridge)
    return _truth_fit(atoms, generations, samples, noise, ridge, exact, start, kappa, converged)


def clean_accumulate(atoms, rounds, samples, noise, penalty, exact, start):
    """The last accumulated fit had the truth labelled all of its rows; `start` if there is none."""
    rows = samples * jnp.maximum(rounds, 1)
    kappa, converged = solve(atoms.eigenvalues, atoms.multiplicity, rows, penalty / rows)
    return _truth_fit(atoms, rounds, rows, noise, penalty / rows, exact, start, kappa, converged)


def _truth_fit(atoms, count, samples, noise, ridge, exact, start, kappa, converged):
    still = jnp.zeros_like(start.ratio)
    fitted, learned = _one_fit(atoms, samples, noise, ridge, exact, Moments(still + 1, still, still), kappa)
    some = (count > 0)[:, None]
    moments = jax.tree.map(lambda new, old: jnp.where(some, new, old), fitted, start)
    return moments, jnp.where(some, 0, jnp.ones_like(learned)), converged


def accumulate(atoms, rounds, samples, noise, penalty, exact, start, length=None):
    """k fits on all data so far with unnormalised ridge Λ. Returns Moments, the projection of `start`, converged.

    ŵ_k = ŵ_{k−1} + (A_k + Λ)^{-1} X_kᵀ ε_k exactly, A_k = Σ_{g≤k} X_gᵀX_g: after the first fit the mean stays, and with
    N_g = gT, κ_g = κ(Λ/N_g, N_g), round g ≥ 2 adds (derived here; least squares: Gerstgrasser et al. 2024)

        Var ŵ_{k,j} += σ² (T/N_g) s_j/(s_j + κ_g)² / (N_g − df_2(κ_g)).
    """
    s = atoms.eigenvalues
    kappa, converged = solve(s, atoms.multiplicity, samples, penalty / samples)
    first, learned = _one_fit(atoms, samples, noise, penalty / samples, exact, start, kappa)

    def advance(k, variance):
        rows = samples * (k + 2)
        kappa, _ = solve(s, atoms.multiplicity, rows, penalty / rows)
        still = jnp.zeros_like(first.ratio)
        fresh, _ = _one_fit(atoms, rows, noise, penalty / rows, exact, Moments(still, still, still), kappa)
        return variance + fresh.variance / (k + 2)

    variance = _repeat(rounds - 1, length, advance, first.variance)
    some = (rounds > 0)[:, None]
    moments = jax.tree.map(lambda new, old: jnp.where(some, new, old), first._replace(variance=variance), start)
    return moments, jnp.where(some, learned, 1), converged


def readout(atoms, inputs, moments):
    """Bias and variance of a predictor on test inputs with eigenvalues `inputs` (P or 1, A): two (P,)."""
    still = jnp.zeros_like(moments.variance)
    return energy(atoms, inputs, moments.deficit, still), energy(atoms, inputs, still, moments.variance)
