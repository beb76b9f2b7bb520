"""Refits on own predictions: the filter against cross-risks, custom residuals, real refits and limits."""

import pickle

import jax
import numpy as np
import pytest
import sympy
from formula_references import MarchenkoPastur

import modelcollapse as mc
from modelcollapse.numerics import lower
from modelcollapse.numerics.equivalents.contour import contour
from modelcollapse.numerics.steps.filtered import equivalent, filtered
from modelcollapse.theory import catalogue, closed_form
from modelcollapse.theory.filters import Ridge, SelfDistillation

LAW = mc.power_law(1.3, 0.4, dim=120)
W0 = mc.truth(LAW)
XI, LAM = sympy.Symbol("xi", real=True), sympy.Symbol("lambda", positive=True)
SOURCES = {
    "clean": lambda rows: W0.label(rows, 0.3),
    "a chain": lambda rows: mc.chain(W0, 3, 300, 0.2, ridge=1e-3).label(rows, 0.3),
    "a weight and shifted inputs": lambda rows: W0.label(rows, 0.3, weight=2.5, inputs=lambda s: s**1.2),
    "own refits": lambda rows: mc.fit(W0.label(90, 0.1), filter=SelfDistillation(0.02, -1.5, 2)).label(rows, 0.3),
}


def refit_error(source, ridge, weight, rounds=1):
    return mc.predict(mc.fit(source, filter=SelfDistillation(ridge, weight, rounds))).test_error


# the record


@pytest.mark.parametrize(
    ("numbers", "error", "words"),
    [
        ((0.0, 0.5), ValueError, r"ridge = 0.0 is outside \(0, inf\); give a finite ridge"),
        ((np.inf, 0.5), ValueError, "ridge = inf is outside"),
        ((0.1, np.nan), ValueError, "weight = nan is outside"),
        ((0.1, 0.5, 1.5), ValueError, "rounds = 1.5 is outside the whole numbers"),
        ((0.1, 0.5, 31), ValueError, r"outside the whole numbers in \[0, 30\]; .* ridge / \(1 - weight\)"),
        ((0.1, True), TypeError, "weight = True is a bool"),
    ],
)
def test_numbers_outside_their_domain_are_refused(numbers, error, words):
    with pytest.raises(error, match=words):
        SelfDistillation(*numbers)


def test_a_filter_like_the_others():
    one = SelfDistillation(0.1, [-1, 2], 3)
    assert one == pickle.loads(pickle.dumps(one))
    assert one == SelfDistillation(0.1, np.array([-1.0, 2.0]), 3) != SelfDistillation(0.1, [-1, 2])
    assert repr(one) == "SelfDistillation(ridge=0.1, weight=<2 grid>, rounds=3)"
    assert mc.fit(W0.label(9, 0.1), filter=SelfDistillation(LAM, XI)).free == (LAM, XI)
    with pytest.raises(ValueError, match=r"filter = SelfDistillation.* has no closed form in symbols"):
        closed_form(mc.fit(mc.truth(mc.isotropic(9)).label(20, 1), filter=SelfDistillation(0.1, 0.5)))


@pytest.mark.parametrize("weight", [-3.0, 0.0, 0.4, 1.0, 2.5])
def test_the_residual_is_that_of_refits_one_after_the_other(weight):
    x, ridge = np.array([0.0, 0.01, 0.3, 2.0, -0.2 + 0.1j]), 0.17
    fitted = kept = x / (x + ridge)
    for rounds in range(5):
        assert np.allclose(SelfDistillation(ridge, weight, rounds).residual(x), 1 - fitted, rtol=0, atol=1e-12)
        fitted = kept * ((1 - weight) + weight * fitted)
    assert np.all(SelfDistillation(ridge, weight, [0, 3]).residual(0.3)[0] == Ridge(ridge).residual(0.3))


# the error: two routes


@pytest.mark.parametrize(("name", "rows"), [*((name, 60) for name in SOURCES), ("clean", 300)])
def test_the_contour_is_the_parabola_of_the_cross_risk(name, rows):
    """Three weights by the contour give the vertex that derivatives of the cross-risk give; a slip of 1e-6 is seen."""
    source, ridge = SOURCES[name](rows), np.array([1e-3, 0.03, 0.5, 20.0])
    low, middle, high = refit_error(source, ridge, np.array([-1, 0, 1])[:, None])
    assert np.allclose(middle, mc.predict(mc.fit(source, ridge=ridge)).test_error, rtol=1e-9)
    slope, curve = (high - low) / 2, (high + low) / 2 - middle
    best = mc.optimal_self_distillation(mc.fit(source, ridge=ridge))
    assert np.allclose(best.weight, -slope / (2 * curve), rtol=1e-6)
    assert np.allclose(best.test_error, middle - slope**2 / (4 * curve), rtol=1e-8)
    assert np.allclose(best.test_error, refit_error(source, ridge, best.weight), rtol=1e-8)
    assert np.allclose(best.gain, 1 - best.test_error / middle, atol=1e-8)
    assert np.all(np.abs(refit_error(source, ridge * (1 + 1e-6), best.weight) / best.test_error - 1) > 1e-9)


@pytest.mark.parametrize("rounds", [2, 3, 4])
def test_several_rounds_are_the_least_of_all_residuals_of_their_form(rounds):
    """r = (1 − h)(1 + a_1 h + … + a_k h^k) on the contour, at the weights found and around them."""
    ridge, rows, noise = 0.05, 80.0, 0.3
    best = mc.optimal_self_distillation(mc.fit(W0.label(rows, noise), ridge=ridge), rounds=rounds)
    s, theta, mu = LAW.eigenvalues, LAW.signal, LAW.multiplicity
    path = contour("self-distillation", tuple(map(np.float64, (ridge, 0, 0, 6.0))))
    here, h = equivalent(s, mu, np.float64(rows), path.nodes), path.nodes / (path.nodes + ridge)

    def error(parts):
        residual = (1 - h) * (1 + sum(a * h ** (i + 1) for i, a in enumerate(parts)))
        out = filtered(here, path._replace(residual=residual), s, theta, np.float64(rows), noise**2)
        return np.sum(s * (theta * out.null**2 + mu * out.variance))

    parts = np.cumprod(best.weight[::-1])
    assert best.weight.shape == (rounds,)
    assert error(parts) == pytest.approx(float(best.test_error), rel=1e-8)
    for move in np.vstack([np.eye(rounds), -np.eye(rounds)]) * 1e-2:
        assert error(parts + move) > error(parts)
    alike = refit_error(W0.label(rows, noise), ridge, np.linspace(-3, 3, 13), rounds)
    assert best.test_error < alike.min()


def test_gradients_are_those_of_differences_and_of_a_lowered_function():
    model = mc.fit(W0.label(80, 0.3), filter=SelfDistillation(LAM, XI, 3))
    at = {LAM: 0.1, XI: -0.7}
    found = mc.gradient(model, at)
    for symbol, value in at.items():
        up, down = (mc.predict(model, at | {symbol: value + h}).test_error for h in (1e-5, -1e-5))
        assert found[symbol] == pytest.approx((up - down) / 2e-5, rel=1e-6)
    k = sympy.Symbol("k", integer=True, positive=True)
    with pytest.raises(ValueError, match="rounds = k counts refits and has no derivative"):
        mc.gradient(mc.fit(W0.label(80, 0.3), filter=SelfDistillation(0.1, 0.5, k)), {k: 2})


@pytest.mark.slow
def test_compiled_kernels_give_the_same():
    model = mc.fit(W0.label(80, 0.3), filter=SelfDistillation(LAM, XI, 2))
    with jax.enable_x64(True):
        error = lower(model, over=(LAM, XI))
        slopes = jax.jit(jax.grad(error, (0, 1)))(0.1, -0.7)
        assert float(error(0.1, -0.7)) == pytest.approx(float(mc.predict(model, {LAM: 0.1, XI: -0.7}).test_error))
    found = mc.gradient(model, {LAM: 0.1, XI: -0.7})
    assert np.allclose(slopes, [found[LAM], found[XI]], rtol=1e-9)
    tuned = mc.tune(model.subs({LAM: 0.1}), {XI: (-8, 8)})
    assert mc.gradient(model, {LAM: 0.1, XI: tuned.values[XI]})[XI] == pytest.approx(0, abs=1e-6)
    ridge, weight = np.geomspace(1e-3, 10, 30)[:, None], np.linspace(-3, 3, 40)
    many = mc.predict(model, {LAM: ridge, XI: weight}).test_error
    few = mc.predict(model, {LAM: ridge[::29], XI: weight[:2]}).test_error
    assert np.allclose(many[::29, :2], few, rtol=1e-10)
    source = W0.label(np.arange(40, 140)[:, None], 0.3)
    grid = mc.optimal_self_distillation(mc.fit(source, ridge=np.geomspace(1e-3, 10, 30)), rounds=2)
    one = mc.optimal_self_distillation(mc.fit(W0.label(40, 0.3), ridge=1e-3), rounds=2)
    assert np.allclose(grid.weight[0, 0], one.weight, rtol=1e-9)
    assert np.allclose(grid.test_error[0, 0], one.test_error, rtol=1e-10)


# limits


def test_many_refits_are_another_ridge():
    for weight in (-0.9, 0.5):
        want = mc.predict(mc.fit(W0.label(80, 0.3), ridge=0.1 / (1 - weight))).test_error
        gaps = [abs(refit_error(W0.label(80, 0.3), 0.1, weight, k) / want - 1) for k in (3, 10, 30)]
        assert gaps[0] > gaps[1] > gaps[2]
        assert gaps[2] < 0.1


def test_no_ridge_and_no_fit_are_not_moved():
    ridge = np.array([0, 1e-300, 1e-9, 1e6, np.inf])
    found = mc.optimal_self_distillation(mc.fit(W0.label(80, 0.3), ridge=ridge))
    assert found.weight[[0, 4]].tolist() == found.gain[[0, 4]].tolist() == [0, 0]
    assert found.gain[1] == pytest.approx(found.gain[2], rel=1e-4)  # a limit that ridge 0 does not reach
    assert found.weight[1] * 1e-300 == pytest.approx(found.weight[2] * 1e-9, rel=1e-3)
    assert found.weight[3] < -1e5
    endless = mc.optimal_self_distillation(mc.fit(mc.truth(mc.isotropic(50)).label(50, 0.3)))
    assert endless == (0, np.inf, 0)


def test_at_the_best_ridge_one_refit_gains_nothing():
    source = W0.label([60, 300], 0.3)
    best = mc.optimal_ridge(mc.fit(source))
    assert np.all(mc.optimal_self_distillation(mc.fit(source, ridge=best.ridge)).gain < 1e-12)
    around = mc.optimal_self_distillation(mc.fit(source, ridge=best.ridge * np.array([[0.5], [2.0]])))
    assert np.all(around.weight * np.array([[1.0], [-1.0]]) > 0)
    assert np.all(around.gain > 1e-3)


def test_weights_that_leave_no_digits_are_refused():
    source = mc.truth(mc.isotropic(100)).label(200, 1.0)
    assert refit_error(source, 1.0, 1e10) == pytest.approx(1e20 * 0.0805665, rel=1e-4)  # absurd, and right
    with pytest.raises(RuntimeError, match="a ridge further from zero"):
        refit_error(source, 1e-9, -4.0, 12)
    with pytest.raises(ValueError, match="rounds = 6 at a ridge so far above the eigenvalues"):
        mc.optimal_self_distillation(mc.fit(source, ridge=1e4), rounds=6)
    with pytest.raises(ValueError, match="rounds = 1 at a ridge so far above"):
        mc.optimal_self_distillation(mc.fit(source, ridge=1e200))


def test_isotropic_rows_are_no_orthonormal_design():
    """Half as many directions as rows at the best ridge 1/2: √2 with the noise of the test point; 4/3 is for S = I."""
    error = mc.predict(mc.fit(mc.truth(mc.isotropic(100)).label(200, 1.0), ridge=0.5)).test_error
    assert 1 + error == pytest.approx(np.sqrt(2), rel=1e-12)


# what is refused


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: mc.chain(W0, 1, 90, 0.1, 0.1), TypeError, "model is Chain"),
        (lambda: 3.0, TypeError, "no model but a float"),
        (lambda: mc.fit(W0.label(9), W0.label(9, 0.1), ridge=0.1), ValueError, "sources: more than one"),
        (lambda: mc.fit(W0.label(9), filter=mc.GradientFlow(1.0)), ValueError, r"filter = GradientFlow\(time=1\) in"),
        (lambda: mc.fit(W0.label(9), ridge=0.1, features=5), ValueError, "features = 5 in the last fit"),
        (lambda: mc.fit(W0.label(9, link="sign"), ridge=0.1), ValueError, "link= in the last fit"),
        (lambda: mc.fit(W0.label(9, keep=mc.Verified(W0)), ridge=0.1), ValueError, "keep= in the last fit"),
        (lambda: mc.fit(mc.truth(mc.gaussian(np.eye(3), np.ones(3))).label(9), ridge=0.1), ValueError, "population of"),
        (lambda: mc.fit(W0.label(9), ridge=LAM), TypeError, "symbol lambda is free"),
    ],
)
def test_models_without_a_best_weight_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        mc.optimal_self_distillation(make())


def test_rounds_are_one_whole_number_from_one_to_six():
    model = mc.fit(W0.label(90, 0.3), ridge=[[0.1], [1.0]])
    for rounds, error in ((0, ValueError), (7, ValueError), (1.5, ValueError), ([1, 2], TypeError), ("1", TypeError)):
        with pytest.raises(error, match="rounds"):
            mc.optimal_self_distillation(model, rounds=rounds)
    found = mc.optimal_self_distillation(mc.fit(W0.label([90, 100, 110], 0.3), ridge=[[0.1], [1.0]]), rounds=3)
    assert (found.weight.shape, found.test_error.shape) == ((2, 3, 3), (2, 3))
    assert repr(found).startswith("OptimalSelfDistillation(2x3 grid: weight=-")
    assert repr(mc.optimal_self_distillation(mc.fit(W0.label(90, 0.3), ridge=0.1))).startswith(
        "OptimalSelfDistillation(weight=-1.7"
    )


# real refits


def simulated(model, trials):
    found = mc.simulate(model, trials=trials, seed=5)
    return found.mean, found.standard_error


def test_chains_with_a_refit_in_the_middle_agree_with_running_them():
    """Budget: three errors, each within 4.5 standard errors (7e-6, or 2e-5 in all) and 2.5 % for d = 100. Controls: a
    teacher refitted on fresh inputs, and the other sign of the weight, are outside the same band."""
    law, ridge, weight = mc.power_law(1.2, 0.4, dim=100), 0.05, -2.0
    w0 = mc.truth(law)

    def student(teacher):
        return mc.fit(teacher.label(120, 0.3), ridge=ridge)

    first = w0.label(150, 0.3)
    teacher = mc.fit(first, filter=SelfDistillation(ridge, weight))
    models = [teacher, student(teacher), mc.fit(teacher.label(120, 0.3), filter=SelfDistillation(ridge, 0.7, 3))]
    measured = [simulated(model, 120) for model in models]
    wanted = [mc.predict(model).test_error for model in models]
    for (mean, spread), want in zip(measured, wanted, strict=True):
        assert abs(mean - want) < 4.5 * spread + 0.025 * want
    once = mc.fit(first, ridge=ridge)
    fresh = mc.fit(((1 - weight) * w0 + weight * once).label(150, 0.3), ridge=ridge)
    for wrong in (fresh, mc.fit(first, filter=SelfDistillation(ridge, -weight))):
        for (mean, spread), model in zip(measured[:2], (wrong, student(wrong)), strict=True):
            want = mc.predict(model).test_error
            assert abs(mean - want) > 4.5 * spread + 0.025 * want


def test_a_simulated_refit_is_the_filter_on_the_same_rows():
    """`simulate` solves one ridge fit after the other; the filter of the singular values gives the same weights."""
    from modelcollapse.validation.ridge_solutions import Block, filter_solution, refitted_solution

    rng = np.random.default_rng(2)
    for rows in (8, 40):
        blocks = [Block(rng.standard_normal((rows, 12)), rng.standard_normal((rows, 2))) for _ in range(2)]
        for weight, rounds in ((-2.0, 1), (0.6, 4), (1.5, 2)):
            solved = refitted_solution(blocks, 0.1 * 2 * rows, weight, rounds)
            want = filter_solution(blocks, SelfDistillation(0.1, weight, rounds), 2 * rows)
            assert np.allclose(solved, want, rtol=1e-9, atol=1e-12)
            assert not np.allclose(solved, filter_solution(blocks, SelfDistillation(0.1, weight, rounds + 1), 2 * rows))


# labels mixed for ever on one design


@pytest.mark.parametrize("share", [0.3, 0.618, 0.9])
@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_labels_mixed_for_ever_on_one_design(share, aspect):
    """The record against the recursion itself, fit after fit along the eigenvalues of S."""
    ridge, noise, signal, dim = 0.2, 0.7, 1.5, 100
    law = MarchenkoPastur(aspect)

    def last(x):
        mean, variance, kept = 0 * x, 0 * x, x / (x + ridge)
        for _ in range(150):
            mean = kept * (share + (1 - share) * mean)
            variance = (kept * (1 - share)) ** 2 * variance + (share**2 + (1 - share) ** 2) * kept**2 / x
        return mean, variance

    bias = law.mean(lambda x: (1 - last(x)[0]) ** 2, 1.0)
    want = signal * bias + noise**2 * aspect * law.mean(lambda x: last(x)[1])
    spectrum, samples = mc.isotropic(dim), dim / aspect
    mean, other = mc.effective_ridge(spectrum, samples, [ridge / share, ridge / (2 - share)])
    numbers = {"samples": samples, "real_share": share, "noise": noise, "eigenvalues": np.ones(dim)}
    numbers |= {"effective_ridge": mean, "signal": np.full(dim, signal / dim)}
    record = catalogue["one_design_mixing"]
    assert float(record.evaluate(second_effective_ridge=other, **numbers)) == pytest.approx(want, rel=1e-9)
    assert float(record.evaluate(second_effective_ridge=mean, **numbers)) != pytest.approx(want, rel=1e-4)


def test_without_a_ridge_the_best_share_on_one_design_is_the_golden_ratio():
    formula, tiny = catalogue["one_design_mixing"], 1e-12
    shares = np.linspace(0.6, 0.64, 41)
    numbers = {"samples": 8, "noise": 1, "eigenvalues": [1.0, 0.3], "signal": [1.0, 1.0]}
    errors = [
        formula.evaluate(effective_ridge=tiny / a, second_effective_ridge=tiny / (2 - a), real_share=a, **numbers)
        for a in shares
    ]
    assert shares[int(np.argmin(errors))] == pytest.approx((np.sqrt(5) - 1) / 2, abs=6e-4)
