r"""A formula's record as a JAX function.

`function(formula)` turns the SymPy expression into JAX operations: scalars broadcast, a finite sum over j = 1..d
becomes a reduction over the first axis of the arrays (never a loop with a traced limit), Min and Max are
pairwise, special functions come from the table below. Expressions that cancel in floating point are computed in
their stable form (`Formula.computed_as`), whose functions are:

    GeometricSum(y, k) = (1 - (1-y)^k)/y            DigammaGap(x) = ψ(x) - log x
    LogAccumulated(x, k) = log Π_{i≤k} (1 - x/i²)   DigammaDrop(x, a) = ψ(x) - ψ(x-a)
    BesselPair(x) = e^{-x} [I_0(x) + I_1(x)]        GammaDrop(x, a) = log Γ(x+a) - log Γ(x)
    BetaAbove(a, b, x) = ∫_x^1 u^{a-1} (1-u)^{b-1}  LogGapSum, RootFrequencies: see `theory.records.stable`
    Expm1(x) = e^x - 1, Log1m(x) = log(1 - x)       LogGammaGap(x) = log [Γ(x+1/2)/(Γ(x) √x)]

The gaps and drops move x upwards by their recurrences and end with the asymptotic series of ψ and log Γ.

>>> import jax
>>> from modelcollapse.theory import catalogue
>>> error = catalogue["least_squares_chain_limit"].function()
>>> slope = jax.grad(lambda n: error(aspect=0.5, generator_aspect=0.5, noise=1.0, generator_noise=1.0, generations=n))
>>> float(slope(3.0))
1.0
"""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import sympy
from jax.scipy import special
from sympy.printing.numpy import JaxPrinter

from modelcollapse.numerics.arrays import jit, within_jit
from modelcollapse.theory.formulas import PRINTING
from modelcollapse.theory.numbers.libraries import Library
from modelcollapse.theory.symbols import length, quantity

_SHIFTS, _STEP = 12, 0.1
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)


@functools.lru_cache(maxsize=1024)
def function(formula):
    """The JAX function of a `Formula`: keyword arguments in, one array out; an equation gives its residual.

    Arguments are scalars or arrays that broadcast together; arrays over eigenvalues, sources or rounds have
    their index first and set its range. Integers become floats of JAX's current precision, floats keep theirs.
    Raises TypeError for unknown or missing arguments; values are not checked (use `Formula.check`).
    """
    expression: Any = formula.expression if formula.computed_as is None else formula.computed_as
    if isinstance(expression, sympy.Eq):
        left: Any = expression.lhs
        expression = left - expression.rhs
    quantities = formula.quantities
    lengths = tuple(dict.fromkeys(q.length for q in quantities if q.length))
    symbols = [*(q.symbol for q in quantities), *(length(letter) for letter in lengths)]
    shared: Any = _shared  # what SymPy takes, whatever its annotation says
    names = {"modules": [TABLE, "jax"], "printer": _Printer(PRINTING)}
    compute = sympy.lambdify(symbols, expression, **names, cse=shared, docstring_limit=0)  # nobody reads its docstring

    def lowered(**values):
        values = {name: _floating(value) for name, value in formula.named(values).items()}
        sizes = {q.length: values[q.name].shape[0] for q in quantities if q.length}
        return jnp.asarray(compute(*(values[q.name] for q in quantities), *(sizes[k] for k in lengths)))

    lowered.__name__ = lowered.__qualname__ = formula.name
    lowered.__doc__ = f"{formula.title}: {formula.expression}"
    keyword = inspect.Parameter.KEYWORD_ONLY
    lowered.__signature__ = inspect.Signature([inspect.Parameter(name, keyword) for name in formula.arguments])
    kernel = jit(lowered)  # one kernel, not one for each of its operations

    @functools.wraps(lowered)
    def call(**values):
        return (lowered if within_jit() else kernel)(**values)  # a kernel in a kernel is traced and derived twice

    return call


def _shared(expression):
    """The parts that occur more than once, and the expression by them: traced, differentiated and compiled once.

    What depends on an index or on the argument of a derivative stays in its place.
    """
    kept = {symbol for part in expression.atoms(sympy.Sum, sympy.Integral) for symbol in part.bound_symbols}
    kept |= {symbol for part in expression.atoms(sympy.Derivative) for symbol in part.free_symbols}
    return sympy.cse(expression, list=False, ignore=kept)


def _floating(value):
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.inexact) else value.astype(jnp.result_type(float))


class _Printer(JaxPrinter):
    """SymPy to JAX source; `total` is in the table."""

    def _print_Indexed(self, expr):
        return f"{self._print(expr.base.label)}[{self._print(expr.indices[0])} - 1]"

    def _print_Sum(self, expr):
        """The entries of arrays are arguments of their own: mapped over, not looked up, which XLA compiles to loops."""
        ((j, low, high),) = expr.limits
        entries = sorted((term for term in expr.function.atoms(sympy.Indexed) if term.indices == (j,)), key=str)
        names = [sympy.Symbol(f"{term.base.label}_{j}") for term in entries]
        term = expr.function.xreplace(dict(zip(entries, names, strict=True)))
        arguments = ", ".join(self._print(name) for name in (j, *names))
        arrays = "".join(f"{self._print(entry.base.label)}, " for entry in entries)
        size = length(quantity(str(entries[0].base.label)).length)
        bounds = "" if (low, high) == (1, size) else f", {self._print(low)}, {self._print(high)}"
        return f"total(lambda {arguments}: {self._print(term)}, ({arrays}){bounds})"

    def _print_uppergamma(self, expr):
        return f"uppergamma({', '.join(map(self._print, expr.args))})"

    def _print_lowergamma(self, expr):
        return f"lowergamma({', '.join(map(self._print, expr.args))})"

    def _print_Derivative(self, expr):
        return f"zeta_slope({self._print(expr.expr.args[0])})"

    def _print_Integral(self, expr):
        ((t, _, _),) = expr.limits
        return f"half_line(lambda {self._print(t)}: {self._print(expr.function)})"

    def _print_Piecewise(self, expr):
        *cases, (last, _) = expr.args
        text = self._print(last)
        for value, condition in reversed(cases):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return text


def _total(term, arrays, low: Any = None, high: Any = None):
    """Σ_j term(j, entries j of the arrays) over all entries, or over low ≤ j ≤ high, which may be traced."""
    j = jnp.arange(1, len(arrays[0]) + 1)
    terms = jax.vmap(term)(j, *arrays)
    if high is None:
        return terms.sum(axis=0)
    inside = ((j >= low) & (j <= high)).reshape(-1, *[1] * (terms.ndim - 1))
    return jnp.where(inside, terms, 0).sum(axis=0)


def _powers(terms, x):
    """Σ_i terms[i] x^i, by Horner's rule."""
    return functools.reduce(lambda total, term: total * x + term, reversed(terms))


def _numbers(first, last, *values):
    """The numbers first ≤ i ≤ last, in the precision of the values."""
    return jnp.arange(first, last + 1, dtype=jnp.result_type(float(0), *values))


def _sum(term, first, last, *values):
    """Σ_i term(i) over first ≤ i ≤ last, in the precision of the values: traced and compiled once, not term by term."""
    return jax.vmap(term)(_numbers(first, last, *values)).sum(axis=0)


def _zeta(x, q: Any = 1.0):
    """Hurwitz ζ(x, q) for x > 1, q > 0, by Euler and Maclaurin; differentiable in both arguments."""
    top = q + _SHIFTS
    head = _sum(lambda i: (q + i) ** -x, 0, _SHIFTS - 1, x, q)
    factor, tail = x / top, 0.0
    for n, bernoulli in enumerate(_BERNOULLI, start=1):
        tail += bernoulli * factor
        factor *= (x + 2 * n - 1) * (x + 2 * n) / top**2 / ((2 * n + 1) * (2 * n + 2)) * 1.0
    return head + top**-x * (top / (x - 1) + 0.5 + tail / 2)


def _polygamma(n, x):
    """ψ^(n)(x) for a whole number n and x > 0."""
    if n == 0:
        return special.digamma(x)
    return (-1) ** (n + 1) * special.factorial(n) * _zeta(n + 1.0, x)


def _hyper(above, below, z):
    """₂F₁(a, b; c; z) for z ≤ 0, a, b, c > 0 and, beyond z = -1, no integer a - b.

    Pfaff's transformation maps -1 ≤ z ≤ 0 to a series in z/(z-1) ≤ 1/2; z < -1 goes to 1/z first.
    """
    (a, b), (c,) = above, below
    a, b, c, z = jnp.broadcast_arrays(a, b, c, z)
    near, far = jnp.maximum(z, -1.0), 1 / jnp.minimum(z, -1.0)
    series = (a, b, c, near), (a, a - c + 1, a - b + 1, far), (b, b - c + 1, b - a + 1, far)
    side_by_side: Any = [jnp.stack(numbers) for numbers in zip(*series, strict=True)]  # compiled once
    direct, one, two = _pfaff(*side_by_side)
    of_a, of_b, of_c, up, down, over_a, over_b = special.gamma(jnp.stack([a, b, c, b - a, a - b, c - a, c - b]))
    one, two = of_c * up / (of_b * over_a) * (-far) ** a * one, of_c * down / (of_a * over_b) * (-far) ** b * two
    return jnp.where(z >= -1, direct, one + two)


def _pfaff(a, b, c, z, terms=240):
    """₂F₁ for -1 ≤ z ≤ 0 as (1-z)^{-a} ₂F₁(a, c-b; c; z/(z-1))."""
    w, b = z / (z - 1), c - b
    term = total = jnp.ones_like(w * a * b * c)

    def add(i, state):
        term, total = state
        term = term * (a + i) * (b + i) / ((c + i) * (1 + i)) * w
        return term, total + term

    return (1 - z) ** -a * jax.lax.fori_loop(0, terms, add, (term, total))[1]


def _geometric_sum(y, k):
    small, large = jnp.minimum(y, 0.5), jnp.maximum(y, 0.5)
    few = (1 - (1 - large) ** k) / large
    return jnp.where(y <= 0.5, -jnp.expm1(k * jnp.log1p(-small)) / small, few)


def _log_accumulated(x, k):
    head = _sum(lambda i: jnp.where(i <= k, jnp.log1p(-x / i**2), 0.0), 1, _SHIFTS, x, k)
    last = jnp.maximum(k, _SHIFTS)
    return head - _sum(lambda m: x**m / m * (_zeta(2 * m, _SHIFTS + 1.0) - _zeta(2 * m, last + 1.0)), 1, 7, x, k)


def _digamma_drop(x, a):
    head = _sum(lambda i: a / ((x + i) * (x - a + i)), 0, _SHIFTS - 1, x, a)
    u, v = 1 / (x - a + _SHIFTS), 1 / (x + _SHIFTS)
    total, quotient = 0.0, 1.0  # quotient: (u^{2n} - v^{2n})/(u² - v²)
    for n, bernoulli in enumerate(_BERNOULLI, start=1):
        total += bernoulli / (2 * n) * quotient
        quotient = u**2 * quotient + v ** (2 * n)
    return head - jnp.log1p(-a * v) + a * u * v / 2 + a * u * v * (u + v) * total


def _digamma_gap(x):
    head = _sum(lambda i: jnp.log1p(1 / (x + i)) - 1 / (x + i), 0, _SHIFTS - 1, x)
    top = x + _SHIFTS
    series = _powers([b / (2 * n) for n, b in enumerate(_BERNOULLI, start=1)], top**-2)
    return head - 1 / (2 * top) - series / top**2


def _gamma_drop(x, a):
    head = _sum(lambda i: jnp.log1p(a / (x + i)), 0, _SHIFTS - 1, x, a)
    y = x + _SHIFTS
    series = sum(
        bernoulli / (2 * n * (2 * n - 1)) * ((y + a) ** (1 - 2 * n) - y ** (1 - 2 * n))
        for n, bernoulli in enumerate(_BERNOULLI, start=1)
    )
    return (y - 0.5) * jnp.log1p(a / y) + a * (jnp.log(y + a) - 1) + series - head


def _log_gamma_gap(x):
    head = _sum(lambda i: jnp.log1p(-1 / (2 * (x + i) + 1) ** 2) / 2, 0, _SHIFTS - 1, x)
    top = x + _SHIFTS
    return head - _powers([1 / 8, -1 / 192, 1 / 640, -17 / 14336, 31 / 18432], top**-2) / top


def _half_line(f):
    """∫_0^∞ f(t) dt of what falls at both ends and is smooth for Re t > 0: the trapezoidal rule in log t."""
    logs = jnp.arange(-60.0, 25.0, _STEP)
    return _STEP * jax.vmap(lambda log_t: f(jnp.exp(log_t)) * jnp.exp(log_t))(logs).sum(axis=0)


def _beta_above(a, b, x):
    """∫_x^1 u^{a-1} (1-u)^{b-1} du: tanh-sinh in log u."""
    low = jnp.log(x)
    tau = jnp.arange(-256, 257) / 64.0
    bent = jnp.pi / 2 * jnp.sinh(tau)
    weight = jnp.pi / 256 * jnp.cosh(tau) / jnp.cosh(bent) ** 2
    shape = (-1, *[1] * jnp.ndim(a * b * low))
    log_u = low * jax.nn.sigmoid(-2 * bent).reshape(shape)
    terms = jnp.exp(a * log_u + (b - 1) * jnp.log(-jnp.expm1(log_u)))
    return -low * (weight.reshape(shape) * terms).sum(axis=0)


def _log_gap_sum(a):
    """-1/(2a) + ∫ (1-e^{-t})^{a-1} e^{-t} [1/(1-e^{-t}) - 1/t] dt: the trapezoidal rule in log t."""
    t = jnp.exp(jnp.arange(-28.0, 4.0, _STEP))
    series = _powers((0.5, 1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240), jnp.minimum(t, 0.1))
    gap = jnp.where(t < 0.1, series, -1 / jnp.expm1(-t) - 1 / t)

    def integral(a):
        terms = (-jnp.expm1(-t)) ** (a - 1) * jnp.exp(-t) * gap * t
        return _STEP * (terms.sum() - terms[0] / jnp.expm1(-_STEP * a) * jnp.exp(-_STEP * a)) - 1 / (2 * a)

    return jnp.vectorize(integral)(a)


def _root_sum(beta):
    """The first symbol as it is, the ζ functions of the others: their series falls as the second frequency does."""
    n, scale = _numbers(0, 23, beta), _zeta(beta)
    binomials = jnp.cumprod(jnp.where(n > 0, (n - 1.5) / jnp.maximum(n, 1), 1))
    terms = jax.vmap(lambda c, x: c * _zeta(beta * x, 2.0) * scale**-x)(binomials, n + 0.5)
    return jnp.sqrt(_zeta(beta, 2.0)) / scale + terms.sum(axis=0)


TABLE = {
    "total": _total,
    "where": jnp.where,
    "gamma": special.gamma,
    "lgamma": special.gammaln,
    "loggamma": special.gammaln,
    "polygamma": _polygamma,
    "zeta": _zeta,
    "hyper": _hyper,
    "digamma": special.digamma,
    "psi": special.digamma,
    "erf": special.erf,
    "erfc": special.erfc,
    "factorial": lambda x: special.gamma(x + 1.0),
    "binomial": lambda n, k: special.gamma(n + 1.0) / (special.gamma(k + 1.0) * special.gamma(n - k + 1.0)),
    "beta": lambda a, b: special.gamma(a) * special.gamma(b) / special.gamma(a + b),
    "Ei": special.expi,
    "expint": special.expn,
    "zeta_slope": lambda x: jax.jvp(_zeta, (x,), (jnp.ones_like(x),))[1],
    "half_line": _half_line,
    "BetaAbove": _beta_above,
    "LogGapSum": _log_gap_sum,
    "RootFrequencies": _root_sum,
    "Expm1": jnp.expm1,
    "BesselPair": lambda x: special.i0e(x) + special.i1e(x),
    "Log1m": lambda x: jnp.log1p(-x),
    "GeometricSum": _geometric_sum,
    "LogAccumulated": _log_accumulated,
    "DigammaDrop": _digamma_drop,
    "DigammaGap": _digamma_gap,
    "GammaDrop": _gamma_drop,
    "uppergamma": lambda s, x: special.gammaincc(s, x) * special.gamma(s),
    "lowergamma": lambda s, x: special.gammainc(s, x) * special.gamma(s),
    "LogGammaGap": _log_gamma_gap,
}

_RESTRICTED = ("total", "hyper")  # to what the records need
JAX = Library("JAX", ({name: f for name, f in TABLE.items() if name not in _RESTRICTED}, "jax"), _Printer(PRINTING))
