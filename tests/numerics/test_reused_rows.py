"""Fits that use earlier rows again: all rows and none are known formulas, rows by lot are simulated."""

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.numerics.equivalents.reused_rows import errors_of_reused_rows

D, ROUNDS, NOISE = 60, 4, 0.5
EIGENVALUES, WEIGHTS = np.arange(1.0, D + 1) ** -1.2, np.linspace(1.5, 0.1, D)
LISTED = mc.Spectrum(EIGENVALUES, WEIGHTS**2)
LATER = np.triu(np.ones((ROUNDS, ROUNDS)))
DRAWN = LATER / np.arange(1, ROUNDS + 1)


def predicted(chance, samples, ridge, noise=NOISE):
    rows = np.broadcast_to(np.asarray(samples, float), (1, ROUNDS))
    errors, converged = errors_of_reused_rows(
        LISTED, chance, rows, np.full((1, ROUNDS), noise), np.broadcast_to(ridge, (1, ROUNDS))
    )
    assert converged.all()
    return errors[0]


@pytest.mark.parametrize(("samples", "ridge"), [(40, 0.03), (90, 0.0), (30, 0.0), (90, 0.2)])
def test_no_old_row_is_a_chain_and_all_are_accumulated(samples, ridge):
    w0, rounds = mc.truth(LISTED), np.arange(1, ROUNDS + 1)
    chained = mc.predict(mc.chain(w0, rounds, samples, NOISE, ridge)).test_error
    np.testing.assert_allclose(predicted(np.eye(ROUNDS), samples, ridge), chained, rtol=1e-12)
    if ridge > 0 or samples > D:
        kept = mc.predict(mc.accumulate(w0, rounds, samples, NOISE, ridge * samples)).test_error
        np.testing.assert_allclose(predicted(LATER, samples, ridge / rounds), kept, rtol=1e-12)


def test_rounds_of_different_size_are_fits_on_different_rows():
    sizes, model, errors = [40.0, 80.0, 70.0, 160.0], mc.truth(LISTED), []
    for rows in sizes:
        model = mc.fit(model.label(rows, NOISE), ridge=0.02)
        errors.append(mc.predict(model).test_error)
    np.testing.assert_allclose(predicted(np.eye(ROUNDS), sizes, 0.02), errors, rtol=1e-12)


def simulated(samples, ridge, trials, seed):
    """Errors (trials, rounds) of ridge fits on `samples` rows drawn from all rows so far."""
    generator, errors = np.random.default_rng(seed), np.zeros((trials, ROUNDS))
    for trial in range(trials):
        inputs, labels, weights = np.zeros((0, D)), np.zeros(0), WEIGHTS
        for k in range(ROUNDS):
            fresh = generator.standard_normal((samples, D)) * np.sqrt(EIGENVALUES)
            inputs = np.vstack([inputs, fresh])
            labels = np.append(labels, fresh @ weights + NOISE * generator.standard_normal(samples))
            drawn = generator.permutation(len(labels))[:samples]
            X, y = inputs[drawn], labels[drawn]
            weights = np.linalg.solve(X.T @ X + ridge * samples * np.eye(D), X.T @ y)
            errors[trial, k] = np.sum(EIGENVALUES * (weights - WEIGHTS) ** 2)
    return errors


def on_fresh_rows(samples, ridge):
    """What the errors were if every fit drew fresh rows of the same labellers: no row is shared."""
    model, labellers, errors = mc.truth(LISTED), [], []
    for k in range(ROUNDS):
        labellers.append(model)
        model = mc.fit(*(author.label(samples / (k + 1), NOISE) for author in labellers), ridge=ridge)
        errors.append(mc.predict(model).test_error)
    return np.array(errors)


@pytest.mark.parametrize(("samples", "ridge"), [(120, 0.02), (40, 0.02)])
def test_simulated_subsampling(samples, ridge):
    """Growth over the first fit, in which most of the finite size (1/D) cancels: five standard errors (one false alarm
    in a million) and 1.5 % of finite size. The control forgets that fits share rows."""
    errors = simulated(samples, ridge, trials=300, seed=samples)
    growth = errors.mean(0) / errors[:, 0].mean()
    deviation = np.std(errors / errors[:, :1].mean() - growth * errors[:, :1] / errors[:, :1].mean(), axis=0) / np.sqrt(
        300
    )

    def agrees(theory):
        return np.abs(theory / theory[0] - growth) <= 5 * deviation + 0.015 * growth

    assert agrees(predicted(DRAWN, samples, ridge)).all()
    assert not agrees(on_fresh_rows(samples, ridge))[1:].any()


def test_where_fits_diverge():
    assert np.isinf(predicted(DRAWN, D, 0.0)).all()
    assert (predicted(DRAWN, D, 0.0, noise=0.0) == 0).all()
    np.testing.assert_allclose(predicted(DRAWN, 2 * D, np.inf), LISTED.label_variance, rtol=1e-12)
