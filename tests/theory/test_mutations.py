"""Every slip in every formula is caught: signs, factors, numbers, exponents, extrema and letters, one at a time.

A record's route gives its numbers once; each mutant of its expression must miss them. A mutant that survives must be
the same function (equal to 25 digits at ten points of the domain). The second test does the same for `computed_as`
against the readable expression, the third shows that the check itself can fail.
"""

import itertools

import mpmath
import pytest
import sympy
from formula_draws import seeded
from formula_mutants import mutants, slips, written
from formula_routes import ROUTES, solved

from modelcollapse.theory import catalogue
from modelcollapse.theory.formulas import evaluated, letters_of

UNDEFINED = (mpmath.libmp.ComplexResult, mpmath.libmp.NoConvergence)
MOST = 28  # slips per expression in the quick run, evenly spread; the slow run tries all
POINTS = 3  # drawn points that the quick run always asks, more where mutants need them; the slow run asks all


def number(expression, point, digits=30):
    """The value, or None where there is none."""
    try:
        value = evaluated(expression, letters_of(point), digits)
    except (ZeroDivisionError, OverflowError, ValueError, TypeError, KeyError, *UNDEFINED):
        return None
    return None if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value) else value


def misses(expression, rows, tolerance):
    """Whether an expression misses a measured number at one of its points."""
    for point, value, scale in rows:
        got = number(expression, point)
        if got is None or abs(got - value) > tolerance * scale:
            return True
    return False


def measured(name):
    """(point, number of the route, its scale) at each point; for an equation the scale is that of its two sides."""
    expression, route = catalogue[name].expression, ROUTES[name]
    for place in route.points_of(name):
        point, value = solved(route, place)
        scale = abs(value)
        if isinstance(expression, sympy.Eq):
            scale = abs(number(expression.lhs, point)) + abs(number(expression.rhs, point))
        yield point, value, scale


def same(formula, wrong):
    """Whether a mutant is the same function on the whole domain."""
    for point in seeded(formula, 1, 10):
        right, other = number(formula.expression, point, 80), number(wrong, point, 80)
        if right is None or other is None or abs(right - other) > mpmath.mpf("1e-25") * abs(right):
            return False
    return True


def survivors(formula, expression, rows, tolerance, most=MOST):
    """(how many mutants were tried, those that are neither caught nor the same function)."""
    letters = [q.symbol for q in formula.quantities if not q.length]
    found = slips(expression, letters)
    tried = list(written(found[:: max(1, -(-len(found) // most))], expression))
    alive = [what for what, wrong in tried if not misses(wrong, rows, tolerance) and not same(formula, wrong)]
    return len(tried), alive


class Rows:
    """Rows that are made when they are first asked for, and kept."""

    def __init__(self, rows):
        self.made, self.rest = [], iter(rows)

    def __iter__(self):
        yield from self.made
        for row in self.rest:
            self.made.append(row)
            yield row


def assert_caught(formula, expression, rows, tolerance, most=MOST, points=POINTS):
    rows = Rows(rows)
    assert not misses(expression, itertools.islice(rows, points), tolerance)
    count, alive = survivors(formula, expression, rows, tolerance, most)
    assert count >= 2
    assert alive == []
    assert not misses(expression, rows.made, tolerance)


def readable(formula):
    """The readable form at points of the domain, as the measure of the stable form."""
    for point in seeded(formula, 2, 6):
        value = number(formula.expression, point, 60)
        if value:
            yield point, value, abs(value)


STABLE = [name for name, formula in catalogue.items() if formula.computed_as is not None]


@pytest.mark.parametrize("name", catalogue)
def test_mutants_of_a_formula_are_caught_by_its_route(name):
    route = ROUTES[name]
    points = len(route.points) or POINTS
    assert_caught(catalogue[name], catalogue[name].expression, measured(name), route.tolerance, points=points)


@pytest.mark.parametrize("name", STABLE)
def test_mutants_of_a_stable_form_are_caught_by_the_readable_one(name):
    assert_caught(catalogue[name], catalogue[name].computed_as, readable(catalogue[name]), 1e-20)


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue)
def test_all_mutants_are_caught(name):
    formula, everything = catalogue[name], 10**6
    assert_caught(formula, formula.expression, measured(name), ROUTES[name].tolerance, everything, everything)
    if formula.computed_as is not None:
        assert_caught(formula, formula.computed_as, readable(formula), 1e-20, everything, everything)


def test_the_check_can_fail():
    formula = catalogue["least_squares_chain"]
    rows = list(measured("least_squares_chain"))
    _, alive = survivors(formula, formula.expression, rows, tolerance=1e6)
    assert len(alive) > 10


def test_a_wrong_letter_a_sign_and_a_minimum_are_mutants():
    x, y = sympy.symbols("x y", positive=True)
    wrong = {expression for _, expression in mutants(sympy.Max(x - y, y**2), [x, y])}
    no_letter = sympy.Max(x - x, y**2, evaluate=False)
    assert {sympy.Max(x + y, y**2), sympy.Max(x - y, y**3), sympy.Min(x - y, y**2), no_letter} <= wrong
