"""Prediction against formulas derived otherwise: exact limits, recursions, invariances, finite differences."""

import copy
import inspect
import pickle
import sys

import numpy as np
import pytest

import modelcollapse as mc

POWER_LAW = mc.power_law(1.5, 0.5, dim=60)
EIGENVALUES = np.arange(1, 61) ** -1.5
SIGNAL = np.arange(1, 61) ** -(1 + 2 * 0.5 * 1.5) / EIGENVALUES


def plain_kappa(s, T, ridge):
    """The effective ridge by bisection, sharing nothing with the package."""
    low, high = ridge, ridge + s.sum() / T
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if middle - ridge > middle * np.sum(s / (s + middle)) / T else (middle, high)
    return (low + high) / 2


def plain_generation(s, w0, m, c, T, ridge, noise):
    """The generation map on plain moments m = E w / w0, c = E w², one eigendirection at a time."""
    kappa = plain_kappa(s, T, ridge)
    v = (kappa**2 * np.sum(c * s / (s + kappa) ** 2) + noise**2) / (T - np.sum((s / (s + kappa)) ** 2))
    return s / (s + kappa) * m, (s / (s + kappa)) ** 2 * c + v * s / (s + kappa) ** 2


def plain_error(s, w0, m, c):
    return np.sum(s * (c - 2 * m * w0**2 + w0**2))


# --- exact formulas -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finite_size", [False, True])
def test_least_squares_chain_is_linear_in_the_generations(finite_size):
    d, T, T0, n, noise, noise0 = 100, 250, 400, np.arange(6), 0.3, 0.2
    model = mc.fit(mc.chain(mc.truth(mc.isotropic(d)), n, T0, noise0).label(T, noise))
    one = int(finite_size)
    expected = noise**2 * d / (T - d - one) + n * noise0**2 * d / (T0 - d - one)
    np.testing.assert_allclose(mc.predict(model, finite_size=finite_size).test_error, expected, rtol=1e-12)


def test_isotropic_chain_is_clean_plus_n_delta():
    d, T, T0, noise, noise0, ridge = 100, 150, 400, 0.3, 0.2, 0.05
    phi = d / T
    b = ridge + phi - 1
    kappa = (b + np.sqrt(b**2 + 4 * ridge)) / 2
    df2 = d / (1 + kappa) ** 2
    clean = (kappa**2 / (1 + kappa) ** 2 + noise**2 * df2 / T) / (1 - df2 / T)
    delta = noise0**2 / (T0 - d) * (df2 + kappa**2 * d / (1 + kappa) ** 2 * df2 / (T - df2))
    n = np.arange(5)
    spectrum = mc.isotropic(d)
    curve = mc.predict(mc.fit(mc.chain(mc.truth(spectrum), n, T0, noise0).label(T, noise), ridge=ridge))
    np.testing.assert_allclose(curve.test_error, clean + n * delta, rtol=1e-10)
    np.testing.assert_allclose(curve.clean, clean, rtol=1e-10)
    np.testing.assert_allclose(mc.delta(spectrum, T, ridge, mc.FakeData(1, T0, noise0)), delta, rtol=1e-10)


def test_over_parametrised_chain_forgets_exponentially():
    d, T = 100, 60
    model = mc.chain(mc.truth(mc.isotropic(d)), np.arange(8), T, 0.0)
    np.testing.assert_allclose(mc.predict(model).test_error, 1 - (T / d) ** np.arange(8), rtol=1e-11)


@pytest.mark.parametrize(("T0", "ridge0"), [(150, 0.01), (40, 0.01), (40, 0.0), (150, 0.0)])
def test_chain_is_the_repeated_generation_map(T0, ridge0):
    model = mc.fit(mc.chain(mc.truth(POWER_LAW), 4, T0, 0.2, ridge=ridge0).label(45, 0.1), ridge=0.02)
    m, c = np.ones(60), SIGNAL.copy()
    for T, ridge, noise in [(T0, ridge0, 0.2)] * 4 + [(45, 0.02, 0.1)]:
        m, c = plain_generation(EIGENVALUES, np.sqrt(SIGNAL), m, c, T, ridge, noise)
    expected = plain_error(EIGENVALUES, np.sqrt(SIGNAL), m, c)
    assert mc.predict(model).test_error == pytest.approx(expected, rel=1e-10)


def test_chain_equals_fits_in_a_row():
    w0 = mc.truth(POWER_LAW)
    row = w0
    for _ in range(5):
        row = mc.fit(row.label(70, 0.2), ridge=0.01)
    one, other = mc.predict(mc.chain(w0, 5, 70, 0.2, ridge=0.01)), mc.predict(row)
    for name, value in one.to_dict().items():
        assert value == pytest.approx(other.to_dict()[name], rel=1e-12), name


def test_two_sources_pay_the_price_of_strong_collapse():
    d, real, fake, noise, error = 80, 300, 200, 0.4, 0.5
    w0 = mc.truth(mc.isotropic(d))
    teacher_rows = d + noise**2 * d / error
    teacher = mc.fit(w0.label(teacher_rows, noise))  # test error exactly `error`
    mix = mc.fit(w0.label(real, noise), teacher.label(fake, noise))
    T, p2, phi = real + fake, fake / (real + fake), d / (real + fake)
    price = (p2**2 + p2 * (1 - p2) * phi / (1 - phi)) * error
    assert mc.predict(teacher).test_error == pytest.approx(error, rel=1e-12)
    assert mc.predict(mix).test_error == pytest.approx(noise**2 * d / (T - d) + price, rel=1e-10)


def test_accumulation_is_a_finite_sum():
    d, T, noise, k = 50, 80, 0.3, np.arange(1, 9)
    model = mc.accumulate(mc.truth(mc.isotropic(d)), k, T, noise)
    for one in (0, 1):
        terms = noise**2 / np.arange(1, 9) * d / (np.arange(1, 9) * T - d - one)
        np.testing.assert_allclose(mc.predict(model, finite_size=bool(one)).test_error, np.cumsum(terms), rtol=1e-11)


def test_accumulation_of_two_rounds_is_a_fit_on_both():
    w0, penalty = mc.truth(POWER_LAW), 0.9
    first = mc.fit(w0.label(70, 0.2), ridge=penalty / 70)
    # round 2 re-uses the rows of round 1, so it is not mc.fit on fresh rows: with one round they agree exactly
    assert mc.predict(mc.accumulate(w0, 1, 70, 0.2, penalty)).test_error == pytest.approx(
        mc.predict(first).test_error, rel=1e-12
    )


def test_golden_ratio_of_mixed_labels():
    d, T, noise = 100, 5000, 0.3
    w0 = mc.truth(mc.isotropic(d))
    share = (np.sqrt(5) - 1) / 2
    model = mc.fit(w0.label(T, noise))
    for _ in range(40):
        # two noisy labels of the same row: variance share² σ² + (1 − share)² σ²
        mixed = share * w0 + (1 - share) * model
        model = mc.fit(mixed.label(T, noise * np.hypot(share, 1 - share)))
    assert mc.predict(model).test_error == pytest.approx(share * noise**2 * d / (T - d), rel=1e-10)


def test_random_teacher_and_student_agree_with_a_hand_made_joint_moment():
    """Shared error: a fit on two label sets of one teacher keeps the teacher's whole error (many rows, no noise)."""
    w0 = mc.truth(mc.isotropic(30))
    teacher = mc.fit(w0.label(60, 0.5))
    shared = mc.fit(teacher.label(5000), teacher.label(5000))
    twins = mc.fit(teacher.label(5000), mc.fit(w0.label(60, 0.5)).label(5000))
    error = mc.predict(teacher).test_error
    assert mc.predict(shared).test_error == pytest.approx(error, rel=1e-12)
    assert mc.predict(twins).test_error == pytest.approx(error / 2 * (1 + 30 / (10000 - 30)), rel=1e-9)


def test_ensemble_of_independent_fits_averages_the_variance():
    w0 = mc.truth(POWER_LAW)
    fits = [mc.fit(w0.label(100, 0.3), ridge=0.01) for _ in range(4)]
    one, four = mc.predict(fits[0]), mc.predict(sum(fits) / 4)
    assert four.bias == pytest.approx(one.bias, rel=1e-12)
    assert four.variance == pytest.approx(one.variance / 4, rel=1e-12)
    assert mc.predict((fits[0] + fits[0]) / 2).variance == pytest.approx(one.variance, rel=1e-12)


def plain_several(s, rows, weights, noise, ridge, moments, test=None):
    """Error of a fit on sources whose label models have joint second moments E w_g w_h (G, G, d), G + 1 with w0 last.

    Plain iteration of the fixed point in e and dense algebra in the noise gains.
    """
    s, rows, weights = np.asarray(s), np.asarray(rows, float), np.asarray(weights, float)
    T, G = rows.sum(), len(rows)
    p, e = rows / T, np.zeros(G)
    for _ in range(20000):
        eta = p * weights / (1 + weights * e)
        R = 1 / (ridge + eta @ s)
        e = (s * R).sum(1) / T
    learned = eta[:, None] * s * R
    test = s[0] if test is None else test

    def energy(coefficients, inputs):
        return np.einsum("j,gj,hj,ghj->", inputs, coefficients, coefficients, moments)

    risks = []
    for g in range(G):
        c = np.vstack([learned, np.zeros(s.shape[1])])
        c[g] -= 1
        risks.append(energy(c, s[g]) + noise[g] ** 2)
    M = np.einsum("gj,j,hj,j->gh", s, R, s, R) / T
    b = np.einsum("gj,j,j,j->g", s, R, test, R) / T
    D = np.diag(eta**2 / p)
    gains = np.linalg.solve(np.eye(G) - D @ M, D @ b)
    return energy(np.vstack([learned, -np.ones(s.shape[1])]), test) + gains @ risks


@pytest.mark.parametrize("ridge", [0.3, 0.02])
@pytest.mark.parametrize("rows", [(20, 15, 10), (60, 90, 40)])
def test_graph_of_several_sources_against_plain_algebra(rows, ridge):
    """A teacher (ridge, shrunk), a student of truth and teacher, then a fit on all three with weights and a shift."""
    s, noise = EIGENVALUES, (0.1, 0.3, 0.2)
    w0 = mc.truth(POWER_LAW)
    teacher = mc.fit(w0.label(50, 0.3), ridge=0.05)
    student = mc.fit(teacher.label(40, 0.2), ridge=0.01)
    model = mc.fit(
        w0.label(rows[0], noise[0]),
        teacher.label(rows[1], noise[1], weight=2.5),
        student.label(rows[2], noise[2], inputs=lambda s: s**0.7),
        ridge=ridge,
    )
    m1, c1 = plain_generation(s, np.sqrt(SIGNAL), np.ones(60), SIGNAL, 50, 0.05, 0.3)
    m2, c2 = plain_generation(s, np.sqrt(SIGNAL), m1, c1, 40, 0.01, 0.2)
    kappa = plain_kappa(s, 40, 0.01)
    cross = s / (s + kappa) * c1  # E student · teacher: the student is linear in the teacher
    moments = np.array(
        [
            [SIGNAL, m1 * SIGNAL, m2 * SIGNAL, SIGNAL],
            [m1 * SIGNAL, c1, cross, m1 * SIGNAL],
            [m2 * SIGNAL, cross, c2, m2 * SIGNAL],
            [SIGNAL, m1 * SIGNAL, m2 * SIGNAL, SIGNAL],
        ]
    )
    inputs = np.array([s, s, s**0.7])
    for test in (None, s**1.3):
        expected = plain_several(inputs, rows, (1, 2.5, 1), noise, ridge, moments, test)
        assert mc.predict(model, inputs=test).test_error == pytest.approx(expected, rel=1e-9)


# --- invariances --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [0.0, 1e-8, 0.01])
@pytest.mark.parametrize("T", [(20, 25), (100, 60)])
def test_sources_alike_are_one_source(ridge, T):
    w0 = mc.truth(POWER_LAW)
    one = mc.predict(mc.fit(w0.label(sum(T), 0.2), ridge=ridge)).test_error
    alike = mc.predict(mc.fit(*(w0.label(t, 0.2) for t in T), ridge=ridge)).test_error
    nearly = mc.predict(mc.fit(w0.label(T[0], 0.2), w0.label(T[1], 0.2, weight=1 + 1e-9), ridge=ridge)).test_error
    shifted = mc.predict(
        mc.fit(w0.label(T[0], 0.2), w0.label(T[1], 0.2, inputs=EIGENVALUES_OF(w0)), ridge=ridge)
    ).test_error
    assert alike == pytest.approx(one, rel=1e-12)
    assert nearly == pytest.approx(one, rel=1e-8)
    assert shifted == pytest.approx(one, rel=1e-12)


def EIGENVALUES_OF(model):
    return model.spectrum.eigenvalues


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 0.03])
@pytest.mark.parametrize("T", [(20, 25), (100, 60)])
def test_weights_rescale_noise_and_inputs(ridge, T):
    """A row of weight ω is a row of inputs √ω x and noise √ω σ with weight 1 (a fit on rescaled rows)."""
    w0, weight = mc.truth(POWER_LAW), 2.7
    weighted = mc.fit(w0.label(T[0], 0.2, weight=weight), w0.label(T[1], 0.1), ridge=ridge)
    scaled = mc.fit(
        w0.label(T[0], 0.2 * np.sqrt(weight), inputs=lambda s: weight * s), w0.label(T[1], 0.1), ridge=ridge
    )
    assert mc.predict(weighted).test_error == pytest.approx(mc.predict(scaled).test_error, rel=1e-9)


def test_empty_sources_are_dropped():
    w0 = mc.truth(POWER_LAW)
    other = mc.fit(w0.label(100, 0.2), ridge=0.1)
    share = np.array([0.0, 0.5, 1.0])
    mixed = mc.predict(mc.fit(w0.label(100 * share, 0.2), other.label(100 * (1 - share), 0.1), ridge=0.01)).test_error
    assert mixed[0] == pytest.approx(mc.predict(mc.fit(other.label(100, 0.1), ridge=0.01)).test_error, rel=1e-12)
    assert mixed[2] == pytest.approx(mc.predict(mc.fit(w0.label(100, 0.2), ridge=0.01)).test_error, rel=1e-12)


def test_atoms_are_directions():
    few = mc.Spectrum([1.0, 0.1], [2.0, 3.0], [20, 30])
    many = mc.Spectrum([1.0] * 20 + [0.1] * 30, [2.0 / 20] * 20 + [3.0 / 30] * 30)
    errors = []
    for spectrum in (few, many):
        w0 = mc.truth(spectrum)
        teacher = mc.chain(w0, 2, 45, 0.2, ridge=0.02)
        model = mc.fit(w0.label(30, 0.1), (0.5 * teacher + 0.5 * w0).label(30, 0.1), ridge=0.01)
        errors.append(mc.predict(model).test_error)
    assert errors[0] == pytest.approx(errors[1], rel=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_of_the_kernel_do_not_matter(scale):
    base, scaled = mc.Spectrum(EIGENVALUES, SIGNAL), mc.Spectrum(scale * EIGENVALUES, SIGNAL / scale)
    errors = [
        mc.predict(
            mc.fit(mc.chain(mc.truth(spectrum), 3, 40, 0.1, ridge=unit * 1e-4).label(30, 0.1), ridge=unit * 1e-3)
        )
        for spectrum, unit in ((base, 1.0), (scaled, scale))
    ]
    assert errors[0].test_error == pytest.approx(errors[1].test_error, rel=1e-11)


def test_arrays_broadcast_and_chunks_do_not_matter():
    w0 = mc.truth(POWER_LAW)
    T, ridge, n = np.array([20, 50, 100])[:, None, None], np.geomspace(1e-4, 1, 11)[:, None], 10 * np.arange(12)
    grid = mc.predict(mc.fit(mc.chain(w0, n, 90, 0.1, ridge=ridge).label(T, 0.1), ridge=ridge))
    assert grid.test_error.shape == (3, 11, 12)
    assert grid.test_error.dtype == np.float64
    for i, j, k in [(0, 0, 0), (2, 10, 11), (1, 5, 7)]:
        lam = float(ridge[j, 0])
        point = mc.predict(mc.fit(mc.chain(w0, 10 * k, 90, 0.1, ridge=lam).label(int(T[i, 0, 0]), 0.1), ridge=lam))
        assert grid.test_error[i, j, k] == pytest.approx(point.test_error, rel=1e-12)
    assert isinstance(point.test_error, np.float64)


def test_grids_of_spectra():
    dims = np.array([50, 100, 200])
    grid = mc.predict(mc.fit(mc.truth(mc.isotropic(dims)).label(300, 0.1)))
    np.testing.assert_allclose(grid.test_error, 0.01 * dims / (300 - dims), rtol=1e-12)


# --- covariate shift ----------------------------------------------------------------------------------------------


def test_shift_of_one_source_against_the_change_of_basis():
    """Inputs N(0, Σ') in one source only: the same as a problem with spectrum Σ' tested on Σ."""
    w0, moved = mc.truth(POWER_LAW), mc.truth(mc.Spectrum(EIGENVALUES**2, SIGNAL))
    trained_elsewhere = mc.predict(mc.fit(w0.label(40, 0.2, inputs=lambda s: s**2), ridge=1e-3)).test_error
    tested_elsewhere = mc.predict(mc.fit(moved.label(40, 0.2), ridge=1e-3), inputs=lambda s: np.sqrt(s)).test_error
    assert trained_elsewhere == pytest.approx(tested_elsewhere, rel=1e-11)


def test_directions_that_training_never_sees():
    spectrum = mc.Spectrum([1.0, 0.0], [1.0, 5.0], [10, 10])
    model = mc.fit(mc.truth(spectrum).label(40, 0.1))
    assert mc.predict(model).test_error == pytest.approx(0.01 * 10 / 30, rel=1e-12)
    assert mc.predict(model, inputs=[1.0, 1.0]).test_error == pytest.approx(0.01 * 10 / 30 + 5.0, rel=1e-12)


# --- where things diverge -----------------------------------------------------------------------------------------


def test_interpolation_threshold():
    w0 = mc.truth(mc.isotropic(100))
    noisy = mc.predict(mc.fit(w0.label(100, 0.1)))
    assert noisy.test_error == np.inf
    assert noisy.collapse == np.inf
    assert mc.predict(mc.fit(w0.label(100))).test_error == 0
    assert mc.predict(mc.fit(w0.label(60, 0.1), w0.label(40, 0.2))).test_error == np.inf
    assert mc.predict(mc.fit(w0.label(60), w0.label(40))).test_error == 0
    assert mc.predict(mc.fit(mc.chain(w0, 2, 100, 0.1).label(300, 0.1), ridge=0.1)).test_error == np.inf
    for spectrum in (mc.power_law(1.5, 0.5, dim=1000), mc.power_law(1.2, 0.3, dim=10**6)):
        target = mc.truth(spectrum)
        assert mc.predict(mc.fit(target.label(spectrum.dim, 0.1))).test_error == np.inf
        assert mc.predict(mc.fit(target.label(spectrum.dim))).test_error == 0
    near = [mc.predict(mc.fit(w0.label(T, 0.1))).test_error for T in (100 - 1e-9, 100 + 1e-9)]
    np.testing.assert_allclose(near, 0.01 * 100 / 1e-9, rtol=1e-5)  # T itself is rounded to 1.4e-14
    for T in (100, 100.5, 101):
        assert mc.predict(mc.fit(w0.label(T, 0.1)), finite_size=True).test_error == np.inf
        assert mc.predict(mc.chain(w0, 3, T, 0.1), finite_size=True).test_error == np.inf
        assert mc.predict(mc.fit(w0.label(T)), finite_size=True).test_error == 0


def test_infinite_ridge_is_the_null_model():
    w0 = mc.truth(POWER_LAW)
    for model in (
        mc.fit(w0.label(50, 0.1), ridge=np.inf),
        mc.chain(w0, 3, 50, 0.1, ridge=np.inf),
        mc.fit(w0.label(50, 0.1), w0.label(50, 0.1, weight=2.0), ridge=np.inf),
    ):
        assert mc.predict(model).test_error == pytest.approx(POWER_LAW.label_variance, rel=1e-12)


def test_ridge_is_continuous_at_zero():
    for T in (40, 100):
        w0 = mc.truth(POWER_LAW)
        error = mc.predict(mc.fit(w0.label(T, 0.1), w0.label(T, 0.2, weight=2.0), ridge=[0.0, 1e-13])).test_error
        assert error[0] == pytest.approx(error[1], rel=1e-8)


def test_huge_chains():
    """A million generations of least squares, and two numbers of generations at whose ridge the first are forgotten."""
    w0 = mc.truth(mc.isotropic(100))
    assert mc.predict(mc.chain(w0, 10**6, 400, 0.1)).test_error == pytest.approx(10**6 * 0.01 * 100 / 300, rel=1e-12)
    error = mc.predict(mc.chain(w0, [900, 300, 600], 400, 0.1, ridge=[0, 0.1, 0.1])).test_error
    assert error[0] == pytest.approx(900 * 0.01 * 100 / 300, rel=1e-12)
    assert error[1] == pytest.approx(error[2], rel=1e-12)


def test_limit_of_many_ridge_generations():
    """n → ∞: all signal is forgotten and the variance is v s/(κ(2s + κ)) (derived).

    The slowest direction keeps e^(−50) of itself after two thousand generations.
    """
    s, T, ridge, noise = EIGENVALUES, 80, 0.02, 0.3
    kappa = plain_kappa(s, T, ridge)
    v = noise**2 / (T - 2 * np.sum(s**2 / ((s + kappa) * (2 * s + kappa))))
    limit = np.sum(s * SIGNAL) + v * np.sum(s**2 / (kappa * (2 * s + kappa)))
    assert mc.predict(mc.chain(mc.truth(POWER_LAW), 2000, T, noise, ridge)).test_error == pytest.approx(limit, rel=1e-9)


@pytest.fixture
def few_frames():
    """Calls within calls end after 60, not after Python's thousand; what is imported by a first answer goes deeper."""
    mc.predict(mc.fit(mc.truth(mc.isotropic(20)).label(100, 0.1)))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 60)
    yield
    sys.setrecursionlimit(limit)


def test_many_fits_meet_no_recursion_limit(few_frames):
    models = [mc.truth(mc.isotropic(20))]
    for _ in range(80):
        models.append(mc.fit(models[-1].label(100, 0.1)))
    assert mc.predict(models[-1]).test_error == pytest.approx(80 * 0.01 * 20 / 80, rel=1e-10)
    assert len(repr(models[-1])) < 200
    assert hash(models[-1]) != hash(models[-2])
    model = models[70]  # copies by recursion would go down several frames for each fit
    assert copy.deepcopy(model) == model
    again = pickle.loads(pickle.dumps(model))
    assert (again, hash(again)) == (model, hash(model))
