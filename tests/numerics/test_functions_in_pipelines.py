"""SymPy's functions as numbers of a pipeline: all doors agree, or the function is refused by its name."""

import jax
import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics import lower
from modelcollapse.numerics.formula_functions import JAX
from modelcollapse.theory.numbers.leaves import evaluate

X = sympy.Symbol("x", positive=True)
W0 = mc.truth(mc.isotropic(30))
AT = 1.3
EVERYWHERE = {
    "erf": sympy.erf(X), "erfc": sympy.erfc(X), "gamma": sympy.gamma(X), "loggamma": sympy.loggamma(X + 2),
    "factorial": sympy.factorial(X), "binomial": sympy.binomial(5, X), "beta": sympy.beta(X, 2),
    "digamma": sympy.digamma(X), "trigamma": sympy.polygamma(1, X), "Ei": sympy.Ei(X), "Max": sympy.Max(X, 1),
    "floor": sympy.floor(3 * X), "Piecewise": sympy.Piecewise((X, X < 2), (2 * X, True)), "Abs": sympy.Abs(X - 3),
    "expint": sympy.expint(2, X),
}  # fmt: skip
NOT_IN_JAX = {
    "besseli": sympy.besseli(0, X), "besselj": sympy.besselj(1, X), "LambertW": sympy.LambertW(X), "Si": sympy.Si(X),
}  # fmt: skip
NOWHERE = {"polylog": sympy.polylog(2, X / 9), "hyper": sympy.hyper((1, 2), (3,), -X), "li": sympy.li(X + 2)}


def model(expression):
    return mc.fit(W0.label(50, 0.1), ridge=expression**2 + sympy.Rational(1, 100))


def slope(pipeline, step=1e-6):
    low, high = (mc.predict(pipeline, {X: AT + sign * step}).test_error for sign in (-1, 1))
    return (high - low) / (2 * step)


@pytest.mark.parametrize("name", [*EVERYWHERE, *NOT_IN_JAX])
def test_gradients_are_difference_quotients(name):
    pipeline = model((EVERYWHERE | NOT_IN_JAX)[name])
    wanted = slope(pipeline)
    assert mc.gradient(pipeline, {X: AT})[X] == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    assert mc.tune(pipeline, {X: (1.2, 1.4)}).test_error <= mc.predict(pipeline, {X: AT}).test_error


@pytest.mark.parametrize("name", EVERYWHERE)
def test_lowered_functions_agree(name):
    """Compiled, each is its number; the pipelines' kernels, which know only numbers, are compiled once for all."""
    expression = EVERYWHERE[name]
    pipeline = model(expression)
    with jax.enable_x64(True):
        number = jax.jit(lambda x: evaluate(expression, {X: x}, JAX))(AT)
        lowered = lower(pipeline, (X,))(AT)
    assert float(number) == pytest.approx(float(expression.subs(X, AT)), rel=1e-10)
    assert float(lowered) == pytest.approx(mc.predict(pipeline, {X: AT}).test_error, rel=1e-10)


@pytest.mark.parametrize("name", NOT_IN_JAX)
def test_what_jax_lacks_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} in .* cannot be evaluated with JAX"):
        lower(model(NOT_IN_JAX[name]), (X,))(AT)


@pytest.mark.parametrize("name", NOWHERE)
@pytest.mark.parametrize("door", [mc.predict, mc.gradient])
def test_unknown_functions_are_refused_by_name(name, door):
    with pytest.raises(ValueError, match=f"{name} in .* cannot be evaluated with NumPy and SciPy"):
        door(model(NOWHERE[name]), {X: AT})


def test_a_derivative_without_a_formula_is_refused():
    pipeline = model(sympy.zeta(X + 1))
    assert np.isfinite(mc.predict(pipeline, {X: AT}).test_error)
    with pytest.raises(ValueError, match="Derivative"):
        mc.gradient(pipeline, {X: AT})


def test_two_symbols_of_one_name():
    other = sympy.Symbol("x", nonnegative=True)
    pipeline = mc.fit(W0.label(50, other), ridge=X)
    error = mc.predict(pipeline, {X: 0.1, other: 0.2}).test_error
    assert error == mc.predict(mc.fit(W0.label(50, 0.2), ridge=0.1)).test_error
    both, values = mc.fit(W0.label(50, 0.1), ridge=X + 2 * other), {X: 0.1, other: 0.2}
    assert mc.predict(both, values).test_error == mc.predict(mc.fit(W0.label(50, 0.1), ridge=0.5)).test_error
    slopes = mc.gradient(both, values)
    assert slopes[other] == pytest.approx(2 * slopes[X])


def test_functions_that_leave_the_reals_are_refused():
    with pytest.raises(ValueError, match="is not real"):
        mc.predict(mc.fit(W0.label(50, 0.1), ridge=sympy.LambertW(X - 2) ** 2), {X: AT})
