"""The problems that are timed, and how a competent user would solve them without this package."""

import time

import numpy as np
from scipy.optimize import brentq

import modelcollapse as mc

GENERATIONS, NOISE = 10, 0.1


def power_law_arrays(dim, beta=1.5, r=0.5):
    """Eigenvalues j^-β and signal energies j^(β - 1 - 2rβ)."""
    j = np.arange(1.0, dim + 1)
    return j**-beta, j ** (beta - 1 - 2 * r * beta)


def grid(dim, samples=50, ridges=50):
    """T log-spaced from 10 to d/2, a column, and λ from 1e-8 to 1."""
    return np.geomspace(10, dim / 2, samples)[:, None], np.geomspace(1e-8, 1, ridges)


def ours(spectrum, samples, ridges, dim, generations=GENERATIONS):
    """The test errors of ridge fits on labels of the n-th least-squares generation, T0 = 20 d."""
    labels = mc.truth(spectrum)
    if np.any(generations):
        labels = mc.chain(labels, generations, 20 * dim, NOISE)
    return mc.predict(mc.fit(labels.label(samples, NOISE), ridge=ridges)).test_error


def plain(eigenvalues, signal, samples, ridges, generations=GENERATIONS):
    """E_clean + n·Δ at every point, κ by `brentq` on its equation, sums by NumPy."""
    dim, trace = len(eigenvalues), eigenvalues.sum()
    samples, ridges = np.broadcast_arrays(samples, ridges)
    errors = np.empty(samples.shape)
    energy, increment = signal * eigenvalues, generations * NOISE**2 / (19 * dim)
    for where in np.ndindex(samples.shape):
        T, ridge = samples[where], ridges[where]
        kappa = brentq(
            lambda k: k - ridge - k * np.sum(eigenvalues / (eigenvalues + k)) / T,
            ridge,
            ridge + trace / T,
            xtol=1e-300,
            rtol=1e-12,
        )
        resolvent = 1 / (eigenvalues + kappa)
        two = np.sum((eigenvalues * resolvent) ** 2)
        bias, rest = kappa**2 * np.sum(energy * resolvent**2), kappa**2 * np.sum(resolvent**2)
        clean = (bias + NOISE**2 * two / T) / (1 - two / T)
        errors[where] = clean + increment * (two + rest * two / (T - two))
    return errors


def best_time(function, repetitions=7):
    """The shortest of some calls, in seconds, after one that is not counted."""
    function()
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def fresh_spectra(eigenvalues, signal):
    """Spectra that differ in every call, so that nothing remembered helps: they are compressed anew."""
    count = 0
    while True:
        count += 1
        yield mc.Spectrum(eigenvalues * (1 + 1e-13 * count), signal)


def bandwidth():
    """Bytes per second of a scaled copy of arrays that fit no cache, on one core."""
    source, target = np.ones(2**24), np.ones(2**24)
    return 2 * source.nbytes / best_time(lambda: np.multiply(source, 3.0, out=target), 5)
