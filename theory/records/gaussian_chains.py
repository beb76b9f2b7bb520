r"""The Gaussian toy chain: fit mean and variance on M draws, draw again from the fit.

Replacing, with the unbiased variance: E τ_k² = τ_0², yet E log τ_k² falls on a line and τ_k → 0 almost surely, because
(M-1)τ_{k+1}²/τ_k² ~ χ²_{M-1}. With the maximum-likelihood variance E τ_k² = τ_0²(1-1/M)^k. Accumulating, maximum
likelihood on all draws so far: E τ_k² = τ_0² Π_{i≤k}(1 - 1/(M i²)) → τ_0² sin(π/√M)/(π/√M). In both maximum-
likelihood chains E(μ_k-μ_0)² = τ_0² - E τ_k²: what the variance loses the mean wanders.
"""

from sympy import digamma, exp, gamma, log, pi, sin, sqrt

from modelcollapse.theory.formulas import Formula
from modelcollapse.theory.records.stable import DigammaGap, Expm1, GeometricSum, LogAccumulated, LogGammaGap
from modelcollapse.theory.symbols import symbols

M, k, tau_0 = symbols("draws", "rounds", "deviation")
TOY = "Shumailov et al. 2024 (Nature 631); Gerstgrasser et al. 2024 (arXiv 2404.01413)"
half = (M - 1) / 2
x = 1 / sqrt(M)
product = gamma(k + 1 - x) * gamma(k + 1 + x) / (gamma(k + 1) ** 2 * gamma(1 - x) * gamma(1 + x))


def record(name, title, left, expression, computed_as=None, arguments=("draws", "deviation", "rounds"), **rest):
    """A record of this chain; exact at every M."""
    return Formula(
        name=name,
        title=title,
        left=left,
        expression=expression,
        computed_as=computed_as,
        arguments=arguments,
        regime="exact",
        **({"source": TOY} | rest),
    )


FORMULAS = (
    record(
        "gaussian_log_variance",
        "Mean log variance after k generations, unbiased variance",
        r"E \log\tau_k^2",
        log(tau_0**2) + k * (digamma(half) + log(1 / half)),
        2 * log(tau_0) + k * DigammaGap(half),
        derivation="E log χ²_m = ψ(m/2) + log 2. The drift is negative, so τ_k → 0 almost surely.",
        limits=(("rounds", 0, 2 * log(tau_0)),),
    ),
    record(
        "gaussian_deviation",
        "Mean standard deviation after k generations, unbiased variance",
        r"E \tau_k",
        tau_0 * (sqrt(2 / (M - 1)) * gamma(M / 2) / gamma((M - 1) / 2)) ** k,
        tau_0 * exp(k * LogGammaGap(half)),
        derivation="The mean of a χ distribution, to the power k.",
        limits=(("rounds", 0, tau_0),),
    ),
    record(
        "gaussian_mean_drift",
        "Mean square displacement of the mean after k generations, unbiased variance",
        r"E(\mu_k-\mu_0)^2",
        tau_0**2 * k / M,
        derivation="Each step adds E τ_i²/M = τ_0²/M.",
    ),
    record(
        "gaussian_variance",
        "Mean variance after k generations, maximum likelihood",
        r"E \tau_k^2",
        tau_0**2 * (1 - 1 / M) ** k,
        limits=(("rounds", 0, tau_0**2),),
    ),
    record(
        "gaussian_mean_drift_likelihood",
        "Mean square displacement of the mean after k generations, maximum likelihood",
        r"E(\mu_k-\mu_0)^2",
        tau_0**2 * (1 - (1 - 1 / M) ** k),
        tau_0**2 / M * GeometricSum(1 / M, k),
        derivation="Σ_{i<k} E τ_i²/M.",
        limits=(("rounds", 1, tau_0**2 / M),),
    ),
    record(
        "gaussian_accumulated_variance",
        "Mean variance after k rounds of accumulated data, maximum likelihood",
        r"E \tau_k^2",
        tau_0**2 * product,
        tau_0**2 * exp(LogAccumulated(1 / M, k)),
        derivation="E τ_k² = E τ_{k-1}² (1 - 1/(M k²)); Π_{i≤k}(1 - x²/i²) = Γ(k+1-x)Γ(k+1+x)/(Γ(k+1)²Γ(1-x)Γ(1+x)).",
        limits=(("rounds", 0, tau_0**2), ("rounds", 1, tau_0**2 * (1 - 1 / M))),
    ),
    record(
        "gaussian_accumulated_limit",
        "Mean variance after infinitely many rounds of accumulated data",
        r"E \tau_\infty^2",
        tau_0**2 * sin(pi / sqrt(M)) / (pi / sqrt(M)),
        arguments=("draws", "deviation"),
        derivation="Euler's product of the sine.",
    ),
    record(
        "gaussian_accumulated_drift",
        "Mean square displacement of the mean after k rounds of accumulated data",
        r"E(\mu_k-\mu_0)^2",
        tau_0**2 * (1 - product),
        -(tau_0**2) * Expm1(LogAccumulated(1 / M, k)),
        limits=(("rounds", 1, tau_0**2 / M),),
    ),
)
