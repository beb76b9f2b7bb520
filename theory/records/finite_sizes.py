r"""Fits without a ridge, exact at every finite size.

T samples of d Gaussian features, labels with noise σ: E(XᵀX)^{-1} = Σ^{-1}/(T-d-1) for T > d + 1, whatever Σ, so a
least-squares fit adds σ² d/(T-d-1). For T < d - 1 and Σ = I the minimum-norm interpolator projects the truth on a
random T-dimensional subspace and adds σ² E tr (XXᵀ)^{-1} = σ² T/(d-T-1).
"""

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.collapse_rates import INVERSE_MEAN
from modelcollapse.theory.symbols import symbols

T, T_0, d, n = symbols("samples", "generator_samples", "dimension", "generations")
sigma, sigma_0, rho2, phi, phi_0 = symbols("noise", "generator_noise", "signal_energy", "aspect", "generator_aspect")

OVER = Condition(T > d + 1, "an inverse Wishart matrix has a mean only beyond: raise samples")
UNDER = Condition(T < d - 1, "the interpolator's error is finite only below: lower samples or raise dimension")

FORMULAS = (
    Formula(
        name="least_squares_chain",
        title="Test error of least squares after n generations of least squares, any covariance",
        left=r"E_{\mathrm{test}}",
        expression=sigma**2 * d / (T - d - 1) + n * sigma_0**2 * d / (T_0 - d - 1),
        arguments=("samples", "generator_samples", "dimension", "noise", "generator_noise", "generations"),
        regime="exact",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712), no-regularisation case, at finite size",
        conditions=(OVER, INVERSE_MEAN),
        limits=(("generations", 0, sigma**2 * d / (T - d - 1)),),
    ),
    Formula(
        name="least_squares_chain_limit",
        title="Test error of least squares after n generations of least squares, large size",
        left=r"E_{\mathrm{test}}",
        expression=sigma**2 * phi / (1 - phi) + n * sigma_0**2 * phi_0 / (1 - phi_0),
        arguments=("aspect", "generator_aspect", "noise", "generator_noise", "generations"),
        regime="proportional limit",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712), no-regularisation case",
        conditions=(
            Condition(phi < 1, "least squares has more samples than directions: lower aspect"),
            Condition(phi_0 < 1, "a least-squares generator has more samples than directions: lower generator_aspect"),
        ),
    ),
    Formula(
        name="minimum_norm_error",
        title="Test error of the minimum-norm interpolator, isotropic inputs",
        left=r"E_{\mathrm{clean}}",
        expression=rho2 * (1 - T / d) + sigma**2 * T / (d - T - 1),
        computed_as=rho2 * (d - T) / d + sigma**2 * T / (d - T - 1),
        arguments=("samples", "dimension", "noise", "signal_energy"),
        regime="exact",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712); Hastie et al. 2022",
        conditions=(UNDER,),
        at={"samples": 40},
    ),
)
