"""The domain of a parameter, declared once.

A `Domain` is an interval as data. The same record checks a value, words the message when the check fails,
gives a SymPy symbol its assumptions and bounds a Hypothesis strategy.

>>> RIDGE.check("ridge", -1.0)
Traceback (most recent call last):
    ...
ValueError: ridge = -1.0 is outside [0, inf]; give a penalty of zero (least squares) or more
>>> RIDGE.check("ridge", float("inf"))
>>> GENERATIONS.assumptions()
{'integer': True, 'nonnegative': True}
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Domain:
    """An interval of the real line, whole numbers only if `whole`; NaN is outside every domain.

    An infinite end is part of the domain unless it is declared open.
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    whole: bool = False
    remedy: str = ""

    def __str__(self):
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        whole = "the whole numbers in " if self.whole else ""
        return f"{whole}{left}{self.low:g}, {self.high:g}{right}"

    def contains(self, value):
        """Elementwise membership of numbers or an array."""
        value = np.asarray(value, dtype=float)
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        inside = above & below
        return inside & (value == np.floor(value)) if self.whole else inside

    def check(self, name, value):
        """Raise ValueError naming the argument, its first bad value, the bound and the remedy."""
        inside = self.contains(value)
        if np.all(inside):
            return
        value = np.asarray(value, dtype=float)
        if value.ndim:
            where = tuple(int(i) for i in np.argwhere(~inside)[0])
            name, value = f"{name}[{', '.join(map(str, where))}]", value[where]
        remedy = f"; {self.remedy}" if self.remedy else ""
        raise ValueError(f"{name} = {float(value)!r} is outside {self}{remedy}")

    def check_symbol(self, name, expression):
        """Raise ValueError if the assumptions of a SymPy expression contradict the domain."""
        excluded = expression.is_real is False
        if self.low == 0:
            excluded |= expression.is_negative is True
            excluded |= self.low_open and expression.is_zero is True
        if excluded:
            remedy = f"; {self.remedy}" if self.remedy else ""
            raise ValueError(f"{name} = {expression} is assumed outside {self}{remedy}")

    def assumptions(self):
        """The assumptions of a SymPy symbol that ranges over this domain."""
        kind = {"integer": True} if self.whole else {}
        if self.low > 0 or (self.low == 0 and self.low_open):
            return kind | {"positive": True}
        if self.low == 0:
            return kind | {"nonnegative": True}
        return kind | {"real": True}


REAL = Domain(low_open=True, high_open=True, remedy="give a finite number")
RIDGE = Domain(low=0, remedy="give a penalty of zero (least squares) or more")
NOISE = Domain(low=0, high_open=True, remedy="give a standard deviation, finite and not negative")
SAMPLES = Domain(low=0, low_open=True, high_open=True, remedy="give at least one sample, a finite number")
SOURCE_SAMPLES = Domain(low=0, high_open=True, remedy="give a finite number of samples, zero to drop the source")
FEATURES = Domain(low=0, low_open=True, remedy="give a positive number of features, inf for all directions")
WEIGHT = Domain(low=0, high_open=True, remedy="give a finite weight, zero to drop the source")
GENERATIONS = Domain(low=0, high_open=True, whole=True, remedy="give a whole number of generations")
ROUNDS = Domain(low=0, high_open=True, whole=True, remedy="give a whole number of rounds")
EIGENVALUE = Domain(low=0, high_open=True, remedy="a covariance has finite eigenvalues that are not negative")
ENERGY = Domain(low=0, high_open=True, remedy="a signal energy is a finite sum of squares")
MULTIPLICITY = Domain(low=0, high_open=True, remedy="a multiplicity counts directions")
DIMENSION = Domain(low=0, low_open=True, high_open=True, remedy="give a finite positive number of directions")
POWER_LAW_DIMENSION = Domain(low=1, remedy="give a whole number of eigenvalues, or inf")
CAPACITY = Domain(
    low=1, low_open=True, high_open=True, remedy="infinitely many eigenvalues j^-beta are summable only for beta > 1"
)
SOURCE_EXPONENT = Domain(low=0, low_open=True, high_open=True, remedy="the signal is square integrable only for r > 0")
EFFECTIVE_RIDGE = Domain(low=0, high_open=True, remedy="an effective ridge is finite and not negative")
KERNEL_SCALE = Domain(low=0, low_open=True, high_open=True, remedy="give a finite gamma, or none for 1 / columns")
