r"""Texts generated from texts: n-gram models really trained on their own output.

A model of order n writes the next word by what followed the last n - 1 words, each time at one of the places where they
stand in its training text, chosen at random. Its text of as many words trains the next model. Texts are read as rings,
so that every context has a successor.

The prediction is that of the n-grams as independent draws. It is right for n ≤ 3 to 1 %; contexts that are copied whole
are not Poisson, and at n = 5 it keeps 2 to 10 % too many n-grams alive (tests/modes/test_texts.py).
"""

import ast
import functools
import pathlib
import sysconfig

import numpy as np

from modelcollapse.theory.modes.parameters import COUNT, given
from modelcollapse.theory.modes.text import codes_of, ngram_codes, words
from modelcollapse.validation.streams import Streams, seed_sequence, stream_key

__all__ = ["continued", "docstring_words", "measured_log_loss", "ngrams_alive"]


@functools.lru_cache(maxsize=4)
def docstring_words(most=None):
    """Words of the docstrings of Python's own library, in the order of its files: a tuple of at most `most`.

    >>> docstring_words(100)[:2] == docstring_words(50)[:2]
    True
    """
    folder, found = pathlib.Path(sysconfig.get_paths()["stdlib"]), []
    for path in _files(folder):
        found += words(" ".join(_docstrings(path)))
        if most is not None and len(found) >= most:
            break
    return tuple(found[:most])


def _files(folder):
    """Python files in the order of their paths; a folder, of which there are thousands, is listed when it comes."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py":
            yield path
        elif path.name not in ("site-packages", "test", "tests", "idlelib") and path.is_dir():
            yield from _files(path)


def _docstrings(path):
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def continued(sequence, n, count, rng):
    """`count` words that a model of order n trained on a ring of words writes; words are whole numbers from 0.

    >>> ring = np.array([0, 1, 2, 3])
    >>> text = continued(ring, 2, 8, np.random.default_rng(0))
    >>> bool((np.diff(text) % 4 == 1).all())
    True
    """
    size = len(sequence)
    if n == 1:
        return sequence[rng.integers(0, size, count)]
    contexts = ngram_codes(sequence, n - 1)
    order = np.argsort(contexts, kind="stable")
    first = np.searchsorted(contexts[order], np.arange(contexts.max() + 2))
    after = np.roll(contexts, -1)[order].tolist()  # the context one word on, place by place of the sorted contexts
    starts, numbers = first[:-1].tolist(), np.diff(first).tolist()
    state, chosen = int(contexts[rng.integers(size)]), []
    for chance in rng.random(count).tolist():
        place = starts[state] + int(chance * numbers[state])
        chosen.append(place)
        state = after[place]
    return sequence[(order[chosen] + n - 1) % size]


def ngrams_alive(tokens, n, generations, runs=1, seed=0, report=None):
    """How many different n-grams the texts of a loop hold: array (runs, generations).

    tokens : sequence of words; n, generations, runs : whole numbers of at least 1
    seed : whole number, SeedSequence or Generator
    report : called with (run, generation, the text as whole numbers, the real text), for more measurements

    Compare with `replace(ngrams(tokens, n), k, len(tokens)).alive` for k = 1..generations.

    >>> import modelcollapse as mc
    >>> tokens = ["a", "b", "a", "c"] * 50 + ["d"]
    >>> ngrams_alive(tokens, 1, 2).shape
    (1, 2)
    """
    n, generations, runs = (
        int(given(name, value, COUNT, traceable=False))
        for name, value in (("n", n), ("generations", generations), ("runs", runs))
    )
    real, streams = codes_of(tokens), Streams(stream_key(seed_sequence(seed), 0))
    alive = np.empty((runs, generations))
    for run in range(runs):
        rng, text = streams.at(run), real
        for generation in range(generations):
            text = continued(text, n, len(real), rng)
            alive[run, generation] = ngram_codes(text, n).max() + 1
            if report is not None:
                report(run, generation, text, real)
    return alive


def measured_log_loss(text, real, n, smoothing, size):
    """-Σ q ln p̂ over the real n-grams, p̂ = (N + s)/(N of the context + s V) counted in a text of whole numbers."""
    both = np.concatenate([real, text])
    split = len(real)
    grams, contexts = (_within(both, split, order) for order in (n, n - 1))
    occurrences, before = (np.bincount(codes[split:], minlength=codes.max() + 1) for codes in (grams, contexts))
    if n == 1:
        return np.log(len(text) + smoothing * size) - np.mean(np.log(occurrences[grams[:split]] + smoothing))
    loss = np.log(before[contexts[:split]] + smoothing * size) - np.log(occurrences[grams[:split]] + smoothing)
    return np.mean(loss)


def _within(both, split, n):
    """n-gram codes of two rings, equal for equal n-grams: array as long as both."""
    codes = np.zeros_like(both)
    for shift in range(n):
        rolled = np.concatenate([np.roll(both[:split], -shift), np.roll(both[split:], -shift)])
        codes = np.unique(codes * (int(both.max()) + 1) + rolled, return_inverse=True)[1].ravel()
    return codes
