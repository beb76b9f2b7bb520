r"""Advice about a table of real and synthetic rows, with intervals.

Intervals are those of the jackknife that leaves out a tenth of the rows of every origin at a time: with the answers
$\theta_1 .. \theta_J$, the variance of $\theta$ is $\frac{J - 1}{J} \sum (\theta_j - \bar\theta)^2$. All are
taken in logarithms. Repeated rows would leak into leave-one-out, so that the bootstrap is not an option here. Errors of
labels have the interval of `modelcollapse.numerics.mixes.label_errors`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from modelcollapse._progress import Progress
from modelcollapse.estimators.advice_columns import names_of, numeric
from modelcollapse.estimators.advice_page import page
from modelcollapse.estimators.labels import in_own_unit
from modelcollapse.estimators.misclassified import overruled
from modelcollapse.estimators.mix import FEWEST, features_of, fit_mix, report, worth_of
from modelcollapse.estimators.mix_origins import read_mix
from modelcollapse.numerics.mixes.label_errors import label_errors
from modelcollapse.numerics.mixes.worth import LearningCurve
from modelcollapse.numerics.provenance.corrected_risk import Provenance
from modelcollapse.theory.populations.resolved_directions import EPS
from modelcollapse.theory.populations.threads import pinned

GROUPS = 10
_NEAR = 5  # maxima of the evidence that are followed as rows are left out: they move alike
_WIDTH = 1.64  # standard errors: the middle 90 %


class Answer(NamedTuple):
    """A number and the limits of its middle 90 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Advice:
    """What `advise` found; str() is a page.

    task: "regression" or "classification"; rows: mark -> number of rows; real: the mark of real rows; ridge: λ of the
    mean squared error, for standardised columns; weights: mark -> weight of one of its rows; worth: real rows per
    synthetic row; keep: mark -> whether its rows are used; more_rows: further real rows for a share `gain` less excess
    error; report: as CollapseAwareRidge.report_; label_errors: mark -> error of its labels, in the targets' unit
    squared; notes: warnings; settings: of the estimator. Numbers are Answers (value, low, high).
    """

    task: str
    real: str
    rows: dict
    ridge: Answer
    weights: dict
    worth: Answer
    keep: dict
    more_rows: Answer
    gain: float
    report: dict
    label_errors: dict
    notes: tuple = ()
    settings: dict = field(default_factory=dict)

    def __str__(self):
        return page(self)

    def to_dict(self):
        """Plain numbers, text, lists and dicts."""
        found: dict[str, Any] = asdict(self)
        for name in ("ridge", "worth", "more_rows"):
            found[name] = getattr(self, name)._asdict()
        for name in ("weights", "label_errors"):
            found[name] = {str(mark): answer._asdict() for mark, answer in getattr(self, name).items()}
        for name in ("rows", "keep"):
            found[name] = {str(mark): value for mark, value in getattr(self, name).items()}
        found["report"] = {name: values.tolist() for name, values in self.report.items()}
        found["real"], found["notes"] = str(self.real), list(self.notes)
        return found

    def plot(self, ax=None):
        """The errors of real rows alone, all rows alike and the choice, on real rows left out; a Matplotlib Axes."""
        from modelcollapse._pictures.advice import advice

        return advice(self, ax)


def advise(X, y, origin, *, real="real", task="auto", kernel="linear", gamma=None, gain=0.1, progress=None):
    """What to do with synthetic rows: ridge, weights, worth, drop or keep, how many more real rows.

    X : (N, d), array or data frame of numbers, standardised here
    y : (N,), numbers, or text for classes
    origin : (N,), who wrote each label; `real` marks the real rows (at least eight), every other mark is an origin of
        synthetic ones
    task : "regression", "classification", or "auto": classes where y is text or has two values
    kernel, gamma : of the fit, as in CollapseAwareRidge (gamma: of standardised columns)
    gain : share of the excess error that more real rows are to save
    progress : True for a bar, or a function of (done, total)

    Raises ValueError or TypeError in one sentence; a column of text or with gaps is named, with the pipeline that
    handles it.

    A teacher that is right where thirty real rows are noisy is kept:

    >>> rng = np.random.default_rng(0)
    >>> X, origin = rng.standard_normal((130, 4)), np.repeat(["real", "model"], [30, 100])
    >>> y = X @ np.ones(4) + np.where(origin == "real", rng.standard_normal(130), 0)
    >>> advice = advise(X, y, origin)
    >>> worth = [round(float(bound), 1) for bound in (advice.worth.low, advice.worth.value, advice.worth.high)]
    >>> advice.keep, round(float(advice.weights["model"].value), 1), worth
    ({'model': True}, 1.0, [0.1, 0.5, 1.5])
    """
    if not 0 < gain < 1:
        raise ValueError(f"gain = {gain!r} is outside (0, 1); give a share of the excess error, such as 0.1")
    inputs, marks = numeric(X, names_of(X)), np.asarray(origin, dtype=object).ravel()
    if len(marks) != len(inputs) or len(np.ravel(np.asarray(y, dtype=object))) != len(inputs):
        raise ValueError(f"X, y and origin have {len(inputs)}, {len(y)} and {len(marks)} rows; give one of each a row")
    counts = _counts(marks, real)
    targets, task = _targets(y, task)
    inputs = _standardised(inputs)
    found = read_mix(marks, len(marks), {mark: Provenance() if mark == real else None for mark in counts}, "auto")
    groups, rng = np.empty(len(marks), dtype=int), np.random.default_rng(0)
    for mark in counts:
        at = np.flatnonzero(marks == mark)
        groups[rng.permutation(at)] = np.arange(len(at)) % GROUPS if len(at) > 1 else -1  # an only row stays
    with pinned(len(inputs)), Progress(progress, "jackknife") as bar:
        whole = _answers(inputs, targets, found, kernel, gamma, task, gain)
        near, parts = whole[1].belief and whole[1].belief.maxima(_NEAR), []
        for group in range(GROUPS):
            kept = groups != group
            left = found._replace(codes=found.codes[kept])
            parts.append(_answers(inputs[kept], targets[kept], left, kernel, gamma, task, gain, near)[0])
            bar.report(group + 1, GROUPS)
    values, mix, labels, rates = whole
    answers = {name: _answer(values[name], [part[name] for part in parts], len(parts)) for name in values}
    weights = {mark: answers[mark] for mark in counts if mark != real}
    errors = label_errors(mix.rows, mix.belief, labels.unit)
    errors = {mark: Answer(*errors[code]) for mark, code in found.marks.items() if code}
    return Advice(
        task, real, counts, answers["ridge of the fit"], weights, answers["worth of a row"],
        {mark: answer.value > 0 for mark, answer in weights.items()}, answers["more real rows"], gain,
        {**(report(mix, labels.unit) or {}), **rates}, errors, tuple(mix.notes), {"kernel": kernel, "gamma": gamma},
    )  # fmt: skip


def _counts(marks, real):
    counts = {mark: int(np.sum(marks == mark)) for mark in dict.fromkeys(marks.tolist())}
    shown = ", ".join(map(repr, list(counts)[:6]))
    if real not in counts:
        raise ValueError(f"origin holds {shown}, and real = {real!r} is not among them; say which mark real rows have")
    if len(counts) == 1:
        raise ValueError(f"origin holds {shown} alone; mark the synthetic rows by another name")
    if counts[real] < 2 * FEWEST:
        raise ValueError(f"{counts[real]} rows are marked {real!r}; advice needs at least {2 * FEWEST} real rows")
    return counts


def _standardised(inputs):
    """Columns of mean 0 and variance 1; those that hold one value, up to rounding, are 0."""
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    varies = spread > len(inputs) * np.finfo(float).eps * np.abs(mean)
    if not varies.any():
        raise ValueError("X has no column that varies from row to row; there is nothing to learn from")
    return np.where(varies, inputs - mean, 0.0) / np.where(varies, spread, 1.0)


def _targets(y, task):
    """Targets (N,) or (N, classes), and the task."""
    if task not in ("auto", "regression", "classification"):
        raise ValueError(f'task = {task!r}; give "auto", "regression" or "classification"')
    y = np.asarray(y, dtype=object).ravel()
    text = any(isinstance(value, str | bytes | bool | np.bool_) for value in y)
    names = np.array([str(value) for value in y]) if text else numeric(y[:, None], ["y"])[:, 0]
    classes, places = np.unique(names, return_inverse=True)
    if task == "regression" or (task == "auto" and not text and len(classes) > 2):
        if text:
            raise TypeError('y holds text; give numbers, or task="classification"')
        return names, "regression"
    if len(classes) < 2:
        raise ValueError(f"y has one value, {classes[0].item()!r}; there is nothing to learn")
    targets = np.where(np.arange(len(classes)) == places[:, None], 1.0, -1.0)
    return targets[:, 1] if len(classes) == 2 else targets, "classification"


def _answers(inputs, targets, found, kernel, gamma, task, gain, near=None):
    """{name: number}, the Mix, its Labels and 0-1 errors: a CollapseAwareRidge of weights "auto"; `near` as fit_mix."""
    labels = in_own_unit(targets.reshape(len(inputs), -1), centre=True)
    features = features_of(inputs, EPS, True, kernel, {"gamma": gamma})
    mix = fit_mix(features, labels.values, found.codes, np.ones(len(inputs)), True, {}, None, near=near)
    mix, rates = overruled(mix, labels) if task == "classification" else (mix, {})
    curve = LearningCurve(mix.rows, mix.belief, synthetic=True)
    values: dict[Any, float] = {mark: float(mix.best.weights[code]) for mark, code in found.marks.items()}
    values["ridge of the fit"] = mix.alpha / mix.effective_rows
    values["worth of a row"] = worth_of(mix) or 0.0
    values["more real rows"] = curve.rows_for((1 - gain) * curve(0.0))
    return values, mix, labels, rates


def _answer(value, parts, count):
    """The Answer of the jackknife, in logarithms."""
    small = 1e-3
    logs = np.log(np.minimum(parts, 1e12) + small)
    error = np.sqrt((count - 1) / count * np.sum((logs - logs.mean()) ** 2))
    low, high = (float(np.exp(np.log(min(value, 1e12) + small) + sign * _WIDTH * error) - small) for sign in (-1, 1))
    return Answer(float(value), max(low, 0.0), high)
