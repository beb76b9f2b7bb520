"""`crosscheck`: right theories pass at the stated rate, wrong ones do not, and the allowance scales like 1/d."""

import dataclasses
import functools

import numpy as np
import pytest
from random_pipelines import random_pipeline

import modelcollapse as mc
from modelcollapse.numerics.questions import predictions
from modelcollapse.validation.allowances import finite_size_allowance
from modelcollapse.validation.problems import problems_of

w0 = mc.truth(mc.isotropic(30))
chain = mc.chain(w0, 3, 60, 0.5)


def test_a_single_model_keeps_its_prediction_and_estimate():
    agreement = mc.crosscheck(chain, seed=1)
    assert agreement.verdict == "agrees"
    assert agreement.prediction.test_error == pytest.approx(3 * 0.25 * 30 / 29)
    assert agreement.z == pytest.approx(
        (agreement.estimate.mean - agreement.prediction.test_error) / agreement.estimate.standard_error
    )
    assert agreement.allowance == 0  # least squares throughout is exact at finite size


def test_a_list_is_one_family_with_a_table(tmp_path):
    agreement = mc.crosscheck([chain, mc.fit(w0.label([60, 90], 0.5), ridge=0.1)], seed=1)
    assert agreement.verdict == "agrees"
    assert agreement.z.shape == (3,)
    lines = str(agreement).splitlines()
    assert len(lines) == 5
    assert "chain(start=truth, generations=3" in lines[1]
    assert "[1] of fit(" in lines[3]
    assert lines[-1].startswith("agrees: 3 agrees; a correct theory is rejected with probability 0.01")
    assert agreement.to_dict()["verdict"].tolist() == ["agrees"] * 3
    ax = agreement.plot()
    assert "predicted" in ax.get_ylabel()
    ax.figure.savefig(tmp_path / "agreement.png")


def _spoil(monkeypatch, factor):
    right = predictions.predict

    def wrong(*args, **options):
        prediction = right(*args, **options)
        return dataclasses.replace(prediction, test_error=prediction.test_error * factor)

    monkeypatch.setattr(predictions, "predict", wrong)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_wrong_prediction_disagrees(monkeypatch, factor):
    _spoil(monkeypatch, factor)
    agreement = mc.crosscheck([chain, mc.fit(w0.label(90, 0.5), ridge=0.1)], seed=1)
    assert agreement.verdicts.tolist() == ["disagrees", "disagrees"]


def test_the_failure_budget_is_kept(monkeypatch):
    """Exact predictions (allowance 0), budget 20 %: 200 families of three fail at most 20 % + 3 standard errors.

    What is predicted is the same for every seed, and computed once."""
    once = functools.cache(functools.partial(predictions.predict, finite_size=True))
    monkeypatch.setattr(predictions, "predict", lambda model, *given, **options: once(model))
    models = [chain, mc.fit(w0.label(50, 0.5)), 0.5 * chain + 0.5 * mc.fit(w0.label(45, 0.3))]
    failed = np.mean(
        [mc.crosscheck(models, 100, seed, budget=0.2, allowance=0.0).verdict == "disagrees" for seed in range(200)]
    )
    assert failed < 0.2 + 3 * np.sqrt(0.2 * 0.8 / 200)


def test_undecided_where_the_simulation_cannot_tell():
    near = mc.crosscheck(mc.fit(w0.label([30, 33, 90], 0.5)), seed=1)
    assert near.verdicts.tolist() == ["agrees", "undecided", "agrees"]  # inf agrees with a mean that does not exist
    few = mc.crosscheck(mc.fit(w0.label(40, 0.5)), trials=10)
    assert few.verdict == "undecided"


def test_exact_and_trivial_cases():
    assert mc.crosscheck(w0).verdict == "agrees"
    assert mc.crosscheck(mc.fit(w0.label(40))).verdict == "agrees"
    assert mc.crosscheck(mc.fit(w0.label(40), ridge=np.inf)).relative_difference == pytest.approx(0, abs=1e-12)


def test_the_allowance_shrinks_like_one_over_d_and_covers_what_is_seen():
    """d = 24, 48, 96 at fixed T/d: allowance · d falls to a constant (its −3 dies out) and deviations stay below."""
    for seed in (0, 3, 11):
        allowed, scaled = [], []
        for copies in (2, 4, 8):
            model = random_pipeline(seed, copies)
            agreement = mc.crosscheck(model, 200, seed)
            allowed.append(agreement.allowance)
            _, (problem,) = problems_of(model)
            scaled.append(finite_size_allowance(problem) * copies)
            slack = 4 * agreement.estimate.standard_error / agreement.prediction.test_error
            assert abs(agreement.relative_difference) < agreement.allowance + slack
        assert allowed[0] > allowed[1] > allowed[2]
        assert scaled[2] < scaled[1] < scaled[0]
        assert scaled[2] > 0.6 * scaled[1]


def test_an_allowance_of_ones_own():
    strict = mc.crosscheck(mc.fit(w0.label(36, 0.5), ridge=0.01), 4000, allowance=0.0)
    assert strict.verdict == "disagrees"  # a deterministic equivalent is not exact at d = 30
    assert mc.crosscheck(mc.fit(w0.label(36, 0.5), ridge=0.01), 4000, resolution=0.5).verdict == "agrees"


def test_clear_refusals():
    with pytest.raises(ValueError, match="give it a finite dim"):
        mc.crosscheck(mc.fit(mc.truth(mc.power_law(1.5, 0.5)).label(40), ridge=0.1))
    with pytest.raises(ValueError, match="model is an empty list"):
        mc.crosscheck([])
    with pytest.raises(ValueError, match=r"budget = 2 is outside \(0, 1\)"):
        mc.crosscheck(chain, budget=2)
