"""Marks of origin where every origin has a weight: which rows are real, and what is known of the others.

>>> found = read_mix(["real", "model", "model"], 3, Provenance(), "auto")
>>> found.codes.tolist(), found.marks, found.provenance
([0, 1, 1], {'real': 0, 'model': 1}, {})
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.estimators.origins import REAL, SYNTHETIC, _listed, _named, read_origins
from modelcollapse.numerics.provenance.corrected_risk import Provenance
from modelcollapse.theory.numbers.domains import WEIGHT


class MixOrigins(NamedTuple):
    """codes: (rows,), 0 for real rows; marks: mark -> code, in order of first sight; provenance: code -> Provenance, of
    those that are described; weights: code -> weight, of those that are given."""

    codes: np.ndarray
    marks: dict
    provenance: dict
    weights: dict


def read_mix(origin, rows, described, weights):
    """The MixOrigins of marks, one a row.

    described: a Provenance of all synthetic rows, real ones being "real" or 0 (generations = 0 says nothing of them),
    or dict from mark to Provenance or None, which says that the labels are synthetic and nothing else; weights: "auto",
    "equal", or dict from mark to weight.
    """
    given = _weights(weights)
    if isinstance(described, dict):
        named = described
    else:
        synthetic = [*SYNTHETIC, *(mark for mark in given if mark not in REAL)]
        named = dict.fromkeys(synthetic, described if described.generations else None)
        named |= dict.fromkeys(REAL, Provenance())
    stand_in = {mark: Provenance(1, 1) if value is None else value for mark, value in named.items()}
    if not all(isinstance(value, Provenance) for value in stand_in.values()):
        raise TypeError("generations is a dict whose values are not all Provenance(...) or None")
    _, real = read_origins(origin, rows, stand_in)
    listed = [_named(mark) for mark in _listed(origin)]
    known = {_named(mark): value for mark, value in named.items()}
    marks, provenance, fixed, first, coded = {}, {}, {}, {}, {}
    for (truth, mark), is_real in dict.fromkeys(zip(listed, real.tolist(), strict=True)):
        alike = "synthetic" if not isinstance(described, dict) and mark in SYNTHETIC and mark not in given else mark
        code = 0 if is_real else first.setdefault((truth, alike), len(first) + 1)
        marks[mark] = coded[truth, mark] = code
        if code and known[truth, mark] is not None:
            provenance[code] = known[truth, mark]
        if given and code:
            if mark not in given:
                raise ValueError(f"weights has no entry for the origin {mark!r}; give one, 0 to leave its rows out")
            fixed[code] = float(given[mark])
        if given and not code and given.get(mark, 1.0) != 1:
            raise ValueError(f"weights[{mark!r}] = {given[mark]!r} for real rows, whose weight is 1; divide all by it")
    return MixOrigins(np.array([coded[mark] for mark in listed], dtype=int), marks, provenance, fixed)


def _weights(weights):
    if isinstance(weights, str):
        if weights not in ("auto", "equal"):
            raise ValueError(f'weights = {weights!r}; give "auto", "equal", or a dict from origin to weight')
        return {}
    if not isinstance(weights, dict):
        raise TypeError(f'weights is a {type(weights).__name__}; give "auto", "equal", or a dict from origin to weight')
    for mark, weight in weights.items():
        WEIGHT.check(f"weights[{mark!r}]", weight)
    return weights
