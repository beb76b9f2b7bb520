"""Power-law sums by panels against closed forms in mpmath, and Gauss rules of discrete measures."""

import functools
import math

import mpmath
import numpy as np
import pytest

from modelcollapse.theory.populations import compression
from modelcollapse.theory.populations.quadrature import gram_rules, panels
from modelcollapse.theory.spectra import Spectrum, power_law

BETAS, SOURCES = (1.05, 1.5, 3.9, 8.0), (0.05, 4.0)
DIMS, RIDGES = (1000, 10**15, math.inf), (1e-14, 1e-4, 1e2)
FUNCTIONALS = ("df1", "df2", "signal", "inverse")


@functools.cache
def reference(name, beta, r, dim, kappa, start=50, terms=8):
    """Σ_{j=1}^{dim} of j^-a/(1 + κ j^β)^p: `start` terms, then Euler–Maclaurin with the integral as 2F1.

    Only the signal has a source r.
    """
    with mpmath.workdps(40):
        b, k, m = mpmath.mpf(beta), mpmath.mpf(kappa), mpmath.mpf(start)
        a, p = {
            "df1": (mpmath.mpf(0), 1),
            "df2": (mpmath.mpf(0), 2),
            "signal": (1 + 2 * (r or 0) * b - 2 * b, 2),
            "inverse": (-2 * b, 2),
        }[name]

        def term(x):
            return x**-a / (1 + k * x**b) ** p

        def beyond(x):
            q = (a + p * b - 1) / b
            return x ** (-b * q) / (k**p * b * q) * mpmath.hyp2f1(p, q, q + 1, -1 / (k * x**b))

        def below(x):
            e = (1 - a) / b
            return x ** (1 - a) / (1 - a) * mpmath.hyp2f1(p, e, e + 1, -k * x**b)

        def correction(x):
            taylor = _series(x, a, b, k, p, 2 * terms)
            return sum(mpmath.bernoulli(2 * i) / (2 * i) * taylor[2 * i - 1] for i in range(1, terms + 1))

        total = mpmath.fsum(term(mpmath.mpf(j)) for j in range(1, start)) + term(m) / 2 - correction(m)
        if dim == math.inf:
            return total + beyond(m)
        d = mpmath.mpf(dim)
        integral = below(d) - below(m) if name == "inverse" else beyond(m) - beyond(d)
        return total + integral + term(d) / 2 + correction(d)


def _series(x, a, b, k, p, order):
    """Taylor's coefficients of x^-a/(1 + k x^b)^p at x: two binomial series, and powers of one by Miller's recurrence.

    >>> [float(c) for c in _series(1, 2, 1, 0, 1, 3)]  # 1/x²
    [1.0, -2.0, 3.0]
    """
    below = [k * x**b * mpmath.binomial(b, i) + (i == 0) for i in range(order)]
    power = [below[0] ** -p]
    for n in range(1, order):
        parts = ((i * (1 - p) - n) * below[i] * power[n - i] for i in range(1, n + 1))
        power.append(mpmath.fsum(parts) / (n * below[0]))
    above = [x**-a * mpmath.binomial(-a, i) for i in range(order)]
    return [mpmath.fdot(above[: i + 1], power[i::-1]) / mpmath.mpf(x) ** i for i in range(order)]


def functional(name, spectrum, kappa):
    s, theta, mu = spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity
    return np.sum(
        {
            "df1": mu * s / (s + kappa),
            "df2": mu * (s / (s + kappa)) ** 2,
            "signal": theta * s / (s + kappa) ** 2,
            "inverse": mu / (s + kappa) ** 2,
        }[name]
    )


def deviation(name, beta, r, dim, kappa, spectrum=None):
    spectrum = power_law(beta, r, dim) if spectrum is None else spectrum
    exact = reference(name, beta, r if name == "signal" else None, dim, kappa)
    return abs(float(mpmath.mpf(float(functional(name, spectrum, kappa))) / exact - 1))


@pytest.mark.parametrize("name", FUNCTIONALS)
@pytest.mark.parametrize(("beta", "r"), [(1.05, 0.05), (2.5, 1.0), (8.0, 4.0)])
def test_reference_is_the_brute_force_sum(name, beta, r):
    full = power_law(beta, r, 20_000).expand()
    assert deviation(name, beta, r, 20_000, 1e-5, full) < 1e-14


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("beta", BETAS)
def test_power_law_sums(beta, dim):
    names = FUNCTIONALS if dim < math.inf else FUNCTIONALS[:3]
    cases = [(name, r, kappa) for name in names for r in SOURCES for kappa in RIDGES]
    worst = max(deviation(name, beta, r, dim, kappa) for name, r, kappa in cases)
    assert worst < 1e-13
    assert power_law(beta, 1.0, dim).eigenvalues.size < 1400


@pytest.mark.slow
def test_power_law_sums_everywhere():
    rng = np.random.default_rng(1)
    for _ in range(300):
        beta, r = rng.uniform(1.05, 8), math.exp(rng.uniform(math.log(0.05), math.log(4)))
        dim = (math.inf, 10**15, int(10 ** rng.uniform(2.5, 15)))[rng.integers(3)]
        kappa = 10 ** rng.uniform(-14, 2)
        for name in FUNCTIONALS if dim < math.inf else FUNCTIONALS[:3]:
            assert deviation(name, beta, r, dim, kappa) < 1e-13, (name, beta, r, dim, kappa)


def test_infinite_power_law_serves_the_interpolator():
    """Ridge zero on T = 1e12 samples has κ of the order of T^-β, far below 1e-14."""
    for beta in (1.2, 3.0, 8.0):
        for name in FUNCTIONALS[:3]:
            assert deviation(name, beta, 0.3, math.inf, 1e12**-beta) < 1e-12


def test_too_coarse_panels_are_seen():
    """Negative control: panels of ratio 2 are too coarse for β = 8 (poles at the angle π/8)."""
    nodes, weights = panels(10**9, per_octave=1)
    coarse = Spectrum(nodes**-8.0, np.zeros_like(nodes), weights)
    assert deviation("df1", 8.0, 1.0, 10**9, 1e-20, coarse) > 1e-12
    assert deviation("df1", 8.0, 1.0, 10**9, 1e-20) < 1e-14


def test_dropping_the_tail_is_seen():
    atoms = power_law(1.2, 0.3)
    body = Spectrum(atoms.eigenvalues[:-2], atoms.signal[:-2], atoms.multiplicity[:-2])
    assert deviation("df1", 1.2, 0.3, math.inf, 1e-3, body) > 1e-6


@pytest.mark.parametrize("length", [12, 13, 37, 10_000])
def test_gram_rules_are_exact_for_polynomials(length):
    """Σ_{i<N} of a Legendre polynomial of degree 2m − 1 = 23 and below, in the scaled index."""
    nodes, weights = (part[0] for part in gram_rules([length]))
    scaled, exact = 2 * nodes / length - 1, 2 * np.arange(length) / length - 1
    for degree in range(24):
        polynomial = np.polynomial.legendre.Legendre.basis(degree)
        assert abs(weights @ polynomial(scaled) - polynomial(exact).sum()) < 1e-13 * length


@pytest.mark.parametrize("dim", [1, 63, 64, 128, 129, 130, 1000, 4097, 123_457])
@pytest.mark.parametrize("per_octave", [1, 2, 5])
def test_panels_count_every_index(dim, per_octave):
    nodes, weights = panels(dim, per_octave)
    assert weights.sum() == pytest.approx(dim, rel=1e-14)
    assert weights @ nodes == pytest.approx(dim * (dim + 1) / 2, rel=1e-14)
    assert nodes[0] == 1
    assert nodes[-1] <= dim


def test_cost_does_not_grow_with_dim():
    assert power_law(1.5, 0.5, 10**6).eigenvalues.size < 250
    assert power_law(1.5, 0.5, 10**15).eigenvalues.size < 600


def test_compression_bound_is_a_bound():
    """The rule on one bin of many eigenvalues, at its worst over κ, errs by less than the bound."""
    s = np.geomspace(np.exp(-2 * compression.HALF_WIDTH), 1.0, 5000)
    for nodes in (2, 4, 6):
        few, _, mu = compression._rules(s, s, np.ones_like(s), nodes)
        kappas = np.geomspace(1e-4, 1e4, 60)
        errors = [abs(np.sum(mu * few / (few + k)) / np.sum(s / (s + k)) - 1) for k in kappas]
        assert 1e-4 * compression.bound(nodes) < max(errors) < compression.bound(nodes)


def test_order_grows_as_the_tolerance_falls():
    orders = [compression.order(tol) for tol in (1e-2, 1e-4, 1e-8, 1e-12)]
    assert orders == sorted(orders)
    assert orders[0] < orders[-1]
