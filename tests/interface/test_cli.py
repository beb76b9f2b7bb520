"""The command line: tables, files, pictures, and one readable line for every mistake."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse import cli
from modelcollapse.cli import _options, _output

ISOTROPIC = ["curve", "--isotropic", "50", "--samples", "100,200", "--ridge", "0.1"]
FAKE = ["--generations", "0,3", "--generator-samples", "150"]
FAKE += ["--generator-noise", "0.2", "--generator-ridge", "0"]


def table(path):
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_curve_prints_what_the_library_predicts(run):
    status, out, _ = run(*ISOTROPIC, *FAKE)
    expected = mc.test_error(mc.isotropic(50), 200, 0.1, 0.1, mc.FakeData(3, 150, 0.2))
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:4] == ["generations", "samples", "ridge", "test_error"]
    assert len(lines) == 5
    assert float(lines[-1][3]) == pytest.approx(expected.test_error, rel=1e-3)


def test_curve_writes_csv_and_json_of_the_same_numbers(run, tmp_path):
    assert run(*ISOTROPIC, *FAKE, "--output", tmp_path / "a.csv")[0] == 0
    assert run(*ISOTROPIC, *FAKE, "--output", tmp_path / "a.json")[0] == 0
    rows = json.loads((tmp_path / "a.json").read_text())
    assert rows["rows"] == table(tmp_path / "a.csv")
    assert rows["settings"]["isotropic"] == 50
    fake = mc.FakeData([[0], [3]], 150, 0.2)
    expected = mc.test_error(mc.isotropic(50), [100, 200], 0.1, 0.1, fake)
    found = [row["test_error"] for row in rows["rows"]]
    np.testing.assert_allclose(found, expected.test_error.ravel(), rtol=1e-12)


def test_infinite_errors_are_written_as_such(run, tmp_path):
    arguments = ("curve", "--isotropic", "50", "--samples", "50", "--ridge", "0")
    assert run(*arguments, "--output", tmp_path / "a.json", "--plot", tmp_path / "a.svg")[0] == 0
    assert json.loads((tmp_path / "a.json").read_text())["rows"][0]["test_error"] == "inf"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_curve_draws(run, tmp_path, ending):
    path = tmp_path / f"curve.{ending}"
    status, out, _ = run(*ISOTROPIC, *FAKE, "--plot", path)
    assert status == 0
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    assert f"wrote {path}" in out


def test_curve_simulates_beside_its_prediction(run, tmp_path):
    path = tmp_path / "a.csv"
    assert run(*ISOTROPIC, *FAKE, "--simulate", "40", "--output", path)[0] == 0
    for row in table(path):
        assert abs(row["measured"] - row["test_error"]) < 5 * row["standard_error"] + 0.05 * row["test_error"]


def test_curve_on_data_says_what_the_kernel_cannot_express(run):
    status, out, _ = run("curve", "--data", "digits", "--rows", "300", "--kernel", "linear")
    assert status == 0
    assert "cannot express" in out
    assert "300 rows" in out


def test_curve_trains_on_a_csv(run, tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((200, 3))
    lines = "\n".join(",".join(f"{x:.6f}" for x in [*row, row.sum()]) for row in inputs)
    (tmp_path / "data.csv").write_text("a,b,c,target\n" + lines + "\n")
    path = tmp_path / "out.csv"
    problem = ("--data", tmp_path / "data.csv", "--standardise", "--kernel", "linear")
    fits = ("--ridge", "0.01,0.1", "--samples", "50", "--simulate", "5")
    status, _, _ = run("curve", *problem, *fits, "--output", path, "--plot", tmp_path / "a.png")
    assert status == 0
    assert [row["ridge"] for row in table(path)] == [0.01, 0.1]
    assert all(row["standard_error"] > 0 for row in table(path))


TRAINED = ["curve", "--over", "time", "--isotropic", "50", "--samples", "100", "--noise", "0.5", "--times", "0.1,1,10"]


def test_curve_over_time_says_when_to_stop(run, tmp_path, monkeypatch):
    drawn, path = [], tmp_path / "a.csv"
    monkeypatch.setattr(_output, "save_picture", lambda ax, path: drawn.append(ax))
    status, out, _ = run(*TRAINED, *FAKE, "--output", path, "--plot", "a.png")
    assert status == 0
    w0, rows = mc.truth(mc.isotropic(50)), table(path)
    labels = [model.label(100, 0.5) for model in (w0, mc.chain(mc.fit(w0.label(150, 0.2)), [2], 150, 0.2))]
    best = [mc.optimal_stopping(mc.fit(source)) for source in labels]
    assert [row["time"] for row in rows] == [0.1, 1, 10] * 2
    for source, part in zip(labels, (rows[:3], rows[3:]), strict=True):
        expected = mc.predict(mc.fit(source, filter=mc.GradientFlow([0.1, 1, 10]))).test_error
        np.testing.assert_allclose([row["test_error"] for row in part], expected, rtol=1e-9)
    lines = [line for line in out.splitlines() if line.startswith("n = ")]
    assert lines == [
        f"n = {n}: stop at time {np.max(x.time):.4g}: test error {np.max(x.test_error):.4g}, "
        f"{np.max(x.ratio):.4g} times that of the best ridge"
        for n, x in zip((0, 3), best, strict=True)
    ]
    stars = [line for line in drawn[0].get_lines() if line.get_marker() == "*"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in stars], [np.max(x.time) for x in best], rtol=1e-9)
    assert [text.get_text() for text in drawn[0].get_legend().get_texts()] == ["n = 0", "n = 3"]


@pytest.mark.slow
def test_curve_over_time_simulates_and_trains(run, tmp_path):
    """Predicted and measured at five standard errors and 10 %, six points each."""
    digits = ["curve", "--over", "time", "--data", "digits", "--rows", "500", "--gamma", "0.05", "--samples", "60",
              "--noise", "0.5", "--times", "3,30,300"]  # fmt: skip
    for number, problem in enumerate((TRAINED, digits)):
        path = tmp_path / f"{number}.csv"
        assert run(*problem, *FAKE[:-1], "0.01", "--simulate", "20", "--output", path)[0] == 0
        for row in table(path):
            distance = abs(row["measured"] - row["test_error"])
            assert distance < 5 * row["standard_error"] + 0.1 * row["test_error"]


def test_a_curve_runs_over_what_is_asked_for(run, monkeypatch):
    drawn = []
    monkeypatch.setattr(_output, "save_picture", lambda ax, path: drawn.append(ax))
    problem = ("curve", "--isotropic", "50", "--samples", "100,200", "--ridge", "0.1,1,10", "--plot", "a.png")
    for over in ("samples", "ridge"):
        assert run(*problem, "--over", over)[0] == 0
    assert [ax.get_xlabel() for ax in drawn] == ["samples", "ridge"]
    texts = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in drawn]
    assert texts == [["n = 0, ridge 0.1", "n = 0, ridge 1", "n = 0, ridge 10"], ["n = 0, T = 100", "n = 0, T = 200"]]


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ((0.0, 1.0, 1.0), "do not train at all: the test error is then 1"),
        ((np.inf, 0.5, 1.25), "train to the end: test error 0.5, 1.25 times that of the best ridge"),
    ],
)
def test_advice_at_the_ends_of_training(stop, said):
    assert cli.curve._advice(*stop) == said


def test_mistakes_about_time_are_explained(run):
    over_time = ("curve", "--over", "time", "--isotropic", "5")
    said = {
        ("--samples", "9", "--ridge", "0.1"): "the penalty of the generations is --generator-ridge",
        ("--samples", "9,10"): "--over time follows one fit and --samples names 2; give one number",
        ("--samples", "9", "--times", "inf"): "training for ever is fit(..., ridge=0)",
    }
    assert run(*over_time, "--times", "1,2")[0] == 0  # the rows have a default
    for arguments, sentence in said.items():
        status, _, err = run(*over_time, *arguments)
        assert (status, err.count("\n")) == (2, 1)
        assert sentence in err


def test_small_demo(run, tmp_path, monkeypatch):
    """Digits stay within the theory: a median deviation of a few per cent with no parameter fitted."""
    monkeypatch.setitem(cli.demo.SMALL, "rows", 600)
    path, picture = tmp_path / "demo.csv", tmp_path / "demo.png"
    status, out, _ = run("demo", "--small", "--runs", 8, "--output", path, "--plot", picture)
    assert status == 0
    assert "measured deviates from predicted by" in out
    assert picture.stat().st_size > 10_000
    rows = table(path)
    assert {row["generations"] for row in rows} == {0, 1, 3}
    deviations = [abs(row["deviation_%"]) for row in rows]
    assert np.median(deviations) < 5
    assert max(deviations) < 25


def test_formulas_list_show_and_evaluate(run):
    status, out, _ = run("formulas")
    assert status == 0
    assert "least_squares_chain" in out
    status, out, _ = run("formulas", "least_squares_chain")
    assert status == 0
    assert "arXiv 2402.07712" in out
    values = ("T=301", "T0=301", "d=100", "sigma=1", "sigma0=1", "n=3")
    assert float(run("formulas", "least_squares_chain", "--set", *values)[1]) == 2
    record = json.loads(run("formulas", "least_squares_chain", "--json", "--set", *values)[1])
    assert float(record["value"]) == 2
    assert "frac" in run("formulas", "least_squares_chain", "--latex")[1]


def test_exponent_prints_the_law(run, tmp_path):
    status, out, _ = run("exponent", "1.5", "0.5", "--generations=-inf")
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [["ell", "rate", "binding"], ["0.6", "0.6", "label", "noise"]]
    path = tmp_path / "law.json"
    assert run("exponent", "1.5", "0.5", "--generations", "0:0.5:3", "--noise", "inf", "--output", path)[0] == 0
    best = mc.optimal_exponent(1.5, 0.5, generations_exponent=[0, 0.25, 0.5], noise_exponent=np.inf)
    assert [row["ell"] for row in json.loads(path.read_text())["rows"]] == best.ell.tolist()
    assert "dominant" in run("exponent", "1.5", "0.5", "--ell", "0.3")[1]


def test_crosscheck_gives_verdicts(run, tmp_path):
    fits = ("--samples", "60,120", "--ridge", "0", "--noise", "0.5", "--trials", "200")
    chain = ("--generations", "0,2", "--generator-samples", "80")
    path, picture = tmp_path / "a.json", tmp_path / "a.png"
    status, out, _ = run("crosscheck", "--isotropic", "30", *fits, *chain, "--output", path, "--plot", picture)
    assert status == 0
    assert "agrees; a correct theory is rejected with probability 0.01" in out
    assert [row["verdict"] for row in json.loads(path.read_text())["rows"]] == ["agrees"] * 4
    assert picture.stat().st_size > 10_000


def test_crosscheck_draws_measured_over_predicted(run, tmp_path, monkeypatch):
    drawn, path = [], tmp_path / "a.json"
    monkeypatch.setattr(_output, "save_picture", lambda ax, path: drawn.append(ax))
    fits = ("--samples", "60,120", "--ridge", "0.1", "--noise", "0.5", "--trials", "50")
    assert run("crosscheck", "--isotropic", "30", *fits, "--output", path, "--plot", "a.png")[0] == 0
    rows = json.loads(path.read_text())["rows"]
    ((points, _, _),) = drawn[0].containers
    np.testing.assert_allclose(points.get_xdata(), [row["predicted"] for row in rows])
    np.testing.assert_allclose(points.get_ydata(), [row["simulated"] / row["predicted"] for row in rows])


MISTAKES = {
    "no command": [],
    "unknown command": ["curb"],
    "no spectrum": ["curve"],
    "two spectra": ["curve", "--isotropic", "5", "--data", "digits"],
    "negative ridge": ["curve", "--isotropic", "5", "--ridge=-1"],
    "NaN": ["curve", "--isotropic", "5", "--noise", "nan"],
    "no dimension": ["curve", "--isotropic", "0"],
    "zero samples": ["curve", "--isotropic", "5", "--samples", "0"],
    "a word for a number": ["curve", "--isotropic", "five"],
    "a bad range": ["curve", "--isotropic", "5", "--samples", "10:20"],
    "a geometric range from zero": ["curve", "--isotropic", "5", "--samples", "0:20:5log"],
    "half a generation": ["curve", "--isotropic", "5", "--generations", "0.5"],
    "generations of unknown size": ["curve", "--isotropic", "5", "--generations", "2"],
    "three power-law numbers too many": ["curve", "--power-law", "1.5", "0.5", "10", "7"],
    "a capacity that does not sum": ["curve", "--power-law", "0.9", "0.5"],
    "infinite dimension simulated": ["curve", "--power-law", "1.5", "0.5", "--simulate", "5"],
    "times of no training": ["curve", "--isotropic", "5", "--times", "1,2"],
    "a negative time": ["curve", "--over", "time", "--isotropic", "5", "--samples", "9", "--times=-1"],
    "over nothing known": ["curve", "--over", "epochs", "--isotropic", "5"],
    "unknown kernel": ["curve", "--data", "digits", "--kernel", "fourier"],
    "a kernel without data": ["curve", "--isotropic", "5", "--kernel", "rbf"],
    "kernel option of another kernel": ["curve", "--data", "digits", "--rows", "50", "--degree", "2"],
    "no such file": ["curve", "--data", "/nowhere/table.csv"],
    "an unknown ending": ["curve", "--isotropic", "5", "--output", "table.xlsx"],
    "no such folder": ["curve", "--isotropic", "5", "--plot", "/nowhere/curve.png"],
    "more samples than data": ["curve", "--data", "digits", "--rows", "40", "--samples=60", "--simulate=2"],
    "one run": ["demo", "--small", "--runs", "1"],
    "a capacity without a sum": ["exponent", "0.5", "1"],
    "no scheduler there": ["crosscheck", "--isotropic", "5", "--client", "nonsense"],
    "unknown formula": ["formulas", "clean_eror"],
    "a missing argument": ["formulas", "least_squares_chain", "--set", "T=300"],
    "not an assignment": ["formulas", "least_squares_chain", "--set", "T"],
    "outside the domain": ["formulas", "collapse_rate_isotropic", "--set", "T=-1"],
}


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_answered_by_one_line_and_status_2(run, arguments):
    status, _, err = run(*arguments)
    lines = [line for line in err.splitlines() if line.strip()]
    assert status == 2
    assert len(lines) == 1, err
    assert lines[0].startswith("modelcollapse")
    assert "Traceback" not in err


def test_a_csv_with_text_is_named(run, tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n1,red\n")
    status, _, err = run("curve", "--data", tmp_path / "data.csv")
    assert status == 2
    assert "'red' is not a number" in err


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        _output.save_table([{"a": 1.0}, {"a": Broken()}], str(path), {})
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


class Broken:
    def __float__(self):
        raise ZeroDivisionError


def test_an_interrupt_is_no_traceback(run, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.formulas, "run", interrupted)
    assert run("formulas") == (130, "", "interrupted\n")


def test_without_rich_help_says_what_to_install_and_work_goes_on(run, monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    monkeypatch.setattr(_output, "find_spec", lambda name: None)
    assert "pip install 'modelcollapse[cli]'" in run("--help")[1]
    status, out, err = run(*ISOTROPIC, "--simulate", "5")
    assert status == 0
    assert "measured" in out
    assert "pip install 'modelcollapse[cli]'" in err


def test_a_missing_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    status, _, err = run("curve", "--data", "digits")
    assert status == 2
    assert "pip install 'modelcollapse[estimator]'" in err


def test_grids_are_exact_at_their_ends():
    grid = _options.numbers("0.1:0.7:7")
    assert (grid[0], grid[-1], len(grid)) == (0.1, 0.7, 7)
    assert _options.rows_grid("1:10:30log") == list(range(1, 11))


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_has_an_example(command):
    arguments = [sys.executable, "-m", "modelcollapse", *command.split(), "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert f"modelcollapse {command}".strip() in done.stdout
    assert ("example" in done.stdout) == bool(command)
