"""The effective ridge at complex z: the equation, the upper half plane, and two ways to it."""

import numpy as np
import pytest

from modelcollapse.numerics.equivalents import contour as module
from modelcollapse.numerics.equivalents.contour import complex_ridge, contour

SPECTRA = {
    "power law": (np.arange(1, 201) ** -1.5, np.ones(200)),
    "steep": (np.arange(1, 201) ** -4.0, np.ones(200)),
    "exponential": (np.exp(-np.arange(40.0)), np.ones(40)),
    "flat": (np.ones(1), np.array([100.0])),
    "two levels": (np.array([1, 1e-6]), np.array([3.0, 500])),
}
FILTERS = {
    **{f"flow {time}": ("gradient-flow", (time,)) for time in (0.1, 10, 1e6)},
    **{f"descent {steps}": ("gradient-descent", (0.9, steps)) for steps in (1, 13, 10**5)},
    **{f"iterated {rounds}": ("iterated-ridge", (0.01, rounds)) for rounds in (1, 20)},
    "refits": ("self-distillation", (0.01, 1.0, 30, 4.0)),
}


def problems(spectrum):
    eigenvalues, multiplicity = SPECTRA[spectrum]
    for kind, parameters in FILTERS.values():
        z = -contour(kind, tuple(map(np.float64, parameters))).nodes
        for share in (0.02, 0.95, 1, 3):
            yield eigenvalues, multiplicity, np.float64(max(1, round(share * multiplicity.sum()))), z


def misses(eigenvalues, multiplicity, samples, z, kappa):
    """What κ leaves of κ − z − κ df_1(κ)/T, relative to its largest term."""
    fitted = kappa * (multiplicity * (eigenvalues / (eigenvalues + kappa[:, None]))).sum(-1) / samples
    return np.abs(kappa - z - fitted) / np.maximum(np.maximum(np.abs(kappa), np.abs(z)), np.abs(fitted))


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_root_is_that_of_the_upper_half_plane_whichever_way_it_was_found(spectrum, monkeypatch):
    for problem in problems(spectrum):
        kappa, found = complex_ridge(*problem)
        assert found.all()
        assert np.all(kappa.imag >= problem[-1].imag * (1 - 1e-9))
        assert misses(*problem, kappa).max() < 1e-13
        with monkeypatch.context() as turned:
            turned.setattr(module, "AT_ONCE", 0)
            other, sure = complex_ridge(*problem)
        np.testing.assert_allclose(other[sure], kappa[sure], rtol=1e-12)
        assert sure.mean() > 0.9  # some of a steep spectrum are not found by turning


def test_steps_at_once_do_nearly_always(monkeypatch):
    """Without the turn one problem in fifty is left at most, and what is not the root is not taken for it."""
    every = [problem for spectrum in SPECTRA for problem in problems(spectrum)]
    roots = [complex_ridge(*problem)[0] for problem in every]
    monkeypatch.setattr(module, "AT_ONCE", 10)
    monkeypatch.setattr(module, "TURNS", -5)
    found = [complex_ridge(*problem) for problem in every]
    assert 0.98 < np.mean([sure.all() for _, sure in found]) < 1
    for root, (kappa, sure) in zip(roots, found, strict=True):
        np.testing.assert_allclose(kappa[sure], root[sure], rtol=1e-12)
