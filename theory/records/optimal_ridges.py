r"""The best ridge for isotropic inputs, on clean data and after n least-squares generations.

With D² = n σ_0² d/(T_0-d), what the generators have added to the labels, ρ² = ‖w_0‖² and φ = d/T,

    E(κ) = (κ²ρ² + D²)/(1+κ)² + φ/((1+κ)² - φ) · (κ²(ρ²+D²)/(1+κ)² + σ²).

It is stationary at exactly one κ > max(0, φ-1); the ridge is λ⋆ = κ(1 - φ/(1+κ)). Without fake data
λ⋆ = σ² d/(T ρ²). For Σ = s·I use κ/s, λ/s and sρ².
"""

from sympy import Eq

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.collapse_rates import GENERATOR
from modelcollapse.theory.records.sums import j, s, total
from modelcollapse.theory.symbols import symbols

kappa, T, T_0, d, n = symbols("effective_ridge", "samples", "generator_samples", "dimension", "generations")
sigma, sigma_0, rho2, df_1 = symbols("noise", "generator_noise", "signal_energy", "first_degrees")
theta, c, mu = symbols("signal", "label_energy", "label_alignment")
SIGNAL = Condition(rho2 > 0, "without a signal the best ridge is infinite: raise signal_energy")
RESOLVED = Condition(T > d / (1 + kappa), "the ridge is not negative only beyond: raise samples or effective_ridge")
INVERSE_MEAN = Condition(T_0 > d + 1, "an inverse Wishart matrix has a mean only beyond: raise generator_samples")
DFK = "Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712)"

phi = d / T
D2 = n * sigma_0**2 * d / (T_0 - d)
D2_exact = n * sigma_0**2 / (T_0 - d - 1)
over = (1 + kappa) ** 2 - phi
over_stable = (T - d) / T + kappa * (2 + kappa)


def error(denominator):
    """E(κ) from (1+κ)² - φ."""
    return (kappa**2 * rho2 + D2) / (1 + kappa) ** 2 + phi / denominator * (
        kappa**2 * (rho2 + D2) / (1 + kappa) ** 2 + sigma**2
    )


FORMULAS = (
    Formula(
        name="optimal_ridge_clean",
        title="The best ridge on clean data, isotropic inputs",
        left=r"\lambda^\star",
        expression=sigma**2 * d / (T * rho2),
        arguments=("samples", "dimension", "noise", "signal_energy"),
        regime="proportional limit",
        source="Dobriban and Wager 2018; " + DFK,
        conditions=(SIGNAL,),
    ),
    Formula(
        name="chain_error_isotropic",
        title="Test error after n generations of fake data, isotropic inputs",
        left=r"E_{\mathrm{test}}",
        expression=error(over),
        computed_as=error(over_stable),
        arguments=(
            "effective_ridge",
            "samples",
            "generator_samples",
            "dimension",
            "noise",
            "generator_noise",
            "generations",
            "signal_energy",
        ),
        regime="proportional limit",
        source=DFK,
        conditions=(RESOLVED, GENERATOR),
        limits=(
            ("generations", 0, (kappa**2 * rho2 + sigma**2 * phi) / over),
            ("effective_ridge", 0, sigma**2 * d / (T - d) + n * sigma_0**2 * d / (T_0 - d)),
        ),
    ),
    Formula(
        name="optimal_ridge_equation",
        title="The equation of the best effective ridge with fake data, isotropic inputs",
        left="",
        expression=Eq(
            rho2 * kappa * (1 + kappa) ** 2 * (1 + kappa - phi),
            phi * sigma**2 * (1 + kappa) ** 3
            + D2 * ((1 + kappa) ** 3 + phi * kappa**3 - 3 * phi * kappa - 2 * phi + phi**2),
        ),
        arguments=(
            "effective_ridge",
            "samples",
            "generator_samples",
            "dimension",
            "noise",
            "generator_noise",
            "generations",
            "signal_energy",
        ),
        regime="proportional limit",
        source="derived here",
        derivation="dE/dκ = 0, cleared of denominators. One root κ > max(0, φ-1); the ridge is ridge_isotropic there. "
        "T_0 - d - 1 instead of T_0 - d is sharper at finite size. Evaluated as the residual.",
        conditions=(RESOLVED, GENERATOR),
    ),
    Formula(
        name="provenance_correction",
        title="What to add to generalised cross-validation on synthetic labels to estimate the error against the truth",
        left=r"E_{\mathrm{true}} - \mathrm{GCV}",
        expression=2 * D2_exact * df_1 - D2_exact * d - sigma**2,
        arguments=("first_degrees", "generator_samples", "dimension", "noise", "generator_noise", "generations"),
        regime="proportional limit",
        source="derived here",
        derivation="GCV estimates E|y - xŵ|² on the synthetic labels. With the covariance n σ_0²/(T_0-d-1) Σ^{-1} of "
        "the generators' errors, E_true = GCV + 2 df_1 n σ_0²/(T_0-d-1) - n σ_0² d/(T_0-d-1) - σ².",
        conditions=(INVERSE_MEAN, Condition(df_1 <= d, "no fit has more degrees of freedom: lower first_degrees")),
    ),
    Formula(
        name="general_provenance_correction",
        title="What to add to generalised cross-validation on the labels of any model for the error against the truth",
        left=r"E_{\mathrm{true}} - \mathrm{GCV}",
        expression=total(
            s[j] * (c[j] - 2 * mu[j] * theta[j] + theta[j] - 2 * kappa / (s[j] + kappa) * (c[j] - mu[j] * theta[j]))
        )
        - sigma**2,
        arguments=("effective_ridge", "noise", "eigenvalues", "signal", "label_energy", "label_alignment"),
        regime="proportional limit",
        source="derived here",
        derivation="Given the label model w the mean fit is p w, p = s/(s+κ), and ‖ŵ - w0‖² - ‖ŵ - w‖² has the mean "
        "Σ s [2p (c - μθ) + θ - c]; GCV estimates ‖ŵ - w‖² + σ². Then p = 1 - κ/(s+κ). With c - μ²θ the variance of w "
        "this is -2κ tr Σ(Σ+κ)^{-1} Var w plus the bias term 2κ Σ s/(s+κ) μ(1-μ)θ and what does not depend on κ.",
    ),
)
