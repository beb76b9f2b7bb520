r"""Loops: samples drawn from samples, as plain data. Several readers compute or run the same description.

X_k is the empirical law of generation k, M draws; generation 1 is drawn from the law. A loop is one of

    Chain    each generation is drawn from the one before, a share α of its draws from the truth instead
    Pool     each round is drawn from all rounds before, which are kept
    Graph    each set of draws names the earlier sets that it was drawn from, with shares

What is left of the tail is a matter of ancestry: trace draws back, and those that copied the same item merge. B, the
number of different draws of the law (or the truth) that are reached, is the number of *founders*, and for every law

$$ P(\text{symbol } i \text{ unseen}) = E (1-p_i)^B . $$

>>> loop = replace(zipf(1.5), generations=5, samples=1000)
>>> bool(loop.alive < replace(zipf(1.5), generations=4, samples=1000).alive)
True
"""

from typing import Any

import numpy as np

from modelcollapse.theory.modes.laws import Law, zipf
from modelcollapse.theory.modes.parameters import (
    COUNT,
    DRAWS,
    RATE,
    SAMPLES,
    SHARE,
    Content,
    given,
    shape_of,
    shown,
    traced,
)
from modelcollapse.theory.numbers.domains import Domain

__all__ = ["Chain", "Graph", "Loop", "Pool", "accumulate", "graph", "grow", "mix", "replace", "zipf"]

_SMOOTHING = Domain(low=0, low_open=True, high_open=True, remedy="give a positive count to add to every symbol")
_ADDED = Domain(low=0, high_open=True, remedy="give the count that generators add to every symbol, or 0")
_VOCABULARY = Domain(low=1, high_open=True, whole=True, remedy="give the number of symbols of the vocabulary")


class Loop(Content):
    """A loop on a law. Its numbers may be grids; results have the broadcast `shape`. See `replace`, `mix`, ...

    >>> loop = replace(zipf(1.5), [1, 10], 1000)
    >>> loop.alive.round(1), loop.diversity.round(3)
    (array([140.7,  43.3]), array([0.823, 0.816]))
    """

    law: Law
    shape: tuple[int, ...]

    smooths = False  # whether generators add a count to every symbol

    @property
    def own_truth(self) -> bool:
        """Whether every draw comes from the truth in the end."""
        return self.law.own_truth and not self.smooths

    def _on(self, law):
        """The same loop on another law."""
        make: Any = type(self)
        return make(law, *(getattr(self, name) for name in self._fields[1:]))

    @property
    def founders(self) -> Any:
        """Founders of all draws of the last generation: `.mean`, `.variance`; a number (the mean) for NumPy."""
        return self.founders_of(None)

    def founders_of(self, samples) -> Any:
        """Founders of `samples` draws from the last generation (None: of that generation itself).

        >>> loop = replace(zipf(1.5), generations=3, samples=100)
        >>> bool(loop.founders_of(100).mean == replace(zipf(1.5), generations=4, samples=100).founders.mean)
        True
        """
        from modelcollapse.numerics.modes.founders import founders_of

        return founders_of(self, _draws(samples))

    @property
    def alive(self) -> Any:
        """The expected number of different symbols in the last generation (accumulate: in all rounds)."""
        return self.modes(None)

    def modes(self, samples) -> Any:
        """The expected number of different symbols among `samples` draws from the last generation."""
        from modelcollapse.numerics.modes.functionals import loop_modes

        return loop_modes(self, _draws(samples))

    def missing_mass(self, samples=None) -> Any:
        """The expected true mass of what `samples` draws from the last generation have not shown.

        samples : number or grid; None takes all of the last generation (accumulate: of all rounds)
        """
        from modelcollapse.numerics.modes.functionals import loop_missing_mass

        return loop_missing_mass(self, _draws(samples))

    @property
    def entropy(self) -> Any:
        """The expected entropy of the empirical law of the last generation, in nats."""
        from modelcollapse.numerics.modes.information import loop_entropy

        return loop_entropy(self)

    @property
    def divergence(self) -> Any:
        """The expected Kullback-Leibler divergence of the last generation's law to the truth, in nats.

        It is the entropy that was lost where the law is its own truth: the mean of every frequency is kept.

        >>> loop = replace(zipf(2.0), generations=3, samples=500)
        >>> bool(abs(loop.divergence - (zipf(2.0).entropy - loop.entropy)) < 1e-12)
        True
        """
        from modelcollapse.numerics.modes.information import loop_divergence

        return loop_divergence(self)

    @property
    def diversity(self) -> Any:
        """The expected chance that two draws from the last generation differ (Gini).

        >>> bool(abs(replace(zipf(2.0), 3, 50).diversity / zipf(2.0).diversity - (1 - 1 / 50) ** 3) < 1e-12)
        True
        """
        from modelcollapse.numerics.modes.diversity import loop_diversity

        return loop_diversity(self)

    @property
    def total_variation(self) -> Any:
        """The expected total variation between the last generation's law and the truth; of `replace` only.

        >>> bool(replace(zipf(1.5), 5, 1000).total_variation > replace(zipf(1.5), 1, 1000).total_variation)
        True
        """
        from modelcollapse.numerics.modes.variation import total_variation

        return total_variation(self)

    def log_loss(self, samples=None, smoothing=1.0, size=None) -> Any:
        """The expected loss, in nats, of a learner that adds `smoothing` to every count: E -Σ_i q_i ln p̂_i.

        p̂_i = (N_i + s)/(T + sV) with N_i the counts of T = `samples` draws from the last generation (None: that
        generation itself), V = `size` symbols (default: those of the law, which must be finite). An n-gram law gives
        the loss of a word given the n - 1 words before it.
        """
        from modelcollapse.numerics.modes.perplexity import log_loss

        size = None if size is None else given("size", size, _VOCABULARY, traceable=False)
        return log_loss(self, _draws(samples), given("smoothing", smoothing, _SMOOTHING), size)

    def perplexity(self, samples=None, smoothing=1.0, size=None) -> Any:
        """exp of `log_loss`: among how many symbols the learner is as unsure as if they were equally likely.

        >>> law = zipf(1.5, size=1000)
        >>> bool(replace(law, 9, 500).perplexity() > replace(law, 2, 500).perplexity() > np.exp(law.entropy))
        True
        """
        return np.exp(self.log_loss(samples, smoothing, size))

    def simulate(self, runs=200, seed=0, *, samples=None, smoothing=None, size=None) -> Any:
        """Run the loop and count: the same names as here, as Estimates.

        runs : whole number of at least 2
        seed : whole number, SeedSequence or Generator
        samples : draws of the learner for `missing_mass` and `perplexity`, None for the last generation itself
        smoothing, size : as for `log_loss`; without smoothing there is no `perplexity`

        Sizes must be whole.

        >>> loop = replace(zipf(1.5), generations=5, samples=200)
        >>> simulated = loop.simulate(runs=100)
        >>> bool(abs(simulated.alive.mean / loop.alive - 1) < 0.05)
        True
        """
        from modelcollapse.validation.modes.simulation import simulate

        return simulate(self, runs, seed, samples=samples, smoothing=smoothing, size=size)

    def crosscheck(self, runs=400, seed=0, **options) -> Any:
        """Predictions beside simulations with a verdict for each quantity; see `modelcollapse.validation.modes`."""
        from modelcollapse.validation.modes.agreement import crosscheck

        return crosscheck(self, runs, seed, **options)


class Chain(Loop):
    """See `replace`, `mix`, `grow`."""

    _fields = ("law", "generations", "samples", "real_share", "rate", "smoothing")

    def __init__(self, law, generations, samples, real_share=0.0, rate=1.0, smoothing=0.0):
        self.law = _checked(law)
        self.generations = given("generations", generations, COUNT, traceable=False)
        self.samples = given("samples", samples, DRAWS)
        self.real_share = given("real_share", real_share, SHARE)
        self.rate = given("rate", rate, RATE)
        self.smoothing = given("smoothing", smoothing, _ADDED)
        self.smooths = traced(smoothing) or bool(np.any(self.smoothing))
        if self.smooths:
            _finite(law)
        numbers = (self.generations, self.samples, self.real_share, self.rate, self.smoothing)
        self.shape = shape_of(*numbers, np.empty(law.shape))
        if not any(map(traced, (self.samples, self.rate))):
            DRAWS.check("samples * rate^(generations - 1)", self.samples * self.rate ** (self.generations - 1.0))

    @property
    def fresh_share(self):
        """The share of draws, from the second generation on, that copy nothing: real ones, or uniform ones."""
        if not self.smooths:
            return self.real_share
        added = self.smoothing * (self.law.size * 1.0)
        return added / (self.samples + added)

    @property
    def name(self):
        return "grow" if not _is(self.rate, 1) else "replace" if _is(self.real_share, 0) else "mix"

    def __repr__(self):
        more = {"mix": {"real_share": self.real_share}, "grow": {"rate": self.rate}}.get(self.name, {})
        more = {"smoothing": self.smoothing} if self.smooths else more
        return _call(self.name, self.law, generations=self.generations, samples=self.samples, **more)


class Pool(Loop):
    """See `accumulate`."""

    _fields = ("law", "rounds", "samples")
    name = "accumulate"

    def __init__(self, law, rounds, samples):
        self.law = _checked(law)
        self.rounds = given("rounds", rounds, COUNT, traceable=False)
        self.samples = given("samples", samples, DRAWS)
        self.shape = shape_of(self.rounds, self.samples, np.empty(law.shape))

    def __repr__(self):
        return _call(self.name, self.law, rounds=self.rounds, samples=self.samples)


class Graph(Loop):
    """See `graph`."""

    _fields = ("law", "samples", "teachers")
    name = "graph"

    def __init__(self, law, samples, teachers):
        self.law, self.shape = _checked(law), law.shape
        self.samples = np.atleast_1d(np.asarray(given("samples", samples, DRAWS, traceable=False), float))
        if self.samples.ndim != 1 or len(teachers) != len(self.samples):
            raise ValueError(
                f"samples has shape {self.samples.shape} and teachers {len(teachers)} entries; give one of each for "
                "every set of draws"
            )
        self.teachers = tuple(_shares(g, row) for g, row in enumerate(teachers))

    def _content(self):
        return (self.law, self.samples.tobytes(), self.teachers)

    def __repr__(self):
        return f"graph({self.law!r}, <{len(self.samples)} sets of draws>)"


def _shares(g, row):
    """Sorted (teacher, share) pairs of one set of draws; the law is teacher None."""
    row = {None: 1.0} if row is None else dict(row)
    for teacher, share in row.items():
        known = teacher in (None, "real") or (isinstance(teacher, int) and 0 <= teacher < g)
        if not known:
            raise ValueError(
                f"teachers[{g}] names {teacher!r}; give earlier sets by number, 'real', or None for the law"
            )
        given(f"teachers[{g}][{teacher!r}]", share, SHARE, traceable=False)
    if not abs(sum(row.values()) - 1) <= 1e-9:
        raise ValueError(f"teachers[{g}] has shares with the sum {sum(row.values()):.6g}; give shares that add up to 1")
    return tuple(sorted(((k, float(v)) for k, v in row.items() if v > 0), key=lambda pair: str(pair[0])))


def _checked(law) -> Law:
    if not isinstance(law, Law):
        raise TypeError(f"law is a {type(law).__name__}; give zipf(...), frequencies(...), counts(...) or ngrams(...)")
    return law


def _finite(law):
    if getattr(law, "contexts", None) is not None:
        raise ValueError(f"smoothing of {law!r} would have to know contexts; give the law of single words, n = 1")
    if np.any(np.isinf(law.size)) or not law.own_truth:
        raise ValueError(
            f"smoothing adds a count to each symbol of {law!r}; give a finite law that is its own truth, such as "
            "zipf(beta, size=10000)"
        )


def _draws(samples):
    return None if samples is None else given("samples", samples, SAMPLES)


def _is(value, number):
    return np.ndim(value) == 0 and isinstance(value, int | float) and value == number


def _call(name, law, **numbers):
    return f"{name}({law!r}, {', '.join(f'{key}={shown(value)}' for key, value in numbers.items())})"


def replace(law, generations, samples, *, smoothing=0.0):
    """Each generation of `samples` draws is drawn from the empirical law of the one before; the first from the law.

    law : Law
    generations : whole number or grid, at least 1
    samples : number or grid, at least 2; whole for simulation, any real number for theory
    smoothing : number or grid, not negative; each generator adds it to the count of each of the V symbols, so that the
        share sV/(samples + sV) of its draws is uniform. The law must be finite then

    Returns a Loop. Raises TypeError and ValueError for what is outside these.

    Modes die, and it does not help to draw more from what is left:

    >>> loop = replace(zipf(1.5), [1, 10, 100], 1000)
    >>> loop.shape, bool((np.diff(loop.alive) < 0).all()), bool((loop.modes(1e9) <= loop.alive + 1e-9).all())
    ((3,), True, True)

    Smoothed generators forget nothing for good, and get the law wrong instead:

    >>> smoothed = replace(zipf(1.5, size=100), 50, 1000, smoothing=[0.0, 0.1, 1.0])
    >>> bool((np.diff(smoothed.alive) > 0).all()), bool((smoothed.divergence[1:] > smoothed.divergence[0]).any())
    (True, True)
    """
    return Chain(law, generations, samples, smoothing=smoothing)


def mix(law, generations, samples, real_share):
    """As `replace`, with every draw from generation 2 on taken from the truth by chance `real_share`.

    real_share : number or grid in [0, 1]

    >>> (mix(zipf(1.5), 50, 1000, [0.0, 0.1, 1.0]).alive / zipf(1.5).modes(1000)).round(2)  # modes that are left
    array([0.11, 0.54, 1.  ])
    """
    return Chain(law, generations, samples, real_share)


def grow(law, generations, samples, rate):
    """As `replace`, with each generation `rate` times as large as the one before, the first of `samples` draws.

    rate : number or grid, positive; above 1 a part of the tail survives for ever

    >>> (grow(zipf(1.5), 60, 1000, [1.0, 1.5]).founders.mean / 1000).round(2)
    array([0.03, 0.58])
    """
    return Chain(law, generations, samples, 0.0, rate)


def accumulate(law, rounds, samples):
    """Each round of `samples` draws is drawn from all rounds before together, which are kept; the first from the law.

    rounds : whole number or grid, at least 1

    The pool keeps every mode of its first round; a sample of it does not show them all:

    >>> pool = accumulate(zipf(1.5), 1000, 500)
    >>> bool(pool.alive == zipf(1.5).modes(500)), round(float(pool.alive), 1)
    (True, 88.5)
    >>> round(float(pool.founders_of(500).mean / 500), 2)
    0.53
    """
    return Pool(law, rounds, samples)


def graph(law, samples, teachers):
    """Any loop without grids: sets of draws of any sizes, each with several teachers if wanted.

    samples : array (K,), the sizes
    teachers : K entries; each None (drawn from the law) or a dict from an earlier set's number, "real" (the truth) or
        None (the law) to the share of the draws that come from there; every draw chooses by itself

    The last set is what `alive` and the others speak of.

    >>> two = graph(zipf(1.5), [500, 500, 500], [None, None, {0: 0.5, 1: 0.5}])
    >>> round(float(two.alive), 1), round(float(replace(zipf(1.5), 2, 500).alive), 1)
    (75.4, 65.1)
    """
    return Graph(law, samples, teachers)
