r"""Real and synthetic labels in one fit: strong model collapse.

A share p_1 of the T samples has labels of the truth w_0, a share p_2 = 1 - p_1 has labels of w_2 = w_0 + δ, where δ
has mean zero given w_0 and second moment Δ_jj per eigendirection. With u = df_2/(T - df_2) and both sources on one
covariance, the test error is the clean one at the pooled noise p_1σ_1² + p_2σ_2², plus the price

    ζ = p_2² Σ_j Δ_j s_j³/(s_j+κ)² + u ( p_2² κ² Σ_j Δ_j s_j/(s_j+κ)² + p_1 p_2 Σ_j Δ_j s_j ).

Not so for generators that shrink (fewer samples than directions, or a ridge): there δ has a mean. Sources with
weights ω_g on one covariance share a resolvent R = (λ + Σ_g p_g ω_g/(1+ω_g e) Σ)^{-1} with e = tr(Σ R)/T.
"""

from sympy import Eq, Sum

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.sums import RESOLVED, T, df_2, j, kappa, missed, s, total
from modelcollapse.theory.symbols import index, length, symbols

p_2, sigma_1, sigma_2, Delta, c2 = symbols(
    "synthetic_share", "real_noise", "synthetic_noise", "offset", "offset_variance"
)
theta, phi, lam, e, p_g, omega = symbols("signal", "aspect", "ridge", "correlation", "shares", "weights")
p_1 = 1 - p_2
g = index("g")
STRONG = "Dohmatob, Feng, Subramonian, Kempe 2024 (arXiv 2410.04840), Theorem 1; the form derived here"

price = p_2**2 * total(Delta[j] * s[j] ** 3 / (s[j] + kappa) ** 2) + df_2 / (T - df_2) * (
    p_2**2 * missed(Delta) + p_1 * p_2 * total(Delta[j] * s[j])
)
pooled = p_1 * sigma_1**2 + p_2 * sigma_2**2
resolved = Condition(phi < 1 + kappa, RESOLVED.sentence)
gain = phi / ((1 + kappa) ** 2 - phi)

FORMULAS = (
    Formula(
        name="mixture_price",
        title="The price of a share of synthetic labels",
        left=r"\zeta",
        expression=price,
        arguments=("effective_ridge", "samples", "synthetic_share", "eigenvalues", "offset"),
        regime="proportional limit",
        source=STRONG,
        conditions=(RESOLVED,),
        limits=(("synthetic_share", 0, 0 * kappa),),
    ),
    Formula(
        name="mixture_error",
        title="Test error on a mixture of real and synthetic labels",
        left=r"E_{\mathrm{test}}",
        expression=(missed(theta) + pooled * df_2 / T) / (1 - df_2 / T) + price,
        arguments=(
            "effective_ridge",
            "samples",
            "synthetic_share",
            "real_noise",
            "synthetic_noise",
            "eigenvalues",
            "signal",
            "offset",
        ),
        regime="proportional limit",
        source=STRONG,
        conditions=(RESOLVED,),
        limits=(("synthetic_share", 0, (missed(theta) + sigma_1**2 * df_2 / T) / (1 - df_2 / T)),),
    ),
    Formula(
        name="mixture_price_isotropic",
        title="The price of a share of synthetic labels, isotropic inputs",
        left=r"\zeta",
        expression=c2 * ((p_2 / (1 + kappa)) ** 2 + gain * ((p_2 * kappa / (1 + kappa)) ** 2 + p_1 * p_2)),
        arguments=("effective_ridge", "aspect", "synthetic_share", "offset_variance"),
        regime="proportional limit",
        source=STRONG,
        conditions=(resolved,),
        limits=(("synthetic_share", 0, 0 * kappa), ("effective_ridge", 0, c2 * (p_2**2 + p_1 * p_2 * phi / (1 - phi)))),
    ),
    Formula(
        name="mixture_price_ridgeless",
        title="The price of a share of synthetic labels, least squares",
        left=r"\zeta",
        expression=c2 * (p_2**2 + p_2 * (1 - p_2) * phi / (1 - phi)),
        arguments=("aspect", "synthetic_share", "offset_variance"),
        regime="proportional limit",
        source=STRONG,
        derivation="κ → 0 with more samples than directions: df_2 = d, for every covariance.",
        conditions=(Condition(phi < 1, "least squares has more samples than directions: lower aspect"),),
        limits=(("synthetic_share", 1, c2), ("aspect", 0, c2 * p_2**2)),
    ),
    Formula(
        name="mixture_floor",
        title="Strong model collapse: the price that no number of samples removes",
        left=r"\lim_{T\to\infty}\zeta",
        expression=p_2**2 * c2,
        arguments=("synthetic_share", "offset_variance"),
        regime="proportional limit",
        source="Dohmatob, Feng, Subramonian, Kempe 2024 (arXiv 2410.04840); here c² = E‖δ‖²_Σ, without the factor 1/d "
        "that the paper has in places",
        derivation="φ → 0 at a fixed share.",
    ),
    Formula(
        name="weighted_sources_equation",
        title="The fixed point of weighted sources on one covariance",
        left="",
        expression=Eq(
            e,
            total(s[j] / (lam + s[j] * Sum(p_g[g] * omega[g] / (1 + omega[g] * e), (g, 1, length("G"))))) / T,
        ),
        arguments=("correlation", "ridge", "samples", "eigenvalues", "shares", "weights"),
        regime="proportional limit",
        source="derived here",
        derivation="Leave one sample out of Σ_g ω_g S_g + λ: a sample of source g weighs ω_g/(1+ω_g e). One source of "
        "weight 1: κ = λ(1+e). λ is relative to all T samples; weights are not normalised.",
    ),
)
