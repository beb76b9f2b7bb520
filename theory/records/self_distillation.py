r"""Fits that share their rows: cross-risks, self-distillation, labels mixed for ever on one design.

Two ridge fits on the same T rows and labels, at effective ridges κ and κ', have the cross-risk

    C(κ, κ') = E⟨ŵ - w0, ŵ' - w0⟩_Σ = [κκ' Σ_j s_j w_0j²/((s_j+κ)(s_j+κ')) + σ² g]/(1 - g),
    g = (1/T) Σ_j s_j²/((s_j+κ)(s_j+κ')),

the test error at κ = κ'. A refit on (1-ξ)·labels + ξ·predictions of the same rows at the same ridge λ is
ŵ + ξ λ ∂ŵ/∂λ, hence E(ξ) = E + 2ξ C_1 + ξ² D with C_1 = λ ∂C/∂λ in one argument and D = λ² ∂²C/∂λ∂λ' in both. With
t = (T - df_1)/(T - df_2), p = s/(s+κ), q = 1 - p, and λ ∂κ/∂λ = tκ,

    C_1 = t [b_1/(1-g) - (b + σ²) g_1/(1-g)²],
    D   = t² [b_2/(1-g) - 2 b_1 g_1/(1-g)² + (b + σ²) (g_2/(1-g)² + 2 g_1²/(1-g)³)],
    b, b_1, b_2 = Σ_j s_j w_0j² q_j² (1, p_j, p_j²),      g_1 = (1/T) Σ_j p_j² q_j,   g_2 = (1/T) Σ_j p_j² q_j².

Orthonormal designs, where S = I, have other optima: at ridge 1/2 and unit noise a table of those gives 1.3333 where
isotropic Gaussian rows with d = T/2 have 1 + (√2 - 1) = 1.4142, noise of the test point included.
"""

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.clean_errors import clean
from modelcollapse.theory.records.sums import RESOLVED, T, df_1, df_2, j, kappa, s, total
from modelcollapse.theory.symbols import symbols

sigma, theta, other, alpha = symbols("noise", "signal", "second_effective_ridge", "real_share")

p, q = s[j] / (s[j] + kappa), kappa / (s[j] + kappa)
p_2, q_2 = s[j] / (s[j] + other), other / (s[j] + other)
shared = total(p * p_2) / T
g, g_1, g_2 = df_2 / T, total(p**2 * q) / T, total(p**2 * q**2) / T
b, b_1, b_2 = (total(s[j] * theta[j] * q**2 * p**order) for order in (0, 1, 2))
speed = (T - df_1) / (T - df_2)
slope = speed * (b_1 / (1 - g) - (b + sigma**2) * g_1 / (1 - g) ** 2)
curve = speed**2 * (
    b_2 / (1 - g) - 2 * b_1 * g_1 / (1 - g) ** 2 + (b + sigma**2) * (g_2 / (1 - g) ** 2 + 2 * g_1**2 / (1 - g) ** 3)
)

SOURCE = "derived here; with Das, Sanghavi 2023 (arXiv 2301.13304), Pareek, Du, Oh 2024 (arXiv 2407.04600)"
OTHER_RESOLVED = Condition(T > total(p_2), RESOLVED.sentence.replace("effective", "second_effective"))
FITTED = Condition(kappa > 0, "without a ridge a refit changes nothing: raise effective_ridge")
SOME = Condition(alpha > 0, "without the truth the labels are forgotten: raise real_share")

mixed = (alpha**2 + (1 - alpha) ** 2) / (alpha * (2 - alpha))


FORMULAS = (
    Formula(
        name="cross_risk",
        title="Cross-risk of two ridge fits on the same rows",
        left=r"C(\kappa, \kappa')",
        expression=(total(s[j] * theta[j] * q * q_2) + sigma**2 * shared) / (1 - shared),
        arguments=("effective_ridge", "second_effective_ridge", "samples", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source=SOURCE,
        derivation="The equivalent of (S+λ)^{-1} Σ (S+λ')^{-1} in between; C(κ, κ) is the error on clean data.",
        conditions=(RESOLVED, OTHER_RESOLVED),
        limits=(("second_effective_ridge", kappa, clean),),
    ),
    Formula(
        name="self_distillation_weight",
        title="The best weight of a fit's own predictions",
        left=r"\xi^\star",
        expression=-slope / curve,
        arguments=("effective_ridge", "samples", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source=SOURCE,
        derivation="The vertex of E + 2ξC_1 + ξ²D; 2C_1 = λE'(λ): the weight is negative where the ridge is too large.",
        conditions=(RESOLVED, FITTED),
    ),
    Formula(
        name="self_distillation_error",
        title="Test error of a refit on the best blend of labels and own predictions",
        left=r"E(\xi^\star)",
        expression=clean - slope**2 / curve,
        arguments=("effective_ridge", "samples", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source=SOURCE,
        derivation="E - C_1²/D = E - λ²E'(λ)²/(4D): nothing is gained where the ridge is stationary.",
        conditions=(RESOLVED, FITTED),
    ),
    Formula(
        name="one_design_mixing",
        title="Test error of labels mixed for ever on one design",
        left=r"E_\infty",
        expression=b / (1 - g) + sigma**2 * mixed * shared / (1 - shared),
        arguments=(
            *("effective_ridge", "second_effective_ridge", "samples", "real_share", "noise", "eigenvalues", "signal"),
        ),
        regime="proportional limit",
        source="derived here",
        derivation="Ridge λ on rows whose labels are α·(fresh real ones) + (1-α)·(own predictions, with noise), round "
        "after round: κ is the effective ridge of λ/α, κ' that of λ/(2-α). Along an eigenvalue x of S the fits have "
        "the mean of ridge λ/α and the variance σ²(α² + (1-α)²) x/((αx+λ)((2-α)x+λ))/T, what noise adds to the "
        "cross-risk of the two. For T > d and λ → 0 the best α is the golden ratio, as for fresh rows.",
        conditions=(RESOLVED, OTHER_RESOLVED, SOME),
    ),
)
