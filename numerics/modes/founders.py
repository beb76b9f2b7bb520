r"""Founders: how many different draws of the law a sample at the end of a loop goes back to, in mean and variance.

Thrown at M items, B balls of mean b and variance v hit M(1 - E(1-1/M)^B) of them. Every expectation E(1-p)^B here is
that of a binomial number with the same mean and variance,

$$ E(1-p)^B = (1 - πp)^{b/π}, \qquad π = 1 - v/b, $$                                                              (1)

exact for a fixed number (π = 1), for a fixed number of which each is kept with chance π, and for a Poisson number
(π = 0); else right to the third factorial cumulant. Where one ball at `least` is certain, B - 1 takes the place of B,
so that a loop ends at one founder. Of balls thrown at M items

    items hit    M (1 - q₁),          q_j = E(1 - j/M)^B                                                          (2)
    variance     M q₁(1 - q₁) + M(M-1)(q₂ - q₁²),   q₂/q₁² = [1 - (x/(1-x))²]^{b/π}, x = π/M                       (3)

and each item hit is a ball thrown at the generation before: at the truth with chance α in a mixture, at one of the
earlier rounds with equal chances in a pool. Covariances follow the split and the slope cov(hit, B)/v = q₁/(1-x).
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.theory.modes.loops import Chain, Graph, Loop, Pool
from modelcollapse.theory.modes.parameters import traced

__all__ = ["Founders", "founders_of", "log_miss", "occupied", "started"]

_LEAST = 1e-9  # of |π|: below, (1) is Poisson's to that accuracy


class Founders:
    """Numbers of draws that a sample goes back to: from the law (`start`) and from what a loop mixes in (`real`).

    `mean` and `variance` are of their sum; NumPy and float() take the mean.
    """

    def __init__(
        self,
        start,
        start_variance,
        real: Any = 0.0,
        real_variance: Any = 0.0,
        covariance: Any = 0.0,
        least: Any = 0.0,
        start_least: Any = 0.0,
    ):
        self.start, self.start_variance = start, start_variance
        self.real, self.real_variance, self.covariance = real, real_variance, covariance
        self.least, self.start_least = least, start_least  # 1 where one founder, one of the law, is certain

    @property
    def mean(self):
        return _scalar(self.start + self.real)

    @property
    def variance(self):
        total = self.start_variance + self.real_variance + 2 * self.covariance
        return _scalar(namespace(total).maximum(total, 0.0))

    def __float__(self):
        return float(self.mean)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.mean, dtype)

    def __repr__(self):
        if any(traced(x) for x in (self.start, self.real)) or np.ndim(self.mean):
            return f"Founders(<{'x'.join(map(str, np.shape(self.mean)))} grid>)"
        return f"Founders(mean={self.mean:.6g}, variance={self.variance:.6g})"


def _scalar(value):
    return value[()] if isinstance(value, np.ndarray) else value


class Hit(NamedTuple):
    """Items hit: their number, its variance, and its covariance with the balls over the variance of these."""

    mean: Array
    variance: Array
    slope: Array


def log_miss(mean, variance, p, least: Any = 0.0):
    """ln E(1-p)^B of (1); 0 where no ball is thrown."""
    xp = namespace(mean, variance, p)
    if xp is namespace(0.0) and not np.any(variance):  # a fixed number: the logarithm once for all of them
        return np.where(mean > 0, mean * np.log1p(-p), 0.0)
    some, power, thinning = _power(xp, mean - least, variance)
    others = xp.where(some, power * xp.log1p(-thinning * p), 0.0)
    return others + xp.where(least > 0, xp.log1p(-p), 0.0) if traced(least) or np.any(least) else others


def _power(xp, mean, variance):
    """Whether balls are thrown at all, b/π and π of (1), the latter kept away from 0."""
    some = mean > 0
    balls = xp.where(some, mean, 1.0)
    share = 1 - xp.where(some, variance, 0.0) / balls
    thinning = xp.where(abs(share) < _LEAST, _LEAST, share)
    return some, balls / thinning, thinning


def occupied(balls, variance, items, kept: Any = 0.0, least: Any = 0.0):
    """Items hit by balls of that mean and variance, (2) and (3); each item is `kept` by itself with that chance too."""
    xp = namespace(balls, variance, items, kept)
    some, power, thinning = _power(xp, balls - least, variance)
    x = thinning / items
    log_q = xp.where(some, power * xp.log1p(-x), 0.0)
    pairs = xp.where(some, power * xp.log1p(-((x / (1 - x)) ** 2)), 0.0)
    if np.any(least):
        log_q = log_q + xp.where(least > 0, xp.log1p(-1 / items), 0.0)
        pairs = pairs + xp.where(least > 0, xp.log1p(-((1 / (items - 1)) ** 2)), 0.0)
    q, some_hit = xp.exp(log_q), -xp.expm1(log_q)
    spread = xp.maximum(items * q * some_hit + items * (items - 1) * q**2 * xp.expm1(pairs), 0.0)
    hit, missed = items * some_hit, items * q
    return Hit(hit + kept * missed, (1 - kept) ** 2 * spread + kept * (1 - kept) * missed, (1 - kept) * q / (1 - x))


def founders_of(loop: Loop, samples=None) -> Founders:
    """Founders of `samples` draws from the last generation, or of that generation itself."""
    return started(loop, samples, 1.0)


@quiet()
def started(loop: Loop, samples, kept) -> Founders:
    """The same where each of the draws (None: each item of the last generation) counts with chance `kept` only.

    `samples` and `kept` have axes in front of the loop's shape, or broadcast with it.
    """
    balls = 0.0 if samples is None else samples * kept
    variance = 0.0 if samples is None else samples * kept * (1 - kept)
    whole = isinstance(kept, float) and kept == 1.0
    least = np.where(np.asarray(samples) >= 1, 1.0, 0.0) if whole and not (samples is None or traced(samples)) else 1.0
    return _TRACED[type(loop)](loop, balls, variance, kept if samples is None else 0.0, least if whole else 0.0)


def _chain(loop: Chain, balls, variance, kept, least):
    """From generation k down to 1: hit, split between truth and the generation before, thrown again."""
    count, share = loop.generations, loop.fresh_share
    xp = namespace(balls, kept, loop.samples, share, loop.rate)
    last = loop.samples * loop.rate ** (count - 1.0)
    hit = occupied(balls, variance, last, kept, least if np.ndim(kept) == 0 and kept == 0.0 else 0.0)
    none_real = not traced(share) and not np.any(share)
    sure = least if none_real else (0.0 if traced(share) else np.where(np.asarray(share) == 0, least, 0.0))
    zero = 0.0 * (hit.mean + share + count)
    state = (hit.mean + zero, hit.variance + zero, zero, zero, zero)

    def back(j, state):
        mean, variance, real, real_variance, covariance = state
        items = loop.samples * loop.rate ** (count - 2.0 - j)
        some_real, thrown, moved = share * mean, (1 - share) * mean, share * (1 - share)
        thrown_variance = (1 - share) ** 2 * variance + moved * mean
        beside = (1 - share) * covariance + moved * (variance - mean)
        hit = occupied(thrown, thrown_variance, xp.maximum(items, 1.0 + 1e-9), least=sure)
        new = (
            hit.mean,
            hit.variance,
            real + some_real,
            real_variance + 2 * share * covariance + share**2 * variance + moved * mean,
            hit.slope * beside,
        )
        if np.ndim(count) == 0:  # all of a grid go back as far
            return new
        return tuple(xp.where(j < count - 1, after, before) for after, before in zip(new, state, strict=True))

    length = int(np.max(count)) - 1
    return Founders(*xp.repeat(length, back, state, length), least=least, start_least=sure)


def _pool(loop: Pool, balls, variance, kept, least):
    """From round K down to 1; the rounds that are left are hit alike: mean, variance and covariance per round."""
    xp = namespace(balls, kept, loop.samples)
    rounds, items = loop.rounds, loop.samples
    zero = 0.0 * (balls + kept + rounds + items)
    share = 1.0 / (rounds + 0.0)
    state = (
        balls * share + zero,
        variance * share**2 + balls * share * (1 - share) + zero,
        share**2 * (variance - balls) + zero,
    )

    def back(j, state):
        mean, variance, covariance = state
        left = xp.maximum(rounds - 1.0 - j, 1.0)
        hit, share = occupied(mean, variance, items, kept), 1 / left
        beside = share * hit.slope * covariance
        new = (
            mean + share * hit.mean,
            variance + 2 * beside + share**2 * hit.variance + share * (1 - share) * hit.mean,
            covariance + 2 * beside + share**2 * (hit.variance - hit.mean),
        )
        return tuple(xp.where(j < rounds - 1, after, before) for after, before in zip(new, state, strict=True))

    length = int(np.max(rounds)) - 1
    mean, variance, _ = xp.repeat(length, back, state, length)
    alone = least if np.ndim(kept) == 0 and kept == 0.0 else 0.0
    hit = occupied(mean, variance, items, kept, alone)
    return Founders(hit.mean, hit.variance, least=least, start_least=least)


def _graph(loop: Graph, balls, variance, kept, least):
    """From the last set to the first, with all covariances; the law and the truth are the last two places."""
    count = len(loop.samples)
    shape = np.broadcast_shapes(np.shape(balls), np.shape(variance), np.shape(kept))
    mean, covariance = np.zeros((count + 2, *shape)), np.zeros((count + 2, count + 2, *shape))
    mean[count - 1], covariance[count - 1, count - 1] = balls, variance
    places = {None: count, "real": count + 1}
    for g in reversed(range(count)):
        here = kept if g == count - 1 else 0.0
        others = np.delete(mean, g, axis=0)
        sure = least if not np.any(others[: count - 1]) and not np.any(others[count - 1 :]) else 0.0
        sure = 0.0 if np.any(here) else sure
        hit = occupied(mean[g], covariance[g, g], loop.samples[g], here, sure)
        beside = hit.slope * covariance[g]
        beside[g] = 0.0
        mean[g] = 0.0
        share = np.zeros((count + 2, *[1] * len(shape)))
        for teacher, part in loop.teachers[g]:
            share[places.get(teacher, teacher)] = part
        mean = mean + share * hit.mean
        covariance = covariance + share[:, None] * beside + share * beside[:, None]
        covariance = covariance + share[:, None] * share * (hit.variance - hit.mean)
        diagonal = np.arange(count + 2)
        covariance[diagonal, diagonal] += share * hit.mean
    start, real = mean[count], mean[count + 1]
    both = covariance[count, count + 1]
    certain = least if not np.any(real) else 0.0
    return Founders(start, covariance[count, count], real, covariance[count + 1, count + 1], both, least, certain)


_TRACED = {Chain: _chain, Pool: _pool, Graph: _graph}
