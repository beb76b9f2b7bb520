r"""The discrete toy chain: multinomial resampling, M draws per generation (the Wright-Fisher chain).

Diversity H = 1 - Σ_i p_i² is the chance that two draws differ; F = 1 - H. Two draws of the next generation come
from one draw of this one with chance 1/M, so H_k = H_0 (1-1/M)^k. With a share α of real data in every generation a
pair follows F_k only if both are synthetic, else F_0:

    F_{k+1} = (1-1/M) [(1-α)² F_k + (1-(1-α)²) F_0] + 1/M.

Accumulating every generation (real data first) leaves H_k = H_0 Π_{i≤k}(1 - 1/(M i²)).
"""

from sympy import exp, pi, sin, sqrt

from modelcollapse.theory.formulas import Formula
from modelcollapse.theory.records.gaussian_chains import product
from modelcollapse.theory.records.stable import Expm1, GeometricSum, LogAccumulated
from modelcollapse.theory.symbols import symbols

M, k, H_0, p, alpha, g = symbols("draws", "rounds", "diversity", "probability", "real_share", "survival")
TOY = "Shumailov et al. 2024 (Nature 631)"
OWN = "derived here"

kept = (1 - 1 / M) * (1 - alpha) ** 2
injected = (1 - 1 / M) * (1 - (1 - alpha) ** 2)
lost = 1 / M + (1 - 1 / M) * alpha * (2 - alpha)
injected_stable = (1 - 1 / M) * alpha * (2 - alpha)

FORMULAS = (
    Formula(
        name="discrete_loss",
        title="Chance that an event of probability p is lost in one generation",
        left=r"P(\mathrm{lost})",
        expression=(1 - p) ** M,
        arguments=("draws", "probability"),
        regime="exact",
        source=TOY,
        limits=(("probability", 0, p**0),),
    ),
    Formula(
        name="discrete_diversity",
        title="Mean diversity after k generations",
        left="H_k",
        expression=H_0 * (1 - 1 / M) ** k,
        arguments=("draws", "diversity", "rounds"),
        regime="exact",
        source="Wright 1931; as model collapse " + TOY,
        limits=(("rounds", 0, H_0),),
    ),
    Formula(
        name="discrete_mixed_diversity",
        title="Mean diversity after k generations with a share α of real data",
        left="H_k",
        expression=H_0 * (kept**k + injected * (1 - kept**k) / (1 - kept)),
        computed_as=H_0 * (kept**k + injected_stable * GeometricSum(lost, k)),
        arguments=("draws", "diversity", "real_share", "rounds"),
        regime="exact",
        source=OWN,
        derivation="The recursion of F is linear: 1 - F falls by the factor (1-1/M)(1-α)² towards its fixed point.",
        limits=(("rounds", 0, H_0), ("real_share", 0, H_0 * (1 - 1 / M) ** k)),
    ),
    Formula(
        name="discrete_mixed_limit",
        title="Mean diversity after infinitely many generations with a share α of real data",
        left=r"H_\infty",
        expression=injected * H_0 / (1 - kept),
        computed_as=injected_stable * H_0 / lost,
        arguments=("draws", "diversity", "real_share"),
        regime="exact",
        source=OWN,
        derivation="The fixed point of the recursion of F.",
        limits=(("real_share", 0, 0 * H_0), ("real_share", 1, H_0 * (1 - 1 / M))),
    ),
    Formula(
        name="discrete_accumulated_diversity",
        title="Mean diversity after k rounds of accumulated data",
        left="H_k",
        expression=H_0 * product,
        computed_as=H_0 * exp(LogAccumulated(1 / M, k)),
        arguments=("draws", "diversity", "rounds"),
        regime="exact",
        source=OWN + ", after Gerstgrasser et al. 2024 (arXiv 2404.01413)",
        derivation="Two draws of the pool of k rounds: H_k = H_{k-1} (1 - 1/(M k²)), as in the Gaussian chain.",
        limits=(("rounds", 0, H_0), ("rounds", 1, H_0 * (1 - 1 / M))),
    ),
    Formula(
        name="discrete_accumulated_limit",
        title="Mean diversity after infinitely many rounds of accumulated data",
        left=r"H_\infty",
        expression=H_0 * sin(pi / sqrt(M)) / (pi / sqrt(M)),
        arguments=("draws", "diversity"),
        regime="exact",
        source=OWN + ", after Gerstgrasser et al. 2024 (arXiv 2404.01413)",
    ),
    Formula(
        name="survival_step",
        title="Survival of a Poisson branching process, one generation on",
        left="g_{k+1}",
        expression=1 - exp(-g),
        computed_as=-Expm1(-g),
        arguments=("survival",),
        regime="exact",
        source="Galton-Watson; " + OWN,
        derivation="A category with few draws has Poisson many offspring of mean 1; g_1 = 1 per expected draw.",
    ),
    Formula(
        name="rare_category_alive",
        title="Chance that a rare category is still alive after k generations",
        left=r"P(\mathrm{alive})",
        expression=1 - exp(-M * p * g),
        computed_as=-Expm1(-M * p * g),
        arguments=("draws", "probability", "survival"),
        regime="scaling",
        source=OWN,
        derivation="For p → 0 the M p first draws found independent families, each alive with chance g_k; g_1 = 1, "
        "g_{k+1} = 1 - e^{-g_k}. Relative error O(p + 1/M).",
    ),
)
