r"""Labels mixed on one input set, and the golden ratio.

Generation after generation, least squares on T fresh samples with labels α·y_real + (1-α)·y_synthetic: noise
α²σ_1² + (1-α)²σ_2², and the error of the last model enters with (1-α)². Hence E ← (1-α)² E + v, v the noise times
d/(T-d-1), exactly at every finite size. For equal noise the limit is smallest at α = (√5-1)/2, 0.618 of it.
"""

from sympy import sqrt

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.finite_sizes import OVER, T, d
from modelcollapse.theory.records.stable import GeometricSum
from modelcollapse.theory.symbols import symbols

alpha, k, sigma, sigma_1, sigma_2 = symbols("real_share", "rounds", "noise", "real_noise", "synthetic_noise")

noise = alpha**2 * sigma_1**2 + (1 - alpha) ** 2 * sigma_2**2
golden = (sqrt(5) - 1) / 2
GOLDEN = "Garg, Bhattacharya, Sur 2025 (arXiv 2509.22341); He et al. 2025"
kept = alpha * (2 - alpha)  # 1 - (1-α)²
SOME = Condition(alpha > 0, "without the truth the errors add up without bound: raise real_share")

FORMULAS = (
    Formula(
        name="label_mixing",
        title="Test error after k generations of mixed labels, least squares, any covariance",
        left="E_k",
        expression=d / (T - d - 1) * noise * (1 - (1 - alpha) ** (2 * k)) / (1 - (1 - alpha) ** 2),
        computed_as=d / (T - d - 1) * noise * GeometricSum(kept, k),
        arguments=("samples", "dimension", "real_share", "real_noise", "synthetic_noise", "rounds"),
        regime="exact",
        source="derived here; the limit in " + GOLDEN,
        conditions=(OVER, SOME),
        limits=(("rounds", 0, 0 * d), ("rounds", 1, d / (T - d - 1) * noise)),
    ),
    Formula(
        name="label_mixing_limit",
        title="Test error after infinitely many generations of mixed labels, equal noise",
        left=r"E_\infty",
        expression=sigma**2 * d / (T - d - 1) * (alpha**2 + (1 - alpha) ** 2) / (1 - (1 - alpha) ** 2),
        computed_as=sigma**2 * d / (T - d - 1) * (alpha**2 + (1 - alpha) ** 2) / kept,
        arguments=("samples", "dimension", "real_share", "noise"),
        regime="exact",
        source=GOLDEN,
        conditions=(OVER, SOME),
        limits=(("real_share", 1, sigma**2 * d / (T - d - 1)),),
    ),
    Formula(
        name="label_mixing_best_share",
        title="The best weight of the truth: the golden ratio",
        left=r"\alpha^\star",
        expression=golden,
        arguments=(),
        regime="exact",
        source=GOLDEN,
        derivation="The derivative of (α² + (1-α)²)/(1 - (1-α)²) vanishes where α² + α = 1.",
    ),
    Formula(
        name="label_mixing_best_error",
        title="Test error after infinitely many generations at the best weight",
        left=r"E_\infty(\alpha^\star)",
        expression=golden * sigma**2 * d / (T - d - 1),
        arguments=("samples", "dimension", "noise"),
        regime="exact",
        source=GOLDEN,
        derivation="At α² = 1 - α one has α² + (1-α)² = 3 - 4α and 1 - (1-α)² = 3α - 1, and α (3α - 1) = 3 - 4α.",
        conditions=(OVER,),
    ),
)
