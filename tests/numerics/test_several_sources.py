"""Fixed points of fits on several sources: against mpmath, against each other, and where weights span many decades."""

import jax
import mpmath
import numpy as np
import pytest

from modelcollapse.numerics.duals import Dual
from modelcollapse.numerics.equivalents.shifted_sources import several_sources
from modelcollapse.numerics.equivalents.sources import _balance, one_source, rows_left, shared_sources
from modelcollapse.numerics.steps.fit import fit
from modelcollapse.numerics.steps.moments import Atoms, Moments, readout

NUMBERS = np.arange(1.0, 31)
SPECTRA = {
    "flat": np.ones(30),
    "power law": NUMBERS**-1.5,
    "steep": NUMBERS**-6.0,
    "gap": np.repeat([1.0, 1e-12], 15),
}
NEAR = 2.0**-30  # the sum of the rows is exact
ROWS = np.array(
    [
        [10, 25],
        [30, 40],
        [30, NEAR],
        [30 - NEAR, 500],
        [15, 15],
        [14, 15],
        [29, 1 - NEAR],
        [29, 1 + NEAR],
        [3, 1e6],
        [0.25, 0.5],
    ]
)
WEIGHTS = np.array([[1, 1], [1, 0.3], [1, 1e-12], [1e-12, 1], [1e12, 1e-3]])
RIDGES = [0.0, 1e-25, 1e-12, 1e-3, 10.0]
GRID = [(*rows, *weights, ridge) for rows in ROWS for weights in WEIGHTS for ridge in RIDGES]


def root(side):
    """Where a rising function of a positive number is zero: bisection in its logarithm, then the secant rule.

    To twenty digits less than mpmath works with; the function must change its sign there.
    """

    def height(x):
        return side(mpmath.exp(x))

    low, high, near = mpmath.mpf(-160), mpmath.mpf(160), mpmath.mpf(10) ** (20 - mpmath.mp.dps)
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if height(middle) > 0 else (middle, high)
    found = mpmath.findroot(height, (low, high), solver="secant", tol=near**2, verify=False)
    assert height(found - near) <= 0 <= height(found + near)
    return mpmath.exp(found)


def exact(s, rows, weights, ridge):
    """κ, q, h and T − df_2 Σ q²/p from the root in e; in κ itself for λ = 0 and T ≤ d. In mpmath's precision."""
    s, rows, weights = ([mpmath.mpf(float(x)) for x in values] for values in (s, rows, weights))
    ridge, T = mpmath.mpf(float(ridge)), sum(rows)

    def df(kappa, order=1):
        return mpmath.fsum((x / (x + kappa)) ** order for x in s)

    if ridge == 0 and len(s) >= T:
        kappa = mpmath.mpf(0) if T == len(s) else root(lambda k: T - df(k))
        q, h = [r / T for r in rows], mpmath.mpf(0)
    else:

        def at(e):
            eta = [r / T * w / (1 + w * e) for r, w in zip(rows, weights, strict=True)]
            return sum(eta), eta

        def balance(e):
            total, _ = at(e)
            return e * T * total - df(ridge / total)

        e = root(balance)
        h, eta = at(e)
        kappa, q = ridge / h, [x / h for x in eta]
    return kappa, q, h, T - df(kappa, 2) * sum(x**2 / (r / T) for x, r in zip(q, rows, strict=True))


def close(value, wanted, tolerance=1e-11):
    return abs(float(value) - wanted) <= tolerance * abs(wanted) + mpmath.mpf(10) ** -290


@pytest.mark.parametrize("name", SPECTRA)
def test_shared_inputs_keep_their_digits(name):
    """Both sides of T = d, λ = 0, one source that interpolates alone, weights that span 24 decades."""
    s, points = SPECTRA[name], np.array(GRID).T
    rows, weights, ridge = points[:2], points[2:4], points[4]
    spectrum = s[None], np.ones((1, 30))
    here = shared_sources(*spectrum, rows, weights, ridge)
    left, _ = rows_left(*spectrum, rows, weights, here)
    assert here.converged.all()
    with mpmath.workdps(70):
        for i in range(0, len(ridge), 3):
            kappa, q, h, spare = exact(s, rows[:, i], weights[:, i], ridge[i])
            assert close(here.kappa[i], kappa), GRID[i]
            assert close(here.scale[i], h), GRID[i]
            assert all(close(x, y) for x, y in zip(here.shares[:, i], q, strict=True)), GRID[i]
            assert close(left[i], spare) or (spare == 0 and left[i] == 0), GRID[i]


def test_the_equation_is_as_steep_as_its_certificate_says():
    """|F''| ≤ F', which bounds the distance of the root, and no less."""
    rng = np.random.default_rng(0)
    e, rows = 10.0 ** rng.uniform(-8, 8, 4000), rng.uniform(0, 1, (3, 4000)) ** 8
    weights, ridge = 10.0 ** rng.uniform(-8, 8, (3, 4000)), 10.0 ** rng.uniform(-9, 3, 4000)
    here = _balance(e, rows, rows / rows.sum(0), weights, ridge)
    s = 10.0 ** rng.uniform(-6, 1, (4000, 5))
    p = s / (s + here.kappa[:, None])
    spread, bend = (p * (1 - p)).sum(1), (p * (1 - p) * (1 - 2 * (1 - p))).sum(1)
    slope = here.speed * spread + here.slope
    curvature = here.bend * spread + here.speed**2 * bend + here.curvature
    assert np.all(slope > 0)
    assert 0.99 < np.max(np.abs(curvature) / slope) <= 1 + 1e-12


def test_equal_weights_are_exactly_one_source():
    rows, ridge = np.array([row for row in ROWS for _ in RIDGES]).T, np.tile(RIDGES, len(ROWS))
    for s in SPECTRA.values():
        for weight in (1.0, 0.25):
            weights = np.full_like(rows, weight)
            both = shared_sources(s[None], np.ones((1, 30)), rows, weights, ridge)
            one = one_source(s[None], np.ones((1, 30)), rows.sum(0), weights[0], ridge)
            assert np.array_equal(both.kappa, one.kappa)
            assert np.array_equal(both.scale, one.scale)
            assert np.array_equal(both.shares, rows / rows.sum(0))


def random_problem(seed, points=12, sources=3):
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.2, 2, (sources, points)) * 10 * 10.0 ** rng.uniform(-1, 1, points)
    weights, noise = 10.0 ** rng.uniform(-1.5, 1.5, (2, sources, points))
    ratio = rng.uniform(0.3, 1, (sources, points, 30))
    models = tuple(Moments(a, 1 - a, 0.1 * a) for a in ratio)
    joint = {(1, 0): 0.05 * models[0].variance, (2, 1): 0.02 * models[1].variance}
    return rows, weights, noise, 10.0 ** rng.uniform(-6, 0, points) * (rng.random(points) > 0.3), models, joint


@pytest.mark.parametrize("name", ["flat", "power law"])
def test_the_kernel_for_shared_inputs_is_the_general_one(name):
    rows, weights, noise, ridge, models, joint = random_problem(0)
    s, one = SPECTRA[name][None], np.ones((1, 30))
    atoms, inputs = Atoms(s, one, one, s), np.repeat(s[None], 3, 0)
    shared, general = shared_sources(s, one, rows, weights, ridge), several_sources(inputs, one, rows, weights, ridge)
    for x, y in zip(shared[:3], general[:3], strict=True):
        assert np.allclose(x, y, rtol=1e-12, atol=1e-14)
    fits = [
        fit(atoms, x, here, rows, noise, weights, ridge, False, models, joint)
        for x, here in ((s[None], shared), (inputs, general))
    ]
    for x, y in zip((*fits[0][0], fits[0][1]), (*fits[1][0], fits[1][1]), strict=True):
        assert np.allclose(x, y, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("rows", "weights", "ridge"),
    [
        ((10, 25), (1, 0.3), 1e-3),
        ((10, 5), (1, 0.3), 0.0),
        ((40, 25), (1, 1e-6), 0.0),
        ((29, 1 - 1e-6), (1, 20.0), 1e-14),
        ((10, 25), (2, 2), 1e-2),
    ],
)
def test_derivatives_are_those_of_sixty_digits(rows, weights, ridge):
    s = SPECTRA["power law"]
    point = np.array([*rows, *weights, ridge], float)
    moving = [k for k in range(5) if k < 4 or ridge > 0]
    seeds = np.eye(5)[:, :, None]
    numbers = [Dual(np.array([x]), seed) for x, seed in zip(point, seeds.transpose(1, 0, 2), strict=True)]
    both = [
        Dual(np.stack([x.value for x in pair]), np.stack([x.tangents for x in pair], 1))
        for pair in (numbers[:2], numbers[2:4])
    ]
    kappa, q, h, _ = shared_sources(s[None], np.ones((1, 30)), *both, numbers[4])
    with mpmath.workdps(60):
        for k in moving:
            step = mpmath.mpf(10) ** -22 * (mpmath.mpf(point[k]) or 1)

            def at(sign, k=k, step=step):
                x = [mpmath.mpf(float(value)) for value in point]
                x[k] += sign * step
                return reference(s, x[:2], x[2:4], x[4])

            up, down = at(1), at(-1)
            wanted = [float((a - b) / (2 * step)) for a, b in zip(up, down, strict=True)]
            found = [kappa.tangents[k, 0], *q.tangents[k, :, 0], h.tangents[k, 0]]
            scale = [max(abs(float(x)) / float(point[k] or 1), 1e-300) for x in up]
            for f, w, size in zip(found, wanted, scale, strict=True):
                assert abs(f - w) <= 1e-9 * max(abs(w), 1e-3 * size)


def reference(s, rows, weights, ridge):
    """κ, q_1, q_2, h for mpmath numbers."""
    T = sum(rows)
    s = [mpmath.mpf(float(x)) for x in s]
    if ridge == 0 and len(s) >= T:
        return root(lambda k: T - sum(x / (x + k) for x in s)), *(r / T for r in rows), mpmath.mpf(0)

    def eta(e):
        return [r / T * w / (1 + w * e) for r, w in zip(rows, weights, strict=True)]

    def balance(e):
        total = sum(eta(e))
        return e * T * total - sum(x / (x + ridge / total) for x in s)

    e = root(balance)
    h = sum(eta(e))
    return ridge / h, *(x / h for x in eta(e)), h


def test_derivatives_of_second_order_are_differences_of_first_ones():
    s, one = SPECTRA["power law"][None], np.ones((1, 30))
    rows, weights = np.array([[10.0, 30.0], [15.0, 25.0]]), np.array([[1.0, 1.0], [0.2, 0.3]])

    def total(point):
        kappa, q, h, _ = shared_sources(s, one, point[:2], point[2:4], point[4])
        return (kappa + q[0] ** 2 + h).sum()

    with jax.enable_x64(True):
        point = jax.numpy.asarray(np.concatenate([rows, weights, [[1e-2, 0.0]]]))
        slope_and_curvature = jax.jit(lambda x, t: jax.jvp(jax.grad(total), (x,), (t,)))
        way = np.random.default_rng(0).standard_normal((5, 2)) * np.array([[1], [1], [0.1], [0.1], [0.0]])
        way[4, 0] = 1e-3
        (low, _), (high, _) = (slope_and_curvature(point + side * way, way) for side in (-1e-5, 1e-5))
        assert np.allclose(slope_and_curvature(point, way)[1], (high - low) / 2e-5, rtol=1e-6, atol=1e-8)


# different inputs


def newton(inputs, rows, weights, ridge):
    """q, κ of the convex problem of `shifted_sources`, by damped Newton in mpmath's precision."""
    count, size = inputs.shape
    s = [[mpmath.mpf(float(x)) for x in row] for row in inputs]
    rows, weights = ([mpmath.mpf(float(x)) for x in values] for values in (rows, weights))
    T, x = sum(rows), [mpmath.log(r * w / sum(rows)) for r, w in zip(rows, weights, strict=True)]
    for _ in range(500):
        eta = [mpmath.exp(v) for v in x]
        total = [ridge + sum(eta[g] * s[g][j] for g in range(count)) for j in range(size)]
        pi = [[eta[g] * s[g][j] / total[j] for j in range(size)] for g in range(count)]
        level = [sum(pi[g]) / T + eta[g] / weights[g] for g in range(count)]
        hessian = mpmath.matrix(count, count)
        for g in range(count):
            for h in range(count):
                cross = sum(a * b for a, b in zip(pi[g], pi[h], strict=True)) / T
                hessian[g, h] = (level[g] if g == h else 0) - cross
        step = mpmath.lu_solve(hessian, mpmath.matrix([r / T - v for r, v in zip(rows, level, strict=True)]))
        length = max(abs(v) for v in step)
        x = [a + b * (mpmath.log(1 + 2 * length) / (2 * length)) for a, b in zip(x, step, strict=True)]
        if length < mpmath.mpf(10) ** -30:
            break
    total = sum(mpmath.exp(v) for v in x)
    return [mpmath.exp(v) / total for v in x], ridge / total


@pytest.mark.parametrize("seed", range(12))
def test_weights_that_span_many_decades(seed):
    """To 1e-8 or flagged; one source has no inputs, which changes nothing but the ridge's share of the rows."""
    rng = np.random.default_rng(seed)
    inputs = NUMBERS[:6] ** -1.0 * 10.0 ** rng.uniform(-1, 1, (3, 6))
    inputs[1] = 0
    rows = np.round(rng.uniform(2, 9, 3)) + (seed % 3 == 0) * rng.random(3)
    weights, ridge = 10.0 ** rng.uniform(-13, 0, 3), 10.0 ** rng.uniform(-13, 0)
    here = several_sources(inputs[:, None], np.ones((1, 6)), rows[:, None], weights[:, None], np.array([ridge]))
    keep = [0, 2]
    with mpmath.workdps(60):
        q, kappa = newton(inputs[keep], rows[keep], weights[keep], mpmath.mpf(ridge) * sum(rows) / sum(rows[keep]))
    assert here.converged.all()
    assert here.shares[1] == 0
    assert all(close(x, y, 1e-8) for x, y in zip(here.shares[keep, 0], q, strict=True))
    assert close(here.kappa[0], kappa, 1e-8)


@pytest.mark.parametrize("samples", [0.6, 3.0, 29.0, 31.0, 250.0])
def test_a_source_without_inputs_is_as_good_as_none(samples):
    s = SPECTRA["power law"][None, :29]
    one, zero = np.ones_like(s), np.zeros(1)
    atoms, truth = Atoms(s, one, one, s), Moments(one, 0 * one, 0 * one)
    rows, weights = samples * np.array([[0.3], [0.4], [0.3]]), np.array([[1e-12], [9.5e-5], [1.0]])
    found = []
    for order in ([0, 1, 2], [2, 1, 0], [0, 2]):
        inputs = np.stack([s if g != 1 else 0 * s for g in order])
        given = inputs, rows[order], weights[order]
        here = several_sources(given[0], one, *given[1:], zero)
        assert here.converged.all()
        count = len(order)
        step, _ = fit(
            atoms, inputs, here, rows[order], 0.1 + 0 * rows[order], weights[order], zero, False, (truth,) * count, {}
        )
        found.append(readout(atoms, s, step))
    shared = shared_sources(s, one, rows[[0, 2]], weights[[0, 2]], zero)
    step, _ = fit(
        atoms, s[None], shared, rows[[0, 2]], 0.1 + 0 * rows[[0, 2]], weights[[0, 2]], zero, False, (truth, truth), {}
    )
    for other in (*found[1:], readout(atoms, s, step)):
        assert np.allclose(found[0], other, rtol=1e-8, atol=0)


def test_a_source_that_interpolates_directions_of_its_own_is_refused_without_ridge():
    """λ → 0 is no limit of the shares there; with a ridge it is an ordinary point."""
    inputs = np.zeros((2, 1, 60))
    inputs[0, 0, :10] = inputs[1, 0, 10:] = 1
    rows, one = np.array([[100.0], [20.0]]), np.ones((2, 1))
    for ridge, fine in ((0.0, False), (1e-10, True)):
        here = several_sources(inputs, np.ones((1, 60)), rows, one, np.array([ridge]))
        assert bool(here.converged[0]) == fine


@pytest.mark.parametrize(("weight", "fine"), [(1e-10, True), (1e-14, True), (1e-18, False), (1e-28, False)])
def test_what_rounding_moves_is_flagged(weight, fine):
    """The first source interpolates all but alone and the other weighs next to nothing: digits are lost in the gradient
    of Φ, up to three for ever smaller weights. Right to 1e-8, or not converged."""
    inputs = NUMBERS[:8] ** -1.0 * np.stack([np.ones(8), 10.0 ** np.random.default_rng(5).uniform(-1, 1, 8)])
    rows, weights = np.array([8 + NEAR, 8.0]), np.array([1, weight])
    here = several_sources(inputs[:, None], np.ones((1, 8)), rows[:, None], weights[:, None], np.zeros(1))
    assert bool(here.converged[0]) == fine
    with mpmath.workdps(80):
        q, _ = newton(inputs, rows, weights, mpmath.mpf(0))
    assert close(here.shares[1, 0], q[1], 1e-8) or not fine
