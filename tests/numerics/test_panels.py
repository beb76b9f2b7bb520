"""Votes of several teachers: drawn votes, panels that are one teacher, real fits."""

import pickle

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics.steps.moments import Atoms, Moments
from modelcollapse.numerics.steps.votes import voted
from modelcollapse.validation import agreement as crosschecks
from modelcollapse.validation.listings import listing
from modelcollapse.validation.simulation import simulate_each

ISO, STEEP = mc.truth(mc.isotropic(60)), mc.truth(mc.power_law(1.3, 0.5, dim=100))


def teachers(w0, count, rows=150, ridge=0.02):
    """Independent fits on labels of one model: they share its error."""
    first = mc.fit(w0.label(300, link="sign"), ridge=ridge)
    return [mc.fit(first.label(rows, link="sign"), ridge=ridge) for _ in range(count)]


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("count", [3, 7])
def test_votes_have_the_moments_of_what_is_drawn(count, soft):
    """A million rows; 5 standard errors for 16 numbers are passed by chance with probability 1 − 1e-5."""
    r, tau, draws = 0.7, 1.3, 1_000_000
    rng = np.random.default_rng(0)
    common = np.sqrt(r) * rng.standard_normal(draws)
    scores = tau * (common + np.sqrt(1 - r) * rng.standard_normal((count, draws)))
    votes = np.sign(scores).mean(0) if soft else np.sign(np.sign(scores).sum(0))
    one = np.ones((1, 1))
    models = (Moments(0 * one, one, tau**2 * one),) * count
    joint = (r * tau**2 * one,) * (count * (count - 1) // 2)
    atoms = Atoms(one, 0 * one, one, one)
    _, noise, gains = voted(atoms, one, models, joint, np.zeros(1), soft=soft)
    linear = sum(g[0] * score for g, score in zip(gains, scores, strict=True))
    rest = (votes - linear) ** 2
    assert abs(rest.mean() - noise[0] ** 2) < 5 * rest.std() / np.sqrt(draws)
    for score in scores[:3]:
        across = (votes - linear) * score
        assert abs(across.mean()) < 5 * across.std() / np.sqrt(draws)


def test_one_teacher_several_times_is_one_teacher():
    (teacher,) = teachers(STEEP, 1)
    alone = mc.predict(mc.fit(teacher.label(200, 0.1, link="sign"), ridge=0.02))
    for soft in (True, False):
        several = mc.predict(mc.fit(mc.panel(*[teacher] * 3).label(200, 0.1, soft=soft), ridge=0.02))
        np.testing.assert_allclose(several.test_error, alone.test_error, rtol=1e-9)


def score_variance(model, inputs):
    parts = mc.predict(model, inputs=inputs).by_direction()
    return np.sum(parts.signal * parts.learned**2 + parts.variance)


def test_a_panel_is_its_linear_part_and_noise():
    """In mixtures, beside other sources and on shifted inputs: covariances with what the teachers share are right."""
    a, b, c = teachers(STEEP, 3)
    other = mc.fit(a.label(40, 0.1), b.label(50), ridge=0.1)
    pairs = ((0, 1), (0, 2), (1, 2))
    for shift in (None, lambda s: 2 * s):
        tau2 = [score_variance(m, shift) for m in (a, b, c)]
        sums = [score_variance(m, shift) for m in (a + b, a + c, b + c)]
        r = [(x - tau2[i] - tau2[k]) / 2 / np.sqrt(tau2[i] * tau2[k]) for x, (i, k) in zip(sums, pairs, strict=True)]
        gains = np.sqrt(2 / np.pi) / 3 / np.sqrt(tau2)
        square = (3 + 2 * np.sum(2 / np.pi * np.arcsin(r))) / 9
        noise = np.sqrt(square - 2 / np.pi / 9 * (3 + 2 * np.sum(r)))
        rest = [other.label(30, 0.1, inputs=shift), b.label(20, link="sign", inputs=shift)]
        linked = mc.fit(mc.panel(a, b, c).label(90, soft=True, inputs=shift), *rest, ridge=0.02)
        mean = gains[0] * a + gains[1] * b + gains[2] * c
        plain = mc.fit(mean.label(90, noise, inputs=shift), *rest, ridge=0.02)
        for found, wanted in ((linked, plain), (0.5 * linked + 0.5 * other, 0.5 * plain + 0.5 * other)):
            np.testing.assert_allclose(mc.predict(found).test_error, mc.predict(wanted).test_error, rtol=1e-9)


def test_panels_are_differentiable_values():
    x = sympy.Symbol("x", positive=True)
    panels = [mc.panel(*teachers(STEEP, 3, 150 * x)).label(100, soft=soft) for soft in (True, False)]
    for source in panels:
        model = mc.fit(source, ridge=0.02)
        ends = [mc.predict(model, {x: 1 + side * 1e-5}).test_error for side in (-1, 1)]
        assert np.isclose(mc.gradient(model, {x: 1.0})[x], (ends[1] - ends[0]) / 2e-5, rtol=1e-5)
        assert pickle.loads(pickle.dumps(model)) == model
        assert "votes" in repr(model)
        assert "mc.panel(" in listing(model)
    assert mc.fit(panels[0]) != mc.fit(panels[1])
    for source in panels:
        assert mc.fit(source).subs({x: 1}).sources[0].link.soft == source.link.soft
    assert mc.predict(mc.fit(panels[0], ridge=0.1), {x: 1.0}).clean > 0


@pytest.mark.usefixtures("fitted_once")
def test_panels_against_simulation(monkeypatch):
    """Test errors and error rates, of the same trials."""
    models = []
    for w0 in (ISO, STEEP):
        a, b, c = teachers(w0, 3)
        models += [
            mc.fit(mc.panel(a, b, c).label(200, soft=True), ridge=0.02),
            mc.fit(mc.panel(a, b, c).label(200), ridge=0.02),
            mc.fit(((a + b + c) / 3).label(200, link="sign"), ridge=0.02),
            mc.fit(*[m.label(70, link="sign") for m in (a, b, c)], ridge=0.02),
            mc.fit(mc.panel(a, w0, 0.5 * a + b).label(120, 0.2, soft=True), w0.label(40, link="sign"), ridge=0.02),
        ]
    estimates = simulate_each(models, 80, seed=3, conditional=False, batch_size=80)
    monkeypatch.setattr(crosschecks, "simulate_each", lambda *given, **options: estimates)
    for metric in ("test_error", "error_rate"):
        agreement = mc.crosscheck(models, metric=metric)
        assert not np.any(agreement.verdicts == "disagrees"), str(agreement)
        assert np.median(np.abs(agreement.relative_difference)) < 0.03
    # negative control: shares of votes are not as noisy as one teacher's vote
    simulated, taken = agreement.estimate[0].error_rate, mc.predict(models[3]).error_rate
    assert taken - simulated.mean > 5 * simulated.standard_error


def test_what_is_wrong_is_said_in_one_sentence():
    a, b = teachers(ISO, 2)
    for wrong, said in (
        (lambda: mc.panel(a), "are no panel"),
        (lambda: mc.panel(a, 3), "teacher is a int"),
        (lambda: mc.panel(a, b).label(100), "may split evenly"),
        (lambda: mc.panel(a, b, ISO).label(100), "differ is not derived"),
        (lambda: mc.panel(a, mc.truth(mc.isotropic(3))), "different spectra"),
    ):
        with pytest.raises((ValueError, TypeError), match=said):
            wrong()
