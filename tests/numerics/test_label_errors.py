"""What labels are wrong by: the mean by draws, the width by weighing points under the evidence, and how often the
interval holds the truth."""

import numpy as np
import pytest
from scipy.stats import norm, qmc

from modelcollapse.numerics.mixes import evidence, label_errors
from modelcollapse.numerics.mixes.choice import beliefs
from modelcollapse.numerics.mixes.moments import rows_of

DIM = 5


def mix(seed, real=30, fake=100, error=0.3):
    """Rows of a linear truth, real ones with noise and those of a model that is off; what its labels are wrong by."""
    rng = np.random.default_rng(seed)
    origin = np.repeat([0, 1], [real, fake])
    X, own = rng.standard_normal((real + fake, DIM)), error * rng.standard_normal(DIM)
    y = X @ np.ones(DIM) + np.where(origin == 0, rng.standard_normal(len(X)), X @ own)
    return rows_of(X, y[:, None], origin), own @ own


def test_the_mean_is_that_of_draws():
    rows, _ = mix(0)
    belief = beliefs(rows)
    rng, total = np.random.default_rng(1), 0.0
    for weight, one in zip(belief.weights, belief.posteriors, strict=True):
        gap, V = one.errors[0]
        draws = rng.multivariate_normal(gap[:, 0], belief.unit[0] ** 2 * V, 20_000)
        total += weight * np.mean(np.sum(draws * (draws @ belief.metric), axis=1))
    assert label_errors.mean_label_error(belief, 1) == pytest.approx(total, rel=0.02)
    assert label_errors.mean_label_error(belief, 1, unit=3.0) == pytest.approx(9 * total, rel=0.02)


def test_the_width_is_that_of_points_weighed_by_the_evidence():
    """A thousand points in place of 64: within 40 % for each of eight mixes, 15 % in the median."""
    ratios = []
    for seed in range(8):
        rows, _ = mix(seed)
        belief = beliefs(rows)
        ratios.append(np.sqrt(label_errors._of_sizes(rows, belief)[0]) / weighed_width(rows, belief))
    assert 0.6 < min(ratios)
    assert max(ratios) < 1.4
    assert np.median(ratios) == pytest.approx(1, rel=0.15)


def weighed_width(rows, belief, count=1024):
    """Standard deviation of log E e by Sobol points of a wide Gaussian, weighed by the evidence."""
    at = int(np.argmax(belief.weights))
    best, problem = belief.posteriors[at], evidence.problem_of(rows, belief.shapes[at])
    free = np.flatnonzero(best.theta > evidence.bounds(1)[0][0] + 0.1)
    H = np.array([[_curvature(problem, best.theta, i, j) for j in free] for i in free])
    values, vectors = np.linalg.eigh(H)
    z = norm.ppf(qmc.Sobol(len(free), seed=0).random(count))
    places = np.tile(best.theta, (len(z), 1))
    places[:, free] += 1.2 * z @ (vectors / np.sqrt(values)).T
    found = [evidence.posterior(problem, theta) for theta in places]
    logs = np.array([one.log_evidence for one in found]) + np.sum(z**2, axis=1) / 2
    weights = np.exp(logs - logs.max())
    gaps, covariances = (np.array([one.errors[0][part] for one in found]) for part in (0, 1))
    squares = np.einsum("njk,jl,nlk->n", gaps, belief.metric, gaps)
    errors = np.log(squares + np.tensordot(covariances, belief.metric, 2))
    return np.sqrt(np.average((errors - np.average(errors, weights=weights)) ** 2, weights=weights))


def _curvature(problem, theta, i, j, step=0.05):
    """A second derivative of the negative log evidence, from its values alone."""
    a, b = step * np.eye(len(theta))[[i, j]]
    value = [evidence.negative(problem, theta + s * a + t * b)[0] for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    return (value[0] - value[1] - value[2] + value[3]) / (4 * step**2)


def test_intervals_hold_the_truth(monkeypatch):
    """Nine tenths are claimed; that fewer than 28 of 40 hold it has a chance of 1e-4. With sizes taken for known far
    fewer do."""
    mixes = [mix(seed) for seed in range(40)]
    beliefs_of = [beliefs(rows) for rows, _ in mixes]

    def held():
        found = [
            label_errors.label_errors(rows, belief)[1] for (rows, _), belief in zip(mixes, beliefs_of, strict=True)
        ]
        return sum(low <= true <= high for (_, low, high), (_, true) in zip(found, mixes, strict=True))

    claimed = held()
    monkeypatch.setattr(label_errors, "_widths", lambda rows, belief: np.zeros(1))
    assert claimed >= 28
    assert held() < claimed - 5


@pytest.mark.parametrize(("spread", "even"), [(0.1, True), (10.0, False)])
def test_a_few_points_do_not_have_all_the_weight(spread, even):
    """With many origins ratios differ by powers of ten: 16 of 64 points must count; the order stays."""
    logs = spread * np.random.default_rng(0).standard_normal(64)
    weights, plain = label_errors.weights_of(logs), np.exp(logs) / np.exp(logs).sum()
    assert weights.sum() == pytest.approx(1)
    assert 1 / np.sum(weights**2) >= 16
    assert np.array_equal(np.argsort(weights), np.argsort(logs))
    assert np.allclose(weights, plain) == even
    assert (1 / np.sum(plain**2) >= 16) == even
