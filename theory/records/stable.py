"""Functions that keep their digits where the textbook form cancels.

Each is a SymPy function with a `plain` form, used to define it; `modelcollapse.numerics.formula_functions` holds
the way it is computed. They appear only in `computed_as`, never in a formula's readable expression.
"""

import sympy


class GeometricSum(sympy.Function):
    """1 + x + … + x^{k-1} with x = 1 - y, from y: for x near 1 the quotient (1 - x^k)/(1 - x) cancels."""

    def plain(self):
        y, k = self.args
        return (1 - (1 - y) ** k) / y


class LogAccumulated(sympy.Function):
    """log Π_{i ≤ k} (1 - x/i²) for 0 < x < 1."""

    def plain(self):
        x, k = self.args
        a = sympy.sqrt(x)
        above = sympy.loggamma(k + 1 - a) + sympy.loggamma(k + 1 + a) - 2 * sympy.loggamma(k + 1)
        return above - sympy.loggamma(1 - a) - sympy.loggamma(1 + a)


class Expm1(sympy.Function):
    """e^x - 1."""

    def plain(self):
        return sympy.exp(self.args[0]) - 1


class Log1m(sympy.Function):
    """log(1 - x) for x < 1."""

    def plain(self):
        return sympy.log(1 - self.args[0])


class BesselPair(sympy.Function):
    """e^{-x} [I_0(x) + I_1(x)]."""

    def plain(self):
        (x,) = self.args
        return sympy.exp(-x) * (sympy.besseli(0, x) + sympy.besseli(1, x))


class DigammaDrop(sympy.Function):
    """ψ(x) - ψ(x - a) for 0 < a < x."""

    def plain(self):
        x, a = self.args
        return sympy.digamma(x) - sympy.digamma(x - a)


class GammaDrop(sympy.Function):
    """log Γ(x + a) - log Γ(x) for x, a > 0."""

    def plain(self):
        x, a = self.args
        return sympy.loggamma(x + a) - sympy.loggamma(x)


class DigammaGap(sympy.Function):
    """ψ(x) - log x."""

    def plain(self):
        (x,) = self.args
        return sympy.digamma(x) - sympy.log(x)


class LogGammaGap(sympy.Function):
    """log Γ(x + 1/2) - log Γ(x) - (log x)/2."""

    def plain(self):
        (x,) = self.args
        return sympy.loggamma(x + sympy.S.Half) - sympy.loggamma(x) - sympy.log(x) / 2


class BetaAbove(sympy.Function):
    """∫_x^1 u^{a-1} (1-u)^{b-1} du for a, b > 0 and 0 < x < 1."""

    def plain(self):
        a, b, x = self.args
        return sympy.betainc(a, b, x, 1)


class RootFrequencies(sympy.Function):
    """Σ_i √(p_i (1-p_i)) of Zipf's law with the exponent β, by its ζ functions: the continued value where β < 2."""

    def plain(self):
        (beta,) = self.args
        i, half = sympy.Symbol("i", integer=True, nonnegative=True), sympy.S.Half
        term = sympy.binomial(half, i) * (-1) ** i * sympy.zeta(beta * (i + half)) * sympy.zeta(beta) ** -(i + half)
        return sympy.Sum(term, (i, 0, sympy.oo))


class LogGapSum(sympy.Function):
    """Σ_n [log n - ψ(n) - 1/(2n)] Γ(n-a)/(Γ(1-a) Γ(n)) for 0 < a < 1."""

    def plain(self):
        (a,) = self.args
        i = sympy.Symbol("i", integer=True, positive=True)
        gap = sympy.log(i) - sympy.digamma(i) - 1 / (2 * i)
        ratio = sympy.gamma(i - a) / (sympy.gamma(1 - a) * sympy.gamma(i))
        return sympy.Sum(gap * ratio, (i, 1, sympy.oo))
