"""Ridge on random features: κ and the error against mpmath, limits, derivatives, the catalogue."""

import functools
import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from feature_kernels import NUMBERS, atoms_of, kappa_of, one, pooled, readout, ridged, rooted, row, stepped, truth_of

from modelcollapse.numerics import steps
from modelcollapse.numerics.equivalents import sources
from modelcollapse.numerics.equivalents.features import unused
from modelcollapse.numerics.steps import Atoms, Moments
from modelcollapse.numerics.steps.features import feature_step
from modelcollapse.theory import catalogue

pytestmark = pytest.mark.usefixtures("double_precision")


# ---- κ and the error against mpmath

SPECTRA = {
    "flat": np.ones(40),
    "power law": NUMBERS[:40] ** -1.5,
    "steep": NUMBERS[:40] ** -6.0,
    "exponential": np.exp(-NUMBERS[:40]),
    "two": np.r_[np.ones(20), np.full(20, 1e-4)],
}
GRID = np.array(
    list(
        itertools.product(
            [3.0, 20.0, 39.5, 40 - 1e-9, 40.0, 41.0, 300.0],
            [1.0, 20.0, 39.999, 40.0, 40 + 1e-9, 60.0, 1e9, np.inf],
            [0.0, 1e-30, 1e-12, 1e-3, 0.5, 1e4],
        )
    )
).T


def factors(s, samples, features, kappa):
    df = mpmath.fsum(1 / (1 + kappa / x) for x in s)
    return 1 - df / samples, 1 - df / features


def too_large(s, samples, features, ridge, kappa):
    """Whether κ lies above the root."""
    of_samples, of_features = factors(s, samples, features, kappa)
    return min(of_samples, of_features) > 0 and kappa * of_samples * of_features > ridge


def reference(s, samples, features, ridge):
    """κ by bisection in its logarithm."""
    low, high = mpmath.mpf(-200), mpmath.mpf(60)
    while high - low > mpmath.mpf(10) ** (5 - mpmath.mp.dps):
        middle = (low + high) / 2
        low, high = (low, middle) if too_large(s, samples, features, ridge, mpmath.exp(middle)) else (middle, high)
    return mpmath.exp(low)


@pytest.mark.parametrize("name", SPECTRA)
def test_kappa_is_certified_by_mpmath(name):
    s, (samples, features, ridge) = SPECTRA[name], GRID
    kappa, converged, passes = rooted(row(s), row(np.ones(40)), *GRID)
    assert converged.all()
    assert passes.max() <= 12
    exact = [mpmath.mpf(float(x)) for x in s]
    with mpmath.workdps(60):
        for t, m, lam, k in zip(samples, features, ridge, np.asarray(kappa), strict=True):
            if lam == 0 and min(t, m) >= 40:
                assert k == 0
                continue
            t, m, lam, k = (mpmath.mpf(float(x)) for x in (t, m, lam, k))
            assert not too_large(exact, t, m, lam, k * (1 - mpmath.mpf(1e-12)))
            assert too_large(exact, t, m, lam, k * (1 + mpmath.mpf(1e-12)))


def error_by_mpmath(s, samples, features, ridge, noise, label, ratio, truth):
    """The test error in its textbook form, (b + σ²)/(1 − γ) − σ² and what the labels got wrong."""
    kappa = reference(s, samples, features, ridge)
    p = [x / (x + kappa) for x in s]
    df_1, df_2 = mpmath.fsum(p), mpmath.fsum(x**2 for x in p)
    rho = (1 - df_1 / features) / (1 - df_2 / features)
    gamma = ((1 - rho) * df_1 + rho * df_2) / samples
    b = mpmath.fsum(x * c * ((1 - f) * (1 - rho) + (1 - f) ** 2 * rho) for x, c, f in zip(s, label, p, strict=True))
    wrong = [
        x * (c - 2 * a * t + t - 2 * (1 - f) * (c - a * t))
        for x, c, a, t, f in zip(s, label, ratio, truth, p, strict=True)
    ]
    return (b + noise**2) / (1 - gamma) - noise**2 + mpmath.fsum(wrong)


@pytest.mark.parametrize(
    ("samples", "features", "ridge"),
    [
        (20, 20, 1e-25),
        (20, 20.001, 1e-12),
        (25, 20, 1e-30),
        (20, 30, 1e-9),
        (40 + 1e-7, 60, 1e-18),
        (60, 40, 1e-14),
        (20, 1e12, 1e-3),
        (1e7, 20, 1e-5),
        (30, 35, 1e3),
    ],
)
@pytest.mark.parametrize("name", ["flat", "power law"])
def test_nothing_cancels_at_hard_points(name, samples, features, ridge):
    s = SPECTRA[name]
    generator = np.random.default_rng(3)
    truth, ratio, spread = generator.uniform(0.5, 1, (3, 40))
    start = Moments(row(ratio), row(1 - ratio), row(s * spread))
    moments, _, _ = stepped(
        atoms_of(s, truth), row(s), one(samples), one(features), one(0.04), one(ridge), False, start
    )
    bias, variance = readout(atoms_of(s, truth), row(s), moments)
    with mpmath.workdps(60):
        given = [[mpmath.mpf(float(x)) for x in values] for values in (s, ratio**2 * truth + spread, ratio, truth)]
        numbers = [mpmath.mpf(x) for x in (float(samples), float(features), ridge, 0.2)]
        expected = error_by_mpmath(given[0], *numbers, *given[1:])
        assert mpmath.almosteq(expected, float(bias[0] + variance[0]), rel_eps=1e-9)


# ---- limits, symmetries, the catalogue


def random_start(seed, s):
    generator = np.random.default_rng(seed)
    ratio, spread = generator.uniform(0.2, 1, (2, len(s)))
    return Moments(row(ratio), row(1 - ratio), row(s * spread)), generator.uniform(0, 1, len(s))


@pytest.mark.parametrize(("samples", "ridge"), [(20, 0.0), (20, 1e-3), (40, 0.0), (90, 0.0), (90, 0.1), (30, np.inf)])
@pytest.mark.parametrize("exact", [False, True])
def test_no_end_of_features_is_the_fit_of_steps(samples, ridge, exact):
    s = SPECTRA["power law"]
    start, truth = random_start(1, s)
    atoms = atoms_of(s, truth)
    trust = sources.one_source(row(s), atoms.multiplicity, one(samples), one(1), one(ridge))
    lanes = (one(samples)[None], one(0.3)[None], one(1)[None])
    plain, learned = steps.fit(atoms, row(s)[None], trust, *lanes, one(ridge), exact, (start,), {})
    for features in (np.inf, 1e300, 1e14):
        new, share, _ = stepped(atoms, row(s), one(samples), one(features), one(0.3**2), one(ridge), exact, start)
        close = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-10, atol=0), (new, share), (plain, learned[0]))
        assert all(jax.tree.leaves(close))


def test_kappa_is_symmetric_in_samples_and_features_and_scales_with_the_spectrum():
    s = SPECTRA["two"]
    samples, features, ridge = (np.where(np.isinf(x), 7, x) for x in GRID)
    kappa, *_ = rooted(row(s), row(np.ones(40)), samples, features, ridge)
    swapped, *_ = rooted(row(s), row(np.ones(40)), features, samples, ridge)
    scaled, *_ = rooted(row(8 * s), row(np.ones(40)), samples, features, 8 * ridge)
    assert np.allclose(kappa, swapped, rtol=1e-13, atol=0)
    assert np.allclose(8 * kappa, scaled, rtol=1e-13, atol=0)


def test_equal_directions_are_one_atom():
    start, truth = random_start(2, np.ones(1))
    found = []
    for copies in (1, 40):
        s = np.ones(copies)
        atoms = atoms_of(s, np.full(copies, truth[0] / copies), np.full(copies, 40 / copies), np.full(copies, 3.0))
        label = jax.tree.map(lambda x: row(np.full(copies, x[0, 0])), start)
        new, *_ = stepped(atoms, row(s), one(70), one(25), one(0.1), one(0.2), True, label)
        found.append(readout(atoms, row(3 * s), new))
    assert np.allclose(*found, rtol=1e-12)


def test_the_catalogue_says_the_same():
    s, noise, share = np.array([1.0, 0.5, 0.2, 0.05]), 0.3, 0.4
    start, truth = random_start(3, s)
    atoms, spread = atoms_of(s, truth), np.ravel(start.variance)[:4] / s
    cases = np.array([(7, 3, 0.1), (2.5, 9, 0.02), (3, 3, 0.3), (9, 9.5, 1.0)])
    by_ridge = jax.grad(lambda *lanes: ridged(row(s), row(np.ones(4)), *(x[None] for x in lanes))[0][0], 2)
    slopes = jax.jit(jax.vmap(by_ridge))(*cases.T)
    offset = Moments(row(np.ones(4)), row(np.zeros(4)), start.variance)
    for (samples, features, ridge), slope in zip(cases, slopes, strict=True):

        def error(label, doubt):
            new, *_ = stepped(atoms, row(s), one(samples), one(features), doubt, one(ridge), False, label)
            return float(sum(readout(atoms, row(s), new))[0])

        def says(name, **values):
            here = {"samples": samples, "features": features, "eigenvalues": s}
            kappa = float(kappa_of(s, samples, features, ridge)[0])
            return float(catalogue[name].evaluate(effective_ridge=kappa, **here, **values))

        assert abs(says("random_features_equation", ridge=ridge)) < 1e-14
        assert np.isclose(1 / slope, says("random_features_slope"), rtol=1e-10)
        ratio = np.ravel(start.ratio)[:4]
        labels = {"label_energy": ratio**2 * truth + spread, "label_alignment": ratio}
        expected = says("random_features_label_error", noise=noise, signal=truth, **labels)
        assert np.isclose(error(start, one(noise**2)), expected, rtol=1e-10)
        parts = np.array([[1 - share], [share]])
        both, doubt, _ = pooled(atoms, row(s), parts, 0 * parts + noise, (truth_of(atoms), offset), {})
        price = error(both, doubt) - error(truth_of(atoms), one(noise**2))
        assert np.isclose(price, says("random_features_price", synthetic_share=share, offset=spread), rtol=1e-10)


# ---- derivatives


STRETCHED = [
    (30.0, 18.0, 0.05),
    (18.0, 30.0, 0.05),
    (22.0, 22.0, 0.01),
    (50.0, 20.0, 0.0),
    (20.0, 50.0, 0.0),
    (25.0, np.inf, 0.03),
    (25.0, 1e8, 0.03),
    (60.0, 50.0, 0.0),
]


def stretched_errors(numbers):
    """Test errors (8,) when rows, features, noise variance, ridge, spectrum and multiplicity are stretched: (6, 8)."""
    samples, features, ridge = jnp.asarray(STRETCHED).T
    start, truth = random_start(4, SPECTRA["power law"])
    s, varied = row(SPECTRA["power law"]), row(SPECTRA["power law"]) > 0
    inputs = jnp.where(varied, s, 1) ** numbers[4][:, None] * varied
    atoms = Atoms(inputs, row(truth), row(np.ones(40)) * numbers[5][:, None], 2 * s)
    many = jnp.isinf(features)
    features = jnp.where(many, features, jnp.where(many, 1, features) * numbers[1])
    label = jax.tree.map(lambda x: jnp.broadcast_to(x, inputs.shape), start)
    lanes = (samples * numbers[0], features, 0.09 * numbers[2], ridge * numbers[3])
    return sum(steps.readout(atoms, s, feature_step(atoms, inputs, *lanes, False, label)[0]))


def test_gradients_are_those_of_central_differences():
    """In reverse mode, and along one direction in forward mode."""

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def derived(numbers):
        errors = stretched_errors(numbers)
        return errors.sum(), errors

    here, step = jnp.ones((6, 8)), 1e-5
    reverse = np.asarray(derived(here)[0])
    for slope, moved in zip(reverse, step * np.eye(6)[:, :, None], strict=True):
        low, high = (derived(here + side * moved)[1] for side in (-1, 1))
        assert np.allclose(slope, (high - low) / (2 * step), rtol=2e-7, atol=2e-8)
    direction = np.random.default_rng(0).standard_normal((6, 8))
    _, forward = jax.jit(lambda x: jax.jvp(stretched_errors, (x,), (jnp.asarray(direction),)))(here)
    assert np.allclose(forward, np.sum(reverse * direction, 0), rtol=1e-10)
    assert np.all(np.abs(reverse[[0, 2]]) > 1e-3)
    assert np.array_equal(np.abs(reverse[1]) > 1e-3, [True] * 5 + [False] * 3)


# ---- where things diverge, and single precision


def outcome(samples, features, ridge, noise=0.3, s=SPECTRA["power law"], tested=None, exact=False):
    atoms = atoms_of(s, np.ones(len(s)), tested=tested)
    lanes = (one(samples), one(features), one(noise**2), one(ridge))
    new, *_ = stepped(atoms, row(s), *lanes, exact, truth_of(atoms))
    bias, variance = readout(atoms, row(s if tested is None else tested), new)
    return float(bias[0]), float(variance[0])


def test_where_the_error_diverges():
    for noise in (0.3, 0.0):
        assert outcome(20, 20, 0.0, noise)[1] == np.inf  # missed signal is noise
    for features in (40, 50, np.inf):
        assert outcome(40, features, 0.0) == (0, np.inf)
        assert outcome(40, features, 0.0, 0.0) == (0, 0)
        assert np.isfinite(outcome(60, features, 0.0)).all()
    assert outcome(60, 40, 0.0) == outcome(60, 70, 0.0)  # least squares on all directions either way
    assert outcome(40.5, 60, 0.0, exact=True)[1] == np.inf
    assert np.allclose(outcome(30, 15, np.inf), (np.sum(SPECTRA["power law"]), 0), rtol=1e-14)
    widened = np.r_[SPECTRA["power law"], 0.0]
    assert outcome(60, 40, 0.0, s=widened, tested=np.ones(41))[1] == np.inf  # m = d: E 1/(m − d) along the new one
    assert np.isclose(outcome(60, 60, 0.0, 0.0, widened, np.r_[np.zeros(40), 1.0])[1], 40 / 20)


@pytest.mark.parametrize("name", SPECTRA)
def test_nothing_is_nan_and_single_precision_is_close(name):
    found = []
    for dtype in (np.float32, np.float64):
        s, samples, features, ridge = (
            jnp.asarray(np.asarray(x, np.float32), dtype) for x in (SPECTRA[name][None], *GRID)
        )
        truth = Moments(jnp.ones_like(s), jnp.zeros_like(s), jnp.zeros_like(s))
        atoms = Atoms(s, jnp.ones_like(s), jnp.ones_like(s), s)
        new, learned, converged = stepped(atoms, s, samples, features, jnp.full_like(ridge, 0.1), ridge, False, truth)
        bias, variance = readout(atoms, s, new)
        assert bias.dtype == variance.dtype == learned.dtype == dtype
        assert converged.all()
        assert np.isfinite(bias).all()
        assert np.all(variance >= 0)
        found.append(np.asarray(bias + variance, np.float64))
    assert np.array_equal(np.isinf(found[0]), np.isinf(found[1]))
    finite = np.isfinite(found[1])
    assert np.allclose(found[0][finite], found[1][finite], rtol=1e-3)


def test_the_unused_shares_keep_their_digits():
    """At T = m < d both are √(λ/κ), here down to 1e-15."""
    s, left_over = SPECTRA["power law"], jax.jit(unused)
    for ridge in (1e-4, 1e-16, 1e-30):
        kappa = kappa_of(s, 20, 20, ridge)
        both = left_over(row(s), row(np.ones(40)), one(20), one(20), one(ridge), kappa)
        with mpmath.workdps(60):
            exact = factors([mpmath.mpf(float(x)) for x in s], 20, 20, reference(s, 20, 20, mpmath.mpf(ridge)))
        assert np.allclose(np.ravel(both), [float(x) for x in exact], rtol=1e-12, atol=0)
