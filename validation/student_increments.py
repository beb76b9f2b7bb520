r"""Least-squares fits and whole chains of them in O(d): multivariate t increments.

On T ≥ d Gaussian inputs the least-squares error is independent of the labelling model,

$$ \hat w - w = \sigma\,\Sigma^{-1/2} z / \sqrt q, \qquad
   z \sim N(0, I_d),\quad q \sim \chi^2_{T-d+1} \text{ independent,} $$

a multivariate t with T − d + 1 degrees of freedom (rotate Zᵀε to an axis; the Schur complement of a Wishart matrix is
χ²). Given the q_k the n increments of a chain are independent Gaussians with one covariance up to scale, so their sum
is one Gaussian of variance σ² Σ_k 1/q_k: n numbers and one vector per trial, whatever T.
"""

import numpy as np

__all__ = ["inverse_sums", "student_fits"]

_AT_ONCE = 1_000_000


def student_fits(generators, labels, rows, noise, eigenvalues, generations=1):
    """ŵ (B, d) after `generations` least-squares fits on `rows` ≥ d inputs each, started from `labels` (B, d).

    Directions without variance learn nothing and get ŵ = 0, the solution of least norm.
    """
    varied = eigenvalues > 0
    z = np.zeros((len(labels), len(eigenvalues)))
    if noise:
        spread = inverse_sums(generators, rows, eigenvalues, generations, len(labels), z)
        z *= noise * np.sqrt(spread)[:, None] / np.sqrt(np.where(varied, eigenvalues, 1))
    z += labels
    z[:, ~varied] = 0
    return z


def inverse_sums(generators, rows, eigenvalues, generations, batch, z=None):
    """Σ_k 1/q_k (B,) of every trial; `z` (B, d), if given, is filled with its Gaussian vectors first."""
    freedom = rows - np.count_nonzero(eigenvalues) + 1
    sums = np.zeros(batch)
    for b, generator in enumerate(generators):
        if z is not None:
            generator.standard_normal(out=z[b])
        for done in range(0, generations, _AT_ONCE):
            sums[b] += np.sum(1 / generator.chisquare(freedom, size=min(generations - done, _AT_ONCE)))
    return sums
