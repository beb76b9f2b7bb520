r"""Workflows of self-training with far more samples than directions, in units of the first error σ²d/T.

Least squares on T rows a round, d ≪ T: the error of k rounds is σ²d/T times a factor that knows neither d nor the
covariance. Replacing pays k, accumulating Σ_{i≤k} 1/i². Subsampling draws T of the kT accumulated rows: the mean of the
pool moves by (ε̄_k + δ_{k-1})/k in round k, where the draw δ_k has the variance 1 - 1/k of one round's mean, and fit k
adds its own draw. In sum

    1 - 1/k + 1 + Σ_{i=2}^k (2 - 1/(i-1))/i² = 3 Σ_{i≤k} 1/i² - 2 .

The same factor multiplies the inverse Fisher information of every regular model, logistic regression among them.
"""

from sympy import Rational, Sum, pi, polygamma

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.symbols import index, length, symbols

k, d, T_g, sigma_g = symbols("rounds", "dimension", "round_samples", "round_noise")
g, K = index("g"), length("K")
squares = pi**2 / 6 - polygamma(1, k + 1)  # Σ_{i≤k} 1/i²
SOME = Condition(k > 0, "the first error is that of one round: raise rounds")
DONOHO = "Dey, Donoho 2024 (arXiv 2410.22812)"

FORMULAS = (
    Formula(
        name="workflow_accumulate",
        title="Error after k accumulated rounds over that of the first, d ≪ T",
        left="c_k",
        expression=squares,
        arguments=("rounds",),
        regime="scaling",
        source="Gerstgrasser et al. 2024 (arXiv 2404.01413); " + DONOHO + " for regular models",
        derivation="Round i moves the estimate by its own noise over i.",
        conditions=(SOME,),
        limits=(("rounds", 1, 1 + 0 * k), ("rounds", 2, Rational(5, 4) + 0 * k)),
    ),
    Formula(
        name="workflow_subsample",
        title="Error after k rounds on T of all rows so far, over that of the first, d ≪ T",
        left="c_k",
        expression=3 * squares - 2,
        arguments=("rounds",),
        regime="scaling",
        source=DONOHO + "; the closed form derived here",
        derivation="Sum 1/((i-1)i²) = 1/(i-1) - 1/i - 1/i² from 2 to k. The limit is π²/2 - 2.",
        conditions=(SOME,),
        limits=(("rounds", 1, 1 + 0 * k), ("rounds", 2, Rational(7, 4) + 0 * k)),
    ),
    Formula(
        name="growing_chain",
        title="Test error of a chain of least-squares fits on rounds of any size, any covariance",
        left="E_K",
        expression=Sum(sigma_g[g] ** 2 * d / (T_g[g] - d - 1), (g, 1, K)),
        arguments=("round_samples", "round_noise", "dimension"),
        regime="exact",
        source="derived here",
        derivation="Each fit adds its own error to that of its labeller. Bounded in K exactly if Σ 1/T_g is.",
        conditions=(
            Condition(T_g[g] > d + 1, "an inverse Wishart matrix has a mean only beyond: raise round_samples"),
        ),
        at={"dimension": 12},
    ),
)
