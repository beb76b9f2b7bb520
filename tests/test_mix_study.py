"""The study of mixes runs from its command, is reproducible, and its page is what its table says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from modelcollapse.validation import mix_study
from modelcollapse.validation.studies.mixes import REGIMES, draw

DOCS = Path(__file__).parents[1] / "docs"
SMALL = (REGIMES[1], REGIMES[19])


def test_regrets_are_complete_and_depend_on_the_seed_alone():
    records = mix_study.run(2, regimes=SMALL, real=(20,))
    assert {record.strategy for record in records if record.teacher != "trees"} == set(mix_study.STRATEGIES)
    assert min(record.median for record in records if record.strategy != "teacher alone") > -0.5
    assert records == mix_study.run(2, regimes=SMALL, real=(20,))
    assert records != mix_study.run(2, seed=1, regimes=SMALL, real=(20,))
    assert "20 real rows  ours" in mix_study.summarise(records)


def test_the_error_of_a_fit_is_that_of_its_predictions():
    """On a kernel: the study's test errors against predictions of the estimator with the same weight and ridge."""
    from modelcollapse import CollapseAwareRidge
    from modelcollapse.numerics.mixes.leave_one_out import weighted_path
    from modelcollapse.numerics.mixes.moments import rows_of

    regime = REGIMES[-1]
    found = draw(regime, 20, np.random.default_rng(0))
    features = mix_study._features(regime, found.X)
    rows = rows_of(features.values, found.y[:, None], found.origin)
    path = weighted_path(rows, np.array([1.0, 0.35]), np.array([0.5]))
    error = mix_study._errors(found, features, rows, path, regime)[0]
    origin = np.where(found.origin == 0, "real", "model")
    model = CollapseAwareRidge(kernel="rbf", gamma=0.1, weights={"model": 0.35}, ridges=[0.5 / len(origin)])
    predicted = model.fit(found.X, found.y, origin=origin).predict(found.test)
    assert error == pytest.approx(np.mean((predicted - found.targets) ** 2), rel=1e-6)


def test_command_writes_table_and_picture(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(mix_study, "REGIMES", SMALL[:1])
    monkeypatch.setattr(mix_study, "HELD_OUT", ())
    monkeypatch.setattr(mix_study, "REAL", (20,))
    files = ["--output", str(tmp_path / "t.csv"), "--plot", str(tmp_path / "p.png")]
    assert mix_study.main(["--trials", "1", "--workers", "1", *files]) == 0
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + len(mix_study.STRATEGIES)
    assert (tmp_path / "p.png").stat().st_size > 5000
    assert "worst against the" in capsys.readouterr().out


def test_the_page_is_what_the_table_says():
    spec = importlib.util.spec_from_file_location("mixes_page", DOCS / "mixes_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/mixes_page.py"
