"""A formula's expression, and the symbols of the exponents."""

import sympy

from modelcollapse.theory import catalogue
from modelcollapse.theory.symbols import symbols


def F(name, **replaced):
    """A formula's expression with some arguments replaced, sums written out where that makes them trivial."""
    expression = catalogue[name].expression
    if not replaced:
        return expression
    return expression.subs({symbols(k)[0]: v for k, v in replaced.items()}, simultaneous=True).doit()


beta, r, ell, a, b, f, s_0, s_sigma = symbols(
    "capacity",
    "source",
    "ridge_exponent",
    "generations_exponent",
    "generator_samples_exponent",
    "aspect_exponent",
    "generator_noise_exponent",
    "noise_exponent",
)
r_small, r_large = sympy.Symbol("r", positive=True), 1 + sympy.Symbol("u", nonnegative=True)
