"""The study runs from its command, is reproducible, and shows what it is for."""

import csv
import json

import numpy as np
import pytest

from modelcollapse.validation import study
from modelcollapse.validation.studies import worlds

LEAST_SQUARES = study.REGIMES[9]
RIDGE = study.REGIMES[-1]


@pytest.fixture(scope="module")
def records():
    return study.run(trials=3, regimes=(LEAST_SQUARES,)) + study.run(trials=2, regimes=(RIDGE,))


def test_regrets_are_not_negative_and_complete(records):
    assert {record.method for record in records} == set(study.METHODS)
    assert {record.generations for record in records} == set(study.GENERATIONS)
    assert min(record.mean for record in records) >= 0
    assert all(record.method != "schedule" for record in records if record.problem == "breast cancer")


def test_ours_holds_where_gcv_fails(records):
    """Three chains; medians 2 % and 400 % in the long run at n = 20, so a threshold of 20 % leaves wide room on
    both sides."""
    median = {r.method: r.median for r in records if r.generations == 20 and r.generator == "least squares"}
    assert median["ours"] < 0.2 < median["GCV"]


def test_without_synthetic_labels_ours_is_gcv(records):
    clean = {(r.problem, r.method): r.mean for r in records if r.generations == 0}
    for problem in (LEAST_SQUARES.problem, RIDGE.problem):
        assert clean[problem, "ours"] == clean[problem, "GCV"]


@pytest.mark.filterwarnings("ignore:the .* real rows by themselves")
def test_numbers_depend_on_the_seed_and_on_nothing_else():
    once, again, other = (study.trial(RIDGE, seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other


def test_harm_is_found_where_it_is_planted(records):
    assert study.harms(records, method="GCV") == []
    assert study.harms(records, tolerance=-1.0)
    planted = [r for r in records if r.method != "ours"]
    planted += [study.Record(*(*r_values(r)[:7], r.mean + 10, 0.0, 0.0)) for r in records if r.method == "ours"]
    assert len(study.harms(planted)) == len(study.GENERATIONS) * 2


def r_values(record):
    return [getattr(record, name) for name in study.Record.__dataclass_fields__]


def test_exact_chain_step_has_the_law_of_a_direct_fit():
    """E‖ŵ_1 − w0‖²_Σ = σ² d/(T0 − d − 1), by the multivariate t; mean of 4000 steps, four standard errors."""
    world = worlds.Synthetic(LEAST_SQUARES, np.random.default_rng(0))
    errors = np.empty(4000)
    for i in range(len(errors)):
        world.weights = world.truth
        world.next_generation()
        errors[i] = (world.weights - world.truth) ** 2 @ world.eigenvalues
    t0, noise = LEAST_SQUARES.generator_samples, LEAST_SQUARES.noise
    expected = noise**2 * worlds.DIM / (t0 - worlds.DIM - 1)
    assert abs(errors.mean() - expected) < 4 * errors.std() / np.sqrt(len(errors))


def test_command_writes_table_and_picture(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(study, "REGIMES", (study.REGIMES[-2],))
    monkeypatch.setattr(study, "HELD_OUT", ())
    for name in ("table.csv", "table.json"):
        arguments = [
            "--trials",
            "2",
            "--workers",
            "1",
            "--output",
            str(tmp_path / name),
            "--plot",
            str(tmp_path / "p.png"),
        ]
        assert study.main(arguments) == 0
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(json.loads((tmp_path / "table.json").read_text())) == 4 * 6
    assert (tmp_path / "p.png").stat().st_size > 10_000
    assert "breast cancer" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        study.main(["--trials", "0"])
