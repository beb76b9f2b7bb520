"""Stopping from data: the corrected criterion against the truth, the estimator, and the monitor on training loops that
somebody else wrote."""

import warnings
from itertools import count, islice

import numpy as np
import pytest
from labelled_rows import POWER, ROWS, SIGMA, SIGNAL, draws
from sklearn.utils.estimator_checks import parametrize_with_checks

from modelcollapse.estimator import CollapseAwareRidge, Provenance
from modelcollapse.stopping import CollapseAwareGradientFlow, StoppingMonitor

RNG = np.random.default_rng


@parametrize_with_checks(
    [
        CollapseAwareGradientFlow(2, 50, 0.1),
        CollapseAwareGradientFlow(kernel="rbf", fit_intercept=False),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# the correction


def exact_errors(X, y, s, truth, times):
    """Test error against the truth of the flow without an intercept (L,)."""
    U, lengths, V = np.linalg.svd(X, full_matrices=False)
    W = (-np.expm1(-times[:, None] * lengths**2 / len(X)) / lengths * (U.T @ y)) @ V
    return (W - truth) ** 2 @ s


TIMES = np.geomspace(0.3, 3000, 25)
SETTINGS = {
    "least squares": [(1.0, Provenance(5, 160, SIGMA))],
    "ridge": [(1.0, Provenance(3, 160, SIGMA, 0.02))],
    "under-determined": [(1.0, Provenance(3, 50, SIGMA))],
    "mix": [(0.25, Provenance()), (0.5, Provenance(4, 120, SIGMA, 0.05)), (0.25, Provenance(1, 40, SIGMA))],
}


@pytest.mark.filterwarnings("ignore:the .* real rows by themselves")
@pytest.mark.parametrize("setting", SETTINGS)
def test_corrected_risk_follows_the_test_error_against_the_truth(setting):
    """Mean over 40 data sets against exact errors at 25 times, up to a constant.

    Deviations are counted in standard errors plus 2 % of the range (finite size, and the plug-in); a false alarm at 4
    of them has probability below 25 * 6e-5. Leave-one-out without its correction is the negative control.
    """
    shares, origins = zip(*SETTINGS[setting], strict=True)
    marks = np.repeat(range(len(shares)), [int(ROWS * share) for share in shares])
    model = CollapseAwareGradientFlow(dict(enumerate(origins)), times=TIMES, fit_intercept=False)
    gaps, exact = [], []
    for rng in map(RNG, np.random.SeedSequence(8).spawn(40)):
        X, y = draws(POWER, SIGNAL, origins, ROWS, SIGMA, rng, shares)
        path = model.fit(X, y, origin=marks).path_
        exact.append(exact_errors(X, y, POWER, SIGNAL, TIMES))
        gaps.append([path[name] - exact[-1] for name in ("corrected_risk", "leave_one_out")])
    gaps = np.array(gaps) - np.mean(gaps, axis=2, keepdims=True)
    unit = np.std(gaps, axis=0) / np.sqrt(39) + 0.02 * np.ptp(np.mean(exact, axis=0))
    ours, uncorrected = np.max(np.abs(np.mean(gaps, axis=0)) / unit, axis=1)
    assert ours < 4
    assert uncorrected > 4.5


@pytest.mark.parametrize("r", [0.25, 0.7])
def test_stopping_time_and_regret_on_power_laws(r):
    """Mean error over that of the oracle time: d = 100, T = 150, least-squares generators on 200 rows, σ = 0.3, 12 data
    sets for each number of generations.

    Bounds are the means over 24 other data sets and at least three standard errors of 12. Leave-one-out without the
    correction, the same for real labels, is the negative control.
    """
    s = np.arange(1.0, 101) ** -1.5
    truth = np.sqrt(np.arange(1.0, 101) ** -(1 + 3 * r) / s)
    for n, bound in {0: 1.15, 1: 1.5, 5: 1.5, 20: 2.1}.items():
        origin = Provenance(n, 200, 0.3)
        model, errors = CollapseAwareGradientFlow(n, 200, 0.3, fit_intercept=False), []
        for rng in map(RNG, np.random.SeedSequence([10, n]).spawn(12)):
            X, y = draws(s, truth, [origin], 150, 0.3, rng)
            path = model.fit(X, y).path_
            exact = exact_errors(X, y, s, truth, path["time"])
            picks = [np.argmin(path[name]) for name in ("corrected_risk", "leave_one_out")]
            errors.append([*exact[picks], exact.min()])
        ours, uncorrected, oracle = np.mean(errors, axis=0)
        assert ours < bound * oracle
        assert uncorrected == ours if n == 0 else uncorrected > 2.1 * oracle or n == 1


@pytest.mark.parametrize(
    ("dim", "generator_ridge", "criterion"),
    [(30, 0.0, "noise"), (30, 0.05, "noise and bias"), (12, 0.0, "noise, posterior")],
)
def test_endless_training_has_the_corrected_risk_of_no_ridge(dim, generator_ridge, criterion):
    X, y = problem(60, dim)
    fake = 3, 50, 0.2, generator_ridge
    flow, ridge = CollapseAwareGradientFlow(*fake, times=[1e9]), CollapseAwareRidge(*fake, ridges=[0.0])
    assert flow.fit(X, y).criterion_ == ridge.fit(X, y).criterion_ == criterion
    for name in ("corrected_risk", "degrees_of_freedom"):
        np.testing.assert_allclose(flow.path_[name], ridge.path_[name], rtol=1e-6)
    assert flow.generator_error_ == ridge.generator_error_ > 0


def test_flow_on_equal_eigenvalues_is_a_ridge():
    """λ = k / (e^{tk} - 1) where every k is the same: one model, one posterior expectation of its error."""
    rng = RNG(13)
    X, time, k = np.sqrt(60 * 0.7) * np.linalg.qr(rng.standard_normal((60, 10)))[0], 1.3, 0.7
    y = X @ rng.standard_normal(10) + rng.standard_normal(60)
    flow = CollapseAwareGradientFlow(3, 50, 1.0, times=[time], fit_intercept=False).fit(X, y)
    ridge = CollapseAwareRidge(3, 50, 1.0, ridges=[k / np.expm1(time * k)], fit_intercept=False).fit(X, y)
    assert flow.criterion_ == ridge.criterion_ == "noise, posterior"
    np.testing.assert_allclose(flow.coef_, ridge.coef_)
    np.testing.assert_allclose(flow.path_["corrected_risk"], ridge.path_["corrected_risk"])


def test_few_directions_stop_by_the_posterior():
    """d = 20, T = 200 on 10 generations, 20 data sets: under 1.3 of the oracle's error, leave-one-out above."""
    s = np.arange(1.0, 21) ** -1.5
    truth, origin, errors = np.ones(20), Provenance(10, 60, 1.0), []
    for rng in map(RNG, np.random.SeedSequence(10).spawn(20)):
        X, y = draws(s, truth, [origin], 200, 1.0, rng)
        model = CollapseAwareGradientFlow(10, 60, 1.0, fit_intercept=False).fit(X, y)
        assert model.criterion_ == "noise, posterior"
        exact = exact_errors(X, y, s, truth, model.path_["time"])
        picks = [np.argmin(model.path_[name]) for name in ("corrected_risk", "leave_one_out")]
        errors.append([*exact[picks], exact.min()])
    ours, uncorrected, oracle = np.mean(errors, axis=0)
    assert ours < 1.3 * oracle < uncorrected


# the estimator


def problem(rows, dim, seed=0, outputs=None):
    rng = RNG(seed)
    X = rng.standard_normal((rows, dim)) * np.arange(1, dim + 1) ** -0.6 + 0.3
    y = X @ rng.standard_normal((dim,) if outputs is None else (dim, outputs))
    return X, y + 0.5 * rng.standard_normal(y.shape) + 2.0


@pytest.mark.parametrize("intercept", [False, True])
def test_the_fit_is_what_small_gradient_steps_reach(intercept):
    X, y = problem(40, 60)
    Z, step = problem(5, 60, seed=1)[0], 2e-3
    model = CollapseAwareGradientFlow(times=[4.0], fit_intercept=intercept).fit(X, y)
    mean, level = (X.mean(axis=0), y.mean()) if intercept else (0 * X[0], 0.0)
    w = np.zeros(60)
    for _ in range(2000):
        w -= step * (X - mean).T @ ((X - mean) @ w - (y - level)) / 40
    np.testing.assert_allclose(model.predict(Z), (Z - mean) @ w + level, rtol=1e-3)
    dual = CollapseAwareGradientFlow(times=[4.0], kernel="precomputed", fit_intercept=intercept).fit(X @ X.T, y)
    np.testing.assert_allclose(dual.predict(Z @ X.T), model.predict(Z))


def test_real_rows_need_no_correction_and_outputs_average():
    X, y = problem(60, 30, outputs=2)
    both = CollapseAwareGradientFlow(3, 50, 0.2).fit(X, y)
    each = [CollapseAwareGradientFlow(3, 50, 0.2).fit(X, column).path_["corrected_risk"] for column in y.T]
    np.testing.assert_allclose(both.path_["corrected_risk"], np.mean(each, axis=0))
    assert (both.predict(X).shape, both.coef_.shape, both.criterion_) == ((60, 2), (2, 30), "noise")
    real = CollapseAwareGradientFlow().fit(X, y)
    assert real.criterion_ == "leave-one-out"
    np.testing.assert_array_equal(real.path_["corrected_risk"], real.path_["leave_one_out"])


def test_units_cancel():
    """Labels and noise in other units leave the time alone; inputs in other units scale it."""
    X, y = problem(60, 30)
    for ridge in (0.0, 0.05):
        base = CollapseAwareGradientFlow(3, 50, 0.2, ridge).fit(X, y).time_
        assert CollapseAwareGradientFlow(3, 50, 2.0, ridge).fit(X, 10 * y).time_ == pytest.approx(base)
        assert CollapseAwareGradientFlow(3, 50, 0.2, 25 * ridge).fit(5 * X, y).time_ == pytest.approx(base / 25)


def test_generators_at_their_threshold_warn_and_leave_the_criterion_uncorrected():
    X, y = problem(60, 30)
    with pytest.warns(UserWarning, match="the time is chosen without correction"):
        model = CollapseAwareGradientFlow(5, 32, 0.1).fit(X, y)
    assert model.criterion_ == "leave-one-out (fallback)"
    np.testing.assert_array_equal(model.path_["corrected_risk"], model.path_["leave_one_out"])


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"times": [-1.0]}, r"times\[0\] = -1.0"),
        ({"times": [np.inf]}, "finite time"),
        ({"times": "fine"}, "auto"),
        ({"times": [[1.0]]}, "one dimension"),
        ({"generations": 3}, "samples = None"),
    ],
)
def test_bad_parameters_are_refused(options, fragment):
    with pytest.raises(ValueError, match=fragment):
        CollapseAwareGradientFlow(**options).fit(*problem(20, 5))


# the monitor


def descent(X, y, rates):
    """Weights along gradient descent on half the mean squared error; rates: iterable of steps."""
    w = np.zeros(X.shape[1])
    for rate in rates:
        yield w
        w = w - rate * X.T @ (X @ w - y) / len(X)


@pytest.mark.parametrize("generations", [0, 5, 20])
def test_the_monitor_stops_a_real_training_loop_near_the_oracle(generations):
    """Error on clean labels at the step where the monitor says stop, mean over 6 data sets, is below 1.6 of the
    best step's; for synthetic labels the step that leave-one-out would take has at least three times the best error."""
    s = np.arange(1.0, 101) ** -1.5
    truth, origin = np.arange(1.0, 101) ** -0.8, Provenance(generations, 200, 0.3)
    errors = []
    for rng in map(RNG, np.random.SeedSequence([11, generations]).spawn(6)):
        X, y = draws(s, truth, [origin], 150, 0.3, rng)
        monitor, along, stop = StoppingMonitor(X, y, origin), [], None
        for step, w in enumerate(islice(descent(X, y, (0.6 for _ in count())), 250)):
            along.append(s @ (w - truth) ** 2)
            if monitor.update(X @ w) and stop is None:
                stop = step
        assert abs(stop - monitor.best_update) <= 0.15 * stop + 1
        errors.append([along[stop], along[np.argmin(monitor.path["leave_one_out"])], min(along)])
    ours, uncorrected, oracle = np.mean(errors, axis=0)
    assert ours < 1.6 * oracle
    if generations:
        assert uncorrected > 3 * oracle


@pytest.mark.parametrize("outputs", [None, 2])
def test_time_is_read_off_the_outputs_whatever_the_learning_rate_does(outputs):
    X, y = problem(50, 30, outputs=outputs)
    rates, w = np.geomspace(0.01, 0.001, 300), np.zeros((30, *y.shape[1:]))
    monitor = StoppingMonitor(X, y, Provenance())
    for rate in rates:
        monitor.update(X @ w)
        w = w - rate * X.T @ (X @ w - y) / 50
    np.testing.assert_allclose(monitor.path["time"], np.append(0, np.cumsum(rates)[:-1]), rtol=0.02)
    assert monitor.path["deviation"].max() < 0.01


@pytest.mark.filterwarnings("ignore:the .* real rows by themselves")
@pytest.mark.filterwarnings("ignore:the correction promises")
def test_mixes_kernels_and_centred_loops_reach_the_estimator():
    X, y = problem(60, 8)
    fake, marks = Provenance(4, 50, 0.3), np.arange(60) % 2
    known, options = {0: Provenance(), 1: fake}, {"kernel": "rbf", "gamma": 0.2, "fit_intercept": True}
    monitor = StoppingMonitor(X, y, known, origin=marks, **options)
    model = CollapseAwareGradientFlow(known, **options).fit(X, y, origin=marks)
    assert (monitor.best_time, monitor.criterion) == (model.time_, model.criterion_)
    assert repr(monitor) == f"StoppingMonitor(best_time={model.time_:.6g}, updates=0)"
    at = CollapseAwareGradientFlow(known, times=[3.0], **options).fit(X, y, origin=marks)
    monitor.update(at.predict(X))
    assert monitor.path["time"] == pytest.approx(3.0, rel=1e-4)
    assert monitor.path["corrected_risk"] == pytest.approx(at.path_["corrected_risk"], rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "error", "fragment"),
    [
        ({"provenance": 5}, TypeError, "provenance is a int"),
        ({"provenance": {0: Provenance()}}, ValueError, "mark the rows"),
        ({"tolerance": 0.0}, ValueError, "tolerance = 0.0"),
        ({"y": np.zeros(20)}, ValueError, "no part that the model can learn"),
    ],
)
def test_bad_monitors_are_refused(arguments, error, fragment):
    X, y = problem(20, 5)
    with pytest.raises(error, match=fragment):
        StoppingMonitor(**{"X": X, "y": y, "provenance": Provenance(), **arguments})


def test_bad_outputs_are_refused_and_there_is_no_best_update_before_the_first():
    X, y = problem(20, 5)
    monitor = StoppingMonitor(X, y, Provenance())
    assert not monitor.should_stop
    for outputs, fragment in ((y[:3], "shape"), (np.full(20, np.nan), "diverged")):
        with pytest.raises(ValueError, match=fragment):
            monitor.update(outputs)
    with pytest.raises(ValueError, match="no update yet"):
        _ = monitor.best_update
    assert monitor.path["time"].shape == (0,)


def tanh_network(X, y, width, rate, rng):
    """Two trained layers that start at zero output: the tangent kernel, then the outputs along gradient descent."""
    W, a = rng.standard_normal((width, X.shape[1])), rng.standard_normal(width)
    W, a, scale = np.vstack([W, W]), np.append(a, -a), np.sqrt(2 * width)
    h = np.tanh(X @ W.T)
    slope = (1 - h**2) * a
    yield (h @ h.T + slope @ slope.T * (X @ X.T)) / scale**2
    while True:
        yield h @ a / scale
        residual = (h @ a / scale - y) / len(y)
        a, W = a - rate * h.T @ residual / scale, W - rate * (slope * residual[:, None]).T @ X / scale
        h = np.tanh(X @ W.T)
        slope = (1 - h**2) * a


def test_a_wide_network_keeps_time_with_its_tangent_kernel_and_a_narrow_one_is_noticed():
    rng = RNG(12)
    X = rng.standard_normal((60, 5)) / np.sqrt(5)
    y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.3 * rng.standard_normal(60)
    deviations = []
    for width in (400, 4):
        loop = tanh_network(X, y, width, 1.0, RNG(0))
        monitor = StoppingMonitor(next(loop), y, Provenance(), kernel="precomputed", tolerance=np.inf)
        for outputs in islice(loop, 100):
            monitor.update(outputs)
        deviations.append(monitor.path["deviation"].max())
        if width > 100:
            assert monitor.path["time"][-1] == pytest.approx(99, rel=0.05)
    assert deviations[0] < 0.02
    assert deviations[1] > 0.1


def test_training_of_another_kind_warns_once():
    """Adam fits all directions at one speed."""
    X, y = problem(50, 30)
    monitor, w, m, v = StoppingMonitor(X, y, Provenance()), *np.zeros((3, 30))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(1, 200):
            monitor.update(X @ w)
            gradient = X.T @ (X @ w - y) / 50
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            w = w - 0.02 * m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
    assert [str(w.message).partition("%")[2][:30] for w in caught] == [" of the labels away from gradi"]
