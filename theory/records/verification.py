r"""Verified labels and margins: what is learned from rows that were kept.

A labeller w gives sign labels, a verifier v at the angle ϑ to it keeps a row with chance k_+ where their signs agree
and k_- elsewhere. With D_∓ = (ϑ ∓ sin ϑ)/π the kept rows of a long sample teach by least squares

$$ β_+ (\hat w + \hat v) + β_- (\hat w - \hat v), \qquad
   β_± = \frac{k_±}{\sqrt{2π}\,[k_+ (1 - D_∓) + k_- D_∓]} . $$
"""

from sympy import Rational, atan, cos, erf, exp, pi, sin, sqrt, tan

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.symbols import symbols

theta, right, wrong, t, T, d = symbols("angle", "right", "wrong", "threshold", "samples", "dimension")

below, above = (theta - sin(theta)) / pi, (theta + sin(theta)) / pi
ratio = wrong * (right * (1 - below) + wrong * below) / (right * (1 - above) + wrong * above) / right
wide = erf(t / sqrt(2))
square = 1 - t * sqrt(2 / pi) * exp(-(t**2) / 2) / wide  # E z² and E |z| of |z| < t
size = sqrt(2 / pi) * (1 - exp(-(t**2) / 2)) / wide
learning = (1 + wrong / right) / 2

FORMULAS = (
    Formula(
        name="verified_share",
        title="Share of rows that a verifier keeps",
        left=r"\mathrm{acc}",
        expression=right * (1 - theta / pi) + wrong * theta / pi,
        arguments=("angle", "right", "wrong"),
        regime="exact",
        source="derived here",
        derivation="Two scores of correlation cos ϑ have different signs with probability ϑ/π.",
        limits=(("wrong", right, right),),
    ),
    Formula(
        name="verified_angle",
        title="Angle to the verifier of what many verified rows teach, least squares",
        left=r"\vartheta'",
        expression=theta / 2 + atan(ratio * tan(theta / 2)),
        arguments=("angle", "right", "wrong"),
        regime="exact",
        source="derived here",
        conditions=(Condition(right > Rational(1, 1000), "next to no right label is kept: raise right"),),
        derivation="Sum and difference of the two unit vectors are orthogonal, of lengths 2cos(ϑ/2) and 2sin(ϑ/2), and "
        "the selected covariance is diagonal there. A perfect oracle halves the angle: its inputs are biased.",
        limits=(("wrong", 0, theta / 2), ("wrong", right, theta)),
    ),
    Formula(
        name="verified_noise_ratio",
        title="Noise-to-signal ratio of labels that a verifier confirmed, least squares, per kept row",
        left="h_v",
        expression=pi * (1 - below) ** 2 / (1 + cos(theta)) - (1 - below) / (1 - theta / pi),
        arguments=("angle",),
        regime="exact",
        source="derived here",
        derivation="β_- = 0 and β_+ = 1/(√(2π) D), D = 1 - D_-: ν = 1 - (1 + cos ϑ)/(π D acc), over "
        "‖w̄‖² = (1 + cos ϑ)/(π D²).",
        limits=(("angle", 0, pi / 2 - 1 + 0 * theta),),
    ),
    Formula(
        name="verified_chain_angle",
        title="Squared angle to an oracle after many verified generations of least squares",
        left=r"\theta_\infty^2",
        expression=(pi / 2 - 1) * d / (right * T - d) / (1 - learning**2),
        arguments=("samples", "dimension", "right", "wrong"),
        regime="scaling",
        source="derived here",
        derivation="Small angles: a fit shrinks the angle to a = (1 + k_-/k_+)/2 of itself and adds "
        "t² = (π/2 - 1)d/(k_+T - d).",
        conditions=(
            Condition(wrong < right, "a verifier has to prefer what is right: lower wrong"),
            Condition(T > d / right, "least squares needs more kept rows than directions: raise samples"),
        ),
        limits=(("wrong", 0, (pi / 2 - 1) * d / (right * T - d) * 4 / 3),),
        at={"wrong": 0.2, "right": 0.9},
    ),
    Formula(
        name="margin_noise_ratio",
        title="Noise-to-signal ratio of sign labels of scores below a margin, least squares, per kept row",
        left="h_t",
        expression=square * (square - size**2) / size**2,
        arguments=("threshold",),
        regime="exact",
        source="derived here",
        derivation="On |z| < t the fit on signs has β = E|z|/E z², ν = 1 - (E|z|)²/E z². Near zero h → t²/9: rows at "
        "the labeller's own boundary copy it almost without noise, its errors included.",
    ),
)
