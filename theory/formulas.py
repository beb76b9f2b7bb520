"""A formula as a record that checks itself.

A `Formula` holds one closed form as a SymPy expression with everything that is needed to use it: the letters and
their domains, joint conditions, the regime in which it is true, its source. From that one record come LaTeX, a
check of arguments, high-precision numbers and, through `modelcollapse.numerics`, a JAX function.

>>> from modelcollapse.theory import catalogue
>>> formula = catalogue["least_squares_chain"]
>>> formula
least_squares_chain: d*n*sigma_0**2/(T_0 - d - 1) + d*sigma**2/(T - d - 1)  [exact]
>>> formula.evaluate(samples=301, generator_samples=301, dimension=100, noise=1, generator_noise=1, generations=3)
2.00000000000000000000000000000
>>> formula.check(samples=50, generator_samples=301, dimension=100, noise=1, generator_noise=1, generations=3)
Traceback (most recent call last):
    ...
ValueError: samples = 50.0 violates T > d + 1 = 101.0; an inverse Wishart matrix has a mean only beyond: raise samples

When a record is built its free symbols must be the declared ones, its example must lie in its domain and give a
real number, and each stated limit must hold there.
"""

import functools
import itertools
import math
import operator
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import mpmath
import numpy as np
import sympy
from sympy.printing.pycode import MpmathPrinter

from modelcollapse.theory.equation_latex import latex_of_sums
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.symbols import length, quantity

_HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
REGIMES = ("exact", "proportional limit", "scaling")
PRINTING = {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True}


@dataclass(frozen=True)
class Condition:
    """A joint condition: a relation whose left side is one argument, and a sentence that says why and what to do.

    The left side may be an entry of an array with an index, `T_g[g] > …`: then it holds for every entry.
    """

    relation: Any  # a SymPy relation
    sentence: str

    @property
    def quantity(self):
        """The argument on the left."""
        left = self.relation.lhs
        base: Any = left.base if isinstance(left, sympy.Indexed) else None
        return quantity(str(left if base is None else base.label))

    def instances(self, known):
        """(name, value, bound) for the argument, or for each entry of it; `known` maps letters to values."""
        q, left, bound = self.quantity, self.relation.lhs, self.relation.rhs
        if not q.length:
            yield q.name, _mpf(known[q.letter]), evaluated(bound, known, 40)
            return
        for i, value in enumerate(known[q.letter]):
            yield f"{q.name}[{i}]", _mpf(value), evaluated(bound.subs(left.indices[0], i + 1), known, 40)


@dataclass(frozen=True, repr=False)
class Formula:
    """One closed form. An equation (`sympy.Eq`) is evaluated as its residual, left minus right.

    `computed_as` is the same expression in a form that loses no digits in floating point, where the readable one
    does; `limits` are triples (argument, value, what the expression becomes there); `at` completes the typical
    values of the quantities to an example inside the domain.

    >>> from modelcollapse.theory import catalogue
    >>> chain = catalogue["least_squares_chain"]
    >>> chain.regime, round(float(chain.evaluate(T=301, T0=301, d=100, sigma=1, sigma0=1, n=3)), 3)
    ('exact', 2.0)
    """

    name: str
    title: str
    left: str
    expression: Any  # a SymPy expression or equation
    arguments: tuple[str, ...]
    regime: str
    source: str
    derivation: str = ""
    conditions: tuple[Condition, ...] = ()
    computed_as: Any = None
    limits: tuple = ()
    at: dict = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self):
        if self.regime not in REGIMES:
            raise ValueError(f"{self.name}: regime = {self.regime!r} is not one of {', '.join(REGIMES)}")
        declared = {q.name for q in self.quantities}
        forms = sympy.Tuple(self.expression, *(condition.relation for condition in self.conditions))
        used = {quantity(letter).name for letter in _letters(forms)}
        if used != declared or len(declared) != len(self.arguments):
            raise ValueError(f"{self.name}: declares {sorted(declared)} but uses {sorted(used)}")
        for condition in self.conditions:
            if condition.quantity.name not in declared:
                raise ValueError(f"{self.name}: the left side of {condition.relation} is not an argument")
        self.check(**self.example)
        stable = self.expression if self.computed_as is None else _plain(self.computed_as)
        if stable == self.expression:
            self._exact(self.expression, digits=5)  # a real number
        elif not _close(self._exact(self.expression), self._exact(stable)):
            raise ValueError(f"{self.name}: computed_as is another expression")
        for argument, value, expected in self.limits:
            limit = self.expression.subs(quantity(argument).symbol, value)
            if not _close(self._exact(limit), self._exact(expected)):
                raise ValueError(f"{self.name} does not have its stated limit at {argument} = {value}")

    @property
    def quantities(self):
        """The arguments, as `Quantity` records."""
        return tuple(quantity(name) for name in self.arguments)

    @property
    def symbols(self):
        """Read-only mapping from argument to its SymPy symbol."""
        return MappingProxyType({q.name: q.symbol for q in self.quantities})

    @property
    def domain(self):
        """Read-only mapping from argument to its `Domain`; `conditions` holds the joint ones."""
        return MappingProxyType({q.name: q.domain for q in self.quantities})

    @property
    def example(self):
        """A point inside the domain, as keyword arguments."""
        return {q.name: q.typical for q in self.quantities} | self.at

    def _exact(self, expression, digits=22):
        values = letters_of({quantity(k).name: v for k, v in self.example.items()})
        return settled(expression, values, digits)

    @functools.lru_cache(maxsize=1024)  # noqa: B019
    def latex(self):
        """The formula as LaTeX, without dollar signs."""
        names = {sympy.Symbol(q.letter, **q.domain.assumptions()): q.latex for q in self.quantities}
        names |= {q.symbol.label: q.latex for q in self.quantities if q.length}
        body = latex_of_sums(self.expression, names)
        return body if isinstance(self.expression, sympy.Eq) else f"{self.left} = {body}"

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}$"

    def __repr__(self):
        expression = self.expression
        body = f"{expression.lhs} = {expression.rhs}" if isinstance(expression, sympy.Eq) else str(expression)
        return f"{self.name}: {body}  [{self.regime}]"

    def named(self, values):
        """The values by argument name, from names or letters. Raises TypeError for unknown or missing ones."""
        known = {alias: q.name for q in self.quantities for alias in (q.letter.replace("_", ""), q.letter, q.name)}
        if unknown := [name for name in values if name not in known]:
            raise TypeError(f"{self.name} has no argument {unknown[0]}; it takes {', '.join(self.arguments)}")
        named = {known[name]: value for name, value in values.items()}
        if missing := [name for name in self.arguments if name not in named]:
            raise TypeError(f"{self.name} needs {', '.join(missing)}")
        return named

    def check(self, **values):
        """Check arguments given by name or letter and return them by name.

        Numbers may be Python, NumPy or SymPy numbers; arrays are one-dimensional and those over the same index
        (eigenvalues, sources, rounds) equally long. Raises ValueError naming argument, value, bound and remedy
        for values outside the domain, TypeError for a wrong type or name.
        """
        checked = {}
        for name, value in self.named(values).items():
            q, kind = quantity(name), "a one-dimensional array" if quantity(name).length else "one number"
            checked[name] = leaf(name, value, q.domain)
            if getattr(checked[name], "free_symbols", None):
                raise TypeError(f"{name} = {value} is not a number; substitute into {self.name}.expression instead")
            if np.ndim(checked[name]) != bool(q.length) or not np.size(checked[name]):
                raise TypeError(f"{name} must be {kind}; for grids map {self.name}.function() over them")
        known = letters_of(checked)
        for condition in self.conditions:
            for name, value, bound in condition.instances(known):
                if not _HOLDS[condition.relation.rel_op](value, bound):
                    relation = condition.relation
                    raise ValueError(
                        f"{name} = {float(value)!r} violates {relation.lhs} {relation.rel_op} "
                        f"{relation.rhs} = {float(bound)!r}; {condition.sentence}"
                    )
        return checked

    def evaluate(self, *, digits=30, **values):
        """The value as a SymPy Float of that many digits; floats are taken at their exact binary value."""
        known = letters_of(self.check(**values))
        return sympy.Float(settled(self.expression, known, digits, self.name), digits)

    def function(self):
        """The formula as a JAX function of keyword arguments, for jit, vmap and grad.

        Arguments broadcast, arrays come with their index first. The function checks nothing, so that it can be
        traced, and computes in the precision of its arguments. The same object is returned every time.
        """
        from modelcollapse.numerics.formula_functions import function

        return function(self)


class _Printer(MpmathPrinter):
    """SymPy to mpmath source; an index j = 1..d reads the entry j - 1 of an array.

    Series are accelerated, and ζ' is mpmath's own. Terms and factors stay in the order in which SymPy keeps them, and
    a part that is printed again is remembered.
    """

    def __init__(self):
        super().__init__(PRINTING | {"order": "none"})
        self._print = functools.lru_cache(maxsize=8192, typed=True)(self._print)

    def _print_Indexed(self, expr):
        return f"{self._print(expr.base.label)}[{self._print(expr.indices[0])} - 1]"

    def _print_Sum(self, expr):
        ((j, low, high),) = expr.limits
        if high is sympy.oo:
            return f"series(lambda {self._print(j)}: {self._print(expr.function)}, {self._print(low)})"
        low, high = self._print(low), self._print(high)
        return f"fsum({self._print(expr.function)} for {self._print(j)} in range(int({low}), int({high}) + 1))"

    def _print_Derivative(self, expr):
        return f"zeta({self._print(expr.expr.args[0])}, 1, {int(expr.derivative_count)})"


def _series(term, first):
    """Σ_{n ≥ first} term(n), in mpmath: term by term where these fall geometrically, else accelerated by Levin.

    inf where the terms do not fall.
    """
    terms = [term(mpmath.mpf(n)) for n in range(first, first + 21)]
    if not abs(terms[20]) < abs(terms[10]):
        return mpmath.inf
    most = 10 * mpmath.mp.dps if abs(terms[20]) < 0.1 * abs(terms[10]) else 0  # terms, if ten of them gain a digit
    while len(terms) < most:
        terms.append(term(mpmath.mpf(first + len(terms))))
        if abs(terms[-1]) <= mpmath.eps * max(map(abs, terms[:2])):
            return mpmath.fsum(terms)
    total, digits, count = mpmath.inf, mpmath.mp.dps, 10 + 6 * mpmath.mp.dps // 5
    for orders in (count, 2 * count):
        with mpmath.workdps(digits + orders):
            terms = [term(mpmath.mpf(n)) for n in range(first, first + orders)]
            total, fewer = _levin(terms), _levin(terms[:-3])
        if abs(total - fewer) <= 100 * mpmath.eps * abs(total):
            break
    return +total


def _levin(terms):
    """Levin's u transform of a series: a mean of partial sums that is free of a remainder n a_n Σ c_j n^-j.

    Every term gains about a digit, and loses one to cancellation.
    """
    order = len(terms) - 1
    weights = [(-1) ** j * math.comb(order, j) * (j + 1) ** (order - 2) / a for j, a in enumerate(terms)]
    return mpmath.fdot(weights, itertools.accumulate(terms)) / mpmath.fsum(weights)


@functools.lru_cache(maxsize=4096)
def _lambdified(expression: Any, letters):
    if isinstance(expression, sympy.Eq):
        left: Any = expression.lhs
        expression = left - expression.rhs
    return in_mpmath([_argument(letter) for letter in letters], expression)


def in_mpmath(arguments, expression):
    """An expression as a function in mpmath, stable functions by their plain forms.

    `sympy.lambdify` would print the expression once more, for a docstring, and keep its source until it is collected.
    """
    names = map(_printer()._print, arguments)
    return eval(f"lambda {', '.join(names)}: {_printer().doprint(_plain(expression))}", _names())


@functools.cache
def _printer():
    return _Printer()


@functools.cache
def _names():
    """The functions that printed expressions call, by their names in SymPy's source for mpmath."""
    return sympy.lambdify((), 0, modules=[{"series": _series, "zeta": _zeta}, "mpmath"]).__globals__


def _zeta(*arguments):
    return _zeta_to(mpmath.mp.prec, *arguments)


@functools.lru_cache(maxsize=4096)
def _zeta_to(precision, *arguments):
    """mpmath's ζ in the working precision: every form of a series asks for the same ones."""
    return mpmath.zeta(*arguments)


def _plain(expression):
    return expression.replace(lambda e: hasattr(e, "plain"), lambda e: e.plain())


def _argument(letter):
    return length(letter) if letter in ("G", "K") else quantity(letter).symbol


def _letters(expression):
    """The letters of the arguments of an expression: arrays once, without their index and their length."""
    arrays = {str(base.label) for base in expression.atoms(sympy.IndexedBase)}
    lengths = {quantity(letter).length for letter in arrays}
    bound = {str(j) for total in expression.atoms(sympy.Sum, sympy.Integral) for j in total.bound_symbols}
    free = {str(symbol) for symbol in expression.free_symbols if not isinstance(symbol, sympy.Indexed)}
    return (free | arrays) - lengths - bound


def letters_of(values):
    """Values given by name, by letter instead, with the lengths of the arrays; ValueError if these differ."""
    known = {}
    for name, value in values.items():
        q = quantity(name)
        known[q.letter] = value
        if q.length and known.setdefault(q.length, len(value)) != len(value):
            raise ValueError(
                f"{name} has {len(value)} entries but another array of the same index has "
                f"{known[q.length]}; give arrays of equal length"
            )
    return known


def _mpf(value):
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    if isinstance(value, sympy.Expr):
        return mpmath.mpf(value._to_mpmath(mpmath.mp.prec))
    return mpmath.mpf(value)


def evaluated(expression, known, digits):
    """An expression in mpmath with that many working digits; `known` maps letters to numbers and arrays."""
    with mpmath.workdps(digits):
        letters = tuple(sorted(known))
        function = _lambdified(expression, letters)
        value = function(*([_mpf(v) for v in known[k]] if np.ndim(known[k]) else _mpf(known[k]) for k in letters))
        return mpmath.mpmathify(value)


def settled(expression, known, digits, name="the expression"):
    """An expression to that many correct digits: the precision is raised until two evaluations agree.

    What falls with the precision may be zero: then the expression itself is asked, before more digits are.
    """
    try:
        coarse, working = evaluated(expression, known, digits + 10), 2 * digits + 20
        fine: Any = coarse
        while working < 1400:
            fine = evaluated(expression, known, working)
            if not mpmath.isfinite(fine) or isinstance(fine, mpmath.mpc):
                break
            with mpmath.workdps(working):
                if fine and abs(fine - coarse) <= abs(fine) * mpmath.mpf(10) ** (-digits - 1):
                    return fine
                if abs(fine) < mpmath.mpf(10) ** (-working // 3) and _vanishes(expression, known):
                    return mpmath.mpf(0)
            coarse, working = fine, 2 * working
        if fine == 0 or abs(fine) < mpmath.mpf(10) ** (-working // 3):
            return mpmath.mpf(0)
    except ZeroDivisionError:
        pass
    raise ValueError(f"{name} has no finite real value at {known}; move away from this pole")


def _vanishes(expression, known):
    """Whether an expression is zero whatever its arguments, those that are 0 or 1 apart."""
    for letter, value in known.items():
        if not np.ndim(value) and value in (0, 1):
            expression = expression.subs(_argument(letter), int(value))
    return expression == 0


def _close(a, b):
    with mpmath.workdps(30):
        return bool(abs(a - b) <= mpmath.mpf("1e-20") * max(abs(a), abs(b)))
