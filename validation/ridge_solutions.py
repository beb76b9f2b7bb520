r"""The ridge fit itself, on rows that were drawn.

$$ \hat w = \arg\min_w \sum_i \| y_i - R_i w \|^2 + \Lambda \|w\|^2 $$

over blocks of rows (R_i, y_i), each already multiplied by the square root of its weight; Λ = λT. Λ = 0 is the solution
of least norm. With at least as many rows as directions the normal equations are solved after scaling by their
diagonal (Jacobi), which makes their condition that of whitened inputs whatever the eigenvalues; with fewer rows the
Gram matrix is solved, ŵ = Rᵀ(RRᵀ + Λ)^{-1}y. Where the Cholesky pivots say that half of the digits are gone, a
singular value decomposition is used instead. A fit by a spectral filter r(S), S = RᵀR/T, takes that decomposition
R = UzVᵀ at once: ŵ = V (1 − r(z²/T))/z Uᵀy. Refits on own predictions are ridge fits, one after the other.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs, lstsq

__all__ = ["Block", "filter_solution", "many_solutions", "refitted_solution", "ridge_solution"]

_SMALL_PIVOT = 1e-7
_lauum, _posv, _potrf, _potrs = get_lapack_funcs(("lauum", "posv", "potrf", "potrs"))


class Block(NamedTuple):
    """Rows (r, d) and labels (r,) or (r, k); `triangular`: the rows are square and lower triangular."""

    rows: np.ndarray
    labels: np.ndarray
    triangular: bool = False


def ridge_solution(blocks, penalty):
    """ŵ (d,) or (d, k) for blocks of rows and Λ = `penalty` ≥ 0."""
    dim = blocks[0].rows.shape[1]
    few = sum(len(block.rows) for block in blocks) < dim
    solution = _from_gram(blocks, penalty) if few else _from_normal_equations(blocks, penalty)
    return _from_singular_values(blocks, penalty) if solution is None else solution


def many_solutions(rows, labels, penalty):
    """ŵ (B, d) of B fits on rows (B, r, d) and labels (B, r), each as `ridge_solution` has it.

    Small fits cost less so: what surrounds LAPACK is done for all at once.
    """
    few = rows.shape[1] < rows.shape[2]
    matrix = rows @ rows.mT if few else rows.mT @ rows
    moment = labels[..., None].copy() if few else rows.mT @ labels[..., None]
    diagonal = np.einsum("bii->bi", matrix)
    diagonal += penalty
    diagonal[diagonal == 0] = 1  # a direction without inputs, or a row of zeros
    scale = np.sqrt(diagonal)[..., None]
    matrix /= scale * scale.mT
    moment /= scale
    solved = [_posv(*pair, lower=0, overwrite_a=1, overwrite_b=1) for pair in zip(matrix.mT, moment, strict=True)]
    pivots = np.array([factor.diagonal().min() for factor, _, _ in solved])
    failed = np.array([info for _, _, info in solved], bool) | ~(pivots > _SMALL_PIVOT)
    solution = np.array([x for _, x, _ in solved]) / scale
    solution = (rows.mT @ solution if few else solution)[..., 0]
    for b in np.flatnonzero(failed):
        solution[b] = _from_singular_values([Block(rows[b], labels[b])], penalty)
    return solution


def filter_solution(blocks, trained, samples):
    """ŵ (d,) or (d, k) of a fit by one of `theory.filters`; `samples`: T of S = RᵀR/T."""
    rows, labels = _stacked(blocks)
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    learned = 1 - trained.residual(singular**2 / samples)
    kept = singular > singular.max(initial=0) * max(rows.shape) * np.finfo(float).eps
    gain = np.divide(learned, singular, out=np.zeros_like(singular), where=kept)
    return right.T @ ((left.T @ labels).T * gain).T


def refitted_solution(blocks, penalty, weight, rounds):
    """ŵ (d,) or (d, k) after `rounds` refits on (1 − weight)·labels + weight·own predictions, each really solved."""
    solution = ridge_solution(blocks, penalty)
    for _ in range(rounds):
        told = [(1 - weight) * block.labels + weight * (block.rows @ solution) for block in blocks]
        blends = [block._replace(labels=labels) for block, labels in zip(blocks, told, strict=True)]
        solution = ridge_solution(blends, penalty)
    return solution


def _from_normal_equations(blocks, penalty):
    first, *others = [(_lower_square(*block), block.rows.T @ block.labels) for block in blocks]
    matrix, moment = first
    for more, moments in others:
        matrix, moment = matrix + more, moment + moments
    diagonal = matrix.ravel()[:: len(matrix) + 1]
    diagonal += penalty
    diagonal[diagonal == 0] = 1  # a direction without inputs
    return _solve(matrix, diagonal, moment)


def _lower_square(rows, labels, triangular):
    """RᵀR, at least its lower triangle, row by row in memory."""
    return _lauum(rows.T, lower=0)[0].T if triangular else rows.T @ rows


def _from_gram(blocks, penalty):
    rows, labels = _stacked(blocks)
    gram = rows @ rows.T
    diagonal = gram.ravel()[:: len(gram) + 1]
    diagonal += penalty
    if not diagonal.all():
        return None
    solution = _solve(gram, diagonal, labels)
    return None if solution is None else rows.T @ solution


def _solve(matrix, diagonal, right):
    """Solve with the lower triangle of a matrix after scaling by its diagonal; None if it is too ill-conditioned."""
    scale = np.sqrt(diagonal)
    factor, failed = _potrf((matrix / scale / scale[:, None]).T, lower=0, clean=0, overwrite_a=1)
    if failed or not factor.diagonal().min() > _SMALL_PIVOT:
        return None
    return (_potrs(factor, (right.T / scale).T, lower=0)[0].T / scale).T


def _from_singular_values(blocks, penalty):
    rows, labels = _stacked(blocks)
    if penalty > 0:
        rows = np.concatenate([rows, np.sqrt(penalty) * np.eye(rows.shape[1])])
        labels = np.concatenate([labels, np.zeros((rows.shape[1], *labels.shape[1:]))])
    solution, *_ = lstsq(rows, labels, lapack_driver="gelsd", check_finite=False)  # type: ignore[misc]
    return solution


def _stacked(blocks):
    return np.concatenate([block.rows for block in blocks]), np.concatenate([block.labels for block in blocks])
