"""Routes of the scaling exponents and crossovers: slopes and parts of the exact formula."""

import mpmath
import numpy as np
from formula_references import (
    Fit,
    best,
    power_law,
    slope,
)
from formula_route import route
from mpmath import mpf

# ---- exponents: slopes of the exact formula between T = 1e40 and 1e80


def _term(which, beta=2.0, r=0.5, ell=0.5, a=0.0, b=1.0, f=0.0, s=0.0, s0=0.0):
    """Slope of log(terms)[which] at λ = T^-ℓ; `which` None is the slope of the sum."""
    beta, r, ell, a, b, f, s, s0 = map(float, (beta, r, ell, a, b, f, s, s0))

    def log_term(log_T):
        law = power_law(beta, r, (b - f) * log_T)
        provenance = (a * log_T, b * log_T, -f * log_T, -s0 * log_T)
        terms = law.terms(log_T, -ell * log_T, -s * log_T, provenance)
        return np.logaddexp.reduce(terms) if which is None else terms[which]

    return slope(log_term)


def _clean_terms(which, **exponents):
    beta, r = float(exponents.get("beta", 2.0)), float(exponents.get("r", 0.5))
    ell, s = float(exponents["ell"]), float(exponents.get("s", 0.0))

    def log_term(log_T):
        terms = power_law(beta, r).terms(log_T, -ell * log_T, -s * log_T)
        return np.logaddexp.reduce(terms) if which is None else terms[which]

    return slope(log_term)


SOURCES = (0.3, 0.6, 1.5, 2.5)
SCALING = 0.01


@route(
    "bias_exponent",
    tolerance=SCALING,
    points=tuple({"source": r, "ridge_exponent": x} for r, x in zip(SOURCES, (0.4, 0.7, 1.1, 0.9), strict=True)),
)
def _(source, ridge_exponent):
    return _clean_terms(0, beta=2.0, r=source, ell=ridge_exponent)


@route("noise_exponent", tolerance=SCALING, ranges={"capacity": (1.4, 3.0), "ridge_exponent": (0.1, 1.1)})
def _(capacity, ridge_exponent, noise_exponent):
    return _clean_terms(1, beta=capacity, ell=ridge_exponent, s=noise_exponent)


@route(
    "clean_error_exponent",
    tolerance=SCALING,
    points=tuple(
        {"capacity": beta, "source": r, "ridge_exponent": ell, "noise_exponent": s}
        for beta, r, ell, s in (
            (1.5, 0.4, 0.3, 0.0),
            (1.5, 0.4, 1.2, 0.1),
            (2.5, 1.6, 0.2, 0.6),
            (2.5, 1.6, 1.3, 0.4),
            (1.3, 0.2, 0.8, 0.7),
        )
    ),
)
def _(capacity, source, ridge_exponent, noise_exponent):
    return _clean_terms(None, beta=capacity, r=source, ell=ridge_exponent, s=noise_exponent)


PROVENANCE = (  # (a, b, f, s0): each side of the maxima
    (0.2, 0.9, 0.3, 0.0),
    (0.5, 1.3, 0.2, 0.3),
    (0.1, 1.4, 0.6, 0.5),
    (0.3, 0.8, 0.1, 0.6),
    (0.6, 1.6, 0.3, 0.2),
)
NAMES = ("generations_exponent", "generator_samples_exponent", "aspect_exponent", "generator_noise_exponent")


@route(
    "collapse_exponent",
    tolerance=SCALING,
    points=tuple(
        {"capacity": 2.0, "ridge_exponent": ell} | dict(zip(NAMES, row, strict=True))
        for row, ell in zip(PROVENANCE, (0.4, 0.7, 0.3, 0.5, 0.9), strict=True)
    ),
)
def _(
    capacity,
    ridge_exponent,
    generations_exponent,
    generator_samples_exponent,
    aspect_exponent,
    generator_noise_exponent,
):
    return _term(
        2,
        beta=capacity,
        ell=ridge_exponent,
        a=generations_exponent,
        b=generator_samples_exponent,
        f=aspect_exponent,
        s0=generator_noise_exponent,
    )


EVERYWHERE = (  # (β, r, ℓ, s_σ, a, b, f, s_0): each term dominates somewhere, on each side of its extrema
    (2.0, 0.5, 0.15, 0.5, 0.2, 0.9, 0.3, 0.0),
    (1.5, 1.5, 0.8, 0.0, 0.5, 1.3, 0.2, 0.3),
    (2.0, 0.3, 0.4, 0.1, 0.1, 1.4, 0.6, 0.5),
    (1.5, 1.6, 0.5, 0.05, 0.3, 0.8, 0.1, 0.6),
    (2.5, 0.6, 0.9, 0.9, 0.6, 1.6, 0.3, 0.2),
    (2.0, 1.5, 0.6, 0.05, 0.1, 1.5, 0.9, 0.9),
    (2.0, 0.5, 0.6, 0.0, 0.3, 0.7, 0.05, 0.0),
    (2.0, 1.6, 0.1, 0.0, 0.1, 0.9, 0.3, 0.0),
)
LETTERS = ("capacity", "source", "ridge_exponent", "noise_exponent", *NAMES)


@route(
    "test_error_exponent",
    tolerance=SCALING,
    points=tuple(dict(zip(LETTERS, row, strict=True)) for row in EVERYWHERE),
)
def _(
    capacity,
    source,
    ridge_exponent,
    noise_exponent,
    generations_exponent,
    generator_samples_exponent,
    aspect_exponent,
    generator_noise_exponent,
):
    return _term(
        None,
        beta=capacity,
        r=source,
        ell=ridge_exponent,
        a=generations_exponent,
        b=generator_samples_exponent,
        f=aspect_exponent,
        s=noise_exponent,
        s0=generator_noise_exponent,
    )


def optimum(beta, r, log_noise_exponent=0.0, provenance=None, log_dim_exponent=np.inf):
    """(ℓ, rate) at the minimum over the ridge, as slopes between T = 1e40 and 1e80."""
    found = {}

    def minimum(log_T):
        law = power_law(float(beta), float(r), log_dim_exponent * log_T)
        generators = None if provenance is None else tuple(x * log_T for x in provenance)

        def log_error(ell):
            terms = law.terms(log_T, -ell * log_T, log_noise_exponent * log_T, generators)
            return np.logaddexp.reduce(terms)

        found[log_T], value = best(log_error, float(beta))
        return value

    rate = -slope(minimum)
    return slope(lambda log_T: found[log_T] * log_T), rate


CASES = ((1.5, 0.4), (2.0, 0.3), (1.3, 1.6), (3.0, 0.7))


@route("critical_exponent", tolerance=SCALING, points=tuple({"capacity": x, "source": r} for x, r in CASES))
def _(capacity, source):
    return optimum(capacity, source)[0]


@route("clean_rate", tolerance=SCALING, points=tuple({"capacity": x, "source": r} for x, r in CASES))
def _(capacity, source):
    return optimum(capacity, source)[1]


MARGINS = tuple(
    {"margin": nu, "capacity": x, "source": r}
    for (x, r), nu in zip((*CASES, (1.5, 0.2)), (0.5, 0.9, 1.3, 0.7, 2.2), strict=True)
)


@route("optimal_exponent", tolerance=SCALING, points=MARGINS)
def _(margin, capacity, source):
    return optimum(capacity, source, 1 - float(margin))[0]


@route("optimal_rate", tolerance=SCALING, points=MARGINS)
def _(margin, capacity, source):
    return optimum(capacity, source, 1 - float(margin))[1]


@route(
    "noise_margin",
    tolerance=SCALING,
    points=tuple(
        dict(zip((*NAMES, "noise_exponent"), (*row, s), strict=True))
        for row, s in zip((*PROVENANCE, (0.1, 1.5, 0.9, 0.9)), (0.5, 0.0, 1.1, 0.9, 0.9, 0.05), strict=True)
    ),
)
def _(generations_exponent, generator_samples_exponent, aspect_exponent, generator_noise_exponent, noise_exponent):
    ell, beta = 0.3, 2.0
    law = {
        "a": generations_exponent,
        "b": generator_samples_exponent,
        "f": aspect_exponent,
        "s": noise_exponent,
        "s0": generator_noise_exponent,
    }
    return ell / beta - max(_term(which, beta=beta, ell=ell, **law) for which in (1, 2))


PUBLISHED = tuple(
    {"generations_exponent": a, "generator_samples_exponent": b, "capacity": x, "source": r}
    for (a, b), (x, r) in zip(((0.1, 0.9), (0.3, 1.0), (0.0, 0.6), (0.2, 0.95)), CASES, strict=True)
)


def _published(a, b, beta, r):
    # φ_0 = 1/2 as in the published setting: d = T^b resolves the optimum
    return optimum(beta, r, 0.0, (float(a), float(b), 0.0, 0.0), float(b))


@route("optimal_exponent_published", tolerance=SCALING, points=PUBLISHED)
def _(generations_exponent, generator_samples_exponent, capacity, source):
    return _published(generations_exponent, generator_samples_exponent, capacity, source)[0]


@route("optimal_rate_published", tolerance=SCALING, points=PUBLISHED)
def _(generations_exponent, generator_samples_exponent, capacity, source):
    return _published(generations_exponent, generator_samples_exponent, capacity, source)[1]


@route(
    "saturated_rate",
    tolerance=SCALING,
    points=tuple(
        {"margin": nu, "generator_samples_exponent": b, "aspect_exponent": f, "capacity": x, "source": r}
        for nu, b, f, x, r in ((0.9, 0.4, 0.2, 1.5, 0.4), (1.0, 0.5, 0.4, 2.0, 0.3), (0.7, 0.2, 0.1, 1.3, 0.2))
    ),
)
def _(margin, generator_samples_exponent, aspect_exponent, capacity, source):
    return optimum(capacity, source, 1 - float(margin), None, float(generator_samples_exponent - aspect_exponent))[1]


# ---- crossovers: the exact parts compared


@route(
    "dominance_ratio",
    tolerance=3e-3,
    points=tuple(
        {
            "generations": n,
            "samples": T,
            "generator_samples": 1e9,
            "generator_aspect": phi,
            "noise": 0.5,
            "generator_noise": 0.3,
        }
        for n, T, phi in ((3, 1e8, 1e-5), (2, 1e4, 0.4), (5, 3e11, 0.2))
    ),
)
def _(generations, samples, generator_samples, generator_aspect, noise, generator_noise):
    d = generator_aspect * generator_samples
    fit = Fit(mpf("1e-2"), samples, [mpf(1), mpf("1e-16")], [mpf(1), d - 1])
    unit = generator_noise**2 / (generator_samples - d)
    passed = fit.spread([unit, (d - 1) * unit / fit.s[1]])
    return generations * passed / (noise**2 * fit.noise_gain())


@route("sample_crossover", tolerance=1e-6, ranges={"generations": (1, 30)})
def _(generator_samples, dimension, noise, generator_noise, generations):
    # one direction in d resolved so little that T does not notice: noise of the labels against the floor
    kappa, s = mpf(1), mpf("1e-8")

    def gap(log_T):
        df_2 = dimension * (s / (s + kappa)) ** 2
        return mpmath.log(noise**2 * df_2 / (mpmath.exp(log_T) - df_2)) - mpmath.log(
            generations * generator_noise**2 / (generator_samples - dimension) * df_2
        )

    return mpmath.exp(mpmath.findroot(gap, mpf(10)))


@route("error_floor")
def _(effective_ridge, generator_samples, generator_noise, generations, eigenvalues, signal):
    variance = generations * generator_noise**2 / (generator_samples - len(eigenvalues))
    energy = [t + variance / s for t, s in zip(signal, eigenvalues, strict=True)]
    return Fit(effective_ridge, mpf("1e20"), eigenvalues).error(energy, signal, signal, mpf(1))
