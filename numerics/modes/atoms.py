r"""A law as a few weighted atoms, and the moments of the tail that they leave out.

Every functional is a sum over symbols of a function of the frequencies q_i of the truth and p_i of the law. `atoms_of`
gives both at nodes with weights, Σ_i f(q_i, p_i) = Σ_a w_a f(q_a, p_a), and Σ q, Σ p, Σ qp, Σ p², Σ q² over what lies
beyond the last node, where f is used to second order. Zipf: Gauss rules of the discrete sums over octaves of ranks up
to J = 2^56, and Σ_{i>J} i^-a = (J+½)^(1-a)/(a-1), right to a²/J². Frequencies that are equal are one atom.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.arrays import Array, namespace
from modelcollapse.theory.modes.laws import Law, Zipf
from modelcollapse.theory.modes.loops import Loop
from modelcollapse.theory.modes.parameters import traced
from modelcollapse.theory.populations.quadrature import panels

__all__ = ["Atoms", "Tail", "atoms_of", "loop_atoms"]

LAST = 2.0**56


class Tail(NamedTuple):
    """Sums over the symbols beyond the last node, of the law's shape."""

    truth: Array
    law: Array
    truth_law: Array
    law_law: Array
    truth_truth: Array


class Atoms(NamedTuple):
    """Frequencies (*shape, A) of the truth, of the law and of what a loop mixes in, weights (*shape, A) or (A,)."""

    truth: Array
    law: Array
    fresh: Array
    weight: Array
    tail: Tail


def atoms_of(law: Law) -> Atoms:
    """The atoms of a law; those of numbers are kept."""
    if isinstance(law, Zipf):
        changing = [x for x in (law.beta, law.exponent) if x is not None]
        return _zipf(law) if any(traced(x) for x in changing) else _kept(law)
    return _kept(law)


def loop_atoms(loop: Loop) -> Atoms:
    """Those of its law, with uniform frequencies as what is mixed in if its generators smooth."""
    atoms = atoms_of(loop.law)
    if not loop.smooths:
        return atoms
    size = np.asarray(loop.law.size, float)[..., None]
    return atoms._replace(fresh=np.where(atoms.law > 0, 1 / size, 0.0))


@functools.lru_cache(maxsize=64)
def _kept(law):
    return _zipf(law) if isinstance(law, Zipf) else _grouped(law)


def _grouped(law):
    """Frequencies that are equal are one atom; a grid of laws keeps its symbols."""
    zero = np.zeros(law.shape)[()]
    if law.shape:
        truth, weight = np.broadcast_to(law.truth, law.probabilities.shape), np.ones(len(law.truth))
        return Atoms(truth, law.probabilities, truth, weight, Tail(zero, zero, zero, zero, zero))
    pairs, weight = np.unique(np.stack([law.truth, law.probabilities]), axis=1, return_counts=True)
    return Atoms(pairs[0], pairs[1], pairs[0], weight.astype(float), Tail(zero, zero, zero, zero, zero))


def _zipf(law):
    cut = math.inf if law.cut is None else law.cut
    ranks, weight, kept = _ranks(np.asarray(cut, float), np.asarray(law.symbols, float), _per_octave(law))
    logs = np.log(ranks)
    infinite = np.isinf(np.asarray(law.symbols, float))
    drawn_beyond = infinite & np.isinf(np.asarray(cut, float))
    exponent = law.beta if law.exponent is None else law.exponent
    truth, truth_scale = _normalised(law.beta, logs, weight, infinite)
    if law.own_truth:
        drawn, scale = truth, truth_scale
    else:
        drawn, scale = _normalised(exponent, logs, weight * kept, drawn_beyond)
        drawn = drawn * kept
    tail = Tail(
        _beyond(law.beta, infinite) / truth_scale,
        _beyond(exponent, drawn_beyond) / scale,
        _beyond(law.beta + exponent, drawn_beyond) / (truth_scale * scale),
        _beyond(2 * exponent, drawn_beyond) / scale**2,
        _beyond(2 * law.beta, infinite) / truth_scale**2,
    )
    return Atoms(truth, drawn, truth, weight, tail)


def _per_octave(law):
    values = [np.max(x) for x in (law.beta, law.exponent) if x is not None and not traced(x)]
    return max(1, math.ceil(float(max(values, default=4.0)) / 4))


def _normalised(exponent, logs, weight, infinite):
    """(frequencies, normaliser) of i^-exponent over the nodes and, where infinite, all beyond."""
    xp = namespace(exponent)
    powers = xp.exp(-xp.asarray(exponent * 1.0)[..., None] * logs)
    total = (powers * weight).sum(-1) + _beyond(exponent, infinite)
    return powers / total[..., None], total


def _beyond(exponent: Any, infinite):
    """Σ_{i > J} i^-exponent where it is asked for, else 0."""
    xp = namespace(exponent)
    safe = xp.where(infinite, exponent * 1.0, 2.0)
    return xp.where(infinite, xp.exp((1 - safe) * math.log(LAST + 0.5)) / (safe - 1), 0.0)


def _ranks(cut, size, per_octave):
    """Ranks, weights and whether they are within the cut, each (*shape, A), padded by weight 0."""
    cut, size = np.broadcast_arrays(cut, size)
    rows = [_row(float(min(c, s)), float(s), per_octave) for c, s in zip(cut.ravel(), size.ravel(), strict=True)]
    width = max(len(row[0]) for row in rows)
    table = np.zeros((3, len(rows), width))
    table[0] = 1.0
    for k, row in enumerate(rows):
        for part in range(3):
            table[part, k, : len(row[part])] = row[part]
    return table.reshape(3, *cut.shape, width)


@functools.lru_cache(maxsize=256)
def _row(cut, size, per_octave):
    last = min(size, LAST)
    inner = panels(int(min(cut, last)), per_octave)
    if cut >= last:
        return *inner, np.ones(len(inner[0]))
    outer = _between(int(cut), int(last), per_octave)
    return (
        np.concatenate([inner[0], outer[0]]),
        np.concatenate([inner[1], outer[1]]),
        np.concatenate([np.ones(len(inner[0])), np.zeros(len(outer[0]))]),
    )


def _between(low, high, per_octave):
    """Nodes and weights of the ranks low + 1, ..., high."""
    from modelcollapse.theory.populations.quadrature import gram_rules

    head = np.arange(low + 1.0, min(high, max(64 * per_octave, low + 16)) + 1)
    start = int(head[-1])
    if start >= high:
        return head, np.ones(len(head))
    edges = [start + 1]
    while edges[-1] < high + 1:
        edges.append(min(high + 1, max(edges[-1] + 16, int(edges[-1] * 2 ** (1 / per_octave)))))
    if len(edges) > 2 and edges[-1] - edges[-2] < 16:
        edges.pop(-2)
    if edges[-1] - edges[0] < 16:
        rest = np.arange(edges[0], edges[-1], dtype=float)
        return np.concatenate([head, rest]), np.ones(len(head) + len(rest))
    edges = np.array(edges, float)
    inner, masses = gram_rules(np.diff(edges))
    nodes = np.concatenate([head, (edges[:-1, None] + inner).ravel()])
    return nodes, np.concatenate([np.ones(len(head)), masses.ravel()])
