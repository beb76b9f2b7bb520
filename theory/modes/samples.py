r"""Laws read off a real sample: how often each symbol occurred among N tokens.

The sample is taken as the start of a loop: its frequencies N_i/N are the law, and the first generation is the first
synthetic one. What the law *behind* the sample would have shown is estimated without any model by rarefaction,

$$ \hat D(b) = \sum_i \left[ 1 - \binom{N-N_i}{b} \Big/ \binom Nb \right], \qquad
   \hat U(b) = \hat D(b+1) - \hat D(b), $$

unbiased for b ≤ N and b < N: a smaller sample is a random part of this one. Û(N) is Good and Turing's singletons/N.

>>> law = counts([5, 3, 1, 1])
>>> bool(law.rarefied_modes(10) == 4), bool(law.rarefied_missing_mass(10) == 0.2), law.modes(1e6)
(True, True, np.float64(4.0))
"""

import os

import numpy as np

from modelcollapse.theory.modes.laws import Frequencies, _frozen
from modelcollapse.theory.modes.parameters import COUNT, given
from modelcollapse.theory.modes.text import codes_of, ngram_codes, words
from modelcollapse.theory.numbers.domains import Domain

__all__ = ["Counts", "NGrams", "counts", "ngrams"]

_OCCURRENCES = Domain(low=0, high_open=True, whole=True, remedy="give numbers of occurrences, whole and not negative")


class Counts(Frequencies):
    """See `counts`."""

    _fields = ("occurrences",)

    def __init__(self, occurrences):
        self.occurrences = occurrences
        super().__init__(_frozen(occurrences / occurrences.sum()))

    @property
    def total(self):
        """Tokens of the sample."""
        return int(self.occurrences.sum())

    def rarefied_modes(self, samples):
        """D̂: the expected number of modes among `samples` ≤ N draws of the law behind the sample, without bias."""
        samples = given("samples", samples, Domain(0, self.total, whole=True, remedy="a smaller sample than this one"))
        found = [self._rarefied(float(b)) for b in np.ravel(samples)]
        return np.reshape(found, np.shape(samples))[()]

    def rarefied_missing_mass(self, samples):
        """Û: the expected missing mass after `samples` < N draws, without bias; at N Good and Turing's estimate."""
        samples = np.asarray(given("samples", samples, Domain(0, self.total, whole=True, remedy="at most its tokens")))
        inside = np.minimum(samples, self.total - 1)
        differences = self.rarefied_modes(inside + 1) - self.rarefied_modes(inside)
        return np.where(samples == self.total, np.sum(self.occurrences == 1) / self.total, differences)[()]

    def _rarefied(self, draws):
        """Σ_i 1 - Π_{j < N_i} (1 - b/(N-j)), each distinct number of occurrences once."""
        values, types = np.unique(self.occurrences[self.occurrences > 0], return_counts=True)
        left = self.total - np.arange(values[-1])
        with np.errstate(divide="ignore"):
            unseen = np.cumsum(np.log1p(-np.minimum(draws / left, 1.0)))
        return -np.sum(types * np.expm1(unseen[values.astype(int) - 1]))

    def __repr__(self):
        return f"counts(<{len(self.occurrences)} symbols, {self.total} tokens>)"


class NGrams(Counts):
    """See `ngrams`."""

    _fields = ("occurrences", "order", "vocabulary")

    def __init__(self, occurrences, order, vocabulary, contexts=None):
        super().__init__(occurrences)
        self.order, self.vocabulary, self.contexts = order, vocabulary, contexts

    def __repr__(self):
        return f"ngrams(<{len(self.occurrences)} types, {self.total} tokens>, n={self.order})"


def counts(n):
    """A law given by a real sample: the number of occurrences of each symbol.

    n : array (V,) of whole numbers, not negative, at least one positive

    Returns a Law with `rarefied_modes` and `rarefied_missing_mass` too. Raises ValueError for negative or fractional
    numbers, TypeError for what is not a number.

    A symbol that occurred N times among as many tokens as are drawn has a half-life of about 2N/ln 2 generations:

    >>> import modelcollapse.theory.modes.loops as loops
    >>> law = counts([20] * 50)
    >>> loops.replace(law, [50, 60], 1000).alive.round(1)
    array([27.1, 24. ])
    """
    n = np.atleast_1d(np.asarray(given("n", n, _OCCURRENCES, traceable=False), float))
    if n.ndim != 1 or not n.sum() > 0:
        raise ValueError(f"n has shape {n.shape} and sum {n.sum():g}; give one axis with a positive number in it")
    return Counts(_frozen(n))


def ngrams(text, n=1):
    """The n-grams of a text as a law: what a language model of order n that is trained on its own output starts from.

    text : str, a path (os.PathLike) to a file in UTF-8, or a sequence of tokens. A str is split into words in lower
        case, numbers and punctuation marks. The text is read as a ring, so that every context has a successor
    n : whole number of at least 1

    Returns a Law with the `order` n, the `vocabulary` (number of different tokens), `contexts` (the law of the
    (n-1)-grams) and what `counts` has. Raises ValueError for a text of fewer than n tokens, OSError for a file that
    cannot be read.

    >>> law = ngrams("the cat sat on the mat and the dog sat on the cat", 2)
    >>> law.total, law.vocabulary, law.size
    (13, 7, 10)
    """
    n = int(given("n", n, COUNT, traceable=False))
    tokens = words(_read(text)) if isinstance(text, str | os.PathLike) else list(text)
    if len(tokens) < max(n, 2):
        raise ValueError(f"text has {len(tokens)} tokens; give at least {max(n, 2)}")
    sequence = codes_of(tokens)
    occurrences = np.bincount(ngram_codes(sequence, n)).astype(float)
    contexts = Counts(_frozen(np.bincount(ngram_codes(sequence, n - 1)))) if n > 1 else None
    return NGrams(_frozen(occurrences), n, int(sequence.max()) + 1, contexts)


def _read(text):
    if isinstance(text, str):
        return text
    with open(text, encoding="utf-8") as file:
        try:
            return file.read()
        except UnicodeDecodeError as error:
            raise ValueError(f"{os.fspath(text)} is not text in UTF-8 ({error.reason}); convert it first") from None
