"""LaTeX of named equations: sums over directions without bounds, df_q as the function that it is."""

from sympy.printing.latex import LatexPrinter

__all__ = ["latex_of"]

GREEK = {"theta": r"\theta", "kappa": r"\kappa", "rho": r"\rho"}


class _Printer(LatexPrinter):
    def _print_Indexed(self, expr):
        name, _, number = str(expr.base.label).partition("_")
        below = [number] * bool(number) + [self._print(index) for index in expr.indices]
        return f"{GREEK.get(name, name)}_{{{', '.join(below)}}}"

    def _print_Function(self, expr, exp=None):
        name = type(expr).__name__
        if not name.startswith("df_"):
            return super()._print_Function(expr, exp)
        body = f"\\mathrm{{df}}_{name[3:]}({self._print(expr.args[0])})"
        return body if exp is None else f"{body}^{{{exp}}}"

    def _print_Sum(self, expr):
        ((index, low, high),) = expr.limits
        over_directions = str(high) == "d"
        below = self._print(index) + ("" if over_directions else f" = {self._print(low)}")
        above = "" if over_directions else f"^{{{self._print(high)}}}"
        body = self._print(expr.function)
        return f"\\sum_{{{below}}}{above} " + (f"\\left({body}\\right)" if expr.function.is_Add else body)


def latex_of(expression):
    """The expression, without dollar signs."""
    return _Printer().doprint(expression)
