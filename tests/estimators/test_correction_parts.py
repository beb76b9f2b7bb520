"""The parts of the correction for least-squares generators: leverage, posterior risk, label noise."""

import numpy as np
import pytest

from modelcollapse.numerics.provenance import corrected_risk
from modelcollapse.numerics.provenance.corrected_risk import (
    EXPONENTS,
    SIGNAL,
    Provenance,
    least_squares_correction,
    posterior_risk,
)
from modelcollapse.numerics.provenance.leverage import relative_leverage
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.numerics.provenance.source_conditions import (
    label_noise_variance,
    plug_in_correction,
    population_spectrum,
)
from modelcollapse.theory.populations.resolved_directions import of_features

RNG = np.random.default_rng


def scale_mixture(rows, dim, rng):
    """Elliptical inputs, unit covariance: one row in five is three times as long as the others."""
    scale = np.where(rng.random(rows) < 0.2, 3.0, 1.0)
    return rng.standard_normal((rows, dim)) * (scale / np.sqrt(0.2 * 9 + 0.8))[:, None]


def basis(X):
    return np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0]


@pytest.mark.parametrize(("rows", "dim", "samples"), [(100, 10, 59), (60, 13, 26), (120, 80, 159), (90, 20, 400)])
def test_gaussian_inputs_have_relative_leverage_one(rows, dim, samples):
    """Mean over 30 input sets, within four standard errors; two-sided chance of a false alarm 6e-5 each."""
    rng = RNG(0)
    found = np.array([relative_leverage(basis(rng.standard_normal((rows, dim))), samples) for _ in range(30)])
    assert abs(found.mean() - 1) < 4 * found.std(ddof=1) / np.sqrt(30)


@pytest.mark.parametrize("samples", [25, 60, 200])
def test_heavy_tails_are_measured_as_they_are_simulated(samples):
    """E tr Σ A^-1 of fresh fits against the measurement on 150 rows, four standard errors and, where it is
    extrapolated (200 rows), 2 %. The Gaussian value 1 is rejected: the negative control."""
    rng, dim = RNG(1), 10
    direct = []
    for _ in range(1500):
        A = scale_mixture(samples + 1, dim, rng)
        A = A - A.mean(axis=0)
        direct.append(np.trace(np.linalg.inv(A.T @ A)) * (samples - dim - 1) / dim)
    measured = [relative_leverage(basis(scale_mixture(150, dim, rng)), samples) for _ in range(60)]
    error = np.hypot(np.std(direct) / np.sqrt(1500), np.std(measured) / np.sqrt(60))
    allowed = 4 * error + 0.02 * (samples > 100)
    assert abs(np.mean(direct) - np.mean(measured)) < allowed
    assert np.mean(direct) - 1 > allowed


def test_leverage_is_that_of_the_span_and_needs_room():
    rng = RNG(2)
    X = scale_mixture(80, 6, rng)
    mixed = X @ rng.standard_normal((6, 6))
    assert relative_leverage(basis(X), 30) == pytest.approx(relative_leverage(basis(mixed), 30), rel=1e-9)
    assert relative_leverage(basis(X[:14]), 30) == 1.0


def few_directions(rng, rows=60):
    values = np.array([90.0, 40.0, 5.0])
    coordinates = np.array([[6.0], [-2.0], [2.5]])
    return RidgePath(values, coordinates, rest=0.7 * 56, rows=rows, null=56)


def test_posterior_risk_is_the_weighted_mean_over_draws_from_the_prior():
    """Second route: 400 000 draws of signal and exponent, weighted by the likelihood of the labels; five
    standard errors of the weighted mean at 5 ridges (chance of a false alarm below 3e-6). Half the
    generators' noise is rejected: the negative control."""
    rng, ridge, sigma0, price = RNG(3), np.geomspace(1e-3, 10, 5), 0.8, 0.05
    path = few_directions(rng)
    noise = path.rest / path.null + path.rows * price
    amplitude = sigma0 * rng.choice(np.geomspace(*SIGNAL, 25), 400_000)
    shape = path.values ** (1 + rng.choice(EXPONENTS, len(amplitude)))[:, None]
    theta = rng.standard_normal(shape.shape) * np.sqrt(amplitude[:, None] * path.rows * shape / shape.sum(1)[:, None])
    c = path.coordinates[:, 0]
    weight = np.exp(-np.sum((c - theta) ** 2, axis=1) / (2 * noise))
    keep = path.values / (path.values + path.rows * ridge[:, None])
    loss = np.sum((keep[:, None] * c - theta) ** 2, axis=2) / path.rows + path.rest / path.null
    mean = loss @ weight / weight.sum()
    error = np.sqrt(((loss - mean[:, None]) ** 2) @ weight**2) / weight.sum()
    assert np.all(np.abs(posterior_risk(path, ridge, sigma0, price) - mean) < 5 * error)
    assert np.any(np.abs(posterior_risk(path, ridge, sigma0, price / 2) - mean) > 10 * error)


def test_posterior_risk_takes_labels_at_their_word_where_generators_are_quiet():
    """No noise at all: the loss is that against the labels, zero at ridge 0."""
    path = RidgePath(np.array([9.0, 4.0]), np.array([[3.0], [1.0]]), rest=1e-12, rows=20, null=17)
    keep = path.values / (path.values + path.rows * 0.3)
    expected = ((1 - keep) ** 2 @ path.coordinates**2).sum() / path.rows
    np.testing.assert_allclose(posterior_risk(path, np.array([0.0, 0.3]), 1.0, 0.0), [0.0, expected], atol=1e-9)


@pytest.mark.parametrize(("rows", "times"), [(120, 1.2), (60, 3.0)])
def test_label_noise_is_not_the_error_of_the_fit(rows, times):
    """Slow signal, d = 80, means over 30 data sets: residuals (T = 120) are within 20 % of σ² = 0.01 (standard
    error 3.5 %), the fitted level (T = 60) cannot tell the smallest directions from noise and stays below 3 σ²;
    the smallest GCV is 2.3 and 5.5 times σ²."""
    s = np.arange(1.0, 81) ** -1.5
    rng, found, least = RNG(4), [], []
    for _ in range(30):
        X = rng.standard_normal((rows, 80)) * np.sqrt(s)
        y = X @ np.sqrt(np.arange(1.0, 81) ** -1.75 / s) + 0.1 * rng.standard_normal(rows)
        path = RidgePath.of(of_features(X, centre=False), y[:, None])
        _, kappa, gcv, df = path.curve()
        found.append(label_noise_variance(path, *population_spectrum(kappa, df, 80)))
        least.append(gcv.min())
    assert 0.8 < np.mean(found) / 0.01 < times
    assert np.mean(least) / 0.01 > 1.5 * times


def test_a_certain_contrast_overrules_the_label_noise():
    rows = corrected_risk.CleanRows(0.0, 1.0, label_noise_variance=1.0, kappa=(0.1, 0.2))
    assert rows.spread(5.0, 4.0) == 0.5
    assert rows.spread(20.0, 1.0) == 18.0


def test_two_routes_to_what_origins_disagree_by():
    """The closed form of least squares, and the plug-in whose generators shrink next to nothing; three origins of
    unequal shares, and the sum over pairs that it must be."""
    X = RNG(6).standard_normal((400, 20))
    y = X.sum(axis=1) + RNG(7).standard_normal(400)
    path = RidgePath.of(of_features(X), (y - y.mean())[:, None])
    _, kappa, _, df = path.curve()
    shares = (0.2, 0.5, 0.3)
    known, shrunk = (
        [(p, Provenance(n, 60, 0.5, ridge)) for p, n in zip(shares, (0, 1, 4), strict=True)] for ridge in (0.0, 1e-9)
    )
    exact = least_squares_correction(known, 20).disagreement
    v = 0.25 * 20 / (60 - 20 - 1) * np.array([0, 1, 4])
    pairs = sum(p * q * (v[i] + v[j]) / 2 for i, p in enumerate(shares) for j, q in enumerate(shares) if i != j)
    assert exact == pytest.approx(pairs)
    plug_in = plug_in_correction(path, *population_spectrum(kappa, df, 20), 20, shrunk).disagreement
    assert plug_in == pytest.approx(exact, rel=0.1)
