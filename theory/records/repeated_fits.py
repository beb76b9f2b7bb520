r"""Chains of fits that shrink: over-parametrised generators and generators with a ridge.

Every fit shrinks the signal, m ← p m with p = 1/(1+κ) for Σ = I, so the error grows even without noise and is not
linear in the number of fits. With C = E‖w‖² one generation is linear, C ← A C + B, and after k fits
E_k = C_k - 2 p^k ρ² + ρ². For λ = 0, T_0 < d: p = A = T_0/d.
"""

from sympy import Min, log

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.finite_sizes import UNDER
from modelcollapse.theory.records.stable import Expm1, GeometricSum
from modelcollapse.theory.records.sums import j, kappa, s, total
from modelcollapse.theory.symbols import symbols

T, T_0, d, n, k = symbols("samples", "generator_samples", "dimension", "generations", "rounds")
sigma, sigma_0, rho2, phi, theta, r = symbols("noise", "generator_noise", "signal_energy", "aspect", "signal", "source")

SHRINKS = Condition(
    kappa > 0,
    "without a ridge and with more samples than directions nothing shrinks and the noise "
    "adds up without bound: see least_squares_chain",
)
HARD = Condition(T_0 < d - 1, "the interpolator's error is finite only below: lower generator_samples")

p, q = 1 / (1 + kappa), T_0 / d
excess = kappa**2 * phi / ((1 + kappa) ** 2 - phi)  # A = p² (1 + excess)
A, B = p**2 * (1 + excess), sigma**2 * phi / ((1 + kappa) ** 2 - phi)
lost = kappa * (2 + kappa - kappa * phi / ((1 + kappa) ** 2 - phi)) / (1 + kappa) ** 2  # 1 - A

ageing = s[j] ** 2 / ((s[j] + kappa) * (2 * s[j] + kappa))

FORMULAS = (
    Formula(
        name="interpolating_chain_noise_free",
        title="Test error after k noise-free minimum-norm fits, isotropic inputs",
        left="E_k",
        expression=rho2 * (1 - (T_0 / d) ** k),
        computed_as=rho2 * (d - T_0) / d * GeometricSum((d - T_0) / d, k),
        arguments=("generator_samples", "dimension", "rounds", "signal_energy"),
        regime="exact",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712), over-parametrised generator; derived here",
        derivation="Each fit projects on a fresh uniform T_0-dimensional subspace: E‖P w‖² = E w_0·Pw = (T_0/d)‖w‖².",
        conditions=(Condition(T_0 < d, "the generator interpolates only up to d samples: lower generator_samples"),),
        limits=(("rounds", 0, 0 * rho2), ("rounds", 1, rho2 * (1 - T_0 / d))),
        at={"generator_samples": 60},
    ),
    Formula(
        name="interpolating_chain",
        title="Test error after n minimum-norm generators and a minimum-norm fit, isotropic inputs",
        left=r"E_{\mathrm{test}}",
        expression=rho2 * (1 - T / d * q**n)
        + sigma**2 * T / (d - T - 1)
        + T / d * sigma_0**2 * T_0 / (d - T_0 - 1) * (1 - q**n) / (1 - q),
        computed_as=rho2 * ((d - T) / d + T / d * (d - T_0) / d * GeometricSum((d - T_0) / d, n))
        + sigma**2 * T / (d - T - 1)
        + T / d * sigma_0**2 * T_0 / (d - T_0 - 1) * GeometricSum((d - T_0) / d, n),
        arguments=(
            "samples",
            "generator_samples",
            "dimension",
            "noise",
            "generator_noise",
            "generations",
            "signal_energy",
        ),
        regime="exact",
        source="derived here",
        derivation="C ← (T_0/d) C + σ_0² T_0/(d-T_0-1) from a projection and E tr (XXᵀ)^{-1}, over n generations, "
        "then the same once with T and σ; the mean shrinks by (T/d)(T_0/d)^n.",
        conditions=(UNDER, HARD),
        limits=(("generations", 0, rho2 * (1 - T / d) + sigma**2 * T / (d - T - 1)),),
        at={"samples": 40, "generator_samples": 60},
    ),
    Formula(
        name="interpolating_chain_limit",
        title="Test error after k noisy minimum-norm fits, isotropic inputs, large size",
        left="E_k",
        expression=(rho2 + sigma**2 * phi / (phi - 1) ** 2) * (1 - phi**-k),
        computed_as=(rho2 + sigma**2 * phi / (phi - 1) ** 2) * (phi - 1) / phi * GeometricSum((phi - 1) / phi, k),
        arguments=("aspect", "rounds", "noise", "signal_energy"),
        regime="proportional limit",
        source="derived here",
        derivation="The generation map at λ = 0, κ = φ - 1: C ← C/φ + σ²/(φ-1), m ← m/φ.",
        conditions=(Condition(phi > 1, "an interpolator has fewer samples than directions: raise aspect"),),
        limits=(("rounds", 0, 0 * rho2),),
        at={"aspect": 2.5},
    ),
    Formula(
        name="ridge_chain_isotropic",
        title="Test error after k equal ridge fits, isotropic inputs",
        left="E_k",
        expression=rho2 * (A**k - 2 * p**k + 1) + B * (1 - A**k) / (1 - A),
        computed_as=rho2
        * (
            (kappa / (1 + kappa) * GeometricSum(kappa / (1 + kappa), k)) ** 2
            + p ** (2 * k) * Expm1(k * log(1 + excess))
        )
        + B * GeometricSum(lost, k),
        arguments=("effective_ridge", "aspect", "noise", "rounds", "signal_energy"),
        regime="proportional limit",
        source="derived here",
        derivation="The generation map, df_2 = d/(1+κ)²: A = p²(1 + κ²φ/((1+κ)²-φ)), B = σ²φ/((1+κ)²-φ), p = 1/(1+κ).",
        conditions=(SHRINKS, Condition(phi < 1 + kappa, "the ridge is not negative only below: lower aspect")),
        limits=(("rounds", 0, 0 * rho2), ("rounds", 1, (kappa**2 * rho2 + sigma**2 * phi) / ((1 + kappa) ** 2 - phi))),
    ),
    Formula(
        name="ridge_chain_stationary",
        title="Test error after infinitely many equal fits, κ > 0",
        left=r"E_\infty",
        expression=total(s[j] * theta[j])
        + sigma**2 / (T - 2 * total(ageing)) * total(s[j] ** 2 / (2 * s[j] + kappa)) / kappa,
        arguments=("effective_ridge", "samples", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source="derived here",
        derivation="The fixed point of the generation map: m = 0, c_j = v s_j/(κ(2s_j+κ)), "
        "v = σ²/(T - 2 Σ_j s_j²/((s_j+κ)(2s_j+κ))).",
        conditions=(SHRINKS, Condition(T > total(s[j] / (s[j] + kappa)), "raise samples or effective_ridge")),
    ),
    Formula(
        name="noise_free_growth_exponent",
        title="Growth of the noise-free error with the number of equal ridge fits on a power law: E ≍ n^x",
        left="x",
        expression=2 * Min(r, 1),
        arguments=("source",),
        regime="scaling",
        source="derived here",
        derivation="Bias Σ_j s_j w_0j² (1-p_j^n)² with 1 - p_j^n ≈ n κ/s_j while n κ/s_j < 1, for 1 ≪ n ≪ s_1/κ and d "
        "effectively infinite; r = 1 carries a logarithm.",
    ),
)
