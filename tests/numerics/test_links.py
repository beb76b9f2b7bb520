"""Labels through links: gains and noise levels against plain quadrature, pipelines against the same without links."""

import pickle

import jax
import numpy as np
import pytest
import sympy
from scipy import special

import modelcollapse as mc
from modelcollapse.numerics import lower
from modelcollapse.numerics.steps.links import gain_and_noise
from modelcollapse.theory.pipelines.links import OfScore, link_of

SPECTRUM = mc.power_law(1.4, 0.5, dim=80)
W0 = mc.truth(SPECTRUM)
Z = np.linspace(-12, 12, 480_001)
WEIGHT = np.exp(-Z * Z / 2) / np.sqrt(2 * np.pi) * (Z[1] - Z[0])

MEANS = {  # link: mean label and mean square given the score
    mc.Sign(0.1, 0.3): (lambda u: 0.8 * np.sign(u + 0.3), np.ones_like),
    mc.Probit(0.5): (lambda u: 2 * special.ndtr(u / 0.5) - 1, np.ones_like),
    mc.Probit(0.5, soft=True): (lambda u: 2 * special.ndtr(u / 0.5) - 1, None),
    mc.Logistic(0.25): (lambda u: np.tanh(u / 0.5), np.ones_like),
    mc.Logistic(0.25, soft=True): (lambda u: np.tanh(u / 0.5), None),
    mc.Clip(1.0): (lambda u: np.clip(u, -1, 1), None),
    mc.Quantised([-1, 0, 2], [-2, -1, 1, 3]): (lambda u: np.select([u <= -1, u <= 0, u <= 2], [-2, -1, 1], 3), None),
    OfScore(np.tanh): (np.tanh, None),
}
SMOOTH = [link for link in MEANS if not isinstance(link, mc.Sign | mc.Quantised)]


@pytest.mark.parametrize("link", MEANS, ids=repr)
def test_gain_and_noise_are_integrals(link):
    """Trapezoids of step 5e-5; where labels jump they are off by as much, at kinks by its square."""
    mean, square = MEANS[link]
    scores = np.array([1e-2, 0.1, 0.499, 0.51, 1.0, 4.0, 30.0])
    numbers = [np.full(scores.shape, float(value)) for _, value, _ in link.numbers]
    gain, noise = gain_and_noise(link.form, numbers, scores**2)
    tolerance = (1e-7 if isinstance(link, mc.Clip) else 1e-10) if link in SMOOTH else 2e-4
    for tau, g, nu in zip(scores, gain, noise, strict=True):
        label = mean(tau * Z)
        slope = WEIGHT @ (label * Z)
        rest = WEIGHT @ (label - slope * Z) ** 2
        if square is not None:
            rest += WEIGHT @ (square(Z) - label**2)
        assert abs(g * tau - slope) < tolerance * (abs(slope) + np.sqrt(rest))
        assert abs(nu - rest) < tolerance * rest + 1e-15 * tau**2


@pytest.mark.parametrize("link", [*MEANS, mc.Sign()], ids=repr)
def test_a_linked_source_is_a_mixture_with_noise(link):
    """predict(label through a link) = predict(label by g·w with noise of variance ν), weights and mixes included."""
    teacher = mc.fit(W0.label(90, 0.3), ridge=0.01)
    score = mc.predict(teacher).by_direction()
    square = np.sum(score.signal * score.learned**2 + score.variance)  # of the teacher's score
    numbers = [np.array([float(value)]) for _, value, _ in link.numbers]
    gain, left = (x.item() for x in gain_and_noise(link.form, numbers, np.array([square])))
    noise = float(np.sqrt(left + 0.2**2))
    for rest in ([], [W0.label(40, 0.1, weight=0.5)], [teacher.label(40, 0.1)]):
        linked = mc.fit(teacher.label(60, 0.2, link=link), *rest, ridge=0.02)
        plain = mc.fit((gain * teacher).label(60, noise), *rest, ridge=0.02)
        for found, wanted in ((linked, plain), *[(0.5 * x + 0.5 * teacher for x in (linked, plain))]):
            found, wanted = mc.predict(found), mc.predict(wanted)
            np.testing.assert_allclose(found.test_error, wanted.test_error, rtol=1e-11)
            np.testing.assert_allclose(found.error_rate, wanted.error_rate, rtol=1e-9)
            np.testing.assert_allclose(found.overlap, wanted.overlap, rtol=1e-11)


def test_two_sources_of_one_teacher_may_differ_in_their_links():
    teacher = mc.fit(W0.label(90, 0.3), ridge=0.01)
    both = mc.fit(teacher.label(60, link="sign"), teacher.label(60, link=mc.Clip(0.5)), ridge=0.02)
    swapped = mc.fit(teacher.label(60, link=mc.Clip(0.5)), teacher.label(60, link="sign"), ridge=0.02)
    alike = mc.fit(teacher.label(60, link="sign"), teacher.label(60, link="sign"), ridge=0.02)
    one = mc.fit(teacher.label(120, link="sign"), ridge=0.02)
    assert np.isclose(mc.predict(both).test_error, mc.predict(swapped).test_error, rtol=1e-12)
    assert np.isclose(mc.predict(alike).test_error, mc.predict(one).test_error, rtol=1e-12)
    assert abs(mc.predict(both).test_error / mc.predict(alike).test_error - 1) > 1e-3


def test_shifted_inputs_have_a_score_of_their_own():
    """Sign labels of inputs of three times the deviation are the same labels."""
    model = mc.fit(W0.label(60, link="sign", inputs=lambda s: 9 * s), ridge=0.09)
    same = mc.fit(W0.label(60, link="sign"), ridge=0.01)
    assert np.isclose(mc.predict(model).error_rate, mc.predict(same).error_rate, rtol=1e-12)


def test_a_chain_through_a_link_is_a_loop_over_fits():
    judge = mc.fit(W0.label(90, link="sign"), ridge=0.02)
    given = {"link": mc.Sign(0.1), "keep": mc.Verified(judge, 1, 0.3)}
    chain = mc.chain(W0, 3, 120, 0.1, ridge=0.01, **given)
    loop = W0
    for _ in range(3):
        loop = mc.fit(loop.label(120, 0.1, **given), ridge=0.01)
    assert chain == loop
    assert mc.predict(chain).error_rate == mc.predict(loop).error_rate
    assert "generations=3" in repr(chain)
    assert "link=Sign(flips=0.1" in repr(chain)
    assert "keep=Verified(by=a fit" in repr(chain)
    assert pickle.loads(pickle.dumps(chain)) == chain
    assert mc.chain(W0, 0, 120, 0, link="sign") is W0
    with pytest.raises(TypeError, match="give one number, and loop over several"):
        mc.chain(W0, [1, 2], 120, 0, link="sign")


def test_accumulated_classes_are_a_loop_on_fresh_rows():
    """Rounds that draw all rows anew: predicted as simulated at the level of 1 %; labels of the last model alone are
    rejected."""
    with pytest.raises(ValueError, match="then round by round models"):
        mc.accumulate(W0, 3, 60, 0, link="sign")
    w0 = mc.truth(mc.isotropic(60))
    models = [w0]
    for _ in range(3):
        models.append(mc.fit(*[model.label(100, link="sign") for model in models], ridge=0.05))
    agreement = mc.crosscheck(models[-1], 150, metric="error_rate", progress=False)
    assert agreement.verdict == "agrees", str(agreement)
    replaced = mc.predict(mc.fit(models[-2].label(300, link="sign"), ridge=0.05)).error_rate
    rate = agreement.estimate.error_rate
    assert abs(replaced - rate.mean) > 6 * rate.standard_error


@pytest.mark.parametrize("trained", [{"filter": mc.GradientFlow(20.0)}, {"features": 50.0, "ridge": 0.01}], ids=str)
def test_filters_and_features_take_links(trained):
    gain, left = (
        x.item()
        for x in gain_and_noise((mc.Probit, False), (np.array([0.5]),), np.array([float(SPECTRUM.label_variance)]))
    )
    linked = mc.fit(W0.label(60, link=mc.Probit(0.5)), **trained)
    plain = mc.fit((gain * W0).label(60, np.sqrt(left)), **trained)
    assert np.isclose(mc.predict(linked).test_error, mc.predict(plain).test_error, rtol=1e-11)


x, y = sympy.symbols("x y", positive=True)
MOVING = {
    "flips": (mc.Sign(x / 3, 0), 0.3),
    "offset": (mc.Sign(0, x), 0.4),
    "temperature": (mc.Probit(x), 0.5),
    "soft temperature": (mc.Probit(x, soft=True), 3.0),
    "logistic": (mc.Logistic(x), 0.3),
    "soft logistic": (mc.Logistic(x, soft=True), 0.3),
    "bound": (mc.Clip(x), 0.8),
    "level": (mc.Quantised([-0.5, 0.5], [-x, 0, x]), 1.2),
}


@pytest.mark.parametrize("name", MOVING)
def test_derivatives_are_slopes_of_the_error(name):
    """By the link's number and by the teacher's rows, which move the score: dual numbers, and JAX through `lower`."""
    link, at = MOVING[name]
    teacher = mc.fit(W0.label(90 * y, 0.3), ridge=0.01)
    model = mc.fit(teacher.label(60, link=link), W0.label(30, 0.1), ridge=0.02)
    slopes = mc.gradient(model, {x: at, y: 1.0})
    h = 1e-5
    for symbol, point in ((x, at), (y, 1.0)):
        ends = [mc.predict(model, {x: at, y: 1.0, symbol: point + side * h}).test_error for side in (-1, 1)]
        assert np.isclose(slopes[symbol], (ends[1] - ends[0]) / (2 * h), rtol=2e-6, atol=1e-8)
    error = lower(model, (x, y))(np.float32(at), np.float32(1.0))
    assert np.isclose(float(error), mc.predict(model, {x: at, y: 1.0}).test_error, rtol=1e-4)


def test_one_process_may_change_its_precision():
    """JAX remembers constants in the precision that it first met them in; nodes of quadratures are not among them."""
    model = mc.fit(W0.label(60, link=mc.Logistic(x)), ridge=0.02)
    wanted = mc.predict(model, {x: 0.3}).test_error
    assert np.isclose(float(lower(model, (x,))(np.float32(0.3))), wanted, rtol=1e-4)
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(lower(model, (x,)))(jax.numpy.float64(0.3))
        assert np.isclose(float(value), wanted, rtol=1e-11)
        assert np.isclose(float(slope), mc.gradient(model, {x: 0.3})[x], rtol=1e-9)


def test_a_function_of_the_score_is_differentiated_through_its_density():
    teacher = mc.fit(W0.label(90 * y, 0.3), ridge=0.01)
    for function, tolerance in ((np.tanh, 1e-6), (np.sign, 5e-4)):  # a jump costs the square of the quadrature's step
        model = mc.fit(teacher.label(60, link=function), ridge=0.02)
        slope = mc.gradient(model, {y: 1.0})[y]
        h = 1e-5
        ends = [mc.predict(model, {y: 1 + side * h}).test_error for side in (-1, 1)]
        assert np.isclose(slope, (ends[1] - ends[0]) / (2 * h), rtol=tolerance)


def test_large_grids_are_the_points_one_by_one():
    """Thousands of points go to compiled kernels, functions of the score included."""
    for link in (mc.Logistic(x), np.tanh):
        labels = mc.fit(W0.label(100, 0.2), ridge=0.01).label(60, link=link)
        model = mc.fit(labels, ridge=y)
        grid = {y: np.geomspace(1e-4, 1, 900), x: 0.7}
        whole = mc.predict(model, {s: grid[s] for s in model.free})
        for i in (0, 450, 899):
            one = mc.predict(model, {s: grid[s][i] if s == y else 0.7 for s in model.free})
            np.testing.assert_allclose(whole.test_error[i], one.test_error, rtol=1e-12)
            np.testing.assert_allclose(whole.error_rate[i], one.error_rate, rtol=1e-12)


def test_clean_labels_go_through_the_same_link():
    teacher = mc.fit(W0.label(90, 0.3), ridge=0.01)
    found = mc.predict(mc.fit(teacher.label(60, 0.1, link="sign"), ridge=0.02))
    clean = mc.predict(mc.fit(W0.label(60, 0.1, link="sign"), ridge=0.02))
    assert found.clean == clean.test_error == clean.clean
    assert found.collapse == found.test_error - found.clean


def test_optimisers_go_through_links():
    sigma = sympy.Symbol("gamma", positive=True)
    model = mc.fit(mc.fit(W0.label(90, link="sign"), ridge=0.01).label(60, link=mc.Probit(sigma)), ridge=0.1)
    best = mc.optimal_ridge(model, {sigma: 0.5})
    around = [mc.predict(model, {sigma: 0.5}).test_error]
    for factor in (0.9, 1.1):
        near = mc.fit(*model.sources, ridge=factor * best.ridge)
        around.append(mc.predict(near, {sigma: 0.5}).test_error)
    assert best.test_error < min(around)
    tuned = mc.tune(model, {sigma: (0.05, 5.0)})
    scan = mc.predict(model, {sigma: np.geomspace(0.05, 5, 200)}).test_error
    assert tuned.test_error <= scan.min() * (1 + 1e-9)


def test_models_with_links_are_values():
    a, b = (mc.fit(W0.label(60, link=mc.Probit(0.5, soft=soft))) for soft in (False, True))
    assert a != b
    assert a == mc.fit(W0.label(60, link=mc.Probit(0.5)))
    assert hash(a) != hash(b)
    for link in (*MEANS, "sign"):
        model = mc.fit(W0.label(60, link=link))
        assert pickle.loads(pickle.dumps(model)) == model
        assert pickle.loads(pickle.dumps(link_of(link))) == link_of(link)
    gamma = sympy.Symbol("gamma", positive=True)
    named = mc.fit(W0.label(60, link=mc.Probit(gamma)))
    assert named.free == (gamma,)
    assert named.subs({gamma: 0.5}) == a
    assert "link=Probit(scale=0.5)" in repr(a)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: mc.Sign(0.6), "flips = 0.6 is outside"),
        (lambda: mc.Probit(0.0), "scale = 0.0 is outside"),
        (lambda: mc.Clip(-1.0), "bound = -1.0 is outside"),
        (lambda: mc.Quantised([0.0], [1.0]), "levels has 1 entries"),
        (lambda: mc.Logistic(1.0, soft=2), "soft = 2"),
        (lambda: W0.label(5, link="logit"), "link = 'logit'"),
        (lambda: W0.label(5, link=mc.Probit), "is a class"),
        (lambda: W0.label(5, link=lambda u: 1.0), "act elementwise"),
        (lambda: mc.theory.closed_form(mc.fit(mc.truth(mc.isotropic(5)).label(9, link="sign"))), "has no closed form"),
        (lambda: mc.simulate(mc.fit(W0.label(90, link="sign")), 5, sampler="bartlett"), "is not exact"),
        (lambda: mc.predict(mc.fit(W0.label(90))).error_rate_against(mc.Clip(1.0)), "are no classes"),
        (lambda: mc.crosscheck(mc.fit(W0.label(90)), 5, metric="loss"), "metric = 'loss'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(wrong, said):
    with pytest.raises((ValueError, TypeError)) as caught:
        wrong()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_noise_that_grows_with_the_score_is_warned_of():
    with pytest.warns(UserWarning, match="about 6/df_2 is left out"):
        W0.label(60, link=lambda u: u**3)
    W0.label(60, link=np.tanh)
    W0.label(60, link=lambda u: 2.0 * u)


def test_labels_of_infinite_variance_are_refused():
    teacher = mc.fit(mc.truth(mc.isotropic(20)).label(20, 0.5))
    assert mc.predict(teacher).error_rate == 0.5
    with pytest.raises(RuntimeError):
        mc.predict(mc.fit(teacher.label(60, link="sign")))
