r"""Gini diversity of a loop, exactly: pairs of draws that coalesce.

Two draws of the next generation copy one item with chance 1/M; else they are two draws of what it was drawn from. With
F = E Σ X_i², G = E Σ X_i u_i and the share α of what is mixed in, u (the truth, or uniform draws),

    F ← 1/M + (1-1/M) [(1-α)² F + 2α(1-α) G + α² Σ u²],        G ← (1-α) G + α Σ u²,

and a pool of K rounds has 1 - F = (1 - Σ p²) Π_{i≤K} (1 - 1/(M i²)): two draws of it are the same item of the newest
round with chance 1/(M K²). A graph follows all pairs of its sets.
"""

import numpy as np

from modelcollapse.numerics.arrays import namespace
from modelcollapse.numerics.modes.atoms import atoms_of, loop_atoms
from modelcollapse.theory.modes.loops import Chain, Graph, Pool

__all__ = ["law_diversity", "loop_diversity"]


def _sums(atoms):
    """Σ p², Σ pu, Σ u²."""

    def total(x, y, beyond):
        return (x * y * atoms.weight).sum(-1) + beyond

    tail = atoms.tail
    return (
        total(atoms.law, atoms.law, tail.law_law),
        total(atoms.law, atoms.fresh, tail.truth_law),
        total(atoms.fresh, atoms.fresh, tail.truth_truth),
    )


def law_diversity(law):
    return 1 - _sums(atoms_of(law))[0]


def loop_diversity(loop):
    return _FOLLOWED[type(loop)](loop)


def _chain(loop: Chain):
    own, cross, truth = _sums(loop_atoms(loop))
    share = loop.fresh_share
    xp = namespace(own, loop.samples, share, loop.rate)
    first = 1 / loop.samples
    zero = 0.0 * (own + share + loop.generations + first + loop.rate)
    state = (first + (1 - first) * own + zero, cross + zero)

    def forward(j, state):
        alike, crossed = state
        items = loop.samples * loop.rate ** (j + 1.0)
        drawn = (1 - share) ** 2 * alike + 2 * share * (1 - share) * crossed + share**2 * truth
        new = 1 / items + (1 - 1 / items) * drawn, (1 - share) * crossed + share * truth
        return tuple(
            xp.where(j < loop.generations - 1, after, before) for after, before in zip(new, state, strict=True)
        )

    length = int(np.max(loop.generations)) - 1
    found = 1 - xp.repeat(length, forward, state, length)[0]
    return found[()] if isinstance(found, np.ndarray) else found


def _pool(loop: Pool):
    xp = namespace(loop.samples)
    state = (law_diversity(loop.law) + 0.0 * (loop.samples + loop.rounds),)

    def another(j, state):
        kept = state[0] * (1 - 1 / (loop.samples * (j + 1.0) ** 2))
        return (xp.where(j < loop.rounds, kept, state[0]),)

    length = int(np.max(loop.rounds))
    found = xp.repeat(length, another, state, length)[0]
    return found[()] if isinstance(found, np.ndarray) else found


def _graph(loop: Graph):
    """Σ_i E X_i Y_i of all sets, the law and the truth, set by set."""
    count = len(loop.samples)
    own, cross, truth = _sums(loop_atoms(loop))
    alike = np.zeros((count + 2, count + 2, *loop.shape))
    law, real = count, count + 1
    alike[law, law], alike[real, real], alike[law, real] = own, truth, cross
    alike[real, law] = cross
    for g, row in enumerate(loop.teachers):
        share = np.zeros(count + 2)
        for teacher, part in row:
            share[{None: law, "real": real}.get(teacher, teacher)] = part
        mixed = np.tensordot(share, alike, 1)
        alike[g], alike[:, g] = mixed, mixed
        drawn = np.tensordot(share, mixed, 1)
        alike[g, g] = 1 / loop.samples[g] + (1 - 1 / loop.samples[g]) * drawn
    return (1 - alike[count - 1, count - 1])[()]


_FOLLOWED = {Chain: _chain, Pool: _pool, Graph: _graph}
