r"""The first and second moments of predictors, and how linear combinations move them.

Every predictor of a pipeline has, in the eigendirection j of the input covariance, a mean that is a multiple of the
signal, E w_j = a_j w0_j, and a covariance with every other predictor. We carry

    a_j,   b_j = 1 − a_j   (both, so that neither loses digits),   V_j = scale_j · Cov(w_j, w'_j),

with scale_j the largest eigenvalue that any input distribution of the pipeline has in direction j, so that V stays
bounded where plain covariances grow like 1/s_j. The expectation of a squared linear form in the predictors is

    E (Σ_h c_h w_h)²_Σ = Σ_j s_j [ (mean coefficient)²·θ_j + μ_j Σ_gh c_g c_h V_gh,j / scale_j ]            (1)

with signal energy θ and multiplicity μ. A sum of squares that rounding makes negative is zero (`not_negative`).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, not_negative, times

__all__ = [
    "Atoms",
    "Moments",
    "combine",
    "covariances",
    "energy",
    "energy_by_atom",
    "mixture",
    "readout",
    "variance_of",
]


class Atoms(NamedTuple):
    """A spectrum: eigenvalues, signal, multiplicity and the scale of covariances."""

    eigenvalues: Float[Array, "#P A"]
    signal: Float[Array, "#P A"]
    multiplicity: Float[Array, "#P A"]
    scale: Float[Array, "#P A"]


class Moments(NamedTuple):
    """One predictor: mean ratio a, deficit b = 1 − a, scaled variance V."""

    ratio: Float[Array, "P A"]
    deficit: Float[Array, "P A"]
    variance: Float[Array, "P A"]


def energy_by_atom(atoms, inputs, mean, variance):
    """inputs_j (mean_j² θ_j + μ_j variance_j), variance in units of `scale`: (..., P, A)."""
    relative = divide(inputs, atoms.scale, 0.0)
    return inputs * mean**2 * atoms.signal + times(relative * atoms.multiplicity, variance)


def energy(atoms, inputs, mean, variance):
    """Σ_j inputs_j (mean_j² θ_j + μ_j variance_j), variance in units of `scale`: (..., P)."""
    return energy_by_atom(atoms, inputs, mean, variance).sum(-1)


def covariances(models: tuple[Moments, ...], joint: dict) -> Float[Array, "G G P A"]:
    """Scaled covariances of G predictors; joint[g, h], g > h, those of pairs, zero where missing."""
    xp = namespace([model.variance for model in models], joint)
    zeros = xp.zeros_like(models[0].variance)

    def of(g: int, h: int) -> Any:
        return models[g].variance if g == h else joint.get((max(g, h), min(g, h)), zeros)

    return xp.stack([xp.stack([of(g, h) for h in range(len(models))]) for g in range(len(models))])


def variance_of(coefficients: Float[Array, "*F G P #A"], covariance: Float[Array, "G G P A"]) -> Float[Array, "*F P A"]:
    """Scaled variance of Σ_g coefficients_g w_g by (1), infinite if that of one with weight is."""
    xp = namespace(coefficients, covariance)
    if covariance.shape[0] == 1:
        return times(coefficients[..., 0, :, :] ** 2, covariance[0, 0])
    endless = xp.isinf(covariance)
    known = xp.where(endless, 0, covariance)
    with_each = (coefficients[..., :, None, :, :] * known).sum(-4)
    each, alone = (xp.stack([x[g, g] for g in range(len(covariance))]) for x in (known, endless))
    size = (xp.abs(coefficients) * xp.sqrt(xp.stop_gradient(each))).sum(-3) ** 2
    total = not_negative((with_each * coefficients).sum(-3), size)
    return xp.where(xp.any((coefficients != 0) & alone, -3), np.inf, total)


@quiet()
def combine(learned, covariances):
    """Covariance of a new predictor with an older one: Σ_g π_g Cov(w_g, older), with None for zero; of infinite ones
    that cancel it is not a number, which `variance_of` does not read."""
    terms = [times(p, value) for p, value in zip(learned, covariances, strict=True) if value is not None]
    return sum(terms[1:], terms[0])


@quiet()
def mixture(coefficients: Float[Array, "G P"], models: tuple[Moments, ...], joint: dict):
    """Σ_g c_g w_g. Returns its Moments and the coefficients as projections (G, P, 1)."""
    xp = namespace(coefficients, models, joint)
    weights = coefficients[:, :, None]
    ratios, deficits = (xp.stack([model[k] for model in models]) for k in (0, 1))
    missing = (1 - coefficients.sum(0))[:, None]
    mixed = (weights * ratios).sum(0), (weights * deficits).sum(0) + missing
    return Moments(*mixed, variance_of(weights, covariances(models, joint))), weights


@quiet()
def readout(atoms: Atoms, inputs: Float[Array, "#P A"], moments: Moments):
    """Bias and variance of a predictor on test inputs with eigenvalues `inputs`: two (P,)."""
    zeros = namespace(*moments).zeros_like(moments.variance)
    return energy(atoms, inputs, moments.deficit, zeros), energy(atoms, inputs, zeros, moments.variance)
