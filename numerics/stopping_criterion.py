r"""When to stop training, from the data alone: leave-one-out along gradient flow.

**Flow as ridge fits.** On the nodes Z_a and weights dZ_a/(2πi) of `contour.hankel`, with
$c_a = e^{-Z_a} dZ_a / (2\pi i\, Z_a)$ and the complex ridges $\lambda_a = -Z_a/t$,

$$ e^{-tk} = \sum_a c_a \frac{\lambda_a}{k + \lambda_a}, \qquad \sum_a c_a = 1 : $$

a model trained by the flow dw/dt = Xᵀy/T − S w for a time t is the same combination of ridge fits at λ_a. Whatever is
linear in a ridge fit and known at complex λ is so known along the flow.

**Leave-one-out.** The residual of a left-out row under ridge is $[(K/T + \lambda)^{-1} y]_i /
[(K/T + \lambda)^{-1}]_{ii}$, an identity in λ. With its denominators averaged as in GCV, $\hat\kappa(\lambda) = 1 /
mean_i\, 1/(k_i + \lambda)$, where k_i are the eigenvalues of K/T, zeros included, and U its eigenvectors,

$$ LOO(t) = mean_i\,(h(k_i)\,(U^\top y)_i)^2, \qquad h(k) = \sum_a c_a \frac{\hat\kappa(\lambda_a)}{k + \lambda_a} . $$

For one ridge, h = κ̂/(k + λ), this is GCV. For the flow it is not mean((y − ŷ)²)/(1 − tr S g(S)/T)², which is off by
factors: that ratio is a property of one ridge, not of a combination.

**Correction.** The error of the labels' authors enters by the same combination of `Correction.slope` of
`modelcollapse.numerics.provenance.corrected_risk` at κ̂(λ_a) and $df_1(\lambda_a) = \sum_i k_i / (k_i + \lambda_a)$; for
least-squares generators that is exactly $2 \sum_g p_g^2 v_g\; tr\, S g(S)$. Derived here.
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.equivalents.contour import hankel

__all__ = ["StoppingCurve", "learned", "stopping_curve"]

_AT_ONCE = 2**15  # complex numbers that stay in a core's cache


class StoppingCurve(NamedTuple):
    """Along times (L,): the leave-one-out error on the labels at hand, tr S g(S), and the part of the correction that
    varies, each (L,)."""

    leave_one_out: np.ndarray
    degrees_of_freedom: np.ndarray
    correction: np.ndarray


def learned(path, times):
    """1 − e^{−tk}, the share of every eigendirection that is learned: (L, r) for times (L,) and a RidgePath."""
    return -np.expm1(-np.asarray(times, dtype=float)[:, None] * path.values / path.rows)


def stopping_curve(path, times, slope=None):
    """Leave-one-out along gradient flow, and what the labels' authors add to it.

    Parameters
    ----------
    path : RidgePath
        Kernel matrix and labels in the eigenbasis.
    times : array (L,)
        Finite and at least 0, of the flow of half the mean squared error, (1/2T)‖y − Xw‖².
    slope : function (κ (n,), df_1 (n,)) -> (n,), optional
        `Correction.slope`; it is called with complex arrays.

    Leave-one-out is averaged over the outputs, as GCV in `RidgePath`. Training for ever is the ridge λ = 0:

    >>> from modelcollapse.numerics.provenance.ridge_path import RidgePath
    >>> path = RidgePath(np.array([2.0, 1.0]), np.ones((2, 1)), 1.0, rows=3, null=1)
    >>> curve, (_, gcv, df) = stopping_curve(path, [0.0, 1e3]), path(np.array([0.0]))
    >>> bool(np.isclose(curve.leave_one_out[1], gcv[0]) and np.isclose(curve.degrees_of_freedom[1], df[0]))
    True
    >>> float(curve.degrees_of_freedom[0])
    0.0
    """
    squares, k, times = np.mean(path.coordinates**2, axis=1), path.values / path.rows, np.asarray(times, dtype=float)
    error, correction = np.zeros(len(times)), np.zeros(len(times))
    weights, _ = complex_ridges(1.0)
    size = max(1, _AT_ONCE // (len(weights) * max(len(k), 1)))
    for part in (slice(start, start + size) for start in range(0, len(times), size)):
        _, ridges = complex_ridges(times[part, None])
        inverse = 1 / (k + ridges[..., None])
        kappa = path.rows / (inverse.sum(axis=-1) + path.null / ridges)
        inside = ((weights * kappa)[:, None] @ inverse)[:, 0]
        outside = np.sum(weights * kappa / ridges, axis=1)
        error[part] = (inside.real**2 @ squares + outside.real**2 * path.rest) / path.rows
        if slope is not None:
            slopes = slope(kappa.ravel(), (inverse @ k).ravel()).reshape(kappa.shape)
            correction[part] = np.sum(weights * slopes, axis=1).real
    return StoppingCurve(error, learned(path, times).sum(axis=1), correction)


def complex_ridges(time):
    """Weights c_a and ridges λ_a (n,) whose combination is the flow for a time, which broadcasts; real parts are meant.

    >>> weights, ridges = complex_ridges(2.0)
    >>> bool(np.isclose(np.sum(weights * ridges / (0.7 + ridges)).real, np.exp(-2.0 * 0.7), rtol=1e-12))
    True
    """
    Z, dZ = hankel()
    return 2 * dZ * np.exp(-Z) / Z, -Z / np.maximum(time, np.finfo(float).tiny ** 0.5)
