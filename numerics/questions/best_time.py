r"""The moment at which training turns: the best time of gradient flow for the last fit of a pipeline.

The error along gradient flow falls, turns and rises; how early it turns depends on the label noise and on who wrote the
labels. The whole curve is searched, from long before the fastest direction is learned to long after the slowest is (one
contour serves all times within a factor of four), then the neighbourhood of its lowest point is searched on ever finer
grids. Training for ever is another estimator, least squares: it wins where no finite time is better.
"""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.evaluation.outcome import shown
from modelcollapse.numerics.evaluation.traced import Slopes
from modelcollapse.numerics.questions.best_ridge import optimal_ridge, scales
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.pipelines import Fit, Model
from modelcollapse.theory.pipelines.filters import GradientFlow
from modelcollapse.theory.pipelines.reading import checked_values

__all__ = ["OptimalStopping", "optimal_stopping"]

_SHORTEST, _LONGEST = 1e-3, 1e12  # of the search, in units of 1/s_1; longer where directions are slower
_PER_DECADE, _ZOOMS, _ROUNDING = 12, 4, 1e-14
_TIE = 1e-10  # of a finite time with training for ever, relative: the accuracy of a flow


@dataclass(frozen=True, eq=False)
class OptimalStopping:
    """The best time of gradient flow at every grid point, and how it compares with the best ridge.

    Attributes
    ----------
    time : in units of 1 / eigenvalue, for the flow of half the mean squared error; 0 if training only harms, inf if it
        never does
    test_error : there
    ratio : test_error / (test error of the optimal ridge)
    at_bound : whether the time is 0 or inf
    """

    time: np.ndarray
    test_error: np.ndarray
    ratio: np.ndarray
    at_bound: np.ndarray

    def __repr__(self):
        if np.ndim(self.time) == 0:
            return f"OptimalStopping(time={self.time:.6g}, test_error={self.test_error:.6g}, ratio={self.ratio:.4g})"
        return f"OptimalStopping({shown(time=self.time)})"


def optimal_stopping(model, values=None):
    """When to stop training the last fit of a pipeline, were it trained by gradient flow.

    Parameters
    ----------
    model : Model that ends in fit(...)
        Its last fit is replaced by one with filter=GradientFlow(time), whatever ridge or filter it has; the ridge that
        it is compared with is the optimal one.
    values : dict symbol -> number or array, optional
        Values of the pipeline's free symbols. Every point of a grid is searched by itself, times from 1e-3/s_1 to
        1e12/s_1 or 100 times what the slowest direction takes, whichever is longer; s_1 the largest eigenvalue, times
        the rows' weight.

    Returns
    -------
    OptimalStopping of arrays of the grid's shape. k steps of length h are close to a time k·h while h is small.

    Raises
    ------
    TypeError for a model that does not end in a fit; what `predict` raises.

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.power_law(1.5, 0.5, dim=200))
    >>> labels = mc.chain(w0, [0, 5], samples=600, noise=0.1)
    >>> best = optimal_stopping(mc.fit(labels.label(400, noise=0.1)))
    >>> best.time.round(1)                         # the more synthetic the labels, the earlier the turn
    array([425.3, 123.2])
    """
    if not isinstance(model, Fit):
        kind = type(model).__name__ if isinstance(model, Model) else f"no model but a {type(model).__name__}"
        raise TypeError(f"model is {kind} and optimal_stopping needs one that ends in fit(...)")
    if model.features is not None:
        raise ValueError("features and optimal_stopping do not go together; give a fit without features")
    symbol = _time()
    flow = Fit(model.spectrum, model.sources, None, GradientFlow(symbol))
    ridge, untrained = (Fit(model.spectrum, model.sources, penalty) for penalty in (0.0, np.inf))
    values = {s: v for s, v in checked_values(model, values).items() if s in flow.free}
    null = predict(untrained, values).test_error
    shape = np.shape(null)

    def along(times):
        return predict(flow, {**values, symbol: times}).test_error

    shortest, longest = _range(model, values)
    count = _PER_DECADE * round(np.log10(longest / shortest)) + 1
    times = np.geomspace(shortest, longest, count)
    times = np.broadcast_to(times.reshape(-1, *(1 for _ in shape)), (count, *shape))
    errors = along(times[(slice(None), *(slice(0, 1) for _ in shape))])
    rounding = _ROUNDING * np.max(errors, 0)
    lowest = np.min(errors, 0) * (1 + _ROUNDING) + rounding
    never, endless = null <= lowest, predict(ridge, values).test_error
    for _ in range(_ZOOMS):
        best = np.clip(np.argmin(errors, 0), 1, len(times) - 2)[None]
        low, high = (np.take_along_axis(times, best + step, 0)[0] for step in (-1, 1))
        times = np.geomspace(low, high, 2 * _PER_DECADE + 1)
        errors = along(times)
    best = np.argmin(errors, 0)[None]
    time, error = (np.take_along_axis(x, best, 0)[0] for x in (times, errors))
    for_ever = ~never & (endless <= error * (1 + _TIE) + rounding)
    time = np.where(never, 0.0, np.where(for_ever, np.inf, time))
    error = np.where(never, null, np.where(for_ever, endless, error))
    least = optimal_ridge(ridge, values).test_error
    ratio = np.divide(error, least, out=np.where(error > 0, np.inf, 1.0), where=least > 0)
    return OptimalStopping(*(x[()] for x in (time, error, ratio, never | for_ever)))


def _range(model, values):
    """The shortest and the longest time of the search, for all points of a grid."""
    symbol = _time()
    low, high = scales(Slopes(Fit(model.spectrum, model.sources, symbol), (symbol,), values, {symbol: 1.0}))
    fastest, slowest = (np.exp(np.max(high)) / 100, np.exp(np.min(low))) if low.size else (1.0, 1.0)
    return _SHORTEST / fastest, min(max(_LONGEST / fastest, 1 / slowest), 1e300)


def _time():
    import sympy

    return sympy.Dummy("time", nonnegative=True)
