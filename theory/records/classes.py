r"""Classes as labels: noise-to-signal ratios, angles that multiply, classes that die.

A label y of the score u = x·w with gain g and noise level ν (`pipelines.links`) costs a fit what label noise of the
variance h = ν/(gτ)² would cost on the score in units of its deviation τ. On isotropic inputs, or by least squares on
any, a fit turns the model by a random angle α whose direction is uniform around the labeller, so that

$$ \frac{1}{\cos^2 θ_n} = \prod_k (1 + t_k^2), \qquad t = \tan α, $$

and the share of inputs on which student and truth differ is θ_n/π.
"""

from sympy import Rational, acos, asin, erf, erfc, exp, pi, sqrt

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.symbols import symbols

phi, phi_0, kappa, n, T, d = symbols(
    "aspect", "generator_aspect", "effective_ridge", "generations", "samples", "dimension"
)
q, h, gamma, b = symbols("flips", "noise_ratio", "temperature", "imbalance")
rho, B, tau, gamma_s = symbols("overlap", "clip", "score_deviation", "score_temperature")

SPARE = Condition(phi < 1, "least squares needs more samples than directions: lower aspect")
SPARE_0 = Condition(phi_0 < 1, "least squares needs more samples than directions: lower generator_aspect")
RIDGE = Condition(phi < (1 + kappa) ** 2, "no ridge has this effective ridge: lower aspect or raise effective_ridge")

density = exp(-(b**2) / 2) / sqrt(2 * pi)
slope = 2 * density  # E y z of y = sign(z + b)
mean = erf(b / sqrt(2))  # E y
turned = (1 - mean**2 - slope**2) / slope**2 * phi_0 / (1 - phi_0)
x = 1 / (1 + gamma**2)
x_s = tau**2 / (tau**2 + gamma_s**2)
clipped = erf(B / sqrt(2))  # the gain
best = (h * phi + phi - 1 + sqrt((h * phi + phi - 1) ** 2 + 4 * h * phi)) / 2  # κ at λ = hφ

FORMULAS = (
    Formula(
        name="sign_noise_ratio",
        title="Noise-to-signal ratio of sign labels, a share of them flipped",
        left="h",
        expression=pi / (2 * (1 - 2 * q) ** 2) - 1,
        arguments=("flips",),
        regime="exact",
        source="derived here",
        derivation="E y u = (1-2q) E|u| = (1-2q) τ √(2/π), E y² = 1. No ±1 label of the score has a smaller ratio.",
        limits=(("flips", 0, pi / 2 - 1 + 0 * q),),
    ),
    Formula(
        name="probit_noise_ratio",
        title="Noise-to-signal ratio of labels ±1 that are drawn with P(+) = Φ(u/(γτ))",
        left="h",
        expression=pi / 2 * (1 + gamma**2) - 1,
        arguments=("temperature",),
        regime="exact",
        source="derived here",
        derivation="A probit label is the sign of the score plus noise of variance γ²τ²: it lengthens what is signed.",
        limits=(("temperature", 0, pi / 2 - 1 + 0 * gamma),),
    ),
    Formula(
        name="soft_probit_noise_ratio",
        title="Noise-to-signal ratio of soft labels 2Φ(u/(γτ)) - 1",
        left="h",
        expression=asin(x) / x - 1,
        arguments=("temperature",),
        regime="exact",
        source="derived here",
        derivation="The gain of sampled labels, E y² = (2/π) arcsin x, x = 1/(1+γ²). Like x²/6 at high temperature.",
        conditions=(Condition(gamma <= 20, "hotter soft labels are linear, h = 1/(6γ⁴): lower temperature"),),
        limits=(("temperature", 0, pi / 2 - 1 + 0 * gamma),),
    ),
    Formula(
        name="clipped_noise_ratio",
        title="Noise-to-signal ratio of scores that are cut off at ±Bτ",
        left="h",
        expression=(clipped - B * sqrt(2 / pi) * exp(-(B**2) / 2) + B**2 * erfc(B / sqrt(2))) / clipped**2 - 1,
        arguments=("clip",),
        regime="exact",
        source="derived here",
        derivation="g = P(|z| < B) by parts, E y² = E min(z², B²).",
    ),
    Formula(
        name="soft_chain_map",
        title="Deviation of the score after a least-squares fit on soft labels 2Φ(u/γ) - 1, any covariance",
        left=r"\tau'",
        expression=sqrt(2 / pi * (x_s + (asin(x_s) - x_s) * phi_0 / (1 - phi_0))),
        arguments=("score_deviation", "score_temperature", "generator_aspect"),
        regime="proportional limit",
        source="derived here",
        derivation="τ'² = (gτ)² + ν φ_0/(1-φ_0), x = τ²/(τ²+γ²). Without noise its fixed point is τ² = 2/π - γ².",
        conditions=(SPARE_0,),
        limits=(("generator_aspect", 0, sqrt(2 * x_s / pi)),),
    ),
    Formula(
        name="soft_chain_temperature",
        title="Temperature over the score's deviation, from which soft probit labels let a chain stop collapsing",
        left=r"\gamma^\star",
        expression=sqrt(2 / pi),
        arguments=(),
        regime="exact",
        source="derived here",
        derivation="2Φ(u/γ) - 1 has the slope √(2/π)/γ at u = 0. Below one the scores shrink from fit to fit, where "
        "soft labels are linear and h → 0 fast enough to be summed; above one their size has a fixed point with h > 0.",
    ),
    Formula(
        name="angle_isotropic",
        title="tan² of the angle between labeller and student, isotropic inputs",
        left="t^2",
        expression=phi * (kappa**2 + h * (1 + kappa) ** 2) / ((1 + kappa) ** 2 - phi),
        arguments=("aspect", "effective_ridge", "noise_ratio"),
        regime="proportional limit",
        source="derived here",
        derivation="Var ŵ in all directions over the squared mean: d v/(1+κ)² with v = [κ²/(1+κ)² + h]/(T - d/(1+κ)²), "
        "over 1/(1+κ)².",
        conditions=(RIDGE,),
        limits=(("aspect", 0, 0 * phi),),
        at={"aspect": 0.4, "effective_ridge": 0.3},
    ),
    Formula(
        name="best_angle_isotropic",
        title="tan² of the angle at the best ridge λ = hφ, isotropic inputs",
        left=r"t_\star^2",
        expression=phi * (h + best / (1 + best)),
        arguments=("aspect", "noise_ratio"),
        regime="proportional limit",
        source="derived here",
        derivation="The best ridge of a noise-to-signal ratio h is hφ for the angle too; κ solves κ - hφ = κφ/(1+κ).",
        limits=(("aspect", 0, 0 * phi),),
    ),
    Formula(
        name="class_chain_error",
        title="0-1 error of a chain of least-squares classifiers, and of the fit on its labels",
        left="E_{01}",
        expression=acos((1 + h * phi_0 / (1 - phi_0)) ** (-n / 2) / sqrt(1 + h * phi / (1 - phi))) / pi,
        arguments=("aspect", "generator_aspect", "generations", "noise_ratio"),
        regime="proportional limit",
        source="derived here",
        derivation="t² = hφ/(1-φ) for least squares, any covariance; h does not depend on the scale of signs.",
        conditions=(SPARE, SPARE_0),
        limits=(("generations", 0, acos(1 / sqrt(1 + h * phi / (1 - phi))) / pi),),
    ),
    Formula(
        name="probit_error_rate",
        title="0-1 error against test labels ±1 that are drawn with P(+) = Φ(u/(γτ)), u the truth's score",
        left="E_{01}",
        expression=acos(rho / sqrt(1 + gamma**2)) / pi,
        arguments=("overlap", "temperature"),
        regime="exact",
        source="derived here",
        derivation="A probit label is the sign of u plus noise, which shortens the overlap by √(1+γ²).",
        limits=(("temperature", 0, acos(rho) / pi),),
    ),
    Formula(
        name="mean_angle_gap",
        title="Mean angle of least squares over the angle of the mean squares, less one, small angles",
        left=r"\mathbb E\theta/\theta - 1",
        expression=-(1 / d + 1 / (T - d)) / 4,
        arguments=("samples", "dimension"),
        regime="scaling",
        source="derived here",
        derivation="The length across is a root of χ²_{d-1}/χ²_{T-d+1}: its mean is below the root of the mean square.",
        conditions=(Condition(T > d, "least squares needs more samples than directions: raise samples"),),
    ),
    Formula(
        name="sign_error_perpendicular",
        title="Squared length across the labeller of a least-squares fit on unit sign scores, any covariance",
        left=r"\mathbb E\|\hat w_\perp\|^2",
        expression=(1 - 2 * (1 - 2 * q) ** 2 / pi) * (d - 1) / (T - d - 1),
        arguments=("samples", "dimension", "flips"),
        regime="exact",
        source="derived here",
        derivation="Given the scores, the rest of the inputs is independent of the labels: an inverse Wishart matrix "
        "of T - 1 rows on d - 1 directions, and the part of the labels that is across the scores.",
        conditions=(Condition(T > d + 1, "an inverse Wishart matrix has a mean only beyond: raise samples"),),
        limits=(("dimension", 1, 0 * d),),
    ),
    Formula(
        name="class_balance_map",
        title="Class offset over the score's deviation after a least-squares fit with intercept on sign(u + bτ)",
        left="b'",
        expression=mean / (slope * sqrt(1 + turned)),
        arguments=("imbalance", "generator_aspect"),
        regime="proportional limit",
        source="derived here",
        derivation="The intercept is E y = 2Φ(b) - 1, the gain E y z = 2φ(b), and noise lengthens the score by "
        "√(1 + t²) with h = (1 - ȳ² - 4φ²)/4φ². With endless data b' = b (1 + b²/3 + …): the smaller class dies.",
        conditions=(SPARE_0,),
        limits=(("generator_aspect", 0, mean / slope),),
        at={"imbalance": 0.5},
    ),
    Formula(
        name="class_balance_threshold",
        title="Offset below which classes drift to balance, above which the smaller one dies",
        left=r"b^\star",
        expression=sqrt(Rational(3, 2) * (pi / 2 - 1) * phi_0),
        arguments=("generator_aspect",),
        regime="scaling",
        source="derived here",
        derivation="b (1 + b²/3)/√(1 + t²) = b to second order, t² ≃ (π/2 - 1)φ_0.",
        conditions=(SPARE_0,),
        limits=(("generator_aspect", 0, 0 * phi_0),),
    ),
)
