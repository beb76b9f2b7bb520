"""The effective ridge in decimal arithmetic: T − Σ μ s/(s+κ) − Tλ/κ increases in κ, so signs beside κ certify it."""

import functools
import itertools
import math
from decimal import Decimal, getcontext, localcontext

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from modelcollapse.numerics.equivalents.ridge_equation import ITERATIONS, root, solve
from modelcollapse.numerics.equivalents.shares import degrees_of_freedom, samples_left

pytestmark = pytest.mark.usefixtures("double_precision")
compiled = jax.jit(root, static_argnums=4)


def solved(eigenvalues, multiplicity, samples, ridge, iterations=ITERATIONS):
    """Few points on few atoms are padded to one shape, by atoms of nothing and by points again: compiled once."""
    spectrum = [np.atleast_2d(x) for x in (eigenvalues, multiplicity)]
    points = np.array(np.broadcast_arrays(*map(np.atleast_1d, (samples, ridge))))
    count, atoms = points.shape[1], spectrum[0].shape[1]
    if count <= 4 and atoms <= 128:
        spectrum = [np.pad(x, ((0, 0), (0, 128 - atoms))) for x in spectrum]
        points = np.pad(points, ((0, 0), (0, 4 - count)), "edge")
    found = compiled(*(jnp.asarray(x, jnp.float64) for x in (*spectrum, *points)), iterations)
    return [np.asarray(x)[:count] for x in found]


def excess(eigenvalues, multiplicity, samples, ridge, kappa):
    """T − df_1(κ) − Tλ/κ, in the current precision of `decimal`."""
    fitted = (
        Decimal(float(m)) / (1 + kappa / Decimal(float(s)))
        for s, m in zip(eigenvalues, multiplicity, strict=True)
        if s and m
    )
    return Decimal(float(samples)) - sum(fitted) - Decimal(float(samples)) * Decimal(float(ridge)) / kappa


def certified(eigenvalues, multiplicity, samples, ridge, kappa, tolerance="1e-12", digits=400):
    """Whether the exact root lies within a relative tolerance of kappa."""
    with localcontext(prec=digits):
        d = sum(Decimal(float(m)) for s, m in zip(eigenvalues, multiplicity, strict=True) if s)
        if ridge == 0 and samples >= d:
            return kappa == 0
        side = functools.partial(excess, eigenvalues, multiplicity, samples, ridge)
        exact, tolerance = Decimal(float(kappa)), Decimal(tolerance)
        return kappa > 0 and side(exact * (1 - tolerance)) < 0 < side(exact * (1 + tolerance))


def reference(eigenvalues, multiplicity, samples, ridge):
    """κ by bisection in the exponent, in the current precision of `decimal`, of which the arguments are numbers."""

    def side(kappa):
        fitted = (m * s / (s + kappa) for s, m in zip(eigenvalues, multiplicity, strict=True))
        return samples * (1 - ridge / kappa) - sum(fitted)

    low, high = Decimal(-30), Decimal(30)
    while high - low > Decimal(10) ** (8 - getcontext().prec):
        middle = (low + high) / 2
        low, high = (low, middle) if side(middle.exp()) > 0 else (middle, high)
    return low.exp()


INDEX = np.arange(1.0, 701)
RNG = np.random.default_rng(0)
SPECTRA = {
    "one atom": ([2.0], [7.0]),
    "flat": (np.ones(50), np.ones(50)),
    "power law": (INDEX**-1.5, np.ones(700)),
    "steep power law": (INDEX**-4.0, np.ones(700)),
    "exponential": (np.exp(-INDEX), np.ones(700)),
    "tiny scale": (1e-12 * INDEX[:100] ** -2.0, np.ones(100)),
    "huge scale": (1e12 * INDEX[:100] ** -2.0, np.ones(100)),
    "gap": (np.repeat([1.0, 1e-30], 50), np.ones(100)),
    "two gaps": ([1e12, 1.0, 1e-12], [3.0, 40.0, 1000.0]),
    "zeros and padding": ([3.0, 1.0, 0.0, 0.0], [5.0, 4.0, 100.0, 0.0]),
    "many decades": (10.0 ** RNG.uniform(-140, 100, 60), np.ceil(10.0 ** RNG.uniform(0, 6, 60))),
}
RIDGES = np.array([0, 1e-300, 1e-100, 1e-30, 1e-16, 1e-8, 1e-3, 1.0, 1e3, 1e12])


def hard_samples(d):
    return np.array([1e-3 * d, 0.1 * d, d / 2, d - 1, d - 1e-9, d, d + 1e-9, d + 1, 2 * d, 1e6 * d])


@pytest.mark.parametrize("name", SPECTRA)
def test_solves_the_equation_to_twelve_digits_on_hard_cases(name):
    eigenvalues, multiplicity = map(np.asarray, SPECTRA[name])
    d = multiplicity[eigenvalues > 0].sum()
    padding = (0, max(0, 100 - len(eigenvalues)))  # to a shape that others have: compiled once
    eigenvalues, multiplicity = (np.pad(x, padding) for x in (eigenvalues, multiplicity))
    samples, ridges = (grid.ravel() for grid in np.meshgrid(hard_samples(d), RIDGES))
    kappa, converged, passes = solved(eigenvalues, multiplicity, samples, ridges)
    assert converged.all()
    assert passes.max() <= 20
    step = 7 if len(eigenvalues) > 500 else 1
    for T, ridge, k in list(zip(samples, ridges, kappa, strict=True))[::step]:
        assert certified(eigenvalues, multiplicity, T, ridge, k), (T, ridge, k)


def test_the_certificate_rejects_a_root_that_is_wrong_in_the_twelfth_digit():
    eigenvalues, multiplicity = SPECTRA["power law"]
    (kappa,) = solved(eigenvalues, multiplicity, 100.0, 1e-3)[0]
    assert not certified(eigenvalues, multiplicity, 100.0, 1e-3, kappa * (1 + 2e-12))


def test_samples_in_a_spectral_gap_keep_their_digits():
    eigenvalues, multiplicity = SPECTRA["gap"]
    for T in (50 - 1e-9, 50.0, 50 + 1e-9):
        for ridge in (0.0, 1e-25):
            (kappa,) = solved(eigenvalues, multiplicity, T, ridge)[0]
            assert certified(eigenvalues, multiplicity, T, ridge, kappa)


def test_twenty_thousand_eigenvalues():
    eigenvalues = np.arange(1.0, 20_001) ** -4
    (kappa,), converged, _ = solved(eigenvalues, np.ones(20_000), 5000.0, 1e-8)
    assert converged.all()
    assert certified(eigenvalues, np.ones(20_000), 5000.0, 1e-8, kappa, digits=40)


def test_one_tail_atom_stands_for_an_infinite_tail():
    eigenvalues = np.append(INDEX[:100] ** -2.0, 1e-40)
    multiplicity = np.append(np.ones(100), 0.01 / 1e-40)
    for T, ridge in ((10.0, 0.0), (1e4, 0.0), (1e6, 1e-3), (50.0, 1e-300)):
        (kappa,) = solved(eigenvalues, multiplicity, T, ridge)[0]
        assert certified(eigenvalues, multiplicity, T, ridge, kappa)


def test_flat_spectrum_is_the_closed_form():
    samples, ridges = np.array([10.0, 80.0, 200.0]), np.array([0.5, 0.01, 2.0])
    b = ridges + 100 / samples - 1
    kappa, *_ = solved([1.0], [100.0], samples, ridges)
    np.testing.assert_allclose(kappa, (b + np.sqrt(b**2 + 4 * ridges)) / 2, rtol=1e-13)


def test_regimes_without_a_root():
    kappa, converged, _ = solved([1.0, 0.5, 0.0], [1.0, 1.0, 9.0], [2.0, 3.0, 1.0], [0.0, 0.0, np.inf])
    assert converged.all()
    assert kappa.tolist() == [0.0, 0.0, np.inf]
    assert solved([0.0, 0.0], [1.0, 0.0], [2.0, 3.0], [0.0, 0.7])[0].tolist() == [0.0, 0.7]


exponents = st.floats(-30, 30)


@settings(deadline=None, max_examples=100)
@given(
    eigenvalues=st.lists(exponents, min_size=6, max_size=6),
    multiplicity=st.lists(st.integers(1, 10**6), min_size=6, max_size=6),
    share=st.floats(-3, 6),
    ridge=st.one_of(st.just(-np.inf), st.floats(-300, 12)),
)
def test_kappa_is_the_root_for_any_spectrum(eigenvalues, multiplicity, share, ridge):
    with jax.enable_x64(True):
        eigenvalues, ridge, samples = (
            10.0 ** np.array(eigenvalues),
            10.0**ridge,
            sum(multiplicity) * 10.0**share,
        )
        (kappa,), (converged,), _ = solved(eigenvalues, multiplicity, samples, ridge)
    assert converged
    assert certified(eigenvalues, multiplicity, samples, ridge, kappa)


def random_cases(count, atoms=64, seed=1):
    """Spectra of five kinds with T on and beside counts of their eigenvalues; ridges from 0 to 1e12."""
    rng, j = np.random.default_rng(seed), np.arange(1.0, atoms + 1)
    spread = rng.uniform(1, 5, (count, 1))
    kinds = np.array(
        [
            np.broadcast_to(j, (count, atoms)) ** -spread,
            np.exp(-j * spread * rng.choice([0.1, 1.0], (count, 1))),
            10.0 ** rng.uniform(-140, 100, (count, atoms)),
            rng.choice([1.0, 1e-30, 1e-12, 1e-3], (count, atoms)),
            rng.uniform(0.5, 2, (count, atoms)) * np.where(rng.random((count, atoms)) < 0.1, 1e12, 1e-12),
        ]
    )
    eigenvalues = kinds[rng.integers(5, size=count), np.arange(count)]
    multiplicity = np.ceil(10.0 ** (rng.uniform(0, 6, (count, atoms)) * rng.integers(2, size=(count, 1))))
    counts = np.cumsum(multiplicity, 1)
    d = counts[:, -1]
    edge = np.where(rng.random(count) < 0.5, d, counts[np.arange(count), rng.integers(atoms, size=count)])
    near = edge + rng.choice([-1e-9, 0, 1e-9, 1], count)
    samples = np.where(rng.random(count) < 0.5, near, d * 10.0 ** rng.uniform(-3, 6, count))
    ridge = np.choose(
        rng.integers(3, size=count),
        [0, 10.0 ** rng.uniform(-300, 12, count), 10.0 ** rng.uniform(-9, 1, count)],
    )
    return eigenvalues, multiplicity, samples, ridge


def test_hard_random_cases_converge_and_hold_their_digits():
    cases = random_cases(4000)
    kappa, converged, passes = solved(*cases)
    assert converged.all()
    assert passes.max() <= 25
    for i in range(0, 4000, 40):
        assert certified(*(x[i] for x in cases), kappa[i]), i


@pytest.mark.parametrize("samples", [19460.0, 19460.0 - 1e-9])
def test_a_bound_that_rounding_reaches_is_no_bound(samples):
    """Far above the root h/h' is 1 up to rounding; 1 − 2ε once passed for a lower bound 4.6 times above the root."""
    eigenvalues, multiplicity = [1.0, 1.0, 1.0, 1.0, 1e24, 1e-15], [1, 1, 1, 19252, 1, 204]
    kappa, converged, _ = solved(eigenvalues, multiplicity, samples, 1e-142)
    assert converged.all()
    assert certified(eigenvalues, multiplicity, samples, 1e-142, kappa[0])


def test_too_few_iterations_are_reported():
    cases = random_cases(4000)
    _, full, passes = solved(*cases)
    _, short, _ = solved(*cases, 3)
    assert full.all()
    np.testing.assert_array_equal(short, passes <= 3)
    assert 0 < short.sum() < 4000


def test_kappa_increases_with_the_ridge():
    ridges = np.append(0, np.geomspace(1e-20, 1e6, 300))
    for T in (300.0, 700.0, 2000.0):
        assert np.all(np.diff(solved(INDEX**-2, np.ones(700), np.full(301, T), ridges)[0]) > 0)


def test_invariances():
    eigenvalues, samples, ridges = (
        INDEX[:40] ** -1.7,
        np.array([5.0, 40.0, 200.0]),
        np.array([1e-6, 1e-9, 0.1]),
    )
    one = np.ones(40)
    kappa = solved(eigenvalues, one, samples, ridges)[0]
    for scale in (1e-12, 1e12):
        np.testing.assert_allclose(
            solved(scale * eigenvalues, one, samples, scale * ridges)[0], scale * kappa, rtol=1e-13
        )
    split = solved(np.tile(eigenvalues, 2), np.repeat([0.25, 0.75], 40), samples, ridges)[0]
    np.testing.assert_allclose(split, kappa, rtol=1e-13)
    np.testing.assert_allclose(solved(np.tile(eigenvalues, 2), np.ones(80), 2 * samples, ridges)[0], kappa, rtol=1e-13)


def kappa_of(eigenvalues, multiplicity, samples, ridge):
    return solve(eigenvalues[None], multiplicity[None], samples[None], ridge[None])[0][0]


POINT = (np.array([2.0, 0.7, 0.1, 0.0]), np.array([1.0, 3.0, 2.0, 5.0]))


def flat(tree):
    return np.concatenate([np.ravel(x) for x in tree])


@jax.jit
def derivatives(*point):
    every = (0, 1, 2, 3)
    return (
        jax.grad(kappa_of, every)(*point),
        jax.jacfwd(kappa_of, every)(*point),
        jax.grad(jax.grad(kappa_of, 2), every)(*point),
    )


@pytest.mark.parametrize(("samples", "ridge"), [(4.0, 0.3), (4.0, 0.0), (6.0, 1e-6), (30.0, 1e-3)])
def test_first_and_second_derivatives_match_differences_of_the_reference(samples, ridge):
    point = tuple(jnp.asarray(x, jnp.float64) for x in (*POINT, samples, ridge))
    reverse, forward, slope_in_samples = derivatives(*point)
    np.testing.assert_allclose(flat(forward), flat(reverse), rtol=1e-12, atol=1e-15)
    with localcontext(prec=50):
        step = Decimal("1e-12")
        exact = [Decimal(float(x)) for x in flat(point)]

        def kappa(shifts):
            x = [value + shift for value, shift in zip(exact, shifts, strict=True)]
            return reference(x[:4], x[4:8], x[8], x[9])

        def along(*directions):
            """The central difference of κ along one axis, or of differences along several."""
            total = Decimal(0)
            for signs in itertools.product((1, -1), repeat=len(directions)):
                shifts = [Decimal(0)] * 10
                for axis, sign in zip(directions, signs, strict=True):
                    shifts[axis] += sign * step
                total += math.prod(signs) * kappa(shifts)
            return float(total / (2 * step) ** len(directions))

        first = [along(i) for i in range(10)]
        second = [along(i, 8) for i in (0, 2, 4, 8, 9)]
    np.testing.assert_allclose(flat(reverse), first, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(flat(slope_in_samples)[[0, 2, 4, 8, 9]], second, rtol=1e-10, atol=1e-12)


def test_derivatives_at_zero_ridge_with_enough_samples():
    def at(samples):
        return tuple(jnp.asarray(x, jnp.float64) for x in (*POINT, samples, 0.0))

    reverse = derivatives(*at(8.0))[0]
    assert reverse[3] == 8 / (8 - 6)
    assert not np.any(flat(reverse[:3]))
    curvature = jax.jit(jax.grad(jax.grad(kappa_of, 3), 3))(*at(8.0))
    inverse_trace = 1 / 2 + 3 / 0.7 + 2 / 0.1
    np.testing.assert_allclose(curvature, -2 * inverse_trace * 8 / (8 - 6) ** 2 * (8 / 2), rtol=1e-12)
    corner = derivatives(*at(6.0))[0]
    assert corner[3] == np.inf
    assert not np.any(flat(corner[:3]))


def test_derivatives_stay_finite_on_steep_spectra_and_at_infinite_ridge():
    eigenvalues = jnp.asarray(np.append(np.exp(-INDEX[:699]), 0.0))

    def total(*a):
        return jnp.sum(solve(*a)[0])

    T, ridge = jnp.array([10.0, 699.0, 1e4, 50.0]), jnp.array([0.0, 1e-300, 0.0, 1e3])
    gradient = jax.grad(total, (0, 1, 2, 3))
    both = jax.jit(lambda *a: (gradient(*a), jax.hessian(total, (2, 3))(*a)))
    results = both(eigenvalues[None], jnp.ones((1, 700)), T, ridge)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(results))
    slope, in_samples = jax.jit(jax.grad(kappa_of, (3, 2)))(
        eigenvalues, jnp.ones(700), jnp.array(10.0), jnp.array(jnp.inf)
    )
    np.testing.assert_allclose([slope, in_samples], [1, -float(eigenvalues.sum()) / 100], rtol=1e-12)


def test_transformations_agree_and_eigenvalues_broadcast():
    arguments = tuple(map(jnp.asarray, random_cases(6)))
    fast = jax.jit(solve)
    plain = fast(*arguments)[0]
    np.testing.assert_allclose(solve(*map(np.asarray, arguments))[0], plain, rtol=1e-14)
    single = jax.jit(jax.vmap(lambda *a: solve(*(x[None] for x in a))[0][0]))(*arguments)
    np.testing.assert_allclose(single, plain, rtol=1e-14)
    eigenvalues, multiplicity, samples, ridge = arguments
    shared = fast(eigenvalues[:1], multiplicity[:1], samples, ridge)[0]
    spread = fast(jnp.tile(eigenvalues[:1], (6, 1)), jnp.tile(multiplicity[:1], (6, 1)), samples, ridge)[0]
    np.testing.assert_allclose(shared, spread, rtol=1e-14)


def test_single_precision():
    arguments = (
        INDEX[None, :200] ** -1.5,
        np.ones((1, 200)),
        np.array([20.0, 200.0, 400.0]),
        np.array([1e-3, 1e-4, 0.0]),
    )
    kappa, converged = jax.jit(solve)(*(jnp.asarray(x, jnp.float32) for x in arguments))
    assert kappa.dtype == jnp.float32
    assert converged.all()
    np.testing.assert_allclose(kappa, solved(*arguments)[0], rtol=1e-4)


def test_samples_left_near_the_interpolation_threshold():
    eigenvalues, multiplicity = SPECTRA["steep power law"]
    points = np.array([(700 + 1e-9, 1e-24), (700 - 1e-9, 1e-20), (700.0, 1e-18), (50.0, 1e-7), (1e5, 1e3)])
    left, degrees = functionals(eigenvalues[None], multiplicity[None], *points.T, orders=(1, 2))
    for i, (T, kappa) in enumerate(points):
        with localcontext(prec=60):
            s, rows, k = [Decimal(x) for x in eigenvalues], Decimal(T), Decimal(kappa)
            exact = [float(rows - sum((x / (x + k)) ** m for x in s)) for m in (1, 2)]
            slope = float(sum(x * k / (x + k) ** 2 for x in s))
        for value, fitted, want in zip(left, degrees, exact, strict=True):
            np.testing.assert_allclose(value[i], want, rtol=1e-13, atol=1e-14 * slope)
            np.testing.assert_allclose(T - fitted[i], want, rtol=1e-12, atol=1e-11)


@functools.partial(jax.jit, static_argnames="orders")
def functionals(eigenvalues, multiplicity, samples, kappa, orders):
    """T − df_m(κ), m = 1 and 2, and df_m(κ) of the given orders m."""
    left = samples_left(eigenvalues, multiplicity, samples, kappa)
    return left, [degrees_of_freedom(eigenvalues, multiplicity, kappa, order) for order in orders]


def test_functionals_at_the_ends_and_their_derivatives():
    eigenvalues, multiplicity = (jnp.asarray(x)[None] for x in POINT)
    ends, T = jnp.array([0.0, jnp.inf]), jnp.array([9.0, 9.0])
    values, degrees = functionals(eigenvalues, multiplicity, T, ends, orders=(1, 2, 3))
    for df in degrees:
        np.testing.assert_allclose(df, [6.0, 0.0], rtol=0, atol=1e-300)
    assert [x.tolist() for x in values] == [[3.0, 9.0]] * 2

    @jax.jit
    @jax.jacfwd
    def slopes(kappa):
        return samples_left(eigenvalues, multiplicity, T[:1], kappa[None])

    for kappa in (0.0, 0.3):
        first, second = slopes(jnp.array(kappa))
        s, m = (x[:3] for x in POINT)
        np.testing.assert_allclose(first[0], np.sum(m * s / (s + kappa) ** 2), rtol=1e-13)
        np.testing.assert_allclose(second[0], np.sum(2 * m * s**2 / (s + kappa) ** 3), rtol=1e-13)
