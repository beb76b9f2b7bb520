"""A monitor that tells a training loop of the user's own when to stop, given who wrote its labels.

Time is that of the flow of half the mean squared error, as in `modelcollapse.estimators.flow`.
"""

import warnings
from typing import Any

import numpy as np

from modelcollapse.estimators.flow import CollapseAwareGradientFlow
from modelcollapse.estimators.labels import in_own_unit
from modelcollapse.numerics.provenance.corrected_risk import Provenance
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.numerics.stopping_criterion import learned
from modelcollapse.theory.populations.resolved_directions import precision


class StoppingMonitor:
    """Tells a training loop when to stop, given its outputs and who wrote its labels.

    Squared loss, all rows, a start at zero, and a model that is linear in its parameters, or nearly (a wide network,
    with its tangent kernel): outputs on the training rows then move along gradient flow, whatever the learning rate
    and its schedule, and the time that has passed is read off the outputs: the time at which the flow's are nearest.
    The best time needs no outputs and is known before the first step.

    Parameters
    ----------
    X : (T, d), or the (T, T) kernel matrix where kernel="precomputed"
    y : (T,) or (T, outputs)
        Labels. Where the model does not start at zero, subtract its initial outputs from labels and outputs.
    provenance : Provenance, or dict from origin to Provenance
        Who wrote the labels; a dict needs `origin`, who wrote each row.
    origin, unlabelled
        As in CollapseAwareGradientFlow.fit.
    kernel, gamma, degree, coef0, kernel_params
        As in CollapseAwareGradientFlow.
    fit_intercept : bool
        Whether the loop trains on centred labels and features. A bias that is trained like other parameters is not
        that, but a constant feature of X.
    tolerance : float
        Warn once if outputs are further than this, relative to the labels, from those of the flow at the same time.

    Attributes
    ----------
    best_time : float
        Where the corrected risk is smallest: k steps of length h on half the mean squared error are the time k·h.
    criterion : str
        As criterion_ of CollapseAwareGradientFlow.
    path : dict of arrays of shape (updates,)
        time, corrected_risk, leave_one_out, deviation (of the outputs from the flow, relative to the labels).
    best_update : int
        The update, from 0, with the smallest corrected risk: the checkpoint to go back to.
    should_stop : bool
        Whether the last update was at the best time or later.

    Notes
    -----
    The errors belong to the flow and the kernel given, not to the outputs: a network that learns features, an adaptive
    optimiser, strong momentum or steps near the edge of stability deviate from it; `path["deviation"]` says by how
    much. Learning-rate schedules and minibatches do little.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 40)) * np.arange(1, 41) ** -0.5
    >>> y = X @ np.ones(40) + rng.standard_normal(100)
    >>> monitor, w = StoppingMonitor(X, y, Provenance(generations=10, samples=80, noise=0.3)), np.zeros(40)
    >>> while not monitor.update(X @ w):
    ...     w -= 0.1 * X.T @ (X @ w - y) / len(X)
    >>> round(0.1 * (len(monitor.path["time"]) - 1), 1), round(float(monitor.best_time), 1)
    (11.4, 11.5)
    """

    def __init__(
        self,
        X,
        y,
        provenance,
        *,
        origin=None,
        unlabelled=None,
        kernel="linear",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        fit_intercept=False,
        tolerance=0.1,
    ):
        known: Any = provenance
        if isinstance(provenance, Provenance):
            known, origin = {"all": provenance}, ["all"] * len(X)
        elif not isinstance(provenance, dict):
            raise TypeError(
                f"provenance is a {type(provenance).__name__}; give Provenance(...), or a dict from origin to such"
            )
        if not tolerance > 0:
            raise ValueError(f"tolerance = {tolerance!r} is outside (0, inf]; give a positive number, or inf for none")
        options = {"gamma": gamma, "degree": degree, "coef0": coef0, "kernel_params": kernel_params}
        model = CollapseAwareGradientFlow(known, kernel=kernel, fit_intercept=fit_intercept, **options)
        model.fit(X, y, origin=origin, unlabelled=unlabelled)
        self.best_time, self.criterion = model.time_, model.criterion_
        self._shape, self._tolerance, self._curve, self._updates = np.shape(y), tolerance, model.path_, []
        self._centre = model.fit_intercept
        labels, found = in_own_unit(self._columns(y), self._centre), model._directions(*_numbers(X))
        self._basis, self._path, self._unit = found.vectors, RidgePath.of(found, labels.values), labels.unit
        self._energy = np.sum(self._path.coordinates**2, axis=1)
        if not self._energy.any():
            raise ValueError("y has no part that the model can learn; no time can be read off its outputs")

    def update(self, outputs):
        """Take the outputs (T,) or (T, outputs) on the training rows at this moment; return `should_stop`."""
        if np.shape(outputs) != self._shape:
            raise ValueError(f"outputs have shape {np.shape(outputs)} and y has {self._shape}; give one for each label")
        outputs = self._columns(outputs) / self._unit
        if not np.isfinite(outputs).all():
            raise ValueError("outputs are not finite: training diverged; take smaller steps")
        if self._centre:
            outputs = outputs - outputs.mean(axis=0)
        coordinates, path = self._basis.T @ outputs, self._path
        time = self._time(coordinates)
        expected = learned(path, [time]).T * path.coordinates
        strayed = np.sum((outputs - self._basis @ coordinates) ** 2) + np.sum((coordinates - expected) ** 2)
        length = np.sum(path.coordinates**2) + path.rest * path.coordinates.shape[1]
        deviation = float(np.sqrt(strayed / length))
        if deviation > self._tolerance and all(deviation <= self._tolerance for _, deviation in self._updates):
            warnings.warn(
                f"the outputs are {100 * deviation:.0f} % of the labels away from gradient flow with this kernel, and "
                "the best time is that of the flow; give the kernel of the model that is trained, start it at zero, "
                "or take smaller steps",
                UserWarning,
                stacklevel=2,
            )
        self._updates.append((time, deviation))
        return self.should_stop

    @property
    def should_stop(self):
        return bool(self._updates) and self._updates[-1][0] >= self.best_time

    @property
    def path(self):
        times, deviations = np.array(self._updates).reshape(-1, 2).T
        at = np.log(np.maximum(times, self._curve["time"][0]))
        along = {
            name: np.interp(at, np.log(self._curve["time"]), self._curve[name])
            for name in ("corrected_risk", "leave_one_out")
        }
        return {"time": times, **along, "deviation": deviations}

    @property
    def best_update(self):
        if not self._updates:
            raise ValueError("no update yet; call update(outputs) as training goes on")
        return int(np.argmin(self.path["corrected_risk"]))

    def __repr__(self):
        return f"StoppingMonitor(best_time={self.best_time:.6g}, updates={len(self._updates)})"

    def _columns(self, values):
        return np.asarray(values, dtype=float).reshape(self._shape[0], -1)

    def _time(self, coordinates):
        """The time at which outputs of these coordinates (r, outputs) are nearest to the flow's."""
        from scipy.optimize import minimize_scalar

        if not coordinates.any():
            return 0.0
        cross = np.sum(coordinates * self._path.coordinates, axis=1)

        def distance(times):
            keep = learned(self._path, times)
            return keep**2 @ self._energy - 2 * keep @ cross

        grid = np.log(self._curve["time"])
        best = np.argmin(distance(np.exp(grid)))
        around = grid[best] - (0.2 if best else 20.0), grid[best] + 0.2
        found: Any = minimize_scalar(lambda at: distance(np.exp([at]))[0], bounds=around, method="bounded")
        return float(np.exp(found.x))


def _numbers(X):
    return np.asarray(X, dtype=float), precision(X)
