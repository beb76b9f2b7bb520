r"""Early stopping: the test error along gradient flow, and the time at which it turns.

The effective ridge on a contour and everything that follows from the spectrum alone do not depend on the training time;
one Hankel contour of 32 nodes serves all times within a factor of four. So a curve costs a few contours
(`filtered_step.equivalent`), and per time the quadratic forms

    bias = Σ_j s_j θ_j (b_j + r̄_j a_j)²,
    Σ_j μ_j s_j² U_j = Σ_ab c_a c_b u_ab G_ab,      G_ab = Σ_j μ_j s_j² Q_{a,j} Q_{b,j} .
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics import shortcuts, steps
from modelcollapse.numerics.boundary import COMPRESS_ABOVE
from modelcollapse.numerics.contour import hankel
from modelcollapse.numerics.filtered_step import equivalent
from modelcollapse.numerics.predictions import Prediction
from modelcollapse.numerics.shortcuts import FakeData
from modelcollapse.theory import domains
from modelcollapse.theory.filters import TIME
from modelcollapse.theory.leaves import is_expression, leaf
from modelcollapse.theory.pipelines import refuse_interpolating_chain
from modelcollapse.theory.spectra import Spectrum

__all__ = ["OptimalStopping", "optimal_stopping", "stopping_curve"]

NODES, RATIO, TIMES = 32, 4.0, 128
_SHORTEST, _LONGEST = 1e-3, 1e12  # of the search, in units of 1/s_1
_GRID, _ZOOMS, _ROUNDING = 12, 4, 1e-14


@dataclass(frozen=True)
class OptimalStopping:
    """The best time of gradient flow, its test error, that error over the optimal ridge's, and whether the search ended
    at its bound (then the best is to train for ever, or not at all)."""

    time: float
    test_error: float
    ratio: float
    at_bound: bool


def stopping_curve(spectrum, samples, noise, times, fake=None):
    """The error of a fit by gradient flow that stops at `times`, on clean or n-fold fake labels.

    The flow is dw/dt = Xᵀy/T − S w from zero (the loss is half the mean squared error). samples T > 0, noise σ ≥ 0,
    times t ≥ 0 and the numbers of `fake` broadcast. Points that differ in time only share their contours, so a curve of
    1000 times costs little more than one. Returns a Prediction of the broadcast shape.

    Raises ValueError or TypeError for bad numbers, RuntimeError where the equivalent was not found.

    >>> import modelcollapse as mc
    >>> spectrum = mc.isotropic(100)
    >>> curve = stopping_curve(spectrum, 150, 0.5, [0, 2, 1e9])
    >>> float(curve.test_error[0]), bool(curve.test_error[1] < curve.test_error[2])      # nothing learned; too much
    (1.0, True)
    >>> bool(np.isclose(curve.test_error[2], mc.test_error(spectrum, 150, 0.0, 0.5).test_error))    # least squares
    True
    """
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"spectrum is a {type(spectrum).__name__}; build one with isotropic, power_law or from_...")
    fake = FakeData(0, 1, 0.0) if fake is None else fake
    if not isinstance(fake, FakeData):
        raise TypeError(f"fake is a {type(fake).__name__}; give FakeData(generations, samples, noise)")
    refuse_interpolating_chain(spectrum, fake.ridge, fake.generations)
    numbers = [_number(name, value, domain) for name, value, domain in (
        ("samples", samples, domains.SAMPLES), ("noise", noise, domains.NOISE),
        ("fake.generations", fake.generations, domains.GENERATIONS), ("fake.samples", fake.samples, domains.SAMPLES),
        ("fake.noise", fake.noise, domains.NOISE), ("fake.ridge", fake.ridge, domains.RIDGE), ("times", times, TIME))]
    if spectrum.eigenvalues.ndim > 1:
        raise ValueError(f"spectrum is a grid of shape {spectrum.eigenvalues.shape[:-1]}; give one spectrum at a time")
    try:
        *numbers, times = np.broadcast_arrays(*numbers)
    except ValueError:
        raise ValueError(f"the grids do not broadcast together: shapes {[np.shape(x) for x in numbers]}; "
                         "add axes of length 1 as for NumPy arrays") from None
    shape, times = times.shape, times.reshape(-1)
    problems, which = np.unique(np.stack([x.reshape(-1) for x in numbers], 1), axis=0, return_inverse=True)
    out, fine = np.empty((4, times.size)), np.ones(times.size, bool)
    with jax.enable_x64(True):
        atoms = _atoms(spectrum)
        least = np.finfo(float).eps / (16 * float(jnp.max(atoms.eigenvalues)) or 1)
        for p, problem in enumerate(problems):
            model = None
            for here, centre in _blocks(np.flatnonzero(which.reshape(-1) == p), times, least):
                if model is None:
                    labels, converged = _labels(atoms, *problem[2:])
                    model = labels, bool(converged.all())
                padded = np.full(math.ceil(len(here) / TIMES) * TIMES, centre)
                padded[: len(here)] = np.maximum(times[here], least)
                rows, sigma = problem[0], problem[1]
                *parts, ok = _block(atoms, rows, sigma, model[0], centre, padded.reshape(-1, TIMES))
                out[:, here] = np.stack([np.asarray(x).reshape(-1)[: len(here)] for x in parts])
                fine[here] = bool(ok) and model[1]
        idle = times < least
        fine &= ~np.isnan(out).any(0)
        out[:, idle] = float(jnp.sum(atoms.eigenvalues * atoms.signal)) * np.array([[1], [0], [1], [0]])
    if not fine.all():
        raise RuntimeError(f"the effective ridge was not found at {np.sum(~fine)} of {times.size} grid points; "
                           "samples further from the dimension, or a shorter time, may help")
    bias, variance, *clean = (x.reshape(shape)[()] for x in out)
    clean = clean[0] + clean[1]
    return Prediction(bias + variance, bias, variance, clean, bias + variance - clean)


def _number(name, value, domain):
    value = leaf(name, value, domain)
    if is_expression(value):
        raise TypeError(f"{name} = {value} is symbolic; give numbers")
    return np.asarray(value, float)


def _atoms(spectrum):
    if spectrum.eigenvalues.shape[-1] > COMPRESS_ABOVE:
        spectrum = spectrum.compress()
    size = spectrum.eigenvalues.shape[-1]
    pad = 4 ** math.ceil(math.log(max(size, 64), 4)) - size
    s, signal, multiplicity = (
        jnp.asarray(np.pad(x, (0, pad)))[None] for x in (spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity)
    )
    return steps.Atoms(s, signal, multiplicity, s)


def _blocks(places, times, least):
    """Points whose times lie within a factor RATIO of each other, with the middle of that range."""
    index = np.floor(np.log(np.maximum(times[places], least)) / math.log(RATIO))
    for block in np.unique(index):
        yield places[index == block], RATIO ** (block + 0.5)


@jax.jit
def _labels(atoms, generations, samples, noise, ridge):
    one = jnp.ones_like(atoms.eigenvalues)
    start = steps.Moments(one, 0 * one, 0 * one)
    numbers = (generations, samples, noise, ridge)
    n, rows, sigma, penalty = (jnp.reshape(jnp.asarray(x, one.dtype), (1,)) for x in numbers)
    moments, _, converged = steps.chain(atoms, n, rows, sigma, penalty, jnp.asarray(False), start)
    return moments, converged


@jax.jit
def _block(atoms, samples, noise, labels, centre, times):
    """(bias, variance, clean bias, clean variance) at times (rows, TIMES) near `centre`, and convergence ()."""
    s, signal, multiplicity = atoms.eigenvalues[0], atoms.signal[0], atoms.multiplicity[0]
    samples, noise = jnp.asarray(samples, s.dtype), jnp.asarray(noise, s.dtype)
    Z, weight = (jnp.asarray(x, jnp.result_type(s.dtype, jnp.complex64))
                 for x in hankel(NODES))
    nodes, weights = Z / centre, weight / centre
    here = equivalent(s, multiplicity, samples, nodes)
    mirrors = (lambda x: x, jnp.conj)
    direct = [(here.resolvent * (multiplicity * s**2)) @ m(here.resolvent).T for m in mirrors]
    gained = here.noise @ (s * multiplicity).astype(here.noise.dtype)

    def forms(ratio, spread):
        """u_ab G_ab for labels of moments `ratio`, Σ variance `spread`."""
        energy = s * (ratio**2 * signal + spread)
        return [(here.resolvent * energy) @ m(here.resolvent).T / samples / left * total
                for m, left, total in zip(mirrors, here.left, direct, strict=True)]

    endless = jnp.any(jnp.isinf(labels.variance))  # a label model with T = d and noise
    spread = jnp.where((s > 0) & ~endless, multiplicity / jnp.where(s > 0, s, 1) * labels.variance[0], 0)
    models = [(labels.ratio[0], labels.deficit[0], spread), (jnp.ones_like(s), jnp.zeros_like(s), jnp.zeros_like(s))]
    pulls = [forms(ratio, spread) for ratio, _, spread in models]

    def at(times):
        residual = jnp.exp(-times[:, None] * nodes)
        coefficient = weights * residual * here.ratio
        null = 2 * (coefficient @ here.resolvent).real
        fresh = noise**2 / samples * -2 * ((weights * residual * (residual - 2) / nodes) @ gained).real
        out = []
        for (ratio, deficit, spread), pull in zip(models, pulls, strict=True):
            pairs = zip(mirrors, pull, strict=True)
            pulled = sum(jnp.sum((coefficient @ form) * mirror(coefficient), -1) for mirror, form in pairs)
            out.append((deficit + null * ratio) ** 2 @ (s * signal))
            out.append(jnp.maximum((1 - null) ** 2 @ (s * spread) + 2 * pulled.real + fresh, 0))
        out[1] = jnp.where(endless, jnp.inf, out[1])
        return tuple(out)

    return *jax.lax.map(at, times), here.converged


def optimal_stopping(spectrum, samples, noise, fake=None):
    """When to stop gradient flow on clean or n-fold fake labels: OptimalStopping, for one problem (numbers, no grids).

    The whole curve is searched (times from 1e-3/s_1 to 1e12/s_1), then the neighbourhood of its lowest point;
    likewise the ridge it is compared with.

    >>> import modelcollapse as mc
    >>> spectrum = mc.power_law(1.5, 0.5, dim=200)
    >>> early, late = (optimal_stopping(spectrum, 400, 0.1, mc.FakeData(n, 600, 0.1)).time for n in (5, 0))
    >>> bool(early < late)          # the more synthetic the labels, the earlier the turn
    True
    """
    largest = float(np.max(spectrum.eigenvalues)) if isinstance(spectrum, Spectrum) else 1.0

    def along(times):
        error = stopping_curve(spectrum, samples, noise, times, fake).test_error
        if error.shape != times.shape:
            raise ValueError(f"samples, noise and fake are a grid of shape {error.shape}; give one problem at a time")
        return error

    def ridges(values):
        return shortcuts.test_error(spectrum, samples, values, noise, fake).test_error

    time, error, at_bound = _lowest(along, _SHORTEST / largest, _LONGEST / largest)
    _, best, _ = _lowest(ridges, largest * 1e-12, largest * 1e6)
    return OptimalStopping(time, error, error / best if best > 0 else (1.0 if error == 0 else math.inf), at_bound)


def _lowest(function, low, high):
    """Argument in [low, high] (positive), value, and whether it is an end of the range: a grid, then its best cell.

    Values within rounding of the largest count as equal to zero, and an end that is as low as any point is the lowest.
    """
    grid = np.geomspace(low, high, _GRID * round(math.log10(high / low)) + 1)
    values = function(grid)
    rounding = _ROUNDING * values.max()
    for end in (0, -1):
        if values[end] <= values.min() * (1 + _ROUNDING) + rounding:
            return float(grid[end]), float(values[end] if values[end] > rounding else 0), True
    for _ in range(_ZOOMS):
        best = int(np.argmin(values))
        grid = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 2 * _GRID + 1)
        values = function(grid)
    best = int(np.argmin(values))
    return float(grid[best]), float(values[best]), False
