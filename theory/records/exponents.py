r"""Scaling exponents on power laws: how each part of the test error falls with T.

Capacity s_j = j^{-β}, source s_j w_0j² = j^{-(1+2rβ)}, r̄ = min(r, 1), λ = T^{-ℓ} with 0 ≤ ℓ ≤ β, where κ ≍ λ and
df_2 ≍ T^{ℓ/β}. Provenance: n = T^a, T_0 = T^b, φ_0 = d/T_0 = T^{-f}, σ² = T^{-s_σ}, σ_0² = T^{-s_0}. Then

    bias ≍ T^{-2r̄ℓ},   noise ≍ σ² T^{-(1-ℓ/β)},   n·Δ ≍ n σ_0² max(T/T_0, φ_0) T^{-(1-ℓ/β)},

and the largest exponent wins. An exponent here is the power of T, negative for an error that falls; r = 1 carries a
logarithm. For ℓ > β nothing improves while d > T.
"""

from sympy import Max, Min

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.symbols import symbols

beta, r, ell = symbols("capacity", "source", "ridge_exponent")
a, b, f = symbols("generations_exponent", "generator_samples_exponent", "aspect_exponent")
s_sigma, s_0 = symbols("noise_exponent", "generator_noise_exponent")
r_bar = Min(r, 1)
CUI = "Cui, Loureiro, Krzakala, Zdeborová, NeurIPS 2021"
DFK = "Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712)"
BELOW = Condition(ell <= beta, "beyond, the effective ridge no longer follows the ridge: lower ridge_exponent")

bias = -2 * r_bar * ell
noise = -s_sigma - (1 - ell / beta)
collapse = a - s_0 + Max(1 - b, -f) - (1 - ell / beta)

FORMULAS = (
    Formula(
        name="bias_exponent",
        title="Exponent of the bias",
        left="x",
        expression=bias,
        arguments=("source", "ridge_exponent"),
        regime="scaling",
        source=CUI,
        derivation="Needs ℓ ≤ β.",
    ),
    Formula(
        name="noise_exponent",
        title="Exponent of the part of the error that label noise causes",
        left="x",
        expression=noise,
        arguments=("capacity", "ridge_exponent", "noise_exponent"),
        regime="scaling",
        source=CUI,
        conditions=(BELOW,),
    ),
    Formula(
        name="clean_error_exponent",
        title="Exponent of the clean test error",
        left="x",
        expression=Max(bias, noise),
        arguments=("capacity", "source", "ridge_exponent", "noise_exponent"),
        regime="scaling",
        source=CUI,
        derivation="E_clean ≍ max(σ², T^{1-2r̄ℓ-ℓ/β}) T^{-(1-ℓ/β)}.",
        conditions=(BELOW,),
    ),
    Formula(
        name="collapse_exponent",
        title="Exponent of the error n·Δ that n generations add",
        left="x",
        expression=collapse,
        arguments=(
            "capacity",
            "ridge_exponent",
            "generations_exponent",
            "generator_samples_exponent",
            "aspect_exponent",
            "generator_noise_exponent",
        ),
        regime="scaling",
        source=DFK,
        derivation="Δ = σ_0²/(T_0-d) [df_2 + κ² Σ(s+κ)^{-2} df_2/(T-df_2)] with κ² Σ(s+κ)^{-2} ≍ d = φ_0 T_0, "
        "for d ≥ T^{ℓ/β}.",
        conditions=(
            BELOW,
            Condition(
                b >= f + ell / beta, "fewer directions than the ridge resolves: raise generator_samples_exponent"
            ),
        ),
    ),
    Formula(
        name="test_error_exponent",
        title="Exponent of the test error after n generations of fake data",
        left="x",
        expression=Max(bias, noise, collapse),
        arguments=(
            "capacity",
            "source",
            "ridge_exponent",
            "generations_exponent",
            "generator_samples_exponent",
            "aspect_exponent",
            "noise_exponent",
            "generator_noise_exponent",
        ),
        regime="scaling",
        source=DFK + "; noise that scales derived here",
        conditions=(
            BELOW,
            Condition(
                b >= f + ell / beta, "fewer directions than the ridge resolves: raise generator_samples_exponent"
            ),
        ),
    ),
)
