"""Ridge regression that knows who wrote its labels, and weighs the rows of every author."""

import warnings
from dataclasses import replace

import numpy as np

from modelcollapse.estimators.labels import in_own_unit
from modelcollapse.estimators.mix import coefficients_of, features_of, fit_mix, report, worth_of
from modelcollapse.estimators.mix_origins import read_mix
from modelcollapse.estimators.shared import SURE, CollapseAware, counts_of
from modelcollapse.numerics.mixes.label_errors import label_errors
from modelcollapse.numerics.provenance.refit_path import refit_path
from modelcollapse.numerics.provenance.ridge_path import reaching
from modelcollapse.theory.numbers.domains import RIDGE
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.pipelines.filters import REFIT_WEIGHT

_OR_AUTO = 'give a finite number, or "auto"'


class CollapseAwareRidge(CollapseAware):
    """Ridge or kernel ridge regression, its ridge chosen for the truth behind synthetic labels.

    Parameters
    ----------
    generations : int, or dict from origin to Provenance
        How many models stand between the truth and the labels: each was fitted on labels of the one before. 0
        is real data, and the criterion is then GCV. A dict describes mixes, one Provenance per value of
        `origin` in `fit`; the three `generator_` parameters then stay at their defaults. Rows of one origin
        share their generators, different origins are independent. Where weights are chosen or given, nothing needs
        to be known: 0 says nothing of rows marked synthetic, and a value None in the dict nothing of that origin.
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
    weights : "equal", "auto" or dict from origin to weight
        What a synthetic row weighs in the fit, relative to a real one. "equal": as much. "auto": chosen together with
        the ridge, by the real rows that `origin` marks (at least four; with none of them, or nothing but them,
        "equal"). A dict gives the weights, one for every synthetic origin.
    distill : None, "auto" or number
        The weight ξ of self-distillation: the ridge fit is refitted once, at the same ridge, on (1 - ξ)·labels +
        ξ·(its own predictions of the same rows). "auto": chosen by exact leave-one-out, for one given ridge as it is,
        else together with the ridge, and 0 unless that is better than the best plain ridge by 1.64 standard errors. A
        number is taken as it is. For labels of one kind: not with provenance, origin, sample_weight or weights.
    ridges : "auto" or array of shape (L,)
        The λ to choose from (alpha divided by rows). "auto": twelve per decade over eleven decades around the
        mean eigenvalue.
    fit_intercept : bool
        Centre labels and features (in the kernel's space). It costs one degree of freedom, here and in the
        generators.

    Attributes
    ----------
    ridge_, alpha_ : float
        The chosen λ, and λ times rows (of positive weight) as scikit-learn's Ridge and KernelRidge want it.
    distill_weight_ : float
        The weight of self-distillation, 0 without.
    weights_ : dict from mark of origin to weight
        {} where nothing is marked.
    report_ : dict of arrays of shape (3,), or None
        candidate ("real only", "pooled", "chosen"), error (leave-one-out on the real rows, label noise included),
        standard_error (of that), excess (expected error against the truth, without label noise), alpha. None where
        weights are "equal".
    worth_ : float, or None
        How many real rows one synthetic row is worth: so many more real rows would bring the best fit of real rows
        alone to the error of the chosen one. 0 where synthetic rows are not used; None where weights are "equal".
    label_errors_ : dict from mark to (estimate, low, high)
        The error that the labels of a synthetic origin carry beside noise, E‖w_g - w0‖²_Σ, and the middle 90 % of
        its posterior; how often such intervals hold the truth is measured by `python -m benchmarks.intervals`. Where
        origins are generations, it grows as they collapse.
    path_ : dict of arrays of shape (L,)
        ridge, gcv, corrected_risk (error on clean labels of the same noise, label noise included; equals gcv for
        real rows), degrees_of_freedom (trace of the hat matrix without the intercept). With several outputs gcv
        and corrected_risk are means over them. Where fewer than eight degrees of freedom are left to the residual
        gcv is not believed, and corrected_risk is not below its largest value elsewhere.
    coef_ or dual_coef_, intercept_
        Of the linear model; for other kernels predictions are k(x, X_fit_) @ dual_coef_ + intercept_.
    criterion_ : str
        "gcv" (nothing to correct), "leave-one-out" (with distill; it takes the place of gcv in `path_`), "noise"
        (least-squares generators; exact), "noise, posterior" (the same where there are four rows per direction or
        more), "noise and bias" (generators that shrink the signal; eigenvalues and signal are estimated), or
        "gcv (fallback)".
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

    With weights="equal" synthetic rows are pooled with real ones, each as heavy. Where leave-one-out on the real rows
    says that a fit to them alone is better, a warning gives both errors.

    With weights="auto" a pair of weights and ridge is scored by exact leave-one-out on the n real rows and by its
    expected error under a model in which all rows of one origin share one error of their author (its size, its shape
    and the noises by marginal likelihood; provenance, where given, in their place, unless the rows contradict it, which
    a warning says), each counting by its precision.
    Real rows alone and all rows alike are among the candidates, and are taken where leave-one-out prefers them by two
    standard errors. `path_` then holds, for the chosen weights, leave-one-out as "gcv" and that score as
    "corrected_risk". A linear fit sums its rows up in chunks; a kernel fit sees the leading 1000 directions of at most
    4000 rows: for more, sklearn.kernel_approximation.Nystroem in a pipeline. Cross-validation that shuffles real and
    synthetic rows scores on both: score on real rows.

    Examples
    --------
    The more synthetic the labels, the larger the ridge that is chosen for the same data.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 40)) * np.arange(1, 41) ** -0.5
    >>> y = X @ np.ones(40) + rng.standard_normal(100)
    >>> real = CollapseAwareRidge().fit(X, y)
    >>> fake = CollapseAwareRidge(generations=10, generator_samples=80, generator_noise=0.3).fit(X, y)
    >>> round(real.ridge_, 3), round(fake.ridge_, 3), fake.criterion_
    (0.01, 0.059, 'noise')

    A refit on its own predictions takes back a part of the shrinkage of a ridge that is too large.

    >>> large = [CollapseAwareRidge(ridges=[5.0], distill=weight).fit(X, y) for weight in (None, "auto")]
    >>> large[1].distill_weight_ < 0, np.linalg.norm(large[0].coef_ - 1) > np.linalg.norm(large[1].coef_ - 1)
    (True, np.True_)

    Rows of a good teacher weigh more than those of a bad one, and nothing has to be said about either.

    >>> origin, truth = np.repeat(["real", "model"], [20, 80]), np.ones(40)
    >>> teachers = [truth + error * rng.standard_normal(40) for error in (0.1, 3)]
    >>> labels = [np.where(origin == "real", y, X @ teacher) for teacher in teachers]
    >>> told = [CollapseAwareRidge(weights="auto").fit(X, given, origin=origin) for given in labels]
    >>> told[0].weights_["model"] > told[1].weights_["model"], told[0].worth_ > told[1].worth_
    (True, True)
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
        weights="equal",
        distill=None,
    ):
        provenance = generations, generator_samples, generator_noise, generator_ridge
        super().__init__(*provenance, kernel, gamma, degree, coef0, kernel_params, fit_intercept)
        self.ridges = ridges
        self.weights = weights
        self.distill = distill

    def fit(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X, y, origin=None, sample_weight=None, unlabelled=None
    ):
        """Choose ridge and weights, and fit.

        X: (T, d), or the (T, T) kernel matrix where kernel="precomputed"; y: (T,) or (T, outputs), numbers. origin:
        (T,), who wrote each label: keys of the dict `generations`; where `generations` is a number, "real" or 0 for
        real rows and "synthetic", "model", "generated", "fake" or 1 for rows of the generators described, or keys of
        the dict `weights`. Other marks, missing ones and Boolean masks are refused. sample_weight: (T,), how many rows
        each row counts for. unlabelled: (N, d), further inputs, which sharpen the leverage that the noise term needs
        and the eigenvalues that the bias term needs (weights="equal").

        Warns where the correction is not used, where the labels contradict what is said about them, where the real rows
        by themselves promise a smaller error than all rows or are too few to tell, and where they are used alone.
        """
        pooled, self.distill_weight_ = self._pooled(origin, sample_weight), 0.0
        if self.distill is not None:
            return self._refitted(X, y, origin, sample_weight)
        if pooled or origin is None:
            self._fit(X, y, origin, unlabelled, sample_weight)
            marks = [] if origin is None else dict.fromkeys(np.asarray(origin, dtype=object).ravel().tolist())
            self.weights_, self.report_, self.worth_, self.label_errors_ = dict.fromkeys(marks, 1.0), None, None, {}
            return self
        mix, *parts = self._mixed(X, y, origin, sample_weight)
        self._settle_mix(mix, *parts)
        for note in mix.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return self

    def _refitted(self, X, y, origin, sample_weight):
        """Choose ridge and weight of a refit by leave-one-out, and fit."""
        chosen = isinstance(self.distill, str) and self.distill == "auto"
        weight = None if chosen else leaf("distill", self.distill, replace(REFIT_WEIGHT, remedy=_OR_AUTO))
        if weight is not None and np.ndim(weight):
            raise TypeError(f'distill has {np.size(weight)} entries; give one number, or "auto"')
        described = isinstance(self.generations, dict) or self.generations != 0
        told = {"generations": described, "origin": origin is not None, "sample_weight": sample_weight is not None}
        told["weights"] = not (isinstance(self.weights, str) and self.weights == "equal")
        for name, given in told.items():
            if given:
                raise ValueError(
                    f"distill = {self.distill!r} with {name} is not supported: leave-one-out takes all labels for "
                    f"alike; leave out distill, or {name}"
                )
        X, y, _, eps = self._checked(X, y, None)
        labels = in_own_unit(y.reshape(len(X), -1), self.fit_intercept)
        rows = self._rows(X, eps, labels, np.ones(len(X), bool), [])
        ridges = self._candidates(rows.path)
        doubtful = self._doubtful(rows.path, ridges)
        found, once = (refit_path(rows.path, rows.found.vectors, rows.targets, ridges, xi) for xi in (weight, 0.0))
        (risk, at), (plain, rival) = (self._smallest(ridges, one.error, doubtful) for one in (found, once))
        if chosen and len(ridges) > 1 and found.gain(at, once, rival) < SURE:
            found, risk, at = once, plain, rival
        self.path_ = {
            "ridge": ridges,
            "gcv": labels.squared(found.error),
            "corrected_risk": labels.squared(risk),
            "degrees_of_freedom": found.degrees_of_freedom,
        }
        self.criterion_, self.distill_weight_ = "leave-one-out", float(found.weights[at])
        self.generator_error_, self.generator_noise_ = 0.0, None
        self.weights_, self.report_, self.worth_, self.label_errors_ = {}, None, None, {}
        self._settle(float(ridges[at]), rows.path.rows)
        self._store(rows, labels.level, ridges[[at]], y, self.distill_weight_)
        return self

    def _mixed(self, X, y, origin, sample_weight):
        """The Mix, and what it was made of: Features, Labels, MixOrigins, targets and inputs."""
        X, y, _, eps = self._checked(X, y, None)
        found = read_mix(origin, len(X), self._described(), self.weights)
        counts = counts_of(sample_weight, X)
        labels = in_own_unit(y.reshape(len(X), -1), self.fit_intercept)
        provenance = dict(self._centred(found.provenance.items(), labels.unit))
        features = features_of(X, eps, bool(self.fit_intercept), self.kernel, self._options())
        given = found.weights or None
        if self.weights == "equal":
            given = dict.fromkeys(range(1, found.codes.max() + 1), 1.0)
        centre, ridges = bool(self.fit_intercept), self._given()
        mix = fit_mix(features, labels.values, found.codes, counts, centre, provenance, given, ridges)
        return mix, features, labels, found, y, X

    def _pooled(self, origin, sample_weight):
        """Whether all rows are fitted alike: then the way of `CollapseAware`, which corrects by provenance."""
        if isinstance(self.weights, dict):
            return origin is None and sample_weight is None
        if self.weights not in ("auto", "equal"):
            raise ValueError(f'weights = {self.weights!r}; give "auto", "equal", or a dict from origin to weight')
        return sample_weight is None and (self.weights == "equal" or origin is None)

    def _given(self):
        """The ridges that were given, or None."""
        if isinstance(self.ridges, str) and self.ridges == "auto":
            return None
        return self._strengths(None, self.ridges, None, replace(RIDGE, high_open=True))

    def _settle_mix(self, mix, features, labels, found, y, X):
        path, unit = mix.best.path, labels.unit
        self.weights_ = {mark: float(mix.best.weights[code]) for mark, code in found.marks.items()}
        self.alpha_, self.ridge_ = mix.alpha, mix.alpha / mix.effective_rows
        self.path_ = {
            "ridge": path.alphas / mix.effective_rows,
            "gcv": labels.squared(path.loss if mix.chosen else mix.risk),
            "corrected_risk": labels.squared(mix.risk),
            "degrees_of_freedom": path.df,
        }
        self.criterion_ = mix.criterion
        self.report_, self.worth_ = report(mix, unit), worth_of(mix)
        errors = label_errors(mix.rows, mix.belief, unit) if mix.belief else {}
        self.label_errors_ = {mark: errors[code] for mark, code in found.marks.items() if code in errors}
        shares = {code: mix.rows.moments[code].rows for code in errors}
        total = sum(shares.values())
        self.generator_error_ = sum(shares[c] * errors[c][0] for c in errors) / total if total else 0.0
        self.generator_noise_ = None
        coefficients, level = coefficients_of(mix, features, dual=self.kernel != "linear")
        coefficients, self.intercept_ = coefficients * unit, labels.level + level * unit
        if y.ndim == 1:
            self.intercept_, coefficients = float(self.intercept_[0]), coefficients[:, 0]
        if self.kernel == "linear":
            self.coef_ = coefficients.T
        else:
            self.dual_coef_, self.X_fit_ = coefficients, X

    def _settle(self, ridge, rows):
        self.ridge_, self.alpha_ = ridge, ridge * rows

    def _candidates(self, path):
        def auto(scale):
            grid = np.geomspace(1e-9, 1e2, 133) * scale
            return reaching(grid, min(path.lowest, grid[0]))

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
