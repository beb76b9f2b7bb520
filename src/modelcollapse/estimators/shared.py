r"""What fits share that choose their strength for the truth behind synthetic labels.

Cross-validation and GCV score a model on the labels at hand. If those were written by other models, they reward fitting
the generators' errors and choose too small a ridge (or, where the generators shrank the signal, too large a one). What
the provenance of the labels says about those errors is added,

    corrected risk(λ) = GCV(λ) + 2 ⟨ŵ_λ, w̄ - w0⟩ + constant,

with the expectation of the middle term from `modelcollapse.numerics.provenance.corrected_risk`. The whole path costs
one eigendecomposition.

An estimate that rests on a residual of ν degrees of freedom has a relative standard error of √(2/ν): where a fit all
but interpolates (T near d), GCV is now and then tiny by chance, and the smallest of many such values is no minimum.
Strengths that leave fewer than LEAST of them are not believed: their risk is raised to the largest of the others. Mean
test error of d = 30 directions, eigenvalues 1/j, noise 0.5, 200 data sets (`python -m pytest -s -n 0
-m slow tests/estimators/test_estimator_inputs.py` prints it, for other noises and spectra as well):

    T                 28    30    31    32    33    34    36    40    45    60
    guarded GCV      .153  .136  .144  .130  .136  .130  .104  .099  .091  .072
    RidgeCV          .181  .224  .288  .383  .326  .196  .102  .094  .091  .073

Everywhere here `ridge` is λ of the *mean* squared error, (1/T)‖y - Xw‖² + λ‖w‖²; scikit-learn's `alpha` is λ times the
number of rows T.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from modelcollapse.estimators.choice import Choice
from modelcollapse.estimators.corrections import ABSURD, Correcting, MixedRows, correction_of
from modelcollapse.estimators.labels import in_own_unit, refuse_text
from modelcollapse.estimators.mix import values_of
from modelcollapse.estimators.origins import read_origins
from modelcollapse.estimators.scikit_learn import (
    BaseEstimator,
    MultiOutputMixin,
    RegressorMixin,
    check_is_fitted,
    check_sample_weight,
    validate_data,
)
from modelcollapse.numerics.provenance.corrected_risk import Provenance, posterior_risk
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.populations import resolved_directions
from modelcollapse.theory.populations.threads import pinned

LEAST = 8  # residual degrees of freedom that an estimate is believed on
_ENDLESS = ("rbf", "laplacian")  # kernels of the distance alone, whose feature spaces are known to be infinite
_WORTH = 0.3  # of GCV: smaller promised gains are within the error of the plug-in in infinite dimension
_EQUAL = 1e-9  # relative: risks that differ by less are one, and the strength that fits least is chosen
SURE = 1.64  # standard errors by which real rows alone, or a refit, must look better
_FEWEST = 4  # real rows that are compared


def counts_of(sample_weight, X):
    """How many rows each row counts for, (T,)."""
    counts = np.asarray(check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True))
    if not counts.any():
        raise ValueError("sample_weight is zero for every row; give at least one row a positive weight")
    return counts


class CollapseAware(MultiOutputMixin, RegressorMixin, BaseEstimator, ABC):
    """Final classes name the strength that is chosen and the criterion that is corrected, and read the rest off a
    RidgePath."""

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
    def _held_out(self, path, strength, /) -> tuple[np.ndarray, float]:
        """Factors of that error at one strength: of the coordinates (r,), and of what lies outside."""

    @abstractmethod
    def _residual_degrees(self, path, strengths, /) -> np.ndarray:
        """Degrees of freedom of the residual (L,)."""

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

        X: (T, d), or the (T, T) kernel matrix where kernel="precomputed"; y: (T,) or (T, outputs), numbers. origin:
        (T,), who wrote each label: keys of the dict `generations`; where `generations` is a number, "real" or 0 for
        real rows and "synthetic", "model", "generated", "fake" or 1 for rows of the generators described. Other marks,
        missing ones and Boolean masks are refused. unlabelled: (N, d), further inputs, which sharpen the leverage that
        the noise term needs and the eigenvalues that the bias term needs.

        Warns where the correction is not used, where the labels contradict what is said about them, and where the
        real rows by themselves promise a smaller error than all rows.
        """
        return self._fit(X, y, origin, unlabelled)

    def _fit(self, X, y, origin, unlabelled, sample_weight=None):
        """sample_weight: (T,), how many rows each row counts for, where all labels have one author."""
        X, y, unlabelled, eps = self._checked(X, y, unlabelled)
        pairs, real = read_origins(origin, len(X), self._described())
        with pinned(len(X)):
            labels = in_own_unit(y.reshape(len(X), -1), self.fit_intercept)
            if sample_weight is None:
                rows = self._rows(X, eps, labels, real, self._centred(pairs, labels.unit))
            else:
                counts = counts_of(sample_weight, X)
                labels = labels.weighed(counts, self.fit_intercept)
                rows = self._counted(X, eps, labels, real, self._centred(pairs, labels.unit), counts)
            choice = self._choice(rows, unlabelled)
            notes = choice.notes + self._real_rows_alone(rows, choice)
        self.path_ = {
            self._strength: choice.strengths,
            self._uncorrected.replace("-", "_"): labels.squared(choice.error),
            "corrected_risk": labels.squared(choice.risk),
            "degrees_of_freedom": choice.degrees_of_freedom,
        }
        self.criterion_, correction, unit = choice.criterion, choice.correction, rows.unit
        self.generator_error_ = correction.generator_error * unit * unit if correction else 0.0
        self.generator_noise_ = correction.noise * unit if correction and correction.noise is not None else None
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        self._settle(float(choice.strengths[choice.at]), rows.path.rows)
        self._store(rows, labels.level, choice.strengths[[choice.at]], y)
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

    def _checked(self, X, y, unlabelled):
        """Float64 arrays, and the precision that X came in."""
        refuse_text("y", y)
        eps = resolved_directions.precision(X)
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2)
        if unlabelled is not None:
            if self.kernel == "precomputed":
                raise ValueError('unlabelled inputs cannot be used with kernel="precomputed"; pass the kernel by name')
            eps = max(eps, resolved_directions.precision(unlabelled))
            unlabelled = validate_data(self, unlabelled, reset=False, dtype=np.float64)
        return np.asarray(X), np.asarray(y, dtype=np.float64), unlabelled, eps

    def _described(self):
        if not isinstance(self.generations, dict):
            return Provenance(self.generations, self.generator_samples, self.generator_noise, self.generator_ridge)
        if (self.generator_samples, self.generator_noise, self.generator_ridge) != (None, None, 0.0):
            raise ValueError("generations is a dict; say the generator_ parameters in its Provenance(...)")
        return self.generations

    def _centred(self, pairs, unit):
        """Provenances in the unit of the labels and the space orthogonal to the intercept: one row less, the same
        penalty."""
        lost = int(bool(self.fit_intercept))
        return [
            (
                share,
                replace(
                    origin,
                    noise=None if origin.noise is None else min(origin.noise / unit, ABSURD),
                    samples=origin.samples - lost,
                    ridge=origin.ridge * origin.samples / (origin.samples - lost),
                )
                if origin.generations
                else origin,
            )
            for share, origin in pairs
        ]

    def _kernel(self, X, Z=None):
        return values_of(self.kernel, self._options(), X, Z)

    def _options(self):
        if callable(self.kernel):
            return self.kernel_params or {}
        return {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}

    def _directions(self, X, eps):
        """Directions of rows X, of which nothing is kept that could be rounding."""
        centre = bool(self.fit_intercept)
        if self.kernel == "linear":
            return resolved_directions.of_features(X, centre, eps)
        gram = self._kernel(X)
        if gram.shape != (len(X), len(X)):
            raise ValueError(f"X has shape {gram.shape}; a precomputed kernel matrix is square")
        eps = eps if self.kernel == "precomputed" else resolved_directions.EPS
        found = resolved_directions.of_gram((gram + gram.T) / 2, centre, eps)
        return found._replace(dim=np.inf) if self.kernel in _ENDLESS else found

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

    def _rows(self, X, eps, labels, real, origins):
        found = self._directions(X, eps)
        path = RidgePath.of(found, labels.values)
        return MixedRows(X, eps, found, path, labels.values, labels.unit, real, origins, bool(self.fit_intercept))

    def _counted(self, X, eps, labels, real, origins, counts):
        """MixedRows as if every row were there as often as it counts for."""
        roots, total = np.sqrt(counts)[:, None], counts.sum()
        lost = int(bool(self.fit_intercept))
        if self.kernel == "linear":
            offset = lost * counts @ X / total
            found = resolved_directions.of_features(roots * (X - offset), False, eps)
        else:
            gram = self._kernel(X)
            offset = lost * counts @ gram / total
            centred = gram - offset - offset[:, None] + lost * counts @ offset / total
            eps = eps if self.kernel == "precomputed" else resolved_directions.EPS
            found = resolved_directions.of_gram(roots * (centred + centred.T) / 2 * roots.T, False, eps)
            found = found._replace(maps=roots * found.maps)
            found = found._replace(dim=np.inf) if self.kernel in _ENDLESS else found
        coordinates = found.vectors.T @ (roots * labels.values)
        whole = np.mean(counts @ labels.values**2)
        null = max(total - lost - len(found.values), 0)
        rest = max(whole - np.mean(np.sum(coordinates**2, axis=0)), 0.0) if null else 0.0
        path = RidgePath(found.values, coordinates, float(rest), total, null, found.dim)
        kept = counts > 0
        single = found.vectors[kept] / roots[kept]
        single = np.linalg.qr(single - lost * single.mean(axis=0))[0]
        found = found._replace(offset=offset, vectors=single)
        return MixedRows(X, eps, found, path, labels.values, labels.unit, real, origins, bool(lost))

    def _choice(self, rows, unlabelled=None):
        """The Choice of a strength for MixedRows."""
        strengths = self._candidates(rows.path)
        error, df = self._leave_one_out(rows.path, strengths)
        doubtful = self._doubtful(rows.path, strengths)
        risk, found = error, Correcting()
        if not rows.targets.any():
            found = Correcting(reason="" if rows.real.all() else "the labels are constant")
        elif not rows.real.all() and rows.path.values.size:
            found = self._correcting(rows, unlabelled)
            if not found.reason:
                risk = self._corrected(rows.path, strengths, error, found)
                found = found._replace(reason=self._too_small(found, error[~doubtful], risk[~doubtful]))
        criterion, notes = found.criterion or self._uncorrected, list(found.notes)
        if found.reason:
            risk, criterion = error, f"{self._uncorrected} (fallback)"
            notes.append(f"{found.reason}: the {self._strength} is chosen without correction")
        risk, at = self._smallest(strengths, risk, doubtful)
        excess = None if found.reason or not found.criterion else float(risk[at] - found.level)
        return Choice(strengths, error, df, risk, at, criterion, found.correction, excess, notes)

    def _smallest(self, strengths, risk, doubtful):
        """The risk (L,), raised where it is not believed, and the place of the strength that is chosen by it."""
        risk = np.where(doubtful, np.maximum(risk, risk[~doubtful].max()), risk)
        equal = np.flatnonzero(risk - risk.min() <= _EQUAL * abs(risk.min()))
        return risk, int(equal[self._simplest(strengths[equal])])

    def _doubtful(self, path, strengths):
        degrees = self._residual_degrees(path, strengths)
        return degrees < min(LEAST, degrees.max() / 2)

    @staticmethod
    @abstractmethod
    def _simplest(strengths, /) -> Any:
        """Place of the strength that fits least."""

    def _correcting(self, rows, unlabelled):
        inputs, more = rows.path, rows.found
        if unlabelled is not None:
            more = self._directions(np.vstack([rows.X, unlabelled]), rows.eps)
            inputs = RidgePath.of(more, np.zeros((len(more.vectors), 1)))
        found = correction_of(rows, inputs, more)
        if found.criterion == "noise and bias" and inputs.dim == np.inf:
            found = found._replace(worth=_WORTH * (1 if found.correction.noise is None else 2))
        return found

    def _corrected(self, path, strengths, error, found):
        if found.criterion == "noise, posterior":
            return posterior_risk(path, self._penalties(path, strengths), *found.correction.prior)
        return error + self._added(path, strengths, found.correction)

    def _too_small(self, found, error, risk):
        """Why the gain that the corrected risk (L,) promises over the error (L,) is not acted on, or nothing."""
        promise = risk[np.argmin(error)] - risk.min()
        if promise >= found.worth * error.min():
            return ""
        return (
            f"the correction promises {100 * promise / error.min():.0f} % of the smallest {self._uncorrected}, less "
            f"than the {100 * found.worth:.0f} % that it may be wrong by in a feature space of infinite dimension"
        )

    def _real_rows_alone(self, rows, choice):
        """A warning where the real rows by themselves promise a smaller error: by the corrected risk, which knows of
        errors that the generators share with the real rows, or by leave-one-out, which needs no provenance."""
        real = rows.real
        if real.all() or real.sum() < _FEWEST or not rows.targets.any():
            return []
        inputs = rows.X[np.ix_(real, real)] if self.kernel == "precomputed" else rows.X[real]
        labels = in_own_unit(rows.targets[real], self.fit_intercept)
        alone = self._rows(inputs, rows.eps, labels, real[real], [])
        best = self._choice(alone)
        level = labels.unit**2 * (best.risk[best.at] - alone.path.rest / max(alone.path.null, 1))
        theirs = labels.unit * self._residuals(alone, best.strengths[best.at])
        ours = self._residuals(rows, choice.strengths[choice.at])[real]
        worse = np.mean(ours**2 - theirs**2, axis=1)
        if choice.excess is not None and alone.path.exhausted and choice.excess > level:
            pooled, apart, what = choice.excess, level, "against the truth, by the corrected risk"
        elif worse.mean() > SURE * worse.std(ddof=1) / np.sqrt(len(worse)):
            pooled, apart, what = np.mean(ours**2), np.mean(theirs**2), "on real labels, left out, their noise included"
        else:
            return []
        pooled, apart = (float(rows.unit * rows.unit * error) for error in (pooled, apart))
        return [
            f"the {len(worse)} real rows by themselves promise an error of {apart:.4g}, all rows together "
            f"{pooled:.4g} ({what}): fit the real rows alone, or leave out the origins that do harm"
        ]

    def _residuals(self, rows, strength):
        """Of every row under a fit without it, (T, outputs): their mean square is the error on the labels at hand."""
        inside, outside = self._held_out(rows.path, strength)
        return outside * rows.targets + rows.found.vectors @ ((inside - outside)[:, None] * rows.path.coordinates)

    def _store(self, rows, level, strength, y, refitted=0.0):
        """The model of a strength; `refitted`: the weight of its own predictions in the labels of a refit."""
        path, found = rows.path, rows.found
        penalty = path.rows * self._penalties(path, strength)[0]
        share = 1 / (path.values + penalty)
        if refitted:
            share = share * (1 - refitted * penalty * share)
        coefficients = found.maps @ (path.coordinates * share[:, None]) * rows.unit
        if self.kernel != "linear" and self.fit_intercept:
            coefficients -= coefficients.mean(axis=0)  # sums to zero but for rounding, which large kernels amplify
        self.intercept_ = level - found.offset @ coefficients
        if y.ndim == 1:
            self.intercept_, coefficients = float(self.intercept_[0]), coefficients[:, 0]
        if self.kernel == "linear":
            self.coef_ = coefficients.T
        else:
            self.dual_coef_, self.X_fit_ = coefficients, rows.X
