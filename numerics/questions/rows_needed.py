"""Two questions about a model that labels data: how much of it is safe, and what it is worth in real rows.

    largest_synthetic_share    of a fixed budget of rows, how many may carry the model's labels
    real_rows_worth            how many more real rows would do as well as a number of rows that the model
    labelled

Both compare fits at their optimal ridge (or at one that is given) and find the first point where a condition
turns true.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.questions.best_ridge import optimal_ridge
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf
from modelcollapse.theory.pipelines import fit, truth
from modelcollapse.theory.pipelines.model import require_model

__all__ = ["RealRows", "SafeShare", "largest_synthetic_share", "real_rows_worth"]

_LOSS = domains.Domain(low=0, high_open=True, remedy="give the tolerated relative increase of the test error")


@dataclass(frozen=True)
class SafeShare:
    """The largest safe share, the test error with it and the test error with real rows only."""

    share: float
    test_error: float
    real_only: float


@dataclass(frozen=True)
class RealRows:
    """`extra` real rows do what the synthetic ones do (negative: those do harm); `total` reach `test_error`."""

    extra: float
    total: float
    test_error: float


def largest_synthetic_share(generator, samples, loss, *, noise, synthetic_noise=None, ridge=None):
    """The largest share of synthetic rows, all smaller ones being safe too, that costs at most a tolerated loss.

    Parameters
    ----------
    generator : Model that labels the synthetic rows
    samples : number, rows in all, real and synthetic
    loss : number ≥ 0; a share is safe if the test error is at most 1 + loss times that of real rows only
    noise, synthetic_noise : numbers, label noise of real and synthetic rows (default: the same)
    ridge : None for the optimal ridge at every share, or a number

    Returns
    -------
    SafeShare

    Examples
    --------
    The better the teacher, the more of its labels are safe:

    >>> import modelcollapse as mc
    >>> from modelcollapse.numerics.questions.rows_needed import largest_synthetic_share
    >>> w0 = mc.truth(mc.isotropic(50))
    >>> teachers = [mc.fit(w0.label(rows, noise=0.5)) for rows in (200, 2000)]
    >>> shares = [largest_synthetic_share(teacher, 500, 0.1, noise=0.5, ridge=0).share for teacher in teachers]
    >>> [round(float(share), 2) for share in shares]
    [0.14, 0.64]
    """
    samples, loss = _number("samples", samples, domains.SAMPLES), _number("loss", loss, _LOSS)
    error = _errors(generator, noise, synthetic_noise, ridge)

    def errors(share):
        return error(samples * (1 - share), samples * share)

    shares = np.linspace(0, 1, 17 if ridge is None else 65)
    known = errors(shares)
    real_only = known[0]
    limit = (1 + loss) * real_only * (1 + 1e-12)
    found = _first(lambda share: errors(share) - limit, shares, known - limit)
    if found is None:
        return SafeShare(1.0, float(known[-1]), float(real_only))
    return SafeShare(float(found.before), float(found.excess_before + limit), float(real_only))


def real_rows_worth(generator, real, synthetic, *, noise, synthetic_noise=None, ridge=None):
    """How many more real rows do as well as `synthetic` rows that a model labelled, beside `real` real rows.

    Parameters
    ----------
    generator : Model that labels the synthetic rows
    real, synthetic : numbers of rows, at least one of them positive
    noise, synthetic_noise : numbers, label noise of real and synthetic rows (default: the same)
    ridge : None for the optimal ridge of each fit, or a number

    Returns
    -------
    RealRows; total is the smallest number of real rows that reaches the error, inf if none does (a fixed
    ridge has a floor).

    Examples
    --------
    Labels of the truth itself are worth what real rows are:

    >>> import modelcollapse as mc
    >>> from modelcollapse.numerics.questions.rows_needed import real_rows_worth
    >>> w0 = mc.truth(mc.isotropic(50))
    >>> worth = real_rows_worth(w0, 100, 60, noise=0.5, ridge=0.1)
    >>> round(worth.extra, 6)
    60.0
    """
    real = _number("real", real, domains.SOURCE_SAMPLES)
    synthetic = _number("synthetic", synthetic, domains.SOURCE_SAMPLES)
    if real + synthetic == 0:
        raise ValueError("real = 0 and synthetic = 0; give rows to compare")
    error = _errors(generator, noise, synthetic_noise, ridge)
    reached = error(np.full(1, real), np.full(1, synthetic))[0]
    target = reached * (1 + 1e-12)
    rows = (real + synthetic) * np.geomspace(1e-6, 1e9, 31 if ridge is None else 241)

    def excess(logarithm):
        return target - error(np.exp(logarithm), 0 * logarithm)

    found = _first(excess, np.log(rows), excess(np.log(rows)))
    if found is None:
        total = np.inf
    else:
        total = 0.0 if found.after <= np.log(rows[0]) else np.exp(found.after)
    return RealRows(float(total - real), float(total), float(reached))


def _errors(generator, noise, synthetic_noise, ridge):
    """The test error as a function of the numbers of real and synthetic rows."""
    require_model("generator", generator)
    noise = _number("noise", noise, domains.NOISE)
    if synthetic_noise is None:
        synthetic_noise = noise
    synthetic_noise = _number("synthetic_noise", synthetic_noise, domains.NOISE)
    ridge = None if ridge is None else _number("ridge", ridge, domains.RIDGE)
    w0 = truth(generator.spectrum)

    def errors(real, synthetic):
        sources = [w0.label(real, noise), generator.label(synthetic, synthetic_noise)]
        if not np.any(synthetic):
            sources = sources[:1]
        model = fit(*sources, ridge=ridge or 0.0)
        return optimal_ridge(model).test_error if ridge is None else predict(model).test_error

    return errors


class _Crossing(NamedTuple):
    """The last point before a function turns positive, the first one after, and the function before."""

    before: float
    after: float
    excess_before: float


def _first(excess, grid, values):
    """Where a function, known on an increasing grid, is first positive: a _Crossing, or None.

    The function is asked for many points at once: a bracket from the grid is closed in around the root of a polynomial
    through the nearest points, with points on both sides of that guess at many distances.
    """
    if not np.any(values > 0):
        return None
    while True:
        k = int(np.argmax(values > 0))
        if k == 0:
            return _Crossing(grid[0], grid[0], values[0])
        low, high = grid[k - 1], grid[k]
        if high - low <= 3e-10 * max(abs(high), 1e-3):
            return _Crossing(low, high, values[k - 1])
        near = slice(max(k - 2, 0), k + 2)
        guess = _root_between(grid[near], values[near], low, high)
        distances = (high - low) * np.array([1e-2, 1e-4, 1e-7])
        inside = np.sort([guess, *(guess - distances), *(guess + distances)])
        inside = np.unique(inside[(inside > low) & (inside < high)])
        grid = np.concatenate([[low], inside, [high]])
        values = np.concatenate([values[k - 1 : k], excess(inside), values[k : k + 1]])


def _root_between(x, y, low, high):
    """The root between low and high of the polynomial through a few points; the middle where these are not finite."""
    from scipy.interpolate import BarycentricInterpolator
    from scipy.optimize import brentq

    finite = np.isfinite(y)
    polynomial = BarycentricInterpolator((x[finite] - low) / (high - low), y[finite])
    if not (finite.all() and polynomial(0.0) < 0 < polynomial(1.0)):
        return (low + high) / 2
    return low + (high - low) * brentq(polynomial, 0, 1)


def _number(name, value, domain):
    value = leaf(name, value, domain)
    if is_expression(value) or np.ndim(value):
        raise TypeError(f"{name} = {value} is not one number; ask one question at a time")
    return float(value)
