"""Wrong versions of an expression: one small slip at each place where a formula can be mistyped."""

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
    seen = {expression}
    for what, wrong in _slips(expression, tuple(letters), True):
        if wrong not in seen:
            seen.add(wrong)
            yield what, wrong


def _slips(e, letters, whole):
    if isinstance(e, sympy.Eq):
        for side in (0, 1):
            for what, wrong in _slips(e.args[side], letters, True):
                yield what, sympy.Eq(*(wrong if i == side else e.args[i] for i in (0, 1)), evaluate=False)
        return
    if isinstance(e, sympy.Sum | sympy.Integral):
        for what, wrong in _slips(e.function, letters, True):
            yield what, e.func(wrong, *e.limits)
        return
    if isinstance(e, FROZEN):
        return
    if whole or isinstance(e, sympy.Mul):
        yield ("twice", e), 2 * e
        yield ("minus", e), -e
    if isinstance(e, sympy.Symbol):
        if e in letters and len(letters) > 1:
            other = letters[(letters.index(e) + 1) % len(letters)]
            yield (other, "for", e), other
        return
    if e.is_Number:
        yield (e + 1, "for", e), e + 1
        yield (-e, "for", e), -e
        return
    if isinstance(e, sympy.Max | sympy.Min):
        other = sympy.Min if isinstance(e, sympy.Max) else sympy.Max
        yield (other.__name__, "for", e), other(*e.args)
    if isinstance(e, sympy.Pow):
        yield ("exponent plus 1", e), e.base ** (e.exp + 1)
    for i, argument in enumerate(e.args):
        for what, wrong in _slips(argument, letters, isinstance(e, sympy.Add)):
            yield what, e.func(*e.args[:i], wrong, *e.args[i + 1 :])
