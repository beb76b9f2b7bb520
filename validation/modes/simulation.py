r"""Loops run draw by draw, exactly in law.

Every draw of the law or of the truth is a founder with its symbol. A set of draws is the number of times that each
founder's copy is in it; the next set is a multinomial draw of these numbers, or a mixture of several. Symbols are
looked up at the end, so that one run gives founders, modes, missing mass, entropy and the rest.

Each run has random numbers of its own, addressed by seed, grid point and run.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from modelcollapse.theory.modes.laws import Frequencies, Zipf
from modelcollapse.theory.modes.loops import Chain, Graph, Loop, Pool
from modelcollapse.theory.modes.parameters import given, traced
from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.validation.estimates import Estimate
from modelcollapse.validation.modes.draws import samplers_of
from modelcollapse.validation.streams import Streams, seed_sequence, stream_key

__all__ = ["SimulatedLoop", "one_run", "simulate"]

_RUNS = Domain(low=2, high_open=True, whole=True, remedy="a standard error needs two runs at least")
_WHOLE = Domain(low=0, high_open=True, whole=True, remedy="draws can be counted only in whole numbers; round them")


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedLoop:
    """What runs of a loop gave: the names of a `Loop`, as Estimates. `perplexity` and `log_loss` only if asked for."""

    founders: Estimate
    alive: Estimate
    missing_mass: Estimate
    entropy: Estimate
    divergence: Estimate
    diversity: Estimate
    total_variation: Estimate
    log_loss: Estimate | None = None
    perplexity: Estimate | None = None

    def __repr__(self):
        shown = (f"{part.name}={getattr(self, part.name)!r}" for part in fields(self) if getattr(self, part.name))
        return f"SimulatedLoop({', '.join(shown)})"


def simulate(loop: Loop, runs=200, seed=0, *, samples=None, smoothing=None, size=None) -> SimulatedLoop:
    """Run a loop; see `Loop.simulate`.

    Raises ValueError for fewer than two runs and for sizes that are not whole, TypeError for wrong types.

    >>> from modelcollapse.theory.modes.loops import replace, zipf
    >>> loop = replace(zipf(2.0), [1, 3], 100)
    >>> simulate(loop, 50, seed=1).alive.shape
    (2,)
    """
    runs = int(given("runs", runs, _RUNS, traceable=False))
    if samples is not None:
        samples = given("samples", samples, _WHOLE, traceable=False)
    if smoothing is not None and getattr(loop.law, "contexts", None) is not None:
        raise ValueError(
            f"the loss of {loop.law!r} needs contexts; run its text by modelcollapse.validation.modes.texts"
        )
    seed = seed_sequence(seed)
    numbers = [x for x in (samples, smoothing) if x is not None]
    shape = np.broadcast_shapes(loop.shape, *(np.shape(x) for x in numbers))
    tables = []
    for point, place in enumerate(np.ndindex(*shape)):
        one = _at(loop, place, shape)
        learner = [None if x is None else float(np.broadcast_to(x, shape)[place]) for x in (samples, smoothing)]
        tables.append(_runs(one, runs, stream_key(seed, point), learner[0], learner[1], size))
    names = tables[0][0].keys()
    draws = {name: np.array([[row[name] for row in table] for table in tables]) for name in names}
    return SimulatedLoop(**{name: Estimate.from_draws(x.reshape(*shape, runs)) for name, x in draws.items()})


def _at(loop, place, shape):
    """The loop at one point of a grid, its sizes checked to be whole."""

    def pick(value):
        if value is None or not np.ndim(value):
            return value
        return np.broadcast_to(value, shape)[place].item()

    law = loop.law
    if law.shape and isinstance(law, Frequencies):
        law: Any = Frequencies(np.broadcast_to(law.probabilities, (*shape, len(law.truth)))[place], law.truth)
    elif law.shape:
        law: Any = type(law)(*(pick(getattr(law, name)) for name in law._fields))
    if isinstance(loop, Graph):
        one: Any = loop
    else:
        one = type(loop)(law, *(pick(getattr(loop, name)) for name in loop._fields[1:]))
    if any(traced(x) for x in vars(one).values()):
        raise TypeError("the loop is traced by JAX; simulate one with numbers")
    given("samples", one.samples, _WHOLE)
    return one


def _runs(loop, runs, key, samples, smoothing, size):
    law, truth, uniform = samplers_of(loop)
    streams, rows = Streams(key), []
    for trial in range(runs):
        rng = streams.at(trial)
        family = _Family(rng, law, truth, uniform)
        last = _RUN[type(loop)](loop, family)
        rows.append(_measured(family, last, samples, smoothing, size or loop.law.size))
    return rows


class _Family:
    """Founders with their symbols; a set of draws is a pair (founders, numbers of copies)."""

    def __init__(self, rng, law, truth, uniform):
        self.rng, self.symbols = rng, np.empty(0)
        self.sources = {None: law, "real": truth, "uniform": uniform}

    def fresh(self, count, source=None):
        first = len(self.symbols)
        self.symbols = np.concatenate([self.symbols, self.sources[source].draw(self.rng, count)])
        return np.arange(first, first + count), np.ones(count, np.int64)

    def copied(self, draws, count):
        who, copies = draws
        new = self.rng.multinomial(count, copies / copies.sum())
        return who[new > 0], new[new > 0]

    def by_symbol(self, draws):
        symbols, place = np.unique(self.symbols[draws[0]], return_inverse=True)
        return symbols, np.bincount(place, weights=draws[1])


def _together(parts):
    who, copies = map(np.concatenate, zip(*parts, strict=True))
    total = np.bincount(who, weights=copies).astype(np.int64)
    found = np.flatnonzero(total)
    return found, total[found]


def _chain(loop: Chain, family):
    sizes = np.rint(loop.samples * loop.rate ** np.arange(loop.generations)).astype(np.int64)
    draws = family.fresh(int(sizes[0]))
    for count in sizes[1:]:
        fresh = family.rng.binomial(count, loop.fresh_share) if loop.fresh_share else 0
        copied = family.copied(draws, count - fresh)
        source = "uniform" if loop.smooths else "real"
        parts = copied, family.fresh(fresh, source)  # new founders come after all that there are
        draws = tuple(map(np.concatenate, zip(*parts, strict=True)))
    return draws


def _pool(loop: Pool, family):
    pool = family.fresh(int(loop.samples))
    for _ in range(int(loop.rounds) - 1):
        pool = _together([pool, family.copied(pool, int(loop.samples))])
    return pool


def _graph(loop: Graph, family):
    sets = []
    for count, row in zip(loop.samples.astype(np.int64), loop.teachers, strict=True):
        split = family.rng.multinomial(count, np.array([part for _, part in row]) / sum(part for _, part in row))
        parts = [
            family.copied(sets[teacher], n) if isinstance(teacher, int) else family.fresh(n, teacher)
            for (teacher, _), n in zip(row, split, strict=True)
        ]
        sets.append(_together(parts))
    return sets[-1]


_RUN = {Chain: _chain, Pool: _pool, Graph: _graph}


def _measured(family, last, samples, smoothing, size):
    """One run's numbers by name."""
    truth = family.sources["real"]
    symbols, copies = family.by_symbol(last)
    x = copies / copies.sum()
    entropy = -np.sum(x * np.log(x))
    learner = last if samples is None else family.copied(last, int(samples))
    known, times = family.by_symbol(learner)
    frequency = np.exp(truth.log_frequency(known))
    unseen = 1 - frequency.sum()
    row = {
        "founders": len(last[0]),
        "alive": len(symbols),
        "missing_mass": unseen,
        "entropy": entropy,
        "divergence": -entropy - np.sum(x * truth.log_frequency(symbols)),
        "diversity": 1 - np.sum(x**2),
        "total_variation": (np.sum(abs(x - np.exp(truth.log_frequency(symbols)))) + 1) / 2
        - np.sum(np.exp(truth.log_frequency(symbols))) / 2,
    }
    if smoothing is not None:
        loss = np.log(times.sum() + smoothing * size) - np.sum(frequency * np.log(times + smoothing))
        row["log_loss"] = loss - unseen * np.log(smoothing)
        row["perplexity"] = np.exp(row["log_loss"])
    return row


def one_run(loop, seed=0):
    """Frequencies in falling order: those of the last generation of one run, and the truth's first 2 n for its n.

    >>> from modelcollapse.theory.modes.loops import replace, zipf
    >>> left, law = one_run(replace(zipf(1.5), 10, 100))
    >>> bool(abs(left.sum() - 1) < 1e-12), len(law) >= len(left)
    (True, True)
    """
    loop = _at(loop, (), ())
    _, truth, _ = samplers = samplers_of(loop)
    family = _Family(Streams(stream_key(seed_sequence(seed), 0)).at(0), *samplers)
    _, copies = family.by_symbol(_RUN[type(loop)](loop, family))
    left = np.sort(copies / copies.sum())[::-1]
    if isinstance(loop.law, Frequencies):
        return left, np.sort(loop.law.truth)[::-1]
    most = min(loop.law.symbols, max(100, 2 * len(left))) if isinstance(loop.law, Zipf) else len(left)
    return left, np.exp(truth.log_frequency(np.arange(1.0, most + 1)))
