"""One reading of a pipeline for all of its readers: prediction, simulation, closed forms.

`read(model)` gives the pipeline's steps in an order in which parents come first, and the flat tuple of leaves that the
steps point into. A reader that carries second moments needs the joint moment of a pair of models only if something
later is fitted on both: the schedule lists, for every step, the pairs (itself, earlier) that are needed, the pairs that
no later step will read, and the models that are read there for the last time.

>>> from modelcollapse.theory.pipelines import chain, fit, truth
>>> from modelcollapse.theory.spectra import isotropic
>>> reading = read(fit(chain(truth(isotropic(9)), 3, 20, 0.1).label(30), ridge=0.1))
>>> [type(step).__name__ for step in reading.steps]
['TruthStep', 'ChainStep', 'FitStep']
"""

import functools
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols, is_expression, leaf
from modelcollapse.theory.pipelines.model import ancestry, require_model, sources_of
from modelcollapse.theory.pipelines.steps import AccumulateStep, ChainStep, FitStep, MixtureStep, TruthStep

__all__ = ["Reading", "Schedule", "checked_values", "cleaned", "leaf_values", "read"]


class Schedule(NamedTuple):
    """Steps in topological order, and when which moments are needed; no number."""

    steps: tuple
    pairs: tuple[tuple[int, ...], ...]
    dropped: tuple[tuple[tuple[int, int], ...], ...]
    last_read: tuple[tuple[int, ...], ...]


class Reading(NamedTuple):
    """What a reader needs: the schedule, the leaves (name, leaf, domain), the nodes behind the steps."""

    schedule: Schedule
    leaves: tuple
    nodes: tuple

    @property
    def steps(self):
        return self.schedule.steps

    @property
    def shifted(self):
        """Whether any source has inputs of its own."""
        return bool(self.inputs)

    @property
    def inputs(self):
        """Inputs of the sources that have their own: {(step, source): inputs}."""
        return {
            (i, g): source.inputs
            for i, node in enumerate(self.nodes)
            for g, source in enumerate(sources_of(node))
            if source.inputs is not None
        }

    def filled(self, numbers):
        """The steps with numbers, one for each leaf, in their places."""
        return tuple(step.filled(numbers) for step in self.steps)

    def grid_shape(self, numbers, *arrays):
        """The shape of the grid that the leaves' numbers span, with all but the last axis (atoms) of the arrays.

        ValueError where they do not broadcast together.
        """
        try:
            return np.broadcast_shapes(*map(np.shape, numbers), *(np.shape(x)[:-1] for x in arrays))
        except ValueError:
            named = {
                f"{name} {np.shape(x)}" for (name, _, _), x in zip(self.leaves, numbers, strict=True) if np.ndim(x)
            }
            named |= {f"spectrum {np.shape(x)[:-1]}" for x in arrays[:1] if np.ndim(x) > 1}
            raise ValueError(
                f"the grids do not broadcast together: {', '.join(sorted(named))}; add axes of length 1 as for NumPy "
                "arrays"
            ) from None


def read(model):
    """The Reading of a model; TypeError for what is no model."""
    require_model("model", model)
    nodes = ancestry(model)
    place = {id(node): i for i, node in enumerate(nodes)}
    steps, leaves = [], []
    for node in nodes:
        numbers = range(len(leaves), len(leaves) + len(node.numbers))
        leaves.extend(node.numbers)
        steps.append(node.step([place[id(parent)] for parent in node.parents], numbers))
    return Reading(_scheduled(tuple(steps)), tuple(leaves), tuple(nodes))


@functools.lru_cache(maxsize=512)
def _scheduled(steps):
    """Find the needed pairs backwards from the variance of the last model, and where each is read last."""
    last = len(steps) - 1
    needed = [set() for _ in steps]
    read_at = {}

    def need(i, k, reader):
        if not any(isinstance(steps[place], TruthStep) for place in (i, k)):
            pair = max(i, k), min(i, k)
            needed[pair[0]].add(pair[1])
            read_at.setdefault(pair, reader)

    need(last, last, last + 1)
    for i in range(last, -1, -1):
        for k in sorted(needed[i]):
            for a in steps[i].parents:
                for b in steps[i].parents if k == i else (k,):
                    need(a, b, i)
        if not needed[i] and not isinstance(steps[i], TruthStep):
            needed[i].add(i)
    dropped, last_read = [[] for _ in steps], [[] for _ in steps]
    for pair, reader in read_at.items():
        if reader <= last:
            dropped[reader].append(pair)
    for k, i in {parent: i for i, step in enumerate(steps) for parent in step.parents}.items():
        last_read[i].append(k)
    return Schedule(steps, *(tuple(tuple(sorted(part)) for part in parts) for parts in (needed, dropped, last_read)))


@functools.lru_cache(maxsize=512)
def cleaned(steps):
    """The same last fit with every label it sees written by the truth: its Schedule, and where its steps stood.

    Mixtures keep their parts (each part cleaned), a fit sees the truth instead of its label models (judged as before),
    and repeated fits become their clean counterparts. The leaves are the same.
    """
    new: list = [TruthStep()]
    where, origin = {}, [0]
    judges = _copied(steps, new, origin)
    wanted, stack = set(), [len(steps) - 1]
    while stack:
        i = stack.pop()
        if i not in wanted:
            wanted.add(i)
            if not isinstance(steps[i], FitStep):
                stack.extend(steps[i].parents)
    for i in sorted(wanted):
        step = steps[i]
        if isinstance(step, TruthStep):
            where[i] = 0
            continue
        if isinstance(step, FitStep):
            step = step.by(lambda place: 0, judges.__getitem__)
        elif isinstance(step, MixtureStep):
            step = MixtureStep(tuple(where[parent] for parent in step.parents), step.coefficients)
        elif isinstance(step, ChainStep | AccumulateStep):
            step = step.clean(where[step.start])
        where[i] = len(new)
        new.append(step)
        origin.append(i)
    return _scheduled(tuple(new)), tuple(origin)


def _copied(steps, new, origin):
    """Append the judges of the fits that `cleaned` keeps, with all of their ancestors: their places by old place."""
    place: dict = {i: 0 for i, step in enumerate(steps) if isinstance(step, TruthStep)}
    stack, wanted = [len(steps) - 1], set()
    while stack:
        step = steps[stack.pop()]
        if isinstance(step, FitStep):
            wanted |= set(step.judges)
        else:
            stack.extend(step.parents)
    for i in range(len(steps) - 1, -1, -1):
        if i in wanted:
            wanted |= set(steps[i].parents)
    for i in sorted(wanted - place.keys()):
        step = steps[i]
        if isinstance(step, FitStep):
            step = step.by(place.__getitem__, place.__getitem__)
        elif isinstance(step, MixtureStep):
            step = MixtureStep(tuple(place[parent] for parent in step.parents), step.coefficients)
        elif isinstance(step, ChainStep | AccumulateStep):
            step = replace(step, start=place[step.start])
        place[i] = len(new)
        new.append(step)
        origin.append(i)
    return place


def checked_values(model, values):
    """The values of free symbols as leaves; TypeError for keys that are not symbols of the pipeline."""
    checked, free = {}, model.free
    for symbol, value in (values or {}).items():
        if not is_expression(symbol) or symbol not in free:
            raise TypeError(f"{symbol!r} is not a free symbol of the pipeline; its free symbols are {free}")
        value = leaf(str(symbol), value, Domain())
        if is_expression(value):
            raise TypeError(
                f"{symbol} = {value} is an expression; give numbers here and use model.subs for expressions"
            )
        checked[symbol] = value
    return checked


def leaf_values(leaves, values):
    """Every leaf as a number or float64 array, checked against its domain; symbols take their values."""
    missing = sorted({str(s) for _, value, _ in leaves for s in free_symbols(value) if s not in values})
    if missing:
        raise TypeError(
            f"the symbol {missing[0]} is free; give its value in values={{{missing[0]}: ...}} (or by model.subs), "
            "or read the pipeline symbolically with modelcollapse.theory.closed_form(model)"
        )
    numbers = []
    for name, value, domain in leaves:
        number = evaluate(value, values)
        if free_symbols(value):
            domain.check(f"{name} = {value}", number)
        numbers.append(number)
    return numbers
