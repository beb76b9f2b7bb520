r"""LaTeX in which sums read: df_q(κ) for Σ_j (s_j/(s_j+κ))^q, no fractions within fractions of sums.

>>> import sympy
>>> s, j, d = sympy.IndexedBase("s"), sympy.Symbol("j", integer=True), sympy.Symbol("d")
>>> kappa, T = sympy.symbols("kappa T", positive=True)
>>> latex_of_sums(1 / (1 - sympy.Sum(s[j] ** 2 / (s[j] + kappa) ** 2, (j, 1, d)) / T), {})
'\\frac{T}{T - \\mathrm{df}_2(\\kappa)}'
"""

from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

__all__ = ["latex_of_equations", "latex_of_sums", "readable"]

GREEK = {"theta": r"\theta", "kappa": r"\kappa", "rho": r"\rho"}


class _Printer(LatexPrinter):
    def _print_Function(self, expr, exp=None):
        name = type(expr).__name__
        if not name.startswith("df_"):
            return super()._print_Function(expr, exp)
        body = f"\\mathrm{{df}}_{name[3:]}({self._print(expr.args[0])})"
        return body if exp is None else f"{body}^{{{exp}}}"


class _EquationPrinter(_Printer):
    """Sums over directions without bounds, the number of a model before the direction."""

    def _print_Indexed(self, expr):
        name, _, number = str(expr.base.label).partition("_")
        below = [number] * bool(number) + [self._print(index) for index in expr.indices]
        return f"{GREEK.get(name, name)}_{{{', '.join(below)}}}"

    def _print_Sum(self, expr):
        ((index, low, high),) = expr.limits
        over_directions = str(high) == "d"
        below = self._print(index) + ("" if over_directions else f" = {self._print(low)}")
        above = "" if over_directions else f"^{{{self._print(high)}}}"
        body = self._print(expr.function)
        return f"\\sum_{{{below}}}{above} " + (f"\\left({body}\\right)" if expr.function.is_Add else body)


def latex_of_equations(expression):
    """A side of a named equation, without dollar signs."""
    return _EquationPrinter().doprint(expression)


def latex_of_sums(expression, symbol_names):
    """An expression in sums over eigenvalues, without dollar signs."""
    return _Printer({"symbol_names": symbol_names}).doprint(readable(expression))


def readable(expression):
    """The same expression or equation, with functions df_q and without fractions within fractions of sums."""
    written = expression.replace(sympy.Sum, _degrees)
    if isinstance(written, sympy.Eq):
        return written.func(*map(_unnested, written.args), evaluate=False)
    return _unnested(written)


def _degrees(function, limits):
    """df_q(κ) where a sum is that, else the sum."""
    index = limits[0]
    ridge = sympy.Wild("ridge", exclude=[index])
    s = sympy.Wild("s", properties=[lambda x: isinstance(x, sympy.Indexed)])
    for order in (1, 2):
        found = function.match(s**order / (s + ridge) ** order)
        if found and found[ridge] != 0:
            return sympy.Function(f"df_{order}")(found[ridge])
    return sympy.Sum(function, limits)


def _unnested(expression):
    """The same term by term, as one quotient where a quotient of sums has quotients inside."""
    if isinstance(expression, sympy.Add):
        return sympy.Add(*map(_unnested, expression.args), evaluate=False)
    sums = sorted(expression.atoms(sympy.Sum) | expression.atoms(sympy.core.function.AppliedUndef), key=str)
    if not sums:
        return expression
    stand_ins = dict(zip(sums, (sympy.Dummy(f"x{k}", positive=True) for k in range(len(sums))), strict=True))
    plain = expression.xreplace(stand_ins)
    nested = any(
        power.exp.is_negative and any(inner.exp.is_negative for inner in power.base.atoms(sympy.Pow))
        for power in plain.atoms(sympy.Pow)
    )
    if not nested:
        return expression
    together: Any = sympy.together(plain)
    return sympy.factor_terms(together).xreplace({dummy: x for x, dummy in stand_ins.items()})
