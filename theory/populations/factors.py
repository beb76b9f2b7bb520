r"""A kernel matrix as K = Φ Φᵀ by pivoted Cholesky: its rank and coordinates of its rows.

Pivots are taken in descending order and stop at what rounding leaves of them, $N (\epsilon + 4 \epsilon_{64}) \max K$
(see `resolved_directions`); what is then left of the matrix is rounding too exactly if K is positive semidefinite.
"""

from typing import Any

import numpy as np

from modelcollapse.theory.populations.resolved_directions import EPS, gram_noise
from modelcollapse.theory.populations.threads import pinned

__all__ = ["factor_of", "pivoted"]

ASYMMETRY = 1e-8  # of the largest entry: matrices that were rounded on their way are told apart from indefinite ones


def factor_of(name, gram, eps=EPS):
    """Φ (N, r) of a symmetric matrix (N, N); ValueError if it is not positive semidefinite.

    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> found = factor_of("gram", X @ X.T)
    >>> found.shape, bool(np.allclose(found @ found.T, X @ X.T, atol=1e-13))
    ((40, 3), True)
    """
    largest = np.abs(gram).max()
    with pinned(len(gram)):
        factor, _ = pivoted(gram, gram_noise(gram, eps))
        left = np.abs(gram - factor @ factor.T).max()
    if left > max(ASYMMETRY * largest, gram_noise(gram, eps)):
        raise ValueError(
            f"{name} is not positive semidefinite: {left:.3g} is left of entries up to {largest:.3g}; give a kernel "
            "matrix, such as the inner products of features"
        )
    return factor


def pivoted(gram, cut):
    """Φ (N, r) of a positive semidefinite matrix (N, N), and the rows (r,) along which it is lower triangular.

    cut: what is left of a pivot below is rounding

    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> factor, rows = pivoted(X @ X.T, 1e-12)
    >>> rows.shape, bool(np.allclose(factor[rows], np.tril(factor[rows])))
    ((3,), True)
    """
    from scipy.linalg import get_lapack_funcs

    factorise: Any = get_lapack_funcs("pstrf", (gram,))
    found, pivots, rank, _ = factorise(gram, lower=1, tol=cut)
    factor = np.zeros((len(gram), rank))
    factor[pivots - 1] = np.tril(found)[:, :rank]
    return factor, pivots[:rank] - 1
