"""The numbers of laws and loops: checked when they are numbers, passed on when JAX traces them.

>>> given("real_share", 1.5, SHARE)
Traceback (most recent call last):
    ...
ValueError: real_share = 1.5 is outside [0, 1]; a share lies between none and all
"""

import sys
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import is_expression, key, leaf, show

__all__ = ["COUNT", "DRAWS", "EXPONENT", "RATE", "SAMPLES", "SHARE", "SIZE", "Content", "given", "traced"]

EXPONENT = Domain(low=1, low_open=True, high_open=True, remedy="the frequencies i^-beta are summable only for beta > 1")
SIZE = Domain(low=1, whole=True, remedy="give a whole number of symbols, or inf")
COUNT = Domain(low=1, high_open=True, whole=True, remedy="give a whole number of at least 1")
DRAWS = Domain(low=2, high_open=True, remedy="give two or more draws per generation, a finite number")
SAMPLES = Domain(low=0, high_open=True, remedy="give a finite number of draws of zero or more")
SHARE = Domain(low=0, high=1, remedy="a share lies between none and all")
RATE = Domain(low=0, low_open=True, high_open=True, remedy="give the factor by which each generation is larger")


def traced(value):
    """Whether JAX traces the value."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def given(name, value, domain, traceable=True) -> Any:
    """A number or a read-only array, checked; what JAX traces is passed on unchecked if that is allowed.

    Raises TypeError for what is not a real number, and ValueError naming argument, value, bound and remedy.
    """
    if traceable and traced(value):
        return value
    if is_expression(value):
        if not value.is_number:
            raise TypeError(f"{name} = {value} is a SymPy expression; give a number or an array of numbers")
        value = float(value)
    return leaf(name, value, domain)


class Content:
    """Compared, hashed and shown by content: `_fields` names the attributes that make it up."""

    _fields: tuple[str, ...] = ()

    def _content(self):
        return tuple(key(getattr(self, name)) for name in self._fields)

    def __eq__(self, other):
        return type(self) is type(other) and self._content() == other._content()

    def __hash__(self):
        return hash((type(self), self._content()))


def shown(value):
    """A short text of a number, a grid, or what JAX traces."""
    return "<traced>" if traced(value) else show(value)


def shape_of(*values):
    """The broadcast shape of some numbers; ValueError where they do not broadcast."""
    shapes = [np.shape(value) for value in values]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"the grids have shapes {', '.join(map(str, shapes))}; give grids that broadcast") from None
