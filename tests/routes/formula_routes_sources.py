"""Routes of mixtures, mixed labels, accumulation, the best ridge and random features."""

import mpmath
import numpy as np
from formula_references import (
    Fit,
    MarchenkoPastur,
    inverse_chi_square,
)
from formula_route import BEST, DENSITY, ROUTES, least_squares_noise, price, route
from mpmath import mpf
from scipy.optimize import brentq

# ---- mixtures: samples are exchangeable, so S_2 δ is p_2 S δ plus noise of variance p_1 p_2 |δ|²


@route("mixture_price")
def _(effective_ridge, samples, synthetic_share, eigenvalues, offset):
    return price(Fit(effective_ridge, samples, eigenvalues), synthetic_share, offset)


@route("mixture_error")
def _(effective_ridge, samples, synthetic_share, real_noise, synthetic_noise, eigenvalues, signal, offset):
    fit = Fit(effective_ridge, samples, eigenvalues)
    noise = real_noise**2 + synthetic_share * (synthetic_noise**2 - real_noise**2)
    return fit.missed(signal) + noise * fit.noise_gain() + price(fit, synthetic_share, offset)


@route("mixture_price_isotropic", ranges=DENSITY)
def _(effective_ridge, aspect, synthetic_share, offset_variance):
    law, p = MarchenkoPastur(aspect), synthetic_share
    _, kept2, gain = law.fitted(law.ridge(effective_ridge))
    return offset_variance * (p**2 * kept2 + p * (1 - p) * gain)


@route("mixture_price_ridgeless", ranges={"aspect": (0.02, 0.95)})
def _(aspect, synthetic_share, offset_variance):
    p = synthetic_share
    return offset_variance * (p**2 + p * (1 - p) * least_squares_noise(aspect))


@route("mixture_floor", ranges={"synthetic_share": (0.01, 1.0)})
def _(synthetic_share, offset_variance):
    fit = Fit(mpf("1e-20"), mpf("1e20"), [1])
    return price(fit, synthetic_share, [offset_variance])


@route(
    "weighted_sources_equation",
    tolerance=0.02,
    unknown="correlation",
    points=(
        {"ridge": 0.3, "samples": 3.0, "eigenvalues": [1.0, 0.4], "shares": [0.6, 0.4], "weights": [1.0, 2.5]},
        {"ridge": 0.1, "samples": 1.5, "eigenvalues": [1.0, 0.2], "shares": [0.2, 0.8], "weights": [0.4, 1.5]},
        {"ridge": 0.8, "samples": 0.8, "eigenvalues": [2.0, 0.5], "shares": [0.5, 0.5], "weights": [3.0, 0.5]},
    ),
)
def _(ridge, samples, eigenvalues, shares, weights):
    # the resolvent of a simulated weighted sample, every direction and sample 150 times
    copies, generator = 150, np.random.default_rng(7)
    s = np.repeat([float(x) for x in eigenvalues], copies)
    T = round(float(samples) * copies)
    omega = np.repeat([float(w) for w in weights], [round(T * float(p)) for p in shares])
    X = generator.standard_normal((len(omega), len(s))) * np.sqrt(s)
    return np.trace(np.diag(s) @ np.linalg.inv((X.T * omega) @ X / T + float(ridge) * np.eye(len(s)))) / T


# ---- label mixing and accumulation: recursions with chi-square moments


@route("label_mixing")
def _(samples, dimension, real_share, real_noise, synthetic_noise, rounds):
    unit, error = dimension * inverse_chi_square(samples - dimension + 1), mpf(0)
    for _ in range(int(rounds)):
        variance = (real_share * real_noise) ** 2 + ((1 - real_share) * synthetic_noise) ** 2
        error = (1 - real_share) ** 2 * error + variance * unit
    return error


@route("label_mixing_limit", ranges={"real_share": (0.1, 1.0)})
def _(samples, dimension, real_share, noise):
    return ROUTES["label_mixing"].value(samples, dimension, real_share, noise, noise, 400)


def _mixing(share):
    return mpmath.fsum((share**2 + (1 - share) ** 2) * (1 - share) ** (2 * i) for i in range(80))


@route("label_mixing_best_share", points=({},))
def _():
    return mpmath.findroot(lambda a: mpmath.diff(_mixing, a), mpf("0.6"))


@route("label_mixing_best_error")
def _(samples, dimension, noise):
    share = mpmath.findroot(lambda a: mpmath.diff(_mixing, a), mpf("0.6"))
    return noise**2 * dimension * inverse_chi_square(samples - dimension + 1) * _mixing(share)


@route("accumulation_error")
def _(round_samples, round_noise, round_effective_ridge, eigenvalues, signal):
    total = mpf(0)
    for g, (T, noise, kappa) in enumerate(zip(round_samples, round_noise, round_effective_ridge, strict=True)):
        pooled = mpmath.fsum(round_samples[: g + 1])
        fit = Fit(kappa, pooled, eigenvalues)
        total += noise**2 * T / pooled * fit.noise_gain()
        if g == 0:
            total += fit.missed(signal)
    return total


@route("accumulation_least_squares")
def _(round_samples, round_noise, dimension):
    total, pooled = mpf(0), mpf(0)
    for T, noise in zip(round_samples, round_noise, strict=True):
        pooled += T
        total += noise**2 * T / pooled * dimension * inverse_chi_square(pooled - dimension + 1)
    return total


@route("accumulation_equal_rounds", ranges={"rounds": (1, 8)})
def _(samples, dimension, noise, rounds):
    return mpmath.fsum(
        noise**2 / g * dimension * inverse_chi_square(g * samples - dimension + 1) for g in range(1, int(rounds) + 1)
    )


@route("accumulation_limit")
def _(samples, dimension, noise):
    return noise**2 * mpmath.nsum(lambda g: dimension / (g * (g * samples - dimension - 1)), [1, mpmath.inf])


@route("accumulation_limit_many_samples", ranges={"samples": (1e13, 1e14), "dimension": (1.0, 5.0)})
def _(samples, dimension, noise):
    return ROUTES["accumulation_limit"].value(samples, dimension, noise)


# ---- workflows: estimates as vectors over independent noises, one for each round's mean and one for each draw


def _variances(rounds, drawn):
    """The variance of the fit on the pool of k rounds, or on a draw of one round's size from it, in units of 1/T."""
    rounds = int(rounds)
    fits = [[mpf(0)] * (2 * rounds)]
    for k in range(1, rounds + 1):
        labels = [[fits[g][i] + (i == g) for i in range(2 * rounds)] for g in range(k)]
        pooled = [mpmath.fsum(row[i] for row in labels) / k for i in range(2 * rounds)]
        pooled[rounds + k - 1] += mpmath.sqrt(1 - mpf(1) / k) if drawn else 0
        fits.append(pooled)
    return mpmath.fsum(c**2 for c in fits[-1])


@route("workflow_accumulate", ranges={"rounds": (1, 12)})
def _(rounds):
    return _variances(rounds, drawn=False)


@route("workflow_subsample", ranges={"rounds": (1, 12)})
def _(rounds):
    return _variances(rounds, drawn=True)


@route("growing_chain")
def _(round_samples, round_noise, dimension):
    return mpmath.fsum(
        noise**2 * dimension * inverse_chi_square(T - dimension + 1)
        for T, noise in zip(round_samples, round_noise, strict=True)
    )


# ---- the best teacher: the error on labels ρ w_0 as a parabola in ρ, measured at three points


def _parabolas(kappa, gain, eigenvalues, signal):
    """[(constant, slope, curvature)] of E(ρ_j) in each direction; many loud directions without signal make the gain."""
    kept, copies = 1 - 1 / (2 * (1 + gain)), mpf(10) ** 9
    spectrum = [*eigenvalues, kappa * kept / (1 - kept)]
    second = copies * kept**2 + mpmath.fsum((s / (s + kappa)) ** 2 for s in eigenvalues)
    fit = Fit(kappa, second * (1 + gain) / gain, spectrum, [mpf(1)] * len(eigenvalues) + [copies])
    found = []
    for j in range(len(eigenvalues)):
        energy = [signal[i] if i == j else mpf(0) for i in range(len(eigenvalues))] + [mpf(0)]
        none, same, opposite = (
            fit.error([rho**2 * c for c in energy], [rho * c for c in energy], energy, 0) for rho in (0, 1, -1)
        )
        found.append((none, (same - opposite) / 2, (same + opposite) / 2 - none))
    return found, fit.noise_gain()


@route("optimal_teacher_correlation")
def _(eigenvalue, effective_ridge, noise_gain):
    (((_, slope, curvature),), _) = _parabolas(effective_ridge, noise_gain, [eigenvalue], [mpf(1)])
    return -slope / (2 * curvature)


@route("optimal_teacher_error", ranges={"effective_ridge": (0.1, 10.0)})
def _(effective_ridge, noise_gain, noise, eigenvalues, signal):
    found, gain = _parabolas(effective_ridge, noise_gain, eigenvalues, signal)
    return mpmath.fsum(c - b**2 / (4 * a) for c, b, a in found) + gain * noise**2


@route("optimal_teacher_least_share", tolerance=1e-5)
def _(noise_gain):
    # eigenvalues far from κ: what is left of the bound is of order 1e-7
    found, _ = _parabolas(mpf(1), noise_gain, [mpf("1e-7"), mpf("1e7")], [mpf(1), mpf(1)])
    return min((c - b**2 / (4 * a)) / (c + b + a) for c, b, a in found)


# ---- the best ridge: stationary points of integrals over the spectral density


def _stationary(law, signal, noise, generators):
    """λ > 0 where dE/dλ = 0, E = ∫ (λ²ρ² + σ²φx + D²x²)/(x+λ)²."""
    signal, noise, generators = float(signal), float(noise), float(generators)

    def derivative(log_ridge):
        ridge = np.exp(log_ridge)
        return law.mean(lambda x: x * (ridge * signal - noise * law.aspect - generators * x) / (x + ridge) ** 3)

    return np.exp(brentq(derivative, -12.0, 14.0, xtol=1e-14, rtol=1e-14))


@route("optimal_ridge_clean", ranges=BEST)
def _(samples, dimension, noise, signal_energy):
    return _stationary(MarchenkoPastur(dimension / samples), signal_energy, noise**2, 0)


@route("optimal_ridge_equation", unknown="effective_ridge", ranges=BEST)
def _(samples, generator_samples, dimension, noise, generator_noise, generations, signal_energy):
    law = MarchenkoPastur(dimension / samples)
    added = generations * generator_noise**2 * dimension / (generator_samples - dimension)
    return law.kappa(_stationary(law, signal_energy, noise**2, added))


@route("chain_error_isotropic", ranges=DENSITY)
def _(effective_ridge, samples, generator_samples, dimension, noise, generator_noise, generations, signal_energy):
    law = MarchenkoPastur(dimension / samples)
    kept, kept2, gain = law.fitted(law.ridge(effective_ridge))
    added = generations * generator_noise**2 * dimension / (generator_samples - dimension)
    return signal_energy * (1 - 2 * kept + kept2) + noise**2 * gain + added * kept2


@route("provenance_correction", ranges={"generator_noise": (0.1, 10.0)})
def _(first_degrees, generator_samples, dimension, noise, generator_noise, generations):
    kappa, samples = dimension / first_degrees - 1, 2 * dimension
    fit = Fit(kappa, samples, [1], [dimension])
    added = dimension * generations * generator_noise**2 * inverse_chi_square(generator_samples - dimension + 1)
    validated = fit.missed([1 + added]) + noise**2 * fit.noise_gain() + noise**2
    return fit.error([1 + added], [1], [1], noise**2) - validated


@route("general_provenance_correction")
def _(effective_ridge, noise, eigenvalues, signal, label_energy, label_alignment):
    aligned = [m * t for m, t in zip(label_alignment, signal, strict=True)]
    fit = Fit(effective_ridge, 3 * len(eigenvalues), eigenvalues)
    validated = fit.missed(label_energy) + noise**2 * fit.noise_gain() + noise**2
    return fit.error(label_energy, aligned, signal, noise**2) - validated


# ---- random features: coupled first-order equivalents and their derivatives


def _features(kappa, samples, features, eigenvalues, copies=None):
    return Fit(kappa, samples, eigenvalues, copies, features)


@route("random_features_equation", unknown="ridge")
def _(effective_ridge, samples, features, eigenvalues):
    # λ at which the coupled fixed point has this κ: both weights from leaving one sample, one feature out
    fit = _features(effective_ridge, samples, features, eigenvalues)
    ridge = mpmath.findroot(lambda x: fit.kappa(x) - effective_ridge, (fit.ridge, fit.ridge * mpf("1.01")))
    return ridge


@route("random_features_slope")
def _(effective_ridge, samples, features, eigenvalues):
    fit = _features(effective_ridge, samples, features, eigenvalues)
    return 1 / mpmath.diff(fit.kappa, fit.ridge)


@route("random_features_error")
def _(effective_ridge, samples, features, noise, eigenvalues, signal):
    fit = _features(effective_ridge, samples, features, eigenvalues)
    return fit.missed(signal) + noise**2 * fit.noise_gain()


@route("random_features_label_error")
def _(effective_ridge, samples, features, noise, eigenvalues, signal, label_energy, label_alignment):
    aligned = [m * t for m, t in zip(label_alignment, signal, strict=True)]
    fit = _features(effective_ridge, samples, features, eigenvalues)
    return fit.error(label_energy, aligned, signal, noise**2)


@route("random_features_price")
def _(effective_ridge, samples, features, synthetic_share, eigenvalues, offset):
    return price(_features(effective_ridge, samples, features, eigenvalues), synthetic_share, offset)


HUGE = mpf("1e20")


def _isotropic(first, second):
    """(copies, κ) of an isotropic spectrum with these degrees of freedom."""
    return first**2 / second, first / second - 1


@route("feature_ratio")
def _(features, first_degrees, second_degrees):
    # endless data: the missed signal is linear in ϱ, with κ/(1+κ) at ϱ = 0 and (κ/(1+κ))² at ϱ = 1
    copies, kappa = _isotropic(first_degrees, second_degrees)
    missed, k = _features(kappa, HUGE, features, [1], [copies]).missed([1]), kappa / (1 + kappa)
    return (k - missed) / (k - k**2)


@route("random_features_gain", ranges={"feature_ratio": (0.05, 0.95)})
def _(samples, feature_ratio, first_degrees, second_degrees):
    copies, kappa = _isotropic(first_degrees, second_degrees)
    features = (first_degrees - feature_ratio * second_degrees) / (1 - feature_ratio)
    gain = _features(kappa, samples, features, [1], [copies]).noise_gain()
    return gain / (1 + gain)


@route("random_features_missed", ranges={"feature_ratio": (0.05, 0.95)})
def _(effective_ridge, feature_ratio, eigenvalues, signal):
    first, second = (mpmath.fsum((s / (s + effective_ridge)) ** q for s in eigenvalues) for q in (1, 2))
    features = (first - feature_ratio * second) / (1 - feature_ratio)
    return _features(effective_ridge, HUGE, features, eigenvalues).missed(signal)
