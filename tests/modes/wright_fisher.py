"""Exact small loops by transition matrices: what is counted by founders elsewhere."""

import numpy as np
from scipy.stats import binom


def occupancy(items):
    """P(j of `items` are hit by b balls), (items + 1, items + 1), ball after ball."""
    table = np.zeros((items + 1, items + 1))
    table[0, 0] = 1.0
    j = np.arange(items + 1)
    for b in range(items):
        table[b + 1] = table[b] * j / items
        table[b + 1, 1:] += table[b, :-1] * (items - j[:-1]) / items
    return table


def unseen_by_founders(p, sizes, share):
    """P(symbol unseen in the last generation) = E (1-p)^founders, backward through occupancy laws."""
    value = (1 - p) ** np.arange(sizes[0] + 1.0)
    for items, before in zip(sizes[1:], sizes[:-1], strict=True):
        balls = np.arange(items + 1)
        hit = _thrown(items, before) @ value
        value = np.array(
            [
                np.sum(binom.pmf(balls[: b + 1], b, 1 - share) * (1 - p) ** (b - balls[: b + 1]) * hit[: b + 1])
                for b in range(items + 1)
            ]
        )
    return value[-1]


def _thrown(balls, items):
    table = np.zeros((balls + 1, items + 1))
    table[0, 0] = 1.0
    j = np.arange(items + 1)
    for b in range(balls):
        table[b + 1] = table[b] * j / items
        table[b + 1, 1:] += table[b, :-1] * (items - j[:-1]) / items
    return table


def counts_law(p, sizes, share):
    """The law of a symbol's number in the last generation, forward through binomial transitions."""
    law = binom.pmf(np.arange(sizes[0] + 1), sizes[0], p)
    for items, before in zip(sizes[1:], sizes[:-1], strict=True):
        chance = (1 - share) * np.arange(before + 1) / before + share * p
        law = law @ binom.pmf(np.arange(items + 1), items, chance[:, None])
    return law


def founders_law(items, generations):
    """The law of the founders of generation k of a loop of equal sizes."""
    law = np.zeros(items + 1)
    law[items] = 1.0
    step = occupancy(items)
    for _ in range(generations - 1):
        law = law @ step
    return law
