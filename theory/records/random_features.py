r"""Model size: ridge regression on m random features z = F x, F of independent N(0, 1/m) entries.

κ solves λ = κ (1 - df_1/T)(1 - df_1/m) with df_1 < min(T, m). With

    ϱ = (m - df_1)/(m - df_2),    γ = [(1-ϱ) df_1 + ϱ df_2]/T,
    b(w) = Σ_j s_j w_j² [κ(1-ϱ)/(s_j+κ) + κ²ϱ/(s_j+κ)²]

the test error is (b + σ²)/(1-γ) - σ² = (b + γσ²)/(1-γ). m → ∞ gives ϱ = 1 and the clean error of ridge regression.
"""

from sympy import Eq

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.sums import RESOLVED, T, df_1, df_2, j, kappa, m, s, total
from modelcollapse.theory.symbols import symbols

lam, sigma, theta, p_2, Delta = symbols("ridge", "noise", "signal", "synthetic_share", "offset")
c, mu, varrho = symbols("label_energy", "label_alignment", "feature_ratio")
first, second = symbols("first_degrees", "second_degrees")

PAPER = (
    "Dohmatob, Feng, Subramonian, Kempe 2024 (arXiv 2410.04840), Theorem 2; Atanasov, Zavatone-Veth, Pehlevan 2024; "
)
PAPER += "Simon et al. 2023"
ENOUGH = Condition(m > df_1, "fewer features than degrees of freedom: raise features or effective_ridge")
ORDERED = Condition(second < first, "degrees of freedom fall with their order: lower second_degrees")

ratio = (m - df_1) / (m - df_2)
unresolved = total(s[j] * kappa / (s[j] + kappa) ** 2)  # df_1 - df_2
kept = (1 - df_1 / T) + ratio * unresolved / T  # 1 - γ
gain = (df_2 + (1 - ratio) * unresolved) / T  # γ


def missed(energy):
    """b(energy)."""
    term = kappa * (1 - varrho) / (s[j] + kappa) + kappa**2 * varrho / (s[j] + kappa) ** 2
    return total(s[j] * energy[j] * term)


def of_features(energy):
    """b(energy) with the feature ratio put in."""
    return missed(energy).subs(varrho, ratio)


shrunk = 1 - kappa * (1 + ratio) / (s[j] + kappa) + ratio * kappa**2 / (s[j] + kappa) ** 2
noise_gain = gain / kept

FORMULAS = (
    Formula(
        name="random_features_equation",
        title="The equation of the effective ridge with random features",
        left="",
        expression=Eq(lam, kappa * (1 - df_1 / T) * (1 - df_1 / m)),
        arguments=("effective_ridge", "ridge", "samples", "features", "eigenvalues"),
        regime="proportional limit",
        source=PAPER,
        derivation="The root with df_1(κ) < min(T, m); evaluated as the residual.",
        conditions=(RESOLVED, ENOUGH),
    ),
    Formula(
        name="random_features_slope",
        title="The derivative of the ridge in the effective ridge, random features",
        left=r"\frac{d\lambda}{d\kappa}",
        expression=(1 - df_1 / T) * (1 - df_1 / m) + unresolved * ((1 - df_1 / m) / T + (1 - df_1 / T) / m),
        arguments=("effective_ridge", "samples", "features", "eigenvalues"),
        regime="proportional limit",
        source="derived here",
        derivation="κ d df_1/dκ = df_2 - df_1.",
        conditions=(RESOLVED, ENOUGH),
    ),
    Formula(
        name="feature_ratio",
        title="The feature ratio ϱ",
        left=r"\varrho",
        expression=(m - first) / (m - second),
        arguments=("features", "first_degrees", "second_degrees"),
        regime="proportional limit",
        source=PAPER,
        conditions=(ORDERED, Condition(m > first, ENOUGH.sentence)),
    ),
    Formula(
        name="random_features_gain",
        title="The noise gain γ of random features",
        left=r"\gamma",
        expression=((1 - varrho) * first + varrho * second) / T,
        arguments=("samples", "feature_ratio", "first_degrees", "second_degrees"),
        regime="proportional limit",
        source=PAPER,
        conditions=(ORDERED, Condition(T > first, RESOLVED.sentence)),
        limits=(("feature_ratio", 1, second / T),),
    ),
    Formula(
        name="random_features_missed",
        title="What random features and ridge leave of the signal",
        left="b(w)",
        expression=missed(theta),
        arguments=("effective_ridge", "feature_ratio", "eigenvalues", "signal"),
        regime="proportional limit",
        source=PAPER,
        limits=(("feature_ratio", 1, total(s[j] * theta[j] * kappa**2 / (s[j] + kappa) ** 2)),),
    ),
    Formula(
        name="random_features_error",
        title="Test error of ridge regression on random features",
        left=r"E_{\mathrm{clean}}",
        expression=(of_features(theta) + gain * sigma**2) / kept,
        arguments=("effective_ridge", "samples", "features", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source=PAPER,
        derivation="(b + σ²)/(1-γ) - σ² without the cancellation.",
        conditions=(RESOLVED, ENOUGH),
    ),
    Formula(
        name="random_features_label_error",
        title="Test error of random features on labels of a random model",
        left=r"E_{\mathrm{test}}",
        expression=(of_features(c) + gain * sigma**2) / kept
        + total(
            s[j] * (c[j] - 2 * mu[j] * theta[j] + theta[j] - 2 * kappa / (s[j] + kappa) * (c[j] - mu[j] * theta[j]))
        ),
        arguments=(
            "effective_ridge",
            "samples",
            "features",
            "noise",
            "eigenvalues",
            "signal",
            "label_energy",
            "label_alignment",
        ),
        regime="proportional limit",
        source="derived here",
        derivation="E‖ŵ-w_0‖² = E‖ŵ-w‖² - 2 E(w-ŵ)·(w-w_0) + E‖w-w_0‖², and E[w-ŵ|w] = κ/(s+κ) w.",
        conditions=(RESOLVED, ENOUGH),
    ),
    Formula(
        name="random_features_price",
        title="The price of a share of synthetic labels, random features",
        left=r"\zeta",
        expression=p_2**2 * total(Delta[j] * s[j] * shrunk)
        + noise_gain * (p_2**2 * of_features(Delta) + p_2 * (1 - p_2) * total(Delta[j] * s[j])),
        arguments=("effective_ridge", "samples", "features", "synthetic_share", "eigenvalues", "offset"),
        regime="proportional limit",
        source=PAPER,
        conditions=(RESOLVED, ENOUGH),
        limits=(("synthetic_share", 0, 0 * kappa),),
    ),
)
