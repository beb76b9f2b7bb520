r"""One pass of stochastic gradient descent on fresh Gaussian rows, exact at every size.

With the step η, batches of B rows and u_j = ηs_j the second moments of the error, c_j = E(w_j - w0_j)², start at w0_j²
and obey c_j ← [(1 - u_j)² + u_j²/B] c_j + (η u_j/B)(Σ_i s_i c_i + σ²). For equal eigenvalues, Σ = I, their sum is
multiplied by λ = 1 - η(2 - η(1 + (d+1)/B)) in every step and gains dη²σ²/B. Where the error has a limit, it is
σ² F/(1 - F) with F = Σ_j u_j/(B(2 - u_j(1 + 1/B))): solve for the fixed point and sum.
"""

import sympy

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.stable import GeometricSum, Log1m
from modelcollapse.theory.symbols import index, length, symbols

sigma, rho2, d, T = symbols("noise", "signal_energy", "dimension", "samples")
eta, B, s = symbols("descent_step", "batch", "eigenvalues")
j = index()

largest = 2 / (1 + (d + 1) / B)
gap = eta * (2 - eta * (1 + (d + 1) / B))
forgotten = (1 - gap) ** (T / B)
pulled = eta * s[j]
stationary_gain = sympy.Sum(pulled / (B * (2 - pulled * (1 + 1 / B))), (j, 1, length("d")))

STABLE = Condition(eta < largest, "a longer step makes the error grow: lower descent_step or raise batch")
SHORT = Condition(
    eta < 2 * B / ((B + 2) * sympy.Sum(s[j], (j, 1, length("d")))),
    "such a step is stable on every spectrum of this trace (predict knows the largest one): lower descent_step",
)
SOURCE = "derived here; the recursion of one row: Feuer, Weinstein 1985"

FORMULAS = (
    Formula(
        name="one_pass_error_isotropic",
        title="Test error after one pass of SGD from zero, isotropic inputs",
        left=r"E_{\mathrm{test}}",
        expression=forgotten * rho2 + sigma**2 * (eta**2 * d / B) * (1 - forgotten) / gap,
        computed_as=sympy.exp(T / B * Log1m(gap)) * rho2 + sigma**2 * (eta**2 * d / B) * GeometricSum(gap, T / B),
        arguments=("descent_step", "batch", "samples", "dimension", "noise", "signal_energy"),
        regime="exact",
        source=SOURCE,
        conditions=(STABLE,),
        limits=(("samples", 0, rho2), ("batch", sympy.oo, rho2)),
        at={"descent_step": 0.01},
    ),
    Formula(
        name="one_pass_largest_step",
        title="The step at which one pass of SGD stops being stable, isotropic inputs",
        left=r"\eta_{\max}",
        expression=largest,
        arguments=("batch", "dimension"),
        regime="exact",
        source=SOURCE,
        limits=(("batch", sympy.oo, sympy.Integer(2)),),
        derivation="λ = 1. For batches of all rows there are, the 2 of gradient descent on the population.",
    ),
    Formula(
        name="one_pass_stationary_error",
        title="Test error of SGD after ever more fresh rows, any covariance",
        left=r"E_{\infty}",
        expression=sigma**2 * stationary_gain / (1 - stationary_gain),
        arguments=("descent_step", "batch", "eigenvalues", "noise"),
        regime="exact",
        source=SOURCE,
        conditions=(SHORT,),
        limits=(("descent_step", 0, sympy.Integer(0)), ("noise", 0, sympy.Integer(0))),
        at={"descent_step": 0.1},
    ),
)
