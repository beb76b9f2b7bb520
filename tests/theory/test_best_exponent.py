"""The best ridge exponent: it balances bias and noise in every regime, also where the published one fails."""

import pytest
import sympy
from formula_routes import optimum
from formula_symbols import F, a, b, beta, ell, f, r, r_large, r_small, s_0, s_sigma
from sympy import Max, Min, diff, simplify

from modelcollapse.theory import catalogue

# the best exponent, regime by regime: r̄ = r for r ≤ 1 and 1 beyond; the cap ℓ = β binds for ν ≥ 1 + 2 r̄ β

r_bar, margin = sympy.symbols("rbar margin", positive=True)
falling, rising = -2 * r_bar * ell, -(margin - ell / beta)
crossing = margin * beta / (1 + 2 * r_bar * beta)


def test_the_exponents_cross_at_the_best_exponent_and_only_there():
    assert sympy.solve(sympy.Eq(falling, rising), ell) in ([crossing], [sympy.expand(crossing)])
    assert diff(falling, ell).is_negative
    assert diff(rising, ell).is_positive
    assert simplify(F("optimal_exponent", margin=margin).subs(r, 1) - Min(beta, crossing.subs(r_bar, 1))) == 0
    assert simplify(falling.subs(ell, crossing).subs(r_bar, 1) + margin * F("clean_rate").subs(r, 1)) == 0


def test_below_the_cap_moving_the_exponent_either_way_raises_the_maximum():
    step = sympy.Symbol("step", positive=True)
    at_best = falling.subs(ell, crossing)
    assert simplify(rising.subs(ell, crossing + step) - at_best).is_positive  # more: the noise
    assert simplify(falling.subs(ell, crossing - step) - at_best).is_positive  # less: the bias


def test_at_the_cap_the_bias_still_dominates_so_the_largest_exponent_is_best():
    surplus = sympy.Symbol("surplus", nonnegative=True)
    capped = margin - (1 + 2 * r_bar * beta)  # ≥ 0 where the cap binds
    gap = (falling - rising).subs(ell, beta).subs(margin, 1 + 2 * r_bar * beta + surplus)
    assert simplify(gap).is_nonnegative
    assert simplify((crossing - beta) * (1 + 2 * r_bar * beta) - beta * capped) == 0


@pytest.mark.parametrize("source", [r_small / (1 + r_small), r_large])
def test_rate_is_the_bias_at_the_best_exponent(source):
    small = source != r_large
    bar = source if small else 1
    for nu_value, ell_best in ((1 + 2 * bar * beta, beta), ((1 + 2 * bar * beta) / 2, beta / 2)):
        optimum = F("optimal_exponent", margin=nu_value).subs(Min(1, r), bar)
        rate = F("optimal_rate", margin=nu_value).subs(Min(1, r), bar)
        assert simplify(optimum - ell_best) == 0
        assert simplify(rate - 2 * bar * ell_best) == 0


BORDERS = {  # two regimes and where they meet
    "r = 1": lambda: (F("clean_rate").subs(Min(1, r), r).subs(r, 1), F("clean_rate").subs(Min(1, r), 1)),
    "ν at b = 1, f = 0: generators against data": lambda: (
        (b - a + s_0).subs({b: 1, s_0: 0, a: 0}),
        (1 + s_sigma).subs(s_sigma, 0),
    ),
    "ν where T_0 = d T^f: b = 1 + f": lambda: ((b - a + s_0).subs(b, 1 + f), 1 - a + f + s_0),
    "the cap": lambda: (crossing.subs(margin, 1 + 2 * r_bar * beta), beta),
    "saturation: b - f = ν/(1 + 2 r̄ β)": lambda: (
        margin - (b - f).subs(b, f + margin / (1 + 2 * r_bar * beta)),
        margin * 2 * r_bar * beta / (1 + 2 * r_bar * beta),
    ),
    "bias = noise at ℓ = ν ℓ_crit": lambda: (falling.subs(ell, crossing), rising.subs(ell, crossing)),
    "φ_0 = T/T_0 in Δ: f = b - 1": lambda: ((1 - b), (-f).subs(f, b - 1)),
}


@pytest.mark.parametrize("name", BORDERS)
def test_exponents_are_continuous(name):
    left, right = BORDERS[name]()
    assert simplify(left - right) == 0


def test_the_margin_is_the_smallest_of_three_and_the_largest_exponent_at_zero_ridge():
    noises = Max(F("noise_exponent"), F("collapse_exponent"))
    values = {a: 0.2, b: 0.9, f: 0.3, s_sigma: 0.4, s_0: 0.1, ell: 0.0, beta: 2}
    for change in ({}, {b: 2}, {a: 0, s_0: 2}, {b: 3, f: 0.1}):
        point = values | change
        assert abs(noises.subs(point) + F("noise_margin").subs(point)) < 1e-12


def test_the_published_exponent_fails_outside_its_domain():
    outside = {"generations_exponent": 0.0, "generator_samples_exponent": 1.5, "capacity": 1.5, "source": 0.4}
    published, general = catalogue["optimal_exponent_published"], catalogue["optimal_exponent"]
    with pytest.raises(ValueError, match="b <= 1"):
        published.check(**outside)
    measured, _ = optimum(1.5, 0.4, 0.0, (0.0, 1.5, 0.0, 0.0), 1.5)  # minimised numerically, T up to 1e80
    margin = catalogue["noise_margin"].evaluate(
        generations_exponent=0,
        generator_samples_exponent=1.5,
        aspect_exponent=0,
        noise_exponent=0,
        generator_noise_exponent=0,
    )
    assert abs(measured - general.evaluate(margin=margin, capacity=1.5, source=0.4)) < 0.01
    assert published.expression.subs({a: 0, b: 1.5, beta: 1.5, r: 0.4}) - measured > 0.3


def test_fewer_directions_than_theoptimum_resolves_saturate():
    _, measured = optimum(1.5, 0.4, 0.0, None, 0.2)
    assert (
        abs(
            measured
            - catalogue["saturated_rate"].evaluate(
                margin=1, generator_samples_exponent=0.5, aspect_exponent=0.3, capacity=1.5, source=0.4
            )
        )
        < 0.01
    )
    assert abs(measured - catalogue["optimal_rate"].evaluate(margin=1, capacity=1.5, source=0.4)) > 0.2
