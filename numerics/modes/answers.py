r"""Answers in one number: how long modes live, how much real data keeps them, where more data stop paying.

The half-life counts generations until the founders b of a generation have lost half of the modes of the first, D(b) ≤
D(M)/2. Real data with a share α in every generation keep founders for ever,

    R = Σ_k α b_k,    b_{k+1} = M (1 - (1-1/M)^{(1-α) b_k}),    b_1 = M,

and growth by a factor r keeps the share g of r = -ln(1-g)/g. Both are solved for the modes that are to be kept. For the
Gini diversity the stationary pair of draws gives α = 1 - √(1 - θ/((1-θ)(M-1))).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelcollapse.numerics.modes.atoms import atoms_of
from modelcollapse.numerics.modes.founders import Founders, occupied
from modelcollapse.numerics.modes.functionals import modes
from modelcollapse.theory.modes.laws import Zipf
from modelcollapse.theory.modes.loops import _checked
from modelcollapse.theory.modes.parameters import DRAWS, given
from modelcollapse.theory.numbers.domains import Domain

__all__ = ["Plateau", "growth_for", "half_life", "plateau", "real_share_for"]

_KEPT = Domain(0, 1, True, True, remedy="give the share to be kept, between 0 and 1")
_REAL = Domain(0, 1, low_open=True, remedy="give a positive share; without real data a plateau never ends")
_FEW = 0.002  # of the draws of a generation: below, lineages merge in pairs
_STEP = 0.01  # founders lost per founder and stride, once many generations are taken in one stride


def half_life(law, samples):
    """Generations of `samples` draws until half of the modes of the first generation are gone: whole number or grid.

    law : Law, without grids
    samples : number or grid, at least 2

    Exact up to the second moments of the founders while a generation loses more than one founder in two hundred; later
    ones are taken many at a time, to half a percent. For a Zipf law the answer hardly depends on samples:

    >>> import modelcollapse as mc
    >>> [mc.modes.half_life(mc.modes.zipf(beta), 10**6) for beta in (1.2, 1.5, 2.0, 3.0)]
    [4, 5, 7, 15]
    """
    law, samples = _alone(law), given("samples", samples, DRAWS, traceable=False)
    found = [_half_life(law, float(m)) for m in np.ravel(samples)]
    return found[0] if np.ndim(samples) == 0 else np.reshape(found, np.shape(samples))


def _half_life(law, items):
    atoms = atoms_of(law)

    def left(mean, variance):
        return float(modes(atoms, Founders(np.float64(mean), np.float64(variance), least=1.0), law.own_truth))

    half, mean, variance, generation, stride = left(items, 0.0) / 2, items, 0.0, 1, 1
    if half <= 1 + 1e-9:
        raise ValueError(f"half of the {2 * half:.3g} modes of {law!r} is one, never lost; give a law of more symbols")
    while left(mean, variance) > half:
        stride = _stride(generation, items, mean, 0.0)
        hit = occupied(np.float64(mean), np.float64(variance), items / stride, least=1.0)
        mean, variance, generation = float(hit.mean), float(hit.variance), generation + stride
    return generation


def real_share_for(law, samples, keep=0.99, of="modes"):
    """The share of real data in every generation that keeps a share of the modes, or of the diversity, for ever.

    law : Law, without grids
    samples : number or grid, at least 2, per generation
    keep : number or grid in (0, 1), of what the first generation has
    of : "modes", or "diversity" (Gini: which cannot see the tail)

    Returns a number or grid in [0, 1]. Raises ValueError for another `of`.

    >>> import modelcollapse as mc
    >>> law = mc.modes.zipf(1.5)
    >>> alpha = mc.modes.real_share_for(law, 1000, keep=0.9)
    >>> forever = mc.modes.mix(law, 2000, 1000, alpha)
    >>> round(float(alpha), 3), round(float(forever.alive / law.modes(1000)), 6)
    (0.473, 0.9)
    """
    if of not in ("modes", "diversity"):
        raise ValueError(f"of = {of!r} is neither 'modes' nor 'diversity'; give one of the two")
    law = _alone(law)
    samples, keep = given("samples", samples, DRAWS, False), given("keep", keep, _KEPT, False)
    solve = _share_for_modes if of == "modes" else _share_for_diversity
    pairs = np.broadcast_arrays(np.asarray(samples, float), np.asarray(keep, float))
    found = [solve(law, m, k) for m, k in zip(pairs[0].ravel().tolist(), pairs[1].ravel().tolist(), strict=True)]
    return np.reshape(found, pairs[0].shape)[()]


def _share_for_diversity(law, items, keep):
    """The pair chance of a mixture at rest; 1 where even fresh real data have less."""
    odds = keep / (1 - keep) / (items - 1)
    return 1.0 if odds >= 1 else 1 - math.sqrt(1 - odds)


def _share_for_modes(law, items, keep):
    full = float(law.modes(items))

    def excess(log_share):
        if log_share == 0.0:
            return 1 - keep
        return _kept_for_ever(law, items, math.exp(log_share)) / full - keep

    lowest = math.log(1e-4 / items)
    return 0.0 if excess(lowest) >= 0 else math.exp(_root(excess, lowest, 0.0))


def _root(function, low, high) -> float:
    from scipy.optimize import brentq

    found: Any = brentq(function, low, high, xtol=1e-10)
    return found


def _kept_for_ever(law, items, share):
    """Modes of a mixture at rest: founders until few are left, and Ewens' number of those."""
    mean, variance = np.float64(items), np.float64(0.0)
    real = real_variance = covariance = np.float64(0.0)
    generation = 1
    while mean > _FEW * items and mean * (1 - share) > 1e-9 * (1 + real):
        stride = _stride(generation, items, mean, share)
        part, left = -math.expm1(stride * math.log1p(-share)), items / stride
        moved = part * (1 - part)
        beside = (1 - part) * covariance + moved * (variance - mean)
        real_variance += 2 * part * covariance + part**2 * variance + moved * mean
        real += part * mean
        hit = occupied((1 - part) * mean, (1 - part) ** 2 * variance + moved * mean, left)
        mean, variance, covariance, generation = hit.mean, hit.variance, hit.slope * beside, generation + stride
    ended, slope, spread = _ewens(mean, 2 * items * share * (1 - share / 2) / (1 - share) ** 2)
    more = slope**2 * variance + spread + 2 * slope * covariance
    founders = Founders(real + ended, real_variance + more, least=1.0)
    return float(modes(atoms_of(law), founders, law.own_truth))


def _ewens(lineages, theta):
    """Σ_{i<b} θ/(θ+i), its derivative in b, and Σ_{i<b} θ i/(θ+i)²: real draws that b lineages end in."""
    from scipy.special import digamma, polygamma

    log_like = digamma(theta + lineages) - digamma(theta)
    squares = polygamma(1, theta) - polygamma(1, theta + lineages)
    return theta * log_like, theta * polygamma(1, theta + lineages), theta * log_like - theta**2 * squares


def _stride(generation, items, mean, share):
    """Generations taken as one of so many times fewer draws: one at first, then few enough to merge little."""
    return max(1, min(int(_STEP * items / mean), int(_STEP / share) if share else generation, generation // 100 + 1))


def growth_for(law, samples, keep=0.99):
    """The factor by which each generation has to be larger than the one before to keep a share of the modes for ever.

    Arguments as for `real_share_for`; number or grid above 1.

    >>> import modelcollapse as mc
    >>> law = mc.modes.zipf(1.5)
    >>> rate = mc.modes.growth_for(law, 1000, keep=0.8)
    >>> round(float(rate), 2), round(float(mc.modes.grow(law, 60, 1000, rate).alive / law.modes(1000)), 2)
    (1.76, 0.8)
    """
    law = _alone(law)
    samples, keep = given("samples", samples, DRAWS, False), given("keep", keep, _KEPT, False)

    def solved(items, share):
        wanted = share * float(law.modes(items))
        survival = _root(lambda g: float(law.modes(g * items)) - wanted, 0.0, 1.0)
        return -math.log1p(-survival) / survival

    return np.vectorize(solved, otypes=[float])(samples, keep)[()]


def _alone(law):
    if _checked(law).shape:
        raise ValueError(f"law is a grid of shape {law.shape}; ask for one law at a time")
    return law


@dataclass(frozen=True, eq=False)
class Plateau:
    """Where the missing mass of a learner stands still: from `begin` to `end` samples it is about `missing_mass`.

    `floor` is what it would never get below without real data.
    """

    begin: np.ndarray
    end: np.ndarray
    missing_mass: np.ndarray
    floor: np.ndarray = field(repr=False)

    def __repr__(self):
        if np.ndim(self.begin):
            return f"Plateau(<{'x'.join(map(str, np.shape(self.begin)))} grid>)"
        return f"Plateau({self.begin:.4g} to {self.end:.4g} samples at {self.missing_mass:.4g})"


def plateau(law, real_share, *, generator_samples=math.inf):
    """Where more samples stop paying, and where their real share makes them pay again.

    law : Law; what the generator draws: a cut Zipf law, or a whole one known through `generator_samples` draws
    real_share : number or grid in (0, 1], of the learner's samples
    generator_samples : number or grid, at least 2

    Returns a `Plateau`. It begins where the error of learning meets the floor, T_x = Γ(2-1/β)^(β/(β-1))/p_k for a cut
    at k and the generator's own samples else, and ends 1/real_share later: fewer real data buy nothing.

    >>> import modelcollapse as mc
    >>> law = mc.modes.zipf(1.5, cut=100)
    >>> flat = mc.modes.plateau(law, 0.01)
    >>> at = law.missing_mass([flat.begin, 10 * flat.begin, 100 * flat.end], real_share=0.01)
    >>> round(float(flat.begin)), round(float(flat.end)), at.round(3)
    (1860, 186020, array([0.086, 0.075, 0.016]))
    """
    law = _checked(law)
    share = given("real_share", real_share, _REAL, traceable=False)
    lowest = Domain(2, remedy="give two or more samples, or inf")
    drawn = np.asarray(given("generator_samples", generator_samples, lowest, traceable=False), float)
    finite = np.isfinite(drawn)
    if np.all(finite):
        begin, floor = drawn, law.missing_mass(drawn)
    elif isinstance(law, Zipf) and law.cut is not None and law.exponent is None and not np.any(finite):
        atoms = atoms_of(law)
        floor = (atoms.truth * (atoms.law == 0) * atoms.weight).sum(-1) + atoms.tail.truth
        if np.any(np.asarray(floor) == 0):
            raise ValueError(f"the cut of {law!r} leaves nothing out; give a cut below its size")
        begin = _crossing(np.asarray(law.beta, float), np.asarray(law.cut, float), atoms.truth[..., 0])
    else:
        raise ValueError(
            f"{law!r} with generator_samples = {generator_samples!r} has no plateau of its own; give zipf(beta, cut=k) "
            "or a finite number of samples that the generator learned from"
        )
    begin, end, floor = np.broadcast_arrays(begin, begin / share, floor)
    middle = law.missing_mass(np.sqrt(begin * end), real_share=share, generator_samples=generator_samples)
    return Plateau(begin[()], end[()], middle, floor[()])


def _crossing(beta, cut, first):
    """T_x of the leading terms: Γ(2-1/β)^(β/(β-1))/p_k, with p_k of the whole law."""
    from scipy.special import gammaln

    return np.exp(gammaln(2 - 1 / beta) * beta / (beta - 1)) / (first * cut**-beta)
