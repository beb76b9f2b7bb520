r"""Fewer atoms with the same functionals.

Every formula reads a spectrum through Σ_a μ_a f(s_a) and Σ_a θ_a f(s_a) with f(s) = (s/(s + κ))^m, s/(s +
κ)² and the like: as functions of log s they are analytic in the strip |Im log s| < π, whatever κ > 0. The
eigenvalues are sorted and cut into bins of width 2 in log s, and in each bin the multiplicities and the
signal energies are replaced by Gauss rules of these two discrete measures. A rule with m nodes has positive
weights and is exact for polynomials in log s of degree 2m − 1, so its relative error is at most

$$ 2 \sup_\kappa \min_{\deg p < 2m} \max_{\mathrm{bin}} |f - p| / f, $$

which `bound` evaluates (with Chebyshev's interpolant for p); `order` takes the smallest m that serves a
tolerance. The rules come from the Lanczos process on diag(log s) started at the square roots of the weights
(Golub and Welsch 1969; Gautschi 2004), which stops early where a measure has fewer than m distinct points.
Bins with many points are first cut into chunks that fit the cache, whose atoms are then compressed once
more; both steps obey the same bound.

>>> s = np.linspace(0.1, 2.0, 10_000)
>>> few, signal, multiplicity = compress(s, s**2, np.ones_like(s))
>>> few.size < 100, bool(abs(multiplicity.sum() / 10_000 - 1) < 1e-13)
(True, True)
>>> exact = np.sum(s**2 * s / (s + 0.3) ** 2)
>>> bool(abs(np.sum(signal * few / (few + 0.3) ** 2) / exact - 1) < 1e-12)
True
"""

import functools
from itertools import pairwise

import numpy as np

HALF_WIDTH = 1.0
"""Half the width of a bin in log s."""

CHUNK = 1 << 13  # larger dot products are threaded by BLAS, which stalls on busy cores


@functools.cache
def bound(nodes, half_width=HALF_WIDTH):
    """The relative error of a Gauss rule with so many nodes on one bin, the worst over κ and functionals."""
    degrees = np.arange(2 * nodes)
    angles = np.pi * (degrees + 0.5) / degrees.size
    fine = np.linspace(0, np.pi, 8 * degrees.size)
    transform = np.cos(np.outer(degrees, angles)) * (2 / degrees.size)
    transform[0] /= 2
    interpolate = np.cos(np.outer(fine, degrees)) @ transform
    log_kappa = np.linspace(-3 * half_width - 6, 3 * half_width + 6, 91)[:, None]

    def worst(functional):
        coarse, exact = (functional(np.exp(half_width * np.cos(at) - log_kappa)) for at in (angles, fine))
        return np.max(np.abs(coarse @ interpolate.T / exact - 1))

    exponents = ((1, 1), (2, 2), (0, 2), (1, 2))
    return 2 * max(worst(lambda x: x**power / (1 + x) ** pole) for power, pole in exponents)


@functools.cache
def order(tol):
    """The fewest nodes per bin whose two compressions in a row stay below tol."""
    return next(nodes for nodes in range(1, 20) if 2 * bound(nodes) <= tol)


def compress(eigenvalues, signal, multiplicity, tol=1e-12):
    """Fewer atoms (eigenvalues, signal, multiplicity), descending, for 1-d arrays in any order."""
    nodes = order(tol)
    s, theta, mu = merge(eigenvalues, signal, multiplicity)
    positive = int(np.count_nonzero(s))
    pieces = [_bin(s[cut], theta[cut], mu[cut], nodes) for cut in _bins(s[:positive])]
    pieces.append((s[positive:], theta[positive:], mu[positive:]))
    few = tuple(map(np.concatenate, zip(*pieces, strict=True)))
    return few if _discrepancy((s, theta, mu), few) <= tol else (s, theta, mu)


def _discrepancy(full, few):
    """The largest relative difference of moments, degrees of freedom and signal sums at three ridges."""
    kappas = [full[0][full[0].size * i // 4] for i in (1, 2, 3)]
    before, after = _sums(full, kappas), _sums(few, kappas)
    return np.max(np.abs(after - before) / np.where(before > 0, before, 1))


def _sums(atoms, kappas):
    total = 0.0
    for start in range(0, atoms[0].size, CHUNK):
        s, theta, mu = (part[start : start + CHUNK] for part in atoms)
        tests = [np.ones_like(s), s]
        for kappa in kappas:
            share = s / (s + kappa) if kappa else np.ones_like(s)
            tests += [share, share * share]
        total += np.array([np.sum(test * measure) for test in tests for measure in (theta, mu)])
    return total


def merge(eigenvalues, signal, multiplicity):
    """The same measures with equal eigenvalues in one atom, eigenvalues descending."""
    s, theta, mu = eigenvalues, signal, multiplicity
    if np.any(s[1:] > s[:-1]):
        if np.any(s[1:] < s[:-1]):
            ascending = np.argsort(s)
            s, theta, mu = s[ascending], theta[ascending], mu[ascending]
        s, theta, mu = s[::-1], theta[::-1], mu[::-1]
    new = s[1:] != s[:-1]
    if new.all():
        return s, theta, mu
    starts = np.concatenate([[0], 1 + np.flatnonzero(new)])
    return s[starts], np.add.reduceat(theta, starts), np.add.reduceat(mu, starts)


def _bins(s):
    """Slices of descending positive numbers that span at most 2 HALF_WIDTH in log s."""
    if not s.size:
        return []
    top, bottom = np.log(s[0]), np.log(s[-1])
    count = max(1, int(np.ceil((top - bottom) / (2 * HALF_WIDTH))))
    inner = np.exp(np.linspace(bottom, top, count + 1)[1:-1])
    ends = s.size - np.searchsorted(s[::-1], inner)
    edges = [0, *ends[::-1].tolist(), s.size]
    return [slice(low, high) for low, high in pairwise(edges) if high > low]


def _bin(s, theta, mu, nodes):
    if s.size > CHUNK:
        cuts = [slice(start, start + CHUNK) for start in range(0, s.size, CHUNK)]
        parts = [_rules(s[cut], theta[cut], mu[cut], nodes) for cut in cuts]
        s, theta, mu = map(np.concatenate, zip(*parts, strict=True))
    return _rules(s, theta, mu, nodes)


def _rules(s, theta, mu, nodes):
    """Both measures of one bin by Gauss rules, or as they are when that takes no more atoms."""
    if s.size <= 2 * nodes:
        return s, theta, mu
    reference = s[0]
    x = np.log(s / reference)
    many, masses = _gauss(x, mu, nodes)
    carrying, energies = _gauss(x, theta, nodes)
    return (
        reference * np.exp(np.concatenate([many, carrying])),
        np.concatenate([np.zeros_like(many), energies]),
        np.concatenate([masses, np.zeros_like(carrying)]),
    )


def _gauss(x, weights, nodes):
    """Nodes and weights of the Gauss rule of the measure Σ w_i δ(x_i); no node where there is no weight."""
    total, top = weights.sum(), weights.max()
    if top == 0:
        return np.empty(0), np.empty(0)
    centre, half = (x.max() + x.min()) / 2, max((x.max() - x.min()) / 2, np.finfo(float).tiny)
    x = (x - centre) / half
    vector = np.sqrt(weights / top)
    vector /= np.linalg.norm(vector)
    before, off = np.zeros_like(vector), 0.0
    diagonal, off_diagonal = [], []
    for _ in range(nodes):
        after = x * vector
        diagonal.append(after @ vector)
        after -= diagonal[-1] * vector
        after -= off * before
        off = np.linalg.norm(after)
        if off < 1e-14:
            break
        off_diagonal.append(off)
        before, vector = vector, after / off
    links = off_diagonal[: len(diagonal) - 1]
    points, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(links, 1) + np.diag(links, -1))
    return centre + half * points, total * vectors[0] ** 2
