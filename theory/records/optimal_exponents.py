r"""The best exponent of the ridge, and the rate that it reaches.

The test error is T to the maximum of a falling line, the bias -2r̄ℓ, and a rising one, -(ν - ℓ/β), where the margin

    ν = min(1 + s_σ, b - a + s_0, 1 - a + f + s_0)

is what the noises leave. They meet at ℓ = ν ℓ_crit, ℓ_crit = β/(1+2r̄β); beyond ℓ = β the bias stops falling:

    ℓ⋆ = min(ν ℓ_crit, β),   E ≍ T^{-min(ν c, 2r̄β)},   c = 2r̄β/(1+2r̄β),      ν > 0.

For ν ≤ 0 the error does not vanish. With σ, σ_0 of order 1, b ≤ 1 and any f this is ν = b - a, the published form.
"""

from sympy import Min

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.exponents import CUI, DFK, a, b, beta, f, r_bar, s_0, s_sigma
from modelcollapse.theory.symbols import symbols

(nu,) = symbols("margin")
critical = beta / (1 + 2 * r_bar * beta)
rate = 2 * r_bar * beta / (1 + 2 * r_bar * beta)
PUBLISHED = (
    Condition(
        b <= 1,
        "with more generator samples than downstream samples the downstream noise binds and this formula "
        "promises too much: use optimal_exponent",
    ),
    Condition(a < b, "the error does not vanish unless generations grow slower than generator_samples"),
)
RESOLVING = "d must resolve the optimum: d ≥ T^{ℓ⋆/β}; a smaller d saturates, see saturated_rate."

FORMULAS = (
    Formula(
        name="critical_exponent",
        title="The best exponent of the ridge on clean data",
        left=r"\ell_{\mathrm{crit}}",
        expression=critical,
        arguments=("capacity", "source"),
        regime="scaling",
        source=CUI,
        derivation="2r̄ℓ = 1 - ℓ/β.",
    ),
    Formula(
        name="clean_rate",
        title="The rate of the clean test error at the best ridge: E ≍ T^{-c}",
        left="c",
        expression=rate,
        arguments=("capacity", "source"),
        regime="scaling",
        source=CUI,
    ),
    Formula(
        name="noise_margin",
        title="The exponent that the noises leave",
        left=r"\nu",
        expression=Min(1 + s_sigma, b - a + s_0, 1 - a + f + s_0),
        arguments=(
            "generations_exponent",
            "generator_samples_exponent",
            "aspect_exponent",
            "noise_exponent",
            "generator_noise_exponent",
        ),
        regime="scaling",
        source="derived here",
        derivation="-(ν - ℓ/β) is the maximum of the exponents of noise and n·Δ. The error vanishes only for ν > 0.",
    ),
    Formula(
        name="optimal_exponent",
        title="The best exponent of the ridge with fake data",
        left=r"\ell^\star",
        expression=Min(nu * critical, beta),
        arguments=("margin", "capacity", "source"),
        regime="scaling",
        source="derived here; generalises " + DFK,
        derivation="The minimum over 0 ≤ ℓ ≤ β of max(-2r̄ℓ, -(ν-ℓ/β)). " + RESOLVING,
        limits=(("margin", 1, Min(critical, beta)),),
    ),
    Formula(
        name="optimal_rate",
        title="The rate of the test error at the best ridge with fake data: E ≍ T^{-rate}",
        left=r"\mathrm{rate}",
        expression=Min(nu * rate, 2 * r_bar * beta),
        arguments=("margin", "capacity", "source"),
        regime="scaling",
        source="derived here; generalises " + DFK,
        derivation="The bias 2r̄ℓ at ℓ = ℓ⋆, where it is not smaller than the noise. " + RESOLVING,
        limits=(("margin", 1, rate),),
    ),
    Formula(
        name="optimal_exponent_published",
        title="The best exponent of the ridge with fake data, as published: needs b ≤ 1 and noises of order 1",
        left=r"\ell^\star",
        expression=Min((b - a) * critical, beta),
        arguments=("generations_exponent", "generator_samples_exponent", "capacity", "source"),
        regime="scaling",
        source=DFK,
        derivation="optimal_exponent with ν = b - a: true for a < b ≤ 1. " + RESOLVING,
        conditions=PUBLISHED,
    ),
    Formula(
        name="optimal_rate_published",
        title="The rate at the best ridge with fake data, as published: needs b ≤ 1 and noises of order 1",
        left=r"\mathrm{rate}",
        expression=(b - a) * rate,
        arguments=("generations_exponent", "generator_samples_exponent", "capacity", "source"),
        regime="scaling",
        source=DFK,
        derivation="optimal_rate with ν = b - a: true for a < b ≤ 1. " + RESOLVING,
        conditions=PUBLISHED,
    ),
    Formula(
        name="saturated_rate",
        title="The rate with so few directions that the optimum outgrows them: d = T^{b-f}",
        left=r"\mathrm{rate}",
        expression=nu - (b - f),
        arguments=("margin", "generator_samples_exponent", "aspect_exponent", "capacity", "source"),
        regime="scaling",
        source="derived here",
        derivation="df_2 saturates at d = T^{b-f} for every small enough ridge.",
        conditions=(
            Condition(b < f + nu / (1 + 2 * r_bar * beta), "d resolves the optimum: use optimal_rate"),
            Condition(b >= f, "d = T^{b-f} grows with T: raise generator_samples_exponent"),
        ),
        at={"generator_samples_exponent": 0.3},
    ),
)
