r"""A kernel ridge fit on T of M rows that are all taken for alike: numbers per eigendirection of the kernel matrix.

`equivalents.rows` with one κ for all rows. With eigenvalues k_a of K (M, M), τ = T/M, Λ = Tλ and means ⟨·⟩ over the M
directions,

    Q_a = 1/(k_a + κ),     κ = Λ + (1 − τ)/⟨Q⟩.                                                                   (1)

The largest root is met by Newton steps from above, as the right side is increasing and concave. For T above the rank,
x = κ/Λ solves the same with Q_a = Λ/(k_a + xΛ) and 1 in place of Λ, and λ = 0 is an ordinary point. Labels with means
m_a, second moments c_a and noise σ² give, with p_a = k_a/(k_a + κ), u_a = 1 − Q_a/⟨Q⟩ and targets f_a,

    m_a ← p_a m_a,    c_a ← p_a² (c_a + v),    v = [(1 − τ)⟨cQ²⟩ + σ²⟨Q⟩²] / (⟨Q⟩² − (1 − τ)⟨Q²⟩),               (2)
    error on unseen rows = ⟨E(f − u ℓ)²⟩ + v (⟨Q²⟩ − ⟨Q⟩²)/⟨Q⟩² .                                                (3)

M → ∞ with K = M S is the generation map of `fit`; T = M is generalised cross-validation. Derived here.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.numerics.duals import Dual, value_of

__all__ = ["RowDirections", "Unseen", "fit_alike", "share_of_rows"]

STEPS = 100


class RowDirections(NamedTuple):
    """Eigenvalues k_a of a kernel matrix (A,), the squared coordinates of the targets, and its rank."""

    eigenvalues: Float[Array, " A"]
    energy: Float[Array, " A"]
    rank: int


class Unseen(NamedTuple):
    """Moments of a model, as `moments.Moments` with plain variances, and its bias and variance on unseen rows (P,)."""

    ratio: Float[Array, "P A"]
    deficit: Float[Array, "P A"]
    variance: Float[Array, "P A"]
    unseen_bias: Any = None
    unseen_variance: Any = None


def _resolvent(eigenvalues, x, scale):
    """Q (P, A) up to the factor Λ of the scaled form, where scale = Λ; it is 1 in the other."""
    xp = namespace(x, scale)
    total = eigenvalues + (x * scale)[:, None]
    known = xp.where(total > 0, total, 1)
    return xp.where(total > 0, scale[:, None] / known, (1 / xp.where(x > 0, x, 1))[:, None])


@quiet()
def share_of_rows(directions, samples, ridge):
    """Q (P, A), p (P, A), 1 − τ (P,) and whether the root was found."""
    eigenvalues, _, rank = directions
    count = len(eigenvalues)
    xp = namespace(samples, ridge)
    penalty, left = samples * ridge, 1 - samples / count
    scaled = value_of(samples) > rank
    scale, floor = xp.where(scaled, penalty, 1.0), xp.where(scaled, 1.0, penalty)
    plain_scale, plain_floor, plain_left = value_of(scale), value_of(floor), value_of(left)
    many = value_of(samples)
    x = np.where(
        scaled,
        (count - rank) / np.where(scaled, many - rank, 1),
        (plain_floor + plain_left * eigenvalues.mean()) * count / many,
    )

    def newton(x, scale, floor, left, slope_at=None):
        q = _resolvent(eigenvalues, x, scale)
        mean = q.sum(-1) / count
        steep = plain_left * (value_of(q) ** 2).mean(-1) / value_of(mean) ** 2
        return (floor + left / mean - x) / (1 - steep), steep

    for _ in range(STEPS):
        step, _ = newton(x, plain_scale, plain_floor, plain_left)
        x = np.maximum(x + step, plain_floor)
        if np.all(np.abs(step) <= 1e-14 * x):
            break
    step, steep = newton(x, plain_scale, plain_floor, plain_left)
    converged = (np.abs(step) <= 1e-9 * x) & (steep < 1)
    if any(isinstance(value, Dual) for value in (scale, floor, left)):
        x = x + newton(x, scale, floor, left)[0]  # exact in first order
    q = _resolvent(eigenvalues, x, scale)
    lost = q * x[:, None]
    positive = eigenvalues > 0
    learned = xp.where(positive, eigenvalues / xp.where(positive, eigenvalues + (x * scale)[:, None], 1), 0.0)
    return q, learned, lost, left, converged


@quiet()
def fit_alike(directions, samples, noise_variance, ridge, model):
    """(Unseen moments of the fit, p (P, A), converged): `model` is the label model, `noise_variance` (P,)."""
    eigenvalues, energy, _ = directions
    count = len(eigenvalues)
    q, learned, lost, left, converged = share_of_rows(directions, samples, ridge)
    mean, square = q.sum(-1) / count, (q * q).sum(-1) / count
    second = model.ratio**2 * energy + model.variance
    spread = left * (second * q * q).sum(-1) / count + noise_variance * mean * mean
    v = spread / (mean * mean - left * square)
    relative = q / mean[:, None]
    missed = model.deficit + model.ratio * relative
    seen_without = 1 - relative
    return (
        Unseen(
            learned * model.ratio,
            learned * model.deficit + lost,
            learned * learned * (model.variance + v[:, None]),
            (missed * missed * energy).sum(-1) / count,
            (model.variance * seen_without * seen_without).sum(-1) / count
            + v * (seen_without * seen_without).sum(-1) / count,
        ),
        learned,
        converged,
    )
