r"""The labels that teach a ridge fit best, among all labellers.

On labels of a model w a ridge fit has the error Σ_j s_j (p_j w_j - w_0j)² + u (κ² Σ_j s_j w_j²/(s_j+κ)² + σ²), with
p_j = s_j/(s_j+κ) and u = df_2/(T - df_2): a parabola in each w_j, lowest at ρ_j w_0j.
"""

from sympy import Min

from modelcollapse.theory.formulas import Formula
from modelcollapse.theory.records.sums import j, kappa, s, total
from modelcollapse.theory.symbols import symbols

u, theta, sigma, s_e = symbols("noise_gain", "signal", "noise", "eigenvalue")
PAPER = "Ildiz et al. 2024 (arXiv 2410.18837) for interpolators; any ridge derived here"

FORMULAS = (
    Formula(
        name="optimal_teacher_correlation",
        title="How loud the best teacher labels a direction, in units of the truth",
        left=r"\rho",
        expression=s_e * (s_e + kappa) / (s_e**2 + u * kappa**2),
        arguments=("eigenvalue", "effective_ridge", "noise_gain"),
        regime="proportional limit",
        source=PAPER,
        derivation="The error's derivative by w_j is p_j (p_j w_j - w_0j) + u κ² w_j/(s_j+κ)², times 2 s_j.",
        limits=(("effective_ridge", 0, 1 + 0 * u),),
    ),
    Formula(
        name="optimal_teacher_error",
        title="Test error of a ridge fit on labels of its best teacher",
        left=r"E^\star",
        expression=total(s[j] * theta[j] * u * kappa**2 / (s[j] ** 2 + u * kappa**2)) + u * sigma**2,
        arguments=("effective_ridge", "noise_gain", "noise", "eigenvalues", "signal"),
        regime="proportional limit",
        source=PAPER,
        derivation="The minimum of each parabola. Label noise adds uσ² whoever labels.",
        limits=(("effective_ridge", 0, u * sigma**2),),
    ),
    Formula(
        name="optimal_teacher_least_share",
        title="The best teacher leaves at least this share of the noise-free error on true labels",
        left=r"\min_s\frac{E^\star}{E}",
        expression=Min(u, 1) / (1 + u),
        arguments=("noise_gain",),
        regime="proportional limit",
        source="derived here",
        derivation="A direction keeps u(s+κ)²/((1+u)(s²+uκ²)), which is 1 at s = uκ, u/(1+u) for large s and "
        "1/(1+u) for small s: min(df_2/T, 1 - df_2/T).",
    ),
)
