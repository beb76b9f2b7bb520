r"""Where synthetic labels start to dominate, and what is left when more data no longer help.

For d well beyond the resolved directions, df_2 ≪ min(T, d), the noise of the labels adds σ² df_2/T to the error and
n generations add n σ_0²/(T_0-d) (1 + d/T) df_2. Their ratio is 1 at the crossover. For T → ∞ at a fixed
generator the second stays, and the best ridge balances it against the bias.
"""

from sympy import Max

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.collapse_rates import GENERATOR, T_0, n, phi_0, sigma_0
from modelcollapse.theory.records.sums import T, df_2, missed
from modelcollapse.theory.symbols import length, symbols

(sigma, theta) = symbols("noise", "signal")
d = length("d")
SOME = Condition(sigma_0 > 0, "without noise of the generators there is no crossover: raise generator_noise")
ANY = Condition(n > 0, "without generations there is no crossover: raise generations")

FORMULAS = (
    Formula(
        name="dominance_ratio",
        title="Synthetic noise over real noise: the former dominates above 1",
        left=r"\frac{n\Delta}{\mathrm{noise}}",
        expression=n * sigma_0**2 * Max(T / T_0, phi_0) / (1 - phi_0) / sigma**2,
        arguments=("generations", "samples", "generator_samples", "generator_aspect", "noise", "generator_noise"),
        regime="scaling",
        source="derived here from Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712)",
        derivation="nΔ over σ² df_2/T, with 1 + d/T replaced by its larger term: right up to a factor 2.",
        conditions=(Condition(phi_0 < 1, GENERATOR.sentence), Condition(sigma > 0, "raise noise")),
    ),
    Formula(
        name="sample_crossover",
        title="The number of samples beyond which more data stop paying, at a fixed generator",
        left=r"T_\times",
        expression=(T_0 - d) * sigma**2 / (n * sigma_0**2),
        arguments=("generator_samples", "dimension", "noise", "generator_noise", "generations"),
        regime="scaling",
        source="derived here",
        derivation="σ² df_2/T = n σ_0² df_2/(T_0-d).",
        conditions=(GENERATOR, SOME, ANY),
    ),
    Formula(
        name="error_floor",
        title="Test error for infinitely many samples labelled by the n-th generator, at effective ridge κ = λ",
        left=r"\lim_{T\to\infty}E_{\mathrm{test}}",
        expression=missed(theta) + n * sigma_0**2 / (T_0 - d) * df_2,
        arguments=("effective_ridge", "generator_samples", "generator_noise", "generations", "eigenvalues", "signal"),
        regime="proportional limit",
        source="derived here",
        derivation="E_clean + n·Δ for T → ∞. Its minimum over κ is positive: the floor under every ridge.",
        conditions=(GENERATOR,),
        limits=(("generations", 0, missed(theta)), ("effective_ridge", 0, n * sigma_0**2 * d / (T_0 - d))),
    ),
)
