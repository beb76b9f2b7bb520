"""The catalogue in JAX: under jit it is SymPy at 18 digits and the independent route, with finite, right gradients.

Points are drawn from the declared domains. The bound is 1e-10 relative, times the condition number of the formula at
the point where that exceeds 1 (Σ_i |x_i ∂f/∂x_i| / |f|: what rounding the arguments alone does).
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from formula_draws import Empty, draw, seeded
from formula_routes import ROUTES, solved
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jax.scipy import special

from modelcollapse.numerics.formula_functions import TABLE
from modelcollapse.theory import catalogue
from modelcollapse.theory.formulas import evaluated, in_mpmath, letters_of

VARIED = [name for name in catalogue if catalogue[name].arguments]
TOGETHER = 8  # formulas in one compilation
SIZES = {"d": 4, "G": 2, "K": 3}  # as in the examples: each formula is compiled once
PRECISE = [
    name for name, route in ROUTES.items() if route.tolerance <= 1e-10 and not route.points and not route.unknown
]
SLOPED = {"vote_share_noise_ratio": {"teacher_overlap": (0.0, 0.999)}}  # the slope of the arc sine is infinite at one
DIGITS = 18  # of the exact value: two evaluations, of 28 and 56 digits, agree to them
COMPARED = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))


@functools.cache
def compiled(first):
    """Value and gradients under jit of some formulas, beginning with that one, and their examples.

    Compiled together they take two thirds of the time that they take one by one.
    """
    some = VARIED[first : first + TOGETHER]
    derived = {
        name: jax.value_and_grad(lambda values, formula=catalogue[name]: formula.function()(**values)) for name in some
    }
    examples = {name: doubles(catalogue[name].example) for name in some}
    return jax.jit(lambda points: {name: derived[name](points[name]) for name in some}), examples


def doubles(point):
    return {k: np.asarray(v, np.float64) for k, v in point.items()}


def in_double(name, point):
    """(value, gradients, rounding unit: |f| + Σ|x ∂f/∂x|) in double precision, as NumPy."""
    if not point:
        return float(jax.jit(catalogue[name].function())()), {}, 1.0
    with jax.enable_x64(True):
        kernel, examples = compiled(VARIED.index(name) // TOGETHER * TOGETHER)
        value, slopes = kernel(examples | {name: doubles(point)})[name]
        slopes = {k: np.asarray(v) for k, v in slopes.items()}
        moved = sum(np.sum(np.abs(np.asarray(point[k], dtype=float) * v)) for k, v in slopes.items())
        return float(value), slopes, abs(float(value)) + float(moved)


def drawn(data, name, ranges=None):
    """A point of the domain from Hypothesis."""
    try:
        return draw(
            catalogue[name], lambda low, high: data.draw(st.floats(low, high, allow_subnormal=False)), ranges, SIZES
        )
    except Empty:
        assume(False)


@pytest.mark.parametrize("name", VARIED)
@COMPARED
@given(data=st.data())
def test_jit_is_the_exact_value_on_the_whole_domain(name, data):
    point = drawn(data, name, SLOPED.get(name))
    exact = catalogue[name].evaluate(**point, digits=DIGITS)
    value, slopes, unit = in_double(name, point)
    assert abs(value - exact) <= 1e-10 * unit + 1e-290  # what underflows is zero
    assert all(np.all(np.isfinite(v)) for v in slopes.values())


@pytest.mark.parametrize("name", PRECISE)
def test_jit_is_the_independent_route(name):
    """At one point: the expression is compared with the route and with what is compiled at many."""
    (inside,) = seeded(catalogue[name], 0, 1, ROUTES[name].ranges, SIZES)
    point, expected = solved(ROUTES[name], inside)
    value, _, unit = in_double(name, point)
    assert abs(value - expected) <= 1e-10 * unit + 1e-290


@pytest.mark.parametrize("name", VARIED)
def test_gradients_are_the_derivatives(name):
    formula, point = catalogue[name], catalogue[name].example
    _, slopes, unit = in_double(name, point)
    for q in formula.quantities:
        if q.length or q.domain.whole:
            continue
        with mpmath.workdps(20):
            slope = mpmath.diff(
                lambda x: evaluated(formula.expression, letters_of(point | {q.name: x}), mpmath.mp.dps), point[q.name]
            )
        assert abs(slopes[q.name] - slope) <= 1e-10 * (abs(slope) + unit / abs(point[q.name]))


def test_a_constant_needs_no_argument():
    with jax.enable_x64(True):
        assert abs(float(catalogue["label_mixing_best_share"].function()()) - (np.sqrt(5) - 1) / 2) < 1e-15


def test_vmap_and_broadcasting_are_a_loop():
    formula = catalogue["clean_error"]
    function, ridges = formula.function(), np.geomspace(0.01, 10, 5)
    rest = {k: v for k, v in formula.example.items() if k != "effective_ridge"}
    arrays = {k: np.asarray(v, dtype=np.float64) for k, v in rest.items()}
    with jax.enable_x64(True):
        mapped = jax.vmap(lambda kappa: function(effective_ridge=kappa, **arrays))(jnp.asarray(ridges))
        broadcast = function(effective_ridge=jnp.asarray(ridges), **arrays)
        mapped, broadcast = np.asarray(mapped), np.asarray(broadcast)
    loop = [float(formula.evaluate(effective_ridge=kappa, **rest)) for kappa in ridges]
    np.testing.assert_allclose(mapped, loop, rtol=1e-13)
    np.testing.assert_allclose(broadcast, loop, rtol=1e-13)


def test_the_function_keeps_the_precision_it_is_given():
    function = catalogue["least_squares_chain"].function()
    point = {
        "samples": 300,
        "generator_samples": 300,
        "dimension": 100,
        "noise": 1,
        "generator_noise": 1,
        "generations": 3,
    }
    assert function(**point).dtype == jnp.float32
    with jax.enable_x64(True):
        assert function(**point).dtype == jnp.float64
        assert function(**{k: jnp.float32(v) for k, v in point.items()}).dtype == jnp.float32


def test_the_function_names_its_arguments():
    function = catalogue["mixture_floor"].function()
    assert list(inspect.signature(function).parameters) == ["synthetic_share", "offset_variance"]
    assert function is catalogue["mixture_floor"].function()
    assert float(function(p_2=0.5, c2=4.0)) == 1.0
    with pytest.raises(TypeError, match="has no argument rho"):
        function(rho=1.0)
    with pytest.raises(TypeError, match="needs offset_variance"):
        function(synthetic_share=0.5)


# the table of special functions over the declared domains, values and derivatives in every argument

X = [1e-6, 0.01, 0.3, 0.5, 1.0, 1.5, 2.7, 11.0, 12.5, 40.0, 150.0]
LARGE = [*X[3:], 1e3, 1e6, 1e9]
SPECIAL = {
    "gamma": [(x,) for x in X],
    "loggamma": [(x,) for x in LARGE],
    "polygamma 0": [(x,) for x in LARGE],
    "polygamma 1": [(x,) for x in X],
    "polygamma 2": [(x,) for x in X[1:]],
    "zeta": [(x, q) for x in (1.001, 1.2, 2.0, 3.5, 9.0, 40.0) for q in (0.2, 1.0, 3.3, 50.0)],
    "hyper": [
        (a, b, z)
        for a in (1.0, 2.0, 5.0, 30.0)
        for b in (0.26, 0.5, 0.66, 0.9)
        for z in (-1e-8, -0.3, -0.999, -1.001, -3.0, -1e3, -1e8)
    ],
    "Expm1": [(x,) for x in (-30.0, -1e-9, 1e-9, 0.5)],
    "GeometricSum": [(y, k) for y in (1e-12, 1e-3, 0.4, 0.49, 0.51, 0.97) for k in (0.0, 1.0, 2.0, 17.0)],
    "LogAccumulated": [(x, k) for x in (1e-9, 0.01, 0.5) for k in (1.0, 2.0, 12.0, 13.0, 200.0, 1e7)],
    "DigammaDrop": [(x, a * x) for x in (0.5, 1.0, 3.0, 1e3, 1e8) for a in (1e-12, 1e-3, 0.5, 0.99)],
    "BetaAbove": [(a, b, x) for a in (0.1, 0.7) for b in (1.5, 30.0) for x in (1e-9, 1e-3, 0.3)],
    "DigammaGap": [(x,) for x in LARGE],
    "LogGammaGap": [(x,) for x in LARGE],
}


def reference(name):
    """The function in mpmath, from its definition."""
    import sympy

    from modelcollapse.theory.records import stable

    if name in ("gamma", "loggamma"):
        return getattr(mpmath, name)
    if name.startswith("polygamma"):
        return functools.partial(mpmath.psi, int(name[-1]))
    if name == "zeta":
        return mpmath.zeta
    if name == "hyper":
        return lambda a, b, z: mpmath.hyp2f1(a, b, 1 + b, z)
    symbols = sympy.symbols("x y z")[: len(SPECIAL[name][0])]
    return in_mpmath(symbols, getattr(stable, name)(*symbols))


def lowered(name):
    """The function in JAX."""
    if name.startswith("polygamma"):
        return functools.partial(TABLE["polygamma"], int(name[-1]))
    return (lambda a, b, z: TABLE["hyper"]((a, b), (1 + b,), z)) if name == "hyper" else TABLE[name]


@pytest.mark.parametrize("name", SPECIAL)
def test_special_function_and_its_derivatives(name):
    exact, points = reference(name), np.array(SPECIAL[name])
    count = points.shape[1]
    with jax.enable_x64(True):
        function = jax.jit(jax.vmap(jax.value_and_grad(lowered(name), argnums=tuple(range(count)))))
        values, slopes = function(*jnp.asarray(points, jnp.float64).T)
        values, slopes = np.asarray(values), np.stack([np.asarray(g) for g in slopes], axis=1)
    with mpmath.workdps(40):
        for point, value, slope in zip(points, values, slopes, strict=True):
            arguments = [mpmath.mpf(float(x)) for x in point]
            expected = exact(*arguments)
            partial = [
                mpmath.diff(exact, tuple(arguments), tuple(int(i == j) for j in range(count)))
                for i in range(count)
                if not (name in ("LogAccumulated",) and i == 1)
            ]  # k is whole
            unit = abs(expected) + sum(abs(x * g) for x, g in zip(arguments, partial, strict=False))
            assert abs(value - expected) <= 1e-12 * unit, (point, value)
            for i, derivative in enumerate(partial):
                room = 1e-9 * (abs(derivative) + unit / (abs(arguments[i]) or 1))
                assert abs(slope[i] - derivative) <= room, (point, i)


def test_why_the_table_has_its_own_hypergeometric_function():
    """At a point of `SPECIAL`, where ours is right."""
    assert (1.0, 0.5, -1e3) in SPECIAL["hyper"]
    with jax.enable_x64(True):
        theirs = float(special.hyp2f1(1.0, 0.5, 1.5, -1e3))
    assert not abs(theirs - float(mpmath.hyp2f1(1, 0.5, 1.5, -1000))) < 1e-6
