r"""What a filter of rows does to the two directions that decide which rows are kept.

Let z be the labeller's score and z' the judge's, both in units of their deviation, r their correlation, q = √(1 − r²).
Kept rows have other second moments along these two directions, in an orthonormal pair of coordinates (a_1, a_2):

    share = P(kept),    A = E[a aᵀ | kept],    b = E[y a | kept],    E[y² | kept] .

Verified: a_1 = z, z' = r z + q a_2; given z the judge's sign leaves half lines of a_2, whose moments are
Φ(t), φ(t), Φ(t) − tφ(t) with t = rz/q. Margin: a_1 = z', z = r z' + q a_2; given z' the label of a sign or probit link
has the mean 2Φ(r z'/w) − 1 and the slope 2(q/w) φ(r z'/w), w² = q² + (scale/τ)², and w = 1 where the labeller judges
itself. Labels change sign with the score, so half lines serve; they are integrated by the tanh-sinh rule, whose nodes
crowd at the ends, where narrow layers are (q → 0, cold links).
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.arrays import namespace, on_device, quiet, tree_map
from modelcollapse.theory.pipelines.keeps import Verified
from modelcollapse.theory.pipelines.links import Probit, Sign

__all__ = ["NEAREST", "Selection", "selection"]

NEAREST = 1e-7  # the smallest q: nearer directions are told apart by rounding alone, which is a part in a hundred here
BLOCK = 2048  # points at a time, each with hundreds of nodes
_FAR = 12.0
_STEPS = 0.025 * np.arange(-128, 129)
_FRACTION = 1 / (1 + np.exp(-np.pi * np.sinh(_STEPS)))
_WEIGHT = 0.025 * np.pi * np.cosh(_STEPS) * _FRACTION / (1 + np.exp(np.pi * np.sinh(_STEPS)))


class Selection(NamedTuple):
    """share, A_11, A_12, A_22, b_1, b_2, E y², of labels before noise: (P,) each."""

    share: Any
    first: Any
    mixed: Any
    second: Any
    label_first: Any
    label_second: Any
    square: Any


@quiet()
def selection(keep, numbers, form, values, deviation, correlation, own):
    """The Selection of a source.

    keep, numbers : class of the filter of rows and its numbers (P,)
    form, values : of the link, None and () for the score itself
    deviation : τ (P,) of the labeller's score; correlation : r (P,)
    own : whether the labeller judges itself

    >>> one = np.ones(1)
    >>> oracle = selection(Verified, (one, 0 * one), (Sign,), (0 * one, 0 * one), one, 0.5 * one, False)
    >>> float(np.round(oracle.share, 12)[0]) == round(2 / 3, 12)        # the angle between the two is 60 degrees
    True
    """
    xp, points = namespace(numbers, values, deviation, correlation), len(deviation)
    if points > BLOCK and not on_device(deviation):
        blocks = [slice(start, start + BLOCK) for start in range(0, points, BLOCK)]
        given = tuple(numbers), tuple(values), deviation, correlation
        pieces = [tree_map(lambda x, here=here: x[here], given) for here in blocks]
        found = [selection(keep, n, form, v, tau, r, own) for n, v, tau, r in pieces]
        return Selection(*(xp.concatenate(parts) for parts in zip(*found, strict=True)))
    r = xp.clip(correlation, -1, 1)
    q = xp.sqrt(xp.maximum(1 - r * r, NEAREST**2))
    if keep is Verified:
        return _verified(xp, numbers, form, values, deviation[:, None], r[:, None], q[:, None], own)
    return _margin(xp, numbers, form, values, deviation[:, None], r[:, None], q[:, None], own)


def _density(xp, x):
    return xp.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _half_line(xp, low, high):
    """Nodes between bounds (P, 1), and twice their normal weights."""
    width = high - low
    fraction, weight = _FRACTION.astype(low.dtype), _WEIGHT.astype(low.dtype)
    z = low + width * fraction
    return z, 2 * _density(xp, z) * width * weight


def _verified(xp, numbers, form, values, deviation, r, q, own):
    right, wrong = (x[:, None] for x in numbers)
    z, weight = _half_line(xp, 0 * deviation, 0 * deviation + _FAR)
    t = r * z / q
    above = xp.ndtr(t), _density(xp, t), xp.ndtr(t) - t * _density(xp, t)  # of a_2 where the judge says +
    below = xp.ndtr(-t), -above[1], xp.ndtr(-t) + t * above[1]
    if own:
        above, below = (1 + 0 * t, 0 * t, 1 + 0 * t), (0 * t, 0 * t, 0 * t)
    plus = [right * x + wrong * y for x, y in zip(above, below, strict=True)]
    minus = [wrong * x + right * y for x, y in zip(above, below, strict=True)]
    chance, value = _labels(xp, form, values, deviation, z)
    total, signed = [], []
    for x, y in zip(plus, minus, strict=True):
        total.append(chance * x + (1 - chance) * y)
        signed.append(value * (chance * x - (1 - chance) * y))
    moments = (total[0], z * z * total[0], z * total[1], total[2], z * signed[0], signed[1], value**2 * total[0])
    return _averages(xp, weight, moments)


def _averages(xp, weight, moments):
    share, *sums = xp.sum_together(*(weight * x for x in moments))
    return Selection(share, *(x / share for x in sums))


def _labels(xp, form, values, deviation, z):
    """P(label > 0 | z > 0) and the size of labels; soft labels and scores have the sign of z for sure."""
    if form is None:
        return 1 + 0 * z, deviation * z
    if form[0] is Sign:
        return 1 - values[0][:, None] + 0 * z, 1 + 0 * z
    scaled = deviation / values[0][:, None] * z
    mean = 2 * xp.ndtr(scaled) - 1 if form[0] is Probit else -xp.expm1(-scaled) / (1 + xp.exp(-scaled))
    return (1 + 0 * z, mean) if form[1] else ((1 + mean) / 2, 1 + 0 * z)


def _margin(xp, numbers, form, values, deviation, r, q, own):
    high, low = (xp.minimum(x, _FAR)[:, None] for x in numbers)
    z, weight = _half_line(xp, low, high)
    one, nothing = 1 + 0 * z, 0 * z
    if own:
        chance, value = _labels(xp, form, values, deviation, z)
        mean, slope, square = value * (2 * chance - 1), nothing, value**2
    elif form is None:
        mean, slope, square = deviation * r * z, deviation * q * one, deviation**2 * (r * r * z * z + q * q)
    else:
        blur = values[0][:, None] / deviation if form[0] is Probit else 0
        gain = 1 - 2 * values[0][:, None] if form[0] is Sign else 1
        width = xp.sqrt(q * q + blur * blur)
        mean = gain * (2 * xp.ndtr(r * z / width) - 1)
        slope, square = gain * 2 * q / width * _density(xp, r * z / width), one
    return _averages(xp, weight, (one, z * z, nothing, one, z * mean, slope, square))
