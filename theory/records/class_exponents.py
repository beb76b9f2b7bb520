r"""Power laws of classifiers: how their 0-1 error falls with T, and where chains of them stop learning.

Capacity, source, λ = T^{-ℓ}, n = T^a, T_0 = T^b and φ_0 = d/T_0 = T^{-f} are those of `exponents`. Signs of scores are
never free of noise, h = π/2 - 1, and angles multiply, so that n least-squares generators cost a ridge fit what the
squared error of regression with the variances

    n σ_0² φ_0/(1-φ_0) → A_n - 1,    σ² → h A_n,    A_n = (1 + h φ_0/(1-φ_0))^n,

does, in units of the score. While n d ≲ T_0, a ≤ f, A_n stays of order one and small angles are the root of squared
errors: half of their exponents. For a > f, A_n = exp(h T^{a-f}) and the error tends to 1/2, where regression still
decays.
"""

from sympy import Max, Min, Rational, pi

from modelcollapse.theory.formulas import Condition, Formula
from modelcollapse.theory.records.exponents import BELOW, a, b, beta, ell, f, r_bar
from modelcollapse.theory.symbols import symbols

h, phi_0, n, T, d = symbols("noise_ratio", "generator_aspect", "generations", "samples", "dimension")
nu = Min(1, b - a)
FEW = Condition(f >= a, "n d beyond T_0, the error tends to 1/2: raise aspect_exponent or lower generations_exponent")
FALLING = Condition(a < b, "the error does not vanish unless generations grow slower than generator_samples")

FORMULAS = (
    Formula(
        name="class_error_exponent",
        title="Exponent of the 0-1 error of a ridge classifier after n least-squares generators",
        left="x",
        expression=Max(-2 * r_bar * ell, -(nu - ell / beta)) / 2,
        arguments=(
            "capacity",
            "source",
            "ridge_exponent",
            "generations_exponent",
            "generator_samples_exponent",
            "aspect_exponent",
        ),
        regime="scaling",
        source="derived here",
        derivation="test_error_exponent with noises of order one, halved. With a ≤ f the margin 1 - a + f never binds.",
        conditions=(
            BELOW,
            FEW,
            Condition(
                b >= f + ell / beta, "fewer directions than the ridge resolves: raise generator_samples_exponent"
            ),
        ),
        at={"aspect_exponent": 0.3},
    ),
    Formula(
        name="class_rate",
        title="The rate of the 0-1 error at the best ridge after n least-squares generators: E ≍ T^{-rate}",
        left=r"\mathrm{rate}",
        expression=nu * r_bar * beta / (1 + 2 * r_bar * beta),
        arguments=(
            "capacity",
            "source",
            "generations_exponent",
            "generator_samples_exponent",
            "aspect_exponent",
        ),
        regime="scaling",
        source="derived here",
        derivation="Half the rate of squared errors, at the same ℓ⋆ = ν β/(1+2r̄β). A smaller d saturates.",
        conditions=(
            FALLING,
            FEW,
            Condition(
                f <= b - nu / (1 + 2 * r_bar * beta),
                "fewer directions than the optimum resolves: raise generator_samples_exponent",
            ),
        ),
        at={"aspect_exponent": 0.3},
    ),
    Formula(
        name="class_chain_error_early",
        title="0-1 error of few generations of least-squares classifiers on many rows, any covariance",
        left="E_{01}",
        expression=(h * (n * phi_0 + d / T)) ** Rational(1, 2) / pi,
        arguments=("samples", "dimension", "generator_aspect", "generations", "noise_ratio"),
        regime="scaling",
        source="derived here",
        derivation="class_chain_error while n t² ≪ 1: like T^{-1/2} and (n/T_0)^{1/2}; then exponentially to 1/2.",
        conditions=(
            Condition(phi_0 <= 1 / (n + 1), "(n + 1) d beyond T_0: use class_chain_error"),
            Condition(T > d, "least squares needs more samples than directions: raise samples"),
        ),
        limits=(("generations", 0, (h * d / T) ** Rational(1, 2) / pi),),
        at={"generations": 2},
    ),
)
