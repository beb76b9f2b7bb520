r"""How much more than Gaussian inputs the rows at hand amplify the noise of a least-squares fit.

A least-squares fit on $T_0$ rows with label noise $\sigma_0$ has the error $\sigma_0^2\, E\, tr\, \Sigma
A^{-1}$, $A = \sum x x^\top$. Gaussian inputs make it $\sigma_0^2 d / (T_0 - d - 1)$; heavy tails make it
larger, for a row far out is seldom among the $T_0$ and weighs much when it is met. The ratio of the two, the
*relative leverage*, can be measured without labels (derived here): with $U$ (N, d) orthonormal columns that
span the centred inputs, and $B = \sum_{i \in s} (u_i - \bar u_s)(u_i - \bar u_s)^\top$ for $T_0$ of the $N$
rows drawn without replacement,

$$ E\, tr (B^{-1} - 1) = (N - T_0)\, E\, tr\, \Sigma A^{-1} , $$

since $1 - B$ is the scatter of the rows left out and of the two means. For Gaussian inputs $B$ is a matrix
Beta variable whatever Σ is, and the ratio has mean 1 exactly, at every N.

A generator that saw more rows than can be left out here is served by the largest subsample, the excess over 1
scaled down by the ratio of rows: $E A^{-1} = (1 + E[|z|^2 z z^\top] / T_0 + \ldots)\, \Sigma^{-1} / T_0$.
"""

import numpy as np
from scipy.linalg import get_lapack_funcs

from modelcollapse.theory.populations.resolved_directions import EPS, distinct_rows

MOST = 0.75  # of the rows in one subsample
LEAST = 4  # degrees of freedom T_0 - d - 1 of a subsample, below which its inverse has no stable mean
_DIRECTIONS = 2000  # drawn in all
_SMALL_PIVOT = 1e-4
_potrf, _trtri = get_lapack_funcs(("potrf", "trtri"))


def relative_leverage(basis, samples, intercept=True):
    """Error of least squares on `samples` rows (without the one lost to an intercept) over that of Gaussian
    inputs; 1.0 where there are too few rows to measure it.

    basis: (N, d), orthonormal columns that span the inputs, centred where `intercept`.

    >>> rng = np.random.default_rng(0)
    >>> heavy = rng.standard_t(3, (200, 5)), rng.standard_normal((200, 5))
    >>> t, normal = (relative_leverage(np.linalg.qr(X)[0], 30, intercept=False) for X in heavy)
    >>> t > 1.1 > normal
    True
    """
    lost = int(intercept)
    first = distinct_rows(basis, 1e-10)
    if basis.size and len(first) < len(basis):  # a row given twice is one draw
        part = basis[first]
        basis = np.linalg.qr(part - lost * part.mean(axis=0))[0]
    rows, dim = basis.shape
    size = min(int(samples) + lost, int(MOST * rows))
    room = size - lost - dim - 1
    if room < LEAST or not dim:
        return 1.0
    rng, total = np.random.default_rng(0), 0.0
    draws = max(10, _DIRECTIONS // dim)
    for _ in range(draws):
        part = basis[rng.choice(rows, size, replace=False)]
        total += _excess(part - lost * (part.sum(axis=0) / size))
    ratio = total / draws * room / ((rows - size) * dim)
    return float(1 + (ratio - 1) * size / (samples + lost))


def _excess(part):
    """tr (B^{-1} - 1) of B = RᵀR, rows R (n, d), on the directions in which they vary."""
    scatter = part.T @ part
    factor, failed = _potrf(scatter)
    if not failed and factor.diagonal().min() > _SMALL_PIVOT:
        inverse, _ = _trtri(factor)
        return np.vdot(inverse, inverse) - len(scatter)
    values = np.linalg.eigvalsh(scatter)
    kept = values[values > len(part) * EPS]  # entries of at most 1; the fit of least norm ignores a constant column
    return np.sum(1 / kept - 1)
