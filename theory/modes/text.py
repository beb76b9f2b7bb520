"""Words of a text, and the numbers of its n-grams.

>>> words("Don't stop: 3.5 apples!")
["don't", 'stop', ':', '3', '.', '5', 'apples', '!']
>>> ngram_codes(codes_of("abab"), 2)
array([0, 1, 0, 1])
"""

import re

import numpy as np

__all__ = ["codes_of", "ngram_codes", "words"]

_TOKEN = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def words(text):
    """Words in lower case, numbers and punctuation marks, in order."""
    return _TOKEN.findall(text.lower())


def codes_of(tokens):
    """Whole numbers from 0 for the tokens, equal for equal ones: array (N,)."""
    return np.unique(np.asarray(list(tokens)), return_inverse=True)[1].astype(np.int64).ravel()


def ngram_codes(sequence, n):
    """Whole numbers from 0 for the n-grams that start at each place of a ring of tokens: array (N,)."""
    codes = np.zeros_like(sequence)
    for shift in range(n):
        pairs = codes * (int(sequence.max()) + 1) + np.roll(sequence, -shift)
        codes = np.unique(pairs, return_inverse=True)[1].ravel()
    return codes
