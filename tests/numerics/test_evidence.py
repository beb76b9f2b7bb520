"""The evidence of rows about truth and teachers, by the dense Gaussian, by the normal equations and by differences."""

import numpy as np
import pytest
from scipy.linalg import solve_triangular
from scipy.optimize import approx_fprime

from modelcollapse.numerics.mixes import evidence
from modelcollapse.numerics.mixes.likelihood import samples
from modelcollapse.numerics.mixes.moments import rows_of
from modelcollapse.validation import mix_study
from modelcollapse.validation.studies.mixes import LINEAR_TEACHERS, draw

THETA = np.array([0.2, -0.5, -1.0, -2.0, -2.0, 0.5, -1.5, 0.3, -1.0, -0.2, -0.7])


def dense(X, y, origin, rows, problem, theta):
    """Log density of all labels and the posterior mean of (intercept, slopes), from the covariance of the rows."""
    first, second = np.exp(theta[0]) * problem.signal, np.exp(theta[10]) * problem.second
    prior = first + second
    prior[0] = problem.signal[0]
    held = first / (first + second) if problem.missed else np.ones(len(prior))
    holds = np.array([np.ones(len(prior)), held, held])
    lost = [np.zeros(len(prior))] + [np.exp(theta[4 + 4 * g]) / problem.variances for g in range(2)]
    powers = np.exp([0.0, theta[5], theta[9]])
    Z = np.column_stack([np.ones(len(X)), (X - rows.offset) @ rows.rotation])
    kept = np.array([(1 + x) ** -h for x, h in zip(lost, powers, strict=True)])
    seen = Z * (kept * holds)[origin]
    covariance = seen * prior @ seen.T + np.diag(np.exp(theta[[1, 3, 7]])[origin])
    for g in range(2):
        at = np.flatnonzero(g + 1 == origin)
        own = np.exp(theta[2 + 4 * g]) * problem.own / (1 + lost[g + 1]) ** 2 + kept[g + 1] ** 2 * first * (1 - held)
        covariance[np.ix_(at, at)] += Z[at] * own @ Z[at].T
    return log_density(covariance, y), prior[:, None] * seen.T @ np.linalg.solve(covariance, y)


def log_density(covariance, y):
    """Of the columns of y (N, k), beside the constant."""
    factor = np.linalg.cholesky(covariance)
    squares = np.sum(solve_triangular(factor, y, lower=True) ** 2)
    return -squares / 2 - y.shape[1] * np.log(factor.diagonal()).sum()


def problem_of(rows, shape, given, most=evidence.MOST):
    """A Problem on the first directions, labels in their own unit."""
    size = min(most, len(rows.variances))
    moments = [m._replace(gram=m.gram[: size + 1, : size + 1], cross=m.cross[: size + 1]) for m in rows.moments]
    seen = evidence._Seen(samples(moments, evidence._few(rows, size)), rows.variances[:size], np.ones(2))
    return evidence._problem(seen, seen, shape, given)


def likelihood(problem, theta):
    """The Posterior, whose log evidence does without the prior of θ."""
    post = evidence.posterior(problem, theta)
    return post._replace(log_evidence=post.log_evidence + evidence._prior(problem, theta)[0])


def many_of(largest):
    """Three and four rows of two origins beside forty of the third, in twenty directions; or about as many of each, in
    six."""
    counts, dim = ([25, 40, 40], 6) if largest is None else (np.insert([3, 4], largest, 40), 20)
    rng, origin = np.random.default_rng(0), np.repeat([0, 1, 2], counts)
    X = rng.standard_normal((len(origin), dim)) * np.arange(1, dim + 1) ** -0.7 + 0.3
    w, delta = rng.standard_normal((2, dim, 2))
    y = X @ w + 1 + 0.5 * rng.standard_normal((len(X), 2))
    y[origin == 1] = X[origin == 1] @ (0.8 * w + 0.3 * delta) + 1
    return X, y, counts


SECONDS = [(0.5, -1.0, "fine"), (0.0, 0.0, ""), (0.5, -1.0, "missed")]
FEW = [None, 0, 2]  # the origin that all but a few rows have, if there is one


def rows_where(few):
    X, y, counts = many_of(few)
    origin = np.repeat([0, 1, 2], counts)
    rows = rows_of(X, y, origin)
    assert [one.total is not None for one in problem_of(rows, SECONDS[0], {}).samples] == [g == few for g in range(3)]
    return X, y, origin, rows


@pytest.mark.parametrize("few", FEW)
@pytest.mark.parametrize("shape", SECONDS)
def test_evidence_and_posterior_are_those_of_the_dense_gaussian(shape, few):
    X, y, origin, rows = rows_where(few)
    problem = problem_of(rows, shape, {})
    found = likelihood(problem, THETA)
    log, mean = dense(X, y, origin, rows, problem, THETA)
    assert found.log_evidence == pytest.approx(log, rel=1e-10)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-8, atol=1e-10)
    for j in (4, 10)[: 1 + bool(shape[2])]:  # a control: every hyperparameter is felt
        assert abs(dense(X, y, origin, rows, problem, THETA + np.eye(11)[j] * 0.1)[0] - log) > 1e-3


@pytest.mark.parametrize("few", FEW)
@pytest.mark.parametrize("corner", [{0: -16, 1: -16, 10: 6}, {3: -16, 2: 3}, {1: -16}])
def test_evidence_where_labels_have_hardly_any_noise(corner, few):
    """Sums of squares over the noise are 1e8 times the evidence: they may not be subtracted."""
    X, y, origin, rows = rows_where(few)
    theta = THETA.copy()
    theta[list(corner)] = list(corner.values())
    problem = problem_of(rows, SECONDS[2], {})
    assert likelihood(problem, theta).log_evidence == pytest.approx(
        dense(X, y, origin, rows, problem, theta)[0], rel=1e-6
    )


@pytest.mark.parametrize("seen", [evidence.MOST, 4])
@pytest.mark.parametrize("few", FEW)
@pytest.mark.parametrize(("known", "second"), [(False, "fine"), (True, "fine"), (False, "missed"), (True, "missed")])
def test_gradient_of_the_evidence(known, second, few, seen):
    *_, rows = rows_where(few)
    size = len(rows.variances) + 1
    given = {2: evidence.Known(np.linspace(1, 0.5, size), np.linspace(0.1, 0.4, size))} if known else {}
    problem = problem_of(rows, (0.5, -1.0, second), given, seen)
    slopes = evidence.negative(problem, THETA)[1]
    numeric = approx_fprime(THETA, lambda theta: evidence.negative(problem, theta)[0], 1e-6)
    np.testing.assert_allclose(slopes, numeric, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("few", FEW)
@pytest.mark.parametrize("shape", SECONDS)
def test_posteriors_are_those_of_truth_and_errors_together(few, shape):
    """(w, δ_1, δ_2) by the normal equations: the truth, what labels are wrong by, and the informations of origins."""
    *_, rows = rows_where(few)
    problem = problem_of(rows, shape, {})
    post, size = likelihood(problem, THETA), len(problem.signal)
    origins = [evidence._teacher(problem, THETA, g, *truth_and_second(problem)) for g in range(2)]
    eye, none = np.eye(size), np.zeros((size, size))
    through = [np.hstack([eye, none, none])]
    through += [np.hstack([np.diag(one.factors), *np.roll([eye, none], g, axis=0)]) for g, one in enumerate(origins)]
    noises = np.exp(THETA[[1, 3, 7]])
    information = np.diag(1 / np.concatenate([post.prior, *(one.own for one in origins)]))
    information += sum(H.T @ m.gram @ H / s for H, m, s in zip(through, rows.moments, noises, strict=True))
    covariance = np.linalg.inv(information)
    mean = covariance @ sum(H.T @ m.cross / s for H, m, s in zip(through, rows.moments, noises, strict=True))
    for g, (gap, spread) in enumerate([(post.mean, post.covariance), *post.errors]):
        seen = through[g] - through[0] * (g > 0)
        np.testing.assert_allclose(gap, seen @ mean, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(spread, seen @ covariance @ seen.T, rtol=1e-7, atol=1e-9)
    whole = np.linalg.inv(np.diag(1 / post.prior) + sum(post.informations))
    np.testing.assert_allclose(whole, post.covariance, rtol=1e-7, atol=1e-9)


def truth_and_second(problem):
    """Variances of the truth, and the share of its second term."""
    first, second = np.exp(THETA[0]) * problem.signal, np.exp(THETA[10]) * problem.second
    first[0] = problem.signal[0]
    return first + second, second / (first + second)


def test_directions_that_rounding_has_mixed_are_not_seen():
    """Of a smooth kernel the small directions are correlated by rounding: what the others leave of the sum is the
    largest origin's moments along those before them, and no longer with all."""
    regime = LINEAR_TEACHERS[0]
    found = draw(regime, 20, np.random.default_rng(0))
    rows = rows_of(mix_study._features(regime, found.X).values, found.y[:, None], found.origin)
    total = sum(moment.rows for moment in rows.moments)
    assert 200 < rows.uncorrelated < len(rows.variances)
    gaps = []
    for size in (rows.uncorrelated, len(rows.variances)):
        moments = [m._replace(gram=m.gram[: size + 1, : size + 1], cross=m.cross[: size + 1]) for m in rows.moments]
        largest, lengths = samples(moments, True)[1], np.sqrt(total * np.append(1, rows.variances[:size]))
        left = np.diag(largest.total) - largest.root @ largest.root.T
        gaps.append(np.abs((left - moments[1].gram) / lengths / lengths[:, None]).max())
    assert gaps[0] < 1e-8 < gaps[1]
    assert evidence._directions(rows) == rows.uncorrelated


def test_a_maximum_counts_once():
    one, near, far = np.zeros(3), np.full(3, 0.5), np.array([0.0, 2.0, 0.0])
    found = evidence._apart([(near, 1.0), (one, 3.0), (far, 2.0)])
    assert [log_evidence for _, log_evidence in found] == [3.0, 2.0]
