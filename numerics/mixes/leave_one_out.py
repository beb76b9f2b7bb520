r"""Weighted ridge on rows of several origins, and its exact leave-one-out error on the real ones.

With weights $\omega_g$ and penalty $\alpha$ the fit minimises $\sum_i f_i \omega_{g(i)} (y_i - b - z_i \cdot w)^2 +
\alpha \|w\|^2$. Let $N = \sum f_i \omega_{g(i)}$, $\bar z$, $\bar y$ the weighted means, $C = \sum f \omega (z - \bar
z)(z - \bar z)^\top = V e V^\top$, $c = \sum f \omega (z - \bar z)(y - \bar y)$. Then

$$ w = V (e + \alpha)^{-1} V^\top c , \quad b = \bar y - \bar z \cdot w , $$
$$ h_i = f_i \Big[ \frac{1}{N} + \sum_j \frac{(V^\top (z_i - \bar z))_j^2}{e_j + \alpha} \Big] , \quad
   y_i - \hat y_{-i} = \frac{y_i - \hat y_i}{1 - h_i} , $$

the last for a real row ($\omega = 1$) that is left out with all its $f_i$ copies: Sherman and Morrison, exact, with
the intercept fitted anew. One eigendecomposition serves all $\alpha$.
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.mixes.moments import pooled
from modelcollapse.numerics.provenance.ridge_path import reaching
from modelcollapse.theory.populations.resolved_directions import of_columns

ALPHAS = np.geomspace(1e-9, 1e2, 45)  # times the trace of C
LEAST = 8  # residual degrees of freedom that an estimate is believed on


class WeightedPath(NamedTuple):
    """Fits with one weight per origin, along penalties α (L,).

    alphas: (L,); slopes: w, (L, r, k); intercepts: b, (L, k); loss: mean leave-one-out square over real rows and
    outputs, (L,); df: trace of the hat matrix over all rows without the intercept, (L,); held_out: squares of every
    scored row, (L, n), means over the outputs; left: 1 - h of every scored row, (L, n).
    """

    alphas: np.ndarray
    slopes: np.ndarray
    intercepts: np.ndarray
    loss: np.ndarray
    df: np.ndarray
    held_out: np.ndarray
    left: np.ndarray


def weighted_path(rows, weights, alphas=None):
    """The WeightedPath of Rows under weights (origins,), 1 for the real one; α (L,) or, by default, ALPHAS.

    A weight of zero is as if the rows were not there:

    >>> from modelcollapse.numerics.mixes.moments import rows_of
    >>> rng = np.random.default_rng(0)
    >>> X, y, origin = rng.standard_normal((50, 3)), rng.standard_normal((50, 1)), np.repeat([0, 1], [20, 30])
    >>> alone = rows_of(X[:20], y[:20], origin[:20])
    >>> both = weighted_path(rows_of(X, y, origin), [1.0, 0.0], np.array([0.3]))
    >>> bool(np.allclose(both.loss, weighted_path(alone, [1.0], np.array([0.3])).loss))
    True
    """
    _, gram, cross, _ = pooled(rows, weights)
    heavy = gram[0, 0]
    mean, level = (gram[0, 1:] / heavy, cross[0] / heavy) if rows.intercept else (0 * gram[0, 1:], 0 * cross[0])
    values, vectors = of_columns(gram[1:, 1:] - heavy * np.outer(mean, mean))
    turned = vectors.T @ (cross[1:] - np.outer(mean, cross[0]))
    if alphas is None:
        alphas = ALPHAS * (values.sum() or 1.0)
        if 2 * len(values) <= np.sum(rows.counts > 0):  # few directions, none of which is an artefact of few rows
            alphas = reaching(alphas, min(1e-2 * values.min(initial=np.inf), alphas[0]))
    inverse = 1 / (values + alphas[:, None])
    along = inverse[:, :, None] * turned
    centred = (rows.features - mean) @ vectors
    leverage = inverse @ (centred**2).T + (1 / heavy if rows.intercept else 0.0)
    fitted = centred @ along + level
    left = np.maximum(1 - rows.counts * leverage, 1e-9)
    held_out = np.mean(((rows.targets - fitted) / left[:, :, None]) ** 2, axis=2)
    slopes = vectors @ along
    return WeightedPath(
        alphas,
        slopes,
        level - np.einsum("i,lik->lk", mean, slopes),
        held_out @ rows.counts / max(rows.counts.sum(), 1e-300),
        (values * inverse).sum(axis=1),
        held_out,
        left,
    )


def left_out(rows, weights, alpha):
    """Predictions (n, k) for every scored row by the fit with these weights and penalty without it.

    >>> from modelcollapse.numerics.mixes.moments import rows_of
    >>> X, y = np.random.default_rng(0).standard_normal((2, 30, 1))
    >>> rows = rows_of(X, y, np.zeros(30, dtype=int))
    >>> path = weighted_path(rows, [1.0], np.array([2.0]))
    >>> bool(np.isclose(np.mean((rows.targets - left_out(rows, [1.0], 2.0)) ** 2), path.loss[0]))
    True
    """
    path = weighted_path(rows, weights, np.array([alpha]))
    fitted = path.intercepts[0] + rows.features @ path.slopes[0]
    return rows.targets - (rows.targets - fitted) / path.left[0][:, None]


def gcv(rows, path, weights):
    r"""Generalised cross-validation on all rows, (L,), mean over the outputs: $n \sum f \omega r^2 / (n - tr H)^2$ with
    n the number of rows of positive weight, the intercept in tr H; inf where fewer than LEAST degrees of freedom are
    left to the residual.

    >>> from modelcollapse.numerics.mixes.moments import rows_of
    >>> X, y = np.random.default_rng(0).standard_normal((2, 30, 1))
    >>> rows = rows_of(X, y, np.zeros(30, dtype=int))
    >>> path = weighted_path(rows, [1.0])
    >>> bool(np.allclose(gcv(rows, path, [1.0]), path.loss, rtol=0.1))
    True
    """
    every = pooled(rows, weights)
    fits = np.concatenate([path.intercepts[:, None], path.slopes], axis=1)
    residual = every.squares + np.sum(fits * (every.gram @ fits - 2 * every.cross), axis=1)
    count = sum(m.rows for m, w in zip(rows.moments, weights, strict=True) if w > 0)
    left = count - path.df - rows.intercept
    value = count * np.mean(np.maximum(residual, 0.0), axis=1) / np.maximum(left, 1e-9) ** 2
    return np.where(left >= min(LEAST, left.max() / 2), value, np.inf)
