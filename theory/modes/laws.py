r"""Laws that samples are drawn from: frequencies p_i of symbols, beside the frequencies q_i of the truth.

Where nothing is said, the law is the truth, p = q. They differ where a generator has cut, narrowed or tempered what
it learned: then p is what is drawn, and q is what errors are measured with. Two numbers describe T draws,

$$ U(T) = \sum_i q_i (1-p_i)^T, \qquad D(T) = \sum_i \left[ 1 - (1-p_i)^T \right], $$

the missing mass (the error of a learner who is right on exactly what was seen) and the number of modes seen.

Zipf's law is p_i = i^{-β}/ζ(β) over all i ≥ 1. Its sums are taken by a few hundred atoms: Gauss rules of the discrete
sums over octaves of ranks up to 2^56, and the moments of what lies beyond, so that their cost does not grow.

>>> zipf(1.5).missing_mass(1000) < zipf(1.5).missing_mass(100)
np.True_
>>> bool(abs(zipf(2.0).missing_mass(10) - (zipf(2.0).modes(11) - zipf(2.0).modes(10))) < 1e-12)
True
"""

import math
from typing import Any

import numpy as np

from modelcollapse.theory.modes.parameters import EXPONENT, SAMPLES, SHARE, SIZE, Content, given, shape_of, shown
from modelcollapse.theory.numbers.domains import Domain

__all__ = ["Frequencies", "Law", "Zipf", "frequencies", "zipf"]

_FREQUENCY = Domain(low=0, high_open=True, remedy="frequencies are finite and not negative")
_TEMPERATURE = Domain(low=0, low_open=True, high_open=True, remedy="give a positive temperature; 1 changes nothing")
_GENERATOR = Domain(low=1, remedy="give the number of samples that the generator learned from, or inf")


class Law(Content):
    """A law of symbols: what a loop starts from. See `zipf`, `frequencies`, `counts`, `ngrams`.

    >>> law = zipf(1.5)
    >>> law.modes([10, 1000]).round(1), law.missing_mass([10, 1000]).round(3)  # seen in 10 and in 1000 draws
    (array([  6.1, 140.7]), array([0.426, 0.094]))
    """

    shape: tuple[int, ...] = ()

    @property
    def size(self) -> Any:
        """How many symbols can be drawn at all; inf for a whole Zipf law."""
        raise NotImplementedError

    @property
    def own_truth(self) -> bool:
        """Whether errors are measured with the law itself."""
        return True

    def modes(self, samples) -> Any:
        """D: the expected number of different symbols among `samples` draws. Real numbers and grids are allowed."""
        from modelcollapse.numerics.modes.functionals import law_modes

        return law_modes(self, given("samples", samples, SAMPLES))

    def missing_mass(self, samples, *, real_share=0.0, generator_samples=math.inf) -> Any:
        """U: the expected true mass of all symbols that `samples` draws have not shown.

        real_share : share of the draws that come from the truth instead of the law
        generator_samples : the law is only known to its generator through this many draws of it; inf: exactly

        All are numbers or grids. With a generator of finite samples, or of a cut or narrowed law, the curve over
        samples has a plateau that real samples end (`plateau`).

        >>> generator = zipf(1.5)
        >>> curve = generator.missing_mass([1e2, 1e4, 1e6], generator_samples=1000)
        >>> bool(curve[-1] > 0.999 * generator.missing_mass(1000))
        True
        """
        from modelcollapse.numerics.modes.functionals import law_missing_mass

        return law_missing_mass(
            self,
            given("samples", samples, SAMPLES),
            given("real_share", real_share, SHARE),
            given("generator_samples", generator_samples, _GENERATOR),
        )

    @property
    def entropy(self) -> Any:
        """H = -Σ p ln p, in nats."""
        from modelcollapse.numerics.modes.information import law_entropy

        return law_entropy(self)

    @property
    def diversity(self) -> Any:
        """Gini: the chance 1 - Σ p² that two draws differ."""
        from modelcollapse.numerics.modes.diversity import law_diversity

        return law_diversity(self)


class Zipf(Law):
    """See `zipf`."""

    _fields = ("beta", "cut", "exponent", "symbols")

    def __init__(self, beta, cut, exponent, symbols):
        self.beta, self.cut, self.exponent, self.symbols = beta, cut, exponent, symbols
        self.shape = shape_of(beta, *(x for x in (cut, exponent) if x is not None), symbols)

    @property
    def size(self):
        return self.symbols if self.cut is None else np.minimum(self.cut, self.symbols)

    @property
    def own_truth(self):
        return self.cut is None and self.exponent is None

    def tempered(self, temperature):
        """The same truth, drawn at a temperature: p_i^(1/τ), normalised, which is the exponent β/τ.

        >>> zipf(1.5).tempered(1.2).exponent == 1.5 / 1.2
        True
        """
        temperature = given("temperature", temperature, _TEMPERATURE)
        exponent = (self.beta if self.exponent is None else self.exponent) / temperature
        if self.cut is None and np.all(np.isinf(self.symbols)) and not EXPONENT.contains(exponent).all():
            raise ValueError(
                f"temperature = {shown(temperature)} makes the exponent {shown(exponent)}, outside (1, inf); "
                "give a temperature below beta, or a finite size"
            )
        return Zipf(self.beta, self.cut, exponent, self.symbols)

    def __repr__(self):
        parts = [shown(self.beta)]
        parts += [f"{name}={shown(x)}" for name, x in (("cut", self.cut), ("exponent", self.exponent)) if x is not None]
        parts += [] if np.ndim(self.symbols) == 0 and self.symbols == math.inf else [f"size={shown(self.symbols)}"]
        return f"zipf({', '.join(parts)})"


class Frequencies(Law):
    """See `frequencies`."""

    _fields = ("probabilities", "truth")

    def __init__(self, probabilities, truth=None):
        self.probabilities, self.shape = probabilities, np.shape(probabilities)[:-1]
        self.truth = probabilities if truth is None else truth

    @property
    def size(self):
        found = np.count_nonzero(self.probabilities, axis=-1)
        return found if self.shape else int(found)

    @property
    def own_truth(self):
        return self.truth is self.probabilities

    def tempered(self, temperature):
        """The same truth, drawn at a temperature, number or grid: p_i^(1/τ), normalised.

        >>> law = frequencies([0.7, 0.2, 0.1])
        >>> bool((np.diff(law.tempered([0.5, 1.0, 2.0]).entropy) > 0).all())
        True
        """
        temperature = given("temperature", temperature, _TEMPERATURE)
        with np.errstate(divide="ignore"):
            logs = np.log(self.probabilities / self.probabilities.max(-1, keepdims=True))
        shape_of(np.empty(self.shape), temperature)
        powers = np.exp(logs / np.asarray(temperature, float)[..., None])
        return Frequencies(_frozen(powers / powers.sum(-1, keepdims=True)), self.truth)

    def cut(self, modes):
        """The same truth, drawn from its `modes` (number or grid) most frequent symbols only, normalised (top-k).

        >>> frequencies([0.5, 0.3, 0.2]).cut(2).probabilities
        array([0.625, 0.375, 0.   ])
        """
        domain = Domain(low=1, high=np.min(self.size), whole=True, remedy="give a number of its symbols")
        modes = given("modes", modes, domain)
        places = np.argsort(np.argsort(-self.probabilities, kind="stable", axis=-1), kind="stable", axis=-1)
        kept = np.where(places < np.asarray(modes)[..., None], self.probabilities, 0.0)
        return Frequencies(_frozen(kept / kept.sum(-1, keepdims=True)), self.truth)

    def __repr__(self):
        return f"frequencies(<{len(self.truth)} symbols>{'' if self.own_truth else ', not its own truth'})"


def _frozen(values):
    values = np.array(values, float)
    values.flags.writeable = False
    return values


def zipf(beta, *, cut=None, exponent=None, size=math.inf):
    """Zipf's law: p_i = i^-β/ζ(β), i = 1, 2, ...

    Parameters
    ----------
    beta : number or grid, > 1; the truth
    cut : whole number or grid; only the `cut` most frequent symbols are drawn, renormalised (top-k; min-p m is the cut
        m^(-1/β)). The truth, with which errors are measured, stays whole
    exponent : number or grid, > 1; the symbols are drawn by i^-exponent instead (narrowed if above beta)
    size : whole number or grid; the truth itself has this many symbols only. Any positive beta is then allowed

    Returns
    -------
    Law, with `modes`, `missing_mass`, `entropy`, `diversity`, `tempered`

    Raises
    ------
    ValueError for an exponent at which the frequencies cannot be summed, TypeError for what is not a real number.

    A generator that was cut never gets below the mass it dropped:

    >>> zipf(1.5, cut=100).missing_mass([1e2, 1e6, 1e12]).round(4)
    array([0.1979, 0.0764, 0.0764])
    """
    size = _counted("size", size)
    finite = np.all(np.isfinite(size)) and not np.any(np.isinf(size))
    beta = given("beta", beta, Domain(low=0, high_open=True, remedy="give a finite exponent") if finite else EXPONENT)
    cut = None if cut is None else _counted("cut", cut)
    cut = None if cut is not None and np.all(np.isinf(cut)) else cut
    if exponent is not None:
        summed = finite or (cut is not None and np.all(np.isfinite(cut)))
        domain = Domain(low=0, high_open=True, remedy="give a finite exponent") if summed else EXPONENT
        exponent = given("exponent", exponent, domain)
    return Zipf(beta, cut, exponent, float(size) if np.ndim(size) == 0 else size)


def _counted(name, value):
    """A whole number of symbols that float64 can count, or inf."""
    value = given(name, value, SIZE, traceable=False)
    finite = np.where(np.isinf(np.asarray(value, float)), 1.0, np.asarray(value, float))
    Domain(1, 2.0**53, remedy="give a number of symbols below 2^53, or inf").check(name, finite)
    return value


def frequencies(p):
    """A law given by the frequencies of its symbols.

    p : array (V,), not negative, with sum 1 up to 1e-6 (it is normalised exactly). Zeros are never drawn.

    Returns a Law. Raises ValueError for other sums (for numbers of occurrences there is `counts`) and for more than one
    axis, TypeError for what is not a real number.

    >>> coin = frequencies([0.5, 0.5])
    >>> float(coin.modes(2)), float(coin.missing_mass(1))
    (1.5, 0.5)
    """
    p = np.atleast_1d(np.asarray(given("p", p, _FREQUENCY, traceable=False), float))
    if p.ndim != 1:
        raise ValueError(f"p has shape {p.shape}; give one axis, one frequency for each symbol")
    if not abs(p.sum() - 1) <= 1e-6:
        raise ValueError(f"p has the sum {p.sum():.6g}; divide by it, or give numbers of occurrences to counts")
    return Frequencies(_frozen(p / p.sum()))
