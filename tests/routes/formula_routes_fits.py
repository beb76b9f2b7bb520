"""Routes of single fits and of chains of fits."""

import mpmath
import numpy as np
from formula_references import (
    Fit,
    MarchenkoPastur,
    inverse_chi_square,
    projected,
    slope,
)
from formula_route import DENSITY, MODERATE, NEAR, dot, least_squares_noise, route
from mpmath import mpf
from scipy.optimize import brentq

# ---- effective ridge: the fixed point of the resolvent, the spectral density, sums


@route("effective_ridge_equation", unknown="effective_ridge", ranges={"ridge": (1e-3, 10.0)})
def _(ridge, samples, eigenvalues):
    def gap(eta):
        return eta * (1 + mpmath.fsum(s / (eta * s + ridge) for s in eigenvalues) / samples) - 1

    return ridge / mpmath.findroot(gap, (mpf("1e-30"), mpf(1)), solver="anderson", tol=1e-50)


@route("effective_ridge_isotropic", ranges=MODERATE)
def _(ridge, samples, dimension):
    return MarchenkoPastur(dimension / samples).kappa(float(ridge))


@route("effective_ridge_slope")
def _(effective_ridge, samples, eigenvalues):
    fit = Fit(effective_ridge, samples, eigenvalues)
    return mpmath.diff(fit.kappa, fit.ridge)


@route("effective_ridge_power_law", tolerance=3e-4, ranges={"samples": (1e4, 1e7), "capacity": (1.3, 3.0)})
def _(samples, capacity):
    beta, log_T = float(capacity), float(mpmath.log(samples))

    def excess(log_kappa):
        j = np.arange(1, 401)
        u = np.linspace(np.log(400.5), -log_kappa / beta + 60, 20001)
        tail = np.trapezoid(np.exp(u - np.logaddexp(0, log_kappa + beta * u)), u)
        return np.log(np.sum(1 / (1 + np.exp(log_kappa) * j**beta)) + tail) - log_T

    return np.exp(brentq(excess, -beta * log_T - 5, 0.0))


@route("ridge_isotropic", ranges=DENSITY)
def _(effective_ridge, samples, dimension):
    law = MarchenkoPastur(dimension / samples)
    kappa = float(effective_ridge)
    return brentq(lambda ridge: law.kappa(ridge) - kappa, 1e-9 * kappa, kappa, xtol=1e-16, rtol=1e-14)


# ---- degrees of freedom: the gamma integral, sums


def _degrees(kappas, order):
    return mpmath.fsum(
        mpmath.quad(lambda t: t ** (order - 1) * mpmath.exp(-t * (1 + k)), [0, 5 / (1 + k), 60 * (1 + order) / (1 + k)])
        for k in kappas
    ) / mpmath.gamma(order)


@route("degrees_of_freedom", ranges={"order": (1, 6)})
def _(effective_ridge, order, eigenvalues):
    return _degrees([effective_ridge / s for s in eigenvalues], order)


@route("degrees_of_freedom_isotropic", ranges={"order": (1, 6)})
def _(effective_ridge, order, dimension):
    return dimension * _degrees([effective_ridge], order)


@route(
    "degrees_of_freedom_power_law",
    tolerance=2e-3,
    ranges={"effective_ridge": (1e-14, 1e-12), "order": (1, 4), "capacity": (1.3, 3.0)},
)
def _(effective_ridge, order, capacity):
    beta, kappa = float(capacity), float(effective_ridge)
    u = np.linspace(np.log(64.5), -np.log(kappa) / beta + 60, 20001)
    tail = np.trapezoid(np.exp(u) * (1 + kappa * np.exp(beta * u)) ** -float(order), u)
    return np.sum((1 + kappa * np.arange(1, 65) ** beta) ** -float(order)) + tail


@route(
    "degrees_of_freedom_power_law_finite",
    tolerance=1e-2,
    ranges={"effective_ridge": (1e-8, 1e-6), "order": (1, 3), "capacity": (1.1, 1.6), "dimension": (2e4, 1e5)},
)
def _(effective_ridge, order, capacity, dimension):
    j = np.arange(1, int(dimension) + 1)
    return np.sum((1 + float(effective_ridge) * j ** float(capacity)) ** -float(order))


def _zeta(x):
    """Through the alternating sum Σ (-1)^{j-1} j^{-x} = (1 - 2^{1-x}) ζ(x)."""
    alternating = mpmath.nsum(lambda j: (-1) ** (int(j) - 1) * j**-x, [1, mpmath.inf], method="alternating")
    return alternating / (1 - 2 ** (1 - x))


@route("power_law_trace")
def _(capacity):
    return _zeta(capacity)


@route("power_law_label_variance")
def _(capacity, source):
    return _zeta(1 + 2 * source * capacity)


# ---- clean errors and label models: derivatives of first-order equivalents; the spectral density


@route("clean_error")
def _(effective_ridge, samples, noise, eigenvalues, signal):
    fit = Fit(effective_ridge, samples, eigenvalues)
    return fit.missed(signal) + noise**2 * fit.noise_gain()


@route("clean_error_isotropic", ranges=MODERATE)
def _(ridge, samples, dimension, noise, signal_energy):
    kept, kept2, gain = MarchenkoPastur(dimension / samples).fitted(float(ridge))
    return signal_energy * (1 - 2 * kept + kept2) + noise**2 * gain


@route("clean_error_isotropic_kappa")
def _(effective_ridge, samples, dimension, noise, signal_energy):
    fit = Fit(effective_ridge, samples, [1], [dimension])
    return fit.missed([signal_energy]) + noise**2 * fit.noise_gain()


@route("generation_noise_level")
def _(effective_ridge, samples, noise, eigenvalues, label_energy):
    fit = Fit(effective_ridge, samples, eigenvalues)
    return (fit.missed(label_energy) + noise**2 * (1 + fit.noise_gain())) / samples


@route("generation_error")
def _(effective_ridge, samples, noise, eigenvalues, signal, label_energy, label_alignment):
    aligned = [m * t for m, t in zip(label_alignment, signal, strict=True)]
    return Fit(effective_ridge, samples, eigenvalues).error(label_energy, aligned, signal, noise**2)


# ---- collapse rates: the generators' covariance passed through one fit


def _passed(effective_ridge, samples, eigenvalues, variance):
    return Fit(effective_ridge, samples, eigenvalues).spread([variance / s for s in eigenvalues])


@route("collapse_rate")
def _(effective_ridge, samples, generator_samples, generator_noise, eigenvalues):
    variance = generator_noise**2 / (generator_samples - len(eigenvalues))
    return _passed(effective_ridge, samples, eigenvalues, variance)


@route("collapse_rate_finite_size")
def _(effective_ridge, samples, generator_samples, generator_noise, eigenvalues):
    variance = generator_noise**2 * inverse_chi_square(generator_samples - len(eigenvalues) + 1)
    return _passed(effective_ridge, samples, eigenvalues, variance)


@route("collapse_rate_isotropic", ranges=DENSITY)
def _(effective_ridge, samples, generator_samples, dimension, generator_noise):
    law = MarchenkoPastur(dimension / samples)
    kept2 = law.fitted(law.ridge(effective_ridge))[1]
    return generator_noise**2 * dimension / (generator_samples - dimension) * kept2


@route("collapse_rate_proportional", ranges=DENSITY | NEAR)
def _(effective_ridge, aspect, generator_aspect, generator_noise):
    law = MarchenkoPastur(aspect)
    kept2 = law.fitted(law.ridge(effective_ridge))[1]
    return generator_noise**2 * least_squares_noise(generator_aspect) * kept2


@route("collapse_rate_ridgeless", ranges={"aspect": (0.1, 2.0)} | NEAR)
def _(aspect, generator_aspect, generator_noise):
    return generator_noise**2 * least_squares_noise(generator_aspect) * MarchenkoPastur(aspect).mean(np.ones_like)


@route("chain_error")
def _(effective_ridge, samples, noise, eigenvalues, signal, generations, generator_samples, generator_noise):
    energy = list(signal)
    for _ in range(int(generations)):
        energy = [
            c + generator_noise**2 / (generator_samples - len(energy)) / s
            for c, s in zip(energy, eigenvalues, strict=True)
        ]
    return Fit(effective_ridge, samples, eigenvalues).error(energy, signal, signal, noise**2)


# ---- finite sizes: chi-square and beta laws by quadrature


@route("least_squares_chain")
def _(samples, generator_samples, dimension, noise, generator_noise, generations):
    last = noise**2 * dimension * inverse_chi_square(samples - dimension + 1)
    step = generator_noise**2 * dimension * inverse_chi_square(generator_samples - dimension + 1)
    return last + mpmath.fsum(step for _ in range(int(generations)))


@route("least_squares_chain_limit", ranges={"aspect": (0.02, 0.95)} | NEAR)
def _(aspect, generator_aspect, noise, generator_noise, generations):
    step = generator_noise**2 * least_squares_noise(generator_aspect)
    return noise**2 * least_squares_noise(aspect) + sum(step for _ in range(int(generations)))


def _interpolated(energy, aligned, samples, dimension, noise):
    """(E|w|², E w·w_0) after one minimum-norm fit."""
    kept = projected(samples, dimension)
    return kept * energy + noise**2 * samples * inverse_chi_square(dimension - samples + 1), kept * aligned


@route("minimum_norm_error")
def _(samples, dimension, noise, signal_energy):
    energy, aligned = _interpolated(signal_energy, signal_energy, samples, dimension, noise)
    return energy - 2 * aligned + signal_energy


@route("interpolating_chain_noise_free")
def _(generator_samples, dimension, rounds, signal_energy):
    kept, energy = projected(generator_samples, dimension), signal_energy
    aligned = signal_energy
    for _ in range(int(rounds)):
        energy, aligned = kept * energy, kept * aligned
    return energy - 2 * aligned + signal_energy


@route("interpolating_chain")
def _(samples, generator_samples, dimension, noise, generator_noise, generations, signal_energy):
    kept = projected(generator_samples, dimension)
    added = generator_noise**2 * generator_samples * inverse_chi_square(dimension - generator_samples + 1)
    energy = aligned = signal_energy
    for _ in range(int(generations)):
        energy, aligned = kept * energy + added, kept * aligned
    energy, aligned = _interpolated(energy, aligned, samples, dimension, noise)
    return energy - 2 * aligned + signal_energy


@route("interpolating_chain_limit", ranges={"aspect": (1.1, 5.0)})
def _(aspect, rounds, noise, signal_energy):
    law = MarchenkoPastur(aspect)
    kept, gain = law.mean(np.ones_like), law.mean(lambda x: 1 / x) * float(aspect)
    energy = aligned = signal_energy
    for _ in range(int(rounds)):
        energy, aligned = kept * energy + noise**2 * gain, kept * aligned
    return energy - 2 * aligned + signal_energy


@route("ridge_chain_isotropic", ranges=DENSITY | {"rounds": (0, 6)})
def _(effective_ridge, aspect, noise, rounds, signal_energy):
    law = MarchenkoPastur(aspect)
    kept, kept2, gain = law.fitted(law.ridge(effective_ridge))
    energy = aligned = signal_energy
    for _ in range(int(rounds)):
        energy, aligned = kept2 * energy + noise**2 * gain, kept * aligned
    return energy - 2 * aligned + signal_energy


@route("ridge_chain_stationary")
def _(effective_ridge, samples, noise, eigenvalues, signal):
    # the map of second moments is affine, c_j <- (1-k_j)² (c_j + v(c)/s_j): solve for its fixed point
    d, fit = len(eigenvalues), Fit(effective_ridge, samples, eigenvalues)
    level = [fit.missed([mpf(i == j) for i in range(d)]) / samples for j in range(d)]
    fresh, kept = noise**2 * (1 + fit.noise_gain()) / samples, [(1 - k) ** 2 for k in fit.kept()]
    rows = [[mpf(i == j) * (1 - kept[i]) - kept[i] / eigenvalues[i] * level[j] for j in range(d)] for i in range(d)]
    right = [fresh * p / s for p, s in zip(kept, eigenvalues, strict=True)]
    return dot(eigenvalues, signal) + dot(eigenvalues, list(mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(right))))


@route("noise_free_growth_exponent", tolerance=2e-2, points=tuple({"source": r} for r in (0.2, 0.6, 0.8, 1.3, 2.5)))
def _(source):
    r, beta, log_kappa = float(source), 1.5, -80 * np.log(10)

    def log_error(log_n):
        u = np.linspace(0, -log_kappa / beta + 60, 20001)
        forgotten = -np.expm1(-np.exp(log_n) * np.logaddexp(0, log_kappa + beta * u))
        return np.log(np.trapezoid(np.exp(-2 * r * beta * u) * forgotten**2, u))

    return slope(log_error, 15.0, 30.0)


# ---- one pass of SGD: one signal direction and the others, as matrices


def _pass_matrix(step, batch, dimension):
    """How a step moves (c_1, Σ_{j>1} c_j) for Σ = I, entry by entry of E (I − ηS) e eᵀ (I − ηS)."""
    others = dimension - 1
    kept, cross = (1 - step) ** 2 + step**2 / batch, step**2 / batch
    return mpmath.matrix([[kept + cross, cross], [cross * others, kept + cross * others]])


@route("one_pass_error_isotropic", ranges={"samples": (10.0, 3000.0), "batch": (1.0, 30.0), "dimension": (2.0, 300.0)})
def _(descent_step, batch, samples, dimension, noise, signal_energy):
    values, left, right = mpmath.eig(_pass_matrix(descent_step, batch, dimension), left=True, right=True)
    fresh = mpmath.matrix([1, dimension - 1]) * (descent_step * noise) ** 2 / batch
    total = mpf(0)
    for k in range(2):
        row = left[k, :] / (left[k, :] * right[:, k])[0]
        grown = mpmath.re(values[k]) ** (samples / batch)
        start, added = row[0] * signal_energy, (row * fresh)[0] * (1 - grown) / (1 - values[k])
        total += mpmath.re((grown * start + added) * (right[0, k] + right[1, k]))
    return total


@route("one_pass_largest_step", ranges={"batch": (1.0, 300.0), "dimension": (2.0, 1000.0)})
def _(batch, dimension):
    def excess(step):
        return max(map(mpmath.re, mpmath.eig(_pass_matrix(step, batch, dimension), right=False))) - 1

    low, high = mpf("1e-4"), mpf(2)
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return low


@route("one_pass_stationary_error", ranges={"batch": (1.0, 300.0)})
def _(descent_step, batch, eigenvalues, noise):
    count, scale = len(eigenvalues), descent_step**2 / batch
    system, fresh = mpmath.eye(count), mpmath.matrix(count, 1)
    for i, s in enumerate(eigenvalues):
        fresh[i] = scale * s * noise**2
        system[i, i] -= (1 - descent_step * s) ** 2 + scale * s**2
        for k, other in enumerate(eigenvalues):
            system[i, k] -= scale * s * other
    return dot(eigenvalues, list(mpmath.lu_solve(system, fresh)))
