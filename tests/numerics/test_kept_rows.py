"""Verifiers and margins: limits without a filter, two-direction closed forms, drawn selections, real fits.

Each family of simulations fails by chance with probability 1 %.
"""

import pickle

import numpy as np
import pytest
import sympy
from scipy import special

import modelcollapse as mc
from modelcollapse.numerics import lower
from modelcollapse.numerics.steps.selection import selection
from modelcollapse.theory import catalogue
from modelcollapse.validation.listings import listing

ISO, STEEP = mc.truth(mc.isotropic(60)), mc.truth(mc.power_law(1.3, 0.5, dim=120))


WAYS = {"filter": mc.GradientFlow(1.0)}, {"features": 3}


def labeller(w0, ridge=0.02):
    return mc.fit(w0.label(180, link="sign"), ridge=ridge)


# limits


@pytest.mark.parametrize("link", [None, "sign", mc.Sign(0.1), mc.Probit(0.5), mc.Logistic(0.3, soft=True)], ids=str)
@pytest.mark.parametrize("chance", [1.0, 0.5])
def test_a_blind_verifier_only_thins(link, chance):
    """right = wrong = c is c times the rows; two sources, a judge that is related to both."""
    w, v = labeller(STEEP), labeller(STEEP)
    other = [mc.fit(w.label(40, 0.1), v.label(50, 0.2), ridge=0.05).label(70, 0.1, link="sign")]
    for rest in ([], other):
        keep = mc.Verified(v, chance, chance)
        kept = mc.fit(w.label(240, 0.2, link=link, keep=keep), *rest, ridge=0.02)
        plain = mc.fit(w.label(240 * chance, 0.2, link=link), *rest, ridge=0.02)
        kept, plain = mc.predict(0.6 * kept + 0.4 * w), mc.predict(0.6 * plain + 0.4 * w)
        np.testing.assert_allclose(kept.test_error, plain.test_error, rtol=1e-8)
        np.testing.assert_allclose(kept.error_rate, plain.error_rate, rtol=1e-8)


def test_an_endless_margin_keeps_everything():
    for link in (None, "sign", mc.Probit(0.5)):
        w, v = labeller(STEEP), labeller(STEEP)
        for judge in (w, v):
            kept = mc.fit(w.label(240, 0.2, link=link, keep=mc.Margin(judge)), ridge=0.02)
            plain = mc.fit(w.label(240, 0.2, link=link), ridge=0.02)
            np.testing.assert_allclose(mc.predict(kept).test_error, mc.predict(plain).test_error, rtol=1e-8)


# closed forms


def two_directions(theta, right, wrong, samples, dim, w_of_truth, v_of_truth):
    """Least squares on signs of w judged by v, by the closed form in their angle: share and overlap with the truth."""
    given = {"angle": theta, "right": right, "wrong": wrong}
    share, strength, noise, turned = (
        float(catalogue[f"verified_{name}"].evaluate(**given)) for name in ("share", "strength", "noise", "angle")
    )
    w = np.sqrt(strength) * np.sin(turned) / np.sin(theta)  # what is taught lies at this angle to v
    v = np.sqrt(strength) * np.sin(theta - turned) / np.sin(theta)
    spread = noise * dim / (share * samples - dim)
    return share, (w * w_of_truth + v * v_of_truth) / np.sqrt(strength + spread)


@pytest.mark.parametrize(("right", "wrong"), [(1.0, 0.0), (0.9, 0.2), (0.3, 0.6)])
def test_least_squares_on_verified_signs(right, wrong):
    w, v = labeller(ISO, 0.0), labeller(ISO, 0.05)
    cosines = [mc.predict(model).overlap for model in (w, v)]
    for judge, theta, of_truth in (
        (ISO, np.arccos(cosines[0]), (cosines[0], 1.0)),
        (v, np.arccos(cosines[0] * cosines[1]), cosines),
    ):
        source = w.label(400, link="sign", keep=mc.Verified(judge, right, wrong))
        share, overlap = two_directions(theta, right, wrong, 400, 60, *of_truth)
        assert np.isclose(source.kept, share, rtol=1e-10)
        assert np.isclose(mc.predict(mc.fit(source)).overlap, overlap, rtol=1e-8)


def test_a_perfect_verifier_halves_the_angle():
    """With endless rows the fit lies half way between the labeller and the oracle."""
    w = labeller(ISO, 0.0)
    fitted = mc.fit(w.label(1e9, link="sign", keep=mc.Verified(ISO)))
    assert np.isclose(np.arccos(mc.predict(fitted).overlap), np.arccos(mc.predict(w).overlap) / 2, rtol=1e-6)


def test_ones_own_margin():
    """Scores below t: share, gain and noise of a truncated normal law; nearly all of the noise goes as t² does."""
    for t in (0.1, 0.5, 1.5):
        w, samples = ISO, 2000
        z = np.linspace(0, t, 200_001)
        law = 2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * np.gradient(z) * np.where((z > 0) & (z < t), 1, 0.5)
        share, A, b = (np.sum(law * x) for x in (z**0, z**2, z))
        A, b = A / share, b / share
        source = w.label(samples, link="sign", keep=mc.Margin(w, below=t))
        assert np.isclose(source.kept, special.erf(t / np.sqrt(2)), rtol=1e-10)
        h = A * (A - b * b) / b**2
        t2 = h * 60 / (share * samples - 60)
        assert np.isclose(mc.predict(mc.fit(source)).overlap, 1 / np.sqrt(1 + t2), rtol=1e-7)
    assert abs(h / t**2 * 9 - 1) < 1


# drawn selections

SELECTIONS = {
    "verified signs": (mc.Verified(None, 0.9, 0.2), mc.Sign(0.1), 0.4, False),
    "verified, nearly alike": (mc.Verified(None, 1.0, 0.1), mc.Sign(0.1), 0.9999, False),
    "verified probit": (mc.Verified(None, 0.3, 0.9), mc.Probit(0.7), -0.3, False),
    "verified cold logistic": (mc.Verified(None, 1.0, 0.2), mc.Logistic(0.01), 0.6, False),
    "verified soft logistic": (mc.Verified(None, 1.0, 0.2), mc.Logistic(0.3, soft=True), 0.6, False),
    "verified scores": (mc.Verified(None, 1.0, 0.2), None, 0.6, False),
    "margin, signs": (mc.Margin(None, 1.5, 0.2), mc.Sign(0.1), 0.7, False),
    "margin, probit": (mc.Margin(None, 1.5, 0.0), mc.Probit(0.5), 0.95, False),
    "margin, scores": (mc.Margin(None, np.inf, 1.0), None, 0.7, False),
    "own margin, soft": (mc.Margin(None, 0.8, 0.1), mc.Probit(0.5, soft=True), 1.0, True),
    "own margin, logistic": (mc.Margin(None, np.inf, 0.5), mc.Logistic(0.3), 1.0, True),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_selections_have_the_moments_of_what_is_drawn(name):
    """Half a million rows each; 5 standard errors for 77 numbers are passed by chance with probability 1 − 5e-5."""
    keep, link, r, own = SELECTIONS[name]
    tau, count = 1.3, 500_000
    rng = np.random.default_rng(0)
    z, e = rng.standard_normal((2, count))
    judge = z if own else r * z + np.sqrt(1 - r * r) * e
    labels = tau * z if link is None else link.labels(rng, tau * z)
    kept = keep.kept(rng, labels, judge)
    verified = isinstance(keep, mc.Verified)
    second = e if verified else (z - r * judge) / np.sqrt(1 - r * r) if not own else e
    a = (z if verified else judge)[kept], second[kept]
    y = labels[kept]
    drawn = [a[0] ** 2, a[0] * a[1], a[1] ** 2, y * a[0], y * a[1], y * y]
    form, values = (None, ()) if link is None else (link.form, [np.array([float(x)]) for _, x, _ in link.numbers])
    numbers = tuple(np.array([float(x)]) for _, x, _ in keep.numbers)
    found = selection(type(keep), numbers, form, values, np.array([tau]), np.array([r]), own)
    assert abs(found.share[0] - kept.mean()) < 5 * np.sqrt(kept.mean() / count)
    for value, sample in zip(found[1:], drawn, strict=True):
        assert abs(value[0] - sample.mean()) < 5 * sample.std() / np.sqrt(len(sample)) + 1e-9


# numbers as symbols

x, y = sympy.symbols("x y", positive=True)


@pytest.mark.parametrize("kind", ["right", "wrong", "below", "above", "temperature"])
def test_derivatives_are_slopes_of_the_error(kind):
    v = labeller(STEEP)
    keep = {
        "right": mc.Verified(v, x, 0.2),
        "wrong": mc.Verified(v, 0.9, x),
        "below": mc.Margin(v, below=2 * x),
        "above": mc.Margin(v, above=x),
        "temperature": mc.Verified(v),
    }[kind]
    link = mc.Probit(x) if kind == "temperature" else "sign"
    w = mc.fit(STEEP.label(180 * y, link="sign"), ridge=0.02)
    model = mc.fit(w.label(240, link=link, keep=keep), STEEP.label(60, 0.1), ridge=0.02)
    at, h = {x: 0.6, y: 1.0}, 1e-5
    slopes = mc.gradient(model, at)
    for symbol in at:
        ends = [mc.predict(model, {**at, symbol: at[symbol] + side * h}).test_error for side in (-1, 1)]
        assert np.isclose(slopes[symbol], (ends[1] - ends[0]) / (2 * h), rtol=1e-5, atol=1e-8)
    if kind in ("right", "below"):
        error = lower(model, (x, y))(np.float32(0.6), np.float32(1.0))
        assert np.isclose(float(error), mc.predict(model, at).test_error, rtol=1e-3)
        grid = mc.predict(model, {x: np.linspace(0.5, 0.7, 700), y: 1.0})
        assert np.isclose(
            grid.test_error[350], mc.predict(model, {x: np.linspace(0.5, 0.7, 700)[350], y: 1.0}).test_error
        )


def test_many_points_are_worked_in_blocks():
    """The same digits on both sides of a block's end."""
    w = labeller(ISO)
    chances = np.linspace(0, 1, 2200)
    models = [
        mc.fit(w.label(300, link="sign", keep=mc.Verified(ISO, 1, c)), ridge=0.1)
        for c in (chances, *chances[2047:2049])
    ]
    many, *ends = (mc.predict(model).test_error for model in models)
    np.testing.assert_allclose(many[2047:2049], ends, rtol=1e-14)


def test_a_threshold_is_tuned():
    w = labeller(ISO, 0.0)
    model = mc.fit(w.label(600, link=mc.Probit(0.3), keep=mc.Margin(w, above=x)), ridge=0.1)
    best = mc.tune(model, {x: (0.0, 2.0)})
    scan = mc.predict(model, {x: np.linspace(0, 2, 81)}).test_error
    assert best.test_error <= scan.min() * (1 + 1e-9)
    ridge = mc.optimal_ridge(model, {x: 0.5})
    assert ridge.test_error <= mc.predict(model, {x: 0.5}).test_error


def test_a_share_and_a_temperature_are_tuned():
    """How many rows to verify beside real ones, one budget, and how warm the labels: no point of a scan is better."""
    w = labeller(STEEP)
    checked = w.label(400 * x, link=mc.Probit(y), keep=mc.Verified(STEEP, 0.9, 0.2))
    model = mc.fit(checked, STEEP.label(200 * (1 - x), link="sign"), ridge=0.02)
    best = mc.tune(model, {x: (0.05, 0.95), y: (0.05, 3.0)})
    scan = mc.predict(model, {x: np.linspace(0.05, 0.95, 19)[:, None], y: np.geomspace(0.05, 3, 20)}).test_error
    assert best.test_error <= scan.min() * (1 + 1e-9)
    assert best.test_error > 0.9 * scan.min()


# values and refusals


def test_sources_with_filters_are_values():
    w, v = labeller(STEEP), mc.fit(STEEP.label(90, 0.2), ridge=0.1)
    models = [mc.fit(w.label(240, link="sign", keep=k)) for k in (mc.Verified(v), mc.Verified(v, 1, 0.1), mc.Margin(w))]
    assert len(set(models)) == 3
    for model in models:
        assert pickle.loads(pickle.dumps(model)) == model
        assert "keep=" in repr(model)
        assert "keep=mc." in listing(model)
    assert models[0] == mc.fit(w.label(240, link="sign", keep=mc.Verified(v)))
    named = mc.fit(w.label(240, link="sign", keep=mc.Verified(v, 1, x)))
    assert named.free == (x,)
    assert named.subs({x: 0.1}) == mc.fit(w.label(240, link="sign", keep=mc.Verified(v, 1.0, 0.1)))
    assert w.label(10).kept == 1
    assert np.isclose(w.label(10, link="sign", keep=mc.Verified(w)).kept, 1, rtol=1e-14)
    assert 0.5 < w.label(0, weight=0, link="sign", keep=mc.Verified(v)).kept < 1
    assert w.label(10, link="sign", keep=mc.Margin(w, below=[0.5, 1.0])).kept.shape == (2,)


def test_the_margin_of_a_score_that_is_zero_is_no_number():
    nothing = mc.fit(ISO.label(90), ridge=np.inf)
    with pytest.raises(RuntimeError):
        mc.predict(mc.fit(ISO.label(90, link="sign", keep=mc.Margin(nothing, below=1.0)), ridge=0.1))


def test_clean_labels_are_judged_as_before():
    """The truth's labels before the same verifier, which is made as it was."""
    teacher = mc.fit(STEEP.label(90, 0.3), ridge=0.01)
    v = mc.fit(teacher.label(100, link="sign"), teacher.label(50), ridge=0.05)
    found = mc.predict(0.5 * mc.fit(teacher.label(240, link="sign", keep=mc.Verified(v)), ridge=0.02) + 0.5 * teacher)
    clean = mc.fit(STEEP.label(240, link="sign", keep=mc.Verified(v)), ridge=0.02)
    apart = mc.fit(STEEP.label(90, 0.3), ridge=0.01)
    assert np.isclose(found.clean, mc.predict(0.5 * clean + 0.5 * apart).test_error, rtol=1e-12)


def test_a_given_model_may_judge():
    """Among clean labels too, where judges are copied."""
    judge = mc.surrogate(STEEP.spectrum, correlation=0.8, error=0.1)
    w = labeller(STEEP)
    model = mc.fit(w.label(240, link="sign", keep=mc.Verified(judge, 0.9, 0.2)), ridge=0.02)
    clean = mc.fit(STEEP.label(240, link="sign", keep=mc.Verified(judge, 0.9, 0.2)), ridge=0.02)
    assert mc.predict(model).clean == mc.predict(clean).test_error
    assert mc.predict(model).error_rate > mc.predict(clean).error_rate


def test_votes_beside_rows_that_were_kept():
    """A filter that keeps all beside a panel's votes is the pool without it."""
    teachers = [labeller(STEEP) for _ in range(3)]
    panel = mc.panel(*teachers).label(100, 0.1, soft=True)
    kept = teachers[0].label(200, link="sign", keep=mc.Verified(teachers[1], 0.5, 0.5))
    plain = teachers[0].label(100, link="sign")
    found, expected = (mc.predict(mc.fit(panel, source, ridge=0.02)) for source in (kept, plain))
    np.testing.assert_allclose(found.test_error, expected.test_error, rtol=1e-8)
    np.testing.assert_allclose(found.error_rate, expected.error_rate, rtol=1e-8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda w: mc.Verified(w, 1.5), "right = 1.5 is outside"),
        (lambda w: mc.Verified(w, 0.0, 0.0), "keep nothing"),
        (lambda w: mc.Margin(w, 0.5, 1.0), "leave no scores"),
        (lambda w: w.label(9, keep=mc.Verified), "keep = Verified is no filter"),
        (lambda w: w.label(9, keep=mc.Verified(3)), "keep: by is a int"),
        (lambda w: w.label(9, keep=mc.Verified(mc.truth(mc.isotropic(3)))), "different spectra"),
        (
            lambda w: mc.fit(w.label(9, keep=mc.Verified(w)), **WAYS[0]),
            "filter on sources with keep=",
        ),
        (lambda w: mc.fit(w.label(9, keep=mc.Verified(w)), **WAYS[1]), "features on sources with keep="),
        (lambda w: mc.fit(w.label(9, keep=mc.Verified(w)), w.label(9, inputs=lambda s: 2 * s)), "different inputs"),
        (lambda w: mc.predict(mc.fit(w.label(9, keep=mc.Verified(w)), w.label(9, weight=2))), "with keep="),
        (lambda w: mc.fit(w.label(9, link=mc.Clip(1.0), keep=mc.Verified(w))), "is not derived"),
        (lambda w: mc.fit(w.label(9, link=mc.Logistic(1.0), keep=mc.Margin(ISO))), "is not derived"),
        (lambda w: mc.predict(mc.fit(w.label(9, keep=mc.Margin(w, x, y))), {x: 1, y: 2}), "leave no scores"),
        (lambda w: mc.predict(mc.fit(w.label(9, keep=mc.Verified(w, x - 1, y - 1))), {x: 1, y: 1}), "keep nothing"),
        (lambda w: mc.theory.closed_form(mc.fit(w.label(9, keep=mc.Verified(w)))), "has no closed form"),
        (lambda w: mc.simulate(mc.fit(w.label(99, keep=mc.Verified(w))), 5, sampler="student"), "is not exact"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(wrong, said):
    with pytest.raises((ValueError, TypeError)) as caught:
        wrong(mc.fit(ISO.label(90), ridge=0.1))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# real fits


def filtered_models():
    models = []
    for w0, ridge in ((ISO, 0.05), (STEEP, 0.02)):
        w, v = labeller(w0, ridge), labeller(w0, 0.1)
        chain = w
        for _ in range(2):
            chain = mc.fit(chain.label(200, link="sign", keep=mc.Verified(w0)), ridge=ridge)
        sources = (
            (w.label(240, link="sign", keep=mc.Verified(w0)),),
            (w.label(240, link=mc.Probit(0.5), keep=mc.Verified(v, 0.9, 0.2)),),
            (w.label(240, 0.3, keep=mc.Verified(v, 1, 0.3)),),
            (w.label(400, link="sign", keep=mc.Margin(w, below=0.7)),),
            (w.label(300, link="sign", keep=mc.Margin(v, below=1.0)), w0.label(40, link="sign")),
        )
        models += [mc.fit(*source, ridge=ridge) for source in sources] + [chain]
    return models


def test_filters_against_simulation(fitted_once):
    models = filtered_models()
    for metric in ("test_error", "error_rate"):
        agreement = mc.crosscheck(models, 100, seed=1, metric=metric)
        assert not np.any(agreement.verdicts == "disagrees"), str(agreement)
        assert np.median(np.abs(agreement.relative_difference)) < 0.025


def test_a_verifier_does_more_than_to_remove_wrong_labels():
    """Negative control: the truth's labels on as many rows is not what an oracle leaves."""
    w = labeller(ISO, 0.0)
    source = w.label(1500, link="sign", keep=mc.Verified(ISO))
    rate = mc.simulate(mc.fit(source), 60, progress=False).error_rate
    naive = mc.predict(mc.fit(ISO.label(1500 * source.kept, link="sign"))).error_rate
    found = mc.predict(mc.fit(source)).error_rate
    assert abs(rate.mean - found) < 3 * rate.standard_error + 0.02 * found
    assert abs(rate.mean - naive) > 5 * rate.standard_error + 0.05 * naive


def test_verified_regression_stays_near_its_verifier():
    """Generations 15 to 30 of 30 chains: five standard errors (of chains) and 3 % of the labeller's distance, which is
    small; that kept labels have all their noise, √ρσ → σ, is rejected."""
    d, samples, noise, threshold, offset = 15, 400, 0.5, 1.0, 0.1
    generator, found = np.random.default_rng(8), []
    verifier = np.zeros(d)
    verifier[0] = offset
    for _ in range(30):
        model, errors = np.zeros(d), []
        for _ in range(30):
            inputs = generator.standard_normal((samples, d))
            labels = inputs @ model + noise * generator.standard_normal(samples)
            kept = np.abs(labels - inputs @ verifier) <= threshold * noise
            model = np.linalg.lstsq(inputs[kept], labels[kept])[0]
            errors.append(model @ model)
        found.append(np.mean(errors[15:]))
    mean, deviation = np.mean(found), np.std(found) / np.sqrt(30)
    formula, pull = catalogue["verified_regression_error"], catalogue["verified_regression_pull"]
    numbers = {"samples": samples, "dimension": d, "threshold": threshold, "offset_variance": offset**2}
    predicted = float(formula.evaluate(noise=noise, **numbers))
    unpulled = float(formula.evaluate(noise=noise / float(pull.evaluate(threshold=threshold)) ** 0.5, **numbers))
    assert abs(mean - predicted) < 5 * deviation + 0.03 * predicted < abs(mean - unpulled)


@pytest.mark.parametrize("multiple", [0.5, 3.0])
def test_a_multiple_of_the_judge_is_labelled_like_the_judge(multiple):
    """Signs do not see the size of a score; nor, but for 1e-8, whether the judge is the labeller or its multiple."""
    keep = mc.Verified(ISO, 0.9, 0.3)
    models = [mc.fit(model.label(90, link="sign", keep=keep), ridge=0.1) for model in (ISO, multiple * ISO)]
    own, other = map(mc.predict, models)
    for part in ("bias", "variance", "clean"):
        assert np.isclose(getattr(other, part), getattr(own, part), rtol=3e-8), part
