r"""What a ridge fit does to the moments of weight vectors where covariances are any matrices.

A model has the deviation of its mean, e = w0 − E w (d,), and a covariance (d, d). The equations are those of `fit` with
matrices: with Q, κ, q, π_g = q_g Q Σ_g of `equivalents.dense`, N = 1 − Σ_g π_g and w̄ = Σ_g π_g w_g,

    w0 − E ŵ = N w0 + Σ_g π_g e_g,     ρ_g = E‖w̄ − w_g‖²_{Σ_g} + σ_g²,                                           (1)
    v = (1/T) q ∘ H^{-1}(q ∘ ρ),       H = diag(p) − (tr π_g π_h / T)_{gh},                                     (2)
    Cov ŵ = Cov w̄ + Σ_g v_g Q Σ_g Q .                                                                           (3)

A covariance of which one entry is infinite is `endless`, infinite on the whole diagonal: so is what follows from it.

Derived here; contains the ridge theorem of Dohmatob, Feng, Subramonian, Kempe 2024.
"""

import functools

import numpy as np

from modelcollapse.numerics import duals
from modelcollapse.numerics.duals import value_of
from modelcollapse.numerics.equivalents.shares import not_negative
from modelcollapse.numerics.equivalents.symmetric import solve
from modelcollapse.numerics.steps.angles import finished
from modelcollapse.numerics.steps.fit import inflation

__all__ = ["angle_dense", "applied", "combined", "congruent", "diverges", "endless", "energy", "fit_dense"]

ROUNDING = 1e-24  # of the energy of the labels: what the rounding of labels that agree leaves, squared


def endless(dim):
    """The covariance (d, d) of a model whose variance is infinite."""
    return np.diag(np.full(dim, np.inf))


def diverges(covariance):
    """Whether a covariance, None for zero, is infinite."""
    return covariance is not None and bool(np.isinf(value_of(covariance)).any())


def angle_dense(covariance, truth, deviation, spread):
    """`angles.angle` of a model with matrices: mean angle, overlap, mean squares of its score and of the truth's."""
    pulled = covariance @ truth
    square = truth @ pulled
    infinite = np.array(diverges(spread))
    if infinite:
        spread = None
    length = np.sqrt(square) if square > 0 else 1.0
    mean = truth - deviation
    along = pulled @ mean / length
    apart = mean - truth * (along / length)
    seen = np.zeros_like(covariance) if spread is None else covariance @ spread
    turned = seen @ covariance
    along_variance = truth @ turned @ truth / length**2
    rest = apart @ covariance @ apart + np.trace(seen)
    across = not_negative(rest - along_variance, rest)
    crossed = 2 * apart @ turned @ truth / length
    squares = (
        np.sum(seen * seen.T)
        - 2 * pulled @ (seen.T @ (spread @ pulled) if spread is not None else 0 * pulled) / length**2
    )
    size = 4 * apart @ turned @ apart + 2 * np.sum(seen * seen.T)
    across_variance = not_negative(4 * apart @ turned @ apart + 2 * (squares + along_variance**2), size)
    moments = (square, along, across, along_variance, crossed, across_variance)
    return finished(infinite, *(np.asarray(float(value)) for value in moments))


def energy(covariance, deviation, spread, bound=None):
    """E‖e‖²_Σ of a vector with a mean (d,) and a covariance (d, d), None for none.

    bound : a function without arguments that gives what the covariance was added up from, a matrix that was never
    subtracted from; it is asked where rounding left the variance below zero (`shares.not_negative`).
    """
    total = (deviation * (covariance @ deviation)).sum()
    if spread is None:
        return total
    if diverges(spread):
        return total + np.inf
    variance = (covariance * spread.T).sum()
    if value_of(variance) < 0:
        size = (covariance * value_of(spread if bound is None else bound()).T).sum()
        return total + not_negative(value_of(variance), size)
    return total + variance


def congruent(maps, bounds):
    """A bound of the covariance of Σ_g A_g w_g from bounds of those of the w_g, None for zero."""
    terms = [value_of(applied(a, applied(a, c).T).T) for a, c in zip(maps, bounds, strict=True) if c is not None]
    return len(maps) * sum(terms, np.zeros(()))


def combined(maps, parts):
    """Σ_gh A_g C_gh A_hᵀ of maps (matrices or numbers) and covariances, None for zero."""
    total = None
    for g, line in enumerate(parts):
        for h, part in enumerate(line):
            if part is not None:
                added = applied(maps[h], applied(maps[g], part).T).T
                total = added if total is None else total + added
    return total


def applied(map_, matrix):
    """A C of a map A, a matrix or a number, and a covariance."""
    if diverges(matrix):
        return matrix if np.any(value_of(map_)) else np.zeros_like(matrix)
    return map_ @ matrix if np.ndim(value_of(map_)) else matrix * map_


def fit_dense(equivalent, covariances, rows, noise_variance, truth, deviations, parts, bounds, exact):
    """Deviation (d,) and covariance (d, d) of a fit on G sources.

    deviations: those of the label models; parts[g][h]: their covariances or None; bounds: what
    their own were added up from; exact: whether to use the exact
    inverse-Wishart mean (least squares on sources of one covariance).
    """
    resolvent, _, q, maps, _, interpolates = equivalent
    count, samples = len(maps), sum(rows[1:], rows[0])
    null = np.eye(len(truth)) - sum(maps[1:], maps[0])
    deviation = null @ truth + sum(m @ e for m, e in zip(maps, deviations, strict=True))
    risks = []
    for g in range(count):
        apart = [m - (np.eye(len(truth)) if h == g else 0) for h, m in enumerate(maps)]
        bound = functools.partial(congruent, apart, bounds)
        risk = energy(covariances[g], deviations[g] - deviation, combined(apart, parts), bound)
        risks.append(risk + noise_variance[g])
    learned = combined(maps, parts)
    loud = [value_of(v) > 0 or value_of(r) > ROUNDING * energy(c, truth, None)
            for v, r, c in zip(noise_variance, risks, covariances, strict=True)]  # fmt: skip
    if interpolates or np.isinf([value_of(risk) for risk in risks]).any():
        return deviation, endless(len(truth)) if any(loud) else learned
    shares = [count_ / samples for count_ in rows]
    cross = [
        [(a * b.T).sum() * (-1 / samples) + (shares[g] if a is b else 0) for b in maps] for g, a in enumerate(maps)
    ]
    hessian = duals.stack([duals.stack([duals.asarray(x, float) for x in line]) for line in cross])
    right = duals.stack([duals.asarray(q[g] * risk, float) for g, risk in enumerate(risks)])
    gains = q * solve(hessian, right[:, None])[:, 0] / samples
    if exact:
        left = value_of(samples) - np.linalg.matrix_rank(covariances[0], hermitian=True)
        gains = gains * float(inflation(np.asarray(float(left))))
    fresh = sum((resolvent @ c @ resolvent) * gains[g] for g, c in enumerate(covariances))
    return deviation, fresh if learned is None else learned + fresh
