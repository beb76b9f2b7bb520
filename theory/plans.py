"""The structure of a pipeline apart from its numbers.

`plan(model)` returns a `Plan`, a hashable tuple of steps in an order in which parents come first, and the flat tuple
of leaves that the steps point into. Readers (prediction, simulation, closed forms) walk the same steps.

A reader that carries second moments needs the joint moment of a pair of models only if something later is
fitted on both. `Plan.pairs` lists, for every step, the pairs (itself, earlier) that are needed, and `Plan.dropped`
those that no later step will read.

>>> from modelcollapse.theory.pipelines import chain, fit, truth
>>> from modelcollapse.theory.spectra import isotropic
>>> steps = plan(fit(chain(truth(isotropic(9)), 3, 20, 0.1).label(30), ridge=0.1)).plan.steps
>>> [step.kind for step in steps]
['truth', 'chain', 'fit']
"""

import functools
from typing import NamedTuple

from modelcollapse.theory.leaves import evaluate, free_symbols
from modelcollapse.theory.pipelines import Fit, ancestry

__all__ = ["Plan", "Reading", "Step", "cleaned", "leaf_values", "plan"]

_NOT_FITTED_ONCE = ("truth", "mixture", "chain", "accumulate", "clean-chain", "clean-accumulate")


class Step(NamedTuple):
    """One model: its kind, the steps it was made from, where its numbers stand and which inputs are shifted.

    A fit by a ridge has the kind "fit", one over random features "features", one by a filter the filter's kind.
    """

    kind: str
    parents: tuple[int, ...]
    slots: tuple[int, ...]
    shifted: tuple[bool, ...] = ()

    @property
    def fitted(self):
        """Whether this is one fit on sources."""
        return self.kind not in _NOT_FITTED_ONCE

    def sources(self, values):
        """Samples, noise and weight of each source of a fit, and its other numbers: three lists and a list."""
        end = 3 * len(self.parents)
        return values[:end:3], values[1:end:3], values[2:end:3], values[end:]


class Plan(NamedTuple):
    """Steps in topological order with the schedule of joint moments; no number."""

    steps: tuple[Step, ...]
    pairs: tuple[tuple[int, ...], ...]
    dropped: tuple[tuple[tuple[int, int], ...], ...]


class Reading(NamedTuple):
    """What a reader needs: the plan, its leaves (name, leaf, domain), the nodes behind the steps."""

    plan: Plan
    leaves: tuple
    nodes: tuple


def plan(model):
    """The plan of a model, its leaves and its nodes."""
    nodes = ancestry(model)
    place = {id(node): i for i, node in enumerate(nodes)}
    steps, leaves = [], []
    for node in nodes:
        slots = tuple(range(len(leaves), len(leaves) + len(node.numbers)))
        leaves.extend(node.numbers)
        shifted = tuple(source.inputs is not None for source in node.sources) if isinstance(node, Fit) else ()
        steps.append(Step(node.kind, tuple(place[id(p)] for p in node.parents), slots, shifted))
    return Reading(_scheduled(tuple(steps)), tuple(leaves), tuple(nodes))


def _pair(i, k):
    return (i, k) if i >= k else (k, i)


@functools.lru_cache(maxsize=512)
def _scheduled(steps):
    """Find the needed pairs backwards from the variance of the last model, and where each is read last."""
    last = len(steps) - 1
    needed = [set() for _ in steps]
    read_at = {}

    def need(i, k, reader):
        if "truth" in (steps[i].kind, steps[k].kind):
            return
        i, k = _pair(i, k)
        needed[i].add(k)
        read_at.setdefault((i, k), reader)

    need(last, last, last + 1)
    for i in range(last, -1, -1):
        for k in sorted(needed[i]):
            if k == i:
                for a in steps[i].parents:
                    for b in steps[i].parents:
                        need(a, b, i)
            else:
                for a in steps[i].parents:
                    need(a, k, i)
        if not needed[i] and steps[i].kind != "truth":
            needed[i].add(i)
    dropped = [[] for _ in steps]
    for pair, reader in read_at.items():
        if reader <= last:
            dropped[reader].append(pair)
    return Plan(steps, tuple(tuple(sorted(ks)) for ks in needed), tuple(tuple(sorted(ps)) for ps in dropped))


@functools.lru_cache(maxsize=512)
def cleaned(steps):
    """The same last fit with every label it sees written by the truth.

    Mixtures keep their parts (each part cleaned), a fit sees the truth instead of its label models, and n
    generations or rounds become "clean-chain" / "clean-accumulate" steps: parents (cleaned start, truth).
    Returns a Plan over the same leaves.
    """
    new, where = [Step("truth", (), ())], {}

    def emit(step):
        new.append(step)
        return len(new) - 1

    wanted, stack = set(), [len(steps) - 1]
    while stack:
        i = stack.pop()
        if i not in wanted:
            wanted.add(i)
            if not steps[i].fitted:
                stack.extend(steps[i].parents)
    for i in sorted(wanted):
        step = steps[i]
        if step.kind == "truth":
            where[i] = 0
        elif step.fitted:
            where[i] = emit(step._replace(parents=(0,) * len(step.parents)))
        elif step.kind == "mixture":
            where[i] = emit(step._replace(parents=tuple(where[p] for p in step.parents)))
        else:
            where[i] = emit(step._replace(kind=f"clean-{step.kind}", parents=(where[step.parents[0]],)))
    return _scheduled(tuple(new))


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
