r"""Gradient flow that stops early because it knows who wrote its labels.

Labels at hand reward fitting the errors of the models that wrote them, so held-out labels of the same kind stop
training too late. What the provenance of the labels says about those errors is added,

    corrected risk(t) = leave-one-out(t) + 2 ⟨ŵ_t, w̄ - w0⟩ + constant,

along gradient flow from zero (`modelcollapse.numerics.stopping_criterion`).

Everywhere here the flow descends half the mean squared error, dw/dt = -∇ (1/2T)‖y - Xw‖²: k gradient steps of length h
are the time k·h, and a loop that descends the mean squared error itself moves twice as fast.
"""

import numpy as np

from modelcollapse.estimators.shared import CollapseAware
from modelcollapse.numerics.provenance.ridge_path import reaching
from modelcollapse.numerics.stopping_criterion import complex_ridges, learned, stopping_curve
from modelcollapse.theory.pipelines.filters import TIME


class CollapseAwareGradientFlow(CollapseAware):
    """Gradient flow on a linear or kernel model, stopped for the truth behind synthetic labels.

    The model starts at zero and is trained on all rows by the flow of half the mean squared error; k steps of length h
    of gradient descent are the time k·h. The whole path costs one eigendecomposition.

    Parameters
    ----------
    generations, generator_samples, generator_noise, generator_ridge
        Who wrote the labels, as in CollapseAwareRidge: the generators are least-squares or ridge fits.
    kernel, gamma, degree, coef0, kernel_params, fit_intercept
        As in CollapseAwareRidge. A network in the linear regime is its tangent kernel, kernel="precomputed".
    times : "auto" or array of shape (L,)
        The times to choose from. "auto": twelve per decade over eleven decades around 1 / (mean eigenvalue).

    Attributes
    ----------
    time_ : float
        The chosen time, in units of 1 / (eigenvalue of XᵀX / rows).
    path_ : dict of arrays of shape (L,)
        time, leave_one_out, corrected_risk (error on clean labels of the same noise, label noise included; equals
        leave_one_out for real rows), degrees_of_freedom (trace of the hat matrix without the intercept). With several
        outputs the errors are means over them. Where fewer than eight degrees of freedom are left to the residual
        leave_one_out is not believed, and corrected_risk is not below its largest value elsewhere.
    coef_ or dual_coef_, intercept_, generator_noise_, generator_error_
        As in CollapseAwareRidge.
    criterion_ : str
        "leave-one-out" (nothing to correct), "noise" or "noise, posterior" (least-squares generators), "noise and bias"
        (generators that shrink the signal; eigenvalues and signal are estimated), or "leave-one-out (fallback)".

    Notes
    -----
    What CollapseAwareRidge says about its corrections and when they fall back holds here: the same corrections are
    carried from ridge to the flow, and noise and signal are estimated by the same fits.

    Examples
    --------
    The more synthetic the labels, the earlier training stops on the same data.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 40)) * np.arange(1, 41) ** -0.5
    >>> y = X @ np.ones(40) + rng.standard_normal(100)
    >>> real = CollapseAwareGradientFlow().fit(X, y)
    >>> fake = CollapseAwareGradientFlow(generations=10, generator_samples=80, generator_noise=0.3).fit(X, y)
    >>> round(real.time_, 1), round(fake.time_, 1), fake.criterion_
    (44.2, 11.5, 'noise')
    """

    _strength, _uncorrected = "time", "leave-one-out"

    def __init__(
        self,
        generations=0,
        generator_samples=None,
        generator_noise=None,
        generator_ridge=0.0,
        kernel="linear",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        times="auto",
        fit_intercept=True,
    ):
        provenance = generations, generator_samples, generator_noise, generator_ridge
        super().__init__(*provenance, kernel, gamma, degree, coef0, kernel_params, fit_intercept)
        self.times = times

    def _settle(self, time, rows):
        self.time_ = time

    def _candidates(self, path):
        def auto(scale):
            grid = np.geomspace(1e-2, 1e9, 133) / scale
            return reaching(grid, max(1 / path.lowest, grid[-1]))

        return self._strengths(path, self.times, auto, TIME)

    def _leave_one_out(self, path, times):
        return stopping_curve(path, times)[:2]

    def _held_out(self, path, time):
        """h of `modelcollapse.numerics.stopping_criterion`."""
        weights, ridges = complex_ridges(time)
        inverse = 1 / (path.values / path.rows + ridges[:, None])
        kappa = path.rows / (inverse.sum(axis=1) + path.null / ridges)
        return ((weights * kappa) @ inverse).real, float(np.sum(weights * kappa / ridges).real)

    def _residual_degrees(self, path, times):
        """tr(r)² / tr(r²) of r = e^{-tk}, from its logarithm: all of it may be far below the smallest float."""
        slowest = 0.0 if path.null else path.values.min(initial=np.inf)
        left = np.exp(-times[:, None] * (path.values - slowest) / path.rows)
        return (left.sum(axis=1) + path.null) ** 2 / ((left**2).sum(axis=1) + path.null)

    _simplest = staticmethod(np.argmin)

    def _added(self, path, times, correction):
        return stopping_curve(path, times, correction.slope).correction + correction.constant

    def _penalties(self, path, times):
        """k e^{-tk} / (1 - e^{-tk}): ridge with this λ keeps 1 - e^{-tk} of the direction."""
        keep = learned(path, times)
        return np.divide((1 - keep) * path.values / path.rows, keep, out=np.full(keep.shape, np.inf), where=keep > 0)
