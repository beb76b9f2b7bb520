"""The study of stopping runs from its command, its table is what the package says, and its page is its table."""

import csv
import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.validation import stopping_study as study

DOCS = Path(__file__).parents[2] / "docs"
SMOOTH = next(r for r in study.REGIMES if (r.problem, r.samples) == ("power law 1.5, 0.7", 120))
ROUND = next(r for r in study.REGIMES if (r.problem, r.samples) == ("isotropic", 120))


@pytest.fixture(scope="module", autouse=True)
def _found_once():
    """The study and its command ask for the same optima."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("optimal_stopping", "optimal_ridge"):
            patch.setattr(study, name, functools.cache(getattr(study, name)))
        yield


@pytest.fixture(scope="module")
def records():
    """Of a problem, and of another generator of it that is quick to predict: its eigenvalues are all alike."""
    again = replace(ROUND, problem=SMOOTH.problem, generator="again")
    return study.run(trials=60, regimes=(SMOOTH, again))


def test_every_case_is_there_once():
    stored = study.read(DOCS / "stopping.csv")
    cases = [(r.problem, r.samples, r.generator, r.generations) for r in stored]
    assert len(set(cases)) == len(cases) == 8 * (1 + 3 * 3) + 1 + 2 * 3
    assert {r.generations for r in stored} == set(study.GENERATIONS)


def test_real_runs_agree_with_the_records(records):
    """Seven cases at five standard errors beyond 4 % for the finite size: one false alarm in 2e5 seeds."""
    assert [r.generations for r in records] == [0, 1, 5, 20, 1, 5, 20]
    for r in records:
        assert abs(r.measured - r.test_error) < 5 * r.standard_error + 0.04 * r.test_error
    late = next(r for r in records if r.generations == 20)
    assert abs(records[0].measured - late.test_error) > 5 * records[0].standard_error + 0.04 * late.test_error


def test_the_stored_table_is_what_the_package_says_today(records):
    stored = [r for r in study.read(DOCS / "stopping.csv") if (r.problem, r.samples) == (SMOOTH.problem, 120)]
    for old, new in zip(stored[:4], records[:4], strict=True):
        assert old.generations == new.generations
        for name in ("time", "test_error", "ridge", "ridge_test_error", "ratio", "stable_step"):
            assert getattr(old, name) == pytest.approx(getattr(new, name), rel=1e-4)


def test_records_say_when_the_predicted_error_turns(records):
    w0 = mc.truth(mc.power_law(1.5, 0.7, 200))
    for r in records[:4]:
        source = mc.chain(w0, r.generations, 400, 0.1).label(120, 0.1)
        errors = mc.predict(mc.fit(source, filter=mc.GradientFlow(r.time * np.geomspace(0.5, 2, 7)))).test_error
        assert np.argmin(errors) == 3
        assert errors[3] == pytest.approx(r.test_error, rel=1e-9)


def test_gcv_is_right_and_what_looks_like_it_is_not():
    """GCV of 100 data sets scatters by 2 % about the truth, on both sides; its lookalike is off by factors."""
    model = mc.fit(mc.truth(mc.isotropic(200)).label(120, 0.5))
    measured = study.criteria(ROUND, mc.optimal_stopping(model).time, mc.optimal_ridge(model).ridge, 0)
    assert max(abs(measured["gcv"] - 1), abs(measured["gcv_late"] - 1)) < 0.1
    assert measured["lookalike"] > 1.1
    assert measured["lookalike_late"] > 2
    assert min(measured["gcv_excess"], measured["lookalike_excess"]) >= 0


def test_the_command_writes_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "REGIMES", (SMOOTH,))
    path = tmp_path / "table.csv"
    monkeypatch.setattr(study, "keep_compiled_kernels", lambda: None)
    assert study.main(["--trials", "2", "--workers", "1", "--output", str(path)]) == 0
    assert len(study.read(path)) == 4
    assert "power law 1.5, 0.7" in capsys.readouterr().out
    assert study.main([]) == 2
    for wrong in (["--trials", "1"], ["--seed", "-1"], ["--output", "a.xlsx"], ["--plot", "/nowhere/a.png"]):
        with pytest.raises(SystemExit, match="2"):
            study.main(wrong)


def page():
    spec = importlib.util.spec_from_file_location("early_stopping_page", DOCS / "early_stopping_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_the_table(tmp_path):
    module = page()
    text = module.PAGE.read_text(encoding="utf-8")
    assert text == module.page(), "run: python docs/early_stopping_page.py"
    with module.STUDY.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[5]["test_error"] = "0.123456"
    module.STUDY = tmp_path / "planted.csv"
    with module.STUDY.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert text != module.page()
