"""0–1 errors: angles against drawn predictors, real classifiers, invariances, and what wrong theories would say.

Each family of simulations fails by chance with probability 1 % at most, but for `test_real_classifiers`.
"""

import numpy as np
import pytest
from same_trials import judged

import modelcollapse as mc
from modelcollapse.numerics.steps import links
from modelcollapse.numerics.steps.angles import angle
from modelcollapse.numerics.steps.moments import Atoms, Moments
from modelcollapse.validation.simulation import simulate_each

SPECTRA = {
    "isotropic": (mc.isotropic(60), 0.0),
    "flat tail": (mc.power_law(1.2, 0.5, dim=150), 0.02),
    "steep": (mc.power_law(1.6, 0.6, dim=150), 0.01),
}


def classifier(spectrum, generations, samples, ridge, link="sign", keep=None):
    """A fit on the labels of a chain of classifiers; `generations` of them wrote labels before it."""
    return mc.chain(mc.truth(spectrum), generations + 1, samples, 0, ridge, link=link, keep=keep)


def drawn_angle(ratio, variance, signal, copies, tested, draws=100_000):
    """Mean angle of Gaussian predictors with these moments, and its standard error."""
    rng = np.random.default_rng(0)
    truth, a, v, t = (np.repeat(x, copies) for x in (np.sqrt(signal / copies), ratio, variance, tested))
    angles = np.empty(draws)
    for start in range(0, draws, 5000):
        fitted = a * truth + np.sqrt(v) * rng.standard_normal((5000, len(truth)))
        along = (t * truth * fitted).sum(1) / np.sqrt((t * truth**2).sum())
        across = (t * fitted**2).sum(1) - along**2
        angles[start : start + 5000] = np.arctan2(np.sqrt(across), along)
    return angles.mean(), angles.std() / np.sqrt(draws)


CASES = {  # ratio, variance, signal, copies, tested
    "small angle": ([0.9, 0.9], [0.004, 0.004], [0.5, 0.5], [3, 5], [1.0, 1.0]),
    "one large direction": ([0.9, 0.6, 0.2], [0.01, 0.02, 0.02], [0.6, 0.3, 0.1], [2, 4, 20], [1.0, 0.5, 0.2]),
    "right angle": ([0.0, 0.05], [0.1, 0.1], [0.5, 0.5], [10, 10], [1.0, 1.0]),
    "opposite": ([-0.5, -0.4], [0.01, 0.02], [0.5, 0.5], [8, 12], [1.0, 0.5]),
    "noise in the signal": ([0.5, 0.9], [0.02, 0.001], [0.9, 0.1], [1, 20], [1.0, 1.0]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_mean_angle_of_drawn_predictors(name):
    """To 0.3 % and 4 standard errors, with a tenth of which the plain angle does not reach it."""
    case = [np.array(x) for x in CASES[name]]
    ratio, variance, signal, copies, tested = (np.asarray(x, float)[None] for x in case)
    one = np.ones_like(signal)
    found, overlap, square, truth = angle(Atoms(one, signal, copies, one), tested, Moments(ratio, 1 - ratio, variance))
    mean, error = drawn_angle(*case)
    assert abs(found[0] - mean) < 0.003 * mean + 4 * error
    plain = np.arccos(overlap[0])
    if name != "right angle":
        assert abs(plain - mean) > 3 * abs(found[0] - mean) + 0.003 * mean
    assert np.isclose(square[0], (tested * (ratio**2 * signal + copies * variance)).sum())
    assert np.isclose(truth[0], (tested * signal).sum())


def test_the_expansion_of_the_theory():
    """The expansion in tan²θ agrees to the next order, 1/d²."""
    for d in (50, 200, 800):
        s, zero = np.ones((1, 1)), np.zeros((1, 1))
        variance = 0.5 / d
        found, *_ = angle(Atoms(s, s, d * s, s), s, Moments(0.8 + zero, 0.2 + zero, variance + zero))
        N, D, v_N, v_ND = 0.8, 0.64 + 0.5, variance, 2 * 0.8 * variance
        v_D = 4 * 0.64 * variance + 2 * d * variance**2
        q = D / N**2 * (1 + 3 * v_N / N**2) - 2 * v_ND / N**3 - 1
        v_q = v_D / N**4 + 4 * D**2 * v_N / N**6 - 4 * D * v_ND / N**5
        wanted = np.arctan(np.sqrt(q)) - (1 + 3 * q) / (8 * q**1.5 * (1 + q) ** 2) * v_q
        assert abs(found[0] - wanted) < 3 / d**2


def test_what_is_certain():
    w0 = mc.truth(mc.power_law(1.5, 0.5, dim=40))
    fitted = mc.fit(w0.label(60, 0.3), ridge=0.01)
    rate, overlap = mc.predict(fitted).error_rate, mc.predict(fitted).overlap
    assert mc.predict(w0).error_rate == 0
    assert mc.predict(w0).overlap == 1
    assert mc.predict(-1 * w0).error_rate == 1
    assert mc.predict(mc.fit(w0.label(60), ridge=np.inf)).error_rate == 0.5
    endless = mc.predict(mc.fit(w0.label(40, 0.3)))  # T = d
    assert endless.error_rate == endless.calibration(1.0) == 0.5
    assert endless.log_loss() == np.inf
    assert np.isclose(mc.predict(2.5 * fitted).error_rate, rate, rtol=1e-12)
    assert np.isclose(mc.predict(-1 * fitted).error_rate, 1 - rate, rtol=1e-12)
    assert np.isclose(mc.predict(-1 * fitted).overlap, -overlap, rtol=1e-12)
    assert mc.predict(fitted, inputs=lambda s: s**2).error_rate < rate  # inputs along what is learned
    grid = mc.predict(mc.fit(w0.label([60, 90], 0.3), ridge=[[0.01], [0.1]]))
    assert grid.error_rate.shape == grid.overlap.shape == (2, 2)
    assert np.isclose(grid.error_rate[0, 0], rate, rtol=1e-12)


CHAINS = {None: [*SPECTRA], 1.0: ["isotropic", "steep"], 0.9: ["isotropic", "flat tail"]}


@pytest.mark.parametrize("right", CHAINS)
def test_real_classifiers(right, fitted_once):
    """Ridge on ±1 labels, 0, 1 and 5 generators: within 2 % or two standard errors.

    Without a verifier, with the truth as one that keeps what is right, and with one that errs. The limit is narrow, and
    the seed is fixed: with another seed one of the 21 comparisons or more would be beyond it by chance in two runs of
    three (600 trials, resampled). It sees 3 % too few kept rows; one that fails by chance in 1 % does not.
    """
    models = []
    for spectrum, ridge in (SPECTRA[name] for name in CHAINS[right]):
        keep = None if right is None else mc.Verified(mc.truth(spectrum), right, 1 - right)
        models += [classifier(spectrum, n, 200 if keep is None else 300, ridge, keep=keep) for n in (0, 1, 5)]
    estimates = simulate_each(models, 200, seed=3, batch_size=200, progress=False)
    assert len(fitted_once) == 6 * len(CHAINS[right])
    for model, estimate in zip(models, estimates, strict=True):
        predicted, rate = mc.predict(model, finite_size=True).error_rate, estimate.error_rate
        assert abs(rate.mean - predicted) < max(0.02 * predicted, 2 * rate.standard_error), (model, predicted, rate)


def linked_models():
    iso, steep = mc.truth(mc.isotropic(30)), mc.truth(mc.power_law(1.4, 0.5, dim=60))
    teacher = mc.fit(steep.label(90, link="sign"), ridge=0.02)
    return [
        classifier(mc.isotropic(30), 2, 100, 0.05, mc.Sign(0.1)),
        classifier(mc.isotropic(30), 2, 100, 0.05, mc.Logistic(0.25)),
        classifier(mc.isotropic(30), 1, 20, 0.05, mc.Probit(0.5)),
        classifier(mc.power_law(1.4, 0.5, dim=60), 2, 100, 0.02, mc.Probit(0.5, soft=True)),
        classifier(mc.power_law(1.4, 0.5, dim=60), 1, 100, 0.02, mc.Logistic(0.5, soft=True)),
        mc.fit(iso.label(90, 0.2, link=mc.Clip(0.7)), ridge=0.02),
        mc.fit(iso.label(90, link=mc.Quantised([-1, 0, 1], [-2, -0.5, 0.5, 2])), ridge=0.02),
        mc.fit(iso.label(90, link=np.tanh), ridge=0.02),
        mc.fit(steep.label(90, link=mc.Sign(0.05, 0.4)), ridge=0.02),
        mc.fit(teacher.label(60, link="sign", weight=0.5), steep.label(40, 0.1, link=mc.Probit(0.3)), ridge=0.02),
        mc.fit(teacher.label(60, link="sign"), steep.label(40, 0.3), filter=mc.GradientFlow(8.0)),
        0.5 * teacher + 0.5 * mc.fit(teacher.label(80, link=mc.Clip(0.5), inputs=lambda s: 2 * s), ridge=0.02),
        mc.fit(steep.label(150, 0.5), ridge=0.02),
    ]


def test_links_against_simulation(monkeypatch):
    agreements = judged(linked_models(), 150, monkeypatch, seed=1)
    for agreement in agreements:
        assert not np.any(agreement.verdicts == "disagrees"), str(agreement)
        assert np.median(np.abs(agreement.relative_difference)) < 0.03
    assert [agreement.metric for agreement in agreements] == ["test_error", "error_rate"]


def test_a_link_that_adds_no_noise_is_rejected(monkeypatch):
    """Negative control: the gain alone."""
    right = links.gain_and_noise
    monkeypatch.setattr(links, "gain_and_noise", lambda *x: (right(*x)[0], 0 * right(*x)[1]))
    for agreement in judged(linked_models()[:3], 100, monkeypatch):
        assert np.all(agreement.verdicts == "disagrees"), str(agreement)


def test_angles_multiply_and_do_not_add():
    """Least-squares sign chains: 1/cos² multiplies; tan² that adds is rejected by the same trials."""
    d, rows, n = 60, 240, 6
    model = classifier(mc.isotropic(d), n - 1, rows, 0.0)
    t2 = (np.pi / 2 - 1) * (d - 1) / (rows - d - 1)
    rate = mc.simulate(model, 200, seed=5, progress=False).error_rate
    product, sum_ = np.arccos((1 + t2) ** (-n / 2)) / np.pi, np.arctan(np.sqrt(n * t2)) / np.pi
    assert abs(rate.mean - product) < 3 * rate.standard_error + 0.01 * product
    assert abs(rate.mean - sum_) > 6 * rate.standard_error + 0.01 * sum_
    assert abs(mc.predict(model, finite_size=True).error_rate / product - 1) < 0.015


def test_soft_labels_let_a_chain_stop_collapsing():
    """Above the temperature √(2/π) of the score's deviation, which shrinks; below it, and for classes, it goes on."""
    rates = {link: [] for link in ("sign", mc.Probit(0.6, soft=True), mc.Probit(1.5, soft=True))}
    for link, found in rates.items():
        model = mc.truth(mc.isotropic(100))
        for n in range(1, 81):
            model = mc.fit(model.label(1000, link=link))
            if n in (10, 40, 80):
                found.append(mc.predict(model).error_rate)
    classes, cold, warm = rates.values()
    assert classes[2] > classes[1] + 0.05 > classes[0] + 0.1
    assert cold[2] > 1.3 * cold[1]
    assert np.allclose(warm, 0.01398, rtol=2e-3)  # scores of 1e-16 of the truth's, and all of their digits
    assert np.isclose(warm[2], warm[1], rtol=1e-4)


def test_calibration_adds_up():
    """Averaged over the scores, the chance of the other class is the error rate; log-loss has its drawn mean."""
    found = mc.predict(classifier(mc.isotropic(50), 1, 150, 0.05))
    square = found.by_direction()
    deviation = np.sqrt(np.sum(square.signal * square.learned**2 + square.variance))
    z = np.linspace(0, 9, 5001)
    weight = 2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0]) * np.where(z > 0, 1, 0.5)
    plain = np.arccos(found.overlap) / np.pi
    gamma = 0.4
    wanted = {"sign": plain, mc.Sign(0.1): 0.1 + 0.8 * plain, mc.Probit(gamma): None, mc.Logistic(gamma): None}
    rng = np.random.default_rng(0)
    scores = deviation * rng.standard_normal(400_000)
    truths = found.overlap * scores / deviation + np.sqrt(1 - found.overlap**2) * rng.standard_normal(scores.size)
    for labels, rate in wanted.items():
        wrong = weight @ (1 - found.calibration(deviation * z, labels))
        drawn = mc.Sign() if labels == "sign" else labels
        classes = drawn.labels(rng, truths)
        spread = 4 / np.sqrt(scores.size)
        assert abs(wrong - np.mean(classes * scores < 0)) < spread
        if rate is not None:
            assert abs(wrong - rate) < 1e-6
        assert abs(found.error_rate_against(labels) - wrong) < 0.01
        loss = np.logaddexp(0, -classes * 2.0 * scores)
        assert abs(found.log_loss(2.0, labels) - loss.mean()) < 4 * loss.std() / np.sqrt(loss.size)


def test_estimates_of_error_rates_merge():
    model = classifier(mc.isotropic(10), 1, 30, 0.1)
    whole = mc.simulate(model, 40, seed=2, progress=False)
    pieces = mc.simulate(model, 25, seed=2).merge(mc.simulate(model, 15, seed=2, first_trial=25))
    assert np.all(whole.error_rate.draws == pieces.error_rate.draws)
    assert whole.error_rate.draws.shape == (40,)
    averaged = mc.simulate(mc.fit(mc.truth(mc.isotropic(10)).label(30, 0.1)), 5, conditional=True)
    assert averaged.error_rate is None
    with pytest.raises(ValueError, match="conditional"):
        mc.crosscheck(model, 5, metric="error_rate", conditional=True)
