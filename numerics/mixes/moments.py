r"""Rows of several origins, reduced to what a weighted ridge needs of them.

With $z = (1, Q^\top (x - c))$, $c$ the mean of all inputs and $Q$ the eigenvectors of their covariance, the fit with
weight $\omega_g$ for every row of origin $g$ depends on the rows through

$$ G_g = \sum_{i \in g} f_i z_i z_i^\top , \quad b_g = \sum_{i \in g} f_i z_i y_i , \quad q_g = \sum_{i \in g} f_i
y_i^2 , $$

$f_i$ the number of rows that row $i$ counts for, and through the real rows on which it is scored. The moments are
summed in chunks: a million rows of a hundred features never stand in memory twice. Origin 0 is the real one.
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.theory.populations.resolved_directions import of_columns

CHUNK = 20_000  # rows
ROUNDING = 1e-8  # a correlation that is none
SCORED = 5_000  # real rows that are left out one by one, at most


class Moments(NamedTuple):
    """Of one origin: rows counts them (with their frequencies); gram (p, p), cross (p, k), squares (k,) as above."""

    rows: float
    gram: np.ndarray
    cross: np.ndarray
    squares: np.ndarray


class Rows(NamedTuple):
    """Rows of all origins in the eigenbasis of their inputs.

    moments: of every origin, the real one first; variances: of the inputs along the r directions, descending, (r,);
    features: of the real rows that are scored, (n, r), targets (n, k), counts (n,); rotation (d, r), offset (d,);
    intercept: whether there is one (index 0 of the moments is zero if not); uncorrelated: the number of leading
    directions that are so over all rows, up to ROUNDING (the small ones of a kernel are rounding's).
    """

    moments: list
    variances: np.ndarray
    features: np.ndarray
    targets: np.ndarray
    counts: np.ndarray
    rotation: np.ndarray
    offset: np.ndarray
    intercept: bool
    uncorrelated: int


def rows_of(X, y, origin, counts=None, intercept=True):
    """Rows of inputs X (N, d) and targets y (N, k); origin: (N,), whole numbers, 0 for real rows; counts: (N,).

    Two origins with the same rows have the same moments, and the directions are uncorrelated over all rows:

    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> rows = rows_of(np.vstack([X, X]), np.ones((80, 1)), np.repeat([0, 1], 40))
    >>> bool(np.allclose(rows.moments[0].gram, rows.moments[1].gram))
    True
    >>> total = rows.moments[0].gram + rows.moments[1].gram
    >>> bool(np.allclose(total, np.diag(np.append(1, rows.variances)) * 80))
    True
    """
    counts = np.ones(len(X)) if counts is None else counts
    offset = counts @ X / counts.sum() if intercept else np.zeros(X.shape[1])
    raw = [_summed(X, y, counts, np.flatnonzero(origin == g), offset, intercept) for g in range(origin.max() + 1)]
    total = np.sum([moment.gram[1:, 1:] for moment in raw], axis=0)
    variances, rotation = _directions(total / counts.sum())
    moments = [_rotated(moment, rotation) for moment in raw]
    uncorrelated = max(_uncorrelated(np.sum([moment.gram for moment in moments], axis=0)) - 1, 0)
    real = np.flatnonzero((origin == 0) & (counts > 0))
    if len(real) > SCORED:
        real = np.sort(np.random.default_rng(0).choice(real, SCORED, replace=False))
    features = (X[real] - offset) @ rotation
    return Rows(moments, variances, features, y[real], counts[real], rotation, offset, bool(intercept), uncorrelated)


def _directions(covariance):
    """Variances (r,), descending, and directions (d, r): the columns themselves where they are uncorrelated already."""
    variances = covariance.diagonal()
    if _uncorrelated(covariance) < len(variances):
        return of_columns(covariance)
    order = np.argsort(-variances, kind="stable")
    order = order[variances[order] > 0]
    return variances[order], np.eye(len(variances))[:, order]


def _uncorrelated(gram):
    """The number of leading columns that are uncorrelated, up to ROUNDING."""
    lengths = np.sqrt(gram.diagonal())
    lengths = np.where(lengths > 0, lengths, np.inf)
    before = np.abs(np.tril(gram / lengths / lengths[:, None], -1)).max(axis=1, initial=0.0)
    return int(np.argmax(np.append(before, np.inf) > ROUNDING))


def pooled(rows, weights=None):
    """Moments of all rows together, every origin times its weight."""
    weights = np.ones(len(rows.moments)) if weights is None else weights
    scaled = [[w * np.asarray(part) for part in moment] for w, moment in zip(weights, rows.moments, strict=True)]
    count, *parts = (np.sum(part, axis=0) for part in zip(*scaled, strict=True))
    return Moments(float(count), *parts)


def _summed(X, y, counts, which, offset, intercept):
    dim, outputs = X.shape[1], y.shape[1]
    gram, cross, squares = np.zeros((dim + 1, dim + 1)), np.zeros((dim + 1, outputs)), np.zeros(outputs)
    for start in range(0, len(which), CHUNK):
        part = which[start : start + CHUNK]
        Z = np.column_stack([np.full(len(part), float(intercept)), X[part] - offset])
        heavy = Z * counts[part][:, None]
        gram += Z.T @ heavy
        cross += heavy.T @ y[part]
        squares += counts[part] @ y[part] ** 2
    return Moments(float(counts[which].sum()), gram, cross, squares)


def _rotated(moment, rotation):
    full = np.zeros((len(rotation) + 1, rotation.shape[1] + 1))
    full[0, 0], full[1:, 1:] = 1.0, rotation
    return moment._replace(gram=full.T @ moment.gram @ full, cross=full.T @ moment.cross)
