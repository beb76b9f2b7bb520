"""The curve of the stopping criterion: leave-one-out along gradient flow against refits, and the correction's slope."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import modelcollapse as mc
from modelcollapse.estimator import Provenance
from modelcollapse.numerics.provenance.corrected_risk import least_squares_correction
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.numerics.stopping_criterion import stopping_curve
from modelcollapse.stopping import CollapseAwareGradientFlow
from modelcollapse.theory.populations.resolved_directions import of_gram

RNG = np.random.default_rng


# leave-one-out


def flow_predictions(K, cross, y, time, rows):
    """k(x, X) g(K/T) y / T by the eigenvectors of K; rows: T of the whole sample."""
    k, U = np.linalg.eigh(K / rows)
    safe = np.where(k > 1e-13, k, 1.0)
    return cross @ U @ (np.where(k > 1e-13, -np.expm1(-time * k) / safe, time) * (U.T @ y)) / rows


def left_out(K, y, time, intercept):
    """Residuals of the rows, each predicted by a flow that never saw it."""
    rows, residuals = len(y), []
    for i in range(rows):
        kept = np.delete(np.arange(rows), i)
        gram, cross, labels, level = K[np.ix_(kept, kept)], K[i, kept], y[kept], 0.0
        if intercept:
            mean, level = gram.mean(axis=0), labels.mean()
            cross = cross - mean - cross.mean() + mean.mean()
            gram = gram - mean - mean[:, None] + mean.mean()
        residuals.append(y[i] - level - flow_predictions(gram, cross, labels - level, time, rows))
    return np.array(residuals)


def path_of(K, y, intercept=False):
    targets = np.reshape(y, (len(K), -1))
    return RidgePath.of(of_gram(K, intercept), targets - targets.mean(axis=0) if intercept else targets)


def circulant(rows, pairs, rng):
    """A kernel matrix with 2 `pairs` + 1 positive eigenvalues under which all rows are alike."""
    frequencies = np.exp(2j * np.pi * np.outer(np.arange(rows), np.arange(rows)) / rows)
    values = np.zeros(rows)
    values[0] = 0.7 * rows
    values[1 : pairs + 1] = rows * rng.uniform(0.05, 3, pairs)
    values[-pairs:] = values[pairs:0:-1]
    return (frequencies * values @ frequencies.conj().T).real / rows


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(("rows", "pairs"), [(24, 5), (23, 11)])  # with and without a null space
@pytest.mark.parametrize("time", [0.0, 0.1, 1.0, 10.0, 1000.0])
def test_leave_one_out_is_exact_where_rows_are_alike(rows, pairs, intercept, time):
    rng = RNG(0)
    K, y = circulant(rows, pairs, rng), rng.standard_normal(rows) + 1
    found = stopping_curve(path_of(K, y, intercept), [time]).leave_one_out[0]
    assert found == pytest.approx(np.mean(left_out(K, y, time, intercept) ** 2), rel=1e-11)


@pytest.mark.parametrize("dim", [20, 90])
def test_leave_one_out_is_close_on_rows_that_differ(dim):
    """Mean over 10 data sets of T = 60 rows within 5 %, as close as a ridge's GCV is to its leave-one-out; the ratio
    mean((y - ŷ)²) / (1 - tr H / T)² is twice too large for T < d."""
    ratios = []
    for rng in map(RNG, np.random.SeedSequence(1).spawn(10)):
        X = rng.standard_normal((60, dim))
        y, K = X @ rng.standard_normal(dim) / np.sqrt(dim) + rng.standard_normal(60), X @ X.T
        exact = np.mean(left_out(K, y, 5.0, False) ** 2)
        curve = stopping_curve(path_of(K, y), [5.0])
        residual = y - flow_predictions(K, K, y, 5.0, 60)
        naive = np.mean(residual**2) / (1 - curve.degrees_of_freedom[0] / 60) ** 2
        ratios.append([curve.leave_one_out[0] / exact, naive / exact])
    ours, naive = np.mean(ratios, axis=0)
    assert ours == pytest.approx(1, abs=0.05)
    assert dim < 60 or naive > 1.8


def test_leave_one_out_estimates_the_risk_that_the_ratio_of_gcv_misses_by_factors():
    """d = 120, T = 100, t = 30, isotropic, against the exact curve: within 4 standard errors of 40 data sets plus 2 %
    (finite size), where the ratio is more than twice as large. False alarms: 6e-5."""
    found = []
    for rng in map(RNG, np.random.SeedSequence(2).spawn(40)):
        X = rng.standard_normal((100, 120))
        y = X @ rng.standard_normal(120) / np.sqrt(120) + 0.5 * rng.standard_normal(100)
        path = path_of(X @ X.T, y)
        curve = stopping_curve(path, [30.0])
        residual = np.exp(-30.0 * path.values / 100) ** 2 @ path.coordinates[:, 0] ** 2 / 100
        found.append([curve.leave_one_out[0], residual / (1 - curve.degrees_of_freedom[0] / 100) ** 2])
    (ours, naive), (error, _) = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(40)
    source = mc.truth(mc.isotropic(120)).label(100, noise=0.5)
    exact = mc.predict(mc.fit(source, filter=mc.GradientFlow(30.0))).test_error + 0.25
    assert abs(ours - exact) < 4 * error + 0.02 * exact
    assert naive > 2 * exact


def closed_contour(values, null, rows, time, at):
    """h(k) = 1 - ∮ g(x) κ̂(-x)/(k - x) dx/(2πi) on an ellipse around the spectrum, without an intercept."""
    top, left = values.max() / rows * 1.2, -min(0.3, 2 / time)
    angle = 2 * np.pi * (np.arange(4000) + 0.5) / 4000
    middle, half, height = (top + left) / 2, (top - left) / 2, -left
    x = middle + half * np.cos(angle) + 1j * height * np.sin(angle)
    dx = (-half * np.sin(angle) + 1j * height * np.cos(angle)) / (1j * 4000)
    kappa = rows / (np.sum(1 / (values / rows - x[:, None]), axis=1) - null / x)
    g = (1 - np.exp(-time * x)) / x
    return 1 - np.sum((dx * g * kappa)[:, None] / (at - x[:, None]), axis=0).real


@pytest.mark.parametrize("dim", [25, 60])
@pytest.mark.parametrize("time", [0.5, 7.0, 60.0])
def test_filter_of_leave_one_out_agrees_with_a_closed_contour(dim, time):
    X = RNG(3).standard_normal((40, dim)) * np.arange(1, dim + 1) ** -0.5
    path = path_of(X @ X.T, RNG(4).standard_normal(40))
    k = np.append(path.values / 40, np.zeros(path.null))
    expected = closed_contour(path.values, path.null, 40, time, k)
    for i in (0, len(path.values) - 1, len(k) - 1):  # one direction at a time shows h(k)² itself
        ours = RidgePath(path.values, np.eye(len(path.values))[:, [min(i, len(path.values) - 1)]], 0.0, 40, path.null)
        if i >= len(path.values):
            ours = RidgePath(path.values, 0 * ours.coordinates, 1.0, 40, path.null)
        assert 40 * stopping_curve(ours, [time]).leave_one_out[0] == pytest.approx(expected[i] ** 2, rel=1e-9)


@pytest.mark.parametrize("dim", [25, 60])
def test_no_training_leaves_the_mean_and_endless_training_is_no_ridge(dim):
    rng = RNG(5)
    X, y = rng.standard_normal((40, dim)), rng.standard_normal(40) + 3
    for intercept in (False, True):
        path = path_of(X @ X.T, y, intercept)
        curve = stopping_curve(path, [0.0, 1e7])
        null = y - (y.sum() - y) / 39 if intercept else y
        _, gcv, df = path(np.array([0.0]))
        np.testing.assert_allclose(curve.leave_one_out, [np.mean(null**2), gcv[0]], rtol=1e-6)
        np.testing.assert_allclose(curve.degrees_of_freedom, [0, df[0]], rtol=1e-6)
    model = CollapseAwareGradientFlow(times=[1e7]).fit(X, y)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-6)


# the correction


def test_least_squares_generators_are_priced_at_the_trace_of_the_hat_matrix():
    path = path_of(np.diag(np.geomspace(1e-6, 50, 30)), np.ones(30))
    correction = least_squares_correction([(0.3, Provenance()), (0.7, Provenance(4, 90, 0.5))], 30)
    curve = stopping_curve(path, np.geomspace(1e-3, 1e6, 19), correction.slope)
    price = 2 * 0.7**2 * 4 * 0.5**2 / (90 - 30 - 1)
    np.testing.assert_allclose(curve.correction, price * curve.degrees_of_freedom, rtol=1e-11, atol=1e-12)


def test_complex_ridges_reach_the_population_curve_of_the_flow():
    """Shares kept of every eigendirection, at κ̂ of one sample, against the simulated mean of 400 fits without noise;
    no share is off by 0.03 (standard errors are 0.005 at most)."""
    s = np.repeat([1.0, 0.1], 30)
    X = RNG(6).standard_normal((90, 60)) * np.sqrt(s)
    path = path_of(X @ X.T, np.ones(90))
    kept = []
    for direction in (0, 59):

        def share(kappa, df, s=s[direction]):
            return s / (s + kappa)

        kept.append(stopping_curve(path, [0.3, 3.0, 30.0], share).correction)
    found = np.zeros((2, 3))
    for rng in map(RNG, np.random.SeedSequence(7).spawn(100)):
        Z = rng.standard_normal((90, 60)) * np.sqrt(s)
        k, V = np.linalg.eigh(Z.T @ Z / 90)
        for j, time in enumerate((0.3, 3.0, 30.0)):
            diagonal = (V**2) @ -np.expm1(-time * k)
            found[:, j] += [diagonal[:30].mean() / 100, diagonal[30:].mean() / 100]
    np.testing.assert_allclose(kept, found, atol=0.03)
