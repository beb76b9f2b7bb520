"""`modelcollapse modes`."""

import json

import numpy as np
import pytest

import modelcollapse as mc


def table(out):
    names, *rows = (line.split() for line in out.strip().splitlines())
    return {name: np.array(column, float) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def test_the_table_is_the_loop(run):
    status, out, err = run("modes", "--zipf", 1.5, "--generations", "1,3", "--samples", 500)
    assert (status, err) == (0, "")
    columns, loop = table(out), mc.modes.replace(mc.modes.zipf(1.5), [1, 3], 500)
    for name in ("alive", "entropy", "divergence", "diversity"):
        np.testing.assert_allclose(columns[name], getattr(loop, name), rtol=1e-3)
    np.testing.assert_allclose(columns["founders"], loop.founders.mean, rtol=1e-3)
    np.testing.assert_allclose(columns["missing_mass"], loop.missing_mass(), rtol=1e-3)


def test_grids_are_combined_and_loops_chosen(run):
    status, out, _ = run(
        "modes", "--zipf", 1.5, "--cut", 50, "--generations", 2, "--samples", "100,200", "--real-share", "0,0.5"
    )
    assert status == 0
    assert len(table(out)["alive"]) == 4
    _, out, _ = run("modes", "--zipf", 1.5, "--generations", "1,9", "--accumulate")
    assert np.ptp(table(out)["alive"]) == 0
    _, out, _ = run("modes", "--zipf", 1.5, "--generations", 9, "--rate", "1,2")
    assert np.diff(table(out)["alive"]) > 0


def test_smoothed_generators_of_a_file(run, tmp_path):
    (tmp_path / "n").write_text("9 5 3 2 1", encoding="utf-8")
    options = ("--counts", tmp_path / "n", "--generations", 9)
    status, out, err = run("modes", *options, "--smoothing", "0,0.5")
    assert (status, err) == (0, "")
    loop = mc.modes.replace(mc.modes.counts([9, 5, 3, 2, 1]), 9, 20, smoothing=[0.0, 0.5])
    np.testing.assert_allclose(table(out)["alive"], loop.alive, rtol=1e-3)
    status, _, err = run("modes", "--zipf", 1.5, "--smoothing", 0.5)
    assert status == 2
    assert "give a finite law" in err


def test_runs_stand_beside_the_prediction(run):
    status, out, _ = run("modes", "--zipf", 2, "--generations", "1,4", "--samples", 200, "--runs", 200)
    columns = table(out)
    assert status == 0
    assert (abs(columns["alive_simulated"] - columns["alive"]) < 5 * columns["alive_error"]).all()


def test_files_of_counts_and_of_text(run, tmp_path):
    (tmp_path / "counts.txt").write_text("5, 3\n1 1\n")
    _, out, _ = run("modes", "--counts", tmp_path / "counts.txt", "--generations", "1")
    np.testing.assert_allclose(
        table(out)["alive"], mc.modes.replace(mc.modes.counts([5, 3, 1, 1]), 1, 10).alive, rtol=1e-3
    )
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question")
    target = tmp_path / "table.json"
    status, *_ = run("modes", "--text", tmp_path / "text.txt", "--ngram", 2, "--output", target)
    assert status == 0
    assert len(json.loads(target.read_text())["rows"]) == 5


def test_the_picture_is_drawn(run, tmp_path):
    target = tmp_path / "modes.png"
    status, _, err = run(
        "modes", "--zipf", 1.5, "--real-share", "0,0.1", "--runs", 5, "--samples", 50, "--plot", target
    )
    assert (status, err) == (0, "")
    assert target.stat().st_size > 5000


@pytest.mark.parametrize(("argv", "words"), [
    (("--zipf", 1.0), "outside (1, inf)"),
    (("--zipf", 1.5, "--real-share", 2), "2 is outside [0, 1]"),
    (("--zipf", 1.5, "--samples", 1), "1 is outside"),
    (("--zipf", 1.5, "--ngram", 2), "--ngram belongs to --text"),
    (("--text", "none.txt"), "--text none.txt cannot be read: No such file"),
    (("--counts", "none.txt"), "--counts none.txt cannot be read"),
    (("--text", "none.txt", "--cut", 3), "--cut belongs to --zipf"),
    (("--zipf", 1.5, "--rate", 2, "--accumulate"), "not allowed with"),
    ((), "one of the arguments"),
])  # fmt: skip
def test_bad_usage_gets_one_line(run, argv, words):
    status, out, err = run("modes", *argv)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_wrong_files_get_one_line(run, tmp_path):
    (tmp_path / "counts.txt").write_text("5 three")
    status, _, err = run("modes", "--counts", tmp_path / "counts.txt")
    assert status == 2
    assert "'three' is not a number" in err
    (tmp_path / "counts.txt").write_text("5 2.5")
    assert "n[1] = 2.5" in run("modes", "--counts", tmp_path / "counts.txt")[2]
