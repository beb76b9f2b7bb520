r"""A ridge fit on one or several sources: how it changes the moments of the predictors.

With κ, q, h of `equivalents`, Q = (Σ_g q_g Σ_g + κ)^{-1}, p_g the shares in the rows T and π_g = q_g s_g Q, the mean of
the new predictor given the label models is w̄ = Σ_g π_g w_g, 1 − Σ_g π_g = κQ. Let

    ρ_g = E‖w̄ − w_g‖²_{Σ_g} + σ_g²,    w̄ − w_g = Σ_h π_h (w_h − w_g) − κQ w_g,                             (1)
    v   = (1/T) q ∘ H^{-1}(q ∘ ρ),      H = diag(p) − (q_g q_h tr Σ_g Q Σ_h Q / T)_{gh}.                     (2)

The new predictor is w̄ plus noise, independent of everything else, with covariance Σ_h v_h Q Σ_h Q. Sources of the
same inputs need only Σ_h v_h, which (5) of `equivalents.sources` gives in closed form. For one source
v = ρ/(T − df_2(κ)) and Q = (Σ + κ)^{-1}: the generation map

    a ← p a,   E w² ← p² E w² + v s/(s+κ)²,   p = s/(s+κ),   v = [κ² Σ_j s_j E w_j²/(s_j+κ)² + σ²]/(T − df_2).

Derived here; with one source it contains Theorem 1 of Dohmatob, Feng, Kempe 2024, with several the ridge theorem of
Dohmatob, Feng, Subramonian, Kempe 2024.
"""

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.numerics.equivalents.shares import counted, divide, times
from modelcollapse.numerics.equivalents.sources import RidgeEquivalent, one_source, projections, rows_left
from modelcollapse.numerics.steps.moments import Atoms, Moments, covariances, energy, variance_of

__all__ = ["dominated", "fit", "fit_one", "inflation"]


@quiet()
def fit(
    atoms: Atoms,
    inputs: Float[Array, "S #P A"],
    equivalent: RidgeEquivalent,
    rows: Float[Array, "G P"],
    noise: Float[Array, "G P"],
    weights: Float[Array, "G P"],
    ridge: Float[Array, " P"],
    exact,
    models: tuple[Moments, ...],
    joint: dict,
):
    """A fit on G sources, given its equivalent.

    Parameters
    ----------
    inputs : eigenvalues of each source's inputs, or (1, P or 1, A) those that all sources share
    equivalent : RidgeEquivalent, of `equivalents.sources` for shared inputs
    exact : bool ()
        Use the exact inverse-Wishart mean for least squares on sources alike but for their labels.
    models : tuple of G Moments
    joint : dict (g, h), g > h, of scaled covariances (P, A) of the label models; missing ones are zero

    Returns
    -------
    Moments of the fit, and the projections π (G, P, A) by which covariances with other predictors follow.
    """
    xp = namespace(atoms, inputs, equivalent, rows, noise, weights, ridge, models, joint)
    kappa, q, _, _ = equivalent
    shared = len(inputs) == 1
    mixed = xp.broadcast_to(inputs[0], models[0].ratio.shape) if shared else (q[:, :, None] * inputs).sum(0)
    learned, null = projections(inputs, mixed, q, kappa)
    ratios, deficits = (xp.stack([model[k] for model in models]) for k in (0, 1))

    own = np.eye(len(models), dtype=bool)[:, :, None, None]
    other = xp.where(own, 0, learned)  # π_h for h ≠ g
    means = (other * (deficits[:, None] - deficits)).sum(1) - null * ratios
    apart = xp.where(own, -(other.sum(1) + null)[:, None], other)
    covariance = covariances(models, joint)
    risk = energy(atoms, inputs, means, variance_of(apart, covariance)) + noise**2  # (1)

    if shared:
        left, factors = rows_left(inputs[0], atoms.multiplicity, rows, weights, equivalent)
        gain = divide(times(factors, risk).sum(0), left)[None]
        alike = xp.all(xp.abs(q - rows / rows.sum(0)) <= 1e-12, 0)
    else:
        left, gain, alike = _gains(xp, atoms, inputs, mixed, learned, null, equivalent, rows, weights, risk)
    wishart = exact & alike & (ridge == 0) & (kappa == 0)
    gain = xp.where(xp.isinf(kappa), 0, times(gain, xp.where(wishart, inflation(left), 1)))

    kernel = divide(1.0, xp.where(xp.isinf(kappa), 1, kappa)[:, None] + mixed, 0.0)
    fresh = times((inputs * kernel) * (atoms.scale * kernel), gain[:, :, None]).sum(0)
    moments = Moments(
        (learned * ratios).sum(0), (learned * deficits).sum(0) + null, variance_of(learned, covariance) + fresh
    )
    return moments, learned


def _gains(xp, atoms, inputs, mixed, learned, null, equivalent, rows, weights, risk):
    """T − d of the mixed covariance, v of (2), and whether the sources are alike but for their labels."""
    _, q, scale, _ = equivalent
    used = q > 0
    rows = xp.where(used, rows, 0)
    samples = xp.where(xp.any(used, 0), rows.sum(0), 1)
    part = rows / samples
    multiplicity = xp.broadcast_to(atoms.multiplicity, mixed.shape)
    cross = xp.einsum("pa,gpa,hpa->ghp", multiplicity, learned, learned) / samples
    penalty = scale * q / xp.where(used, weights, 1)
    row = xp.where(used, (multiplicity * learned * null).sum(-1) / samples + penalty, 1)  # 1ᵀH
    gain = times(q, dominated(cross, row, times(q, xp.where(used, risk, 0)))) / samples
    alike = xp.all(~used[:, :, None] | (xp.abs(inputs - mixed) <= 1e-12 * mixed), (0, 2))
    alike = alike & xp.all(xp.abs(q - part) <= 1e-12, 0)
    left = samples - counted(xp.where(mixed > 0, multiplicity, 0).sum(-1))
    return left, gain, alike


def dominated(cross, row, right):
    """The solution z of Hz = right, where H has the entries −cross ≤ 0 beside its diagonal and row sums `row` ≥ 0.

    cross (G, G, P), symmetric; row, right (G, P), not negative. Gauss elimination that carries the row sums along never
    subtracts (Grassmann, Taksar and Heyman 1985): every z is as accurate as what is given, and none is negative.

    >>> one = np.ones(1)
    >>> dominated(np.full((2, 2, 1), 1e-20), 3 * np.ones((2, 1)), np.array([one, 0 * one]))[1] * 9e20
    array([1.])
    """
    xp = namespace(cross, row, right)
    eliminated = []
    for _ in range(len(right)):
        coupling = cross[0, 1:]
        pivot = row[0] + coupling.sum(0)
        pulled = divide(coupling, pivot, 0)
        eliminated.append((pivot, coupling, right[0]))
        cross = cross[1:, 1:] + pulled[:, None] * coupling
        row, right = row[1:] + pulled * row[0], right[1:] + times(pulled, right[0])
    solution = []
    for pivot, coupling, known in reversed(eliminated):
        if solution:
            known = known + times(coupling, xp.stack(solution)).sum(0)
        solution.insert(0, divide(known, pivot))
    return xp.stack(solution)


def inflation(left):
    """What least squares on finitely many rows have more than the equivalent, (T − d)/(T − d − 1); ∞ for T ≤ d + 1."""
    xp = namespace(left)
    return xp.where(left > 1, left / xp.where(left > 1, left - 1, 1), np.inf)


def fit_one(atoms, samples, noise, ridge, exact, start):
    """A fit on one source of weight 1 with the spectrum's inputs: Moments, the projection (P, A), converged (P,)."""
    one = namespace(samples, ridge).ones_like(samples)
    here = one_source(atoms.eigenvalues, atoms.multiplicity, samples, one, ridge)
    rows, weights = samples[None], one[None]
    moments, learned = fit(atoms, atoms.eigenvalues[None], here, rows, noise[None], weights, ridge, exact, (start,), {})
    return moments, learned[0], here.converged
