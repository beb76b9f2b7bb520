"""Spectra: what their atoms stand for, how they are compared, compressed, expanded and refused."""

import copy
import pickle

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.theory.populations import compression
from modelcollapse.theory.populations import data as data_spectra
from modelcollapse.theory.spectra import (
    Spectrum,
    from_covariance,
    from_gram,
    from_samples,
    isotropic,
    power_law,
)

X, Y = sympy.symbols("x y", positive=True)
RNG = np.random.default_rng(7)


def marchenko_pastur(count=400):
    return np.linalg.svd(RNG.standard_normal((count, 2 * count)), compute_uv=False) ** 2 / (2 * count)


HARD = {
    "power law": (np.arange(1.0, 20_001) ** -1.5, "s^0.7", 1.0),
    "fast decay": (np.exp(-0.03 * np.arange(20_000.0)), "flat", 1.0),
    "one per bin": (np.exp(-np.arange(600.0)), "random", 1.0),
    "bulk": (marchenko_pastur(), "random", 1.0),
    "bulk and spikes": (np.concatenate([marchenko_pastur(), [1e8, 30.0, 29.9]]), "spike", 1.0),
    "two clusters": (np.repeat([1, 1.5], 300) + np.repeat([1e-9, 1e-13], 300) * RNG.random(600), "flat", 1.0),
    "nearly equal": (1 + 1e-15 * RNG.integers(0, 9, 3000), "random", 1.0),
    "kernel scaled by 1e-12": (1e-12 * np.geomspace(1e-16, 1, 3000), "s^0.7", 1.0),
    "near the end of the floats": (np.geomspace(1e-300, 1e300, 30_000), "random", 1.0),
    "wild signal": (RNG.random(5000), "wild", 1.0),
    "wild multiplicities": (RNG.random(5000), "flat", 10 ** RNG.uniform(-12, 6, 5000)),
    "sparse signal": (RNG.random(40_000), "spike", 1.0),
    "no signal": (RNG.random(1000), "none", 1.0),
    "energy without multiplicity": (RNG.random(1000), "random", np.where(np.arange(1000) % 2, 1.0, 0.0)),
    "many zeros": (np.where(np.arange(1000) % 2, RNG.random(1000), 0.0), "random", 1.0),
}


def hard(name):
    s, signal, multiplicity = HARD[name]
    theta = {
        "flat": np.ones_like(s),
        "none": np.zeros_like(s),
        "s^0.7": s**0.7,
        "random": np.random.default_rng(1).random(s.size),
        "wild": 10 ** np.random.default_rng(1).uniform(-30, 30, s.size),
        "spike": np.where(np.arange(s.size) == s.size // 3, 5.0, 0.0),
    }[signal]
    return Spectrum(s, theta, multiplicity)


def functionals(spectrum, kappa):
    """Σ μ f(s), Σ θ f(s) over f with poles of order one to three at −κ, scaled to avoid overflow."""
    p = spectrum.eigenvalues / (spectrum.eigenvalues + kappa)
    q = kappa / (spectrum.eigenvalues + kappa)
    tests = np.stack([p, p**2, p * q, q**2, p**2 * q])
    return np.concatenate([np.sum(tests * spectrum.multiplicity, -1), np.sum(tests * spectrum.signal, -1)])


def deviation(one, two):
    s = one.eigenvalues[one.eigenvalues > 0]
    kappas = np.geomspace(max(s.min() * 1e-6, 1e-300), min(s.max() * 1e6, 1e300), 40)
    pairs = [(functionals(one, kappa), functionals(two, kappa)) for kappa in kappas]
    pairs.append(tuple(np.array([each.dim, each.trace, each.label_variance]) for each in (one, two)))
    # Sums below 1e-290 have lost digits to underflow in either spectrum.
    return max(np.max(np.abs(b - a)[a > 1e-290] / a[a > 1e-290], initial=0) for a, b in pairs)


@pytest.mark.parametrize("name", HARD)
def test_compression_keeps_every_functional(name):
    full = hard(name)
    few = full.compress()
    assert deviation(full, few) < 1e-12
    span = np.ptp(np.log(full.eigenvalues[full.eigenvalues > 0]))
    assert few.eigenvalues.size <= max(256, min(full.eigenvalues.size, 20 * (span / 2 + 2)))
    assert few.multiplicity.sum() == pytest.approx(full.multiplicity.sum(), rel=1e-13)
    assert few.signal.sum() == pytest.approx(full.signal.sum(), rel=1e-13)


def test_compression_follows_its_tolerance():
    full = hard("power law")
    sizes = [full.compress(tol).eigenvalues.size for tol in (1e-3, 1e-6, 1e-12)]
    assert sizes == sorted(sizes)
    for tol in (1e-3, 1e-6, 1e-9):
        assert deviation(full, full.compress(tol)) < tol


def test_compression_of_equal_eigenvalues_is_one_atom():
    few = Spectrum(np.full(1000, 0.3), np.arange(1000.0)).compress()
    assert few.eigenvalues.tolist() == [0.3]
    assert few.dim == 1000
    assert few.signal.sum() == np.arange(1000.0).sum()


def test_compression_returns_small_spectra_and_keeps_what_is_known():
    small = Spectrum([1.0, 2.0], 1.0)
    assert small.compress() is small
    assert power_law(1.5, 0.5).compress().dim == np.inf
    full = hard("bulk")
    few = full.compress()
    assert few.compress() is few
    assert few.expand() == full
    grid = Spectrum(np.stack([full.eigenvalues, np.ones(400)]), 1.0).compress()
    assert np.allclose(grid.dim, 400)
    assert grid.eigenvalues.shape[0] == 2
    assert grid.eigenvalues.shape[1] < 100


def test_compression_falls_back_when_its_check_fails(monkeypatch):
    """A rule that loses a part in 1e9 is caught by the check on the result."""
    right = compression._gauss

    def wrong(*given):
        nodes, weights = right(*given)
        return nodes, weights * (1 + 1e-9)

    monkeypatch.setattr(compression, "_gauss", wrong)
    full = hard("bulk")
    assert full.compress() is full


def test_merge_and_split():
    split = Spectrum([1.0, 2.0, 1.0, 0.0], [1.0, 0.0, 2.0, 1.0], [1.0, 3.0, 0.5, 1.0])
    merged = split.merge()
    assert merged == Spectrum([2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [3.0, 1.5, 1.0])
    assert deviation(split, merged) < 1e-15
    assert merged.dim == 4.5


def test_power_law_is_its_expansion():
    for beta, r, dim in ((1.3, 0.4, 1), (2.0, 1.0, 100), (1.05, 3.0, 5000), (1.0, 0.5, 5000), (0.05, 0.5, 3000)):
        atoms = power_law(beta, r, dim)
        assert deviation(atoms.expand(), atoms) < 1e-13
        assert atoms.expand().eigenvalues.size == dim


def test_expansion_of_atoms():
    spectrum = Spectrum([3.0, 1.0, 0.5], [2.0, 3.0, 0.0], [1, 3, 0]).expand()
    assert spectrum == Spectrum([3.0, 1.0, 1.0, 1.0], [2.0, 1.0, 1.0, 1.0])
    assert isotropic(50, 2.0).expand() == Spectrum(np.ones(50), 0.04)


@pytest.mark.parametrize(
    ("spectrum", "words"),
    [
        (power_law(1.5, 0.5), "infinitely many .* finite dim"),
        (isotropic(10**9), "1e\\+09 directions, more than limit = 20000"),
        (isotropic(2.5), "multiplicity 2.5"),
        (Spectrum([1.0, 2.0], [1.0, 1.0], [1.0, 0.0]), "atom 1 .* multiplicity 0"),
        (Spectrum([[1.0], [2.0]], 1.0), "one spectrum at a time"),
    ],
)
def test_what_cannot_be_expanded(spectrum, words):
    with pytest.raises(ValueError, match=words):
        spectrum.expand()


def test_grids_are_their_rows():
    grid = power_law(np.array([1.5, 2.0])[:, None], 0.5, [10, 3000, np.inf])
    assert grid.eigenvalues.shape[:-1] == (2, 3)
    assert np.array_equal(grid.dim, [10, 3000, np.inf])
    for i, beta in enumerate((1.5, 2.0)):
        for k, dim in enumerate((10, 3000, np.inf)):
            row = Spectrum(grid.eigenvalues[i, k], grid.signal[i, k], grid.multiplicity[i, k])
            found, alone = functionals(row, 1e-3), functionals(power_law(beta, 0.5, dim), 1e-3)
            finite = [0, 1, 2, 4, 5, 6, 7, 9]  # Σ q² and Σ q² w² need not converge at dim = inf
            assert np.allclose(found[finite], alone[finite], rtol=1e-13)
    isotropics = isotropic([1, 2, 3], [[1.0], [4.0]])
    assert isotropics.eigenvalues.shape == (2, 3, 1)
    assert np.array_equal(isotropics.label_variance, [[1] * 3, [4] * 3])


def test_extreme_power_laws_stay_finite():
    for beta, r, dim in ((8, 0.05, 1e60), (60, 0.01, np.inf), (60, 9.0, 10**15), (1.0001, 1e-9, np.inf)):
        spectrum = power_law(beta, r, dim)
        for part in (spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity):
            assert np.isfinite(part).all()
        assert (spectrum.eigenvalues > 0).all()
        assert np.isfinite(spectrum.label_variance)


def test_atoms_of_traced_leaves():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def error(beta, r, dim, xp):
        s, theta, mu = power_law(2.0, 0.5).atoms((beta, r, dim), xp)
        return xp.sum(mu * s / (s + 1e-3)) + xp.sum(theta * s / (s + 1e-3) ** 2)

    with jax.enable_x64(True):
        for dim in (30, 10**6, np.inf):
            traced = jax.jit(jax.value_and_grad(lambda b, r: error(b, r, dim, jnp), argnums=(0, 1)))
            value, slopes = traced(1.7, 0.4)
            assert float(value) == pytest.approx(error(1.7, 0.4, dim, np), rel=1e-12)
            h = 1e-5  # central differences: truncation about h², roundoff about 1e-16/h
            numeric = [
                (error(1.7 + h, 0.4, dim, np) - error(1.7 - h, 0.4, dim, np)) / (2 * h),
                (error(1.7, 0.4 + h, dim, np) - error(1.7, 0.4 - h, dim, np)) / (2 * h),
            ]
            assert np.allclose([float(slope) for slope in slopes], numeric, rtol=1e-7)
        with pytest.raises(TypeError, match="dim of a power law is traced"):
            jax.jit(lambda dim: error(1.7, 0.4, dim, jnp))(10.0)


def test_symbols():
    spectrum = isotropic(dim=X, signal=Y)
    assert spectrum.free == (X, Y)
    assert spectrum.dim == X
    assert spectrum.subs({X: 100, Y: 2}) == isotropic(100, 2)
    assert power_law(beta=X, r=0.5).subs({X: 1.5}) == power_law(1.5, 0.5)
    assert hash(power_law(beta=X, r=0.5).subs({X: 1.5})) == hash(power_law(1.5, 0.5))
    mixed = Spectrum([X, 1.0], [1.0, Y])
    assert mixed.kind == ("entries", 2)
    assert mixed.leaves == (X, 1.0, 1.0, Y, 1.0, 1.0)
    assert mixed.subs({X: 3, Y: 2}) == Spectrum([3.0, 1.0], [1.0, 2.0])
    grid = mixed.subs({X: [3.0, 4.0], Y: 2})
    assert np.array_equal(grid.eigenvalues, [[3.0, 1.0], [4.0, 1.0]])
    with pytest.raises(TypeError, match=r"free symbol x, y.*subs"):
        _ = mixed.eigenvalues
    with pytest.raises(ValueError, match=r"dim = -1\.0 is outside"):
        spectrum.subs({X: -1})


@pytest.mark.parametrize(
    "build",
    [
        lambda: isotropic(100),
        lambda: power_law(1.5, [0.5, 1.0]),
        lambda: isotropic(X, 2),
        lambda: Spectrum([X, 1.0], [1.0, 2.0]),
        lambda: hard("bulk").compress(),
        lambda: from_gram(np.diag([1.0, 2.0, 0.0]), [1.0, 2.0, 3.0]),
    ],
)
def test_content_decides_equality(build):
    one, two = build(), build()
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) is one
    assert one != isotropic(101)
    assert one != "a spectrum"
    assert len(repr(one)) < 100
    assert one.replace_leaves(one.leaves) == one or one._origin is not None
    with pytest.raises(AttributeError, match="immutable"):
        one.kind = ()


def test_spectra_that_differ():
    base = Spectrum([1.0, 2.0], [1.0, 1.0])
    for other in (
        Spectrum([1.0, 2.0], [1.0, 2.0]),
        Spectrum([1.0, 2.5], 1.0),
        Spectrum([1.0, 2.0], 1.0, 2.0),
        Spectrum([[1.0, 2.0]], 1.0),
        Spectrum([1.0, 2.0, 3.0], 1.0),
    ):
        assert base != other
    assert base == Spectrum([1, 2], 1)


def test_arrays_are_copied_and_read_only():
    given = np.array([1.0, 2.0])
    spectrum = Spectrum(given, 1.0)
    given[0] = 9.0
    assert spectrum.eigenvalues[0] == 1.0
    for part in (spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity, power_law(2, 1).eigenvalues):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1.0


def test_reprs():
    assert repr(power_law(1.5, 0.5)) == "power_law(beta=1.5, r=0.5, dim=inf)"
    assert repr(isotropic(100)) == "isotropic(dim=100, signal=1)"
    assert repr(Spectrum(np.linspace(0.1, 2, 100), 0.01)) == "Spectrum(100 eigenvalues in [0.1, 2], signal 1)"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Spectrum([], []), "empty"),
        (lambda: Spectrum([1, 2], [1, 2, 3]), r"\(2,\).*\(3,\).*one entry per atom"),
        (lambda: Spectrum([1, np.nan], 1), r"eigenvalues\[1\] = nan"),
        (lambda: Spectrum([1, -2], 1), r"eigenvalues\[1\] = -2.0"),
        (lambda: Spectrum([1, 2], [0, -1]), r"signal\[1\] = -1.0"),
        (lambda: Spectrum([1, 2], 1, np.inf), "multiplicity = inf"),
        (lambda: isotropic(0), "dim = 0"),
        (lambda: isotropic(np.inf), "dim = inf"),
        (lambda: power_law(1.0, 0.5), "beta = 1.0 is outside .*infinitely many"),
        (lambda: power_law(0.5, 0.5, [10, np.inf]), "beta = 0.5 is outside .*infinitely many"),
        (lambda: power_law(0.0, 0.5, 10), "beta = 0.0 is outside"),
        (lambda: power_law(1.5, 0.0), "r = 0.0 is outside"),
        (lambda: power_law(1.5, 0.5, 10.5), "dim = 10.5.*whole"),
        (lambda: power_law([1.5, 2.0], [1.0, 2.0, 3.0]), "do not broadcast"),
        (lambda: hard("bulk").compress(1e-20), "tol = 1e-20"),
        (lambda: from_covariance([[1, 2], [0, 1]], [1, 1]), "symmetric"),
        (lambda: from_covariance([[1, 2], [2, 1]], [1, 1]), r"eigenvalue -1 .*semidefinite"),
        (lambda: from_covariance(np.eye(2), [1, 1, 1]), "2 rows and weights 3"),
        (lambda: from_gram(np.zeros((2, 2)), [1, 1]), "all zero"),
        (lambda: from_samples(np.ones(3), np.ones(3)), "one row per sample"),
        (lambda: from_samples([[1.0, np.nan]], [1.0]), r"inputs\[0, 1\] = nan"),
        (lambda: from_samples(np.eye(3), np.ones((3, 1))), "1-d"),
    ],
)
def test_bad_values(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Spectrum([True], 1),
        lambda: Spectrum(1, 1j),
        lambda: isotropic("3"),
        lambda: Spectrum([X, [1, 2]], 1),
    ],
)
def test_bad_types(build):
    with pytest.raises(TypeError):
        build()


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


@pytest.mark.slow
def test_ten_million_eigenvalues():
    s = np.random.default_rng(3).lognormal(sigma=3.0, size=10**7)
    full = Spectrum(s, 1.0)
    few = full.compress()
    assert few.eigenvalues.size < 400
    for kappa in (1e-8, 1.0, 1e5):
        assert np.allclose(functionals(few, kappa), functionals(full, kappa), rtol=1e-12, atol=0)
