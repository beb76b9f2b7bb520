"""Ridge classification that weighs the rows of every author: one class against the rest."""

import inspect
import warnings

import numpy as np

from modelcollapse.estimators.misclassified import overruled
from modelcollapse.estimators.ridge import CollapseAwareRidge
from modelcollapse.estimators.scikit_learn import (
    BaseEstimator,
    ClassifierMixin,
    check_classification_targets,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

_SHARED = ("weights_", "ridge_", "alpha_", "path_", "criterion_", "worth_", "label_errors_", "report_", "intercept_")


class CollapseAwareClassifier(ClassifierMixin, BaseEstimator):
    """Ridge or kernel ridge classification, its ridge and the weights of synthetic rows chosen on the real rows.

    Every class is a target, +1 where a row belongs to it and -1 elsewhere (one target for two classes), fitted by
    CollapseAwareRidge; the largest wins.

    Parameters
    ----------
    generations, generator_samples, generator_noise, generator_ridge
        As in CollapseAwareRidge, where the generators were fitted on such targets.
    kernel, gamma, degree, coef0, kernel_params, ridges, fit_intercept
        As in CollapseAwareRidge.
    weights : "auto", "equal" or dict from origin to weight
        As in CollapseAwareRidge, here "auto" by default.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    weights_, ridge_, alpha_, path_, criterion_, worth_, label_errors_
        As in CollapseAwareRidge; errors are those of the targets.
    report_ : dict of arrays of shape (3,), or None
        As in CollapseAwareRidge, and error_rate, the leave-one-out 0-1 error on real rows, with error_rate_error, its
        standard error.
    regressor_ : CollapseAwareRidge
        The fit of the targets.
    coef_ or dual_coef_, intercept_
        Of the scores: (classes, features) or (rows, classes), and (classes,); one for two classes.

    Notes
    -----
    Weights and ridge are chosen by squares, about which every row has something to say. Among all weights that were
    tried for that, those with the smallest leave-one-out 0-1 error on the real rows take precedence where the
    difference is more than two standard errors. CalibratedClassifierCV turns the scores into probabilities.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, origin = rng.standard_normal((300, 5)), np.repeat(["real", "model"], [60, 240])
    >>> y = np.where(X @ np.ones(5) + rng.standard_normal(300) > 0, "yes", "no")
    >>> labels = np.where(origin == "real", y, np.where(X @ [1, 1, 1, 1, 0.5] > 0, "yes", "no"))
    >>> model = CollapseAwareClassifier().fit(X, labels, origin=origin)
    >>> model.classes_.tolist(), round(model.score(X, y), 2), round(model.weights_["model"], 1)
    (['no', 'yes'], 0.84, 0.3)
    """

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
        weights="auto",
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
        self.ridges = ridges
        self.fit_intercept = fit_intercept
        self.weights = weights

    def fit(self, X, y, origin=None, sample_weight=None):
        """Choose ridge and weights, and fit.

        X: (T, d), or the (T, T) kernel matrix where kernel="precomputed"; y: (T,), labels of two or more classes,
        numbers or text; origin, sample_weight: as in CollapseAwareRidge.fit. A class that no real row has is learned
        from synthetic rows alone.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {self.classes_.tolist()[0]!r}; a classifier needs rows of at least two classes"
            )
        targets = np.where(np.arange(len(self.classes_)) == places[:, None], 1.0, -1.0)
        targets = targets[:, 1] if len(self.classes_) == 2 else targets
        settings = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        self.regressor_ = CollapseAwareRidge(**settings)
        notes = self._fit_targets(X, targets, origin, sample_weight)
        for name in (*_SHARED, "coef_" if self.kernel == "linear" else "dual_coef_"):
            setattr(self, name, getattr(self.regressor_, name))
        self.intercept_ = np.atleast_1d(self.intercept_)
        if self.kernel == "linear":
            self.coef_ = np.atleast_2d(self.coef_)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return self

    def _fit_targets(self, X, targets, origin, sample_weight):
        """Fit the regressor; its warnings."""
        regressor = self.regressor_
        if origin is None or regressor._pooled(origin, sample_weight):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                regressor.fit(X, targets, origin, sample_weight)
            return [warning.message for warning in caught]
        mix, features, labels, *rest = regressor._mixed(X, targets, origin, sample_weight)
        mix, rates = overruled(mix, labels, free=self.weights == "auto")
        regressor._settle_mix(mix, features, labels, *rest)
        regressor.report_ = {**regressor.report_, **rates} if regressor.report_ else None
        return mix.notes

    def decision_function(self, X):
        """Scores (rows,) for two classes, positive for classes_[1], otherwise (rows, classes)."""
        check_is_fitted(self)
        return self.regressor_.predict(validate_data(self, X, reset=False, dtype=np.float64))

    def predict(self, X):
        """The class of every row of X (rows, d), (rows,)."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags
