"""Ridge regression that knows who wrote its labels."""

from dataclasses import replace

import numpy as np

from modelcollapse.estimators.shared import CollapseAware
from modelcollapse.theory.numbers.domains import RIDGE


class CollapseAwareRidge(CollapseAware):
    """Ridge or kernel ridge regression, its ridge chosen for the truth behind synthetic labels.

    Parameters
    ----------
    generations : int, or dict from origin to Provenance
        How many models stand between the truth and the labels: each was fitted on labels of the one before. 0
        is real data, and the criterion is then GCV. A dict describes mixes, one Provenance per value of
        `origin` in `fit`; the three `generator_` parameters then stay at their defaults. Rows of one origin
        share their generators, different origins are independent.
    generator_samples : float
        Rows that each generator was fitted on.
    generator_noise : float
        Standard deviation of the label noise that each generator saw. None: estimated from the real rows
        marked by `origin`.
    generator_ridge : float
        λ of the mean squared error of each generator: scikit-learn's alpha divided by `generator_samples`.
    kernel : str or callable
        "linear", any name that sklearn.metrics.pairwise.pairwise_kernels knows, "precomputed", or a function
        of two rows. The generators are taken to have used the same one.
    gamma, degree, coef0, kernel_params
        Of the kernel, as in sklearn.kernel_ridge.KernelRidge.
    ridges : "auto" or array of shape (L,)
        The λ to choose from (alpha divided by rows). "auto": twelve per decade over eleven decades around the
        mean eigenvalue.
    fit_intercept : bool
        Centre labels and features (in the kernel's space). It costs one degree of freedom, here and in the
        generators.

    Attributes
    ----------
    ridge_, alpha_ : float
        The chosen λ, and λ times rows as scikit-learn's Ridge and KernelRidge want it.
    path_ : dict of arrays of shape (L,)
        ridge, gcv, corrected_risk (error on clean labels of the same noise, label noise included; equals gcv for
        real rows), degrees_of_freedom (trace of the hat matrix without the intercept). With several outputs gcv
        and corrected_risk are means over them. Where fewer than eight degrees of freedom are left to the residual
        gcv is not believed, and corrected_risk is not below its largest value elsewhere.
    coef_ or dual_coef_, intercept_
        Of the linear model; for other kernels predictions are k(x, X_fit_) @ dual_coef_ + intercept_.
    criterion_ : str
        "gcv" (nothing to correct), "noise" (least-squares generators; exact), "noise, posterior" (the same
        where there are four rows per direction or more), "noise and bias" (generators that shrink the signal;
        eigenvalues and signal are estimated), or "gcv (fallback)".
    generator_noise_ : float or None
        The σ0 estimated from real rows, None where it was given.
    generator_error_ : float
        E‖w_g - w0‖²_Σ over the synthetic rows: the error that their labels carry beside label noise.

    Notes
    -----
    The noise term needs the provenance alone, and the inputs at hand to measure how far their tails amplify
    the generators' noise; `unlabelled` inputs sharpen that measurement. With four rows per direction or more
    the generators' errors along single directions decide, and the ridge is the one of smallest posterior
    expected error, under signals that are powers of the eigenvalue with a variance between 0.3 and 1000 times
    σ0² (a truth that explains less than 23 % of a real label is shrunk too little). With a truth in the smallest
    directions, or few Gaussian directions and generators' errors still below the signal, that can be worse
    than GCV.

    The bias term rests on an assumed family of signals, powers of the eigenvalue with a cut-off, averaged by
    how well they explain the GCV curve; a signal far outside that family (none in the leading directions,
    say) can leave the choice worse than GCV. Where no member explains the curve, or a generator sits at its
    interpolation threshold, the estimator warns and falls back to GCV. In feature spaces of infinite
    dimension, whose small eigenvalues the rows at hand do not resolve, it also falls back where the
    correction promises less than three tenths of the GCV level, or six tenths where it had to estimate the
    generators' noise. A warning says why, `criterion_` tells, and `path_["corrected_risk"]` is then GCV.

    Synthetic rows are pooled with real ones, each as heavy. Where leave-one-out on the real rows says that a fit to
    them alone is better, a warning gives both errors.

    Examples
    --------
    The more synthetic the labels, the larger the ridge that is chosen for the same data.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 40)) * np.arange(1, 41) ** -0.5
    >>> y = X @ np.ones(40) + rng.standard_normal(100)
    >>> real = CollapseAwareRidge().fit(X, y)
    >>> fake = CollapseAwareRidge(generations=10, generator_samples=80, generator_noise=0.3).fit(X, y)
    >>> real.ridge_ < fake.ridge_, fake.criterion_
    (True, 'noise')
    """

    _strength, _uncorrected = "ridge", "gcv"

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
        ridges="auto",
        fit_intercept=True,
    ):
        provenance = generations, generator_samples, generator_noise, generator_ridge
        super().__init__(*provenance, kernel, gamma, degree, coef0, kernel_params, fit_intercept)
        self.ridges = ridges

    def _settle(self, ridge, rows):
        self.ridge_, self.alpha_ = ridge, ridge * rows

    def _candidates(self, path):
        def auto(scale):
            return np.geomspace(1e-9, 1e2, 133) * scale

        return self._strengths(path, self.ridges, auto, replace(RIDGE, high_open=True))

    def _leave_one_out(self, path, ridges):
        return path(ridges)[1:]

    def _held_out(self, path, ridge):
        alpha = path.rows * ridge
        if path.null and alpha:
            inside = alpha / (path.values + alpha)
            trace = np.sum(inside) + path.null
            return path.rows * inside / trace, path.rows / trace
        if path.null:
            return np.zeros(len(path.values)), path.rows / path.null
        inside = 1 / (path.values + alpha)
        return path.rows * inside / np.sum(inside), 0.0

    def _residual_degrees(self, path, ridges):
        return path.residual_degrees(ridges)

    _simplest = staticmethod(np.argmax)

    def _added(self, path, ridges, correction):
        kappa, _, df = path(ridges)
        return correction(kappa, df)

    def _penalties(self, path, ridges):
        return ridges[:, None]
