"""The numbers of a spectrum or pipeline.

A *leaf* is one number, in one of three forms: an exact or floating Python number, a read-only float64 array (a
grid), or a SymPy expression. `leaf` checks and normalises what a caller passed; the other functions read leaves.
Neither NumPy's nor SymPy's objects are mixed: an expression stands for a whole grid, which enters as the value of
a symbol.

>>> leaf("samples", 100, Domain(low=0))
100
>>> leaf("ridge", [0.1, 1], Domain(low=0))
array([0.1, 1. ])
>>> leaf("ridge", "0.1", Domain(low=0))
Traceback (most recent call last):
    ...
TypeError: ridge = '0.1' is a str; give a real number, an array of real numbers or a SymPy expression
"""

import numbers
import sys
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from modelcollapse.theory.numbers.domains import REAL, Domain
from modelcollapse.theory.numbers.libraries import NUMPY, derivative

__all__ = [
    "Domain",
    "Number",
    "evaluate",
    "free_symbols",
    "is_expression",
    "key",
    "leaf",
    "show",
    "slopes_of",
    "substitute",
]

Number: TypeAlias = Any  # a number, an array of numbers or a SymPy expression

_WANTED = "give a real number, an array of real numbers or a SymPy expression"


def is_expression(value: Any) -> bool:
    """Whether a value is a SymPy object (without importing SymPy)."""
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(value, sympy.Basic)


def _is_tracer(value):
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def leaf(name, value, domain=REAL) -> Any:
    """Normalise a number, array or expression and check it against its domain.

    Raises TypeError for anything that is not a real number (bool, str, complex, object and masked arrays, JAX
    tracers) and ValueError, naming argument, value, bound and remedy, for a number outside the domain.
    """
    if is_expression(value):
        return _expression(name, value, domain)
    if _is_tracer(value):
        raise TypeError(
            f"{name} is a JAX tracer, and models hold numbers; name it by a SymPy symbol and transform the pure "
            "function that modelcollapse.numerics.lower(model, over=(symbol,)) returns"
        )
    if isinstance(value, bool | np.bool_ | str | bytes | np.ma.MaskedArray) or value is None:
        shown = "" if isinstance(value, np.ma.MaskedArray) else f" = {value!r}"
        raise TypeError(f"{name}{shown} is a {type(value).__name__}; {_WANTED}")
    if isinstance(value, numbers.Real) and not isinstance(value, np.generic):
        exact = value if isinstance(value, int | Fraction) else float(value)
        domain.check(name, exact)
        return exact
    return _array(name, value, domain)


def _expression(name, value, domain):
    import sympy

    if value in (sympy.oo, -sympy.oo):
        return leaf(name, float(value), domain)
    if not isinstance(value, sympy.Expr) or value.is_real is False:
        raise TypeError(f"{name} = {value} is not a real SymPy expression; {_WANTED}")
    if value.is_number:
        domain.check(name, float(value))
    else:
        domain.check_symbol(name, value)
    return value


def _array(name, value, domain):
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name} is a ragged sequence; {_WANTED}") from None
    except TypeError as error:  # what refuses to be an array says why
        raise TypeError(f"{name} = {error}") from None
    if array.dtype.kind not in "iuf":
        hint = "; give symbols one at a time and their grids as values" if array.dtype == object else ""
        raise TypeError(f"{name} has dtype {array.dtype}; {_WANTED}{hint}")
    domain.check(name, array)
    if array.ndim == 0:
        return array.item()
    array = np.array(array, dtype=np.float64)
    array.flags.writeable = False
    return array


def free_symbols(value) -> frozenset:
    """The SymPy symbols in a leaf."""
    return value.free_symbols if is_expression(value) else frozenset()


def key(value):
    """A hashable key: equal exactly for leaves of equal content."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.tobytes())
    return float(value) if is_expression(value) and value.is_number else value


def show(value):
    """A short text, whatever the size of the leaf."""
    if isinstance(value, np.ndarray):
        return f"<{'x'.join(map(str, value.shape))} grid>"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def evaluate(value, values, library=NUMPY) -> Any:
    """The number or array that a leaf stands for.

    `values` maps every free symbol to a number or array; `library` says of which kind arrays are, by default NumPy's in
    double precision. Raises ValueError naming a function that the library lacks.
    """
    if not is_expression(value):
        return float(value) if isinstance(value, int | Fraction) else value
    symbols = tuple(sorted(value.free_symbols, key=str))
    if not symbols:
        return float(value)
    result = library.function(value, symbols)(*(values[symbol] for symbol in symbols))
    if library is NUMPY and np.iscomplexobj(result):  # SciPy's answer for functions that are complex elsewhere
        if np.any(np.imag(result)):
            raise ValueError(f"{value} is not real at the values given; give values where it is")
        result = np.real(result)
    return result


def slopes_of(value, symbols, values, shape):
    """The derivatives of an expression by some symbols, (symbols, *shape), at values of all of its symbols."""
    return np.stack([np.broadcast_to(evaluate(derivative(value, symbol), values), shape) for symbol in symbols])


def substitute(name, value, replacements, domain) -> Any:
    """A leaf with some symbols replaced by numbers, expressions or (if they leave no symbol free) arrays."""
    if not is_expression(value) or not value.free_symbols & replacements.keys():
        return value
    present = {symbol: replacements[symbol] for symbol in value.free_symbols & replacements.keys()}
    if not any(isinstance(new, np.ndarray) for new in present.values()):
        import sympy

        exact = {
            old: sympy.nsimplify(new, rational=True) if isinstance(new, float) else new for old, new in present.items()
        }
        return leaf(name, value.subs(exact, simultaneous=True), domain)
    if value.free_symbols - present.keys():
        left = ", ".join(sorted(map(str, value.free_symbols - present.keys())))
        raise ValueError(
            f"{name} = {value} would mix an array with the free symbol {left}; give arrays for all of its symbols, "
            "or pass them as values to predict"
        )
    return leaf(name, evaluate(value, present), domain)
