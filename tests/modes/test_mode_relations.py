"""Records of rare events imply each other, and the older discrete records are their limits."""

import pytest
import sympy
from sympy import Rational, limit, simplify, symbols

from modelcollapse.theory import catalogue
from modelcollapse.theory.symbols import symbols as letters

T, beta, narrow, M, B, p, g = letters(
    "samples", "tail_exponent", "generator_exponent", "draws", "founders", "probability", "survival"
)


def of(name):
    return catalogue[name].expression


def test_one_more_draw_shows_a_new_mode_by_the_missing_mass():
    difference = of("zipf_modes").subs(T, T + 1) - of("zipf_modes") - of("zipf_missing_mass")
    assert simplify(sympy.gammasimp(sympy.expand_func(difference))) == 0
    wrong = difference + of("zipf_missing_mass") / 100
    assert simplify(sympy.gammasimp(sympy.expand_func(wrong))) != 0


def test_a_generator_of_the_truth_s_exponent_is_the_truth():
    assert simplify(of("narrowed_missing_mass").subs(narrow, beta) / of("zipf_missing_mass")) == 1


LEADING = [("zipf_missing_mass", "zipf_missing_mass_many", 1.0), ("zipf_modes", "zipf_modes_many", 2 / 3)]


@pytest.mark.parametrize(("name", "leading", "power"), LEADING)
def test_leading_terms(name, leading, power):
    """What the leading terms leave out falls as 1/T, and as the half over T^(1/β)."""

    def gap(samples):
        arguments = {"tail_exponent": 1.5, "samples": samples}
        return float(catalogue[name].evaluate(**arguments) / catalogue[leading].evaluate(**arguments) - 1)

    assert abs(gap(1e6) / gap(1e4) / 100**-power - 1) < 0.02


def test_a_plateau_without_real_samples_is_the_cut_and_its_floor():
    (k,) = letters("kept_modes")
    at = {"tail_exponent": 1.5, "kept_modes": 100, "kept_mass": 0.92, "samples": 1e6}
    error = catalogue["plateau_error"].evaluate(**at, real_part=2e-8)
    assert abs(error / of("cut_floor").subs({beta: 1.5, k: 100.5}).evalf(30) - 1) < 1e-5


def test_one_founder_more_is_the_older_loss():
    assert simplify(of("mode_alive").subs(B, M) - (1 - of("discrete_loss"))) == 0


def test_the_survival_step_is_the_occupancy_step_of_many_items():
    x = symbols("x", positive=True)
    step = of("occupancy_step").subs(B, g * x).subs(M, x) / x
    assert simplify(limit(step, x, sympy.oo) - of("survival_step")) == 0


def test_a_rare_category_is_a_mode_of_founders():
    a, x = symbols("a x", positive=True)  # p = a/x with x draws
    alive = of("mode_alive").subs({p: a / x, B: g * x})
    assert simplify(limit(alive, x, sympy.oo) - of("rare_category_alive").subs({p: a / x, M: x})) == 0


def test_two_draws_have_the_diversity_of_the_older_record():
    """D(founders of two draws) - 1: two draws merge with chance 1/M in every generation."""
    k, H_0 = letters("rounds", "diversity")
    merged = 2 - of("occupancy_step").subs(B, 2)
    assert simplify(merged - 1 / M) == 0
    ratio = of("discrete_diversity").subs(k, 4) / of("discrete_diversity").subs(k, 3)
    assert simplify(ratio - (1 - merged)) == 0
    assert H_0 in of("discrete_diversity").free_symbols


def test_a_mixture_at_rest_is_the_older_limit():
    alpha, H_0, keep = letters("real_share", "diversity", "kept_share")
    share = of("diversity_real_share").subs({keep: Rational(9, 10), M: 100})
    rest = of("discrete_mixed_limit").subs({M: 100, alpha: share})
    assert simplify(rest / H_0 - Rational(9, 10)) == 0


def test_half_a_symbol_is_half_of_equal_modes():
    V, N = letters("modes", "occurrences")
    assert simplify(of("equal_modes_half_loss") - of("symbol_half_life").subs(N, M / V)) == 0


def test_the_trap_of_the_growth_limit():
    """SymPy's limit of 1 + W(-r e^-r)/r at r = 1 was wrong in 1.14; the survival goes to 0."""
    r = 1 + 1e-6
    survival = float(1 + sympy.LambertW(-r * sympy.exp(-r)).evalf(30) / r)
    assert abs(survival - 2e-6) < 1e-8
