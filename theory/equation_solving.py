"""Solve the lines of `named_equations` one after the other: numbers and arrays over directions, in double precision."""

from dataclasses import replace
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.leaves import Domain, leaf

__all__ = ["solved"]


def solved(lines, spectrum, values):
    """The value of the last line."""
    import sympy

    spectrum = (
        spectrum.subs({x: value for x, value in values.items() if x in spectrum.free}) if spectrum.free else spectrum
    )
    values = {symbol: sympy.sympify(leaf(str(symbol), value, Domain())) for symbol, value in values.items()}
    found = _Found(spectrum)
    place = 0
    while place < len(lines):
        over, group = lines[place].over, [lines[place]]
        while over is not None and place + len(group) < len(lines) and lines[place + len(group)].over == over:
            group.append(lines[place + len(group)])
        for line in _repeated(group, values):
            found.add(line)
        place += len(group)
    return float(found.last)


def _repeated(group, values):
    """The lines with numbers for symbols, for every value of their index."""

    def at(line, known):
        root = line.root and tuple(x.subs(known) for x in line.root)
        return replace(line, left=line.left.subs(known), right=line.right.subs(known), over=None, root=root)

    if group[0].over is None:
        return [at(line, values) for line in group]
    index, first, last = group[0].over
    last = last.subs(values) if hasattr(last, "subs") else last
    return [at(line, values | {index: k}) for k in range(int(first), int(last) + 1) for line in group]


class _Found:
    """Values by name: symbols are numbers, letters with an index j arrays over the atoms of the spectrum."""

    def __init__(self, spectrum):
        self.multiplicity, self.signal = np.asarray(spectrum.multiplicity, float), np.asarray(spectrum.signal, float)
        self.known: dict[str, Any] = {"s": np.asarray(spectrum.eigenvalues, float)}
        self.last: Any = None

    def add(self, line):
        value = self.root(*line.root) if line.root else self.value(line.right)
        self.known[_key(line.left)] = self.last = value

    def root(self, ridge, samples):
        """The largest κ with κ = λ + κ df_1(κ)/T: of 1 − λ/κ − df_1(κ)/T, which rises with κ."""
        from scipy.optimize import brentq

        ridge, samples, s = float(self.value(ridge)), float(self.value(samples)), self.known["s"]

        def away(kappa):
            return 1 - ridge / kappa - np.sum(self.multiplicity * s / (s + kappa)) / samples

        high = ridge + np.sum(self.multiplicity * s) / samples
        if ridge == 0 and np.sum(self.multiplicity[s > 0]) <= samples:
            return 0.0
        low = ridge or high
        while away(low) > 0:
            low /= 16
        found: Any = brentq(away, low, high, xtol=1e-300) if away(high) > 0 else high
        return found

    def value(self, expression):
        """A number, or an array over atoms where the direction j is open."""
        import sympy

        expression = sympy.sympify(expression).replace(_is_sum_of_terms, _terms)
        for order in (1, 2):
            expression = expression.replace(
                sympy.Function(f"df_{order}"), lambda kappa, q=order: self.degrees(kappa, q)
            )
        expression = expression.replace(sympy.Sum, self.sum)
        return self.plain(expression)

    def degrees(self, kappa, order):
        import sympy

        s, ridge = self.known["s"], float(self.plain(kappa))
        share = np.divide(s, s + ridge, out=np.zeros_like(s), where=s > 0)
        return sympy.Float(np.sum(self.multiplicity * share**order), 17)

    def sum(self, function, limits):
        """Σ over directions j: with multiplicities, or energies where θ_j stands."""
        import sympy

        index, _, _ = limits
        base: Any = sympy.IndexedBase("theta")
        theta = base[index]
        plain, energy = function.subs(theta, 0), sympy.diff(function, theta)
        total = np.sum(self.multiplicity * self.plain(plain)) + np.sum(self.signal * self.plain(energy))
        return sympy.Float(total, 17)

    def plain(self, expression):
        import sympy

        letters = sorted(expression.atoms(sympy.Indexed) | _outside(expression), key=str)
        stand_ins = [sympy.Dummy() for _ in letters]
        missing = [letter for letter in letters if _key(letter) not in self.known]
        if missing:
            raise TypeError(f"the symbol {missing[0]} is free; give its value in values={{{missing[0]}: ...}}")
        replaced = expression.xreplace(dict(zip(letters, stand_ins, strict=True)))
        compute = sympy.lambdify(stand_ins, replaced, "numpy", docstring_limit=0)
        with np.errstate(all="ignore"):
            return compute(*(self.known[_key(letter)] for letter in letters))


def _is_sum_of_terms(expression):
    import sympy

    return isinstance(expression, sympy.Sum) and str(expression.limits[0][0]) != "j"


def _terms(expression):
    """A sum over a whole index, written out."""
    import sympy

    ((index, low, high),) = expression.limits
    return sympy.Add(*(expression.function.subs(index, k) for k in range(int(low), int(high) + 1)))


def _outside(expression):
    """Symbols that are no part of an indexed letter."""
    import sympy

    inner = {x for letter in expression.atoms(sympy.Indexed) for x in letter.free_symbols}
    return {x for x in expression.free_symbols if x not in inner and not isinstance(x, sympy.IndexedBase)}


def _key(letter):
    """A letter's name, with its whole indices."""
    import sympy

    if not isinstance(letter, sympy.Indexed):
        return str(letter)
    numbers = [str(index) for index in letter.indices if str(index) != "j"]
    base: Any = letter.base
    return ",".join([str(base.label), *numbers])
