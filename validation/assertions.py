"""`assert_agrees`: test a formula of one's own over pipelines that nobody chose.

    import modelcollapse as mc
    from modelcollapse.validation import assert_agrees

    def my_formula(model):
        ...                       # a test error, or None where the formula claims nothing

    def test_my_formula():
        assert_agrees(my_formula, against="simulate")

A failure, or an error that the formula raises, is shrunk by Hypothesis to a small pipeline and reported as the lines of
code that build it.
"""

import importlib

import numpy as np

from modelcollapse.theory.pipelines import Model
from modelcollapse.validation.allowances import finite_size_allowance
from modelcollapse.validation.listings import listing
from modelcollapse.validation.problems import problems_of
from modelcollapse.validation.simulation import simulate

__all__ = ["assert_agrees"]

_RAISED = "the formula raised this for"


def assert_agrees(
    formula,
    pipelines=None,
    *,
    against="predict",
    budget=0.01,
    examples=100,
    trials=200,
    tolerance=1e-8,
    finite_size=False,
    seed=0,
):
    """Raise AssertionError, with the smallest pipeline found, unless a formula for the test error agrees.

    Parameters
    ----------
    formula : function of a Model
        Returns its test error, or None outside the formula's claim.
    pipelines : Hypothesis strategy or list of Models, optional
        Without grids; default `strategies.pipelines()`.
    against : "predict", "simulate" or a function like `formula`
        The other route.
    budget : float
        With "simulate": probability that a correct formula fails, over all examples. A pipeline is rejected only if
        two simulations, the second four times longer, both put the formula outside their intervals; each interval is at
        level 1 − √(budget/examples).
    examples, trials, seed : int
        Pipelines to draw, trials of the first simulation, seed of both.
    tolerance : float
        Relative; for "simulate" the finite-size allowance of `crosscheck` is added.
    finite_size : bool
        What `predict` is asked for.

    >>> import modelcollapse as mc
    >>> pipelines = set()
    >>> assert_agrees(lambda model: pipelines.add(model) or mc.predict(model).test_error, examples=5)
    >>> len(pipelines)
    5
    """
    if against == "simulate":
        level = 1 - np.sqrt(budget / examples)

        def compare(model, value):
            _compare_with_simulation(model, value, level, trials, seed, tolerance)
    else:
        other = _prediction(finite_size) if against == "predict" else against
        if not callable(other):
            raise ValueError(f"against = {against!r} is unknown; give 'predict', 'simulate' or a function of the model")

        def compare(model, value):
            name = against if isinstance(against, str) else "the other route"
            _compare_with_value(model, value, _answer(other, model), tolerance, name)

    def check(model):
        value = _answer(formula, model)
        if value is not None:
            compare(model, np.asarray(value, float))

    if isinstance(pipelines, list | tuple):
        for model in pipelines:
            check(model)
    else:
        _search(check, pipelines, examples, seed)


def _search(check, pipelines, examples, seed):
    from modelcollapse.validation import strategies  # first: it says how to install Hypothesis

    hypothesis = importlib.import_module("hypothesis")

    def property_(model):
        check(model)

    strategy = strategies.pipelines() if pipelines is None else pipelines
    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
    )
    try:
        hypothesis.seed(seed)(settings(hypothesis.given(strategy)(property_)))()
    except AssertionError as failure:
        short = AssertionError(*failure.args)  # the listing says it better than Hypothesis's own note
        short.__notes__ = [note for note in getattr(failure, "__notes__", []) if note.startswith(_RAISED)]
        raise short from None


def _answer(formula, model):
    """What a formula says; an error of its own carries the pipeline as a note."""
    try:
        return formula(model)
    except Exception as error:
        if isinstance(model, Model):
            error.add_note(_RAISED + _listed(model))
        raise


def _prediction(finite_size):
    from modelcollapse.numerics.questions.predictions import predict

    return lambda model: predict(model, finite_size=finite_size).test_error


def _compare_with_value(model, value, other, tolerance, name):
    if not np.allclose(value, other, rtol=tolerance, atol=0, equal_nan=False):
        raise AssertionError(_message(model, value, f"{name} gives {float(np.max(other)):.6g}"))


def _compare_with_simulation(model, value, level, trials, seed, tolerance):
    _, (problem,) = problems_of(_one_point(model))
    band = (tolerance + finite_size_allowance(problem)) * abs(value) if 0 < abs(value) < np.inf else 0.0
    rounding = 1e-12 * np.sum(problem.eigenvalues * problem.truth**2)
    estimate = None
    for attempt, runs in enumerate((trials, 4 * trials)):
        estimate = simulate(model, runs, seed + attempt, progress=False)
        low, high = estimate.interval(level)
        if np.isinf(value):
            apart = estimate.tail_index > 1
        else:
            apart = low > value + band + rounding or high < value - band - rounding
        if not apart:
            return
    raise AssertionError(_message(model, value, f"simulation gives {estimate!r}"))


def _one_point(model):
    if not isinstance(model, Model):
        raise TypeError(f"pipelines yielded a {type(model).__name__}; give models")
    return model


def _message(model, value, other):
    return f"the formula gives {float(np.max(value)):.6g}, {other}, for{_listed(model)}"


def _listed(model):
    return "".join(f"\n    {line}" for line in listing(model).splitlines())
