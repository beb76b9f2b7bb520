"""Named equations of a pipeline: solved line after line they are what `predict` says, by its own kernels."""

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.theory import closed_form, equations
from modelcollapse.theory.named_equations import Equations, Line

T, LAM, SIGMA = sympy.symbols("T lambda sigma", positive=True)
P = sympy.Symbol("p", positive=True)
SPECTRUM = mc.Spectrum([1.0, 0.3, 0.3, 0.05], [0.5, 0.0, 1.0, 2.0], [1, 7.5, 20, 40])  # fractions, no signal, no inputs
W0 = mc.truth(SPECTRUM)
TEACHER = mc.fit(W0.label(40, 0.3), ridge=0.05)
OTHER = mc.fit(TEACHER.label(30, 0.1), ridge=0.1)

PIPELINES = {
    "ridge": mc.fit(W0.label(T, noise=SIGMA), ridge=LAM),
    "mix": mc.fit(TEACHER.label(T * P, SIGMA), W0.label(T * (1 - P), 0.1), ridge=LAM),
    "a weight, and a source without rows": mc.fit(
        TEACHER.label(50, weight=3.0), W0.label(0, 5.0, weight=2.0), ridge=0.1
    ),
    "chain": mc.fit(mc.chain(W0, 3, 60, 0.2, 0.01).label(30, 0.1), ridge=0.1),
    "least squares": mc.fit(mc.chain(W0, 3, 90, 0.2).label(80, 0.1)),
    "more directions than rows": mc.fit(W0.label(20, 0.1)),
    "a chain and its start": mc.fit(mc.chain(TEACHER, 4, 60, 0.2, 0.01).label(30, 0.1), TEACHER.label(9), ridge=0.1),
    "no generation": mc.fit(mc.chain(TEACHER, 0, 60, 0.2, 0.01).label(30, 0.1), ridge=0.1),
    "accumulated": mc.accumulate(W0, 4, 40, 0.2, 1.0),
    "accumulated on a model": mc.fit(mc.accumulate(TEACHER, 4, 40, 0.2, 1.0).label(30), TEACHER.label(9), ridge=0.1),
    "mixture": 0.3 * TEACHER + 0.5 * OTHER,
    "fit on a mixture": mc.fit((0.3 * TEACHER + 0.5 * OTHER).label(30, 0.1), OTHER.label(20), ridge=0.1),
    "endless": mc.fit(mc.truth(mc.power_law(1.5, 0.5)).label(20, 0.1), ridge=1e-3),
}
VALUES = {T: 30, P: 0.3, LAM: 0.01, SIGMA: 0.2}


def values_of(model):
    return {symbol: VALUES[symbol] for symbol in model.free}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_lines_are_what_predict_evaluates(name):
    model = PIPELINES[name]
    found = equations(model).evaluate(values_of(model))
    assert found == pytest.approx(mc.predict(model, values_of(model)).test_error, rel=1e-11)


def test_every_line_matters():
    """One wrong line, a factor of 1.1 on its right side, is another number: the lines themselves are solved."""
    model = PIPELINES["mix"]
    right = equations(model)
    expected = right.evaluate(values_of(model))
    for k, line in enumerate(right):
        root = line.root and (1.1 * line.root[0], line.root[1])
        wrong = [*right[:k], Line(line.left, 1.1 * line.right, line.over, root), *right[k + 1 :]]
        assert abs(Equations(wrong, right.spectrum).evaluate(values_of(model)) / expected - 1) > 1e-5, line


def test_latex_has_a_row_for_each_line():
    found = equations(PIPELINES["a chain and its start"])
    rows = found.to_latex().splitlines()
    assert (rows[0], rows[-1], len(rows)) == (r"\begin{aligned}", r"\end{aligned}", len(found) + 2)
    assert all(row.count("{") == row.count("}") and " &= " in row for row in rows[1:-1])
    assert r"\kappa_{1} &= \frac{\kappa_{1} \mathrm{df}_1(\kappa_{1})}{40} + \frac{1}{20} \\" in rows
    assert any(row.endswith(r", \quad g = 1, \ldots, 4 \\") for row in rows)
    assert found._repr_latex_().startswith("$")
    assert repr(found).splitlines()[-1].startswith("E = Sum(")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (mc.fit(W0.label(30), filter=mc.GradientFlow(2.0)), "has no named equations: filters"),
        (mc.fit(W0.label(30, link="sign")), "has no named equations: filters"),
        (mc.fit(W0.label(30), TEACHER.label(20, weight=0.5)), "sources that differ in weight"),
        (mc.fit(W0.label(30, inputs=lambda s: 2 * s)), "or inputs; use mc.predict"),
        (mc.fit(mc.surrogate(SPECTRUM, correlation=0.9).label(30)), "has no named equations; use mc.predict"),
        (mc.fit(W0.label([30, 40])), "samples is an array"),
        (mc.fit(W0.label(30), ridge=np.inf), "leave the null model out"),
        (mc.fit(mc.truth(mc.gaussian(np.eye(3), np.ones(3))).label(30)), "has no sums over directions"),
    ],
)
def test_what_has_no_equations_is_refused(model, words):
    with pytest.raises(ValueError, match=words):
        equations(model)


def test_a_symbol_without_a_number_is_named():
    with pytest.raises(TypeError, match="the symbol lambda is free"):
        equations(PIPELINES["ridge"]).evaluate({T: 30, SIGMA: 0.1})


@pytest.mark.parametrize("name", ["p", "C", "kappa", "rho", "v", "a", "d", "E", "j"])
def test_letters_of_the_pipeline_stay_its_own(name):
    """A plain symbol with the name of one of our letters is not confused with it."""
    symbol = sympy.Symbol(name)
    model = mc.fit(W0.label(30, noise=symbol), ridge=0.1)
    expected = mc.predict(model, {symbol: 0.2}).test_error
    assert equations(model).evaluate({symbol: 0.2}) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("name", ["s", "theta"])
def test_letters_of_the_directions_are_refused(name):
    with pytest.raises(ValueError, match=f"the symbol {name} is a letter of the equations too"):
        equations(mc.fit(W0.label(30, noise=sympy.Symbol(name)), ridge=0.1))


def test_rows_of_one_budget_are_one_number():
    d = sympy.Symbol("d", positive=True)
    w0 = mc.truth(mc.isotropic(d))
    expression = closed_form(mc.fit(w0.label(T * P, SIGMA), w0.label(T * (1 - P), SIGMA)))
    assert sympy.simplify(expression - SIGMA**2 * d / (T - d)) == 0
    assert expression.count_ops() < 12
