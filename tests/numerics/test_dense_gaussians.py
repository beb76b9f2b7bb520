"""Dense Gaussian populations: the spectrum's answers where covariances commute, simulation where they do not."""

import pickle

import numpy as np
import pytest
import sympy
from same_trials import judged

import modelcollapse as mc
from modelcollapse.numerics.equivalents import dense
from modelcollapse.numerics.steps.dense import energy

DIM = 12
RNG = np.random.default_rng(0)


def covariance(decay, basis=None):
    basis = np.linalg.qr(RNG.standard_normal((DIM, DIM)))[0] if basis is None else basis
    return (basis * np.arange(1.0, DIM + 1) ** -decay) @ basis.T


BASIS = np.linalg.qr(RNG.standard_normal((DIM, DIM)))[0]
OWN, WEIGHTS = covariance(1.0, BASIS), RNG.standard_normal(DIM)
DENSE, SPECTRUM = mc.gaussian(OWN, WEIGHTS), mc.Spectrum(np.arange(1.0, DIM + 1) ** -1.0, (BASIS.T @ WEIGHTS) ** 2)


def flattened(s):
    return np.sqrt(s)


def inputs_of(population):
    """A shift that commutes with the population, in its own form."""
    return flattened if population is SPECTRUM else covariance(0.5, BASIS)


def shy(w0):
    given = {"correlation": 0.5} if w0.spectrum is SPECTRUM else {"weights": WEIGHTS / 2}
    return mc.surrogate(w0.spectrum, **given)


def graph(w0, shift):
    first = mc.fit(w0.label(30, 0.3), ridge=0.1)
    second = mc.fit(first.label(20, 0.2, inputs=shift), ridge=0.02)
    third = mc.fit(first.label(25, 0.1), second.label(10, 0.1, inputs=shift, weight=2.0), ridge=0.03)
    return mc.fit((0.5 * second + 0.3 * third + 0.2 * w0).label(40, 0.1), ridge=0.01)


PIPELINES = {
    "one fit": lambda w0, shift: mc.fit(w0.label(9, 0.3), ridge=0.01),
    "no ridge above": lambda w0, shift: mc.fit(w0.label(30, 0.3, inputs=shift)),
    "no ridge below": lambda w0, shift: mc.fit(w0.label(7, 0.3, inputs=shift)),
    "null model": lambda w0, shift: mc.fit(w0.label(7, 0.3), ridge=np.inf),
    "two sources": lambda w0, shift: mc.fit(
        mc.chain(w0, 3, 15, 0.2, 0.01).label(30, 0.3, inputs=shift), w0.label(8, 0.1, weight=0.2), ridge=0.01
    ),
    "weights without ridge": lambda w0, shift: mc.fit(
        mc.chain(w0, 3, 30, 0.2).label(30, 0.3), w0.label(8, 0.1, weight=0.2)
    ),
    "an idle source": lambda w0, shift: mc.fit(w0.label(9, 0.3), w0.label(5, weight=0.0, inputs=shift), ridge=0.02),
    "graph": graph,
    "accumulation": lambda w0, shift: mc.fit(mc.accumulate(w0, 4, 20, 0.2, 0.3).label(15, 0.1), ridge=0.01),
    "ensemble": lambda w0, shift: 0.5 * mc.fit(w0.label(30, 0.3), ridge=0.1) + 0.5 * mc.chain(w0, 2, 20, 0.1, 0.1),
    "surrogate": lambda w0, shift: mc.fit(
        mc.surrogate(
            w0.spectrum, **({"correlation": 0.5} if w0.spectrum is SPECTRUM else {"weights": WEIGHTS / 2})
        ).label(20, 0.1),
        w0.label(9, 0.2),
        ridge=0.02,
    ),
}


def interpolating(w0, noise=0.3):
    return mc.fit(w0.label(DIM, noise))


SATURATED = {
    "noise": lambda w0, shift: interpolating(w0),
    "on a grid": lambda w0, shift: mc.fit(w0.label(np.array([7, DIM, 20]), 0.3)),
    "shifted inputs": lambda w0, shift: mc.fit(w0.label(7, 0.3), w0.label(5, 0.3, inputs=shift, weight=2.0)),
    "no noise": lambda w0, shift: interpolating(w0, 0.0),
    "a student of exact labels": lambda w0, shift: mc.fit(interpolating(w0, 0.0).label(9, 0.1), ridge=0.1),
    "labels that contradict": lambda w0, shift: mc.fit(w0.label(5), mc.fit(w0.label(30, 0.1), ridge=1).label(7)),
    "a student": lambda w0, shift: mc.fit(interpolating(w0).label(9, 0.1), w0.label(7, inputs=shift), ridge=0.1),
    "a chain": lambda w0, shift: mc.fit(mc.chain(w0, 3, DIM, 0.3).label(30, 0.1)),
    "an average": lambda w0, shift: 0.5 * interpolating(w0) - 0.2 * w0,
    "accumulation": lambda w0, shift: mc.accumulate(w0, 3, DIM, 0.3),
}


@pytest.mark.parametrize("name", SATURATED)
def test_as_many_rows_as_directions_without_a_ridge(name):
    """Noise comes out infinitely large, labels without noise come out as they are: as on a spectrum."""
    found, expected = (mc.predict(SATURATED[name](mc.truth(p), inputs_of(p))) for p in (DENSE, SPECTRUM))
    for part in ("test_error", "bias", "variance", "clean", "error_rate"):
        np.testing.assert_allclose(getattr(found, part), getattr(expected, part), rtol=1e-7, atol=1e-12)
    assert np.isinf(found.test_error).any() == ("no noise" not in name and "exact" not in name)


@pytest.mark.parametrize("finite_size", [False, True])
@pytest.mark.parametrize("name", PIPELINES)
def test_covariances_that_commute_are_a_spectrum(name, finite_size):
    found, expected = (
        mc.predict(PIPELINES[name](mc.truth(population), inputs_of(population)), finite_size=finite_size)
        for population in (DENSE, SPECTRUM)
    )
    scale = expected.test_error
    for part, value in expected.to_dict().items():
        assert np.isclose(getattr(found, part), value, rtol=1e-9, atol=1e-12 * scale), part


@pytest.mark.parametrize("name", ["one fit", "two sources", "graph", "null model"])
def test_error_rates_are_those_of_the_spectrum(name):
    found, expected = (
        mc.predict(PIPELINES[name](mc.truth(p), inputs_of(p)), inputs=inputs_of(p)) for p in (DENSE, SPECTRUM)
    )
    assert np.isclose(found.error_rate, expected.error_rate, rtol=1e-9)
    assert np.isclose(found.overlap, expected.overlap, rtol=1e-9, atol=1e-12)


def test_links_are_those_of_the_spectrum(monkeypatch):
    def linked(w0, shift):
        teacher = mc.fit(w0.label(40, 0.1, link=mc.Probit(0.5)), ridge=0.05)
        soft = teacher.label(30, inputs=shift, link=mc.Logistic(0.4, soft=True))
        return mc.fit(w0.label(20, link="sign"), soft, teacher.label(10, weight=0.5), ridge=0.05)

    found, expected = (mc.predict(linked(mc.truth(p), inputs_of(p))) for p in (DENSE, SPECTRUM))
    for part, value in expected.to_dict().items():
        assert np.isclose(getattr(found, part), value, rtol=1e-9), part
    assert np.isclose(found.error_rate, expected.error_rate, rtol=1e-9)
    w0, teacher, fake, _ = mixed()
    model = mc.fit(w0.label(80, link="sign"), teacher.label(150, inputs=fake, link=mc.Clip(1.0)), ridge=0.1)
    for agreement in judged([model], 200, monkeypatch):
        assert agreement.verdict == "agrees", str(agreement)
    flips = sympy.Symbol("q", positive=True)
    model = mc.fit(mc.truth(DENSE).label(40, link=mc.Sign(flips)), ridge=0.05)
    ends = [mc.predict(model, {flips: 0.2 + sign * 1e-5}).test_error for sign in (1, -1)]
    assert np.isclose(mc.gradient(model, {flips: 0.2})[flips], (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def judging(w0, shift):
    """A chain that is verified and pooled, on shifted inputs, then a margin of a mixture."""
    first, judge = (mc.fit(w0.label(n, link="sign"), ridge=0.05) for n in (40, 60))
    checked = first.label(60, 0.1, link=mc.Probit(0.3), inputs=shift, keep=mc.Verified(judge, 0.9, 0.3))
    second = mc.fit(checked, w0.label(15, inputs=shift), first.label(9, weight=0, inputs=shift), ridge=0.05)
    mixed = 0.5 * second + 0.5 * judge
    last = mc.fit(mixed.label(80, link="sign", keep=mc.Margin(first, 1.5, 0.1)), second.label(20), ridge=0.02)
    return 0.7 * last + 0.3 * first, checked


def test_filters_of_rows_are_those_of_the_spectrum():
    (model, source), (twin, twin_source) = (judging(mc.truth(p), inputs_of(p)) for p in (DENSE, SPECTRUM))
    assert np.isclose(source.kept, twin_source.kept, rtol=1e-9)
    found, expected = mc.predict(model), mc.predict(twin)
    for part, value in expected.to_dict().items():
        assert np.isclose(getattr(found, part), value, rtol=1e-8), part
    assert np.isclose(found.error_rate, expected.error_rate, rtol=1e-8)
    chance = sympy.Symbol("c", positive=True)
    w0 = mc.truth(DENSE)
    teacher = mc.fit(w0.label(40, link="sign"), ridge=0.1)
    model = mc.fit(teacher.label(60, link="sign", keep=mc.Verified(w0, 1, chance)), ridge=0.05)
    ends = [mc.predict(model, {chance: 0.3 + sign * 1e-5}).test_error for sign in (1, -1)]
    assert np.isclose(mc.gradient(model, {chance: 0.3})[chance], (ends[0] - ends[1]) / 2e-5, rtol=1e-6)
    best = mc.optimal_ridge(model, {chance: 0.3})
    assert all(
        best.test_error <= mc.predict(mc.fit(*model.sources, ridge=r), {chance: 0.3}).test_error
        for r in best.ridge * np.array([0.8, 1.2])
    )


def test_filters_of_rows_agree_with_simulation(monkeypatch):
    """A verifier that would only remove labels at random is rejected by the same trials."""
    w0, teacher, fake, tested = mixed()
    sources = [
        teacher.label(240, link="sign", inputs=fake, keep=mc.Verified(w0)),
        teacher.label(400, 0.2, link="sign", keep=mc.Margin(teacher, below=0.8)),
    ]
    models = [mc.fit(source, ridge=0.1) for source in sources]
    agreements = judged(models, 200, monkeypatch, inputs=tested)
    for agreement in agreements:
        assert np.all(agreement.verdicts == "agrees"), str(agreement)
    blind = mc.fit(teacher.label(240 * float(sources[0].kept), link="sign", inputs=fake), ridge=0.1)
    rate = agreements[0].estimate[0].error_rate
    assert abs(mc.predict(blind, inputs=tested).error_rate - rate.mean) > 5 * rate.standard_error


def test_error_rates_agree_with_simulation():
    w0, teacher, fake, tested = mixed()
    model = mc.fit(w0.label(50, 0.5), teacher.label(120, 0.5, weight=0.5, inputs=fake), ridge=0.1)
    agreement = mc.crosscheck(model, trials=200, inputs=tested, metric="error_rate", progress=False)
    assert agreement.verdict == "agrees", str(agreement)


def test_shifted_test_inputs():
    models = [PIPELINES["two sources"](mc.truth(p), inputs_of(p)) for p in (DENSE, SPECTRUM)]
    errors = [mc.predict(m, inputs=inputs_of(p)).test_error for m, p in zip(models, (DENSE, SPECTRUM), strict=True)]
    assert np.isclose(*errors, rtol=1e-9)


def mixed():
    """A mix whose covariances do not commute, large enough for a sharp verdict."""
    rng = np.random.default_rng(1)

    def covariance(decay):
        basis = np.linalg.qr(rng.standard_normal((60, 60)))[0]
        return (basis * np.arange(1.0, 61) ** -decay) @ basis.T

    own, fake, tested = covariance(0.7), covariance(0.3), covariance(1.0)
    w0 = mc.truth(mc.gaussian(own, rng.standard_normal(60)))
    teacher = mc.fit(w0.label(100, 0.5), ridge=0.05)
    return w0, teacher, fake, tested


def test_covariances_that_do_not_commute_agree_with_simulation():
    w0, teacher, fake, tested = mixed()
    models = [
        mc.fit(w0.label(50, 0.5), teacher.label(120, 0.5, weight=weight, inputs=fake), ridge=ridge)
        for weight, ridge in ((0.1, 1e-3), (2.0, 0.1))
    ]
    agreement = mc.crosscheck(models, trials=200, inputs=tested, progress=False)
    assert agreement.verdict == "agrees", str(agreement)
    assert np.all(np.abs(agreement.relative_difference) < 0.05)


def test_forgetting_the_shift_is_rejected():
    """The negative control: the error on the population's own inputs is beyond interval and allowance."""
    _, teacher, fake, tested = mixed()
    model = mc.fit(teacher.label(120, 0.5, inputs=fake), ridge=1e-3)
    low, high = mc.simulate(model, 200, inputs=tested, progress=False).interval(0.99)
    allowed = mc.crosscheck(model, 2, inputs=tested, progress=False).allowance
    for inputs, agrees in ((tested, True), (None, False)):
        error = mc.predict(model, inputs=inputs).test_error
        assert bool(low <= error * (1 + allowed) and high >= error * (1 - allowed)) == agrees


def test_slopes_and_best_values():
    lam, omega = sympy.symbols("lambda omega", positive=True)
    w0 = mc.truth(DENSE)
    other = covariance(0.2)
    model = mc.fit(
        w0.label(8, 0.3), mc.fit(w0.label(9, 0.2), ridge=0.1).label(20, 0.2, weight=omega, inputs=other), ridge=lam
    )
    at = {lam: 0.02, omega: 0.4}
    slopes = mc.gradient(model, at)
    for symbol, value in at.items():
        ends = [mc.predict(model, {**at, symbol: value * (1 + sign * 1e-4)}).test_error for sign in (1, -1)]
        assert np.isclose(slopes[symbol], (ends[0] - ends[1]) / (2e-4 * value), rtol=1e-6)
    best = mc.optimal_ridge(model, {omega: 0.4})
    assert abs(best.ridge * mc.gradient(model, {lam: best.ridge, omega: 0.4})[lam]) < 1e-9 * best.test_error
    tuned = mc.tune(model, {lam: (1e-4, 1.0), omega: (0.05, 5.0)})
    assert tuned.test_error <= best.test_error


@pytest.mark.parametrize(("rows", "ridge"), [(3, 0.0), (3, 0.1), (8, 0.0), (30, 0.0), (30, 0.1), (30, 1e6)])
def test_one_source_starts_at_its_root(rows, ridge, monkeypatch):
    """Newton's first step is rounding: eigenvalues are known, of which the root is asked directly."""
    steps, newton = [], dense._newton
    monkeypatch.setattr(dense, "_newton", lambda *given: steps.append(newton(*given)) or steps[-1])
    mixed = np.random.default_rng(0).standard_normal((8, 8))
    source = mc.truth(mc.gaussian(mixed @ mixed.T, np.ones(8))).label(rows, 0.1, weight=3.0)
    mc.predict(mc.fit(source, ridge=ridge))
    assert 0 < len(steps) <= 3
    assert np.abs(steps[0]).max() < 1e-9


def test_a_singular_covariance_is_one_of_fewer_directions():
    thin = OWN[:, :4] @ OWN[:4]
    inside = mc.gaussian((thin + thin.T) / 2 @ ((thin + thin.T) / 2), WEIGHTS)
    expected = mc.from_covariance(inside.covariance, WEIGHTS)
    for samples, ridge in ((20, 0.0), (3, 0.0), (20, 0.1)):
        errors = [
            mc.predict(mc.fit(mc.truth(p).label(samples, 0.2), ridge=ridge)).test_error for p in (inside, expected)
        ]
        assert np.isclose(*errors, rtol=1e-7)


def test_a_population_is_a_value_and_bad_ones_are_refused():
    again = mc.gaussian(OWN, WEIGHTS)
    assert again == DENSE
    assert hash(again) == hash(DENSE)
    assert pickle.loads(pickle.dumps(DENSE)) == DENSE
    with pytest.raises(ValueError, match="positive semidefinite"):
        mc.gaussian(-OWN, WEIGHTS)
    with pytest.raises(ValueError, match="give equally many"):
        mc.gaussian(OWN, WEIGHTS[1:])
    with pytest.raises(ValueError, match="give equally many"):
        mc.truth(DENSE).label(9, inputs=np.eye(3))
    with pytest.raises(ValueError, match="filter"):
        mc.fit(mc.truth(DENSE).label(9), filter=mc.GradientFlow(1.0))
    with pytest.raises(ValueError, match="lower on a population"):
        mc.numerics.lower(mc.fit(mc.truth(DENSE).label(9), ridge=sympy.Symbol("x")), sympy.Symbol("x"))
    with pytest.raises(TypeError, match="give weights there"):
        mc.surrogate(DENSE, correlation=0.3)


def test_nearly_nothing_has_no_negative_variance():
    """A model minus what many rows learned of it: rounding left variances of −1e-10 here.

    The control: of a matrix that is no covariance the variance is no number.
    """
    rng = np.random.default_rng(0)
    for _ in range(20):
        factors = rng.standard_normal((2, 6, 4)) * 10.0 ** rng.uniform(-3, 3, 4)
        own, other = np.einsum("gia,gib->gab", factors, factors)
        teacher = mc.fit(mc.truth(mc.gaussian(own, np.ones(4))).label(3, 0.3), ridge=0.1)
        student = mc.fit(teacher.label(1e12, 1e-9), ridge=1e-14)
        differences = (teacher - student, 300 * teacher - 299.9999999 * student)
        for model in (*differences, mc.fit(differences[1].label(5, 0.0), ridge=0.1)):
            for inputs in (None, other):
                assert mc.predict(model, inputs=inputs).variance >= 0
    assert np.isnan(energy(np.eye(2), np.zeros(2), -np.eye(2)))
    assert energy(np.eye(2), np.zeros(2), -1e-10 * np.eye(2), lambda: np.eye(2)) == 0
