r"""Model size: the effective ridge on m random features z = Fx, F with independent N(0, 1/m) entries.

ŵ = Fᵀv with v = argmin (1/T)‖y − XFᵀv‖² + λ‖v‖²; least squares, or of least norm in v, for λ = 0.

**Effective ridge.** κ solves λ = κ (1 − df_1/T)(1 − df_1/m) with df_1 < min(T, m). Let N be the smaller and M the
larger of T and m, and x = 1 − df_1/N. The other factor is αx + β, α = N/M, β = 1 − N/M, so x is known from λ/κ,

    αx² + βx = λ/κ,      and      h(u) = N − df_1(κ) − N x(λ/κ),   u = log κ,                               (1)

increases from 0 at the root with |h''| ≤ h', as in `ridge_equation`, whose bounds and steps serve here. m = ∞ has
x = λ/κ and is that equation. Both factors follow from λ/κ alone, without a difference of nearly equal numbers.
"""

import numpy as np
from jaxtyping import Bool, Float

from modelcollapse.numerics.arrays import Array, differentiable, namespace, quiet
from modelcollapse.numerics.equivalents.ridge_equation import Balance, bracketed_root, extent, flat
from modelcollapse.numerics.equivalents.shares import atom_sums, divide, in_range, samples_left, shares

__all__ = ["effective_ridge", "root", "unused"]


def _ordered(samples, features):
    """N = min(T, m), α = N/M and β = 1 − N/M; the order is taken by T ≤ m, so that derivatives hold at T = m."""
    xp = namespace(samples, features)
    fewer = samples <= features
    least, most = xp.where(fewer, samples, features), xp.where(fewer, features, samples)
    endless = xp.isinf(most)
    return least, least / most, xp.where(endless, 1, (most - least) / xp.where(endless, 1, most))


def _smaller_factor(alpha, beta, share):
    """x ≥ 0 of (1), and the root of the discriminant √(β² + 4αλ/κ)."""
    xp = namespace(alpha, beta, share)
    square = beta**2 + 4 * alpha * share
    root = xp.sqrt(xp.where(square > 0, square, 1)) * (square > 0)
    return divide(2 * share, beta + root, 2 * share), root


@quiet()
def unused(eigenvalues, multiplicity, samples, features, ridge, kappa):
    """(1 − df_1/T, 1 − df_1/m), each (P,), at the effective ridge κ of λ = `ridge`; to the accuracy of κ.

    >>> s, one = np.array([[3.0, 1.0]]), np.ones((1, 2))
    >>> samples, features, ridge = np.array([5.0]), np.array([1.5]), np.array([0.2])
    >>> kappa, _ = effective_ridge(s, one, samples, features, ridge)
    >>> of_samples, of_features = unused(s, one, samples, features, ridge, kappa)
    >>> bool(np.isclose(of_samples, 1 - (s / (s + kappa)).sum() / samples, rtol=1e-14).all())
    True
    """
    xp = namespace(eigenvalues, multiplicity, samples, features, ridge, kappa)
    least, alpha, beta = _ordered(samples, features)
    null, least_squares = xp.isinf(kappa), kappa == 0
    finite = xp.where(null | least_squares, 1, kappa)
    small, _ = _smaller_factor(alpha, beta, xp.where(null, 1, in_range(ridge) / finite))
    left, _ = samples_left(eigenvalues, multiplicity, least, xp.zeros_like(finite))
    small = xp.where(least_squares, left / least, small)
    large = alpha * small + beta
    fewer = samples <= features
    return xp.where(fewer, small, large), xp.where(fewer, large, small)


@quiet()
def root(eigenvalues, multiplicity, samples, features, ridge):
    """`effective_ridge` with the number of passes over the atoms; not differentiable."""
    xp = namespace(eigenvalues, multiplicity, samples, features, ridge)
    dtype = xp.result_type(eigenvalues, multiplicity, samples, features, ridge)
    limits = np.finfo(dtype)
    eigenvalues, multiplicity, samples, features, ridge = (
        xp.asarray(x, dtype) for x in (eigenvalues, multiplicity, samples, features, ridge)
    )
    eigenvalues, finite_ridge = in_range(eigenvalues), in_range(ridge)
    least, alpha, beta = _ordered(samples, features)
    dimension, mean, smallest, trace = extent(eigenvalues, multiplicity)
    vanishes = (finite_ridge == 0) & (least >= dimension)
    known = vanishes | (ridge > limits.max / 16)

    # the larger factor lies between β and 1; df_1 ≤ N/2 and x ≤ 1/2 at the second upper bound
    at_most = xp.where(finite_ridge > 0, finite_ridge / xp.maximum(beta, limits.tiny), 0)
    equal = flat(mean, dimension, least, xp.minimum(at_most, limits.max / 16))
    half = xp.maximum(2 * trace / least, finite_ridge / (alpha / 4 + beta / 2))
    low = xp.maximum(flat(smallest, dimension, least, finite_ridge), xp.maximum(finite_ridge, 4 * limits.tiny))
    high = xp.maximum(xp.minimum(equal, half), low)

    def balance(kappa):
        share = finite_ridge / kappa
        small, root = _smaller_factor(alpha, beta, share)
        root, one = xp.where(root > 0, root, 1), xp.ones_like(kappa)
        falling = least * share / root
        return Balance(
            kappa, one, 0 * one, least, -least * small, falling, -falling * (1 - 2 * alpha * share / root**2)
        )

    kappa, converged, passes = bracketed_root(
        balance, eigenvalues, multiplicity, least, low, high, known | (dimension == 0)
    )
    return xp.where(known, xp.where(vanishes, 0, ridge), kappa), converged, passes


def _effective_ridge_rule(arguments, results, tangents):
    eigenvalues, multiplicity, samples, features, ridge = arguments
    d_eigenvalues, d_multiplicity, d_samples, d_features, d_ridge = tangents
    kappa, _ = results
    xp = namespace(*arguments, *tangents)
    of_samples, of_features = unused(eigenvalues, multiplicity, samples, features, ridge, kappa)
    eigenvalues = in_range(eigenvalues)
    fitted, lost = shares(eigenvalues, in_range(kappa)[:, None])
    removed, spread = atom_sums(multiplicity * eigenvalues * lost, multiplicity * fitted * lost)
    moved = xp.sum(lost * (eigenvalues * d_multiplicity + multiplicity * lost * d_eigenvalues), axis=-1)

    by_samples, by_features = of_features / samples, of_samples / features
    both = by_samples + by_features  # −∂(λ/κ)/∂df_1
    void = both == 0
    both = xp.where(void, 1, both)
    part = xp.where(void, 0.5, by_samples / both)
    slope = of_samples * of_features / both + spread
    shrunk = removed * (part / samples * d_samples + (1 - part) / features * d_features)
    rest = (moved - shrunk) / xp.where(slope > 0, slope, np.inf)
    steep = xp.where(void, 0, slope * both)
    most = np.finfo(steep.dtype).max
    by_ridge = xp.where(steep > 1 / most, 1 / xp.where(steep > 1 / most, steep, 1), most)
    return by_ridge * d_ridge + rest, None


@quiet()
@differentiable(_effective_ridge_rule)
def effective_ridge(
    eigenvalues: Float[Array, "#P A"],
    multiplicity: Float[Array, "#P A"],
    samples: Float[Array, " P"],
    features: Float[Array, " P"],
    ridge: Float[Array, " P"],
) -> tuple[Float[Array, " P"], Bool[Array, " P"]]:
    r"""The effective ridge of random features, and whether each point converged.

    eigenvalues, multiplicity: not negative; zeros pad and count for nothing.
    samples: positive and finite. features: positive; ∞ is `ridge_equation.solve`.
    ridge: in [0, ∞]; ∞ gives κ = ∞, the null model.

    κ = 0 for ridge = 0 and min(T, m) ≥ d. Differentiable in both modes. The derivative in the ridge is infinite at
    ridge = 0 for T = m < d and for min(T, m) = d; the dtype's largest number stands there for infinity, so that a zero
    times it is zero.

    >>> s, one = np.array([[1.0, 0.5, 0.1]]), np.ones((1, 3))
    >>> kappa, converged = effective_ridge(s, one, np.array([2.0]), np.array([4.0]), np.array([0.3]))
    >>> df = (s / (s + kappa)).sum()
    >>> bool(np.isclose(kappa * (1 - df / 2) * (1 - df / 4), 0.3, rtol=1e-14).all())
    True
    """
    return root(eigenvalues, multiplicity, samples, features, ridge)[:2]
