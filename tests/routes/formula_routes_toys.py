"""Routes of the Gaussian and the discrete toy chain."""

import mpmath
import numpy as np
from formula_references import (
    chi_square_mean,
    wright_fisher,
)
from formula_route import route
from mpmath import mpf
from scipy.stats import binom

# ---- Gaussian chain: chi-square moments by quadrature, moment recursions


FEW = {"draws": (2, 60)}


@route("gaussian_log_variance", ranges=FEW)
def _(draws, deviation, rounds):
    return 2 * mpmath.log(deviation) + rounds * chi_square_mean(draws - 1, f=lambda s: s)


@route("gaussian_deviation", ranges=FEW)
def _(draws, deviation, rounds):
    return deviation * chi_square_mean(draws - 1, 0.5) ** int(rounds)


def _replaced(draws, deviation, rounds, divisor):
    """(E τ_k², E (μ_k-μ_0)²) step by step; the fitted variance is τ² χ²_{M-1}/divisor."""
    variance, drift, factor = deviation**2, mpf(0), (draws - 1) / divisor * chi_square_mean(draws - 1, 1)
    for _ in range(int(rounds)):
        variance, drift = variance * factor, drift + variance / draws
    return variance, drift


@route("gaussian_mean_drift", ranges=FEW)
def _(draws, deviation, rounds):
    return _replaced(draws, deviation, rounds, draws - 1)[1]


@route("gaussian_variance", ranges=FEW)
def _(draws, deviation, rounds):
    return _replaced(draws, deviation, rounds, draws)[0]


@route("gaussian_mean_drift_likelihood", ranges=FEW)
def _(draws, deviation, rounds):
    return _replaced(draws, deviation, rounds, draws)[1]


def _pooled(draws, deviation, rounds):
    """The same when N earlier draws and M new ones are pooled: within and between the two."""
    variance, drift, total = deviation**2, mpf(0), mpf(0)
    for _ in range(int(rounds)):
        new, between = variance * (1 - 1 / draws), variance / draws
        everything = total + draws
        drift += (draws / everything) ** 2 * between
        if total == 0:
            variance = new
        else:
            variance = (total * variance + draws * new + total * draws / everything * between) / everything
        total = everything
    return variance, drift


@route("gaussian_accumulated_variance")
def _(draws, deviation, rounds):
    return _pooled(draws, deviation, rounds)[0]


@route("gaussian_accumulated_drift")
def _(draws, deviation, rounds):
    return _pooled(draws, deviation, rounds)[1]


@route("gaussian_accumulated_limit")
def _(draws, deviation):
    return deviation**2 * mpmath.nprod(lambda i: 1 - 1 / (draws * i**2), [1, mpmath.inf])


# ---- discrete chain: transition matrices of two categories


def _frequency(diversity):
    return float((1 - mpmath.sqrt(1 - 2 * diversity)) / 2)


SMALL = {"draws": (2, 12), "diversity": (0.02, 0.5), "rounds": (1, 12)}


@route("discrete_loss")
def _(draws, probability):
    return mpmath.fprod([1 - probability] * int(draws))


@route("discrete_diversity", ranges=SMALL)
def _(draws, diversity, rounds):
    return wright_fisher(int(draws), _frequency(diversity), int(rounds))


@route("discrete_mixed_diversity", ranges=SMALL)
def _(draws, diversity, real_share, rounds):
    return wright_fisher(int(draws), _frequency(diversity), int(rounds), real=float(real_share))


@route("discrete_mixed_limit", ranges=SMALL | {"real_share": (0.05, 1.0)})
def _(draws, diversity, real_share):
    return wright_fisher(int(draws), _frequency(diversity), 1000, real=float(real_share))


@route("discrete_accumulated_diversity", ranges={"draws": (2, 6), "diversity": (0.02, 0.5), "rounds": (1, 6)})
def _(draws, diversity, rounds):
    return wright_fisher(int(draws), _frequency(diversity), int(rounds), accumulate=True)


@route("discrete_accumulated_limit")
def _(draws, diversity):
    return diversity * mpmath.nprod(lambda i: 1 - 1 / (draws * i**2), [1, mpmath.inf])


@route("survival_step", ranges={"survival": (1e-3, 1.0)})
def _(survival):
    return 1 - mpmath.nsum(lambda n: mpmath.exp(-1) / mpmath.factorial(n) * (1 - survival) ** n, [0, mpmath.inf])


def _alive_points():
    g, points = 1.0, []
    for _ in range(4):
        points += [{"draws": 4000, "probability": x / 4000, "survival": g} for x in (0.1, 1.5)]
        g = 1 - np.exp(-g)
    return tuple(points)


@route("rare_category_alive", tolerance=3e-3, points=_alive_points())
def _(draws, probability, survival):
    steps, g = 1, 1.0
    while g - float(survival) > 1e-9:
        steps, g = steps + 1, 1 - np.exp(-g)
    states, M = np.arange(80), int(draws)
    law = binom.pmf(states, M, float(probability))
    step = np.array([binom.pmf(states, M, i / M) for i in states])
    return 1 - (law @ np.linalg.matrix_power(step, steps - 1))[0]
