"""The study of mixes runs from its command, is reproducible, and its page is what its table says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold

from modelcollapse.numerics.mixes.choice import WEIGHTS
from modelcollapse.numerics.mixes.leave_one_out import weighted_path
from modelcollapse.numerics.mixes.moments import rows_of
from modelcollapse.validation import mix_study
from modelcollapse.validation.studies.mixes import REGIMES, TABLES, draw

DOCS = Path(__file__).parents[2] / "docs"
SMALL = (REGIMES[1], REGIMES[19])


@pytest.mark.usefixtures("few_shapes")
def test_regrets_are_complete_and_depend_on_the_seed_alone(monkeypatch):
    """Two data sets of a regime, and as many again where these do not decide."""
    monkeypatch.setattr(mix_study, "MOST", 2)
    records = mix_study.run(2, regimes=SMALL, real=(20,))
    assert {record.strategy for record in records if record.teacher != "trees"} == set(mix_study.STRATEGIES)
    assert min(record.median for record in records if record.strategy != "teacher alone") > -0.5
    assert records == mix_study.run(2, regimes=SMALL, real=(20,))
    other = mix_study.run(2, seed=1, regimes=SMALL[:1], real=(20,))
    assert other != records[: len(other)]
    assert "20 real rows  ours" in mix_study.summarise(records)


@pytest.mark.usefixtures("few_shapes")
def test_grids_of_penalties_may_be_longer_for_some_weights():
    """They are here: few directions, and small ones, of digits."""
    regime = REGIMES[18]
    found = draw(regime, 200, np.random.default_rng(0))
    rows = rows_of(mix_study._features(regime, found.X).values, found.y[:, None], found.origin)
    lengths = {len(weighted_path(rows, np.array([1.0, weight])).alphas) for weight in WEIGHTS}
    assert len(lengths) > 1
    regrets = mix_study.trial(regime, 200, np.random.default_rng(0))
    assert 0 <= regrets["leave-one-out"] < regrets["real only"]


@pytest.mark.usefixtures("few_shapes")
def test_the_error_of_a_fit_is_that_of_its_predictions():
    """On a kernel: the study's test errors against predictions of the estimator with the same weight and ridge."""
    from modelcollapse import CollapseAwareRidge

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


@pytest.mark.usefixtures("few_shapes")
def test_command_writes_table_and_picture(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(mix_study, "ALL", SMALL[:1])
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*too few to tell")
@pytest.mark.parametrize("real", [60, 100, 400])
@pytest.mark.parametrize("regime", TABLES, ids=lambda regime: f"{regime.teacher} {regime.generations}")
def test_on_a_table_the_estimator_is_near_the_best_of_the_usual_ways(regime, real):
    """Mean error over five data sets at most 8 % above the least of RidgeCV on real rows, on all, on synthetic ones,
    and of a grid over weight and alpha that is cross-validated on real rows."""
    errors = np.mean([_of_the_usual_ways(draw(regime, real, np.random.default_rng(seed))) for seed in range(5)], axis=0)
    assert errors[0] < 1.08 * np.min(errors[1:])


def _of_the_usual_ways(found):
    from modelcollapse import CollapseAwareRidge

    alphas, real = np.geomspace(1e-2, 1e5, 22), found.origin == 0
    fits = [
        CollapseAwareRidge(weights="auto").fit(found.X, found.y, origin=np.where(real, "real", "model")),
        *(RidgeCV(alphas).fit(found.X[rows], found.y[rows]) for rows in (real, real | True, ~real)),
        _on_a_grid(found, alphas[::2]),
    ]
    return [np.mean((fit.predict(found.test) - found.targets) ** 2) for fit in fits]


def _on_a_grid(found, alphas):
    """Ridge with the weight of synthetic rows and the alpha that five folds of the real rows like best."""
    real, losses = np.flatnonzero(found.origin == 0), {}
    for weight in (1e-6, 0.01, 0.03, 0.1, 0.3, 1.0):
        weights = np.where(found.origin == 0, 1.0, weight)
        for alpha in alphas:
            losses[weight, alpha] = 0.0
            for _, left in KFold(5, shuffle=True, random_state=0).split(real):
                kept = np.setdiff1d(np.arange(len(found.y)), real[left])
                fit = Ridge(alpha).fit(found.X[kept], found.y[kept], sample_weight=weights[kept])
                losses[weight, alpha] += np.sum((fit.predict(found.X[real[left]]) - found.y[real[left]]) ** 2)
    weight, alpha = min(losses, key=losses.__getitem__)
    return Ridge(alpha).fit(found.X, found.y, sample_weight=np.where(found.origin == 0, 1.0, weight))
