r"""E_clean + n·Δ: what n generations of least-squares fake data cost.

Each generator is a least-squares fit on T_0 > d samples labelled by the one before it, with noise σ_0. It adds a
covariance σ_0²/(T_0-d)·Σ^{-1} to the label model, which the downstream ridge passes on with the gain in brackets:

    Δ = σ_0²/(T_0-d) · [ df_2(κ) + κ² Σ_j (s_j+κ)^{-2} · df_2(κ)/(T - df_2(κ)) ].

With the inverse-Wishart mean, T_0 - d - 1 instead of T_0 - d, the generators' part is exact at finite size.
"""

from sympy import Max

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.clean_errors import clean
from modelcollapse.theory.records.sums import RESOLVED, T, df_2, j, kappa, s, total
from modelcollapse.theory.symbols import symbols

T_0, d, sigma_0, n = symbols("generator_samples", "dimension", "generator_noise", "generations")
phi, phi_0 = symbols("aspect", "generator_aspect")
PAPER = "Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712), main theorem"
GENERATOR = Condition(T_0 > d, "a least-squares generator has more samples than directions: raise generator_samples")
INVERSE_MEAN = Condition(T_0 > d + 1, "an inverse Wishart matrix has a mean only beyond: raise generator_samples")

gain = df_2 + kappa**2 * total((s[j] + kappa) ** -2) * df_2 / (T - df_2)
delta = sigma_0**2 / (T_0 - d) * gain


def isotropic_gain(aspect):
    """The bracket divided by d, for Σ = I."""
    return (1 + kappa**2 * aspect / ((1 + kappa) ** 2 - aspect)) / (1 + kappa) ** 2


FORMULAS = (
    Formula(
        name="collapse_rate",
        title="Test error added by each generation of fake data",
        left=r"\Delta",
        expression=delta,
        arguments=("effective_ridge", "samples", "generator_samples", "generator_noise", "eigenvalues"),
        regime="proportional limit",
        source=PAPER,
        conditions=(RESOLVED, GENERATOR),
        limits=(("effective_ridge", 0, sigma_0**2 * d / (T_0 - d)),),
    ),
    Formula(
        name="collapse_rate_finite_size",
        title="Test error added by each generation, exact in the generator's finite size",
        left=r"\Delta",
        expression=sigma_0**2 / (T_0 - d - 1) * gain,
        arguments=("effective_ridge", "samples", "generator_samples", "generator_noise", "eigenvalues"),
        regime="proportional limit",
        source=PAPER + "; the finite size derived here",
        derivation="E (X^T X)^{-1} = Σ^{-1}/(T_0-d-1) is the generator's noise covariance at any size; the gain of "
        "the downstream ridge remains asymptotic.",
        conditions=(RESOLVED, INVERSE_MEAN),
    ),
    Formula(
        name="collapse_rate_isotropic",
        title="Test error added by each generation, isotropic inputs",
        left=r"\Delta",
        expression=sigma_0**2 * d / (T_0 - d) * isotropic_gain(d / T),
        arguments=("effective_ridge", "samples", "generator_samples", "dimension", "generator_noise"),
        regime="proportional limit",
        source=PAPER,
        conditions=(Condition(T > d / (1 + kappa), RESOLVED.sentence), GENERATOR),
        limits=(("effective_ridge", 0, sigma_0**2 * d / (T_0 - d)),),
    ),
    Formula(
        name="collapse_rate_proportional",
        title="Test error added by each generation, isotropic inputs, in the aspect ratios",
        left=r"\Delta",
        expression=sigma_0**2 * phi_0 / (1 - phi_0) * isotropic_gain(phi),
        arguments=("effective_ridge", "aspect", "generator_aspect", "generator_noise"),
        regime="proportional limit",
        source=PAPER,
        conditions=(
            Condition(phi < 1 + kappa, RESOLVED.sentence),
            Condition(phi_0 < 1, GENERATOR.sentence),
        ),
        limits=(("effective_ridge", 0, sigma_0**2 * phi_0 / (1 - phi_0)),),
    ),
    Formula(
        name="collapse_rate_ridgeless",
        title="Test error added by each generation, isotropic inputs, no ridge downstream",
        left=r"\Delta",
        expression=sigma_0**2 * phi_0 / (1 - phi_0) / Max(1, phi),
        arguments=("aspect", "generator_aspect", "generator_noise"),
        regime="proportional limit",
        source=PAPER + "; beyond φ = 1 derived here",
        derivation="λ → 0: κ = max(0, φ - 1), and the gain is 1 for φ < 1 (there for every Σ) and 1/φ beyond.",
        conditions=(Condition(phi_0 < 1, GENERATOR.sentence),),
    ),
    Formula(
        name="chain_error",
        title="Test error after n generations of fake data",
        left=r"E_{\mathrm{test}}",
        expression=clean + n * delta,
        arguments=(
            "effective_ridge",
            "samples",
            "noise",
            "eigenvalues",
            "signal",
            "generations",
            "generator_samples",
            "generator_noise",
        ),
        regime="proportional limit",
        source=PAPER,
        conditions=(RESOLVED, GENERATOR),
        limits=(("generations", 0, clean),),
    ),
)
