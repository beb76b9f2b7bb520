"""Spectral filters: gradient flow, descent and iterated ridge against ridge and plain quadrature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from filter_steps import SPECTRA, atoms_of, flow, lanes, parts, ridge_step, trained, truth_moments

import modelcollapse as mc
from modelcollapse.numerics import steps
from modelcollapse.numerics.equivalents.contour import Contour, complex_ridge, contour, hankel, quadrature_error
from modelcollapse.numerics.steps.filtered import equivalent, filtered, filtered_step
from modelcollapse.theory.pipelines.filters import (
    GradientDescent,
    GradientFlow,
    IteratedRidge,
    Ridge,
    largest_eigenvalue,
    refuse_unstable,
)


def noisy_labels(atoms, points):
    """Labels of a model with shrunken means and variance of its own."""
    return ridge_step(atoms, *lanes(np.full(points, 60), 0.3, 1e-2), truth_moments(atoms, points))


# records


@pytest.mark.parametrize(
    "make",
    [
        lambda: GradientFlow(-1),
        lambda: GradientFlow(np.inf),
        lambda: GradientDescent(0, 3),
        lambda: GradientDescent(0.1, 2.5),
        lambda: IteratedRidge(0, 2),
        lambda: IteratedRidge(0.1, 0),
        lambda: Ridge([0.1, -1]),
        lambda: Ridge(np.nan),
    ],
)
def test_numbers_outside_their_domain_are_refused(make):
    with pytest.raises(ValueError, match=r"is outside .*; (give|training)"):
        make()


def test_filters_compare_hash_and_print_by_content():
    assert GradientFlow([1, 2]) == GradientFlow(np.array([1.0, 2.0]))
    assert len({GradientDescent(0.1, 3), GradientDescent(0.1, 3), GradientDescent(0.1, 4)}) == 2
    assert GradientFlow(1.0) != Ridge(1.0)
    assert repr(IteratedRidge(0.1, [1, 2])) == "IteratedRidge(ridge=0.1, rounds=<2 grid>)"
    with pytest.raises(TypeError, match="time = True is a bool"):
        GradientFlow(True)
    with pytest.raises(TypeError, match="time = t has free symbols"):
        GradientFlow(sympy.Symbol("t", positive=True)).residual(1.0)


def test_residuals_are_analytic_and_start_at_one():
    x = np.array([0, 0.3, -0.1 + 0.2j])
    for rule in (GradientFlow(2.0), GradientDescent(0.3, 7), IteratedRidge(0.2, 3), Ridge(0.2)):
        assert rule.residual(x)[0] == 1
        assert np.allclose(rule.residual(x.conj()), rule.residual(x).conj())
        slope = (rule.residual(x + 1e-6) - rule.residual(x - 1e-6)) / 2e-6
        turned = (rule.residual(x + 1e-6j) - rule.residual(x - 1e-6j)) / 2e-6j
        assert np.allclose(slope, turned)


# contours


@pytest.mark.parametrize("kind", ["gradient-flow", "gradient-descent", "iterated-ridge", "ridge"])
def test_the_quadrature_is_the_filter(kind):
    rules = {"gradient-flow": lambda k: (k,), "ridge": lambda k: (k,)}
    for count in (1, 2, 5, 12, 13, 14, 30, 100, 1e4):
        parameters = tuple(np.asarray(x, dtype=float) for x in rules.get(kind, lambda k: (0.3, k))(count))
        assert quadrature_error(kind, parameters, contour(kind, parameters)) < 1e-10


def test_a_poor_contour_is_seen():
    parameters = (np.float64(3.0),)
    good = contour("gradient-flow", parameters)
    assert quadrature_error("gradient-flow", parameters, good) < 1e-12
    for poor in (
        Contour(*(x[:12] for x in good)),
        good._replace(weights=1.001 * good.weights),
        good._replace(residual=good.residual**1.01),
    ):
        assert quadrature_error("gradient-flow", parameters, poor) > 1e-5


def test_one_contour_serves_all_times_of_a_block():
    Z, weights = hankel(32)
    for time in (0.5, 0.9, 2.0):
        assert quadrature_error("gradient-flow", (np.float64(time),), Contour(Z, weights, np.exp(-time * Z))) < 1e-12
    assert quadrature_error("gradient-flow", (np.float64(30.0),), Contour(Z, weights, np.exp(-30 * Z))) > 1e-6


def test_too_few_nodes_are_flagged(monkeypatch):
    shape = hankel(20)
    monkeypatch.setattr("modelcollapse.numerics.equivalents.contour.hankel", lambda nodes: tuple(x[:12] for x in shape))
    atoms = atoms_of(SPECTRA["isotropic"])
    start = truth_moments(atoms, 1)
    *_, fine = filtered_step("gradient-flow", atoms, atoms.eigenvalues, *lanes(60, 0.1**2), (np.ones(1),), start)
    assert not fine.any()


def test_the_complex_ridge_solves_its_equation_in_the_upper_half_plane():
    z = np.geomspace(1e-9, 1e6, 16)[:, None] * np.exp(1j * np.array([0.1, 1.0, 2.0, 2.9]))
    z = z.ravel()
    for spectrum in SPECTRA.values():
        atoms = atoms_of(spectrum)
        s, mu = atoms.eigenvalues[0], atoms.multiplicity[0]
        for samples in (30.0, 99.9, 100.0, 101.0, 1e4):
            kappa, converged = complex_ridge(s, mu, np.float64(samples), z)
            assert converged.all()
            assert (kappa.imag > 0).all()
            large = s > abs(kappa[:, None])
            terms = np.where(large, kappa[:, None], -s) * mu / (s + kappa[:, None])
            left = (samples - np.where(large, mu, 0).sum(-1)) + terms.sum(-1)
            assert np.all(abs(left * kappa - samples * z) < 1e-12 * samples * (abs(z) + abs(kappa)))


def test_the_complex_ridge_of_equal_eigenvalues_is_a_root_of_a_quadratic():
    z = np.array([0.3 + 0.1j, -0.5 + 0.4j, -2 + 1e-2j])
    kappa, _ = complex_ridge(np.ones(1), np.full(1, 50.0), np.float64(80.0), z)
    linear = z + 50 / 80 - 1
    roots = [(linear + sign * np.sqrt(linear**2 + 4 * z)) / 2 for sign in (1, -1)]
    assert np.allclose(kappa, np.where(roots[0].imag > 0, *roots), rtol=1e-12)


# the generation map


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("samples", [30, 99.9, 100, 101, 1000])
def test_ridge_through_the_contour_is_ridge(name, samples):
    ridge = np.geomspace(1e-9, 1e3, 4)
    atoms, points = atoms_of(SPECTRA[name]), len(ridge)
    start, numbers = noisy_labels(atoms, points), lanes(np.full(points, samples), 0.3, ridge)
    got = trained("ridge", atoms, *numbers[:2], (numbers[2],), start)
    want = ridge_step(atoms, *numbers, start)
    assert np.allclose(parts(atoms, got), parts(atoms, want), rtol=1e-9, atol=0)
    for x, y in zip(got, want, strict=True):
        assert np.allclose(x, y, rtol=0, atol=1e-9 * np.abs(y).max())


def test_compiled_a_filter_is_what_it_is_on_numpy():
    """One kernel for four spectra, on both sides of T = d."""
    compiled = jax.jit(filtered_step, static_argnums=0)
    most = max(len(spectrum.eigenvalues) for spectrum in SPECTRA.values())
    for spectrum in SPECTRA.values():
        atoms = atoms_of(spectrum, most)
        samples, times = lanes([30, 99.9, 100, 101, 1000], [1e-3, 0.3, 7.0, 1e3, 1e9])
        numbers = atoms, atoms.eigenvalues, samples, 0.3**2 + 0 * samples, (times,), noisy_labels(atoms, 5)
        want = trained("gradient-flow", atoms, samples, 0.3 + 0 * samples, *numbers[4:])
        with jax.enable_x64(True):
            got, *_, fine = jax.tree.map(np.asarray, compiled("gradient-flow", *numbers))
        assert fine.all()
        assert np.allclose(parts(atoms, got), parts(atoms, want), rtol=1e-10, atol=0)
    assert compiled._cache_size() == 1


def ellipse(nodes, left, right):
    """Half an ellipse around [0, right], through `left` < 0."""
    at = -np.pi * (np.arange(nodes) + 0.5) / nodes
    centre, long = (left + right - left) / 2, (right - 2 * left) / 2
    short = np.sqrt(long**2 - (right / 2) ** 2)
    x = centre + long * np.cos(at) + 1j * short * np.sin(at)
    slope = (-long * np.sin(at) + 1j * short * np.cos(at)) / (2j * nodes)
    return x, slope


def around(s, mu, energy, samples, path):
    return filtered(equivalent(s, mu, samples, path.nodes), path, s, energy, samples, 0.3**2)


@pytest.mark.parametrize("rule", [GradientFlow(4.0), Ridge(0.3), GradientDescent(0.35, 9), IteratedRidge(0.3, 3)])
@pytest.mark.parametrize("samples", [70, 150])
def test_any_contour_around_the_spectrum_gives_the_same(rule, samples):
    atoms = atoms_of(SPECTRA["isotropic"])
    start = noisy_labels(atoms, 1)
    parameters = tuple(lanes(float(value))[0] for _, value, _ in rule.numbers)
    want = trained(rule.kind, atoms, *lanes(samples, 0.3), parameters, start)
    x, W = ellipse(160, -0.12, 6.0)
    s, mu = atoms.eigenvalues[0], atoms.multiplicity[0]
    energy = start.ratio[0] ** 2 * atoms.signal[0] + mu * start.variance[0]
    path = Contour(x, W, rule.residual(x))
    out = around(s, mu, energy, np.float64(samples), path)
    assert np.allclose(out.learned[0] * start.ratio[0, 0], want.ratio[0, 0], rtol=1e-10)
    assert np.allclose((out.learned**2 * start.variance[0] + out.variance)[0], want.variance[0, 0], rtol=1e-9)


FEW = mc.power_law(1.5, 0.5, 40)


@functools.cache
def plain_roots(samples, nodes=500):
    """(x, W, κ) on a closed ellipse around the sample eigenvalues of the spectrum FEW, κ by plain iteration."""
    s, mu = FEW.eigenvalues, FEW.multiplicity
    theta = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
    focus = float(largest_eigenvalue(s, mu, samples)[1]) * 0.65
    long = focus + 0.15
    short = np.sqrt(long**2 - focus**2)
    x = focus + long * np.cos(theta) + 1j * short * np.sin(theta)
    dx = -long * np.sin(theta) + 1j * short * np.cos(theta)
    W, z = dx / (1j * nodes), -x
    kappa = z * 1.0
    for _ in range(4000):
        last, kappa = kappa, 0.5 * kappa + 0.5 * (z + kappa * (mu * s / (s + kappa[:, None])).sum(1) / samples)
        if np.max(abs(kappa - last)) < 1e-15:
            break
    return x, W, kappa


def plain_equivalent(rule, c, samples, noise):
    """Test error on labels of mean w0 and second moments c by R̄ on that ellipse, as the derivation leaves it."""
    s, mu, w2 = FEW.eigenvalues, FEW.multiplicity, FEW.signal
    x, W, kappa = plain_roots(samples)
    eta = -x / kappa
    R = 1 / (eta[:, None] * (s + kappa[:, None]))
    r, q = rule.residual(x), -W * rule.residual(x)
    rbar = (q @ R).real
    M, G = (R * mu * s**2) @ R.T / samples, (R * s * c) @ R.T
    N = -((W * (1 - r) ** 2 / x) @ R).real
    return (
        (q @ (G / (1 - np.outer(eta, eta) * M)) @ q).real
        - 2 * (s * rbar * (c - w2)).sum()
        + (s * (c - w2)).sum()
        + noise**2 / samples * (mu * s * N).sum()
    )


@pytest.mark.parametrize("samples", [25, 80])
@pytest.mark.parametrize("rule", [GradientFlow(6.0), GradientDescent(0.5, 20), IteratedRidge(0.4, 15)])
def test_the_error_by_the_formula_as_derived(rule, samples):
    atoms, s = atoms_of(FEW), FEW.eigenvalues
    own = 0.02 / (1 + np.arange(40))
    start = truth_moments(atoms, 1)._replace(variance=np.pad(own * s, (0, 256 - 40))[None])
    parameters = tuple(lanes(float(value))[0] for _, value, _ in rule.numbers)
    got = parts(atoms, trained(rule.kind, atoms, *lanes(samples, 0.3), parameters, start)).sum()
    assert np.isclose(got, plain_equivalent(rule, FEW.signal + own, samples, 0.3), rtol=1e-7)


@pytest.mark.parametrize("name", ["isotropic", "power law", "steep"])
@pytest.mark.parametrize("share", [0.3, 0.98, 1.02, 3.0])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_training_for_ever_is_least_squares_and_not_at_all_the_null_model(name, share, noise):
    atoms = atoms_of(SPECTRA[name])
    start = noisy_labels(atoms, 4)
    numbers = lanes(np.full(4, share * SPECTRA[name].dim), noise)
    times = np.array([1e15, 1e30, 0.0, 1e-30])
    got = parts(atoms, flow(atoms, *numbers, times, start))
    want = parts(atoms, ridge_step(atoms, *numbers, np.array([0, 0, np.inf, np.inf]), start))
    assert np.allclose(got, want, rtol=1e-9, atol=1e-25)
    assert np.all(got[1, 2:] == 0)


def test_with_endless_samples_the_filter_acts_on_the_covariance_itself():
    spectrum = SPECTRA["power law"]
    atoms = atoms_of(spectrum)
    times = np.array([0.1, 1, 10, 1e3])
    start = truth_moments(atoms, 4)
    bias, variance = parts(atoms, flow(atoms, *lanes(np.full(4, 1e13), 0.3), times, start))
    s = spectrum.eigenvalues
    want = np.sum(s * spectrum.signal * np.exp(-2 * times[:, None] * s), -1)
    assert np.allclose(bias, want, rtol=1e-9)
    assert np.all(variance < 1e-10)


@pytest.mark.parametrize("samples", [1900, *(pytest.param(T, marks=pytest.mark.slow) for T in (30, 2100, 6000))])
def test_quadrature_and_compressed_atoms_serve_complex_ridges(samples):
    """Directions are atoms of panels or bins here; errors relative to the label variance, the scale of both parts."""
    spectrum = mc.power_law(1.5, 0.5, 2000)
    full = spectrum.expand()
    times = 10.0 ** np.arange(-3, 13, 3)
    found = []
    for few in (spectrum, full, full.compress()):
        atoms = atoms_of(few)
        numbers = lanes(np.full(len(times), samples), 0.3)
        once = flow(atoms, *numbers, times, truth_moments(atoms, len(times)))
        found.append(parts(atoms, flow(atoms, *numbers, times, once)))
    assert len(spectrum.eigenvalues) < 200
    assert len(full.eigenvalues) == 2000
    assert np.allclose(found[0], found[1], rtol=1e-9, atol=1e-15)
    assert np.allclose(found[2], found[1], rtol=1e-9, atol=1e-15)


def test_a_step_too_long_is_refused_with_both_bounds():
    s, mu = np.array([2.0, 0.1]), np.array([10.0, 500.0])
    edge, bound = largest_eigenvalue(s, mu, 100)
    assert edge < bound
    refuse_unstable(2 / bound, s, mu, 100)
    refuse_unstable(2 / edge, s, mu, 100)
    with pytest.raises(ValueError, match=rf"unstable.*at most {2 / edge:.4g}.*up to {2 / bound:.4g}"):
        refuse_unstable(2.02 / edge, s, mu, 100)


@pytest.mark.parametrize("samples", [200, 2000])
def test_the_edge_of_the_spectrum_is_where_it_is(samples):
    """The largest eigenvalue of 20 draws scatters by T^{-2/3} about the edge; a bound 20 % off would be seen."""
    s = np.repeat([1.0, 0.3], [150, 350])
    edge, bound = largest_eigenvalue(np.array([1.0, 0.3]), np.array([150.0, 350.0]), samples)
    rng = np.random.default_rng(0)
    draws = [np.linalg.norm(rng.standard_normal((samples, 500)) * np.sqrt(s), 2) ** 2 / samples for _ in range(5)]
    assert abs(np.mean(draws) / edge - 1) < 3 * samples ** (-2 / 3)
    assert bound > edge * (1 + 1e-3)


@pytest.mark.slow
def test_derivatives_by_the_numbers_of_the_fit():
    atoms = atoms_of(mc.power_law(1.5, 0.5, 30))

    def error(numbers):
        samples, noise, step, time = (jnp.reshape(x, 1) for x in numbers)
        s, descent = atoms.eigenvalues, (step, jnp.full(1, 25.0))
        one = filtered_step("gradient-flow", atoms, s, samples, noise**2, (time,), truth_moments(atoms, 1))[0]
        two = filtered_step("gradient-descent", atoms, s, samples, noise**2, descent, one)[0]
        return sum(steps.readout(atoms, s, two))[0]

    with jax.enable_x64(True):
        at = jnp.asarray([40.0, 0.3, 0.2, 6.0])
        slopes = jax.jit(jax.grad(error))(at)
        compiled = jax.jit(error)
        for k, slope in enumerate(slopes):
            h = 1e-4 * at[k] * jnp.eye(4)[k]
            assert np.isclose(slope, (compiled(at + h) - compiled(at - h)) / (2 * h[k]), rtol=1e-6)
