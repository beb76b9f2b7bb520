r"""Fits repeated with the same numbers: chains of generations, and accumulated data.

**Chain.** n generations of the map of `fit`. Means shrink by p^n, p = s/(s+κ). Least-squares generations (κ = 0) add n
equal increments of variance; others iterate

    V_j ← p_j² V_j + scale_j s_j/(s_j+κ)² · v,    v = [E‖(1 − P) w‖²_Σ + σ²]/(T − df_2).                     (1)

**Accumulation.** k fits on all data so far with unnormalised ridge Λ: exactly
ŵ_k = ŵ_{k−1} + (A_k + Λ)^{-1} X_kᵀ ε_k, A_k = Σ_{g≤k} X_gᵀX_g. After the first fit the mean stays, and with N_g = gT,
κ_g = κ(Λ/N_g, N_g), round g ≥ 2 adds (derived here; least squares: Gerstgrasser et al. 2024)

    Var ŵ_{k,j} += σ² (T/N_g) s_j/(s_j + κ_g)² / (N_g − df_2(κ_g)).                                         (2)
"""

from modelcollapse.numerics.arrays import namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, times
from modelcollapse.numerics.equivalents.sources import one_source, projections, rows_left
from modelcollapse.numerics.steps.fit import fit_one
from modelcollapse.numerics.steps.moments import Moments, energy

__all__ = ["accumulate", "chain", "clean_accumulate", "clean_chain"]


def _repeat(xp, count, length, body, state):
    """`body` for k = 0 .. max(count) − 1, masked per lane; a static `length` allows reverse differentiation."""
    return xp.repeat(count, lambda k, x: xp.where((k < count)[:, None], body(k, x), x), state, length)


@quiet()
def chain(atoms, generations, samples, noise, ridge, exact, start, length=None):
    """n generations of fits with the same numbers (P,). Returns Moments, the projection p^n (P, A), converged (P,)."""
    xp = namespace(atoms, generations, samples, noise, ridge, start)
    s, multiplicity, one = atoms.eigenvalues, atoms.multiplicity, xp.ones_like(samples)
    here = one_source(s, multiplicity, samples, one, ridge)
    kappa = here.kappa
    infinite = xp.isinf(kappa)
    finite = xp.where(infinite, 1, kappa)[:, None]
    learned, null = projections(s[None], xp.broadcast_to(s, start.ratio.shape), one[None], kappa)
    learned = learned[0]
    alive = learned > 0
    decay = xp.where(alive, -xp.log1p(finite / xp.where(s > 0, s, 1)), -1)

    def survival(k):
        """p^k and 1 − p^k."""
        k = xp.broadcast_to(xp.asarray(k), kappa.shape)[:, None]
        exponent = k * decay
        return (
            xp.where(alive, xp.exp(exponent), xp.where(k > 0, 0, 1)),
            xp.where(alive, -xp.expm1(exponent), xp.where(k > 0, 1, 0)),
        )

    kept, lost = survival(generations)
    left, _ = rows_left(s, multiplicity, samples[None], one[None], here)
    wishart = exact & (ridge == 0) & (kappa == 0)
    left = xp.where(wishart, xp.maximum(left - 1, 0), left)
    kernel = divide(1.0, finite + s, 0.0)
    shape = xp.where(infinite[:, None], 0, (s * kernel) * (atoms.scale * kernel))

    least_squares = kappa == 0
    total = divide(generations * noise**2, left)[:, None]

    def advance(k, variance):
        mean = null * survival(k)[0] * start.ratio
        risk = energy(atoms, s, mean, times(null**2, variance)) + noise**2
        return times(learned**2, variance) + times(shape, divide(risk, left)[:, None])  # (1)

    iterated = _repeat(xp, xp.where(least_squares, 0, generations), length, advance, start.variance)
    added = times(xp.where(s > 0, shape, 0), total) + start.variance
    variance = xp.where(least_squares[:, None], added, iterated)
    variance = xp.where((s > 0) | (generations == 0)[:, None], variance, 0)
    return Moments(kept * start.ratio, kept * start.deficit + lost, variance), kept, here.converged


@quiet()
def accumulate(atoms, rounds, samples, noise, penalty, exact, start, length=None):
    """k fits on all data so far, penalty Λ. Returns Moments, the projection of `start` (P, A), converged (P,)."""
    xp = namespace(atoms, rounds, samples, noise, penalty, start)
    first, learned, converged = fit_one(atoms, samples, noise, penalty / samples, exact, start)
    zeros = xp.zeros_like(first.ratio)

    def advance(k, variance):
        rows = samples * (k + 2)
        fresh, _, _ = fit_one(atoms, rows, noise, penalty / rows, exact, Moments(zeros, zeros, zeros))
        return variance + fresh.variance / (k + 2)  # (2)

    variance = _repeat(xp, rounds - 1, length, advance, first.variance)
    some = (rounds > 0)[:, None]
    return _chosen(xp, some, first._replace(variance=variance), start), xp.where(some, learned, 1), converged


def clean_chain(atoms, generations, samples, noise, ridge, exact, start):
    """The last generation of a chain had the truth labelled its data; `start` if there is none."""
    return _truth_fit(atoms, generations, samples, noise, ridge, exact, start)


def clean_accumulate(atoms, rounds, samples, noise, penalty, exact, start):
    """The last accumulated fit had the truth labelled all of its rows; `start` if there is none."""
    rows = samples * namespace(rounds).maximum(rounds, 1)
    return _truth_fit(atoms, rounds, rows, noise, penalty / rows, exact, start)


@quiet()
def _truth_fit(atoms, count, samples, noise, ridge, exact, start):
    xp = namespace(atoms, count, samples, noise, ridge, start)
    zeros = xp.zeros_like(start.ratio)
    fitted, learned, converged = fit_one(atoms, samples, noise, ridge, exact, Moments(zeros + 1, zeros, zeros))
    some = (count > 0)[:, None]
    return _chosen(xp, some, fitted, start), xp.where(some, 0, xp.ones_like(learned)), converged


def _chosen(xp, some, new, old):
    return Moments(*(xp.where(some, x, y) for x, y in zip(new, old, strict=True)))
