r"""Degrees of freedom, and the samples that they leave.

A spectrum is a weighted list of atoms: eigenvalue s_j, multiplicity μ_j. At effective ridge κ direction j is
fitted with the share p_j and lost with the share q_j,

    p_j = s_j/(s_j + κ),    q_j = κ/(s_j + κ),    df_m(κ) = Σ_j μ_j p_j^m .

Every error formula divides by T − df_2, which is small exactly where errors are large (T near the number of
directions). Subtracting there loses all digits, so the integer part is taken first: with L = {s_j > κ}

    T − df_1 = (T − Σ_L μ) + Σ_L μ q − Σ_{not L} μ p
    T − df_2 = (T − Σ_L μ) + Σ_L μ q(1 + p) − Σ_{not L} μ p² .

Σ_L μ is exact for whole multiplicities (for quadratures whose total is whole, by `counted`) and no other term
is larger than the quantity's own slope in log κ.
Hence both are as accurate as T, μ and κ themselves.

Shapes: `eigenvalues` and `multiplicity` (P, A) or (1, A), the rest (P,). An atom of eigenvalue zero counts
for nothing, whatever its multiplicity, so atoms pad with zeros. Numbers below the dtype's normal range count
as zero.
"""

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["atom_sums", "counted", "degrees_of_freedom", "in_range", "samples_left", "shares"]


@jax.custom_jvp
def _sums(terms):
    zero = jnp.zeros((), terms[0].dtype)

    def add(left, right):
        return tuple(a + b for a, b in zip(left, right, strict=True))

    return lax.reduce(terms, (zero,) * len(terms), add, (terms[0].ndim - 1,))


@_sums.defjvp
def _sums_jvp(primals, tangents):
    return _sums(*primals), tuple(jnp.sum(tangent, axis=-1) for tangent in tangents[0])


def atom_sums(*terms):
    """Sum several arrays (..., A) over the atoms in one pass; returns a tuple of (...,).

    XLA runs separate `jnp.sum`s on the CPU as separate loops that each recompute their terms; one reduction
    of a tuple is several times faster.
    """
    terms = jnp.broadcast_arrays(*terms)
    dtype = jnp.result_type(*terms)
    return _sums(tuple(term.astype(dtype) for term in terms))


def in_range(values):
    """Values ≥ 0 with subnormal ones set to zero and huge ones to a sixteenth of the dtype's largest.

    Reciprocals of what is left, and of sums of two, neither overflow nor underflow. The derivative at zero is
    one.
    """
    limits = jnp.finfo(values.dtype)
    zero = values - lax.stop_gradient(values)
    return jnp.where(values < 4 * limits.tiny, zero, jnp.minimum(values, limits.max / 16))


def _reciprocal(eigenvalues, kappa):
    total = eigenvalues + kappa
    return 1 / jnp.where(total > 0, total, 1)


@jax.custom_jvp
def shares(eigenvalues, kappa):
    """The fitted share s/(s+κ) and the lost share κ/(s+κ); both 0 where s = κ = 0.

    Arguments broadcast against each other and are `in_range`. The derivative is written out because autodiff
    forms 1/(s+κ)², which overflows for the tail of a steep spectrum.
    """
    reciprocal = _reciprocal(eigenvalues, kappa)
    return eigenvalues * reciprocal, kappa * reciprocal


@shares.defjvp
def _shares_jvp(primals, tangents):
    fitted, lost = shares(*primals)
    reciprocal = _reciprocal(*primals)
    change = lost * reciprocal * tangents[0] - fitted * reciprocal * tangents[1]
    return (fitted, lost), (change, -change)


def counted(total):
    """A sum of multiplicities, taken as the whole number that it misses by no more than the rounding of the sum.

    The atoms of a quadrature have fractional multiplicities that add up to a whole number of directions; T = d is
    to be met exactly.
    """
    nearest = jnp.round(total)
    rounding = 256 * jnp.finfo(total.dtype).eps * nearest
    return total + lax.stop_gradient(jnp.where(jnp.abs(total - nearest) <= rounding, nearest - total, 0))


def degrees_of_freedom(eigenvalues, multiplicity, kappa, order):
    r"""df_m(κ) = Σ_j μ_j (s_j/(s_j+κ))^m of order m = 1, 2, … (a Python int); shape (P,).

    At κ = 0 every order counts the positive eigenvalues, at κ = ∞ it is 0 up to rounding (below 1e-300 in
    float64 for a trace of order one).

    >>> s, one = jnp.array([[3.0, 1.0, 0.0]]), jnp.ones((1, 3))
    >>> [float(degrees_of_freedom(s, one, jnp.zeros(1), order)[0]) for order in (1, 2)]
    [2.0, 2.0]
    """
    fitted, _ = shares(in_range(eigenvalues), in_range(kappa)[:, None])
    return atom_sums(multiplicity * fitted**order)[0]


def samples_left(eigenvalues, multiplicity, samples, kappa):
    r"""(T − df_1(κ), T − df_2(κ)), each (P,), without cancellation (see the module).

    At κ = 0 both are T − d, where d counts the positive eigenvalues; at κ = ∞ both are T.

    >>> s, one = jnp.ones((1, 1)), jnp.ones((1, 1))
    >>> left, _ = samples_left(s, 1000 * one, jnp.array([1000.0]), jnp.array([1e-12]))
    >>> bool(jnp.isclose(left[0], 1e-9, rtol=1e-6))  # single precision; 1000 - 1000/(1 + 1e-12) would be 0
    True
    """
    eigenvalues, kappa = in_range(eigenvalues), in_range(kappa)[:, None]
    fitted, lost = shares(eigenvalues, kappa)
    large = eigenvalues > kappa
    whole, first, second = atom_sums(
        jnp.where(large, multiplicity, 0),
        multiplicity * jnp.where(large, lost, -fitted),
        multiplicity * jnp.where(large, lost * (1 + fitted), -(fitted**2)),
    )
    spare = samples - counted(whole)
    return spare + first, spare + second
