"""SymPy expressions of closed forms: leaves as exact numbers, and the shape in which results are shown."""

from fractions import Fraction
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.leaves import is_expression

__all__ = ["exact", "plain_sum", "tidy"]

TIDY_UP_TO = 50  # operations: longer expressions keep the shape they were built in


def exact(name, value) -> Any:
    """A leaf as an exact SymPy number or expression."""
    import sympy

    if isinstance(value, np.ndarray):
        raise ValueError(f"{name} is an array; give a symbol here and its values to the expression, or use mc.predict")
    if is_expression(value):
        return value
    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    if isinstance(value, float):
        return sympy.Rational(repr(value)) if np.isfinite(value) else sympy.oo
    return sympy.Integer(value)


def plain_sum(terms) -> Any:
    """A sum, expanded where that is shorter: T p + T (1 − p) is T."""
    import sympy

    total = sympy.Add(*terms)
    return min(total, sympy.expand(total), key=sympy.count_ops) if total.count_ops() <= TIDY_UP_TO else total


def tidy(expression) -> Any:
    """The shortest of an expression, its quotient and its collected form; factoring in many symbols takes minutes."""
    import sympy

    expression = sympy.sympify(expression)
    if expression.has(sympy.zoo, sympy.oo):
        return sympy.oo
    if expression.count_ops() > TIDY_UP_TO or not _short_powers(expression):
        return expression
    return min(sympy.together(expression), sympy.factor_terms(expression), expression, key=sympy.count_ops)


def _short_powers(expression):
    """Whether every symbolic power has a number or symbol as its base, and nothing is an unevaluated sum."""
    import sympy

    powers = (power for power in expression.atoms(sympy.Pow) if not power.exp.is_number)
    return not expression.has(sympy.Sum) and all(power.base.is_Atom for power in powers)
