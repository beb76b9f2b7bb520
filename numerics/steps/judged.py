r"""A fit of which some rows were kept for their labels or scores, along its few directions: labellers and judges.

The labellers and judges of a fit are k directions V = (w_1 … w_k). On the rows that are kept the inputs are normal but
for these: with coordinates a = Vᵀx, G = VᵀΣV,

    E xxᵀ = Σ + ΣV D VᵀΣ,    E yx = ΣV β_0,    D = G^{-1}(E aaᵀ − G)G^{-1},    β_0 = G^{-1} E ya,

averages over all rows that are kept, T_k of them. The k directions change the mean and the noise of the fit to leading
order, but not its effective ridge κ(λ, T_k). With p = Σ(Σ+κ)^{-1} and H = VᵀΣ(Σ+κ)^{-1}ΣV,

    w̄ = p V β,    β = (I + D H)^{-1} β_0,                                                                   (1)
    v = [E y² − β_0ᵀ H β − κ βᵀ H_2 β]/(T_k − df_2),    H_2 = VᵀΣ(Σ+κ)^{-2}ΣV,    Var ŵ = v Σ(Σ+κ)^{-2}.    (2)

Exact in the proportional limit for fixed k; for least squares elementary. The models are random: the matrices are those
of their joint second moments, about which they concentrate. Every filtered source adds its D = L(A − I)Lᵀ of rank two,
L the coordinates of an orthonormal pair (`selection`), and (1) is solved by one 2 × 2 system after the other:
H ← H − HL(I + MS)^{-1}M LᵀH, S = LᵀHL, M = share·(A − I). A model may be listed more than once. Derived here.

Here is what needs the matrices G, H, κH_2 alone, (k, k, P); `kept` and `kept_dense` find them.
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.arrays import namespace, quiet
from modelcollapse.numerics.equivalents.shares import not_negative
from modelcollapse.numerics.steps.links import gain_and_noise
from modelcollapse.numerics.steps.selection import NEAREST, selection
from modelcollapse.numerics.steps.votes import votes
from modelcollapse.theory.pipelines.keeps import Margin, Verified

__all__ = ["Judged", "Part", "judged_sources", "read", "solved", "total"]


class Judged(NamedTuple):
    """What is known of a source before its numbers: places of labellers and judge among the directions, whether the
    labeller judges itself, forms of link and filter; None for no judge, link or filter."""

    labellers: tuple
    judge: int | None
    own: bool
    form: tuple | None
    keep: type | None


class Part(NamedTuple):
    """A source that was read: share kept, E y², β_0 (k, P), L as two vectors (k, P), A − I as three numbers."""

    share: Any
    square: Any
    weights: Any
    pair: tuple = ()
    change: tuple = ()


def _vector(xp, count, entries):
    """(k, P) of a dict direction -> (P,)."""
    nothing = 0 * next(iter(entries.values()))
    return xp.stack([entries.get(i, nothing) for i in range(count)])


@quiet()
def read(source, link_values, keep_values, gram):
    """The Part of a source; gram: G (k, k, P)."""
    xp, count, places = namespace(link_values, keep_values, gram), len(gram), source.labellers
    w, v = places[0], source.judge
    square = gram[w, w]
    one = 1 + 0 * square
    if source.keep is None and len(places) > 1:
        labels = xp.stack([xp.stack([gram[i, k] for k in places]) for i in places])
        gains, label_square = votes(labels, soft=source.form[1])
        return Part(one, label_square * one, _vector(xp, count, dict(zip(places, gains, strict=True))))
    if source.keep is None:
        gain, noise = (one, 0 * one) if source.form is None else gain_and_noise(source.form, link_values, square)
        return Part(one, gain**2 * square + noise, _vector(xp, count, {w: gain}))
    inverse = [xp.where(gram[i, i] > 0, 1 / xp.sqrt(xp.where(gram[i, i] > 0, gram[i, i], 1)), 0) for i in (w, v)]
    correlation = one if source.own else gram[w, v] * inverse[0] * inverse[1]
    found = selection(source.keep, keep_values, source.form, link_values, xp.sqrt(square), correlation, source.own)
    if source.keep is Margin:  # of a score that is zero throughout there are no rows
        found = found._replace(share=xp.where(gram[v, v] > 0, found.share, np.nan))
    scaled = [_vector(xp, count, {i: x}) for i, x in zip((w, v), inverse, strict=True)]
    first, second = scaled if source.keep is Verified else scaled[::-1]
    q = xp.sqrt(xp.maximum(1 - correlation**2, NEAREST**2))
    second = 0 * second if source.own else (second - correlation * first) / q
    weights = first * found.label_first + second * found.label_second
    change = found.first - 1, found.mixed, found.second - 1
    return Part(found.share, found.square, weights, (first, second), change)


def _along(parts, shares, gram, weights):
    """β of (1): the sources with filters one after the other, then back."""
    steps = []
    for part, share in zip(parts, shares, strict=True):
        if not part.pair:
            continue
        columns = [(gram * line).sum(1) for line in part.pair]  # HL
        s = [[(line * column).sum(0) for column in columns] for line in part.pair]
        m = [[share * part.change[0], share * part.change[1]], [share * part.change[1], share * part.change[2]]]
        (a, b), (c, d) = [[(i == k) + m[i][0] * s[0][k] + m[i][1] * s[1][k] for k in (0, 1)] for i in (0, 1)]
        inverse = [[d, -b], [-c, a]]
        core = [[total(inverse[i][n] * m[n][k] for n in (0, 1)) / (a * d - b * c) for k in (0, 1)] for i in (0, 1)]
        steps.append((part.pair, columns, core))
        gram = gram - total(core[i][k] * columns[i][:, None] * columns[k][None] for i in (0, 1) for k in (0, 1))
    for pair, columns, core in reversed(steps):
        seen = [(column * weights).sum(0) for column in columns]
        pushes = [core[i][0] * seen[0] + core[i][1] * seen[1] for i in (0, 1)]
        weights = weights - pair[0] * pushes[0] - pair[1] * pushes[1]
    return weights


def total(values) -> Any:
    """The sum of a list of arrays."""
    return sum(values)


def solved(parts, shares, fitted, lost, noise):
    """β (k, P) of (1) and the bracket of (2).

    parts, shares, noise: of all sources; shares: of the rows that are kept, (P,); fitted, lost: H and κH_2 (k, k, P)
    """
    start = total(share * part.weights for share, part in zip(shares, parts, strict=True))
    square = total(share * (part.square + s**2) for share, part, s in zip(shares, parts, noise, strict=True))
    solution = _along(parts, shares, fitted, start)
    pulled = (fitted * start[:, None] * solution[None]).sum(0).sum(0)
    left = square - pulled - (lost * solution[:, None] * solution[None]).sum(0).sum(0)
    return solution, not_negative(left, square)


def judged_sources(step):
    """A Judged for each source of a fit: its parents, in their order, are the directions."""
    found, place = [], 0
    for source in step.sources:
        labellers = tuple(range(place, place + len(source.labellers)))
        place += len(labellers) + len(source.judges)
        link, keep = source.link, source.keep
        found.append(
            Judged(
                labellers,
                None if keep is None else place - 1,
                keep is not None and keep.model == source.parent,
                None if link is None else link.form,
                None if keep is None else keep.keep,
            )
        )
    return tuple(found)
