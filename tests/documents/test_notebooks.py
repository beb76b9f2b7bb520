"""Every notebook runs, is stored without outputs, draws one figure and checks what it claims.

The site shows them executed, at small size: its build runs every notebook, and fails if one does or if a page has no
picture. Here they are run once more among the slow tests, which look at the axes and at what a wrong library gives.
"""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

import modelcollapse as mc
from modelcollapse.numerics.questions import predictions
from modelcollapse.theory import Formula

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


CHECKED = [path for path in NOTEBOOKS if not path.stem.startswith("01")]


def each(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@pytest.fixture
def run(monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setenv("FAST", "1")

    def run(path):
        names = {}
        for cell in code_cells(path):
            exec(compile("".join(cell["source"]), str(path), "exec"), names)
        return [plt.figure(number) for number in plt.get_fignums()]

    yield run
    plt.close("all")


@pytest.mark.slow
@each(NOTEBOOKS)
def test_notebook_runs_and_draws_one_figure(run, path):
    (figure,) = run(path)
    assert any(axes.lines for axes in figure.axes)
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


@each(NOTEBOOKS)
def test_notebook_is_stored_without_outputs(path):
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_cells(path))


@each(CHECKED)
def test_notebook_ends_with_a_check_and_defines_nothing(path):
    cells = [ast.parse("".join(cell["source"])) for cell in code_cells(path)]
    assert sum(isinstance(node, ast.Assert) for node in ast.walk(cells[-1])) >= 3
    definitions = ast.ClassDef | ast.Lambda
    if path.stem != "11_test_your_formula":  # whose subject is a function
        definitions |= ast.FunctionDef
    assert not any(isinstance(node, definitions) for cell in cells for node in ast.walk(cell))


@each(CHECKED)
def test_notebook_has_named_cells(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names = [cell["id"] for cell in notebook["cells"]]
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len(set(names)) == len(names)
    assert notebook["cells"][0]["source"][0].startswith("# ")


@pytest.mark.slow
@each(CHECKED)
def test_a_wrong_library_is_noticed(run, path, monkeypatch):
    """Every prediction, error at a best ridge and record is a fifth too large: the check of every notebook fails."""
    predict, optimal_ridge, function = predictions.predict, mc.optimal_ridge, Formula.function

    def wrong(*arguments, **options):
        right = predict(*arguments, **options)
        return replace(right, test_error=1.2 * right.test_error, clean=1.2 * right.clean)

    def wrong_best(*arguments, **options):
        right = optimal_ridge(*arguments, **options)
        return replace(right, test_error=1.2 * right.test_error)

    def wrong_function(formula):
        right = function(formula)
        return lambda **values: 1.2 * right(**values)

    monkeypatch.setattr(Formula, "function", wrong_function)
    monkeypatch.setattr(mc, "predict", wrong)
    monkeypatch.setattr(predictions, "predict", wrong)
    monkeypatch.setattr(mc, "optimal_ridge", wrong_best)
    with pytest.raises(AssertionError):
        run(path)


def test_there_are_notebooks():
    assert NOTEBOOKS
