"""The command line checks every number when it reads it, writes on any terminal, and loses nothing it computed."""

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse import cli
from modelcollapse._files import replacing, save_table
from modelcollapse.cli import _output
from modelcollapse.validation.kernel_chains import predict_chain

# numbers

SIGNED = {"--coef0", "--generations", "--noise", "--generator-noise", "--ell"}  # of exponents, -1 or -inf may be meant
BASE = {"curve": ["--isotropic", "5"], "ridge": ["--isotropic", "5"], "crosscheck": ["--isotropic", "5"],
        "exponent": ["1.5", "0.5"], "formulas": [], "demo": [], "modes": ["--zipf", "1.5"],
        "mix": ["--data", "table.csv", "--target", "y", "--origin", "by"]}  # fmt: skip


def numeric_options():
    """(command, option) of every option that takes numbers."""
    commands = next(a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    for command, parser in commands.items():
        for action in parser._actions:
            if action.type is not None and action.option_strings and action.metavar not in ("FILE", "MARK,..."):
                yield command, action.option_strings[-1]


OPTIONS = [pair for pair in numeric_options() if pair[0] != "formulas"]


def test_the_options_that_take_numbers_are_found():
    assert len(OPTIONS) > 40
    assert {("curve", "--noise"), ("ridge", "--generator-ridge"), ("demo", "--runs"), ("crosscheck", "--budget")} <= {
        *OPTIONS
    }


@pytest.mark.parametrize(("command", "option"), OPTIONS)
@pytest.mark.parametrize("number", ["-1", "nan", "-1e-300"])
def test_a_number_outside_its_domain_is_refused_by_its_option(run, command, option, number):
    allowed = command == "exponent" and option != "--aspect" and number != "nan"
    if allowed or (option == "--coef0" and number != "nan"):
        pytest.skip("any real number is meant")
    base = BASE[command]
    if option in ("--isotropic", "--power-law", "--zipf"):
        base, number = [], f"{number} 0.5" if option == "--power-law" else number
    values = number.split()
    status, _, err = run(command, *base, *([f"{option}={values[0]}"] if len(values) == 1 else [option, *values]))
    assert status == 2
    assert option in err
    assert len(err.strip().splitlines()) == 1


def test_the_library_sees_signs_before_squares():
    arguments = (mc.isotropic(5), 0, 20, 0.1)
    for noise, generator in ((-1, 0.1), (1, -0.1)):
        with pytest.raises(ValueError, match=r"noise = -\S+ is outside"):
            predict_chain(*arguments, noise, 20, 0.0, generator)
    assert predict_chain(*arguments, 1, 20, 0.0, 0.1).test_error > 0


# units


def labels_csv(path, unit=1.0, rows=200, real=0):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((rows, 10)) * np.arange(1, 11) ** -0.5
    y = unit * (X.sum(axis=1) + 0.4 * rng.standard_normal(rows) + 5)
    marks = np.where(np.arange(rows) < real, "real", "model")
    lines = [
        "".join(f"{x!r}," for x in row.tolist()) + f"{mark},{float(t)!r}"
        for row, mark, t in zip(X, marks, y, strict=True)
    ]
    path.write_text(",".join("abcdefghij") + ",by,y\n" + "\n".join(lines))
    return X, y


def test_noise_is_in_the_unit_of_the_targets_however_features_are_scaled(run, tmp_path):
    """Targets in another unit, and the noise with them: the same ridge, errors in the unit squared."""
    found = {}
    for unit in (1, 100):
        labels_csv(tmp_path / "a.csv", unit)
        options = (
            "--origin",
            "by",
            "--standardise",
            "--kernel",
            "linear",
            "--generations",
            5,
            "--generator-samples",
            60,
        )
        options += ("--generator-noise", 0.4 * unit, "--output", tmp_path / "a.json")
        assert run("ridge", "--data", tmp_path / "a.csv", *options)[0] == 0
        found[unit] = {row["point"]: row for row in json.loads((tmp_path / "a.json").read_text())["rows"]}
    for point in ("recommended", "gcv"):
        assert found[100][point]["alpha"] == pytest.approx(found[1][point]["alpha"], rel=1e-9)
        assert found[100][point]["predicted_error"] == pytest.approx(1e4 * found[1][point]["predicted_error"], rel=1e-9)
    assert found[1]["recommended"]["alpha"] > 2 * found[1]["gcv"]["alpha"]


def test_ridge_standardised_is_the_estimator_on_scaled_features(run, tmp_path):
    X, y = labels_csv(tmp_path / "a.csv", unit=30)
    options = ("--origin", "by", "--standardise", "--kernel", "linear", "--generations", 5, "--generator-samples", 60)
    options += ("--generator-noise", 12, "--output", tmp_path / "a.json")
    assert run("ridge", "--data", tmp_path / "a.csv", *options)[0] == 0
    (row, _) = json.loads((tmp_path / "a.json").read_text())["rows"]
    expected = mc.CollapseAwareRidge(5, 60, 12).fit((X - X.mean(0)) / X.std(0), y)
    assert row["alpha"] == pytest.approx(expected.alpha_, rel=1e-9)


def test_a_curve_takes_its_truth_from_real_rows(run, tmp_path):
    X, y = labels_csv(tmp_path / "a.csv", real=80)
    options = ("--kernel", "linear", "--samples", "50", "--method", "gaussian", "--output", tmp_path / "out.json")
    for marks in (("--origin", "by"), ("--origin", "by", "--rows", 150)):
        status, out, err = run("curve", "--data", tmp_path / "a.csv", *marks, *options)
        assert status == 0, err
        assert "80 rows" in out
        (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
        expected = predict_chain(mc.from_samples(X[:80], y[:80]), 0, 50, 1e-3, 0.1, 1, 0.0, 0.1).test_error
        assert row["test_error"] == pytest.approx(expected, rel=1e-9)
    assert run("curve", "--data", tmp_path / "a.csv", "--origin", "by", "--rows", 1, *options)[0] == 2


def test_generators_have_one_default_ridge(run, tmp_path):
    rows = {}
    for command in ("curve", "ridge", "crosscheck"):
        parser = cli._parser().parse_args(
            [command, "--isotropic", "5", "--generations", "2", "--generator-samples", "9"]
        )
        rows[command] = parser.generator_ridge
    assert set(rows.values()) == {0.0}


# output

GREEK = "λ ≥ 0, E‖ŵ‖² ± 1 — naïve σ_0"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_formulas_can_be_shown_on_any_terminal(encoding, monkeypatch):
    shown, said = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", said)
    for arguments in (["formulas"], ["formulas", "--json"], *(["formulas", name] for name in mc.theory.catalogue)):
        assert cli.main(arguments) == 0
    shown.flush()
    said.flush()
    assert shown.buffer.getvalue().count(b"\n") > 5 * len(mc.theory.catalogue)
    assert said.buffer.getvalue() == b""


def test_what_an_encoding_lacks_is_spelled(tmp_path):
    command = f"from modelcollapse.cli._output import readable_anywhere as f; f(); print({GREEK!r})"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.stdout.decode("ascii").strip() == "lambda >= 0, E||w||2 +- 1 - naive sigma_0"


@pytest.mark.parametrize("arguments", ["curve --help", "exponent 1.5 0.5 --generations 0:0.9:2000"])
@pytest.mark.parametrize("end", ["| head -1", "| true", ">&-", "</dev/null >/dev/null"])
def test_a_reader_who_leaves_is_no_error(arguments, end):
    command = f"set -o pipefail; {sys.executable} -m modelcollapse {arguments} {end}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / "a.csv").symlink_to("/dev/full")
    base = f"{sys.executable} -m modelcollapse exponent 1.5 0.5"
    for command in (f"{base} > /dev/full", f"{base} --output {tmp_path}/a.csv"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == 2, command
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "No space left" in done.stderr
    done = subprocess.run(["bash", "-c", f"{base} --output {tmp_path}/a.csv"], capture_output=True, text=True)
    assert "binding" in done.stdout  # the table is shown instead


def test_output_goes_through_a_link_and_keeps_permissions(run, tmp_path):
    (tmp_path / "deep").mkdir()
    target, link = tmp_path / "deep" / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(Path("deep") / "real.csv")
    assert run("exponent", "1.5", "0.5", "--output", link)[0] == 0
    assert link.is_symlink()
    assert target.read_text().startswith("ell,rate")
    assert target.stat().st_mode & 0o777 == 0o640
    with pytest.raises(ZeroDivisionError), replacing(link) as temporary:
        Path(temporary).write_text("half")
        raise ZeroDivisionError
    assert target.read_text().startswith("ell,rate")
    assert sorted(entry.name for entry in (tmp_path / "deep").iterdir()) == ["real.csv"]


def test_a_folder_that_goes_away_loses_nothing(run, tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()

    def removed(rows, path, settings):
        folder.rmdir()
        save_table(rows, path, settings)

    monkeypatch.setattr(_output, "save_table", removed)
    status, out, err = run("exponent", "1.5", "0.5", "--output", folder / "a.csv")
    assert status == 2
    assert f"cannot write {folder / 'a.csv'}: No such file" in err
    assert "binding" in out


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_named_at_once(run, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written to" in run("exponent", "1.5", "0.5", "--output", tmp_path / "a.csv")[2]
