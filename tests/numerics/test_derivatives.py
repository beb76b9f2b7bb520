"""Gradients and lowered functions: finite differences, and what JAX makes of them."""

import jax
import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics import lower

POWER_LAW = mc.power_law(1.5, 0.5, dim=60)

x, T, T0, lam, noise, share, weight = sympy.symbols("x T T0 lambda sigma alpha omega", positive=True)
n = sympy.Symbol("n", integer=True, nonnegative=True)
ATOMS = mc.Spectrum([x, 1.0, 0.5], [1, 2.0, 3], [30, 10, 20])


def pipelines_with_symbols():
    w0 = mc.truth(POWER_LAW)
    yield (
        "ridge chain",
        mc.fit(mc.chain(w0, 3, T0, noise, lam / 3).label(T, 0.1), ridge=lam),
        {T0: 50.0, noise: 0.1, lam: 1e-2, T: 40.0},
    )
    yield "least squares", mc.fit(mc.chain(w0, 3, T0, noise).label(T, 0.1)), {T0: 100.0, noise: 0.1, T: 90.0}
    yield "minimum norm", mc.fit(mc.chain(w0, 3, T0, noise).label(T, 0.1)), {T0: 30.0, noise: 0.1, T: 20.0}
    sources = mc.chain(w0, 2, 100, noise).label(T, 0.1, weight=weight), w0.label(T / 2, 0.2)
    yield "sources", mc.fit(*sources, ridge=lam), {noise: 0.1, T: 30.0, weight: 2.0, lam: 1e-3}
    yield "sources alike", mc.fit(*sources, ridge=lam), {noise: 0.1, T: 90.0, weight: 1.0, lam: 1e-3}
    mixed = share * mc.accumulate(w0, 3, 50, noise, lam) + (1 - share) * w0
    yield "mixed labels", mc.fit(mixed.label(T, 0.1), ridge=lam), {noise: 0.2, T: 40.0, lam: 1e-2, share: 0.4}
    yield (
        "eigenvalue",
        mc.fit(mc.chain(mc.truth(ATOMS), 2, T0, 0.2, lam).label(T, 0.1), ridge=lam),
        {x: 0.3, T0: 40.0, T: 90.0, lam: 1e-2},
    )
    shifted = w0.label(T, 0.1, inputs=lambda s: s**1.5), w0.label(20, 0.2)
    yield "shift", mc.fit(*shifted, ridge=lam), {T: 30.0, lam: 1e-3}


def finite_difference(model, at, symbol):
    step = 1e-4 * at[symbol]
    points = at[symbol] + step * np.array([-2, -1, 1, 2])
    return mc.predict(model, {**at, symbol: points}).test_error @ [1, -8, 8, -1] / (12 * step)


@pytest.mark.parametrize(
    ("name", "model", "at"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case[0] in ("shift", "mixed labels") else ())
        for case in pipelines_with_symbols()
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_gradient_is_the_finite_difference(name, model, at):
    slopes = mc.gradient(model, at)
    assert slopes.keys() == at.keys()
    for symbol, slope in slopes.items():
        assert slope == pytest.approx(finite_difference(model, at, symbol), rel=1e-6), symbol


@pytest.mark.parametrize(
    ("name", "model", "at"),
    [
        pytest.param(*case, marks=() if case[0] == "ridge chain" else pytest.mark.slow)
        for case in pipelines_with_symbols()
        if case[0] in ("ridge chain", "sources", "sources alike", "mixed labels")
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_lowered_function_composes_with_jit_grad_and_vmap(name, model, at):
    """All three at once, at points that differ."""
    points = {symbol: value * np.array([1.0, 1.05, 0.9]) for symbol, value in at.items()}
    error, slopes = lower(model, tuple(at)), mc.gradient(model, points)
    with jax.enable_x64(True):
        composed = jax.jit(jax.vmap(jax.value_and_grad(error, argnums=tuple(range(len(at))))))
        values, reverse = composed(*points.values())
    np.testing.assert_allclose(values, mc.predict(model, points).test_error, rtol=1e-12)
    for symbol, found in zip(at, reverse, strict=True):
        np.testing.assert_allclose(found, slopes[symbol], rtol=1e-9)


def test_gradients_broadcast():
    model = mc.fit(mc.truth(POWER_LAW).label(T, 0.1), ridge=lam)
    grid = mc.gradient(model, {T: np.array([30.0, 90.0])[:, None], lam: np.geomspace(1e-3, 1, 5)})
    assert grid[T].shape == grid[lam].shape == (2, 5)
    assert grid[lam][1, 2] == pytest.approx(mc.gradient(model, {T: 90.0, lam: 10**-1.5})[lam], rel=1e-12)


@pytest.mark.slow
def test_second_derivatives_of_a_fit_on_several_sources():
    w0 = mc.truth(POWER_LAW)
    model = mc.fit(w0.label(30, 0.2, weight=weight), w0.label(50, 0.1), ridge=1e-2)
    error = lower(model, (weight,))
    with jax.enable_x64(True):
        slope = jax.jit(jax.jacfwd(error))
        curvature = float(jax.jit(jax.jacfwd(slope))(2.0))
        difference = (float(slope(2.0 + 1e-5)) - float(slope(2.0 - 1e-5))) / 2e-5
    assert curvature == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("population", [mc.isotropic(9), mc.gaussian(np.eye(9), np.ones(9))])
@pytest.mark.parametrize("rows", [9.0, [6.0, 9.0]])
def test_an_infinite_error_has_no_derivative(population, rows):
    """Nor is one given as not-a-number."""
    model = mc.fit(mc.truth(population).label(T, 0.3))
    with pytest.raises(RuntimeError, match=r"the test error inf at grid point \[1?\] has no derivative"):
        mc.gradient(model, {T: rows})
    assert np.isfinite(mc.gradient(model, {T: [6.0, 12.0]})[T]).all()


def test_derivative_by_whole_numbers():
    model = mc.fit(mc.chain(mc.truth(POWER_LAW), n, 40, 0.1).label(50, 0.1), ridge=0.1)
    with pytest.raises(ValueError, match="generations = n is a whole number"):
        mc.gradient(model, {n: 3})


def test_user_configuration_is_untouched():
    assert not jax.config.jax_enable_x64
    import jax.numpy as jnp

    error = mc.predict(mc.fit(mc.truth(POWER_LAW).label(30, 0.1), ridge=0.1)).test_error
    assert error.dtype == np.float64
    assert jnp.ones(1).dtype == jnp.float32
