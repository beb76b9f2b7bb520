r"""One ridge fit on sources with any covariances Σ_g (d, d): the fixed point that its deterministic equivalent needs.

The equations are those of `shifted_sources` with matrices,

    η_g = p_g ω_g / (1 + ω_g tr(Σ_g R)/T),   R = (λ + Σ_g η_g Σ_g)^{-1} = Q/h,   Q = (κ + Σ_g q_g Σ_g)^{-1},       (1)

and the same convex function is minimised, with η_g = m e^{x_g}, λ = l m and (l, m) = (λ, 1) for T ≥ d, (1, λ) below,

    Φ(x) = (1/T) log det(l + Σ_g e^{x_g} Σ_g) − Σ_g p_g x_g + m Σ_g e^{x_g}/ω_g .                                 (2)

As many rows as directions and no ridge: κ = 0, and the last term of (2) with the level of x drops out. The shares q are
those of rows that are fitted exactly, whose noise comes out infinitely large.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics import duals
from modelcollapse.numerics.arrays import Array
from modelcollapse.numerics.duals import Dual, value_of
from modelcollapse.numerics.equivalents.ridge_equation import root
from modelcollapse.numerics.equivalents.symmetric import inverse, solve
from modelcollapse.theory.populations.resolved_directions import gram_noise

__all__ = ["DenseEquivalent", "dense_sources"]

STEPS = 200
PRECISION = 1e-9


class DenseEquivalent(NamedTuple):
    """The resolvent Q (d, d), κ, the shares q (G,), the maps π_g = q_g Q Σ_g, whether it converged, and whether it is
    exact: as many rows as directions and no ridge.

    Q acts on the span of the covariances; 1 − Σ_g π_g is κQ there and 1 outside.
    """

    resolvent: Float[Array, "d d"]
    kappa: Any
    shares: Float[Array, " G"]
    maps: tuple
    converged: Any
    exact: bool


class _Problem(NamedTuple):
    covariances: tuple
    samples: Any
    shares: Any  # p (G,)
    weights: Any
    offset: Any  # l
    slope: Any  # m


def dense_sources(covariances, rows, weights, ridge) -> DenseEquivalent:
    """The equivalent of a ridge fit on G sources: covariances (d, d), rows, weights, ridge λ ≥ 0 of all rows."""
    samples = sum(rows[1:], rows[0])
    shares = _vector([count / samples for count in rows])
    values, vectors = np.linalg.eigh(sum(covariances))
    seen = values > gram_noise(values[-1:] * np.ones(len(values)))
    basis, eigenvalues = vectors[:, seen], values[seen]
    whole = basis.shape[1] == len(values)
    if not whole:
        covariances = [basis.T @ c @ basis for c in covariances]
    below = value_of(samples) < basis.shape[1]
    exact = value_of(samples) == basis.shape[1] and value_of(ridge) == 0
    offset, slope = (1.0, ridge) if below else (ridge, 0.0 if exact else 1.0)
    problem = _Problem(tuple(covariances), samples, shares, _vector(weights), offset, slope)
    values = _Problem(*map(value_of, problem))
    x, converged = _settled(values, eigenvalues)
    if any(isinstance(field, Dual) for field in problem):
        x = x + _newton(problem, x, values)
    total = duals.exp(x).sum()
    q = duals.exp(x) * (1 / total)
    kappa = offset / total
    resolvent, maps = _resolved(problem, q, kappa)
    if not whole:
        resolvent, *maps = (basis @ part @ basis.T for part in (resolvent, *maps))
    return DenseEquivalent(resolvent, kappa, q, tuple(maps), converged, exact)


def _vector(values):
    return duals.stack([duals.asarray(value, float) for value in values])


def _resolved(problem, q, kappa):
    """Q and the maps π_g = q_g Q Σ_g."""
    mixed: Any = sum(q[g] * covariance for g, covariance in enumerate(problem.covariances))
    resolvent = inverse(mixed + kappa * np.eye(len(mixed)))
    return resolvent, tuple((resolvent @ c) * q[g] for g, c in enumerate(problem.covariances))


def _newton(problem, x, values):
    """The Newton step of Φ at x, with the Hessian at `values`."""
    gradient, *others = _gradient(problem, x)
    trace, maps, penalty = others if values is problem else _gradient(values, x)[1:]
    cross = np.array([[np.sum(a * b.T) for b in maps] for a in maps]) / values.samples
    hessian = np.diag(trace + penalty) - cross
    if problem.offset == 0 and problem.slope == 0:  # the level of x is free
        hessian = hessian + 1
    return -1 * solve(hessian, gradient[:, None])[:, 0]


def _gradient(problem, x):
    """∂Φ/∂x, tr π_g/T, the maps π_g and m e^{x_g}/ω_g."""
    total = np.exp(x).sum()
    q, kappa = np.exp(x) / total, problem.offset / total
    _, maps = _resolved(problem, q, kappa)
    trace = _vector([_trace(part) for part in maps]) / problem.samples
    penalty = problem.slope * np.exp(x) / problem.weights
    return trace - problem.shares + penalty, trace, maps, penalty


def _trace(matrix):
    return duals.einsum("ii->", matrix)


def _level(problem, eigenvalues):
    """Where Σ e^{x_g} is looked for first: of one source, whose eigenvalues these are, it is the root."""
    if len(problem.covariances) > 1:
        if problem.offset != 1.0:
            return 1.0
        traces = [np.trace(covariance) for covariance in problem.covariances]
        return 1 / (problem.slope + problem.shares @ traces / len(eigenvalues))
    (weight,) = problem.weights
    samples, ridge = (np.array([float(x)]) for x in (problem.samples, problem.offset * problem.slope / weight))
    kappa = root(eigenvalues[None], np.ones((1, len(eigenvalues))), samples, ridge).kappa[0]
    if kappa > 0:
        return problem.offset / kappa
    return weight * (1 - len(eigenvalues) / problem.samples) if problem.slope else 1.0


def _settled(problem, eigenvalues):
    """The minimum of Φ by damped Newton: steps of log(1 + 2n)/(2n) never leave the region of descent."""
    x, length = np.log(problem.shares * _level(problem, eigenvalues)), np.inf
    for _ in range(STEPS):
        step = _newton(problem, x, problem)
        if not np.all(np.isfinite(step)):
            return x, np.array(False)
        last, length = length, np.max(np.abs(step))
        x = x + step * (np.log1p(2 * length) / (2 * length) if length > 1e-8 else 1.0)
        if length < 1e-14 or (length < 1e-7 and length >= last):
            break
    return x, np.array(length < PRECISION)
