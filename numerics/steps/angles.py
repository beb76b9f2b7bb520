r"""The angle between a predictor and the truth, which decides how often their signs differ.

On Gaussian test inputs of eigenvalues t_j the scores x·ŵ and x·w0 have different signs with probability θ/π, θ the
angle between ŵ and w0 in the inner product of the inputs. Let e be the truth's unit vector there, α = ⟨ŵ, e⟩ and P the
squared length of the rest, so that θ = arctan2(√P, α). With E ŵ_j = a_j w0_j, V_j = Var ŵ_j, n² = Σ t w0² and
ā = Σ t a w0²/n²,

    E α = n ā,   Var α = Σ t² w0² V/n²,   E P = Σ t (a−ā)² w0² + Σ t V − Var α,   Cov(α, P) = 2 Σ t² (a−ā) w0² V/n,
    Var P = 4 Σ t² (a−ā)² w0² V + 2 [Σ t² V² − 2 Σ t³ w0² V²/n² + (Var α)²] .

The deterministic equivalent of the overlap is ρ = E α/√(E α² + E P). The mean angle is smaller, by 1/(4 d_eff) of
itself where it is small, d_eff = (Σ t V)²/Σ t² V²: to second order

    E θ ≃ θ(E α, E P) + ½ θ_αα Var α + θ_αP Cov(α, P) + ½ θ_PP Var P .                                       (1)

A correction that lowers the angle is applied as θ²/(θ + |correction|), which cannot turn it around. Derived here;
fluctuations of the added variance from one draw of the inputs to the next are left out.
"""

import numpy as np

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, not_negative, times
from modelcollapse.numerics.steps.moments import Atoms, Moments

__all__ = ["angle", "finished"]


@compiled
@quiet()
def angle(atoms: Atoms, tested, moments: Moments):
    """Mean angle by (1), overlap ρ, mean square of the score and of the truth's score: four (P,).

    tested : (P or 1, A), eigenvalues of the test inputs. A predictor that is zero, or of infinite variance, has
    overlap 0 and a right angle; so has anything where there is no truth.

    >>> import numpy as np
    >>> s, zero = np.array([[1.0]]), np.zeros((1, 1))
    >>> atoms = Atoms(s, s, 100 * s, s)
    >>> mean, overlap, *_ = angle(atoms, s, Moments(1 + zero, zero, 0.01 + zero))
    >>> bool(np.isclose(overlap[0], 1 / np.sqrt(2))), bool(mean[0] < np.pi / 4)
    (True, True)
    """
    xp = namespace(atoms, tested, moments)
    endless = xp.any(xp.isinf(times(tested, moments.variance)), -1)
    variance = xp.where(xp.isinf(moments.variance), 0, moments.variance) * divide(1.0, atoms.scale, 0.0)
    signal, own = tested * atoms.signal, tested * atoms.multiplicity * variance
    truth = signal.sum(-1)
    length = xp.where(truth > 0, truth, 1)
    ratio, deficit = ((signal * part).sum(-1) / length for part in moments[:2])
    small = (xp.abs(ratio) < xp.abs(deficit))[:, None]  # a − ā, from the one that has the digits
    apart = xp.where(small, moments.ratio - ratio[:, None], deficit[:, None] - moments.deficit)
    noisy = signal * tested * variance
    along = xp.sqrt(length) * ratio
    along_variance = noisy.sum(-1) / length
    rest = (signal * apart**2).sum(-1) + own.sum(-1)
    across = not_negative(rest - along_variance, rest)
    covariance = 2 * (noisy * apart).sum(-1) / xp.sqrt(length)
    crossed, square = 4 * (noisy * apart**2).sum(-1), (tested * own * variance).sum(-1)
    twice = 2 * (noisy * tested * variance).sum(-1) / length
    across_variance = not_negative(crossed + 2 * (square - twice + along_variance**2), crossed + 2 * square)
    return finished(endless, truth, along, across, along_variance, covariance, across_variance)


def finished(endless, truth, along, across, along_variance, covariance, across_variance):
    """Mean angle, overlap and mean squares from the moments of α and P; `endless`: whether one is infinite."""
    xp = namespace(truth, along, across, across_variance)
    void = endless | (truth == 0) | ((along == 0) & (across == 0))
    found = _mean_angle(
        xp, xp.where(void, 1, along), xp.where(void, 0, across), along_variance, covariance, across_variance
    )
    square = along**2 + across + along_variance
    overlap = xp.where(void, 0, along / xp.sqrt(xp.where(void, 1, square)))
    return xp.where(void, np.pi / 2, found), overlap, xp.where(endless, np.inf, square), truth


def _mean_angle(xp, along, across, along_variance, covariance, across_variance):
    """(1), by mirror images for along < 0."""
    spread = across > 0
    safe = xp.where(spread, across, 1)
    root, total = xp.sqrt(safe), (along**2 + safe) ** 2
    change = along * root * along_variance / total + (safe - along**2) * covariance / (2 * root * total)
    change = change - along * (along**2 + 3 * safe) * across_variance / (8 * root * safe * total)
    side = xp.where(along < 0, -1.0, 1.0)
    plain = xp.arctan2(root, side * along)
    change = side * change
    lower = plain * plain / (plain + xp.maximum(-change, 0))
    bent = xp.minimum(xp.where(change < 0, lower, plain + change), np.pi)
    bent = xp.where(spread, bent, 0)
    return xp.where(along < 0, np.pi - bent, bent)
