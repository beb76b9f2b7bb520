"""Pipelines whose fits are trained and stopped, or live on random features: predicted, simulated, differentiated."""

import pickle

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics.evaluation import training_curves
from modelcollapse.theory.closed_forms import closed_form
from modelcollapse.theory.pipelines.filters import Ridge

W0 = mc.truth(mc.power_law(1.5, 0.5, dim=80))
ROUND = mc.truth(mc.isotropic(80))
FLOW, DESCENT, ROUNDS = mc.GradientFlow(40.0), mc.GradientDescent(0.2, 100), mc.IteratedRidge(0.1, 5)


def families(trained):
    """Pipelines that end in a fit with the given options: several sources, weights, shifts, trained generators."""
    teacher = mc.fit(W0.label(60, 0.3), filter=mc.GradientDescent(0.3, 30))
    small = mc.fit(W0.label(60, 0.3), ridge=0.01, features=30)
    yield mc.fit(teacher.label(100, 0.1), **trained)
    yield mc.fit(teacher.label(70, 0.1, weight=2.0), W0.label(30, 0.2, weight=2.0), W0.label(20, weight=0.0), **trained)
    mixed = 0.5 * small + 0.5 * W0
    yield mc.fit(mixed.label(150, 0.1, inputs=np.sqrt), small.label(100, inputs=np.sqrt), **trained)


OPTIONS = [{"filter": FLOW}, {"ridge": 0.01, "features": 40}]
MORE = [{"filter": DESCENT}, {"filter": ROUNDS}, {"ridge": 0.01, "features": 200}]
slow = pytest.mark.slow


@pytest.mark.parametrize("trained", [*OPTIONS, *(pytest.param(x, marks=slow) for x in MORE)], ids=str)
def test_predictions_agree_with_simulation(trained):
    """Budget: 0.01 per family of three pipelines, 0.05 in all; 200 trials resolve a deviation of about 10 %."""
    agreement = mc.crosscheck(list(families(trained)), trials=200, seed=3, budget=0.01, resolution=1.0)
    assert agreement.verdict == "agrees", str(agreement)


@pytest.mark.parametrize(
    ("truth", "samples", "features"),
    [
        (ROUND, 60, 120),
        (ROUND, 160, 40),
        (W0, 160, 40),
        (W0, 60, 50),
    ],
)
def test_random_features_without_ridge_agree_with_simulation(truth, samples, features):
    """Budget: 0.01 each, 0.04 in all."""
    agreement = mc.crosscheck(mc.fit(truth.label(samples, 0.1), features=features), trials=300, seed=4, resolution=1.0)
    assert agreement.verdict == "agrees", str(agreement)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"filter": mc.GradientFlow(200.0)}, {"ridge": 1 / 200.0}),  # the heuristic λ = 1/t
        ({"filter": mc.GradientFlow(200.0)}, {"filter": mc.GradientFlow(400.0)}),  # a loss without its factor 1/2
        ({"ridge": 0.01, "features": 40}, {"ridge": 0.01}),  # a model of unlimited size
    ],
    ids=["heuristic", "twice the time", "features"],
)
def test_wrong_theories_are_rejected(right, wrong):
    """The negative control of the agreement above, with the same tool."""
    labels = mc.chain(W0, 5, 160, 0.3)
    simulated = mc.simulate(mc.fit(labels.label(160, 0.3), **right), 300, seed=5)
    for trained, agrees in ((right, True), (wrong, False)):
        predicted = mc.predict(mc.fit(labels.label(160, 0.3), **trained), finite_size=True).test_error
        band = 4 * simulated.standard_error + 0.05 * predicted
        assert (abs(simulated.mean - predicted) < band) is np.bool_(agrees)


def test_a_filter_that_is_a_ridge_is_the_ridge():
    for model, same in list(zip(families({"filter": Ridge(0.02)}), families({"ridge": 0.02}), strict=True))[1:]:
        found, wanted = mc.predict(model), mc.predict(same)
        for name in ("test_error", "bias", "variance", "clean"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-9)


def test_endless_features_and_endless_training_are_the_plain_fit():
    for model, same in zip(families({"ridge": 0.02, "features": np.inf}), families({"ridge": 0.02}), strict=True):
        assert mc.predict(model).test_error == pytest.approx(mc.predict(same).test_error, rel=1e-10)
    for samples in (40, 200):
        source = mc.chain(W0, 2, 200, 0.1).label(samples, 0.1)
        late = mc.predict(mc.fit(source, filter=mc.GradientFlow(1e13))).test_error
        assert late == pytest.approx(mc.predict(mc.fit(source)).test_error, rel=1e-8)


@pytest.mark.parametrize("end", [1e300, 1e308])
def test_the_longest_training_and_the_largest_ridge_are_their_limits(end):
    truth = mc.truth(mc.power_law(1.5, 0.5, dim=60))
    source = truth.label(100, 0.1)
    endless, untrained = (mc.predict(mc.fit(source, ridge=ridge)).test_error for ridge in (0.0, np.inf))
    for time in (end, [1.0, end]):
        found = mc.predict(mc.fit(source, filter=mc.GradientFlow(time))).test_error
        assert np.isclose(np.ravel(found)[-1], endless, rtol=1e-9)
    for trained in (mc.IteratedRidge(end, 3), mc.SelfDistillation(end, 0.5)):
        assert np.isclose(mc.predict(mc.fit(source, filter=trained)).test_error, untrained, rtol=1e-12)


DURATIONS = np.concatenate([[0, 1, 2, 7, 12, 13, 60], [500, 10_001, 123_456]])


@pytest.mark.parametrize(
    "make",
    [
        lambda n: mc.GradientFlow(np.concatenate([[0, 1e-19], np.geomspace(1e-3, 1e6, 6)])[:, None]),
        pytest.param(lambda n: mc.GradientDescent(0.7, n), marks=slow),
        pytest.param(lambda n: mc.IteratedRidge(0.7, n[1:]), marks=slow),
    ],
    ids=["flow", "descent", "rounds"],
)
def test_shared_contours_say_the_same_as_one_for_each_point(make, monkeypatch):
    labels = mc.chain(W0, [0, 5], 100, 0.1)
    model = mc.fit(labels.label(150, 0.1, weight=0.5, inputs=np.sqrt), filter=make(DURATIONS[:, None]))
    shared = mc.predict(model, inputs=lambda s: s**0.8)
    calls = []
    monkeypatch.setattr(training_curves, "FEWEST", np.inf)
    monkeypatch.setattr(training_curves, "_block", lambda *arguments: calls.append(arguments))
    alone = mc.predict(model, inputs=lambda s: s**0.8)
    assert not calls
    for name in ("test_error", "bias", "variance", "clean"):
        assert np.allclose(getattr(shared, name), getattr(alone, name), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: {"filter": mc.GradientFlow(x)},
        pytest.param(lambda x: {"ridge": 1e-3, "features": x}, marks=slow),
    ],
    ids=["time", "features"],
)
def test_derivatives_by_time_and_by_the_number_of_features(make):
    x, at = sympy.Symbol("x", positive=True), 30.0
    model = mc.fit(mc.chain(W0, 2, 100, 0.1).label(60, 0.3), **make(x))
    low, high = mc.predict(model, {x: [at * (1 - 1e-5), at * (1 + 1e-5)]}).test_error
    assert mc.gradient(model, {x: at})[x] == pytest.approx((high - low) / (2e-5 * at), rel=1e-5)


def test_the_best_number_of_features_is_found():
    m = sympy.Symbol("m", positive=True)
    model = mc.fit(W0.label(60, 0.5), features=m)  # no ridge: a peak at m = T, a valley before it
    errors = mc.predict(model, {m: np.arange(2.0, 50.0)}).test_error
    best = mc.tune(model, {m: (2, 50)})
    assert abs(best.values[m] - (2 + np.argmin(errors))) < 1
    assert best.test_error <= errors.min()


def test_directions_add_up_and_tails_vanish_first():
    generations = [0, 1, 5, 20]
    found = mc.predict(mc.fit(mc.chain(W0, generations, 60, 0.0).label(400, 0.1), ridge=1e-4))
    parts = found.by_direction()
    assert np.allclose(parts.bias.sum(-1), found.bias, rtol=1e-12)
    assert np.allclose(parts.variance.sum(-1), found.variance, rtol=1e-12)
    lost = parts.bias / parts.signal
    assert np.all(np.diff(lost, axis=-1) > 0)  # the tail before the head
    assert np.all(np.diff(lost, axis=0) > 0)  # more with every generation
    assert parts.learned[-1, 0] > 0.5 > 1e-3 > parts.learned[-1, -1]


def test_directions_of_an_error_that_diverges():
    """Noise at T = d is lost in every direction that the inputs have, and in no other."""
    truth = mc.truth(mc.Spectrum([1.0, 0.1, 0.0], 1.0, 5))
    parts = mc.predict(mc.fit(truth.label(10, 0.1))).by_direction()
    assert parts.variance.tolist() == [np.inf, np.inf, 0]
    assert np.all(np.isfinite(parts.bias))


def test_directions_of_a_simulated_fit():
    """Bias and variance by direction of a trained fit against their estimates from 400 runs of it with 10 directions an
    atom, within 5 standard errors (10 numbers: 6e-6) and 6 % for the finite size. Without the filter it is not."""
    spectrum = mc.Spectrum(np.arange(1, 6) ** -1.5, np.ones(5), 10)
    time, rows, noise, rng = 5.0, 75, 0.5, np.random.default_rng(0)
    s = np.repeat(spectrum.eigenvalues, 10)
    w0 = np.full(50, np.sqrt(0.1))
    fits = []
    for _ in range(400):
        X = rng.standard_normal((rows, 50)) * np.sqrt(s)
        y = X @ w0 + noise * rng.standard_normal(rows)
        k, U = np.linalg.eigh(X.T @ X / rows)
        fits.append(U @ (-np.expm1(-time * k) / k * (U.T @ (X.T @ y / rows))))
    fits = np.array(fits)
    parts = mc.predict(mc.fit(mc.truth(spectrum).label(rows, noise), filter=mc.GradientFlow(time))).by_direction()
    variance = (s * fits.var(0, ddof=1)).reshape(5, 10).sum(1)
    learned = (fits.mean(0) / w0).reshape(5, 10).mean(1)
    assert np.allclose(variance, parts.variance, rtol=0.06 + 5 * np.sqrt(2 / (400 * 10)))
    assert np.allclose(learned, parts.learned, atol=5 * np.sqrt(parts.variance / s[::10] / 4000).max() + 0.02)
    plain = mc.predict(mc.fit(mc.truth(spectrum).label(rows, noise))).by_direction()
    assert not np.allclose(variance, plain.variance, rtol=0.5)


def test_many_ways_to_say_one_pipeline():
    t = sympy.Symbol("t", positive=True)
    model = mc.fit(W0.label(100, 0.1), filter=mc.GradientFlow(t))
    assert model.free == (t,)
    assert model.subs({t: 40.0}) == mc.fit(W0.label(100, 0.1), filter=FLOW)
    assert mc.fit(W0.label(100, 0.1), filter=FLOW) != mc.fit(W0.label(100, 0.1), filter=DESCENT)
    assert mc.fit(W0.label(100), features=5) != mc.fit(W0.label(100), features=6) != mc.fit(W0.label(100))
    for same in (model, mc.fit(W0.label(9), ridge=0.1, features=7)):
        assert pickle.loads(pickle.dumps(same)) == same
        assert hash(pickle.loads(pickle.dumps(same))) == hash(same)
    assert repr(mc.fit(W0.label(9), features=7)) == "fit(9 rows by truth, noise=0; ridge=0, features=7)"


T = sympy.Symbol("T", positive=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: mc.fit(W0.label(9), ridge=0.1, filter=FLOW),
            ValueError,
            "comes with ridge = 0.1; give one or the other",
        ),
        (lambda: mc.fit(W0.label(9), features=3, filter=FLOW), ValueError, "comes with features = 3"),
        (lambda: mc.fit(W0.label(9), filter=3.0), TypeError, "filter is a float; give GradientFlow"),
        (lambda: mc.fit(W0.label(9), features=0), ValueError, "features = 0.0 is outside"),
        (
            lambda: mc.fit(W0.label(9), W0.label(9, inputs=np.sqrt), filter=FLOW),
            ValueError,
            "sources of different inputs",
        ),
        (lambda: mc.predict(mc.fit(W0.label(9), W0.label(9, weight=2), filter=FLOW)), ValueError, "give them equal w"),
        (
            lambda: mc.predict(mc.fit(W0.label(9), filter=mc.GradientDescent(5.0, 3))),
            ValueError,
            "step = 5.0 is unstable",
        ),
        (
            lambda: mc.tune(mc.fit(W0.label(99), filter=mc.GradientDescent(T, 3)), {T: (0.1, 5)}),
            ValueError,
            "is unstable",
        ),
        (lambda: mc.simulate(mc.fit(W0.label(9), features=3.5)), ValueError, "features = 3.5 is not whole"),
        (lambda: mc.simulate(mc.fit(W0.label(9), filter=FLOW), backend="jax"), ValueError, "backend = 'jax'"),
        (
            lambda: mc.simulate(mc.fit(ROUND.label(9), filter=FLOW), sampler="bidiagonal"),
            ValueError,
            "filter GradientFlow",
        ),
        (lambda: closed_form(mc.fit(ROUND.label(9), filter=FLOW)), ValueError, "has no closed form in symbols"),
        (lambda: mc.optimal_ridge(mc.fit(W0.label(9), filter=FLOW)), ValueError, "which has no ridge"),
        (lambda: mc.optimal_stopping(W0), TypeError, "needs one that ends in fit"),
        (lambda: mc.optimal_stopping(mc.fit(W0.label(9), features=3)), ValueError, "without features"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_source_without_weight_counts_its_rows_and_nothing_else():
    """λ is relative to all rows: 100 of 270 rows have weight, so λ acts 2.7 times as strongly on them."""
    with_idle = mc.fit(W0.label(100, 0.2, weight=2.0), W0.label(170, 0.2, weight=0.0), ridge=0.01)
    alone = mc.fit(W0.label(100, 0.2, weight=2.0), ridge=0.027)
    assert mc.predict(with_idle).test_error == pytest.approx(mc.predict(alone).test_error, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-200, 1e-22, 1e22, 1e175, 1e250])
@pytest.mark.parametrize("kind", ["flow", "descent", "iterated"])
def test_the_unit_of_the_eigenvalues_does_not_matter_to_a_curve(kind, factor):
    """Eigenvalues, ridges and squared noise times one number: so is the error. A grid is its points."""

    def error(unit, durations):
        filters = {
            "flow": lambda: mc.GradientFlow(durations / unit),
            "descent": lambda: mc.GradientDescent(0.1 / unit, np.round(durations)),
            "iterated": lambda: mc.IteratedRidge(unit, np.round(durations)),
        }
        w0 = mc.truth(mc.Spectrum(np.arange(1.0, 41.0) ** -1.5 * unit, 1.0))
        return mc.predict(mc.fit(w0.label(30, 0.1 * unit**0.5), filter=filters[kind]())).test_error / unit

    durations = np.geomspace(1, 100, 12)
    curve = error(factor, durations)
    assert curve == pytest.approx(error(1.0, durations), rel=1e-12)
    assert curve[7] == pytest.approx(error(factor, durations[7]), rel=1e-12)
