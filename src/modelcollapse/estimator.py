r"""Ridge regression that knows who wrote its labels.

Cross-validation and GCV score a model on the labels at hand. If those were written by other models, they
reward fitting the generators' errors and choose too small a ridge (or, where the generators shrank the
signal, too large a one). `CollapseAwareRidge` adds what the provenance of the labels says about those errors:

    corrected risk(λ) = GCV(λ) + 2 ⟨ŵ_λ, w̄ - w0⟩ + constant,

with the expectation of the middle term from `modelcollapse.theory.corrected_risk`. The whole path of ridges
costs one eigendecomposition.

Everywhere here `ridge` is λ of the *mean* squared error, (1/T)‖y - Xw‖² + λ‖w‖²; scikit-learn's `alpha` is λ
times the number of rows T.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

try:
    from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
    from sklearn.metrics.pairwise import pairwise_kernels
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "modelcollapse.estimator needs scikit-learn; install it with: pip install 'modelcollapse[estimator]'"
    ) from error

from modelcollapse.theory.corrected_risk import (
    FEW,
    CleanRows,
    Provenance,
    RidgePath,
    is_least_squares,
    least_squares_correction,
    posterior_risk,
)
from modelcollapse.theory.numbers.domains import RIDGE
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.leverage import relative_leverage
from modelcollapse.theory.source_conditions import label_noise_variance, plug_in_correction, population_spectrum

__all__ = ["CollapseAwareRidge", "Provenance"]

_REAL = ("real", 0)
_WORTH = 0.3  # of GCV: smaller promised gains are within the error of the plug-in in infinite dimension


class CollapseAware(MultiOutputMixin, RegressorMixin, BaseEstimator, ABC):
    """What fits share that choose their ridge, or their time, for the truth behind synthetic labels. Final classes
    name that strength and the criterion which they correct, and read the rest off a RidgePath."""

    _strength: ClassVar[str]
    _uncorrected: ClassVar[str]

    def __init__(
        self,
        generations,
        generator_samples,
        generator_noise,
        generator_ridge,
        kernel,
        gamma,
        degree,
        coef0,
        kernel_params,
        fit_intercept,
    ):
        self.generations = generations
        self.generator_samples = generator_samples
        self.generator_noise = generator_noise
        self.generator_ridge = generator_ridge
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.fit_intercept = fit_intercept

    @abstractmethod
    def _candidates(self, path, /) -> np.ndarray:
        """Strengths (L,) to choose from."""

    @abstractmethod
    def _leave_one_out(self, path, strengths, /) -> tuple[np.ndarray, np.ndarray]:
        """Error on the labels at hand and tr H without the intercept, each (L,)."""

    @abstractmethod
    def _added(self, path, strengths, correction, /) -> np.ndarray:
        """The Correction (L,) to that error."""

    @abstractmethod
    def _penalties(self, path, strengths, /) -> np.ndarray:
        """The ridge that each eigendirection sees, (L, 1) or (L, r)."""

    @abstractmethod
    def _settle(self, strength, rows, /) -> None:
        """Store the choice."""

    def fit(self, X, y, origin=None, unlabelled=None):
        """Choose the ridge or time, and fit.

        X: (T, d), or the (T, T) kernel matrix where kernel="precomputed"; y: (T,) or (T, outputs). origin:
        (T,), who wrote each label: keys of the dict `generations`; where `generations` is a number, "real" or
        0 (False) marks real rows, anything else rows of the generators described. unlabelled: (N, d), further
        inputs, which sharpen the leverage that the noise term needs and the eigenvalues that the bias term needs.
        """
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        X, y = np.asarray(X), np.asarray(y)
        targets = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
        origins, real = self._origins(origin, len(X))
        if unlabelled is not None:
            if self.kernel == "precomputed":
                raise ValueError(
                    'unlabelled inputs cannot be used with kernel="precomputed"; pass the kernel by name'
                )
            unlabelled = validate_data(self, unlabelled, reset=False, dtype=np.float64)

        basis, path, maps, offset = self._decompose(X, targets)
        strengths = self._candidates(path)
        error, df = self._leave_one_out(path, strengths)
        self.criterion_, self.generator_noise_, self.generator_error_ = self._uncorrected, None, 0.0
        risk = error
        if not real.all() and path.values.size:
            dim, correction = self._correction(X, targets, unlabelled, path, basis, origins, real)
            if correction is not None and self.criterion_ == "noise, posterior":
                risk = posterior_risk(path, self._penalties(path, strengths), *correction.prior)
            elif correction is not None:
                risk = error + self._added(path, strengths, correction)
            promise = risk[np.argmin(error)] - risk.min()
            worth = _WORTH * (1 if self.generator_noise_ is None else 2)
            if self.criterion_ == "noise and bias" and np.isinf(dim) and promise < worth * error.min():
                self.criterion_, risk = f"{self._uncorrected} (fallback)", error
        self.path_ = {
            self._strength: strengths,
            self._uncorrected.replace("-", "_"): error,
            "corrected_risk": np.array(risk),
            "degrees_of_freedom": df,
        }

        best = [np.argmin(risk)]
        self._settle(float(strengths[best][0]), len(X))
        penalty = len(X) * self._penalties(path, strengths[best])[0]
        coefficients = maps @ (path.coordinates / (path.values + penalty)[:, None])
        level = np.mean(targets, axis=0) if self.fit_intercept else np.zeros(targets.shape[1])
        self.intercept_ = level - offset @ coefficients
        if y.ndim == 1:
            self.intercept_, coefficients = float(self.intercept_[0]), coefficients[:, 0]
        if self.kernel == "linear":
            self.coef_ = coefficients.T
        else:
            self.dual_coef_, self.X_fit_ = coefficients, X
        return self

    def predict(self, X):
        """Predictions (rows,) or (rows, outputs) for X (rows, d), or kernel values (rows, T) where
        kernel="precomputed"."""
        check_is_fitted(self)
        X = np.asarray(validate_data(self, X, reset=False, dtype=np.float64))
        if self.kernel == "linear":
            return X @ self.coef_.T + self.intercept_
        return self._kernel(X, self.X_fit_) @ self.dual_coef_ + self.intercept_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags

    def _kernel(self, X, Z=None):
        if self.kernel == "precomputed":
            return X
        options: Any = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0, "filter_params": True}
        if callable(self.kernel):
            options = self.kernel_params or {}
        return pairwise_kernels(X, Z, **{**options, "metric": self.kernel})

    def _decompose(self, X, targets):
        """Eigenvectors (T, r), RidgePath, map from their weights to coefficients, and the offset removed."""
        centred = targets - targets.mean(axis=0) if self.fit_intercept else targets
        rows = len(X)
        if self.kernel == "linear":
            offset = X.mean(axis=0) if self.fit_intercept else np.zeros(X.shape[1])
            U, lengths, V = np.linalg.svd(X - offset, full_matrices=False)
            values, maps = lengths**2, (lengths[:, None] * V).T
        else:
            gram = self._kernel(X)
            if gram.shape != (rows, rows):
                raise ValueError(f"X has shape {gram.shape}; a precomputed kernel matrix is square")
            offset = gram.mean(axis=0) if self.fit_intercept else np.zeros(rows)
            if self.fit_intercept:
                gram = gram - offset - offset[:, None] + offset.mean()
            values, U = np.linalg.eigh((gram + gram.T) / 2)
            maps = U
        limit = rows - bool(self.fit_intercept)
        keep = np.argsort(values)[::-1][:limit]
        keep = keep[values[keep] > values.max(initial=0.0) * rows * np.finfo(float).eps]
        U, values, maps = U[:, keep], values[keep], maps[:, keep]
        coordinates = U.T @ centred
        rest = np.mean(np.sum((centred - U @ coordinates) ** 2, axis=0))
        path = RidgePath(values, coordinates, float(rest), rows, limit - len(values))
        return U, path, maps, offset

    def _strengths(self, path, given, auto, domain):
        """The ridges or times (L,) to choose from, given or around the mean eigenvalue."""
        name = f"{self._strength}s"
        if isinstance(given, str):
            if given != "auto":
                raise ValueError(f'{name} = {given!r}; give "auto" or an array of numbers')
            return auto(path.values.sum() / path.rows or 1.0)
        strengths = np.atleast_1d(np.asarray(leaf(name, given, domain), dtype=float))
        if strengths.ndim != 1 or not strengths.size:
            raise ValueError(f"{name} has shape {strengths.shape}; give one dimension with at least one number")
        return np.array(strengths)

    def _origins(self, origin, rows):
        """Pairs (share, Provenance) and a mask of real rows, both (T,) long."""
        marks = np.asarray([False] * rows if origin is None else origin, dtype=object).ravel().tolist()
        if len(marks) != rows:
            raise ValueError(f"origin has {len(marks)} entries for {rows} rows; mark every row")
        if isinstance(self.generations, dict):
            known = self.generations
            if origin is None:
                raise ValueError("generations is a dict of origins; mark the rows by fit(X, y, origin=...)")
            if not all(isinstance(value, Provenance) for value in known.values()):
                raise TypeError("generations is a dict whose values are not all Provenance(...)")
            if (self.generator_samples, self.generator_noise, self.generator_ridge) != (None, None, 0.0):
                raise ValueError(
                    "generations is a dict; say the generator_ parameters in its Provenance(...)"
                )
        else:
            fake = Provenance(
                self.generations, self.generator_samples, self.generator_noise, self.generator_ridge
            )
            known = {True: Provenance(), False: fake}
            marks = [origin is not None and mark in _REAL for mark in marks]
        missing = set(marks) - set(known)
        if missing:
            raise ValueError(f"origin {missing.pop()!r} is not among {list(known)}; add its Provenance")
        lost = int(bool(self.fit_intercept))
        pairs = [(marks.count(mark) / rows, _centred(known[mark], lost)) for mark in dict.fromkeys(marks)]
        return pairs, np.array([known[mark].generations == 0 for mark in marks])

    def _correction(self, X, targets, unlabelled, path, basis, origins, real):
        """Directions of the feature space and the Correction to GCV, or None to fall back."""
        unknown = any(o.generations and o.noise is None for _, o in origins)
        if unknown and real.sum() < 2:
            raise ValueError(
                f"generator_noise = None with {real.sum()} real rows; give the noise, or mark at least two "
                "rows with clean labels through origin"
            )
        inputs, directions = path, basis
        if unlabelled is not None:
            everything = np.vstack([X, unlabelled])
            directions, inputs, _, _ = self._decompose(everything, np.zeros((len(everything), 1)))
        dim = float(len(inputs.values))
        if inputs.null == 0:
            dim = float(X.shape[1]) if self.kernel == "linear" else np.inf
        for _, o in origins:
            if o.generations and o.ridge == 0 and abs(o.samples - dim) <= 1:
                self._fall_back(f"generators sit at their interpolation threshold, {dim:g} samples")
                return dim, None
        _, kappa, _, df = inputs.curve()
        population = population_spectrum(kappa, df, dim)
        clean, clean_df = self._clean_rows(targets, path, basis, real, population) if unknown else (None, None)
        if is_least_squares(origins, dim):
            correction = least_squares_correction(
                origins, dim, clean, clean_df, lambda t: relative_leverage(directions, t, self.fit_intercept)
            )
            few = path.samples >= FEW * dim and correction.prior[1] > 0
            self.criterion_ = "noise, posterior" if few else "noise"
        else:
            self.criterion_ = "noise and bias"
            correction = plug_in_correction(path, *population, dim, origins, clean)
        self.generator_noise_, self.generator_error_ = correction.noise, correction.generator_error
        if correction.misfit > 4 * np.sqrt(2 / path.samples):
            self._fall_back(f"no signal explains the labels (relative misfit {correction.misfit:.2g})")
            return dim, None
        variance = np.mean(np.var(targets[~real], axis=0))
        if correction.generator_variance > 2 * variance:
            warnings.warn(
                f"generator noise alone would give labels a variance of {correction.generator_variance:.3g}, "
                f"and they have {variance:.3g}; check generations, generator_samples and generator_noise",
                UserWarning,
                stacklevel=3,
            )
        return dim, correction

    def _fall_back(self, reason):
        self.criterion_ = f"{self._uncorrected} (fallback)"
        warnings.warn(f"{reason}: the {self._strength} is chosen without correction", UserWarning, stacklevel=4)

    def _clean_rows(self, targets, path, basis, real, population):
        """The contrast between synthetic and real rows that carries the noise of the generators."""
        ridge, kappa, gcv, df = path.curve()
        first = min(int(np.argmin(gcv)), len(df) - 2)
        second = max(first + 1, int(np.argmin(np.abs(df - df[first] / 4))))
        centred = targets - targets.mean(axis=0) if self.fit_intercept else targets
        residuals = []
        for index in (first, second):
            keep = path.values / (path.values + ridge[index] * path.rows)
            leverage = basis**2 @ keep + bool(self.fit_intercept) / path.rows
            residuals.append((centred - basis @ (keep[:, None] * path.coordinates)) / (1 - leverage)[:, None])
        product = np.mean(residuals[1] * (residuals[1] - residuals[0]), axis=1)
        error = np.sqrt(product[real].var(ddof=1) / real.sum() + product[~real].var() / (~real).sum())
        contrast = product[~real].mean() - product[real].mean()
        clean = CleanRows(
            float(contrast),
            float(error),
            label_noise_variance(path, *population),
            (kappa[first], kappa[second]),
        )
        return clean, (df[first], df[second])


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
        ridge, gcv, corrected_risk (error on clean labels of the same noise; equals gcv for real rows),
        degrees_of_freedom (trace of the hat matrix without the intercept). With several outputs gcv and
        corrected_risk are means over them.
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
    generators' noise. `criterion_` tells, and `path_["corrected_risk"]` is then GCV.

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

    def _added(self, path, ridges, correction):
        kappa, _, df = path(ridges)
        return correction(kappa, df)

    def _penalties(self, path, ridges):
        return ridges[:, None]


def _centred(provenance, lost):
    """A provenance in the space orthogonal to the intercept: one row less, the same penalty."""
    if not provenance.generations or not lost:
        return provenance
    samples = provenance.samples - lost
    return replace(provenance, samples=samples, ridge=provenance.ridge * provenance.samples / samples)
