r"""`crosscheck`: closed forms beside simulations, and a verdict.

A prediction P with finite-size allowance a (see `allowances`) says that the mean lies in the band P(1 ± a). The
simulation says that it lies in its interval, at a level such that all intervals of the family hold together with
probability 1 − budget (Bonferroni). The verdict at a point is

- disagrees: the interval and the band are disjoint;
- agrees: they meet, and the data are sharp enough to mean it: half the interval plus the band within `resolution`·P;
- undecided: they meet, but the interval is too wide, or the run's error has no variance (T near d).

A prediction of inf agrees with a simulation whose mean is known not to exist.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelcollapse.theory.pipelines import Model
from modelcollapse.validation.allowances import angle_allowance, finite_size_allowance, without_noise
from modelcollapse.validation.problems import problems_of
from modelcollapse.validation.simulation import simulate_each

__all__ = ["Agreement", "crosscheck"]

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Agreement:
    """Predictions beside simulations. `str()` is a table, `.plot()` a picture.

    Attributes
    ----------
    prediction, estimate : Prediction and Estimate; tuples of them for a list of models
    z : (estimate − prediction) / standard error; arrays of the grid's shape, flat for a list of models
    relative_difference : estimate / prediction − 1
    verdict : "agrees", "disagrees" or "undecided"; the worst of `verdicts`
    verdicts : the same at each point
    allowance : the relative deviation allowed for finite size, at each point
    low, high : the family-wise interval of each mean
    budget : probability that a correct theory is rejected anywhere
    names : one line per point for the table
    metric : "test_error" or "error_rate", what was compared

    >>> import modelcollapse as mc
    >>> found = mc.crosscheck(mc.fit(mc.truth(mc.isotropic(100)).label(200, noise=0.5), ridge=0.1), trials=100)
    >>> found.verdict, round(float(found.prediction.test_error), 3), found.budget
    ('agrees', 0.177, 0.01)
    """

    prediction: Any
    estimate: Any
    z: np.ndarray
    relative_difference: np.ndarray
    verdict: str
    verdicts: np.ndarray
    allowance: np.ndarray
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    budget: float = 0.01
    names: tuple = field(default=(), repr=False)
    metric: str = "test_error"

    def to_dict(self):
        """Columns by name: flat NumPy arrays, one row per point."""
        predictions, estimates = self._parts()
        columns = {
            "pipeline": np.array(self.names),
            "predicted": _flat(getattr(p, self.metric) for p in predictions),
            "simulated": _flat(_measured(e, self.metric).mean for e in estimates),
            "standard_error": _flat(_measured(e, self.metric).standard_error for e in estimates),
        }
        for name in ("relative_difference", "allowance", "low", "high", "z", "verdicts"):
            columns[name.removesuffix("s")] = np.ravel(getattr(self, name))
        return columns

    def _parts(self):
        single = not isinstance(self.prediction, tuple)
        return ((self.prediction,), (self.estimate,)) if single else (self.prediction, self.estimate)

    def __repr__(self):
        return f"Agreement({self.verdict}: {np.size(self.z)} points, largest |z| {np.max(np.abs(self.z)):.2g})"

    def __str__(self):
        columns = self.to_dict()
        width = min(max(len("pipeline"), *map(len, self.names)), 60)
        lines = [f"{'pipeline':{width}}  predicted   simulated   ± s.e.    difference  allowed      z  verdict"]
        for row in zip(*columns.values(), strict=True):
            name, predicted, simulated, error, difference, allowed, _, _, z, verdict = row
            lines.append(
                f"{_cut(name, width):{width}}  {predicted:<10.5g}  {simulated:<10.5g}  {error:<8.2g}  "
                f"{difference:>+9.2%}  {allowed:>8.2%}  {z:>+5.1f}  {verdict}"
            )
        count = {v: int(np.sum(np.ravel(self.verdicts) == v)) for v in ("agrees", "undecided", "disagrees")}
        tally = ", ".join(f"{n} {v}" for v, n in count.items() if n)
        summary = f"{self.verdict}: {tally}; a correct theory is rejected with probability {self.budget:g}"
        return "\n".join([*lines, summary])

    def plot(self, ax=None):
        """Simulated over predicted errors with two standard errors and the allowance; `mc.plot.agreement` has more."""
        from modelcollapse.plot import agreement

        return agreement(self, relative=True, ax=ax)


def crosscheck(
    model,
    trials=400,
    seed=0,
    *,
    metric="test_error",
    budget=0.01,
    allowance=None,
    resolution=0.25,
    values=None,
    inputs=None,
    **options,
):
    """Predictions beside simulations, with a verdict at every point.

    Parameters
    ----------
    model : Model or list of Models
        Each may be a grid.
    trials, seed, values, inputs, options : as for `simulate`
        `relative_error`, `client`, `workers`, `distribution`, `progress`, ... All models and points share one queue
        of work.
    metric : "test_error" or "error_rate"
        The squared error of the score, or the 0–1 error against the sign of the truth's score.
    budget : float in (0, 1)
        Probability that a correct theory is called wrong anywhere in the family.
    allowance : float or array, optional
        Relative deviation allowed for finite size. Default: 3/2 (noise) to 4 (signal) times
        Σ 1/(T − df_2 − 3) over the fits that are not exact at finite size (see `modelcollapse.validation.allowances`),
        so 0 for least squares throughout. Error rates: Σ 1/(T − df_2 − 3) over all fits.
    resolution : float
        An agreement looser than this, relatively, is called undecided: run more trials or larger sizes.

    Returns
    -------
    Agreement. Predictions are those of `predict(..., finite_size=True)`.

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(30))
    >>> agreement = crosscheck([mc.chain(w0, n, samples=60, noise=0.5) for n in (1, 5)])
    >>> agreement.verdict, float(np.max(agreement.allowance))
    ('agrees', 0.0)
    >>> crosscheck(mc.fit(w0.label(60, link="sign")), metric="error_rate").verdict
    'agrees'
    """
    from modelcollapse.numerics.questions.predictions import predict

    models = [model] if isinstance(model, Model) else list(model)
    if not models:
        raise ValueError("model is an empty list; give a pipeline, or several")
    if metric not in ("test_error", "error_rate"):
        raise ValueError(f"metric = {metric!r} is unknown; give 'test_error' or 'error_rate'")
    if metric == "error_rate" and options.setdefault("conditional", False):
        raise ValueError("conditional = True averages test errors; for metric = 'error_rate' leave it out")
    if not 0 < budget < 1:
        raise ValueError(f"budget = {budget!r} is outside (0, 1); give a failure probability such as 0.01")
    problems = [
        problems_of(m, values, inputs, options.get("distribution", "gaussian"), options.get("df"))[1] for m in models
    ]
    predictions = [predict(m, values, inputs=inputs, finite_size=True) for m in models]
    estimates = simulate_each(models, trials, seed, values=values, inputs=inputs, **options)
    if allowance is None:
        allowed = [
            _allowed(m, points, p, values, inputs, metric)
            for m, points, p in zip(models, problems, predictions, strict=True)
        ]
    else:
        allowed = [np.broadcast_to(np.asarray(allowance, float), e.shape) for e in estimates]
    level = 1 - budget / sum(map(len, problems))
    judged = [
        _judge(
            getattr(p, metric),
            _measured(e, metric),
            a,
            level,
            resolution,
            m.spectrum if metric == "test_error" else None,
        )
        for p, e, a, m in zip(predictions, estimates, allowed, models, strict=True)
    ]
    names = tuple(
        _name(m, place, e.shape) for m, e in zip(models, estimates, strict=True) for place in np.ndindex(*e.shape)
    )
    if isinstance(model, Model):
        columns, prediction, estimate = [*judged[0], allowed[0][()]], predictions[0], estimates[0]
    else:
        columns = [_flat(parts) for parts in (*zip(*judged, strict=True), allowed)]
        prediction, estimate = tuple(predictions), tuple(estimates)
    z, relative, verdicts, low, high, allowed = columns
    worst = next(v for v in ("disagrees", "undecided", "agrees") if np.any(verdicts == v))
    return Agreement(prediction, estimate, z, relative, worst, verdicts, allowed, low, high, budget, names, metric)


def _measured(estimate, metric):
    return estimate if metric == "test_error" else estimate.error_rate


def _allowed(model, problems, prediction, values, inputs, metric):
    """The finite-size allowance at each point, of a test error from the noise-free share of it."""
    if metric == "error_rate":
        return np.reshape([angle_allowance(problem) for problem in problems], prediction.shape)
    from modelcollapse.numerics.questions.predictions import predict

    quiet = without_noise(model)
    values = {symbol: value for symbol, value in (values or {}).items() if symbol in quiet.free}
    signal = predict(quiet, values, inputs=inputs, finite_size=True).test_error
    signal = np.broadcast_to(signal, prediction.shape).ravel()
    total = np.ravel(prediction.test_error)
    variance = np.array([problem.null_error for problem in problems])
    usable = (total > 0) & np.isfinite(total) & (variance > 0)
    share = np.divide(signal, total, out=np.zeros(total.shape), where=usable)
    left = np.divide(signal, variance, out=np.zeros(total.shape), where=usable)
    learned = np.clip(share, 0, 1) * np.clip(1 - left, 0, 1)
    allowed = [finite_size_allowance(problem, a) for problem, a in zip(problems, learned, strict=True)]
    return np.reshape(allowed, prediction.shape)


def _judge(predicted, estimate, allowed, level, resolution, spectrum):
    """z, relative difference, verdict and interval at each point of one model."""
    mean, error = np.asarray(estimate.mean), np.asarray(estimate.standard_error)
    low, high = estimate.interval(level)
    finite = np.isfinite(predicted)
    target = np.where(finite, predicted, 0)
    rounding = _ROUNDING * np.max(1 if spectrum is None or spectrum.free else spectrum.label_variance)
    difference = np.where(np.abs(mean - target) <= rounding, 0, mean - target)
    z = np.divide(difference, error, out=np.where(difference == 0, 0, np.copysign(np.inf, difference)), where=error > 0)
    relative = np.divide(difference, target, out=np.where(difference == 0, 0, np.inf), where=target > 0)
    band = np.where(target > 0, allowed * np.where(target > 0, target, 1), 0)
    apart = (low > target + band + rounding) | (high < target - band - rounding)
    sharp = (high - low) / 2 + band <= resolution * target + rounding
    verdicts = np.where(apart, "disagrees", np.where(sharp, "agrees", "undecided"))
    diverged = np.where(np.asarray(estimate.tail_index) <= 1, "agrees", "disagrees")
    verdicts = np.where(finite, verdicts, diverged)
    z, relative = np.where(finite, z, 0), np.where(finite, relative, 0)
    return z[()], relative[()], verdicts[()], low, high


def _flat(parts):
    return np.concatenate([np.ravel(part) for part in parts])


def _name(model, place, shape):
    return repr(model) if not shape else f"{list(place)} of {model!r}"


def _cut(text, width):
    return text if len(text) <= width else text[: width - 3] + "..."
