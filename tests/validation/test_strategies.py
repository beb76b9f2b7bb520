"""The public strategies and `assert_agrees`: what they draw, and how small a counterexample comes out."""

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import modelcollapse as mc
from modelcollapse.theory.pipelines import Accumulate, Chain, Fit, Mixture, ancestry
from modelcollapse.validation import assert_agrees, strategies
from modelcollapse.validation.listings import listing

QUICK = settings(max_examples=60, deadline=None, database=None, derandomize=True)
FIND = settings(max_examples=400, deadline=None, database=None, derandomize=True, phases=(Phase.generate, Phase.shrink))


@QUICK
@given(
    strategies.ridges(min_value=0.5, max_value=2),
    strategies.noises(max_value=0.3),
    strategies.sample_sizes(min_value=3, max_value=5),
    strategies.power_laws(max_beta=1.5, min_dim=4, max_dim=6),
    strategies.spectra(min_dim=2, max_dim=5),
)
def test_bounds_are_kept(ridge, noise, samples, power_law, spectrum):
    assert 0.5 <= ridge <= 2
    assert 0 <= noise <= 0.3
    assert samples in (3, 4, 5)
    assert 1 < power_law.leaves[0] <= 1.5
    assert 4 <= power_law.dim <= 6
    assert 2 <= spectrum.dim <= 5
    spectrum.expand()


@QUICK
@given(
    strategies.pipelines(max_fits=2, max_sources=3, max_samples=20, min_ridge=0.1)
    | strategies.pipelines(max_fits=2, max_sources=3, max_samples=20, min_ridge=0.1, linked=True)
)
def test_pipelines_stay_within_bounds_and_their_listing_rebuilds_them(model):
    fits = [node for node in ancestry(model) if isinstance(node, Fit | Chain | Accumulate)]
    assert 1 <= len(fits) <= 2
    assert all(len(node.sources) <= 3 for node in fits if isinstance(node, Fit))
    scope = {"mc": mc, "sqrt": np.sqrt}
    exec(listing(model), scope)
    assert scope[listing(model).splitlines()[-1].split(" = ")[0]] == model


@settings(QUICK, max_examples=30)
@given(strategies.pipelines(max_fits=3, max_samples=40, linked=True))
def test_pipelines_of_classes_have_errors_and_rates(model):
    """Never NaN; a model with infinite variance behind a link is refused; the score's size does not matter to rates."""
    try:
        found, twice = mc.predict(model), mc.predict(2 * model)
        rate, overlap = found.error_rate, found.overlap
    except RuntimeError:
        return
    assert found.test_error >= 0
    assert 0 <= rate <= 1
    assert -1 - 1e-12 <= overlap <= 1 + 1e-12
    assert twice.error_rate == pytest.approx(rate, rel=1e-9, abs=1e-9)


@QUICK
@given(strategies.label_mixtures([mc.fit(mc.truth(mc.isotropic(4)).label(9))] * 2, min_share=0.25))
def test_shares_of_label_mixtures_sum_to_one(mixture):
    assert isinstance(mixture, Mixture)
    assert sum(mixture.coefficients) == pytest.approx(1)
    assert mixture.coefficients[0] >= 0.25


def test_bounds_outside_the_domain_are_refused():
    with pytest.raises(ValueError, match=r"the lower bound = -1.0 is outside \[0, inf\]"):
        strategies.ridges(min_value=-1)
    with pytest.raises(ValueError, match="the lower bound 3 is above the upper bound 2"):
        strategies.sample_sizes(min_value=3, max_value=2)
    with pytest.raises(ValueError, match="outside"):
        strategies.power_laws(min_beta=0.5)


def test_examples_shrink_to_small_pipelines():
    shared = find(strategies.pipelines(), lambda m: len({id(n) for n in ancestry(m)}) >= 3, settings=FIND)
    first, *fits = listing(shared).splitlines()
    assert first == "w0 = mc.truth(mc.isotropic(dim=1, signal=1))"
    simplest = {"mc.fit({}.label(1))", "mc.chain({}, 1, samples=1, noise=0.0)"}
    for line, parent in zip(fits, ("w0", "m1"), strict=True):
        assert line.split(" = ", 1)[1].replace(parent, "{}") in simplest
    two = find(strategies.pipelines(), lambda m: isinstance(m, Fit) and len(m.sources) == 2, settings=FIND)
    assert listing(two).splitlines()[1:] == ["m1 = mc.fit(w0.label(1), w0.label(1))"]


# a wrong formula: E_clean + n·Δ, which is for least-squares generators with T0 > d, used for any generator


@st.composite
def fits_on_fake_data(draw):
    w0 = mc.truth(draw(strategies.spectra(max_dim=16)))
    labels = mc.chain(w0, draw(st.integers(0, 5)), draw(strategies.sample_sizes()), draw(strategies.noises()))
    source = labels.label(draw(strategies.sample_sizes()), draw(strategies.noises()))
    return mc.fit(source, ridge=draw(strategies.ridges(min_value=0.01)))


def linear_in_generations(model):
    """E_clean + n·Δ, Δ being what the first generation adds; None where it is infinite."""
    source, labels = model.sources[0], model.sources[0].model

    def error(generations):
        before = mc.chain(labels.start, generations, labels.samples, labels.noise)
        return mc.predict(mc.fit(before.label(source.samples, source.noise), ridge=model.ridge)).test_error

    clean, first = error(0), error(1)
    return clean + labels.generations * (first - clean) if np.isfinite(first) else None


def over_parametrised(model):
    return model.sources[0].model.samples < model.spectrum.dim


def test_the_wrong_formula_comes_out_as_a_readable_counterexample():
    with pytest.raises(AssertionError) as failure:
        assert_agrees(linear_in_generations, fits_on_fake_data())
    message = str(failure.value).splitlines()
    assert message[0].startswith("the formula gives 1")
    assert [line.strip() for line in message[1:]] == [
        "w0 = mc.truth(mc.isotropic(dim=2, signal=1))",
        "m1 = mc.chain(w0, 2, samples=1, noise=0.0)",
        "m2 = mc.fit(m1.label(1), ridge=1.0)",
    ]


def test_the_same_formula_holds_where_it_is_meant_to():
    assert_agrees(linear_in_generations, fits_on_fake_data().filter(lambda m: not over_parametrised(m)), examples=60)


def test_against_simulation():
    small = strategies.pipelines(strategies.spectra(max_dim=12), max_fits=2, max_samples=40)
    options = {"against": "simulate", "examples": 30, "trials": 100}
    assert_agrees(lambda m: mc.predict(m, finite_size=True).test_error, small, **options)
    with pytest.raises(AssertionError, match="simulation gives Estimate"):
        assert_agrees(lambda m: 3 * mc.predict(m).test_error, small, **options)


def test_lists_and_other_routes():
    models = [mc.fit(mc.truth(mc.isotropic(d)).label(50, 0.1)) for d in (5, 10)]
    exact = {id(m): 0.01 * m.spectrum.dim / (50 - m.spectrum.dim) for m in models}
    assert_agrees(lambda m: exact[id(m)], models)
    assert_agrees(lambda m: exact[id(m)], models, against=lambda m: mc.predict(m).test_error)
    with pytest.raises(AssertionError, match=r"the formula gives 1, predict gives 0\.00111111, for\n    w0 = "):
        assert_agrees(lambda m: 1.0, models)
    assert_agrees(lambda m: None, models)  # claims nothing
    with pytest.raises(ValueError, match="against = 'guess' is unknown"):
        assert_agrees(lambda m: 1.0, models, against="guess")
    with pytest.raises(TypeError, match="pipelines yielded a int"):
        assert_agrees(lambda m: 1.0, [3], against="simulate")


def test_strategies_say_how_to_install_hypothesis():
    import subprocess
    import sys

    code = "import sys; sys.modules['hypothesis'] = None\nimport modelcollapse.validation.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "strategies need hypothesis; install it with: pip install 'modelcollapse[test]'" in done.stderr


def test_an_error_of_the_formula_shows_the_pipeline():
    """Of the formula and of the other route; an AssertionError too, which Hypothesis's notes would bury."""

    def careless(model):
        return model.sources[0].noise

    def asserting(model):
        assert isinstance(model, Fit), "not a fit"

    for formula, kind, against in (
        (careless, AttributeError, "predict"), (asserting, AssertionError, "predict"),
        (lambda model: 0.0, AttributeError, careless),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            assert_agrees(formula, against=against)
        notes = [note for note in caught.value.__notes__ if note.startswith("the formula raised this for")]
        assert "mc.chain(w0, 1" in notes[0] or "mc.accumulate(w0, 1" in notes[0]
    with pytest.raises(AttributeError) as caught:
        assert_agrees(careless, [mc.truth(mc.isotropic(3))])
    assert "w0 = mc.truth(mc.isotropic(dim=3, signal=1))" in caught.value.__notes__[0]
