r"""`predict`: the test error of a pipeline in closed form.

The test error is the excess risk E‖ŵ − w0‖²_Σ; noise on the test labels is not added. All results are
deterministic equivalents (exact as samples and dimension grow together; at finite size the relative
deviation is of order 1/d), with `finite_size=True` exact for least squares.
"""

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelcollapse.numerics.evaluation.outcome import require_finite, require_found, shown
from modelcollapse.numerics.evaluation.question import Question
from modelcollapse.numerics.evaluation.routes import evaluated, question_of

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A predicted test error and its parts, each an array of the grid's shape (np.float64 without a grid).

    test_error = bias + variance = clean + collapse. `bias` is the error of the mean predictor, `variance` the rest;
    `clean` is what the last fit would reach were every label it sees the truth's, with the same noise;
    `collapse` is what the labels of other models add.
    """

    test_error: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    clean: np.ndarray
    collapse: np.ndarray
    _question: Any = field(default=None, repr=False)

    def to_dict(self):
        """Columns by name: NumPy arrays."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if not name.startswith("_")}

    def by_direction(self):
        """Bias and variance by eigendirection of the inputs, arrays (*grid, atoms): which parts were lost.

        Raises ValueError for a Prediction that `predict` did not make.

        >>> import modelcollapse as mc
        >>> w0 = mc.truth(mc.power_law(1.5, 0.5, dim=100))
        >>> found = mc.predict(mc.fit(mc.chain(w0, 20, 80, 0.0, ridge=1e-3).label(300, 0.1), ridge=1e-3))
        >>> parts = found.by_direction()
        >>> bool(np.isclose(parts.bias.sum(), found.bias)), bool(np.isclose(parts.variance.sum(), found.variance))
        (True, True)
        >>> bool(np.all(np.diff(parts.bias / parts.signal) > 0))       # tails vanish first
        True
        """
        if self._question is None:
            raise ValueError("this Prediction was not made by predict and has no directions; call predict(model)")
        from modelcollapse.numerics.questions.directions import directions

        question = self._question()
        if not isinstance(question, Question):
            raise ValueError("this Prediction is not on a spectrum and has no directions; on rows use .by_row()")
        return directions(question)

    def by_row(self):
        """The expected squared error of every row of the tested pool, an array (*grid, rows): who is hurt.

        Its mean is `test_error`. Only for models on `rows`; ValueError for others.

        >>> import modelcollapse as mc
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((60, 4)); data = mc.rows(X, X[:, 0] ** 2, gamma=0.2)
        >>> found = mc.predict(mc.fit(mc.truth(data).label(40), ridge=1e-3))
        >>> bool(np.isclose(found.by_row().mean(), found.test_error))
        True
        >>> bool(found.by_row()[np.abs(X[:, 0]) > 1.5].mean() > 3 * found.test_error)     # rare rows first
        True
        """
        rows = getattr(self._question and self._question(), "by_row", None)
        if rows is None:
            raise ValueError("this Prediction has no rows; call predict on a model whose truth is mc.rows(...)")
        return rows()

    @functools.cached_property
    def _angles(self):
        if self._question is None:
            raise ValueError("this Prediction was not made by predict and has no error rate; call predict(model)")
        from modelcollapse.numerics.questions.classes import angles

        return angles(self._question())

    @property
    def error_rate(self):
        """The 0–1 error: how often sign(x·ŵ) is not sign(x·w0) on Gaussian test inputs, averaged over fits.

        The mean angle between ŵ and w0 over π, with its second-order term (`numerics.steps.angles`): 0 for the truth,
        1/2 for a predictor that knows nothing. Linear labels have one too.

        >>> import numpy as np, modelcollapse as mc
        >>> w0 = mc.truth(mc.isotropic(1000))
        >>> first = mc.fit(w0.label(4000, link="sign"))
        >>> second = mc.fit(first.label(4000, link="sign"))
        >>> cosines = [np.cos(np.pi * mc.predict(model).error_rate) for model in (first, second)]
        >>> bool(np.isclose(cosines[1], cosines[0] ** 2, rtol=1e-3))      # the cosines of a chain multiply
        True
        """
        return (self._angles.angle / np.pi)[()]

    @property
    def overlap(self):
        """ρ, the correlation of the scores x·ŵ and x·w0 in the deterministic equivalent, in [−1, 1]."""
        return self._angles.overlap[()]

    def error_rate_against(self, labels):
        """The 0–1 error against noisy test labels: mc.Sign(flips), mc.Probit(scale) or mc.Logistic(scale) of the truth.

        >>> import modelcollapse as mc
        >>> found = mc.predict(mc.fit(mc.truth(mc.isotropic(100)).label(400, link="sign")))
        >>> bool(abs(found.error_rate_against(mc.Sign(flips=0.1)) - (0.1 + 0.8 * found.error_rate)) < 1e-12)
        True
        """
        return self._angles.error_rate(labels)

    def calibration(self, score, labels="sign"):
        """P(label = + | score x·ŵ): the reliability curve; `score` broadcasts with the grid, `labels` as for
        `error_rate_against`.

        >>> import modelcollapse as mc
        >>> found = mc.predict(mc.fit(mc.truth(mc.isotropic(100)).label(400, link="sign")))
        >>> float(found.calibration(0.0)), bool(found.calibration(1.0) > found.calibration(0.5))
        (0.5, True)
        """
        return self._angles.calibration(score, labels)

    def log_loss(self, slope=1.0, labels="sign"):
        """Mean log-loss of the probabilities 1/(1 + exp(−slope·score)); `slope` broadcasts with the grid.

        >>> import numpy as np, modelcollapse as mc
        >>> found = mc.predict(mc.fit(mc.truth(mc.isotropic(100)).label(400, link="sign")))
        >>> bool(found.log_loss(3.0) < found.log_loss(0.0)), bool(np.isclose(found.log_loss(0.0), np.log(2)))
        (True, True)
        """
        return self._angles.log_loss(slope, labels)

    @property
    def shape(self):
        return np.shape(self.test_error)

    def __repr__(self):
        if not self.shape:
            return f"Prediction({', '.join(f'{name}={value:.6g}' for name, value in self.to_dict().items())})"
        return f"Prediction({shown(**self.to_dict())})"


def predict(model, values=None, *, inputs=None, finite_size=False):
    """The test error of a model at the end of any pipeline, in closed form.

    Parameters
    ----------
    model : Model
        truth, fit, chain, accumulate or a mixture.
    values : dict symbol -> number or array, optional
        Values of the pipeline's free symbols; they broadcast with its arrays.
    inputs : array (..., atoms) or function of the eigenvalues, optional
        Eigenvalues of the test inputs' covariance in the spectrum's eigenbasis; default: the spectrum's own.
    finite_size : bool
        False: the deterministic equivalent throughout, continuous in the ridge (least squares: σ²d/(T−d)).
        True: least-squares fits with T > d + 1 get the exact inverse-Wishart mean (σ²d/(T−d−1)).

    Returns
    -------
    Prediction, arrays of the broadcast shape. At T = d without ridge the error is infinite if there is label noise.

    Raises
    ------
    TypeError if a symbol stays free; ValueError for numbers outside their domain; RuntimeError if the effective
    ridge could not be found (never a silently wrong number).

    Examples
    --------
    The error of a fit on n-fold fake data is linear in n as long as the generators are least squares:

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> labels = mc.chain(w0, [0, 1, 2, 3], samples=400, noise=0.1)
    >>> error = mc.predict(mc.fit(labels.label(200, noise=0.1), ridge=0.05)).test_error
    >>> error.round(4), bool(np.allclose(np.diff(error, 2), 0))
    (array([0.0195, 0.0223, 0.0251, 0.0279]), True)
    """
    asked = functools.partial(question_of, model, values, inputs, finite_size)
    bias, variance, clean_bias, clean_variance, converged = evaluated(asked())
    require_found(converged, bias.shape)
    test_error, clean = bias + variance, clean_bias + clean_variance
    require_finite(test_error, clean)
    collapse = np.full(bias.shape, np.inf)
    np.subtract(test_error, clean, out=collapse, where=~np.isinf(test_error))
    return Prediction(*(x[()] for x in (test_error, bias, variance, clean, collapse)), _question=asked)
