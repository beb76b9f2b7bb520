r"""Degrees of freedom df_q(κ) = Σ_j (s_j/(s_j+κ))^q: how many directions a fit resolves.

On a power law s_j = j^{-β} the sum is an integral for κ → 0: with x = j κ^{1/β},
Σ_j (1 + κ j^β)^{-q} ≃ κ^{-1/β} ∫ (1 + x^β)^{-q} dx, from 0 to ∞ in infinite dimension and to d κ^{1/β} otherwise.
"""

from sympy import gamma, hyper, zeta

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.sums import degrees, kappa
from modelcollapse.theory.symbols import symbols

d, q, beta, r = symbols("dimension", "order", "capacity", "source")
RIEMANN = "Riemann sum of a decreasing function: the absolute error is at most 1"

FORMULAS = (
    Formula(
        name="degrees_of_freedom",
        title="Degrees of freedom of order q",
        left=r"\mathrm{df}_q(\kappa)",
        expression=degrees(q),
        arguments=("effective_ridge", "order", "eigenvalues"),
        regime="exact",
        source="definition",
        limits=(("effective_ridge", 0, degrees(q).subs(kappa, 0).doit()),),
    ),
    Formula(
        name="degrees_of_freedom_isotropic",
        title="Degrees of freedom of isotropic inputs",
        left=r"\mathrm{df}_q(\kappa)",
        expression=d / (1 + kappa) ** q,
        arguments=("effective_ridge", "order", "dimension"),
        regime="exact",
        source="definition",
        limits=(("effective_ridge", 0, d),),
    ),
    Formula(
        name="degrees_of_freedom_power_law",
        title="Degrees of freedom of a power law in infinite dimension, κ → 0",
        left=r"\mathrm{df}_q(\kappa)",
        expression=gamma(1 + 1 / beta) * gamma(q - 1 / beta) / gamma(q) / kappa ** (1 / beta),
        arguments=("effective_ridge", "order", "capacity"),
        regime="scaling",
        source="derived here; q = 1 is π/(β sin(π/β)) κ^{-1/β}",
        derivation="∫_0^∞ (1+x^β)^{-q} dx = B(1/β, q - 1/β)/β. " + RIEMANN + ".",
        conditions=(Condition(kappa > 0, "without a ridge every direction counts: raise effective_ridge"),),
    ),
    Formula(
        name="degrees_of_freedom_power_law_finite",
        title="Degrees of freedom of a power law of d eigenvalues, κ → 0",
        left=r"\mathrm{df}_q(\kappa)",
        expression=d * hyper((q, 1 / beta), (1 + 1 / beta,), -kappa * d**beta),
        arguments=("effective_ridge", "order", "capacity", "dimension"),
        regime="scaling",
        source="derived here",
        derivation="∫_0^d (1+κx^β)^{-q} dx, Euler's integral of the hypergeometric function. " + RIEMANN + ".",
    ),
    Formula(
        name="power_law_trace",
        title="Trace of a power-law covariance in infinite dimension",
        left=r"\mathrm{tr}\,\Sigma",
        expression=zeta(beta),
        arguments=("capacity",),
        regime="exact",
        source="definition",
    ),
    Formula(
        name="power_law_label_variance",
        title="Variance of the noise-free labels on a power law: the error of predicting nothing",
        left=r"\mathrm{Var}(x\cdot w_0)",
        expression=zeta(1 + 2 * r * beta),
        arguments=("capacity", "source"),
        regime="exact",
        source="definition",
    ),
)
