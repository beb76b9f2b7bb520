r"""Refits of one ridge fit on its own predictions, and the error of every combination of them.

With v = λ/(x + λ), h = 1 − v and θ = λ∂/∂λ a fit that is refitted k times, whatever the weights, has the residual
filter

    r = v (1 + a_1 h + … + a_k h^k),        v h^i = L_i v,   L_i = θ (θ + 1) … (θ + i − 1)/i! .             (1)

So all that is asked are derivatives of the cross-risk of two ridge fits on the same rows, at ridges a and b: with
p = s/(s + κ_a) or s/(s + κ_b), q = 1 − p, labels of a model of mean m and variance V by direction, test inputs s',

    C(a, b) = Σ_j s'_j [(p_a m − w0)_j (p_b m − w0)_j + p_a p_b V_j] + g' R/(1 − g),                        (2)
    g = Σ_j p_a p_b/T,   g' = Σ_j (s'_j/s_j) p_a p_b/T,   R = Σ_j s_j q_a q_b (m_j² + V_j) + σ²,

which is the error at a = b, and E = Σ_il a_i a_l L_i(θ_a) L_l(θ_b) C with a_0 = 1. Everything is a power series in
δ = κ'/κ − 1, where p has the coefficients p (−q)^i, and δ one in u = log λ'/λ by

    (1 + δ) (T − df_1(κ'))/(T − df_1(κ)) = e^u .                                                            (3)

Derived here; for clean labels, one refit and a = b (2) is that of Das and Sanghavi 2023, Pareek, Du, Oh 2024 in the
proportional limit.
"""

import functools
from math import factorial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from modelcollapse.numerics.arrays import Array, compiled, namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, in_range, samples_left, shares
from modelcollapse.numerics.equivalents.sources import one_source

__all__ = ["RefitErrors", "refit_errors"]

FAINT = 1e-100  # shares of the rows that are fitted below which products of two underflow


class RefitErrors(NamedTuple):
    """E = Σ_il a_i a_l M_il in units of c_i: form, the list of M_il c_i c_l, i ≤ l ≤ k, row by row, each (P,); units,
    that of c_i, i from 1; rounding, the largest relative error of an M_ii; converged. c_0 = 1."""

    form: list
    units: list
    rounding: Float[Array, " P"]
    converged: Bool[Array, " P"]


def refit_errors(atoms, inputs, tested, samples, noise, weight, ridge, labels, rounds):
    """The quadratic form of the errors of `rounds` refits (a Python int).

    atoms : Atoms; inputs, tested : eigenvalues (P or 1, A) of the rows and of the test inputs
    samples, noise, weight, ridge : (P,); labels : Moments (P, A) of the model that wrote the labels

    Returns RefitErrors. Of c_i = (df_1/T)^-i κ/λ, where no refit moves anything (ridge 0 or ∞) c_i is zero.
    """
    return RefitErrors(*_errors(atoms, inputs, tested, samples, noise, weight, ridge, labels, rounds=rounds))


@quiet()
def _plain_errors(atoms, inputs, tested, samples, noise, weight, ridge, labels, *, rounds):
    xp = namespace(atoms, inputs, tested, samples, noise, weight, ridge, labels)
    orders = range(rounds + 1)
    here = one_source(inputs, atoms.multiplicity, samples, weight, ridge)
    null = xp.isinf(here.kappa)
    kappa = xp.where(null, 1, here.kappa)
    p, q = shares(in_range(inputs), in_range(kappa)[:, None])
    p, q = xp.where(null[:, None], 0, p), xp.where(null[:, None], 1, q)
    fitted = [p * (-q) ** i for i in orders]
    lost = [q, *(-x for x in fitted[1:])]
    missed = [labels.deficit + q * labels.ratio, *(-x * labels.ratio for x in fitted[1:])]
    known = xp.where(xp.isinf(labels.variance), 0, labels.variance)
    own = atoms.multiplicity * divide(known, atoms.scale, 0)

    def pairs(weights, rows):
        return {(i, l): xp.sum(weights * rows[i] * rows[l], -1) for i in orders for l in orders}

    risk = pairs(inputs * (labels.ratio**2 * atoms.signal + own), lost)
    risk[0, 0] = risk[0, 0] + noise**2
    gain, across = pairs(atoms.multiplicity, fitted), pairs(atoms.multiplicity * divide(tested, inputs, 0), fitted)
    left = xp.where(null, samples, samples_left(inputs, atoms.multiplicity, samples, kappa)[1])
    spread = _product(across, _product(risk, _reciprocal(gain, left)))
    bias, kept = pairs(tested * atoms.signal, missed), pairs(tested * own, fitted)
    cross = {key: bias[key] + kept[key] + spread[key] for key in spread}

    share = divide(xp.where(null, 0, ridge / weight), kappa, 0.0)
    degrees = [xp.sum(atoms.multiplicity * x, -1) for x in fitted]
    units = [divide(1.0, share * (degrees[0] / samples) ** i, 0.0) for i in orders[1:]]
    turned = [
        [row[0], *(x * unit for x, unit in zip(row[1:], units, strict=True))]
        for row in _turned(degrees, samples * share, left, orders)
    ]

    def entry(i, l, size=lambda x: x):
        return sum(size(turned[n][i] * turned[m][l] * cross[n, m]) for n in orders for m in orders)

    endless = xp.any(xp.isinf(labels.variance) & (inputs > 0), -1)
    form = [xp.where(endless, np.inf, entry(i, l)) for i in orders for l in orders[i:]]
    rounding = [np.finfo(ridge.dtype).eps * divide(entry(i, i, xp.abs), xp.abs(entry(i, i))) for i in orders[1:]]
    faint = (share > 0) & (degrees[0] < FAINT * samples)
    worst = functools.reduce(xp.maximum, rounding)
    return form, units, xp.where(faint & ~endless, np.inf, worst), here.converged


_errors = compiled(_plain_errors, "rounds")


def _product(left, right):
    """The product of two power series in two variables, coefficients by their powers, as far as both are known."""
    return {(i, l): sum(left[n, m] * right[i - n, l - m] for n in range(i + 1) for m in range(l + 1)) for i, l in left}


def _reciprocal(gain, left):
    """1/(T − T g) by the series of T g and T − T g itself."""
    found = {}
    for i, l in sorted(gain):
        rest = sum(gain[n, m] * found[i - n, l - m] for n in range(i + 1) for m in range(l + 1) if (n, m) != (0, 0))
        found[i, l] = divide(rest if (i, l) != (0, 0) else 1.0 + 0 * left, left)
    return found


def _turned(fitted, first, second, orders):
    """L_i δ^n at u = 0, a list by n of lists by i.

    fitted: the coefficients of df_1; first, second: T − df_1 = Tλ/κ, 0 where nothing moves, and T − df_2.
    """
    count = len(orders)
    known = [first, *(-x for x in fitted[1:])]
    known = [x + (known[i - 1] if i else 0) for i, x in enumerate(known)]  # (3), times T − df_1
    one, zero = 1.0 + 0 * first, 0 * first
    delta = [zero] * count
    for _ in orders:
        powers = _powers(delta, one, count)
        delta = [
            divide((first / factorial(n) if n else 0) - sum(known[i] * powers[i][n] for i in orders[2:]), second, 0.0)
            for n in orders
        ]
    powers = _powers(delta, one, count)
    return [[sum(c * factorial(n) * power[n] for n, c in enumerate(_operator(i))) for i in orders] for power in powers]


def _powers(series, one, count):
    """The powers 0, 1, … of a series in one variable."""
    powers = [[one] + [0 * one] * (count - 1)]
    for _ in range(count - 1):
        powers.append([sum(powers[-1][m] * series[n - m] for m in range(n + 1)) for n in range(count)])
    return powers


def _operator(order):
    """The coefficients of L_i by powers of θ."""
    coefficients = np.ones(1)
    for l in range(order):
        coefficients = np.convolve(coefficients, [l / (l + 1), 1 / (l + 1)])
    return coefficients.tolist()
