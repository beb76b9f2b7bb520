r"""Exact draws of a law: ranks of symbols as float64, which stay different beyond 2^53.

Infinite Zipf laws: NumPy's rejection sampler up to the rank J = 2^53; beyond it, with the chance ζ(β, J+1)/ζ(β) of the
tail, the inverse of its distribution (J + ½) u^{-1/(β-1)}, where ranks hardly ever meet. Finite laws by their cumulated
frequencies.
"""

import math

import numpy as np
from scipy.special import zeta

from modelcollapse.theory.modes.laws import Law, Zipf
from modelcollapse.theory.modes.loops import Loop

__all__ = ["Sampler", "sampler_of", "samplers_of"]

_LAST = 2.0**53
_MOST = 20_000_000


class Sampler:
    """Draws and log frequencies of one side of a law: `draw(rng, n)` and `log_frequency(symbols)`."""

    def __init__(self, probabilities):
        self.size, self._cumulated = len(probabilities), np.cumsum(probabilities)
        self._logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
        self._logs[np.asarray(probabilities) == 0] = -np.inf

    def draw(self, rng, count):
        places = np.searchsorted(self._cumulated, rng.random(count) * self._cumulated[-1], side="right")
        return 1.0 + np.minimum(places, len(self._cumulated) - 1)

    def log_frequency(self, symbols):
        return self._logs[symbols.astype(np.int64) - 1]


class _WholeZipf(Sampler):
    def __init__(self, exponent):
        self.exponent, self.scale = exponent, float(zeta(exponent))
        self.tail = (_LAST + 0.5) ** (1 - exponent) / (exponent - 1) / self.scale

    def draw(self, rng, count):
        ranks = rng.zipf(self.exponent, count).astype(float)
        while (again := np.flatnonzero(ranks > _LAST)).size:
            ranks[again] = rng.zipf(self.exponent, again.size)
        beyond = np.flatnonzero(rng.random(count) < self.tail)
        logs = math.log(_LAST + 0.5) - np.log(1 - rng.random(beyond.size)) / (self.exponent - 1)
        ranks[beyond] = np.floor(np.exp(np.minimum(logs, 700.0)))
        return ranks

    def log_frequency(self, symbols):
        return -self.exponent * np.log(symbols) - math.log(self.scale)


def sampler_of(law: Law, truth=False) -> Sampler:
    """The sampler of what a law draws, or of its truth. Raises ValueError for finite laws of more than 2e7 symbols."""
    if not isinstance(law, Zipf):
        values = getattr(law, "truth" if truth else "probabilities")
        return Sampler(values)
    exponent = float(law.beta if truth or law.exponent is None else law.exponent)
    size = float(law.symbols if truth or law.cut is None else min(law.cut, law.symbols))
    if math.isinf(size):
        return _WholeZipf(exponent)
    if size > _MOST:
        raise ValueError(
            f"{law!r} has {size:g} symbols, too many to draw from one by one; give at most {_MOST}, or inf"
        )
    powers = np.arange(1.0, size + 1) ** -exponent
    return Sampler(powers / powers.sum())


def samplers_of(loop: Loop):
    """Samplers of the law, the truth and, if generators smooth, of uniform draws of the law's symbols."""
    law = sampler_of(loop.law)
    uniform = Sampler(np.isfinite(law.log_frequency(np.arange(1.0, law.size + 1))) * 1.0) if loop.smooths else None
    return law, sampler_of(loop.law, truth=True), uniform
