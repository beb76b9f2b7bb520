r"""A ridge fit on m random features z = Fx, F with independent N(0, 1/m) entries, fresh for each fit.

Given F the fit is a ridge fit with covariance FΣFᵀ, and FᵀF is a sample covariance of m samples: the
two-point equivalent is applied twice. With p = s/(s+κ), q = 1 − p, label moments E w_j = a_j w0_j, c_j = E w_j²,

    Ω = m − df_2,   ϱ = (m − df_1)/Ω,   T(1 − γ) = T − df_1 + ϱ(df_1 − df_2),
    v = [Σ_j s_j c_j q_j² + σ² + (Σ_j s_j q_j²/Ω) Σ_i p_i² c_i] / (T(1 − γ)),                          (1)

the new predictor has mean p_j a_j w0_j and second moment

    E ŵ_j² = p_j² c_j + v s_j/(s_j+κ)² + (q_j²/Ω) Σ_i [p_i² c_i + v s_i/(s_i+κ)²].                           (2)

In words: the ridge predictor of effective ridge κ, whose squared length divided by Ω is spread over all directions in
proportion to q². All terms are positive. m = ∞ is the generation map of `fit`. The test error that follows is that
of Dohmatob, Feng, Subramonian, Kempe, arXiv 2410.04840, Theorem 2, and Atanasov, Zavatone-Veth, Pehlevan 2024; the
moments per direction, and with them errors on shifted test inputs and fits on labels of such fits, are derived here.
"""

from modelcollapse.numerics.arrays import namespace, quiet
from modelcollapse.numerics.equivalents.features import effective_ridge, unused
from modelcollapse.numerics.equivalents.shares import atom_sums, divide, times
from modelcollapse.numerics.equivalents.sources import projections
from modelcollapse.numerics.steps.fit import inflation
from modelcollapse.numerics.steps.moments import Moments, energy

__all__ = ["feature_step"]


@quiet()
def feature_step(atoms, inputs, samples, features, noise_variance, ridge, exact, start):
    """A fit on random features of one source.

    Parameters
    ----------
    atoms : Atoms
    inputs : (P or 1, A), eigenvalues of the source's inputs
    samples, features : (P,), rows T and features m in (0, ∞]
    noise_variance, ridge : (P,), of the label noise; λ over the weight
    exact : bool ()
        Use the exact inverse-Wishart mean for least squares (ridge 0) on T > min(m, d) rows: T − min(m, d) − 1 in place
        of T − min(m, d). What depends on F stays the equivalent for m < d.
    start : Moments (P, A) of the label model

    Returns
    -------
    Moments (P, A) of the fit, the projection p (P, A) by which covariances with other predictors follow, and
    `converged` (P,). Bias and variance of the test error, on shifted test inputs too, are `readout` of them.

    The variance is infinite where T(1 − γ) = 0 (no ridge, T = m < d or T = d ≤ m) and there is noise or missed signal.

    >>> import numpy as np
    >>> from modelcollapse.numerics.steps.moments import Atoms, readout
    >>> s, one = np.array([[1.0]]), np.array([1.0])
    >>> atoms = Atoms(s, s, 100 * s, s)
    >>> truth = Moments(s, 0 * s, 0 * s)
    >>> fit, *_ = feature_step(atoms, s, 150 * one, 40 * one, 0 * one, 0 * one, False, truth)
    >>> bias, variance = readout(atoms, s, fit)
    >>> bool(np.allclose(bias + variance, (1 - 40 / 100) / (1 - 40 / 150)))  # missed signal is noise to m features
    True
    """
    xp = namespace(atoms, inputs, samples, features, noise_variance, ridge, start)
    kappa, converged = effective_ridge(inputs, atoms.multiplicity, samples, features, ridge)
    of_samples, of_features = unused(inputs, atoms.multiplicity, samples, features, ridge, kappa)
    null_model = xp.isinf(kappa)
    spread = xp.broadcast_to(inputs, start.ratio.shape)
    learned, null = projections(inputs[None], spread, xp.ones_like(kappa)[None], kappa)
    learned = learned[0]
    kernel = divide(1.0, xp.where(null_model, 1, kappa)[:, None] + spread, 0.0)
    unresolved, per_noise = atom_sums(
        atoms.multiplicity * learned * null * (spread > 0), atoms.multiplicity * learned * kernel
    )

    spare = of_features + unresolved / features  # Ω/m
    leak = divide(1 / features, spare)
    left = samples * of_samples + divide(of_features, spare, of_features) * unresolved  # T(1 − γ)

    scatter = times(leak, energy(atoms, learned**2, start.ratio, start.variance))
    missed = times(null**2, start.variance + times(atoms.scale, scatter[:, None]))
    risk = energy(atoms, inputs, null * start.ratio, missed) + noise_variance
    wishart = exact & (ridge == 0) & ((kappa == 0) | (features < samples))
    gain = times(divide(risk, left), xp.where(wishart, inflation(left), 1))  # (1)
    gain = xp.where(null_model, 0, gain)

    scatter = scatter + times(gain, times(leak, per_noise))
    fresh = times(atoms.scale * learned * kernel, gain[:, None])
    spilled = times(atoms.scale * null**2, scatter[:, None])
    variance = times(learned**2, start.variance) + fresh + spilled  # (2)
    return Moments(learned * start.ratio, learned * start.deficit + null, variance), learned, converged
