r"""The effective ridge: what ridge regression on T samples does to the mean of its predictor.

With df_1(κ) = Σ_j s_j/(s_j+κ), κ ≥ λ is the largest root of κ - λ = κ df_1(κ)/T, and the mean of the fitted model
is Σ(Σ+κ)^{-1} w. Isotropic, Σ = I and φ = d/T, the equation is quadratic. For s_j = j^{-β} and λ = 0,
df_1(κ) ≃ C κ^{-1/β} with C = π/(β sin(π/β)), hence κ ≃ (C/T)^β.
"""

from sympy import Abs, Eq, Piecewise, pi, sin, sqrt

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.sums import RESOLVED, T, df_1, df_2, kappa
from modelcollapse.theory.symbols import symbols

lam, d, beta = symbols("ridge", "dimension", "capacity")


def isotropic(ridge, aspect_less_one):
    """κ for Σ = I, from λ and φ - 1."""
    linear = ridge + aspect_less_one
    return (linear + sqrt(linear**2 + 4 * ridge)) / 2


def isotropic_stable(ridge, aspect_less_one):
    """The same without cancellation: the product of the two roots is -λ."""
    linear = ridge + aspect_less_one
    large = (Abs(linear) + sqrt(linear**2 + 4 * ridge)) / 2
    return Piecewise((large, linear >= 0), (ridge / large, True))


FORMULAS = (
    Formula(
        name="effective_ridge_equation",
        title="The equation of the effective ridge",
        left="",
        expression=Eq(kappa - lam, kappa * df_1 / T),
        arguments=("effective_ridge", "ridge", "samples", "eigenvalues"),
        regime="proportional limit",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712), equation of κ; Cui et al., NeurIPS 2021",
        derivation="Evaluated as the residual; modelcollapse.effective_ridge solves for the largest root.",
    ),
    Formula(
        name="effective_ridge_isotropic",
        title="The effective ridge for isotropic inputs",
        left=r"\kappa",
        expression=isotropic(lam, d / T - 1),
        computed_as=isotropic_stable(lam, (d - T) / T),
        arguments=("ridge", "samples", "dimension"),
        regime="proportional limit",
        source="Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712)",
        derivation="df_1 = d/(1+κ): the positive root of κ² + (1-λ-φ) κ - λ = 0.",
    ),
    Formula(
        name="effective_ridge_slope",
        title="The derivative of the effective ridge in the ridge",
        left=r"\frac{d\kappa}{d\lambda}",
        expression=1 / (1 - df_2 / T),
        arguments=("effective_ridge", "samples", "eigenvalues"),
        regime="proportional limit",
        source="derived here",
        derivation="Differentiate λ = κ (1 - df_1(κ)/T): d(κ df_1)/dκ = df_2.",
        conditions=(RESOLVED,),
    ),
    Formula(
        name="effective_ridge_power_law",
        title="The effective ridge of least squares on a power law of infinite dimension",
        left=r"\kappa",
        expression=(pi / (beta * sin(pi / beta) * T)) ** beta,
        arguments=("samples", "capacity"),
        regime="scaling",
        source="Cui et al., NeurIPS 2021; the constant derived here",
        derivation="λ = 0: df_1(κ) = T, and Σ_j 1/(1 + κ j^β) ≃ κ^{-1/β} ∫_0^∞ dx/(1+x^β), relative error O(1/T).",
    ),
    Formula(
        name="ridge_isotropic",
        title="The ridge that has a given effective ridge, isotropic inputs",
        left=r"\lambda",
        expression=kappa * (1 - d / (T * (1 + kappa))),
        computed_as=kappa * ((T - d) / T + kappa) / (1 + kappa),
        arguments=("effective_ridge", "samples", "dimension"),
        regime="proportional limit",
        source="derived here",
        derivation="The equation of the effective ridge solved for λ with df_1 = d/(1+κ).",
        conditions=(Condition(T > d / (1 + kappa), RESOLVED.sentence),),
        limits=(("dimension", 0, kappa),),
    ),
)
