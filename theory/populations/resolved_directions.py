r"""Which directions of a data matrix are data, and which are rounding.

Whatever is computed in floating point is off by $\epsilon$ times *what it was computed from*, not times what is left
of it: a column of mean 1e6 and spread 1 is known to $10^6 \epsilon$ once it is centred, a Gram matrix to $\epsilon$
times its largest entry before centring, a matrix that came in single precision to the $\epsilon$ of that. Both cuts
below follow from this (derived here, by Weyl's inequality); every rank in the package is decided by one of them.

*Features* X (N, d). With $Z$ the centred features, $\ell_j = \|Z_j\|$ and $\eta_j = \epsilon \|X_j\| / \ell_j$ the
relative error of column j, the columns are first brought to one unit, $B_j = Z_j / \ell_j$, so that a small column
counts like a large one. The errors of B have a Frobenius norm of at most $\|\eta\|$, those of its singular value
decomposition of about $\epsilon \sqrt{(N + d) d}$, and

$$ \text{rank} = \#\{ \sigma_i(B) > \|\eta\| + 4 \epsilon_{64} \sqrt{(N + d) d} \} . $$

$\sigma_{min}(B) \ge \sigma_{min}(Z) / \max_j \ell_j$, so that B is formed only where Z leaves a doubt. Singular values
are compared, never their squares.

*Kernel matrices* K (N, N). Every entry is off by at most $\epsilon \max|K|$ and the eigensolver adds a few
$\epsilon_{64} \|K\| \le \epsilon_{64} N \max |K|$: eigenvalues of the centred matrix count above
$N (\epsilon + 4 \epsilon_{64}) \max |K|$.

*Directions of the feature space.* Rows that are all independent show as many directions as there are rows and say
nothing about how many there are. So the feature space is finite, with as many directions as the rank, only where there
are more *distinct* rows than that: replicates, bootstrap samples and rows given twice change nothing. A kernel matrix
must also end with a drop: eigenvalues that fade into rounding, as those of a Gaussian kernel, have no end.
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.theory.populations.threads import pinned_by_matrix

EPS = float(np.finfo(float).eps)
UNITS = 1e3  # ratio of column lengths from which an ordinary decomposition loses digits of the small ones
DROP = 200.0  # from the last eigenvalue that counts to the first that does not, if a kernel has finitely many


class Directions(NamedTuple):
    """What N rows show of a feature space with r resolved directions.

    vectors: orthonormal, (N, r); values: eigenvalues of the (centred) N x N kernel matrix, descending, (r,); maps: from
    coordinates along `vectors` to coefficients, (d, r) for features and (N, r) for kernels: the least-norm fit is maps
    @ (coordinates / values); offset: what was subtracted, (d,) or (N,); dim: directions of the feature space, inf where
    the rows do not show the end of it; null: dimension of the labels outside, N - r, one less if centred; least: the
    smallest eigenvalue that was computed, negative beyond rounding where a matrix is not positive semidefinite.
    """

    vectors: np.ndarray
    values: np.ndarray
    maps: np.ndarray
    offset: np.ndarray
    dim: float
    null: int
    least: float = 0.0


def precision(matrix):
    """The ε of the numbers in an array or data frame: that of single precision where any of them is.

    >>> bool(precision(np.ones(3, dtype="float32")) > precision(np.ones(3)) == precision([1, 2]))
    True
    """
    kinds = getattr(matrix, "dtypes", getattr(matrix, "dtype", None))
    kinds = kinds if isinstance(kinds, list | tuple) else np.ravel(np.asarray(kinds, dtype=object))
    floats = [kind for kind in kinds if isinstance(kind, np.dtype) and kind.kind == "f"]
    return max([EPS, *(float(np.finfo(kind).eps) for kind in floats)])


@pinned_by_matrix
def of_features(X, centre=True, eps=EPS):
    """Directions of rows of features X (N, d), float64; eps: of the precision that they came in.

    A column in units of 1e7 hides no other, and a column that repeats another adds no direction:

    >>> Z = np.random.default_rng(0).standard_normal((60, 2))
    >>> [len(of_features(np.column_stack([1e7 * Z, Z[:, 0], extra])).values) for extra in (Z[:, 1], Z[:, 1] ** 2)]
    [2, 3]
    """
    rows, columns = X.shape
    offset = np.zeros(columns)
    Z = X
    for _ in range(2 * centre):  # the second mean is the rounding of the first
        mean = Z.mean(axis=0)
        Z, offset = Z - mean, offset + mean
    lengths, sizes = np.linalg.norm(Z, axis=0), np.linalg.norm(X, axis=0)
    varies = lengths > 4 * eps * sizes
    Z, lengths = np.where(varies, Z, 0.0), np.where(varies, lengths, 1.0)
    limit = min(rows - bool(centre), int(varies.sum()))
    U, values, V = _singular(Z, lengths[varies])
    noise = np.linalg.norm(eps * (sizes / lengths)[varies]) + 4 * EPS * np.sqrt((rows + columns) * columns)
    rank = limit
    if limit and values[limit - 1] <= noise * values[0]:
        rank = int(np.sum(np.linalg.svd(Z / lengths, compute_uv=False)[:limit] > noise))
    dim = float(varies.sum())
    if rank < rows - bool(centre) and rank < len(distinct_rows(Z / lengths, 4 * noise / np.sqrt(rows))) - bool(centre):
        dim = float(rank)
    U, values, V = U[:, :rank], values[:rank], V[:rank]
    return Directions(U, values**2, (values[:, None] * V).T, offset, dim, rows - bool(centre) - rank)


def _singular(Z, lengths):
    """Singular value decomposition of Z, relatively accurate in columns of very different lengths."""
    if not lengths.size or lengths.max() < UNITS * lengths.min():
        return np.linalg.svd(Z, full_matrices=False)
    from scipy.linalg import get_lapack_funcs

    dgejsv: Any = get_lapack_funcs("gejsv", (Z,))
    wide = Z.shape[0] < Z.shape[1]
    values, U, V, work, _, info = dgejsv(Z.T if wide else Z, joba=2, jobu=0, jobv=0, jobr=0, jobt=1)
    if info:
        return np.linalg.svd(Z, full_matrices=False)
    values = values * (work[0] / work[1])
    return (V, values, U.T) if wide else (U, values, V.T)


@pinned_by_matrix
def of_gram(gram, centre=True, eps=EPS):
    """Directions of a symmetric kernel matrix (N, N), float64; eps: of the precision that it came in.

    Rounding in a matrix of large entries is no direction, however small what is left after centring:

    >>> X = np.random.default_rng(0).standard_normal((80, 5)) + 50
    >>> found = of_gram(X @ X.T)
    >>> len(found.values), found.dim, bool(np.allclose(found.values, of_features(X).values))
    (5, 5.0, True)
    """
    rows = len(gram)
    offset, centred = np.zeros(rows), gram
    if centre:
        offset = gram.mean(axis=0)
        centred = gram - offset - offset[:, None] + offset.mean()
    values, U = np.linalg.eigh(centred)
    values, U = values[::-1], U[:, ::-1]
    limit = rows - bool(centre)
    noise = gram_noise(gram, eps)
    rank = min(int(np.sum(values > noise)), limit)
    finite = 0 < rank < limit and values[rank - 1] > DROP * np.abs(values[rank:]).max()
    if finite:
        finite = rank < len(distinct_rows(centred, 4 * noise / np.sqrt(rows))) - bool(centre)
    dim, least = float(rank) if finite else np.inf, float(values[-1])
    U, values = U[:, :rank], values[:rank]
    return Directions(U, values, U, offset, dim, limit - rank, least)


@pinned_by_matrix
def of_columns(gram):
    """Eigenvalues (r,), descending, and eigenvectors (d, r) of a Gram matrix of columns (d, d), without rounding.

    The small ones are relatively accurate where columns come in very different units, up to 256 of them:

    >>> Z = np.random.default_rng(0).standard_normal((60, 2))
    >>> values, vectors = of_columns((Z * [1e12, 1]).T @ (Z * [1e12, 1]))
    >>> bool(np.isclose(values[1], np.linalg.det(Z.T @ Z) / (Z[:, 0] @ Z[:, 0])))
    True
    """
    units = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    uneven = len(gram) <= 256 and len(gram) > 0 and units.max() > UNITS * units.min()
    values, vectors = np.linalg.eigh(gram / units / units[:, None] if uneven else gram)
    keep = np.flatnonzero(values > 4 * EPS * len(values) * values.max(initial=0.0))[::-1]
    values, vectors = values[keep], vectors[:, keep]
    if not uneven:
        return values, vectors
    _, lengths, V = _singular(np.sqrt(values)[:, None] * vectors.T * units, units)
    return lengths**2, V.T


def gram_noise(gram, eps=EPS):
    """What rounding does at most to the eigenvalues of a kernel matrix (N, N) whose entries have the precision eps."""
    return len(gram) * (eps + 4 * EPS) * np.abs(gram).max()


def distinct_rows(matrix, noise):
    """Indices of rows that differ by more than rounding, one of each kind: along a random direction they do.

    >>> matrix = np.arange(12.0).reshape(6, 2)
    >>> sorted(i % 6 for i in distinct_rows(np.vstack([matrix, matrix[:2]]), 1e-15).tolist())
    [0, 1, 2, 3, 4, 5]
    """
    along = matrix @ np.random.default_rng(0).standard_normal(matrix.shape[1])
    order = np.argsort(along)
    return order[np.append(True, np.diff(along[order]) > noise)]
