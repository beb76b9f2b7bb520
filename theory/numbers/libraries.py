"""SymPy expressions as functions of arrays: one `Library` for each kind of array, and one refusal for what it lacks.

>>> import sympy
>>> x = sympy.Symbol("x", positive=True)
>>> float(NUMPY.function(sympy.erf(x), (x,))(0.0))
0.0
>>> NUMPY.function(sympy.polylog(2, x), (x,))
Traceback (most recent call last):
    ...
ValueError: polylog in polylog(2, x) cannot be evaluated with NumPy and SciPy; write it by other functions, or give \
its values as an array
"""

import builtins
import functools
from typing import Any

__all__ = ["NUMPY", "Library", "derivative"]


class Library:
    """Names of SymPy's modules, or tables of functions by the name that SymPy prints, in order of precedence."""

    def __init__(self, title, modules, printer: Any = None):
        self.title, self.modules, self.printer = title, modules, printer

    @functools.lru_cache(maxsize=1024)  # noqa: B019
    def function(self, expression, symbols):
        """The function of values of the symbols; ValueError naming a function that the library lacks."""
        import sympy

        options: Any = {"docstring_limit": 0} | ({} if self.printer is None else {"printer": self.printer})
        try:  # two symbols may bear one name: arguments get names of their own
            found = sympy.lambdify(symbols, expression, modules=list(self.modules), cse=True, dummify=True, **options)
        except (NotImplementedError, ValueError, TypeError):
            found = None
        missing = _functions(expression) if found is None else _unresolved(found)
        if found is None or missing:
            raise ValueError(
                f"{missing[0]} in {expression} cannot be evaluated with {self.title}; write it by other functions, or "
                "give its values as an array"
            )
        return found


def _expint(order, x):
    from scipy import special

    return special.expn(order, x)


NUMPY = Library("NumPy and SciPy", ({"expint": _expint}, "scipy", "numpy"))


@functools.lru_cache(maxsize=1024)
def derivative(expression, symbol):
    """∂ expression / ∂ symbol; functions that are constant between jumps have derivative zero.

    >>> import sympy
    >>> x = sympy.Symbol("x", positive=True)
    >>> derivative(sympy.floor(x) + x**2, x)
    2*x
    """
    import sympy

    steps = (sympy.floor, sympy.ceiling)
    frozen = {step: sympy.Dummy(real=True) for step in expression.atoms(*steps)}
    return expression.xreplace(frozen).diff(symbol).xreplace({dummy: step for step, dummy in frozen.items()})


def _unresolved(function):
    known = {*function.__globals__, *vars(builtins)}
    return [name for name in function.__code__.co_names if name not in known and not _is_attribute(function, name)]


def _is_attribute(function, name):
    """Whether a name of the code is an attribute of something else, as in numpy.exp."""
    import dis

    loads = {i.argval for i in dis.get_instructions(function) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return name not in loads


def _functions(expression):
    import sympy

    found = expression.atoms(sympy.Derivative) or {node.func.__name__ for node in expression.atoms(sympy.Function)}
    return sorted(map(str, found)) or [str(expression)]
