"""Spectra: what their atoms stand for, how they are compared, compressed, expanded and refused."""

import copy
import pickle

import numpy as np
import pytest
import sympy

from modelcollapse.theory.populations import compression
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


@pytest.mark.slow
def test_ten_million_eigenvalues():
    s = np.random.default_rng(3).lognormal(sigma=3.0, size=10**7)
    full = Spectrum(s, 1.0)
    few = full.compress()
    assert few.eigenvalues.size < 400
    for kappa in (1e-8, 1.0, 1e5):
        assert np.allclose(functionals(few, kappa), functionals(full, kappa), rtol=1e-12, atol=0)
