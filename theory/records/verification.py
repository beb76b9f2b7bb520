r"""Verified labels and margins: what is learned from rows that were kept.

A labeller w gives sign labels, a verifier v at the angle ϑ to it keeps a row with chance k_+ where their signs agree
and k_- elsewhere. With D_∓ = (ϑ ∓ sin ϑ)/π the kept rows of a long sample teach by least squares

$$ β_+ (\hat w + \hat v) + β_- (\hat w - \hat v), \qquad
   β_± = \frac{k_±}{\sqrt{2π}\,[k_+ (1 - D_∓) + k_- D_∓]} . $$

In regression a verifier keeps rows whose label is within tσ of its own answer x·v. What is kept is a truncated normal:
for a labeller near the verifier its mean is ρx·w + (1-ρ)x·v and its variance ρσ², ρ = 1 - 2tφ(t)/(2Φ(t) - 1).
"""

from sympy import Rational, acos, asin, atan, cos, erf, exp, pi, sin, sqrt, tan

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.symbols import symbols

theta, right, wrong, t, T, d = symbols("angle", "right", "wrong", "threshold", "samples", "dimension")
(labeller,) = symbols("labeller_angle")
sigma, c2 = symbols("noise", "offset_variance")

below, above = (theta - sin(theta)) / pi, (theta + sin(theta)) / pi
ratio = wrong * (right * (1 - below) + wrong * below) / (right * (1 - above) + wrong * above) / right
share = right * (1 - theta / pi) + wrong * theta / pi
plus = right / sqrt(2 * pi) / (right * (1 - below) + wrong * below)  # β_+, β_-
minus = wrong / sqrt(2 * pi) / (right * (1 - above) + wrong * above)
both, apart = 2 * cos(theta / 2) ** 2, 2 * sin(theta / 2) ** 2  # 1 ± cos ϑ, half of the squared length of ŵ ± v̂
noise = 1 - sqrt(2 / pi) * (right * plus * both + wrong * minus * apart) / share
strength = 2 * (plus**2 * both + minus**2 * apart)
along = plus * both - minus * apart  # of w̄ on the verifier
blunt = sin(labeller) ** 2
wide = erf(t / sqrt(2))
square = 1 - t * sqrt(2 / pi) * exp(-(t**2) / 2) / wide  # E z² and E |z| of |z| < t
size = sqrt(2 / pi) * (1 - exp(-(t**2) / 2)) / wide
learning = (1 + wrong / right) / 2
pulled = t * sqrt(2 / pi) * exp(-(t**2) / 2) / wide  # 1 - ρ

SOME = Condition(right > Rational(1, 1000), "next to no right label is kept: raise right")

FORMULAS = (
    Formula(
        name="verified_share",
        title="Share of rows that a verifier keeps",
        left=r"\mathrm{acc}",
        expression=share,
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
        conditions=(SOME,),
        derivation="Sum and difference of the two unit vectors are orthogonal, of lengths 2cos(ϑ/2) and 2sin(ϑ/2), and "
        "the selected covariance is diagonal there. A perfect oracle halves the angle: its inputs are biased.",
        limits=(("wrong", 0, theta / 2), ("wrong", right, theta)),
    ),
    Formula(
        name="verified_strength",
        title="Squared length of what many verified rows teach, least squares, unit labeller and verifier",
        left=r"\|\bar w\|^2",
        expression=strength,
        arguments=("angle", "right", "wrong"),
        regime="exact",
        source="derived here",
        derivation="|β_+(ŵ+v̂)|² + |β_-(ŵ-v̂)|².",
        conditions=(SOME,),
        limits=(("angle", 0, 2 / pi + 0 * right),),
    ),
    Formula(
        name="verified_noise",
        title="Noise of labels that were verified, least squares",
        left=r"\nu",
        expression=noise,
        arguments=("angle", "right", "wrong"),
        regime="exact",
        source="derived here",
        derivation="E y² less what w̄ explains of it, b·A^{-1}b, on the rows that are kept.",
        conditions=(SOME,),
        limits=(("angle", 0, 1 - 2 / pi + 0 * right),),
    ),
    Formula(
        name="verified_error",
        title="0-1 error of least squares on rows that the truth verified",
        left="E_{01}",
        expression=acos(along / sqrt(strength + noise * d / (share * T - d))) / pi,
        arguments=("samples", "dimension", "angle", "right", "wrong"),
        regime="proportional limit",
        source="derived here",
        derivation="1/ρ² = [1 + ν d/((T_k - d)‖w̄‖²)]/cos²∠(w̄, w_0), T_k rows kept. Any covariance, angles in its "
        "inner product.",
        conditions=(
            SOME,
            Condition(T > d / share, "least squares needs more kept rows than directions: raise samples"),
        ),
    ),
    Formula(
        name="independent_verifier_angle",
        title="Largest angle to the truth of a verifier that pays, errors independent of the labeller's, endless rows",
        left=r"\vartheta_v",
        expression=asin(sin(labeller) * sqrt(1 + 2 * cos(labeller) ** 2 * (sqrt(1 + blunt**2) - blunt))),
        arguments=("labeller_angle",),
        regime="exact",
        source="derived here",
        derivation="ŵ + v̂ is nearer to w_0 than ŵ if (a+b)² > 2a²(1+ab), a and b the cosines: b > a(√(1+s⁴) - s²), "
        "s the labeller's sine. Small: √3 times the labeller's angle.",
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
    Formula(
        name="best_margin",
        title="The margin below which kept rows copy their labeller best, many rows",
        left=r"t^\star",
        expression=sqrt(2 * pi) * d / T,
        arguments=("samples", "dimension"),
        regime="scaling",
        source="derived here",
        derivation="The least t²d/9/(√(2/π) t T - d): twice as many rows are kept as there are directions.",
        conditions=(Condition(T > d, "small margins need many rows: raise samples"),),
    ),
    Formula(
        name="best_margin_angle",
        title="tan² of the angle between labeller and student at the best margin, many rows",
        left=r"t^2",
        expression=2 * pi / 9 * (d / T) ** 2,
        arguments=("samples", "dimension"),
        regime="scaling",
        source="derived here",
        derivation="The angle falls like d/T, not like √(d/T): rows at a labeller's boundary are almost noise-free.",
        conditions=(Condition(T > d, "small margins need many rows: raise samples"),),
    ),
    Formula(
        name="verified_regression_pull",
        title="How much of a labeller is left in labels within tσ of a verifier's answers",
        left=r"\rho",
        expression=1 - pulled,
        arguments=("threshold",),
        regime="exact",
        source="arXiv 2510.16657; the form derived here",
        derivation="The mean of a normal variable that is kept in an interval moves with its centre by the variance of "
        "what is kept, over the variance before. To first order in the distance of labeller and verifier.",
    ),
    Formula(
        name="verified_regression_error",
        title="Test error after many verified generations of least squares",
        left=r"E_\infty",
        expression=c2 + (1 - pulled) * sigma**2 * d / (pulled * (2 - pulled) * (T * wide - d - 1)),
        arguments=("samples", "dimension", "noise", "threshold", "offset_variance"),
        regime="scaling",
        source="arXiv 2510.16657; the form derived here",
        derivation="A generation fits on 2Φ(t) - 1 of the rows and keeps the share ρ of its distance to the verifier: "
        "E ← ρ²E + ρσ²d/(T(2Φ(t)-1) - d - 1), as long as E ≪ σ². c² is the verifier's own error, which stays.",
        conditions=(
            Condition(T > (d + 1) / wide, "least squares needs more kept rows than directions: raise samples"),
        ),
    ),
)
