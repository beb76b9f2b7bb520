"""Inverses, solutions and diagonals of symmetric positive definite matrices, for NumPy arrays and dual numbers.

A matrix that is not positive definite has the inverse NaN: whoever asks checks.
"""

import functools
from typing import Any

import numpy as np

from modelcollapse.numerics.arrays import differentiable
from modelcollapse.numerics.duals import Dual

__all__ = ["definite", "diagonal", "diagonal_of", "factored", "inverse", "inverted", "lapack", "plus_diagonal", "solve"]


@functools.cache
def lapack(name) -> Any:
    """A LAPACK routine in double precision."""
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs(name, dtype=float)


def definite(matrix):
    """The lower Cholesky factor of a matrix (n, n), None if it is not positive definite."""
    if not len(matrix):
        return matrix
    found, failed = lapack("potrf")(matrix, lower=1)
    return None if failed or not np.isfinite(found[-1, -1]) else found


def _inverse_rule(arguments, results, tangents):
    return -results @ tangents[0] @ results


@differentiable(_inverse_rule)
def inverse(matrix):
    """The inverse of a positive definite matrix (n, n)."""
    found = definite(matrix)
    if found is None:
        return np.full_like(matrix, np.nan)
    return inverted(found)


def _solve_rule(arguments, results, tangents):
    matrix, _ = arguments
    moved, right = tangents
    return solve(matrix, right - moved @ results)


@differentiable(_solve_rule)
def solve(matrix, right):
    """The solution (n, k) of a positive definite system with right-hand sides (n, k)."""
    found = definite(matrix)
    return np.full_like(right, np.nan) if found is None else factored(found, right)


def factored(factor, right):
    """The solution (n, k) by the factor of `definite`."""
    return lapack("potrs")(factor, right, lower=1)[0] if len(factor) else right


def inverted(factor):
    """The inverse (n, n) by the factor of `definite`, whose memory it takes."""
    if not len(factor):
        return factor
    lower, _ = lapack("potri")(factor, lower=1, overwrite_c=1)
    return plus_diagonal(lower + lower.T, -np.diag(lower))


def diagonal(values):
    """The diagonal matrix of a vector."""
    return values * np.eye(len(values)) if isinstance(values, Dual) else np.diag(values)


def plus_diagonal(matrix, values):
    """A matrix (n, n) with values (n,) added to its diagonal."""
    if isinstance(matrix, Dual) or isinstance(values, Dual):
        return matrix + diagonal(values)
    found = matrix.copy()
    np.fill_diagonal(found, np.diag(matrix) + values)
    return found


def diagonal_of(matrix):
    """The diagonal of a matrix."""
    if isinstance(matrix, Dual):
        return Dual(np.diag(matrix.value).copy(), np.einsum("kii->ki", matrix.tangents).copy())
    return np.diag(matrix).copy()
