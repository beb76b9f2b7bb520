"""The same invariances on dense Gaussian inputs and on the rows of a data set, from a few random pipelines.

A student is fitted to a difference of models on two sources. Ridges, rows and weights span decades; what is wrong would
be wrong by more than 1e-7, which is what rounding leaves of ill-conditioned covariances.
"""

import numpy as np
import pytest

import modelcollapse as mc

SEEDS = range(8)
POOLS = {"a": np.arange(14), "b": np.arange(14, 24), "tested": np.arange(24, 30)}


def on_gaussian(rng):
    """A pipeline as a function of unit, loudness, order of sources, parts of the first one, last ridge."""
    dim = int(rng.integers(1, 6))
    one, other = rng.standard_normal((2, dim + 2, dim)) * 10.0 ** rng.uniform(-2, 2, dim)
    own, shifted, weights = one.T @ one, other.T @ other, rng.standard_normal(dim)
    rows, few, weight = (
        rng.choice([dim + 1e-6, 2 * dim, 0.5 * dim]),
        rng.choice([0.7, 10]) * dim,
        10.0 ** rng.uniform(-5, 5),
    )
    noise, ridge = rng.choice([0.0, 0.5]), rng.choice([1e-9, 0.1, 10]) * np.trace(own)

    def pipeline(unit=1.0, louder=1.0, order=1, parts=(1.0,), last=1.0):
        noises = louder * unit**0.5 * noise
        truth = mc.truth(mc.gaussian(unit * own, weights))
        teacher = mc.fit(truth.label(rows, noises), ridge=0.1 * ridge * unit)
        sources = [teacher.label(few * part, noises, weight=weight) for part in parts]
        sources.append(truth.label(7, noises, inputs=unit * shifted))
        student = mc.fit(*sources[::order], ridge=ridge * unit)
        return mc.fit((student - 0.3 * teacher).label(2 * rows, noises), ridge=np.multiply(last, ridge * unit)), {}

    return pipeline, weights @ own @ weights


def on_rows(rng):
    X = rng.standard_normal((30, 3))
    kernel = np.exp(-0.3 * ((X[:, None] - X) ** 2).sum(-1)) if rng.random() < 0.6 else X @ X.T + 1
    targets, noise, ridge = np.sin(2 * X[:, 0]), rng.choice([0.0, 0.5]), rng.choice([1e-6, 1e-3, 0.1])
    rows, few = rng.choice([5, 9, 14]), rng.choice([2, 8, 10])

    def pipeline(unit=1.0, louder=1.0, order=1, parts=(1.0,), last=1.0):
        data = mc.rows(unit * kernel, unit**0.5 * targets, kernel="precomputed", pools=POOLS)
        truth, noises = mc.truth(data), louder * unit**0.5 * noise
        teacher = mc.fit(truth.label(rows, noises, inputs="a"), ridge=0.1 * unit)
        sources = [teacher.label(few * part, noises, inputs="a") for part in parts]
        sources.append(truth.label(4, noises, weight=0.3, inputs="b"))
        return mc.fit(*sources[::order], ridge=np.multiply(last, ridge * unit)), {"inputs": "tested"}

    return pipeline, 1.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("population", [on_gaussian, on_rows])
def test_invariances(population, seed):
    pipeline, energy = population(np.random.default_rng(seed))

    def parts(**change):
        model, options = pipeline(**change)
        found = mc.predict(model, **options)
        return np.stack([found.test_error, found.bias, found.variance, found.clean])

    known = parts()
    assert np.all(known >= 0)
    for factor, change in ((4.0**6, {"unit": 4.0**6}), (1, {"order": -1}), (1, {"parts": (0.25, 0.75)})):
        np.testing.assert_allclose(parts(**change), factor * known, rtol=1e-7, atol=1e-13 * factor * energy)
    assert np.all(parts(louder=1.5)[[0, 3]] >= known[[0, 3]] * (1 - 1e-8) - 1e-13 * energy)
    np.testing.assert_allclose(parts(last=[1.0, 2.0])[:, 1], parts(last=2.0), rtol=1e-9, atol=1e-13 * energy)
