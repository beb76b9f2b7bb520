"""Workflows: factors of many rounds, schedules, how many rounds; and recipes that are pipelines."""

import copy
import pickle

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.theory import catalogue, closed_form
from modelcollapse.validation.listings import listing

W0 = mc.truth(mc.isotropic(50))
LAW = mc.power_law(1.5, 0.5, dim=60)


# factors


def test_factors_are_those_of_the_records_and_of_plain_sums():
    rounds = np.arange(1, 9)
    squares = np.cumsum(1.0 / rounds**2)
    np.testing.assert_allclose(mc.workflow_factor("accumulate", rounds), squares, rtol=1e-13)
    published = [2 - 1 / k + sum((2 - 1 / (i - 1)) / i**2 for i in range(2, k + 1)) for k in range(1, 9)]
    np.testing.assert_allclose(mc.workflow_factor("subsample", rounds), published, rtol=1e-13)
    np.testing.assert_array_equal(mc.workflow_factor("replace", rounds), rounds)
    assert float(catalogue["workflow_subsample"].evaluate(rounds=5)) == pytest.approx(published[4], rel=1e-13)
    assert mc.workflow_factor("subsample", np.inf) == pytest.approx(np.pi**2 / 2 - 2, rel=1e-14)


def test_growing_rounds_are_predicted_chains():
    sizes = [10**6, 3 * 10**6, 5 * 10**6]
    error = mc.predict(mc.chain(W0, 3, samples=mc.Schedule(sizes), noise=1.0)).test_error
    assert mc.workflow_factor(mc.Schedule(sizes), 3) == pytest.approx(error * sizes[0] / 50, rel=1e-3)
    assert mc.workflow_factor(np.array(sizes), 2) == pytest.approx(4 / 3, rel=1e-14)


@pytest.mark.slow
def test_the_factors_of_logistic_regression():
    """One feature, T = 400 a round, 5 rounds: T·Var·Fisher information within five standard errors and 3 % (1/T)."""
    T, rounds, trials, w0 = 400, 5, 4000, 0.8
    generator = np.random.default_rng(5)

    def fitted(x, y):
        w = np.full((len(x), 1), w0)
        for _ in range(8):
            p = 1 / (1 + np.exp(-w * x))
            w = w + np.sum(x * (y - p), 1, keepdims=True) / np.sum(x**2 * p * (1 - p), 1, keepdims=True)
        return w

    def variances(drawn):
        x, y, w, found = np.zeros((trials, 0)), np.zeros((trials, 0)), np.full((trials, 1), w0), []
        for _ in range(rounds):
            fresh = generator.standard_normal((trials, T))
            x = np.append(x, fresh, 1)
            y = np.append(y, generator.random((trials, T)) < 1 / (1 + np.exp(-w * fresh)), 1)
            places = drawn(x.shape[1])
            w = fitted(np.take_along_axis(x, places, 1), np.take_along_axis(y, places, 1))
            found.append(np.mean((w - w0) ** 2))
        return np.array(found) * T * information

    z = generator.standard_normal(10**6)
    p = 1 / (1 + np.exp(-w0 * z))
    information = np.mean(z**2 * p * (1 - p))
    ways = {
        "replace": lambda size: np.broadcast_to(np.arange(size - T, size), (trials, T)),
        "accumulate": lambda size: np.broadcast_to(np.arange(size), (trials, size)),
        "subsample": lambda size: np.argsort(generator.random((trials, size)), 1)[:, :T],
    }
    margin = 5 * np.sqrt(2 / trials) + 0.03
    found = {
        name: variances(drawn) / mc.workflow_factor(name, np.arange(1, rounds + 1)) for name, drawn in ways.items()
    }
    for name, ratio in found.items():
        assert np.max(np.abs(ratio - 1)) < margin, (name, ratio)
    wrong = found["subsample"] * mc.workflow_factor("subsample", 5) / mc.workflow_factor("accumulate", 5)
    assert abs(wrong[-1] - 1) > margin


# schedules


def test_a_schedule_is_the_chain_of_its_fits_and_a_list_is_a_grid():
    scheduled = mc.chain(W0, 3, mc.Schedule([200, 400, 600]), mc.Schedule([0.1, 0.2, 0.3]), ridge=0.1)
    looped = W0
    for rows, noise in ((200, 0.1), (400, 0.2), (600, 0.3)):
        looped = mc.fit(looped.label(rows, noise), ridge=0.1)
    assert scheduled == looped
    assert mc.predict(scheduled).test_error == mc.predict(looped).test_error
    assert listing(scheduled) == listing(looped)
    assert mc.predict(mc.chain(W0, 4, samples=[200, 400, 600, 800], noise=0.1)).shape == (4,)
    constant = mc.chain(W0, 3, mc.Schedule([200] * 3), 0.1, ridge=0.1)
    assert mc.predict(constant).test_error == pytest.approx(
        mc.predict(mc.chain(W0, 3, 200, 0.1, ridge=0.1)).test_error, rel=1e-12
    )


def test_entries_may_be_symbols_and_grids_and_the_repr_is_whole():
    T = sympy.Symbol("T", positive=True)
    model = mc.chain(W0, 2, samples=mc.Schedule([T, 2 * T]), noise=0.1, ridge=mc.Schedule([0.0, [0.1, 0.2]]))
    assert repr(model) == (
        "chain(start=truth, generations=2, samples=Schedule([T, 2*T]), noise=0.1, ridge=Schedule([0, <2 grid>]))"
    )
    filled = model.subs({T: 200})
    assert "samples=Schedule([200, 400])" in repr(filled)
    np.testing.assert_array_equal(mc.predict(filled).test_error, mc.predict(model, {T: 200}).test_error)
    symbolic = closed_form(mc.chain(W0, 2, samples=mc.Schedule([T, 2 * T]), noise=1))
    assert sympy.simplify(symbolic - 50 / (T - 50) - 50 / (2 * T - 50)) == 0
    assert pickle.loads(pickle.dumps(model)) == model
    assert repr(pickle.loads(pickle.dumps(model))) == repr(model)


def test_schedules_are_values():
    schedule = mc.Schedule([100, [200, 300]])
    assert schedule == mc.Schedule([100, np.array([200, 300])]) != mc.Schedule([100, 200])
    assert len({schedule, copy.copy(schedule), pickle.loads(pickle.dumps(schedule))}) == 1
    assert (len(schedule), schedule[0]) == (2, 100)
    assert repr(mc.Schedule(range(1, 65))).endswith(", 15, 16, ... (64 entries)])")


def test_a_simulated_schedule():
    """Exact in law for least squares: one verdict at the level of 1 %; the noise in reverse order is rejected."""
    model = mc.chain(W0, 2, mc.Schedule([80, 300]), mc.Schedule([0.5, 0.1]))
    agreement = mc.crosscheck(model, trials=1000, progress=False)
    assert agreement.verdict == "agrees", str(agreement)
    low, _ = agreement.estimate.interval(0.999)
    wrong = mc.chain(W0, 2, mc.Schedule([80, 300]), mc.Schedule([0.1, 0.5]))
    assert mc.predict(wrong, finite_size=True).test_error < low


# how many rounds


def test_the_best_of_all_rounds_is_found_where_errors_turn():
    spectrum = mc.Spectrum([1.0, 0.02], signal=[1.0, 0.0], multiplicity=[5, 200])
    first = mc.fit(mc.truth(spectrum).label(300, noise=0.5))
    ridges = np.array([0.005, 0.02, 10.0])
    found = mc.optimal_rounds(lambda k: mc.chain(first, k - 1, 5000, 0.0, ridges), most=20)
    assert found.rounds.tolist() == [14, 5, 1]
    assert found.at_bound.tolist() == [False, False, True]
    assert found.errors.shape == (20, 3)
    np.testing.assert_array_equal(found.errors.min(0), found.test_error)
    assert repr(found) == "OptimalRounds(3 grid: rounds=1..14)"
    single = mc.optimal_rounds(lambda k: mc.chain(first, k - 1, 5000, 0.0, 0.02), most=4)
    assert (single.rounds, single.at_bound) == (4, True)
    assert repr(single) == f"OptimalRounds(rounds=4 of 4, test_error={single.test_error:.6g}, at_bound=True)"


@pytest.mark.parametrize("nested", [True, False])
def test_rounds_of_a_loop_are_predicted_one_by_one(nested):
    """Fits on the way to the last one are read off one walk; there are none where rows depend on how many rounds."""
    ridge = sympy.Symbol("lambda", positive=True)

    def model_of(k):
        model = W0
        for j in range(k):
            real = W0.label(40 + (0 if nested else k), 0.2)
            model = mc.fit(real, model.label(np.array([60, 90]), 0.1 + 0.1 * j), ridge=ridge)
        return model

    found = mc.optimal_rounds(model_of, most=5, values={ridge: 0.01})
    for k in range(1, 6):
        np.testing.assert_allclose(found.errors[k - 1], mc.predict(model_of(k), {ridge: 0.01}).test_error, rtol=1e-12)
    assert np.all(np.abs(found.errors[1:] / found.errors[:-1] - 1) > 1e-3)


# recipes: docs/howto/workflows.md and docs/howto/weak_to_strong.md


def test_many_answers_to_a_question_are_one_answer_with_less_noise():
    """Groups of m labels on one input, as they are: 5 standard errors and 3 % of finite size; that the m answers were
    as many questions is rejected."""
    rows, m, ridge, noise, trials = 120, 3, 0.02, 0.6, 400
    generator, s, w = np.random.default_rng(3), LAW.eigenvalues, np.sqrt(LAW.signal)
    errors = []
    for _ in range(trials):
        X = np.repeat(generator.standard_normal((rows // m, 60)) * np.sqrt(s), m, axis=0)
        y = X @ w + noise * generator.standard_normal(rows)
        fitted = np.linalg.solve(X.T @ X / rows + ridge * np.eye(60), X.T @ y / rows)
        errors.append(np.sum(s * (fitted - w) ** 2))
    w0 = mc.truth(LAW)
    averaged = mc.predict(mc.fit(w0.label(rows // m, noise / np.sqrt(m)), ridge=ridge)).test_error
    scaled = mc.fit(w0.label(rows // m, noise, inputs=lambda s: m * s), ridge=m * ridge)
    assert mc.predict(scaled).test_error == pytest.approx(averaged, rel=1e-11)
    mean, deviation = np.mean(errors), np.std(errors) / np.sqrt(trials)
    apart = mc.predict(mc.fit(w0.label(rows, noise), ridge=ridge)).test_error
    assert abs(mean - averaged) < 5 * deviation + 0.03 * mean < abs(mean - apart)


def recipes():
    w0 = mc.truth(LAW)
    weak = mc.fit(w0.label(200, 0.2), ridge=1e-3, features=30)
    noisy = mc.fit(w0.label(120, 0.3))
    given = mc.surrogate(LAW, correlation=0.9, error=0.02)
    corrected = mc.fit(given.label(1000), ridge=1e-3) + mc.fit((w0 - given).label(100, 0.3), ridge=0.1)
    return {
        "weak to strong": (mc.fit(weak.label(500), ridge=0.005), weak),
        "repair": (mc.fit(noisy.label(500), ridge=0.02), noisy),
        "residual": (corrected, given),
    }


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_improves_on_its_teacher_and_simulation_agrees(name):
    """One verdict for each at the level of 1 %, and the simulated student beats the predicted teacher significantly."""
    student, teacher = recipes()[name]
    agreement = mc.crosscheck(student, trials=400, progress=False)
    assert agreement.verdict == "agrees", str(agreement)
    _, high = agreement.estimate.interval(0.999)
    assert high < 0.9 * mc.predict(teacher).test_error


BAD = {
    "workflow = 'grow' is not one of replace": lambda: mc.workflow_factor("grow", 3),
    "workflow is a float": lambda: mc.workflow_factor(0.5, 3),
    r"rounds = 0\.0": lambda: mc.workflow_factor("replace", 0),
    r"rounds\[1\] = 2\.5": lambda: mc.workflow_factor("replace", [1, 2.5]),
    "rounds = inf with 2 sizes": lambda: mc.workflow_factor([1, 2], np.inf),
    "give the size of every round": lambda: mc.workflow_factor([[1, 2]], 1),
    r"workflow\[0\] = 0\.0": lambda: mc.workflow_factor([0, 1], 1),
    "samples has length 2, generations = 3": lambda: mc.chain(W0, 3, mc.Schedule([1, 2]), 0.1),
    "generations = <2 grid> with a schedule": lambda: mc.chain(W0, [1, 2], mc.Schedule([1, 2]), 0.1),
    r"samples\[1\] = -1\.0": lambda: mc.chain(W0, 2, mc.Schedule([90, -1]), 0.1),
    r"noise = -0\.1": lambda: mc.chain(W0, 2, mc.Schedule([90, 90]), -0.1),
    "ridge = 0.0 in a generator": lambda: mc.chain(
        mc.truth(mc.power_law(1.5, 0.5)), 2, mc.Schedule([20, 30]), 0.1, mc.Schedule([0.1, 0.0])
    ),
    "entries is empty": lambda: mc.Schedule([]),
    "entries is a str": lambda: mc.Schedule("12"),
    r"ridge = Schedule\(\[1, 2\]\) is for the generations": lambda: mc.fit(W0.label(9), ridge=mc.Schedule([1, 2])),
    r"samples = Schedule\(\[1, 2\]\) is for": lambda: mc.accumulate(W0, 2, mc.Schedule([1, 2]), 0.1),
    "model_of is a int": lambda: mc.optimal_rounds(3),
    r"model_of\(1\) is a int": lambda: mc.optimal_rounds(lambda k: 3),
    r"most = 0\.0": lambda: mc.optimal_rounds(lambda k: W0, most=0),
    "infinite after every number": lambda: mc.optimal_rounds(lambda k: mc.fit(W0.label(50, 1.0)), most=2),
}


@pytest.mark.parametrize("message", BAD)
def test_what_makes_no_sense_is_refused(message):
    with pytest.raises((ValueError, TypeError), match=message):
        BAD[message]()
