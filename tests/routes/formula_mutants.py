"""Wrong versions of an expression: one small slip at each place where a formula can be mistyped."""

import functools

import sympy

FROZEN = (
    sympy.Indexed,
    sympy.Derivative,
    sympy.IndexedBase,
    sympy.core.relational.Relational,
    sympy.logic.boolalg.BooleanFunction,
    sympy.logic.boolalg.BooleanAtom,
)


def mutants(expression, letters=()):
    """Yield (what was changed, wrong expression): signs, factors, numbers, exponents, minima, letters.

    What was changed is a tuple, printed only where it is shown.

    Indices, limits of sums and integrals, derivatives and conditions are left alone; `letters` are the symbols
    that may be confused.
    """
    return written(slips(expression, letters), expression)


def slips(expression, letters=()):
    """[(what is changed, a function that writes the wrong expression)], so that only some need be written."""
    return list(_slips(expression, tuple(letters), True))


def written(some, expression):
    """Yield (what was changed, wrong expression) for some slips, those apart that repeat or change nothing."""
    seen = {expression}
    for what, write in some:
        wrong = write()
        if wrong not in seen:
            seen.add(wrong)
            yield what, wrong


def _slips(e, letters, whole):
    if isinstance(e, sympy.Eq):
        for side in (0, 1):
            for what, write in _slips(e.args[side], letters, True):
                yield what, functools.partial(_in_equation, e, side, write)
        return
    if isinstance(e, sympy.Sum | sympy.Integral):
        for what, write in _slips(e.function, letters, True):
            yield what, functools.partial(_under_the_sign, e, write)
        return
    if isinstance(e, FROZEN):
        return
    if whole or isinstance(e, sympy.Mul):
        yield ("twice", e), lambda: 2 * e
        yield ("minus", e), lambda: -e
    if isinstance(e, sympy.Symbol):
        if e in letters and len(letters) > 1:
            other = letters[(letters.index(e) + 1) % len(letters)]
            yield (other, "for", e), lambda: other
        return
    if e.is_Number:
        yield (e + 1, "for", e), lambda: e + 1
        yield (-e, "for", e), lambda: -e
        return
    if isinstance(e, sympy.Max | sympy.Min):
        opposite = sympy.Min if isinstance(e, sympy.Max) else sympy.Max
        yield (opposite.__name__, "for", e), lambda: opposite(*e.args, evaluate=False)
    if isinstance(e, sympy.Pow):
        yield ("exponent plus 1", e), lambda: e.base ** (e.exp + 1)
    for i, argument in enumerate(e.args):
        for what, write in _slips(argument, letters, isinstance(e, sympy.Add)):
            yield what, functools.partial(_in_argument, e, i, write)


def _in_equation(e, side, write):
    wrong = write()
    return sympy.Eq(*(wrong if i == side else e.args[i] for i in (0, 1)), evaluate=False)


def _under_the_sign(e, write):
    return e.func(write(), *e.limits)


def _in_argument(e, i, write):
    kept = {"evaluate": False} if isinstance(e, sympy.Max | sympy.Min) else {}  # which is larger takes SymPy long
    return e.func(*e.args[:i], write(), *e.args[i + 1 :], **kept)
