"""Who wrote every label: the marks of `origin`, read with the provenance that describes them.

Only marks that are named count. A dict of provenances names its own; a single provenance goes with "real" or 0 for real
rows and "synthetic", "model", "generated", "fake" or 1 for rows of the generators described. Whatever else is found is
refused, for a mark that nobody described could mean either. So is a Boolean mask, unless a dict names True and False:
a mask of the real rows and a mask of the synthetic ones look alike.

>>> pairs, real = read_origins(["real", "model", "model"], 3, Provenance(2, 50, 0.1))
>>> [(round(share, 2), origin.generations) for share, origin in pairs], real.tolist()
([(0.33, 0), (0.67, 2)], [True, False, False])
"""

import math
from typing import Any

import numpy as np

from modelcollapse.numerics.provenance.corrected_risk import Provenance

REAL = ("real", 0)
SYNTHETIC = ("synthetic", "model", "generated", "fake", 1)


def read_origins(origin, rows, described):
    """Pairs (share, Provenance), shares summing to one, and a mask of real rows, (rows,).

    origin: marks, one a row, or None; described: dict from mark to Provenance, or the one of all synthetic rows.
    """
    if isinstance(described, dict):
        if origin is None:
            raise ValueError("generations is a dict of origins; mark the rows by fit(X, y, origin=...)")
        if not all(isinstance(value, Provenance) for value in described.values()):
            raise TypeError("generations is a dict whose values are not all Provenance(...)")
        known = {_named(mark): value for mark, value in described.items()}
    else:
        known: Any = {_named(mark): Provenance() for mark in REAL} | {_named(mark): described for mark in SYNTHETIC}
        if origin is None:
            return [(1.0, described)], np.full(rows, described.generations == 0)
    marks = [_named(mark) for mark in _listed(origin)]
    if len(marks) != rows:
        raise ValueError(f"origin has {len(marks)} entries for {rows} rows; mark every row")
    for row, (_, mark) in enumerate(marks):
        if _missing(mark) and (False, mark) not in known:
            raise ValueError(f"origin[{row}] is missing ({mark!r}); say who wrote that label, or leave the row out")
    unknown = [mark for mark in dict.fromkeys(marks) if mark not in known]
    if unknown:
        raise ValueError(_refusal(unknown, dict.fromkeys(marks), described))
    if not isinstance(described, dict):  # "real" and 0 are one origin, and so are the names of the generators
        marks = [_named("real" if mark in map(_named, REAL) else "synthetic") for mark in marks]
    pairs = [(marks.count(mark) / rows, known[mark]) for mark in dict.fromkeys(marks)]
    return pairs, np.array([known[mark].generations == 0 for mark in marks])


def _listed(origin):
    return np.asarray(origin, dtype=object).ravel().tolist()


def _named(mark) -> tuple[bool, Any]:
    """A key that tells True from 1."""
    truth = isinstance(mark, bool | np.bool_)
    return truth, bool(mark) if truth else mark


def _missing(mark):
    if mark is None or type(mark).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(mark, float) and math.isnan(mark)


def _refusal(unknown, found, described):
    shown = ", ".join(repr(mark) for _, mark in list(found)[:6]) + (", …" if len(found) > 6 else "")
    if any(truth for truth, _ in unknown):
        return (
            f"origin holds {shown}: a Boolean mask does not say whether True is real or synthetic; "
            'give np.where(is_real, "real", "synthetic"), or name True and False in a dict of Provenance(...)'
        )
    first = repr(unknown[0][1])
    if isinstance(described, dict):
        return f"origin holds {shown}, and {first} is not among {list(described)}; add its Provenance"
    names = f"{', '.join(map(repr, REAL))} for real rows and {', '.join(map(repr, SYNTHETIC))} for synthetic ones"
    return (
        f"origin holds {shown}, and {first} is not among the marks that go with one number of generations: {names}; "
        "use them, or give generations as a dict from mark to Provenance(...)"
    )
