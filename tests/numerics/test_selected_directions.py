r"""Selection along few directions beyond what `keep=` takes: two verifiers at once, intercepts, mixtures of Gaussians.

Inputs x = U a + x_⊥, E xxᵀ = Σ + U(A−G)Uᵀ and E yx = U b on the rows that are kept: with K = UᵀQU, K_2 = UᵀQ²U,

    c = [1 + (A−G)K]^{-1} b,  w̄ = QUc,  v = {E y² − 2bᵀKc + cᵀ[K − κK_2 + K(A−G)K]c}/(T_k − df_2),  Var ŵ = v s/(s+κ)².

Moments along the few directions are drawn, half a million rows each, which costs .3 %; ridge fits are really run.
Budgets are those of the theory's own checks and three standard errors.
"""

import numpy as np
import pytest
from scipy.stats import norm

import modelcollapse as mc

DRAWS = 500_000


def equivalent(s, U, G, a, y, rows, ridge, intercept=False):
    """Mean, deviations (d,) and intercept of a ridge fit on rows with coordinates a (N, k) and labels y (N,)."""
    center = a.mean(0) if intercept else np.zeros(a.shape[1])
    shift = y.mean() if intercept else 0.0
    moved, labels = a - center, y - shift
    A, b, square = moved.T @ moved / len(a), labels @ moved / len(a), np.mean(labels**2)
    kappa = mc.effective_ridge(mc.Spectrum(s, np.ones(len(s))), rows, ridge)
    Q = 1 / (s + kappa)
    K, K_2 = U.T @ (Q[:, None] * U), U.T @ (Q[:, None] ** 2 * U)
    c = np.linalg.solve(np.eye(len(b)) + (A - G) @ K, b)
    noise = square - 2 * b @ K @ c + c @ (K - kappa * K_2 + K @ (A - G) @ K) @ c
    mean = Q * (U @ c)
    v = noise / (rows - np.sum((s * Q) ** 2))
    return mean, np.sqrt(v * s) * Q, shift - mean @ U @ center


def solved(inputs, labels, ridge, intercept=False):
    center = inputs.mean(0) if intercept else 0 * inputs[0]
    shift = labels.mean() if intercept else 0.0
    X, y = inputs - center, labels - shift
    w = np.linalg.solve(X.T @ X + ridge * len(y) * np.eye(X.shape[1]), X.T @ y)
    return w, shift - w @ center


SPECTRA = {"isotropic": (np.ones(150), 0.05), "power law": (np.arange(1.0, 201) ** -0.8, 0.01)}


def directions(s, seed, turned):
    """The truth and models at angles to it, in the inner product of s, with independent errors."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(len(s))
    truth /= np.sqrt(s @ truth**2)
    found = [truth]
    for angle in turned:
        error = rng.standard_normal(len(s))
        error -= truth * (s @ (error * truth))
        found.append(np.cos(angle) * truth + np.sin(angle) * error / np.sqrt(s @ error**2))
    return np.array(found).T


def along(s, truth, w):
    return s @ (truth * w), np.sqrt(s @ w**2)


CHOICES = {
    "two verifiers": (lambda y, v, rng: (y == np.sign(v[:, 2])) & (y == np.sign(v[:, 3])), False),
    "one of two verifiers": (
        lambda y, v, rng: rng.random(len(y)) < ((y == np.sign(v[:, 2])) + 0.0 + (y == np.sign(v[:, 3]))) / 2,
        False,
    ),
    "one class is kept more often": (lambda y, v, rng: (y * v[:, 2] > 0) & (rng.random(len(y)) < 0.65 + 0.3 * y), True),
}


@pytest.mark.slow
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("name", CHOICES)
def test_filters_that_keep_does_not_take(name, spectrum):
    (s, ridge), (chosen, intercept) = SPECTRA[spectrum], CHOICES[name]
    V = directions(s, 5, (0.5, 0.6, 0.7))  # truth, labeller, verifiers
    G = V.T @ (s[:, None] * V)
    rng = np.random.default_rng(1)
    a = rng.standard_normal((DRAWS, 4)) @ np.linalg.cholesky(G).T
    y = np.sign(a[:, 1])
    kept = chosen(y, a, rng)
    rows, U = 900, (s[:, None] * V) @ np.linalg.inv(G)
    mean, deviation, offset = equivalent(s, U, G, a[kept], y[kept], rows * kept.mean(), ridge, intercept)
    predicted = np.array([along(s, V[:, 0], mean)[0], s @ mean**2 + s @ deviation**2, offset])
    found = []
    for _ in range(60):
        inputs = np.sqrt(s) * rng.standard_normal((rows, len(s)))
        scores = inputs @ V
        labels = np.sign(scores[:, 1])
        left = chosen(labels, scores, rng)
        w, b = solved(inputs[left], labels[left], ridge, intercept)
        found.append([along(s, V[:, 0], w)[0], s @ w**2, b])
    measured, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(60)
    slack = 0.016 * np.maximum(np.abs(predicted), 0.1) + 3 * error
    assert np.all(np.abs(measured - predicted) < slack), (measured, predicted, error)
    naive = equivalent(
        s, U, G, a, y, rows * kept.mean(), ridge
    )  # negative control: the same labels on rows left by chance
    naive = [along(s, V[:, 0], naive[0])[0], s @ naive[0] ** 2 + s @ naive[1] ** 2, naive[2]]
    assert np.any(np.abs(measured - naive) > 2 * slack)


def mixture_error(s, mu, w):
    return norm.cdf(-(w @ mu) / np.sqrt(s @ w**2))


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [1.0, 0.2, 0.0])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_chains_on_mixtures(spectrum, wrong):
    """x = ±μ + N(0, Σ), five generations of labels by the fit before, rows with the wrong class kept with a chance.

    Predicted models are drawn from their law, generation after generation, and compared with those that were fitted.
    """
    s, ridge = SPECTRA[spectrum]
    rng = np.random.default_rng(2)
    mu = rng.standard_normal(len(s)) * s
    mu *= 1.3 / np.sqrt(np.sum(mu**2 / s))
    G, rows, trials = np.diag([0.0, 1.0]), 700, 40

    def drawn(w):
        """A predicted generation, its labeller given."""
        tau = np.sqrt(s @ w**2)
        classes, z = rng.choice([-1.0, 1.0], DRAWS // 10), rng.standard_normal(DRAWS // 10)
        y = np.sign(classes * (w @ mu) + tau * z)
        kept = (y == classes) | (rng.random(len(y)) < wrong)
        a = np.stack([classes, z], 1)
        mean, deviation, _ = equivalent(
            s, np.stack([mu, s * w / tau], 1), G, a[kept], y[kept], rows * kept.mean(), ridge
        )
        return mean + deviation * rng.standard_normal(len(s))

    def fitted(w):
        classes = rng.choice([-1.0, 1.0], rows)
        inputs = classes[:, None] * mu + np.sqrt(s) * rng.standard_normal((rows, len(s)))
        y = np.sign(inputs @ w)
        kept = (y == classes) | (rng.random(rows) < wrong)
        return solved(inputs[kept], y[kept], ridge)[0]

    errors = np.empty((2, trials, 5))
    for way, step in enumerate((drawn, fitted)):
        for trial in range(trials):
            w = mu / s
            for generation in range(5):
                w = step(w)
                errors[way, trial, generation] = mixture_error(s, mu, w)
    predicted, measured = errors.mean(1)
    slack = 0.011 * measured + 3 * np.hypot(*errors.std(1)) / np.sqrt(trials)
    assert np.all(np.abs(predicted - measured) < slack), (predicted, measured)
    if not wrong:  # negative control: a verifier taken as one that makes all labels right
        z = rng.standard_normal((DRAWS // 10, 2)) * [0, 1] + rng.choice([-1.0, 1.0], (DRAWS // 10, 1)) * [1, 0]
        right = equivalent(s, np.stack([mu, np.sqrt(s)], 1), G, z, z[:, 0], rows * (1 - measured[-2]), ridge)
        naive = [mixture_error(s, mu, right[0] + right[1] * rng.standard_normal(len(s))) for _ in range(trials)]
        assert abs(measured[-1] - np.mean(naive)) > 1.5 * slack[-1]
