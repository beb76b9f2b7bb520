"""The commands and the page that help to choose a ridge."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse import cli
from modelcollapse.cli import exponent, ridge
from modelcollapse.estimator import CollapseAwareRidge
from modelcollapse.numerics.questions.best_ridge import optimal_ridge

DOCS = Path(__file__).parents[2] / "docs"
FAKE = ("--generator-samples", "400", "--generator-noise", "0.2")


@pytest.fixture
def run(run, monkeypatch):
    """Run a command, with this module's `ridge`."""
    monkeypatch.setitem(cli.COMMANDS, "ridge", ridge)
    return run


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_recommended_ridge_of_a_described_problem(run, tmp_path):
    path, picture = tmp_path / "a.json", tmp_path / "a.png"
    problem = ("--isotropic", 100, "--samples", "50,200", "--noise", 0.2, "--generations", "0,6")
    status, _, err = run("ridge", *problem, *FAKE, "--output", path, "--plot", picture)
    assert status == 0, err
    rows = json.loads(path.read_text())["rows"]
    labels = mc.chain(mc.truth(mc.isotropic(100)), [[0], [6]], 400, 0.2)
    best = optimal_ridge(mc.fit(labels.label([50, 200], 0.2)))
    np.testing.assert_allclose([row["ridge"] for row in rows], best.ridge.ravel(), rtol=1e-12)
    np.testing.assert_allclose([row["alpha"] for row in rows], (best.ridge * [50, 200]).ravel(), rtol=1e-12)
    assert picture.stat().st_size > 10_000
    # GCV sees a clean problem of signal 1 + 6σ0²/(T0 − d) per direction, whose best ridge is σ²d/(T·signal)
    seen = 0.04 * 100 / (np.array([50, 200]) * np.array([[1.0], [1 + 6 * 0.04 * 100 / 300]]))
    np.testing.assert_allclose([row["gcv_ridge"] for row in rows], seen.ravel(), rtol=0.07)
    assert all(row["gcv_test_error"] >= row["test_error"] * (1 - 1e-12) for row in rows)
    assert rows[3]["gcv_excess_%"] > 3 > 0.1 > rows[1]["gcv_excess_%"]


def test_one_problem_draws_both_curves_and_both_points(run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(ridge._output, "save_picture", lambda ax, path: drawn.append(ax))
    problem = ("--isotropic", 100, "--samples", 200, "--generations", 6)
    assert run("ridge", *problem, *FAKE, "--plot", tmp_path / "a.png")[0] == 0
    names = [text.get_text().split(" (")[0] for text in drawn[0].get_legend().get_texts()]
    assert names == ["test error", "error against the labels at hand", "recommended", "GCV"]
    lines = drawn[0].get_lines()
    assert lines[0].get_ydata().min() == pytest.approx(lines[2].get_ydata()[0], rel=1e-3)
    at_labels = lines[1]
    assert at_labels.get_xdata()[np.argmin(at_labels.get_ydata())] == lines[3].get_xdata()[0]


def synthetic_csv(path, rows=120, dim=20, real=30):
    """Real labels in the first rows, labels of a noisy model in the rest."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, dim)) * np.arange(1, dim + 1) ** -0.5
    weights = (np.arange(rows) >= real)[:, None] * rng.standard_normal(dim) * np.arange(1, dim + 1) ** 0.5
    y = np.sum(X * (1 + 0.5 * weights), axis=1) + 0.3 * rng.standard_normal(rows)
    np.savetxt(path, np.column_stack([X, y]), delimiter=",")
    return X, y


def test_the_recommended_ridge_of_a_csv(run, tmp_path):
    X, y = synthetic_csv(tmp_path / "labels.csv", real=0)
    path, picture = tmp_path / "out.csv", tmp_path / "a.svg"
    known = ("--generations", 5, "--generator-samples", 100, "--generator-noise", 0.8)
    data = ("--data", tmp_path / "labels.csv", "--kernel", "linear")
    status, out, err = run("ridge", *data, *known, "--output", path, "--plot", picture)
    assert status == 0, err
    assert "criterion: noise" in out
    expected = CollapseAwareRidge(5, 100, 0.8).fit(X, y)
    rows = {row["point"]: {k: float(v) for k, v in row.items() if k != "point"} for row in table(path)}
    assert rows["recommended"]["ridge"] == pytest.approx(expected.ridge_, rel=1e-9)
    assert rows["recommended"]["alpha"] == pytest.approx(expected.alpha_, rel=1e-9)
    assert rows["gcv"]["gcv"] <= rows["recommended"]["gcv"]
    assert rows["recommended"]["predicted_error"] < rows["gcv"]["predicted_error"]
    assert rows["recommended"]["ridge"] > rows["gcv"]["ridge"]
    assert b"<svg" in picture.read_bytes()


def test_real_rows_stand_in_for_the_noise(run, tmp_path):
    synthetic_csv(tmp_path / "labels.csv")
    data = ("--data", tmp_path / "labels.csv", "--kernel", "linear", "--generations", 5, "--generator-samples", 100)
    status, _, err = run("ridge", *data)
    assert status == 2
    assert "--real-rows" in err
    status, out, err = run("ridge", *data, "--real-rows", 30)
    assert status == 0, err
    assert "recommended" in out


def test_a_fallback_says_why(run, tmp_path):
    """Ridge generators with an RBF kernel: where the correction is given up, a note says so."""
    digits = ("--data", "digits", "--rows", "200", "--generations", "5", "--generator-samples", "400")
    status, out, err = run("ridge", *digits, "--generator-noise", "0.3")
    assert status == 0, err
    assert "criterion: gcv (fallback)" in out
    assert "\nnote: " in out
    assert "predicted_error and gcv include label noise" in out


def marked_csv(path, real=30, column="by"):
    """The rows of `synthetic_csv` shuffled, with a column in their midst that says who wrote each label."""
    X, y = synthetic_csv(path, real=real)
    order = np.random.default_rng(1).permutation(len(y))
    lines = [",".join([*(f"x{j}" for j in range(19)), column, "x19", "y"])]
    for i in order:
        mark = ("Real" if i % 2 else "0") if i < real else "llama"
        lines.append(",".join([*map(repr, X[i, :19].tolist()), mark, repr(float(X[i, 19])), repr(float(y[i]))]))
    path.write_text("\n".join(lines))
    return X[order], y[order], np.where(order < real, "real", "model")


@pytest.mark.filterwarnings("ignore:the .* real rows by themselves")
def test_a_column_marks_the_real_rows(run, tmp_path):
    """The rows, not their order, decide: the estimator told the same origins chooses the same ridge."""
    X, y, origin = marked_csv(tmp_path / "labels.csv")
    path = tmp_path / "out.json"
    options = ("--kernel", "linear", "--generations", 5, "--generator-samples", 100, "--output", path)
    options += ("--model-marks", "Llama,gpt")
    status, _, err = run("ridge", "--data", tmp_path / "labels.csv", "--origin", "by", *options)
    assert status == 0, err
    found = {row["point"]: row["ridge"] for row in json.loads(path.read_text())["rows"]}
    expected = CollapseAwareRidge(5, 100).fit(X, y, origin=origin)
    assert found["recommended"] == pytest.approx(expected.ridge_, rel=1e-9)
    status, _, err = run("ridge", "--data", tmp_path / "labels.csv", "--origin", "by", "--rows", 60, *options)
    assert status == 0, err
    found = {row["point"]: row["ridge"] for row in json.loads(path.read_text())["rows"]}
    expected = CollapseAwareRidge(5, 100).fit(X[:60], y[:60], origin=origin[:60])
    assert found["recommended"] == pytest.approx(expected.ridge_, rel=1e-9)


@pytest.mark.parametrize(
    ("content", "column", "fragment"),
    [
        ("a,b,by\n1,2,real\n3,4,fake\n", "who", "no column 'who'; its columns are a, b, by"),
        ("a,b,by,by\n1,2,real,0\n3,4,fake,1\n", "by", "2 columns 'by'"),
        ("a,b,by\n1,2,real\n3,4\n", "by", "line 3: 2 columns"),
        ("a,b,by\n1,x,real\n3,4,fake\n", "by", "labels.csv, line 2, column b: 'x' is not a number"),
        ("a,b,by\n1,2,True\n3,4,False\n", "by", "--origin by: 'true', 'false' could be real or not"),
        ("a,b,by\n1,2,real\n3,4,llama\n", "by", "'llama' could be real or not"),
        ("a,b,by\n1,2,fake\n3,4,fake\n5,7,real\n", "by", "two or more rows with real labels"),
        ("", "by", "is empty"),
    ],
)
def test_a_column_that_marks_nothing_is_named(run, tmp_path, content, column, fragment):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    provenance = ("--generations", 1, "--generator-samples", 9)
    status, _, err = run("ridge", "--data", path, "--origin", column, "--kernel", "linear", *provenance)
    assert status == 2
    assert fragment in err
    assert len(err.strip().splitlines()) == 1


MISTAKES = {
    "no generator": ["ridge", "--isotropic", "5", "--generations", "2"],
    "real rows of a spectrum": ["ridge", "--isotropic", "5", "--real-rows", "2"],
    "origin of a spectrum": ["ridge", "--isotropic", "5", "--origin", "by"],
    "origin of the digits": ["ridge", "--data", "digits", "--origin", "by"],
    "two marks": ["ridge", "--data", "digits", "--origin", "by", "--real-rows", "3"],
    "samples of a data set": ["ridge", "--data", "digits", "--samples", "50"],
    "two generations of one data set": ["ridge", "--data", "digits", "--generations", "1,2", *FAKE],
    "negative ridge": ["ridge", "--isotropic", "5", "--generations", "1", *FAKE, "--generator-ridge=-1"],
    "least squares in infinite dimension": ["ridge", "--power-law", "1.5", "0.5", "--generations", "1", *FAKE],
    "a plane that is not drawn": ["exponent", "1.5", "0.5", "--noise", "0:1:3", "--plot", "a.png"],
    "a source that is none": ["exponent", "1.5", "0:1:5"],
}


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_answered_by_one_line_and_status_2(run, arguments):
    status, _, err = run(*arguments)
    assert status == 2
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("modelcollapse")


def regimes(run, monkeypatch, *arguments):
    """Legend and colour index of a phase diagram, (b or r, a or ell)."""
    drawn = []
    monkeypatch.setattr(exponent._output, "save_picture", lambda ax, path: drawn.append(ax))
    status, _, err = run("exponent", *arguments, "--plot", "a.png")
    assert status == 0, err
    (ax,) = drawn
    names = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    size = exponent.PIXELS
    return names, ax.collections[0].get_array().reshape(size, size), ax


def test_phases_over_generations_and_samples(run, monkeypatch):
    """At f = 0 the rate is limited by b − a below b = 1 and by 1 − a above; nothing vanishes below b = a."""
    names, index, ax = regimes(run, monkeypatch, "1.5", "0.5")
    assert names == ["generator samples", "generator aspect", "nothing vanishes"]
    a, b = np.meshgrid(np.linspace(0, 1, len(index)), np.linspace(0, 1.5, len(index)))
    expected = np.select([(b <= a) | (a == 1), b < 1], [2, 0], 1)
    assert np.mean(index != expected) < 0.01
    assert ax.get_xlabel().startswith("a ")
    assert ax.get_ylabel().startswith("b ")


def test_phases_over_ridge_and_source(run, monkeypatch):
    """Bias T^-2rℓ against generator noise T^-(b - a - ℓ/β): bias dominates where 2·min(r, 1)·ℓ < b − a − ℓ/β."""
    fixed = ("--generations", "0.3", "--generator-samples", "0.8")
    names, index, _ = regimes(run, monkeypatch, "1.5", "0.2:1.4:7", "--ell", "0:1:3", *fixed)
    assert names == ["bias", "generator noise"]
    ell, r = np.meshgrid(np.linspace(0, 1, len(index)), np.linspace(0.2, 1.4, len(index)))
    expected = 2 * np.minimum(r, 1) * ell > 0.5 - ell / 1.5
    assert np.mean(index != expected) < 0.01


def test_a_grid_of_sources_is_a_column(run, tmp_path):
    path = tmp_path / "a.csv"
    assert run("exponent", "1.5", "0.3,0.9", "--generations=-inf", "--output", path)[0] == 0
    best = mc.optimal_exponent(1.5, [0.3, 0.9], generations_exponent=-np.inf)
    assert [float(row["r"]) for row in table(path)] == [0.3, 0.9]
    np.testing.assert_allclose([float(row["ell"]) for row in table(path)], best.ell)


def test_the_page_on_criteria_is_the_study():
    spec = importlib.util.spec_from_file_location("which_criterion_page", DOCS / "which_criterion_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/which_criterion_page.py"


def test_code_blocks_of_the_page_hold_commands_and_end():
    """Fences stand alone in their lines, in pairs; between them every line is a command or goes on from one."""
    lines = (DOCS / "which_criterion.md").read_text(encoding="utf-8").splitlines()
    fences = [i for i, line in enumerate(lines) if "```" in line]
    assert [lines[i] for i in fences] == ["```bash", "```"] * (len(fences) // 2)
    assert len(fences) == 4
    for first, last in zip(fences[::2], fences[1::2], strict=True):
        assert not lines[last - 1].endswith("\\")
        for before, line in zip(lines[first:last], lines[first + 1 : last], strict=False):
            assert before.endswith("\\") or line.startswith(("modelcollapse ", "python "))
