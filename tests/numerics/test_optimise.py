"""The best ridge and the best of other numbers: closed forms, other routes, brute force."""

import numpy as np
import pytest
import sympy
from scipy.optimize import brentq

import modelcollapse as mc
from modelcollapse.numerics.evaluation.slopes import error_slopes
from modelcollapse.numerics.evaluation.traced import Slopes
from modelcollapse.numerics.questions.best_ridge import optimal_ridge
from modelcollapse.numerics.questions.best_values import _Box, _starts, tune
from modelcollapse.numerics.questions.rows_needed import largest_synthetic_share, real_rows_worth

GOLDEN = (5**0.5 - 1) / 2
lam, alpha, p, w, T = sympy.symbols("lambda alpha p w T", positive=True)


def iso(dim=100, signal=1.0):
    return mc.truth(mc.isotropic(dim, signal))


def brute(model, values=None, ridges=None):
    """The least error on a fine grid of ridges in the symbol lambda."""
    ridges = np.geomspace(1e-9, 1e4, 1301) if ridges is None else ridges
    errors = mc.predict(model, {**(values or {}), lam: ridges}).test_error
    return ridges[np.argmin(errors)], errors.min()


def test_isotropic_clean_data_have_the_closed_form():
    samples = np.array([20.0, 99.0, 100.0, 101.0, 5000.0])
    noise = np.array([1e-3, 0.3, 10.0])[:, None]
    signal = np.array([0.2, 5.0])[:, None, None]
    best = optimal_ridge(mc.fit(iso(signal=signal).label(samples, noise)))
    assert best.ridge.shape == best.test_error.shape == best.at_bound.shape == (2, 3, 5)
    np.testing.assert_allclose(best.ridge, noise**2 * 100 / (samples * signal), rtol=1e-8)
    assert not best.at_bound.any()


def test_fake_data_put_the_optimum_at_the_root_of_the_stationarity_polynomial():
    d, rows, noise, norm = 100, 150, 0.7, 1.3
    for samples in (40, 250):
        for n in (0, 1, 12):
            phi, D2 = d / samples, n * noise**2 * d / (rows - d)

            def polynomial(k, phi=phi, D2=D2):
                return (
                    norm * k * (1 + k) ** 2 * (1 + k - phi)
                    - phi * noise**2 * (1 + k) ** 3
                    - D2 * ((1 + k) ** 3 + phi * k**3 - 3 * phi * k - 2 * phi + phi**2)
                )

            kappa = brentq(polynomial, max(0, phi - 1) + 1e-12, 1e6, xtol=1e-13, rtol=1e-14)
            expected = kappa * (1 - phi / (1 + kappa))
            labels = mc.chain(iso(signal=norm), n, rows, noise)
            best = optimal_ridge(mc.fit(labels.label(samples, noise)))
            assert best.ridge == pytest.approx(expected, rel=1e-8)


def test_the_lower_of_two_minima_is_found_wherever_it_lies():
    """Minima at λ = 1.25e-5 (E = .30291) and λ = 6.62 (E = 1.03265); a weaker tail makes the second one the lower."""
    signal = np.array([[50 * 0.3 / 400, 50 * 200.0], [50 * 0.3 / 400, 50 * 0.01]])
    w0 = mc.truth(mc.Spectrum(np.array([1.0, 1e-4]), signal, 50.0))
    best = optimal_ridge(mc.fit(w0.label(400, noise=1.0)))
    tuned = tune(mc.fit(w0.label(400, noise=1.0), ridge=lam), {lam: (1e-8, 1e3)})
    np.testing.assert_allclose(tuned.values[lam], best.ridge, rtol=1e-5)
    assert best.ridge[0] == pytest.approx(1.25e-5, rel=1e-3)
    assert best.test_error[0] == pytest.approx(0.30291, abs=1e-5)
    upper = np.geomspace(2, 20, 401)
    first = mc.fit(mc.truth(mc.Spectrum([1.0, 1e-4], signal[0], 50.0)).label(400, noise=1.0), ridge=lam)
    at, least = brute(first, ridges=upper)
    assert (at, least) == (pytest.approx(6.62, rel=5e-3), pytest.approx(1.03265, abs=1e-5))
    second = mc.fit(mc.truth(mc.Spectrum([1.0, 1e-4], signal[1], 50.0)).label(400, noise=1.0), ridge=lam)
    at, least = brute(second)
    assert best.ridge[1] == pytest.approx(at, rel=0.03)
    assert best.test_error[1] <= least


def test_searches_start_where_no_lower_point_is_near():
    """Two valleys, the lower one with a second point on its slope; points of infinite error are none."""
    sample = np.array([[0.05, 0.12, 0.2, 0.5, 0.55, 0.9], [0.5] * 6])
    starts = _starts(sample, np.array([2.0, 1.0, 3.0, 5.0, 4.0, np.inf]))
    np.testing.assert_array_equal(starts, [[0.12, 0.5], [0.55, 0.5]])


ROWS = mc.truth(mc.rows(np.linspace(-1, 1, 12)[:, None], np.linspace(-1, 1, 12) ** 2, "rbf", gamma=1.0))


@pytest.mark.parametrize("w0", [iso(), ROWS], ids=["spectrum", "rows"])
def test_errors_are_the_same_without_their_slopes(w0):
    model, points = mc.fit(w0.label(8, 0.1), ridge=lam), np.geomspace(1e-3, 1, 4)
    slopes = error_slopes(model, (lam,), {}, {lam: 1.0})
    alone = slopes.errors([0] * 4, [points])
    np.testing.assert_allclose(alone, mc.predict(model, {lam: points}).test_error, rtol=1e-12)
    np.testing.assert_allclose(alone, slopes.finite([0] * 4, [points])[0], rtol=1e-12)


def test_the_best_training_time_waits_for_no_compiler(monkeypatch):
    monkeypatch.setattr(Slopes, "_with_jax", None)
    found = tune(mc.fit(iso().label(150, 0.5), filter=mc.GradientFlow(T)), {T: (0.1, 100)})
    assert found.test_error == pytest.approx(mc.optimal_stopping(mc.fit(iso().label(150, 0.5))).test_error, rel=1e-5)


def test_no_point_is_asked_for_twice(monkeypatch):
    asked, finite = [], Slopes.finite
    monkeypatch.setattr(Slopes, "finite", lambda self, lanes, x: asked.extend(x[0]) or finite(self, lanes, x))
    optimal_ridge(mc.fit(iso().label(150, 0.5)))
    assert len(asked) == len(set(asked)) > 10


POWER_LAW = mc.truth(mc.power_law(1.5, 0.5))
STEEP = mc.truth(mc.power_law(3.0, 0.3, dim=60))
PROBLEMS = {
    "clean power law": POWER_LAW.label(300, 0.1),
    "benign power law": mc.truth(mc.power_law(1.2, 0.9)).label(30, 0.01),
    "ridge generators": mc.chain(POWER_LAW, 5, 200, 0.1, ridge=1e-3).label(300, 0.1),
    "steep and least squares": mc.chain(STEEP, 3, 100, 0.1).label(500, 0.1),
    "at the threshold": STEEP.label(60, 0.1),
    "noise alone": mc.chain(iso(), 2, 120, 3.0).label(110, 3.0),
}


@pytest.mark.parametrize("source", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_no_ridge_of_a_fine_grid_is_better(source):
    best = optimal_ridge(mc.fit(source, ridge=0.5))
    model = mc.fit(source, ridge=lam)
    assert best.test_error <= brute(model)[1] * (1 + 1e-12)
    assert best.test_error == pytest.approx(mc.predict(model, {lam: best.ridge}).test_error, rel=1e-12)
    if not best.at_bound:
        slope = best.ridge * mc.gradient(model, {lam: best.ridge})[lam]
        assert abs(slope) < 1e-9 * best.test_error


@pytest.mark.slow
def test_several_sources_with_weights_and_shifted_inputs():
    teacher = mc.fit(STEEP.label(50, 0.2), ridge=1e-2)
    sources = STEEP.label(40, 1.0, weight=3.0), teacher.label(100, 0.5, inputs=np.sqrt)
    best = optimal_ridge(mc.fit(*sources))
    at, least = brute(mc.fit(*sources, ridge=lam))
    assert best.test_error <= least * (1 + 1e-12)
    assert best.ridge == pytest.approx(at, rel=0.05)


def test_bounds_are_reached_and_named():
    w0 = iso()
    zero = optimal_ridge(mc.fit(w0.label([50, 100, 200])))  # no noise
    assert zero.ridge.tolist() == [0, 0, 0]
    assert zero.at_bound.all()
    np.testing.assert_allclose(zero.test_error, [0.5, 0, 0], atol=1e-15)
    for useless in (-1 * w0, 0 * w0, mc.chain(w0, 1, 100, 0.1)):  # the last: a generator at T0 = d, infinite error
        best = optimal_ridge(mc.fit(useless.label(50, 0.1)))
        assert (best.ridge, best.test_error, bool(best.at_bound)) == (np.inf, 1.0, True)


@pytest.mark.parametrize("samples", [3, 30, 59.5, 99.9, 99.99, 100, 250])
def test_without_noise_no_ridge_is_best(samples):
    """The slope at zero is zero, of which rounding leaves either sign."""
    for w0 in (iso(), iso(1000, 3.0), mc.truth(mc.Spectrum([1e-6], [1e6], 100))):
        best = optimal_ridge(mc.fit(w0.label(samples)))
        assert (best.ridge, bool(best.at_bound)) == (0, True)
        assert best.test_error == mc.predict(mc.fit(w0.label(samples))).test_error


def test_the_least_noise_that_is_felt_asks_for_a_ridge():
    best = optimal_ridge(mc.fit(iso().label(np.array([20.0, 59.5, 300.0]), 1e-5)))
    np.testing.assert_allclose(best.ridge, 1e-10 * 100 / np.array([20.0, 59.5, 300.0]), rtol=1e-3)


def test_the_best_ridge_over_random_features():
    """Slopes at tiny ridges drown in rounding: no ridge of a fine grid may be better."""
    samples = np.array([2.5, 3.2, 4.0, 20.0, 228.0])[:, None, None]
    noise, features = np.array([0.0, 0.01, 0.1, 0.4])[:, None], np.array([1.5, 3.0, 3.02, 3.46, 10.0])
    for labels in (iso(3), mc.fit(iso(3).label(5, 0.3), ridge=0.1)):
        best = optimal_ridge(mc.fit(labels.label(samples, noise), features=features))
        columns = labels.label(samples[..., None], noise[..., None])
        model = mc.fit(columns, ridge=np.array([0.0, *np.geomspace(1e-12, 1e3, 200)]), features=features[:, None])
        least = mc.predict(model).test_error.min(-1)
        assert np.all(best.test_error <= least * (1 + 1e-10) + 1e-14)
        assert np.any(best.at_bound) & ~np.all(best.at_bound)


SLOW = mc.truth(mc.power_law(13, 0.1, dim=60))  # down to 1e-23, in the shape of the other two: one compilation
SLOW_DIRECTIONS = {
    "steep": SLOW.label(20, 0.01),
    "steep, no noise": SLOW.label(20),
    "light rows": mc.truth(mc.power_law(1.5, 0.5, dim=50)).label(150, 0.1, weight=1e-12),
    "heavy rows": mc.truth(mc.power_law(1.5, 0.5, dim=50)).label(20, 0.1, weight=1e12),
}


@pytest.mark.parametrize("source", SLOW_DIRECTIONS.values(), ids=SLOW_DIRECTIONS.keys())
def test_training_is_searched_up_to_the_slowest_direction(source):
    best = mc.optimal_stopping(mc.fit(source))
    along = mc.predict(mc.fit(source, filter=mc.GradientFlow(10.0 ** np.arange(-20, 41, 2)))).test_error
    ever = mc.predict(mc.fit(source)).test_error
    assert best.test_error <= min(along.min(), ever) * (1 + 1e-9)
    assert 1e-20 < best.time < 1e40
    again = mc.predict(mc.fit(source, filter=mc.GradientFlow(best.time))).test_error
    assert best.test_error == pytest.approx(again, rel=1e-9)


def test_training_for_ever_is_least_squares():
    for samples in (30, 60):
        best = mc.optimal_stopping(mc.fit(iso(50).label(samples)))
        assert (best.time, bool(best.at_bound)) == (np.inf, True)
        assert best.test_error == mc.predict(mc.fit(iso(50).label(samples))).test_error


def test_an_empty_grid_has_empty_answers():
    source = iso().label([], 0.1)
    for answer in (
        mc.predict(mc.fit(source)),
        mc.test_error(mc.isotropic(10), [], 0.1, 0.1),
        optimal_ridge(mc.fit(source)),
        mc.optimal_stopping(mc.fit(source)),
        mc.predict(mc.fit(source, filter=mc.GradientFlow(1.0))),
        tune(mc.fit(source, ridge=lam), {lam: (0.1, 1)}),
    ):
        assert np.shape(answer.test_error) == (0,)
        assert "0 grid" in repr(answer)


def test_only_the_last_ridge_moves():
    labels = mc.chain(POWER_LAW, 3, 200, 0.1, ridge=lam)
    best = optimal_ridge(mc.fit(labels.label(100, 0.1), ridge=lam), {lam: [1e-3, 1e-1]})
    for given, ridge in zip((1e-3, 1e-1), best.ridge, strict=True):
        alone = optimal_ridge(mc.fit(mc.chain(POWER_LAW, 3, 200, 0.1, ridge=given).label(100, 0.1)))
        assert ridge == pytest.approx(alone.ridge, rel=1e-9)
    assert optimal_ridge(mc.fit(iso().label(100, 0.1), ridge=lam), {lam: 3.0}).ridge == pytest.approx(0.01)


def test_what_ends_in_no_fit_is_refused():
    with pytest.raises(TypeError, match=r"Chain.*name it by a symbol and use tune"):
        optimal_ridge(mc.chain(iso(), 2, 200, 0.1))
    with pytest.raises(TypeError, match="the symbol T is free"):
        optimal_ridge(mc.fit(iso().label(T, 0.1)))


def mixed_labels(generations, noise=0.1):
    w0 = model = iso(10)
    for _ in range(generations):
        model = mc.fit((alpha * w0 + (1 - alpha) * model).label(1000, noise * sympy.sqrt(alpha**2 + (1 - alpha) ** 2)))
    return model


def test_the_best_label_share_is_the_golden_ratio():
    best = tune(mixed_labels(15), {alpha: (0.05, 0.95)})
    assert best.values[alpha] == pytest.approx(GOLDEN, abs=1e-6)
    assert best.test_error == pytest.approx(GOLDEN * 0.01 * 10 / 990, rel=1e-6)
    assert best.at_bound == {}


def pools(k, generations, real=1e6):
    """Fits on fresh real rows and real/k synthetic ones; w weighs the mean squared error of the real pool."""
    w0 = model = iso(1)
    fake = real / k
    for _ in range(generations):
        model = mc.fit(w0.label(real, 0.1, weight=w), model.label(fake, 0.1, weight=(1 - w) * k))
    return model


@pytest.mark.parametrize(
    ("k", "generations"), [(1.0, 10), *(pytest.param(k, 25, marks=pytest.mark.slow) for k in (0.25, 4.0))]
)
def test_the_best_weight_of_real_rows_by_averaged_fits(k, generations):
    """In the low-dimensional limit the weighted fit is the weighted mean of two fits; (1 − w)² < 0.15 for k = 1."""
    w0 = model = iso(1)
    for _ in range(generations):
        model = w * mc.fit(w0.label(1e6, 0.1)) + (1 - w) * mc.fit(model.label(1e6 / k, 0.1))
    best = tune(model, {w: (0.01, 0.99)}).values[w]
    assert best == pytest.approx(((k * k + 4 * k) ** 0.5 - k) / 2, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("k", [0.25, 1.0, 4.0])
def test_the_best_weight_of_real_rows(k):
    best = tune(pools(k, 25), {w: (0.01, 0.99)}).values[w]
    assert best == pytest.approx(((k * k + 4 * k) ** 0.5 - k) / 2, abs=1e-4)


@pytest.mark.slow
def test_ridge_and_real_fraction_of_a_fixed_budget_together():
    """A teacher with less noisy labels: some, not all, of the budget goes to real rows."""
    teacher = mc.fit(STEEP.label(2000, 0.1), ridge=1e-4)
    model = mc.fit(STEEP.label(1000 * p, 1.0), teacher.label(1000 * (1 - p), 0.1), ridge=lam)
    best = tune(model, {p: (0, 1), lam: (0, 10)})
    grid = mc.predict(model, {p: np.linspace(0, 1, 41)[:, None], lam: np.geomspace(1e-6, 10, 141)}).test_error
    assert best.test_error <= grid.min() * (1 + 1e-9)
    assert best.values[p] == 0 or best.at_bound.get(p) is None


def test_tuning_one_ridge_is_the_optimal_ridge():
    model = mc.fit(iso().label(200, 0.5), ridge=lam)
    for box in ((0, 10), (1e-6, 1e3), (0.05, 0.3)):
        assert tune(model, {lam: box}).values[lam] == pytest.approx(0.125, rel=1e-6)
    at_end = tune(model, {lam: (0.5, 2.0)})
    assert (at_end.values[lam], at_end.at_bound) == (0.5, {lam: "low"})
    low = tune(mc.fit(iso().label(200), ridge=lam), {lam: (0, 1)})
    assert (low.values[lam], low.at_bound, low.test_error) == (0.0, {lam: "low"}, 0.0)


def test_slopes_are_those_of_gradient_on_every_lane():
    """A symbol of the spectrum, one of the pipeline, and a grid."""
    norm = sympy.Symbol("norm", positive=True)
    model = mc.fit(iso(signal=norm).label([50, 200], 0.3), ridge=lam)
    slopes = Slopes(model, (norm, lam), {}, {norm: 1.0, lam: 1.0})
    error, found = slopes([1, 0, 1], [[0.5, 2.0, 3.0], [0.1, 0.2, 0.3]])
    for k, lane in enumerate([1, 0, 1]):
        at = {norm: [0.5, 2.0, 3.0][k], lam: [0.1, 0.2, 0.3][k]}
        assert error[k] == pytest.approx(mc.predict(model, at).test_error[lane], rel=1e-12)
        expected = mc.gradient(model, at)
        assert found[:, k] == pytest.approx([expected[norm][lane], expected[lam][lane]], rel=1e-12)


def test_an_infinite_error_inside_the_box_does_no_harm():
    """Least squares at T = d = 100 is infinite; both ends are local optima, the right one is lower."""
    model = mc.fit(iso().label(T, 0.5))
    best = tune(model, {T: (50, 150)})
    assert (best.values[T], best.at_bound) == (150, {T: "high"})
    assert tune(model, {T: (60, 101)}).values[T] == 60


def test_every_point_of_a_grid_is_tuned_by_itself():
    model = mc.fit(iso().label(T, 0.5), ridge=lam / T)
    best = tune(model, {lam: (1e-2, 1e3)}, {T: [50, 200]})
    np.testing.assert_allclose(best.values[lam], 0.25 * 100, rtol=1e-6)
    np.testing.assert_allclose(best.test_error, optimal_ridge(mc.fit(iso().label([50, 200], 0.5))).test_error)
    assert best.at_bound[lam].tolist() == ["", ""]


def test_coordinates_of_a_box_have_their_derivative():
    model = mc.fit(iso().label(T, 0.5), iso().label(100 * p), ridge=lam)
    box = _Box(model, {T: (1.0, 1e3), p: (0.0, 1.0), lam: (0.0, 10.0)})
    t, step = np.array([[0.2, 0.7]] * 3), 1e-6
    slope = (box(t + step)[0] - box(t - step)[0]) / (2 * step)
    np.testing.assert_allclose(box(t)[1], slope, rtol=1e-6)
    np.testing.assert_allclose(box(np.array([[0.0, 1.0]] * 3))[0], [[1, 1e3], [0, 1], [0, 10]], rtol=1e-12)


REFUSED = {
    "leave the domain": (mc.fit(iso().label(100 * (1 - p), 0.1), iso().label(50)), {p: (0, 1.5)}, ValueError),
    "no interval": (mc.fit(iso().label(T)), {T: (3, 2)}, ValueError),
    "is no interval": (mc.fit(iso().label(T)), {T: (3, np.inf)}, ValueError),
    "give a pair": (mc.fit(iso().label(T)), {T: 3}, TypeError),
    "not a free symbol": (mc.fit(iso().label(T)), {lam: (0, 1)}, TypeError),
    "whole number": (mc.chain(iso(), sympy.Symbol("n"), 200, 0.1), {sympy.Symbol("n"): (0, 5)}, ValueError),
    "the symbol lambda is free": (mc.fit(iso().label(T), ridge=lam), {T: (1, 5)}, TypeError),
}


@pytest.mark.parametrize(("message", "case"), REFUSED.items(), ids=REFUSED.keys())
def test_what_cannot_be_tuned_is_said(message, case):
    model, over, error = case
    with pytest.raises(error, match=message):
        tune(model, over)


def test_the_safe_share_is_where_the_loss_is_reached():
    """Least squares, one teacher with error c²: a share q of its labels adds (q² + q(1 − q)φ/(1 − φ))·c²."""
    d, rows, noise, loss = 50, 500, 0.5, 0.2
    teacher = mc.fit(iso(d).label(1000, noise))
    found = largest_synthetic_share(teacher, rows, loss, noise=noise, ridge=0)
    c2, phi = noise**2 * d / (1000 - d), d / rows
    clean = noise**2 * phi / (1 - phi)
    q = found.share
    assert (q**2 + q * (1 - q) * phi / (1 - phi)) * c2 == pytest.approx(loss * clean, rel=1e-6)
    assert found.test_error == pytest.approx(1.2 * found.real_only, rel=1e-6)
    assert largest_synthetic_share(iso(d), rows, 0, noise=noise, ridge=0).share == 1


def test_what_synthetic_rows_are_worth_at_a_given_ridge():
    w0 = iso(50)
    teacher = mc.fit(w0.label(300, 0.5))
    some, many = (real_rows_worth(teacher, 100, rows, noise=0.5, ridge=0.1) for rows in (60, 10_000))
    assert 0 < some.extra < 60
    assert 0 < many.total < 10_000
    real_only = mc.predict(mc.fit(w0.label(many.total, 0.5), ridge=0.1))
    assert real_only.test_error == pytest.approx(many.test_error, rel=1e-7)
    assert real_rows_worth(2 * w0, 10, 1e5, noise=0.1, ridge=1.0).total == np.inf  # shrunk by half, as it should be
    with pytest.raises(ValueError, match="give rows to compare"):
        real_rows_worth(w0, 0, 0, noise=0.5)


@pytest.mark.slow
def test_what_synthetic_rows_are_worth_in_real_ones():
    w0 = iso(50)
    assert real_rows_worth(w0, 100, 60, noise=0.5).extra == pytest.approx(60, rel=1e-6)
    teacher = mc.fit(w0.label(300, 0.5))
    some, many = (real_rows_worth(teacher, 100, rows, noise=0.5) for rows in (60, 10_000))
    assert 0 < some.extra < 60
    assert 0 < many.total < 10_000
    assert optimal_ridge(mc.fit(w0.label(many.total, 0.5))).test_error == pytest.approx(many.test_error, rel=1e-7)
    assert real_rows_worth(mc.chain(w0, 9, 60, 0.5), 100, 500, noise=0.5).extra < 0
