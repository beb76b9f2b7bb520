"""Ridge on random features: predicted moments against fits that are run, and the law of the sampler that draws them.

Simulations: 24 pipelines of one to three fits, every one of them drawn whole. A mean is accepted within the finite-size
band of `correction` and a family-wise interval; the family fails by chance with probability BUDGET.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import pytest
from feature_kernels import NUMBERS, atoms_of, kappa_of, one, pooled, readout, row, stepped, truth_of
from scipy import stats

from modelcollapse.numerics import steps
from modelcollapse.numerics.steps import pooled as pooling
from modelcollapse.validation import feature_fits
from modelcollapse.validation.designs import trapezoid
from modelcollapse.validation.feature_fits import feature_solution
from modelcollapse.validation.ridge_solutions import Block

pytestmark = pytest.mark.usefixtures("double_precision")
BUDGET = 1e-3
TRIALS = 250


# ---- pipelines of fits on random features, described once, predicted and run


class Fit(NamedTuple):
    """sources: (index of the label model, rows, noise) each; model 0 is the truth, model k the k-th fit."""

    sources: tuple
    features: float
    ridge: float


def predicted(eigenvalues, truth, fits, tests):
    """Test errors on each of `tests`, and the sum of the fits' `correction`."""
    atoms = atoms_of(eigenvalues, truth**2, tested=np.max(tests, 0))
    models, joint, size = [truth_of(atoms)], {(0, 0): np.zeros_like(atoms.eigenvalues)}, 0.0
    for k, fit in enumerate(fits, 1):
        parents = [parent for parent, _, _ in fit.sources]
        rows, noise = (np.array([[s[i]] for s in fit.sources], np.float64) for i in (1, 2))
        parts, samples, _ = pooling.shares(rows, np.ones_like(rows))
        below = {(g, h): joint[max(a, b), min(a, b)] for g, a in enumerate(parents) for h, b in enumerate(parents[:g])}
        label, doubt, _ = pooled(atoms, atoms.eigenvalues, parts, noise, tuple(models[p] for p in parents), below)
        new, learned, converged = stepped(
            atoms, atoms.eigenvalues, samples, one(fit.features), doubt, one(fit.ridge), True, label
        )
        assert converged.all()
        for older in range(k):
            pairs = [joint[max(p, older), min(p, older)] for p in parents]
            joint[k, older] = steps.combine([part[:, None] * learned for part in parts], pairs)
        joint[k, k] = new.variance
        models.append(new)
        size += correction(eigenvalues, float(samples[0]), fit.features, fit.ridge)
    return [float(sum(readout(atoms, row(tested), models[-1]))[0]) for tested in tests], size


def correction(eigenvalues, samples, features, ridge):
    """The first order in the inverse of what T and m leave; 0 for least squares on m ≥ d, exact at finite size."""
    kappa = float(kappa_of(eigenvalues, samples, features, ridge)[0])
    if kappa == 0:
        return 0.0
    p = eigenvalues / (eigenvalues + kappa)
    spare, unresolved = features - np.sum(p**2), np.sum(p * (1 - p))
    left = samples - p.sum() + (unresolved * (features - p.sum()) / spare if np.isfinite(features) else unresolved)
    return 1 / (left - 3) + 1 / (spare - 3)


def run(eigenvalues, truth, fits, trials, seed):
    """ŵ of the last fit in each trial, (trials, d)."""
    last = np.empty((trials, len(truth)))
    for b in range(trials):
        generator = np.random.default_rng((seed, b))
        models = [truth]
        for fit in fits:
            blocks = []
            for parent, rows, noise in fit.sources:
                design = generator.standard_normal((rows, len(truth))) * np.sqrt(eigenvalues)
                blocks.append(Block(design, design @ models[parent] + noise * generator.standard_normal(rows)))
            penalty = fit.ridge * sum(rows for _, rows, _ in fit.sources)
            models.append(feature_solution(generator, blocks, penalty, fit.features))
        last[b] = models[-1]
    return last


def clean(rows, features, ridge, noise=0.5):
    return (Fit(((0, rows, noise),), features, ridge),)


FLAT = (np.ones(60), np.random.default_rng(5).standard_normal(60) / 8)
STEEP = (NUMBERS**-1.3, NUMBERS**-0.3)
SHRINKING = Fit(((0, 40, 0.2),), np.inf, 0.01)  # T < d: also loses signal
SMALL = Fit(((0, 90, 0.2),), 35, 0.01)
KINDS = {
    "m < T": clean(120, 35, 0.02),
    "T < m": clean(35, 120, 0.02),
    "m = T < d": clean(45, 45, 0.02),
    "no ridge, m < d < T": clean(100, 30, 0.0),
    "no ridge, T < m < d": clean(25, 45, 0.0),
    "no ridge, T < d < m": clean(30, 110, 0.0),
    "no ridge, d < m, T": clean(100, 90, 0.0),
    "noise-free": clean(80, 40, 0.1, 0.0),
    "synthetic labels": (SHRINKING, Fit(((1, 90, 0.1),), 50, 0.02)),
    "labels of a small model": (SMALL, Fit(((1, 60, 0.1),), 80, 0.02)),
    "truth and a fit": (SHRINKING, Fit(((0, 40, 0.3), (1, 80, 0.1)), 45, 0.01)),
    "three sources, two from one fit": (SHRINKING, SMALL, Fit(((1, 30, 0.1), (2, 30, 0.3), (1, 20, 0.0)), 100, 0.02)),
}
CASES = list(itertools.product({"flat": FLAT, "steep": STEEP}.items(), KINDS.items()))
TESTED = {"flat": np.linspace(2, 0, 60), "steep": NUMBERS**-0.6}


@functools.cache
def drawn():
    """The pipeline of each case, its two test inputs, and mean and standard error of the test error on each."""
    found = []
    for seed, ((name, (s, truth)), (_, fits)) in enumerate(CASES):
        tests = (s, TESTED[name])
        errors = (run(s, truth, fits, TRIALS, seed) - truth) ** 2 @ np.transpose(tests)
        found.append(((s, truth), fits, tests, errors.mean(0), errors.std(0, ddof=1) / np.sqrt(TRIALS)))
    return found


def rejected(change=lambda fit: fit):
    """Which of the simulated means the predictions of changed pipelines do not allow, (cases, 2)."""
    quantile = stats.norm.isf(BUDGET / len(drawn()) / 4)
    found = []
    for problem, fits, tests, means, errors in drawn():
        values, size = predicted(*problem, [change(fit) for fit in fits], tests)
        found.append(np.abs(means - values) > quantile * errors + 0.6 * size * np.array(values))
    return np.array(found)


def test_moments_agree_with_running_the_fits():
    assert not rejected().any()


def more_features(fit):
    return fit._replace(features=1.5 * fit.features)


def no_noise(fit):
    return fit._replace(sources=tuple((parent, rows, 0.0) for parent, rows, _ in fit.sources))


@pytest.mark.parametrize(("wrong", "share"), [(more_features, 0.75), (no_noise, 0.6)])
def test_wrong_theories_are_rejected(wrong, share):
    """Not all can be: features beyond d change nothing without ridge, and one pipeline has no noise."""
    assert rejected(wrong).mean() > share


def test_the_mean_predictor_is_p_times_the_label_model():
    """Per direction, by χ² at BUDGET; with p = s/(s + κ') of another κ' it is rejected."""
    s, truth = STEEP
    (fit,) = clean(50, 40, 0.02)
    kappa = float(kappa_of(s, 50, 40, 0.02)[0])
    fitted = run(s, truth, (fit,), 600, 99)
    error = fitted.std(0, ddof=1) / np.sqrt(len(fitted))
    right, wrong = (np.sum(((fitted.mean(0) - s / (s + k) * truth) / error) ** 2) for k in (kappa, 1.2 * kappa))
    assert right < stats.chi2.isf(BUDGET, 60) < wrong


# ---- the sampler


def test_the_solution_minimises_its_objective(monkeypatch):
    generator = np.random.default_rng(0)
    sizes = [(9, 5, 4, 0.3), (4, 6, 9, 0.3), (9, 5, 7, 0.0), (4, 6, 5, 0.0), (9, 6, 3, 0.0)]
    for rows, dim, features, penalty in sizes:
        mixing = generator.standard_normal((features, dim)) / np.sqrt(features)
        monkeypatch.setattr(feature_fits, "trapezoid", lambda g, m, d, f=mixing: f * np.sqrt(m))
        blocks = [Block(generator.standard_normal((n, dim)), generator.standard_normal(n)) for n in (rows - 2, 2)]
        seen, labels = np.concatenate([b.rows for b in blocks]) @ mixing.T, np.concatenate([b.labels for b in blocks])
        stacked = np.concatenate([seen, np.sqrt(penalty) * np.eye(features)])
        v = np.linalg.pinv(stacked) @ np.concatenate([labels, np.zeros(features)])
        assert np.allclose(feature_solution(generator, blocks, penalty, features), mixing.T @ v)


@pytest.mark.parametrize("features", [6, 12, 25])
def test_bartlett_factors_have_the_law_of_plain_matrices(features, monkeypatch):
    """Two-sample Kolmogorov-Smirnov at BUDGET for each; another number of features is rejected."""
    s, truth = NUMBERS[:12] ** -1.0, np.ones(12)

    def errors(seed, draw, mix, count):
        monkeypatch.setattr(feature_fits, "trapezoid", mix)
        generator = np.random.default_rng(seed)
        found = []
        for _ in range(1500):
            rows = draw(generator, 18, 12) * np.sqrt(s)
            blocks = [Block(rows, rows @ truth + 0.3 * generator.standard_normal(len(rows)))]
            found.append(s @ (feature_solution(generator, blocks, 0.2, count) - truth) ** 2)
        return found

    def plain(generator, rows, dim):
        return generator.standard_normal((rows, dim))

    direct = errors(1, plain, plain, features)
    assert stats.ks_2samp(direct, errors(2, trapezoid, trapezoid, features)).pvalue > BUDGET
    assert stats.ks_2samp(direct, errors(3, trapezoid, trapezoid, features * 4 // 3)).pvalue < BUDGET


def test_no_end_of_features_is_plain_ridge_and_draws_nothing():
    rows = np.random.default_rng(0).standard_normal((7, 4))
    fitted = feature_solution(None, [Block(rows, rows[:, 0])], 0.5, np.inf)
    assert np.allclose(fitted, np.linalg.solve(rows.T @ rows + 0.5 * np.eye(4), rows.T @ rows[:, 0]))
