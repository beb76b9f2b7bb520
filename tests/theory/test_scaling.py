"""Exponents of power laws, measured on the exact formula E_clean + n Δ minimised over the ridge.

The formula is evaluated here from sums of j alone (direct up to 512, Gauss-Legendre in log j beyond, midpoint
correction), at any dimension. Slopes are taken over the three decades T = 1e9 ... 1e12. Where two
lines cross the minimum is flat and the sums approach their power laws like T^(-small power), so the width is
0.03; the settings differ by 0.1 or more from one another.
"""

import functools
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from modelcollapse.theory.scaling import optimal_exponent, scaling_exponents

INF = math.inf
SAMPLES = np.logspace(9, 12, 4)


@functools.cache
def indices(dim):
    """Points j and weights that sum smooth functions of j over 1..dim."""
    if dim <= 512:
        return np.arange(1.0, dim + 1), np.ones(int(dim))
    nodes, weights = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(math.log(512.5), math.log(dim + 0.5), 2 + int(math.log(dim) * 2))
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    tail = np.exp(middle[:, None] + half[:, None] * nodes)
    return np.append(np.arange(1.0, 513), tail), np.append(np.ones(512), tail * half[:, None] * weights)


def parts(beta, r, samples, kappa, dim):
    """Bias, df_2, 1 - df_2/T, Σ κ²/(s+κ)² and the ridge that belong to an effective ridge."""
    j, weight = indices(dim)
    s = j**-beta
    left = kappa / (s + kappa)
    df1, df2 = weight @ (1 - left), weight @ (1 - left) ** 2
    room = 1 - df2 / samples
    bias = weight @ (left**2 * j ** -(1 + 2 * r * beta)) / room
    return bias, df2, room, weight @ left**2, kappa * (1 - df1 / samples)


def curve(beta, r, samples, a=-INF, b=1.0, f=0.0, s=0.0, s0=0.0):
    """log κ -> (test error, ridge): E_clean + n Δ with T_0 = 40 T^b and d = 20 T^(b-f)."""
    dim = 1e30 if a == -INF else np.round(20 * samples ** (b - f))
    generator = 0.0 if a == -INF else samples ** (a - s0) / (40 * samples**b - dim)

    def error(log_kappa):
        bias, df2, room, outside, ridge = parts(beta, r, samples, math.exp(log_kappa), dim)
        if ridge < 0:
            return 1e3, ridge
        per_sample = df2 / room / samples
        return bias + samples**-s * per_sample + generator * (df2 + outside * per_sample), ridge

    return error, -beta * math.log(min(samples, dim)) - 30


def minimum(error, low, high):
    """(ridge, error) at the minimum over log κ."""
    grid = np.linspace(low, high, 120)
    start = np.argmin([error(x)[0] for x in grid])
    bracket = grid[max(start - 1, 0)], grid[min(start + 1, 119)]
    best = minimize_scalar(lambda x: error(x)[0], bounds=bracket, method="bounded", options={"xatol": 1e-7})
    return error(best.x)[1], best.fun


def slopes(beta, r, **exponents):
    """Measured (ell, rate)."""
    found = []
    for samples in SAMPLES:
        error, low = curve(beta, r, samples, **exponents)
        found.append(minimum(error, low, 25.0))
    return -np.polyfit(np.log(SAMPLES), np.log(found), 1)[0]


def predicted(beta, r, a=-INF, b=1.0, f=0.0, s=0.0, s0=0.0):
    return optimal_exponent(
        beta,
        r,
        generations_exponent=a,
        generator_samples_exponent=b,
        aspect_exponent=f,
        noise_exponent=s,
        generator_noise_exponent=s0,
    )


REGIMES = [
    (1.5, 0.5, {}, "label noise"),
    (2.0, 0.3, {}, "label noise"),
    (1.2, 1.6, {}, "label noise"),
    (1.5, 0.5, {"s": 1.0}, "label noise"),
    (1.5, 0.5, {"s": 3.0}, "capacity"),
    (1.5, 0.5, {"s": INF}, "capacity"),
    (1.5, 0.5, {"a": 0.25, "b": 0.75}, "generator samples"),
    (1.5, 0.5, {"a": 0.4, "b": 1.0, "f": 0.3}, "generator samples"),
    (1.5, 0.5, {"a": 0.3, "b": 0.6, "s0": 0.2}, "generator samples"),
    (1.5, 0.5, {"a": 0.3, "b": 1.5, "f": 0.2}, "generator aspect"),
    (2.0, 0.3, {"a": 0.4, "b": 1.5}, "generator aspect"),
    (1.5, 0.5, {"a": 0.3, "b": 1.5, "f": 0.7}, "label noise"),
    (1.5, 0.5, {"a": 0.3, "b": 0.7, "s0": INF, "s": 0.3}, "label noise"),
]


@pytest.mark.parametrize(("beta", "r", "exponents", "binding"), REGIMES)
def test_minimiser_of_the_exact_formula_has_the_predicted_slopes(beta, r, exponents, binding):
    law = predicted(beta, r, **exponents)
    assert law.binding == binding
    ell, rate = slopes(beta, r, **exponents)
    assert rate == pytest.approx(law.rate, abs=0.03)
    if binding == "capacity":  # every ridge below T^-β does as well
        assert ell > law.ell - 0.15
    else:
        assert ell == pytest.approx(law.ell, abs=0.03)


def test_paper_form_is_rejected_outside_its_domain():
    """Negative control: min((b-a) ℓ_crit, β) over-promises where b > 1."""
    beta, r, a, b = 2.0, 0.3, 0.4, 1.5
    paper = min((b - a) * beta / (1 + 2 * r * beta), beta)
    ell, rate = slopes(beta, r, a=a, b=b)
    assert abs(ell - paper) > 0.2
    assert abs(rate - 2 * r * paper) > 0.2


@pytest.mark.parametrize("f", [0.75, 0.85])
def test_dimension_that_the_optimum_outgrows(f):
    """df_2 saturates: the rate is ν - D, reached from the predicted ell on and not a little before it."""
    law = predicted(1.5, 0.5, a=0.0, f=f)
    assert law.binding == "dimension"
    assert slopes(1.5, 0.5, a=0.0, f=f)[1] == pytest.approx(law.rate, abs=0.03)

    def rate(ell):
        errors = []
        for samples in (1e16, 1e20):
            error, low = curve(1.5, 0.5, samples, a=0.0, f=f)
            at = brentq(lambda x, e=error, t=samples: math.log(max(e(x)[1], 1e-300)) + ell * math.log(t), low, 5)
            errors.append(error(at)[0])
        return -np.log(errors[1] / errors[0]) / math.log(1e4)

    assert rate(law.ell + 0.1) == pytest.approx(law.rate, abs=0.03)
    assert rate(law.ell - 0.1) < law.rate - 0.1


def test_nothing_vanishes_at_fixed_generator_samples():
    """The error tends to the floor min_κ {bias + n σ0²/(T_0 - d) df_2}, at a fixed ridge."""
    law = predicted(1.5, 0.5, a=0.0, b=0.0)
    assert (law.ell, law.rate, law.binding) == (0.0, 0.0, "floor: generator samples")
    error, low = curve(1.5, 0.5, 1e12, a=0.0, b=0.0)

    def floor(log_kappa):
        bias, df2, *_ = parts(1.5, 0.5, math.inf, math.exp(log_kappa), 20)
        return bias + df2 / 20

    expected = min(floor(x) for x in np.linspace(-8, 5, 2000))
    assert minimum(error, low, 25.0)[1] == pytest.approx(expected, rel=1e-4)


def test_ridge_grows_where_generations_outrun_the_samples():
    law = predicted(1.5, 0.5, a=0.8, b=0.5)
    assert law.binding.startswith("floor")
    np.testing.assert_allclose(slopes(1.5, 0.5, a=0.8, b=0.5), (law.ell, 0.0), atol=0.03)


def test_terms_add_up_to_the_measured_curve():
    """Away from its minimum the error follows the dominant exponent, on either side."""
    setting = {"generations_exponent": 0.25, "generator_samples_exponent": 0.75}
    for ell, dominant in ((0.15, "bias"), (0.6, "generator noise")):
        law = scaling_exponents(1.5, 0.5, ell, **setting)
        assert law.dominant == dominant
        errors = []
        for samples in (1e12, 1e15):
            error, low = curve(1.5, 0.5, samples, a=0.25, b=0.75)
            at = brentq(lambda x, e=error, t=samples: math.log(max(e(x)[1], 1e-300)) + ell * math.log(t), low, 5)
            errors.append(error(at)[0])
        assert np.log(errors[1] / errors[0]) / math.log(1e3) == pytest.approx(law.test_error, abs=0.03)


def test_grids_broadcast_and_optimum_balances_its_terms():
    beta, r = np.array([1.2, 2.0]), np.array([[0.2], [0.5], [1.7]])
    best = optimal_exponent(beta, r, generations_exponent=0.1)
    terms = scaling_exponents(beta, r, best.ell, generations_exponent=0.1)
    assert best.ell.shape == best.binding.shape == (3, 2)
    np.testing.assert_allclose(terms.test_error, -best.rate)
    np.testing.assert_allclose(terms.bias, terms.generator_noise)
    assert optimal_exponent(2.0, 0.5, generations_exponent=0.1).ell == best.ell[1, 1]


@pytest.mark.parametrize(
    ("keyword", "value", "fragment"),
    [
        ("generations_exponent", -0.5, "-inf for clean data"),
        ("generator_samples_exponent", -1.0, "outside"),
        ("aspect_exponent", 1.5, "would shrink"),
        ("noise_exponent", -INF, "outside"),
    ],
)
def test_bad_exponents_are_refused(keyword, value, fragment):
    with pytest.raises(ValueError, match=fragment):
        optimal_exponent(1.5, 0.5, **{keyword: value})
    with pytest.raises(ValueError, match="summable"):
        optimal_exponent(1.0, 0.5)
