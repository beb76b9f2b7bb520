r"""Degrees of freedom, and the samples that they leave.

A spectrum is a weighted list of atoms: eigenvalue s_j, multiplicity μ_j. At effective ridge κ direction j is
fitted with the share p_j and lost with the share q_j,

    p_j = s_j/(s_j + κ),    q_j = κ/(s_j + κ),    df_m(κ) = Σ_j μ_j p_j^m .                                 (1)

Every error formula divides by T − df_2, which is small exactly where errors are large (T near the number of
directions). Subtracting there loses all digits, so the integer part is taken first: with L = {s_j > κ}

    T − df_1 = (T − Σ_L μ) + Σ_L μ q − Σ_{not L} μ p,                                                       (2)
    T − df_2 = (T − Σ_L μ) + Σ_L μ q(1 + p) − Σ_{not L} μ p² .                                              (3)

Σ_L μ is exact for whole multiplicities (for quadratures whose total is whole, by `counted`) and no other term
is larger than the quantity's own slope in log κ.
Hence both are as accurate as T, μ and κ themselves.

Shapes: `eigenvalues` and `multiplicity` (P, A) or (1, A), the rest (P,). An atom of eigenvalue zero counts
for nothing, whatever its multiplicity, so atoms pad with zeros. Numbers below the dtype's normal range count
as zero.
"""

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, differentiable, namespace, quiet

__all__ = [
    "atom_sums",
    "counted",
    "degrees_of_freedom",
    "divide",
    "in_range",
    "not_negative",
    "samples_left",
    "shares",
    "times",
]


def atom_sums(*terms: Float[Array, "#P A"]) -> tuple[Float[Array, " P"], ...]:
    """Sum several arrays (..., A) over the atoms, in one pass where compiled; returns a tuple of (...,)."""
    xp = namespace(*terms)
    return xp.sum_together(*xp.broadcast_arrays(*terms))


def divide(numerator, denominator, at_zero=None):
    """numerator / denominator, and `at_zero` where the denominator is zero: by default 0 / 0 = 0, x / 0 = inf."""
    xp = namespace(numerator, denominator)
    zero = denominator == 0
    if at_zero is None:
        at_zero = xp.where(numerator == 0, 0.0, np.inf)
    return xp.where(zero, at_zero, numerator / xp.where(zero, 1.0, denominator))


def times(left, right):
    """left · right with 0 · inf = inf · 0 = 0 and the usual derivatives wherever both are finite."""
    xp = namespace(left, right)
    void = ((left == 0) & xp.isinf(right)) | (xp.isinf(left) & (right == 0))
    return xp.where(void, 0.0, xp.where(void, 1.0, left) * xp.where(void, 1.0, right))


def not_negative(total, size):
    """A sum that is a square by what it means, and that rounding may have left below zero: then it is zero.

    size : what was added up, of which roots and quadratures are known to 1e-8 (in double precision). A sum that is more
    negative than that is no rounding: it becomes NaN, which every door refuses.

    >>> [float(x) for x in not_negative(np.array([2.0, -1e-12, -1e-3]), np.ones(3))]
    [2.0, 0.0, nan]
    """
    xp = namespace(total, size)
    rounding = max(1e-8, 1e5 * float(np.finfo(total.dtype).eps))
    return xp.where(total >= -rounding * xp.stop_gradient(size), xp.maximum(total, 0), np.nan)


def in_range(values):
    """Values ≥ 0 with subnormal ones set to zero and huge ones to a sixteenth of the dtype's largest.

    Reciprocals of what is left, and of sums of two, neither overflow nor underflow. The derivative at zero is
    one.
    """
    xp, limits = namespace(values), np.finfo(values.dtype)
    zero = values - xp.stop_gradient(values)
    return xp.where(values < 4 * limits.tiny, zero, xp.minimum(values, limits.max / 16))


def _reciprocal(eigenvalues, kappa):
    return divide(1.0, eigenvalues + kappa, 1.0)


def _shares_rule(arguments, results, tangents):
    """dp = (q ds − p dκ)/(s + κ) = −dq, written out because (s + κ)^-2 overflows for the tail of a steep spectrum."""
    (fitted, lost), reciprocal = results, _reciprocal(*arguments)
    change = lost * reciprocal * tangents[0] - fitted * reciprocal * tangents[1]
    return change, -change


@differentiable(_shares_rule)
def shares(eigenvalues, kappa):
    """The fitted share s/(s+κ) and the lost share κ/(s+κ) of (1); both 0 where s = κ = 0.

    Arguments broadcast against each other and are `in_range`.
    """
    reciprocal = _reciprocal(eigenvalues, kappa)
    return eigenvalues * reciprocal, kappa * reciprocal


def counted(total):
    """A sum of multiplicities, taken as the whole number that it misses by no more than the rounding of the sum.

    The atoms of a quadrature have fractional multiplicities that add up to a whole number of directions; T = d is
    to be met exactly.
    """
    xp = namespace(total)
    nearest = xp.round(total)
    rounding = 256 * np.finfo(total.dtype).eps * nearest
    return total + xp.stop_gradient(xp.where(xp.abs(total - nearest) <= rounding, nearest - total, 0))


@quiet()
def degrees_of_freedom(
    eigenvalues: Float[Array, "#P A"], multiplicity: Float[Array, "#P A"], kappa: Float[Array, " P"], order: int
) -> Float[Array, " P"]:
    r"""df_m(κ) = Σ_j μ_j (s_j/(s_j+κ))^m of order m = 1, 2, … (a Python int).

    At κ = 0 every order counts the positive eigenvalues, at κ = ∞ it is 0 up to rounding (below 1e-300 in
    float64 for a trace of order one).

    >>> s, one = np.array([[3.0, 1.0, 0.0]]), np.ones((1, 3))
    >>> [float(degrees_of_freedom(s, one, np.zeros(1), order)[0]) for order in (1, 2)]
    [2.0, 2.0]
    """
    fitted, _ = shares(in_range(eigenvalues), in_range(kappa)[:, None])
    return atom_sums(multiplicity * fitted**order)[0]


@quiet()
def samples_left(
    eigenvalues: Float[Array, "#P A"],
    multiplicity: Float[Array, "#P A"],
    samples: Float[Array, " P"],
    kappa: Float[Array, " P"],
) -> tuple[Float[Array, " P"], Float[Array, " P"]]:
    r"""(T − df_1(κ), T − df_2(κ)) without cancellation, by (2) and (3).

    At κ = 0 both are T − d, where d counts the positive eigenvalues; at κ = ∞ both are T.

    >>> s, one = np.ones((1, 1)), np.ones((1, 1))
    >>> left, _ = samples_left(s, 1000 * one, np.array([1000.0]), np.array([1e-12]))
    >>> bool(np.isclose(left[0], 1e-9, rtol=1e-11))  # 1000 - 1000/(1 + 1e-12) has four digits
    True
    """
    xp = namespace(eigenvalues, multiplicity, samples, kappa)
    eigenvalues, kappa = in_range(eigenvalues), in_range(kappa)[:, None]
    fitted, lost = shares(eigenvalues, kappa)
    large = eigenvalues > kappa
    whole, first, second = atom_sums(
        xp.where(large, multiplicity, 0),
        multiplicity * xp.where(large, lost, -fitted),
        multiplicity * xp.where(large, lost * (1 + fitted), -(fitted**2)),
    )
    spare = samples - counted(whole)
    return spare + first, spare + second
