"""Spectra of data: covariances, Gram matrices and samples, and the noise of targets, which is no signal."""

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.theory.populations import data as data_spectra
from modelcollapse.theory.spectra import from_covariance, from_gram, from_samples

RNG = np.random.default_rng(7)


def test_covariance_is_rotation_invariant():
    s, w = np.array([3.0, 1.0, 0.2, 0.0]), np.array([1.0, -2.0, 0.5, 4.0])
    rotation = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
    spectrum = from_covariance(rotation @ np.diag(s) @ rotation.T, rotation @ w)
    assert np.allclose(spectrum.eigenvalues, s, atol=1e-14)
    assert np.allclose(spectrum.signal, w**2)
    assert spectrum.dim == 3


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (20, 20)])
@pytest.mark.parametrize("rank", [None, 3])
def test_samples_and_their_gram_agree(shape, rank):
    """Wide and tall inputs, full rank and rank 3, against the kernel matrix and the least-squares fit."""
    inputs, targets = RNG.standard_normal(shape), RNG.standard_normal(shape[0])
    if rank:
        inputs = inputs[:, :rank] @ RNG.standard_normal((rank, shape[1]))
    spectrum, gram = from_samples(inputs, targets), from_gram(inputs @ inputs.T, targets)
    weights, *_ = np.linalg.lstsq(inputs, targets, rcond=None)
    assert spectrum.dim == gram.dim == (rank or min(shape))
    assert np.allclose(spectrum.eigenvalues, gram.eigenvalues, rtol=1e-9)
    assert np.allclose(spectrum.signal, gram.signal, rtol=1e-6)
    assert spectrum.signal.sum() == pytest.approx(weights @ weights, rel=1e-9)
    assert spectrum.unexplained == pytest.approx(np.mean((targets - inputs @ weights) ** 2), abs=1e-12)
    assert spectrum.label_variance + spectrum.unexplained == pytest.approx(np.mean(targets**2), rel=1e-12)
    assert spectrum.trace == pytest.approx(np.sum(inputs**2) / shape[0])


def test_kernel_by_name():
    pytest.importorskip("sklearn")
    inputs, targets = RNG.standard_normal((30, 3)), RNG.standard_normal(30)
    squared = ((inputs[:, None] - inputs) ** 2).sum(-1)
    assert np.allclose(
        from_samples(inputs, targets, "rbf", gamma=0.3).eigenvalues,
        from_gram(np.exp(-0.3 * squared), targets).eigenvalues,
        rtol=1e-6,
        atol=1e-15,
    )
    with pytest.raises(ValueError, match=r"'rfb' is unknown.*rbf"):
        from_samples(inputs, targets, "rfb")
    with pytest.raises(TypeError, match="does not take"):
        from_samples(inputs, targets, "rbf", gama=1.0)


def test_kernels_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.metrics", None)
    assert from_samples(np.eye(2), [1.0, 2.0]).dim == from_samples(np.eye(2), [1.0, 2.0], "rbf").dim == 2
    with pytest.raises(ImportError, match=r"modelcollapse\[estimator\]"):
        from_samples(np.eye(2), [1.0, 2.0], "laplacian")


def test_unexplained_survives():
    full = from_gram(np.diag([1.0] * 300 + [0.0]), np.ones(301))
    assert full.unexplained == pytest.approx(1 / 301)
    for other in (full.compress(), full.merge(), full.expand()):
        assert other.unexplained == full.unexplained
    assert full.replace_leaves(full.leaves) == full


def noisy(rows, rng):
    """Targets with noise of standard deviation 1 on a smooth function of three inputs."""
    inputs = rng.uniform(-1, 1, (rows, 3))
    return inputs, np.sin(3 * inputs[:, 0]) + inputs[:, 1] + rng.standard_normal(rows)


@pytest.mark.parametrize("label_noise", [None, 1.0, "auto"])
def test_noise_of_targets_is_not_signal(label_noise):
    """A Gaussian kernel on 600 rows of noisy targets: the error of kernel ridge on 100 of them, against other labels,
    is predicted to 5 % (40 fits: 0.5 %; the noise that the 600 rows hold, not 1.0 itself) once it is taken out of the
    signal. Noise that counts twice, as signal and as noise, is 50 % off: the negative control."""
    pytest.importorskip("sklearn")
    import modelcollapse as mc

    rng = np.random.default_rng(18)
    inputs, targets = noisy(600, rng)
    kernel = np.exp(-0.5 * ((inputs[:, None] - inputs) ** 2).sum(-1))
    errors = []
    for _ in range(40):
        train, test = np.split(rng.permutation(600), [100])
        dual = np.linalg.solve(kernel[np.ix_(train, train)] + 1.0 * np.eye(100), targets[train])
        errors.append(np.mean((targets[test] - kernel[np.ix_(test, train)] @ dual) ** 2))
    spectrum = from_gram(kernel, targets, label_noise=label_noise)
    assert spectrum.label_variance + spectrum.unexplained == pytest.approx(np.mean(targets**2), rel=1e-12)
    noise = 1.0 if label_noise is None else np.sqrt(spectrum.unexplained)
    student = mc.fit(mc.truth(spectrum).label(100, noise=noise), ridge=0.01)
    ratio = (mc.predict(student).test_error + noise**2) / np.mean(errors)
    if label_noise is None:
        assert ratio > 1.4
    else:
        assert ratio == pytest.approx(1.0, abs=0.05)
        assert spectrum.unexplained == pytest.approx(1.0, rel=0.15)


def test_estimated_noise_is_the_noise_on_average():
    """Mean of 20 estimates from 300 rows within 10 % of 1, three standard errors; without noise it is small."""
    pytest.importorskip("sklearn")
    found, silent = [], []
    for rng in map(np.random.default_rng, range(20)):
        inputs, targets = noisy(300, rng)
        found.append(from_samples(inputs, targets, "rbf", gamma=0.5, label_noise="auto").unexplained)
        clean = np.sin(3 * inputs[:, 0]) + inputs[:, 1]
        silent.append(from_samples(inputs, clean, "rbf", gamma=0.5, label_noise="auto").unexplained)
    assert np.mean(found) == pytest.approx(1.0, abs=0.1)
    assert max(silent) < 1e-3


def test_residual_level_counts_the_directions_that_were_fitted():
    """30 strong directions of 60 rows: the residual over 30, mean of 200 draws within 8 % (four errors)."""
    rng, found = np.random.default_rng(6), []
    for _ in range(200):
        noise = rng.standard_normal(60) / np.sqrt(60)
        found.append(data_spectra.residual_level(np.ones(30), (10 + noise[:30]) ** 2, noise[30:] @ noise[30:], 30))
    assert np.mean(found) == pytest.approx(1.0, abs=0.08)


def test_signal_without_noise_is_positive_and_nearly_unbiased():
    """500 draws of noise on a known signal: single directions come back to four standard errors, and of the noise in
    the rest at most a tenth is left; clipping every direction at zero, the negative control, leaves two fifths."""
    signal, noise = np.append([5.0, 3.0, 1.0], np.zeros(397)), 0.1
    draws = np.random.default_rng(5).standard_normal((500, 400))
    energies = (np.sqrt(signal) + np.sqrt(noise) * draws) ** 2
    left = np.array([data_spectra.without_noise(row, noise) for row in energies])
    assert (left >= 0).all()
    assert (left <= energies).all()
    error = np.std(energies[:, :3], axis=0) / np.sqrt(500)
    assert (abs(left[:, :3].mean(axis=0) - signal[:3]) < 4 * error).all()
    assert left[:, 3:].sum(axis=1).mean() < 0.1 * 397 * noise
    assert np.maximum(energies - noise, 0)[:, 3:].sum(axis=1).mean() > 0.4 * 397 * noise


@pytest.mark.parametrize(
    ("label_noise", "error", "words"),
    [
        (-1.0, ValueError, "label_noise = -1.0 is outside"),
        (5.0, ValueError, r"label_noise = 5.0 is more than the root mean square 1\.73.* of the targets"),
        ("some", ValueError, "label_noise = 'some'; give a standard deviation"),
        (True, TypeError, "label_noise = True is a bool"),
    ],
)
def test_bad_label_noise(label_noise, error, words):
    with pytest.raises(error, match=words):
        from_samples(np.eye(3), np.full(3, np.sqrt(3.0)), label_noise=label_noise)


@pytest.mark.parametrize(
    ("name", "build"),
    [("inputs", from_samples), ("gram", from_gram), ("covariance", from_covariance), ("covariance", mc.gaussian)],
)
def test_sparse_inputs_are_refused_with_the_remedy(name, build):
    sparse = pytest.importorskip("scipy.sparse")
    for matrix in (sparse.csr_matrix(np.eye(3)), sparse.coo_array(np.eye(3))):
        with pytest.raises(TypeError, match=rf"{name} is a sparse matrix; give a dense array, {name}.toarray\(\)"):
            build(matrix, np.ones(3))
