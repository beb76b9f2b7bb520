r"""Isotropic ridge fits in O(d): a bidiagonal design.

Householder reflections from both sides, the first of them along the labelling model w, turn a T × d Gaussian
matrix into an upper bidiagonal B with independent entries (Golub and Kahan 1965; Silverstein 1985),

$$ B_{ii} \sim \chi_{T-i+1},\ i = 1..r = \min(T, d), \qquad B_{i,i+1} \sim \chi_{d-i},\ i = 1..\min(T, d-1), $$

labels become y = ‖w‖ B_{11} e_1 + σ z. The fit in the rotated basis is h, tridiagonal to find. Its first
coordinate lies along w; the others point in a uniformly random direction of the complement:

$$ \hat w = h_1 \frac{w}{\|w\|} + \|h_{2:}\|\, u, \qquad u \perp w \text{ uniform on the sphere}. $$

(Derived here.) Nothing else of h matters, and any other model of the pipeline sees ŵ through u alone.
All trials of a batch are solved as one tridiagonal system of independent blocks.
"""

import numpy as np
from scipy.linalg import get_lapack_funcs

__all__ = ["bidiagonal_fit"]

(_ptsv,) = get_lapack_funcs(("ptsv",))


def bidiagonal_fit(generators, labels, rows, noise, eigenvalue, penalty):
    """ŵ (B, d) of fits on `rows` isotropic inputs of variance `eigenvalue`, labelled by models `labels` (B, d).

    `generators` yields the B trials' generators, each valid until the next one is asked for. Λ = `penalty` > 0, or
    Λ = 0 with rows < d.
    """
    batch, dim = labels.shape
    height, width = min(rows, dim), min(rows + 1, dim)
    squares, normal = np.zeros((batch, 2 * height)), np.empty((batch, height + dim))
    freedom = np.concatenate([rows - np.arange(0.0, height), dim - np.arange(1.0, width)])
    for b, generator in enumerate(generators):
        squares[b, : len(freedom)] = generator.chisquare(freedom)
        generator.standard_normal(out=normal[b])
    diagonal, beside = np.split(np.sqrt(eigenvalue * squares), 2, axis=1)
    z, around = normal[:, :height], normal[:, height:]

    length = np.linalg.norm(labels, axis=1)
    y = noise * z
    y[:, 0] += length * diagonal[:, 0]
    # h = Bᵀ (BBᵀ + Λ)^{-1} y for T < d, (BᵀB + Λ)^{-1} Bᵀ y otherwise
    if rows < dim:
        main = diagonal**2 + beside**2 + penalty
        solved = _tridiagonal(main, diagonal[:, 1:] * beside[:, :-1], y)
        h = np.zeros((batch, width))
        h[:, :height] = diagonal * solved
        h[:, 1:] += (beside * solved)[:, : width - 1]
    else:
        main = diagonal**2 + penalty
        main[:, 1:] += beside[:, : dim - 1] ** 2
        right = diagonal * y
        right[:, 1:] += beside[:, : dim - 1] * y[:, :-1]
        h = _tridiagonal(main, diagonal[:, :-1] * beside[:, : dim - 1], right)

    direction = np.divide(labels, length[:, None], out=np.zeros_like(labels), where=length[:, None] > 0)
    direction[length == 0, 0] = 1
    across = np.linalg.norm(h[:, 1:], axis=1)
    around -= np.sum(around * direction, 1, keepdims=True) * direction
    size = np.linalg.norm(around, axis=1)
    if dim > 1:
        around *= (across / size)[:, None]
    else:
        around[:] = 0
    return h[:, :1] * direction + around


def _tridiagonal(main, off, right):
    """Solve one symmetric positive definite tridiagonal system per row, all as blocks of one."""
    batch, size = main.shape
    couplings = np.zeros((batch, size))
    couplings[:, : size - 1] = off
    *_, solution, failed = _ptsv(main.ravel(), couplings.ravel()[:-1], right.ravel())
    if failed:
        raise RuntimeError("a tridiagonal system lost its positive pivots; give the fit a larger ridge")
    return solution.reshape(batch, size)
