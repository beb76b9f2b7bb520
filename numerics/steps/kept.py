r"""A ridge fit on rows of which some were kept for their labels or scores: few directions that are selected.

The labellers and judges of a fit are k directions V = (w_1 … w_k). On the rows that are kept the inputs are normal but
for these: with coordinates a = Vᵀx, G = VᵀΣV,

    E xxᵀ = Σ + ΣV D VᵀΣ,    E yx = ΣV β_0,    D = G^{-1}(E aaᵀ − G)G^{-1},    β_0 = G^{-1} E ya,

averages over all rows that are kept, T_k of them. The k directions change the mean and the noise of the fit to leading
order, but not its effective ridge κ(λ, T_k). With p = s/(s+κ) and H = VᵀΣ(Σ+κ)^{-1}ΣV,

    w̄ = p V β,    β = (I + D H)^{-1} β_0,                                                                   (1)
    v = [E y² − β_0ᵀ H β − κ βᵀ H_2 β]/(T_k − df_2),    H_2 = VᵀΣ(Σ+κ)^{-2}ΣV,    Var ŵ = v s/(s+κ)².       (2)

Exact in the proportional limit for fixed k; for least squares elementary. The models are random: the matrices are those
of their joint second moments, about which they concentrate. Every filtered source adds its D = L(A − I)Lᵀ of rank two,
L the coordinates of an orthonormal pair (`selection`), and (1) is solved by one 2 × 2 system after the other:
H ← H − HL(I + MS)^{-1}M LᵀH, S = LᵀHL, M = share·(A − I). Derived here.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, times
from modelcollapse.numerics.equivalents.sources import one_source, projections, rows_left
from modelcollapse.numerics.steps.links import gain_and_noise
from modelcollapse.numerics.steps.moments import Moments, covariances, variance_of
from modelcollapse.numerics.steps.selection import NEAREST, selection
from modelcollapse.theory.pipelines.keeps import Margin, Verified

__all__ = ["Judged", "fit_kept", "shares_kept"]


class Judged(NamedTuple):
    """What is known of a source before its numbers: places of labeller and judge among the models, forms of link and
    filter; None for no judge, link or filter."""

    labeller: int
    judge: int | None
    form: tuple | None
    keep: type | None


class _Part(NamedTuple):
    """A source that was read: share kept, E y², β_0 (k, P), L as two vectors (k, P), A − I as three numbers."""

    share: Any
    square: Any
    weights: Any
    pair: tuple = ()
    change: tuple = ()


def _gram(atoms, models, covariance, factor):
    """Σ_j factor_j E w_g w_h, (k, k, P), for factor (P or 1, A)."""
    xp = namespace(atoms, models, covariance, factor)
    ratios = xp.stack([model.ratio for model in models])
    relative = factor * atoms.multiplicity * divide(1.0, atoms.scale, 0.0)
    factors = xp.broadcast_to(factor * atoms.signal, models[0].ratio.shape)
    return xp.einsum("pa,gpa,hpa->ghp", factors, ratios, ratios) + times(relative, covariance).sum(-1)


def _vector(xp, count, entries):
    """(k, P) of a dict model -> (P,)."""
    nothing = 0 * next(iter(entries.values()))
    return xp.stack([entries.get(i, nothing) for i in range(count)])


def _read(source, link_values, keep_values, gram):
    """The _Part of a source."""
    w, v = source.labeller, source.judge
    xp, count, square = namespace(link_values, keep_values, gram), len(gram), gram[w, w]
    one = 1 + 0 * square
    if source.keep is None:
        gain, noise = (one, 0 * one) if source.form is None else gain_and_noise(source.form, link_values, square)
        return _Part(one, gain**2 * square + noise, _vector(xp, count, {w: gain}))
    inverse = [xp.where(gram[i, i] > 0, 1 / xp.sqrt(xp.where(gram[i, i] > 0, gram[i, i], 1)), 0) for i in (w, v)]
    correlation = gram[w, v] * inverse[0] * inverse[1]
    found = selection(source.keep, keep_values, source.form, link_values, xp.sqrt(square), correlation, w == v)
    if source.keep is Margin:  # of a score that is zero throughout there are no rows
        found = found._replace(share=xp.where(gram[v, v] > 0, found.share, np.nan))
    q = xp.sqrt(xp.maximum(1 - correlation**2, NEAREST**2))
    scaled = [_vector(xp, count, {i: x}) for i, x in zip((w, v), inverse, strict=True)]
    first, second = scaled if source.keep is Verified else scaled[::-1]
    second = (second - correlation * first) / q
    weights = first * found.label_first + second * found.label_second
    change = found.first - 1, found.mixed, found.second - 1
    return _Part(found.share, found.square, weights, (first, second), change)


def _solved(parts, shares, gram, weights):
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
        core = [[_total(inverse[i][n] * m[n][k] for n in (0, 1)) / (a * d - b * c) for k in (0, 1)] for i in (0, 1)]
        steps.append((part.pair, columns, core))
        gram = gram - _total(core[i][k] * columns[i][:, None] * columns[k][None] for i in (0, 1) for k in (0, 1))
    for pair, columns, core in reversed(steps):
        seen = [(column * weights).sum(0) for column in columns]
        pushes = [core[i][0] * seen[0] + core[i][1] * seen[1] for i in (0, 1)]
        weights = weights - pair[0] * pushes[0] - pair[1] * pushes[1]
    return weights


def _all_covariances(models, joint):
    """Scaled covariances (k, k, P, A) from those below the diagonal, row by row."""
    places = [(g, h) for g in range(len(models)) for h in range(g)]
    return covariances(models, dict(zip(places, joint, strict=True)))


@functools.partial(compiled, static="sources")
@quiet()
def shares_kept(atoms, inputs, models, joint, link_values, keep_values, *, sources):
    """The share of rows that each source keeps, a tuple of (P,); arguments as for `fit_kept`."""
    gram = _gram(atoms, models, _all_covariances(models, joint), inputs)
    return tuple(_read(*parts, gram).share for parts in zip(sources, link_values, keep_values, strict=True))


@functools.partial(compiled, static="sources")
@quiet()
def fit_kept(atoms, inputs, rows, noise, weights, ridge, models, joint, link_values, keep_values, *, sources):
    """A fit on sources of equal inputs and weights, of which some rows are kept.

    Parameters
    ----------
    inputs : (P or 1, A), eigenvalues of the inputs of all sources
    rows, noise, weights : tuples of (P,), one for each source; rows before the filters
    models : tuple of Moments (P, A), of all labellers and judges; joint : covariances of pairs, g > h, row by row
    link_values, keep_values : tuples of tuples of (P,), () where there is no link or filter
    sources : tuple of Judged (static)

    Returns
    -------
    Moments, a projection (P, A) for each model by which covariances with other predictors follow, converged (P,).
    """
    xp = namespace(atoms, inputs, rows, noise, weights, ridge, models, joint, link_values, keep_values)
    covariance = _all_covariances(models, joint)
    whole = _gram(atoms, models, covariance, inputs)
    parts = [_read(*part, whole) for part in zip(sources, link_values, keep_values, strict=True)]
    used = [xp.where(weight > 0, count, 0) for weight, count in zip(weights, rows, strict=True)]
    left = [part.share * count for part, count in zip(parts, used, strict=True)]
    samples, weight = _total(left), xp.max(xp.stack(weights), 0)
    here = one_source(inputs, atoms.multiplicity, samples, weight, ridge * _total(rows) / _total(used))
    spare, _ = rows_left(inputs, atoms.multiplicity, samples[None], weight[None], here)
    null_model = xp.isinf(here.kappa)
    spread = xp.broadcast_to(inputs, models[0].ratio.shape)
    (learned,), null = projections(inputs[None], spread, xp.ones_like(samples)[None], here.kappa)
    kernel = divide(1.0, xp.where(null_model, 1, here.kappa)[:, None] + spread, 0.0)

    shares = [count / samples for count in left]
    fitted = _gram(atoms, models, covariance, inputs * learned)
    lost = _gram(atoms, models, covariance, inputs * learned * null)  # κ H_2
    solution, noise_left = _two_sums(parts, shares, fitted, lost, noise)
    gain = xp.where(null_model, 0, divide(xp.maximum(noise_left, 0), spare))  # (2)
    fresh = times((spread * kernel) * (atoms.scale * kernel), gain[:, None])
    pushes = learned * solution[:, :, None]
    ratios, deficits = (xp.stack([model[k] for model in models]) for k in (0, 1))
    mean = (pushes * ratios).sum(0), (1 - pushes.sum(0)) + (pushes * deficits).sum(0)
    moments = Moments(*mean, variance_of(pushes, covariance) + fresh)
    return moments, tuple(pushes[i] for i in range(len(models))), here.converged


def _total(values) -> Any:
    return sum(values)


def _two_sums(parts, shares, fitted, lost, noise):
    """β (k, P) of (1) and the bracket of (2)."""
    start = _total(share * part.weights for share, part in zip(shares, parts, strict=True))
    square = _total(share * (part.square + s**2) for share, part, s in zip(shares, parts, noise, strict=True))
    solution = _solved(parts, shares, fitted, start)
    pulled = (fitted * start[:, None] * solution[None]).sum(0).sum(0)
    return solution, square - pulled - (lost * solution[:, None] * solution[None]).sum(0).sum(0)
