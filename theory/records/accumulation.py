r"""Accumulated data: all earlier data sets are kept, with their labels, and fitted again.

Round 1 is real, round g > 1 is labelled by the model of round g - 1. With the unnormalised ridge held fixed,
ŵ_k = ŵ_{k-1} + (A_k + Λ)^{-1} X_kᵀ ε_k exactly, A_k = Σ_{g≤k} X_gᵀX_g, N_k = Σ_{g≤k} T_g, so the error of
k fits is that of the first fit plus a sum whose terms fall like 1/g². For least squares each term is
σ_g² (T_g/N_g) d/(N_g-d-1), exactly; with equal rounds of T samples and x = (d+1)/T

    Σ_{g≤k} 1/(g (g - x)) = [ψ(1) - ψ(1-x) - ψ(k+1) + ψ(k+1-x)]/x,     → π²/6 for k → ∞ and d ≪ T.
"""

from sympy import Sum, digamma, pi

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.finite_sizes import OVER, T, d
from modelcollapse.theory.records.stable import DigammaDrop
from modelcollapse.theory.symbols import index, length, symbols

T_g, sigma_g, kappa_g = symbols("round_samples", "round_noise", "round_effective_ridge")
s, theta, sigma, k = symbols("eigenvalues", "signal", "noise", "rounds")
g, h, j, K = index("g"), index("h"), index("j"), length("K")
N_g = Sum(T_g[h], (h, 1, g))
OWN = "derived here; least squares in Gerstgrasser et al. 2024 (arXiv 2404.01413)"


def df_2(kappa):
    """Degrees of freedom of order 2."""
    return Sum((s[j] / (s[j] + kappa)) ** 2, (j, 1, length("d")))


def summed(x):
    """Σ_{g≤k} 1/(g(g-x)), and its form that keeps its digits for small x."""
    plain = (digamma(1) - digamma(1 - x) - digamma(k + 1) + digamma(k + 1 - x)) / x
    return plain, (DigammaDrop(1, x) - DigammaDrop(k + 1, x)) / x


x = (d + 1) / T
bias = kappa_g[1] ** 2 * Sum(s[j] * theta[j] / (s[j] + kappa_g[1]) ** 2, (j, 1, length("d")))
rounds, rounds_stable = summed(x)

FORMULAS = (
    Formula(
        name="accumulation_error",
        title="Test error of ridge regression on accumulated data",
        left="E_K",
        expression=bias / (1 - df_2(kappa_g[1]) / T_g[1])
        + Sum(sigma_g[g] ** 2 * T_g[g] / N_g * df_2(kappa_g[g]) / (N_g - df_2(kappa_g[g])), (g, 1, K)),
        arguments=("round_samples", "round_noise", "round_effective_ridge", "eigenvalues", "signal"),
        regime="proportional limit",
        source=OWN,
        derivation="κ_g solves the equation of the effective ridge with N_g samples, ridge Λ/N_g. The first term "
        "and g = 1 are the clean error of round 1, whose bias never heals: synthetic data add no signal.",
        conditions=(
            Condition(
                T_g[g] > Sum(s[j] / (s[j] + kappa_g[g]), (j, 1, length("d"))) - Sum(T_g[h], (h, 1, g - 1)),
                "the ridge is not negative only for more samples than degrees of freedom: raise round_samples",
            ),
        ),
    ),
    Formula(
        name="accumulation_least_squares",
        title="Test error of least squares on accumulated data, rounds of any size, any covariance",
        left="E_K",
        expression=Sum(sigma_g[g] ** 2 * T_g[g] / N_g * d / (N_g - d - 1), (g, 1, K)),
        arguments=("round_samples", "round_noise", "dimension"),
        regime="exact",
        source=OWN,
        conditions=(Condition(d < T_g[1] - 1, "raise the samples of the first round or lower dimension"),),
        at={"dimension": 12},
    ),
    Formula(
        name="accumulation_equal_rounds",
        title="Test error of least squares on k accumulated rounds of equal size and noise",
        left="E_k",
        expression=sigma**2 * d / T * rounds,
        computed_as=sigma**2 * d / T * rounds_stable,
        arguments=("samples", "dimension", "noise", "rounds"),
        regime="exact",
        source=OWN,
        derivation="N_g = g T: each term is σ² d/(g (g T - d - 1)); partial fractions.",
        conditions=(OVER,),
        limits=(("rounds", 0, 0 * d), ("rounds", 1, sigma**2 * d / (T - d - 1))),
    ),
    Formula(
        name="accumulation_limit",
        title="Test error of least squares on infinitely many accumulated rounds",
        left=r"E_\infty",
        expression=sigma**2 * d / (d + 1) * (digamma(1) - digamma(1 - x)),
        computed_as=sigma**2 * d / (d + 1) * DigammaDrop(1, x),
        arguments=("samples", "dimension", "noise"),
        regime="exact",
        source=OWN,
        conditions=(OVER,),
    ),
    Formula(
        name="accumulation_limit_many_samples",
        title="Test error of least squares on infinitely many accumulated rounds, d ≪ T",
        left=r"E_\infty",
        expression=sigma**2 * d / T * pi**2 / 6,
        arguments=("samples", "dimension", "noise"),
        regime="scaling",
        source="Gerstgrasser et al. 2024 (arXiv 2404.01413)",
        derivation="Σ_g 1/g² = π²/6, relative error O(d/T).",
    ),
)
