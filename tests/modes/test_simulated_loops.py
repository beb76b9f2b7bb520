"""Loops really run against their predictions, and planted wrong theories rejected by the same check.

Each crosscheck may reject a correct theory with probability 0.001, all of this file together below 1.5 %; seeds are
fixed, so that it does so always or never.
"""

import pickle

import numpy as np
import pytest

import modelcollapse as mc

modes = mc.modes
LAW = modes.zipf(1.5)
FINITE = modes.zipf(1.0, size=300)
LOOPS = {
    "replace": (modes.replace(LAW, [1, 5, 20], 400), {"samples": 300}),
    "replace, flat": (modes.replace(modes.zipf(1.1), 6, 300), {}),
    "mix": (modes.mix(LAW, 10, 400, [0.02, 0.3]), {"samples": 300}),
    "accumulate": (modes.accumulate(LAW, [2, 12], 200), {"samples": 200}),
    "grow": (modes.grow(LAW, [2, 6], 200, 1.5), {}),
    "unequal": (modes.graph(LAW, [300, 80, 500], [None, {0: 1.0}, {1: 1.0}]), {}),
    "teachers": (modes.graph(LAW, [300, 200, 200], [None, None, {0: 0.4, 1: 0.4, "real": 0.2}]), {}),
    "cut": (modes.mix(modes.zipf(1.5, cut=30), 5, 300, 0.1), {}),
    "narrowed": (modes.mix(modes.zipf(1.3, exponent=1.8), 5, 300, 0.1), {"samples": 300}),
    "smoothed": (modes.replace(FINITE, [1, 6], 500), {"smoothing": 0.1, "samples": 400}),
    "smoothed pool": (modes.accumulate(FINITE, 8, 200), {"smoothing": 0.5}),
}


@pytest.mark.parametrize("name", LOOPS)
def test_runs_agree(name):
    loop, options = LOOPS[name]
    agreement = loop.crosscheck(300, 3, budget=0.001, **options)
    assert agreement.verdict == "agrees", str(agreement)


def test_wrong_theories_are_rejected():
    loop = modes.replace(LAW, 5, 400)
    late, no_variance = modes.replace(LAW, 6, 400), LAW.modes(loop.founders.mean)
    for wrong in ({"alive": late.alive}, {"missing_mass": late.missing_mass()}, {"entropy": late.entropy},
                  {"founders": late.founders.mean}):  # fmt: skip
        assert loop.crosscheck(300, 3, budget=0.001, predicted=wrong).verdict == "disagrees"
    assert abs(no_variance / loop.alive - 1) > 1e-4
    few = modes.replace(LAW, 5, 400).crosscheck(4, 0, budget=0.001, predicted={"founders": loop.founders.mean})
    assert few.verdict in ("agrees", "undecided")


def test_the_variance_of_the_founders_is_that_of_runs():
    """A sample variance of 800 runs is known to 5 %: five of these."""
    loop = modes.mix(LAW, [3, 10], 300, 0.05)
    found = loop.simulate(800, 5).founders.draws.var(-1)
    assert (abs(found / loop.founders.variance - 1) < 0.25).all()


def test_runs_are_reproducible_and_grids_are_their_points():
    loop = modes.replace(LAW, [2, 4], 100)
    once, again = loop.simulate(20, 7), loop.simulate(20, 7)
    np.testing.assert_array_equal(once.alive.draws, again.alive.draws)
    assert not np.array_equal(once.alive.draws, loop.simulate(20, 8).alive.draws)
    assert once.alive.shape == (2,)
    assert once.perplexity is None
    assert "alive=Estimate" in repr(once)


def test_loops_compare_pickle_and_show_themselves():
    loops = [loop for loop, _ in LOOPS.values()]
    for loop in loops:
        twin = pickle.loads(pickle.dumps(loop))
        assert twin == loop
        assert hash(twin) == hash(loop)
        assert len(repr(loop)) < 120
    assert len({*loops}) == len(loops)
    assert modes.replace(LAW, 3, 10) != modes.replace(LAW, 3, 11)
    assert repr(modes.mix(LAW, 3, 1000, 0.25)) == "mix(zipf(1.5), generations=3, samples=1000, real_share=0.25)"
    assert repr(modes.grow(LAW, [3, 4], 100, 2)) == "grow(zipf(1.5), generations=<2 grid>, samples=100, rate=2)"


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda: modes.replace(LAW, 3, 100).simulate(1), "runs = 1"),
    (lambda: modes.replace(LAW, 3, 100.5).simulate(10), "samples = 100.5.*whole"),
    (lambda: modes.replace(LAW, 3, 100).simulate(10, -1), "seed = -1"),
    (lambda: modes.replace(LAW, 3, 100).simulate(10, samples=0.5), "samples = 0.5"),
    (lambda: modes.replace(LAW, 3, 100).crosscheck(10, budget=2), "budget = 2"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


SLOW = [
    (modes.replace(modes.zipf(beta), [1, 3, 10, 30], 1000), 600) for beta in (1.5, 2.5)
] + [
    (modes.mix(modes.zipf(beta), [3, 30], 1000, [[0.01], [0.1], [0.5]]), 600) for beta in (1.5, 2.5)
] + [
    (modes.accumulate(modes.zipf(beta), [3, 10], 1000), 600) for beta in (1.5, 2.5)
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("loop", "runs"), SLOW)
def test_larger_runs_agree_within_one_percent(loop, runs):
    agreement = loop.crosscheck(runs, 11, budget=0.001, samples=1000)
    assert agreement.verdict == "agrees", str(agreement)
    for name in ("alive", "missing_mass"):
        found = getattr(agreement.estimate, name)
        far = abs(found.mean / agreement.prediction[name] - 1) - 4 * found.standard_error / found.mean
        assert (far < 0.01).all()


WIDE = modes.zipf(1.2, size=1000)
LOSSES = {
    "replace": (modes.replace(WIDE, [1, 10, 30], [[500], [3000]]), 0.01),
    "mix": (modes.mix(WIDE, 20, 1000, [0.05, 0.3]), 0.1),
    "accumulate": (modes.accumulate(WIDE, [3, 20], 500), 1.0),
    "unequal": (modes.graph(WIDE, [500, 3000, 800, 2000], [None, {0: 1.0}, {1: 1.0}, {2: 1.0}]), 0.1),
    "smoothed": (modes.replace(WIDE, [3, 20], 1000, smoothing=0.05), 0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_wide_laws(name):
    """The loss beyond the entropy to 1.5 % and four standard errors."""
    loop, smoothing = LOSSES[name]
    agreement = loop.crosscheck(200, 21, budget=0.001, smoothing=smoothing)
    found, predicted = agreement.estimate.log_loss, agreement.prediction["log_loss"]
    excess = predicted - WIDE.entropy
    far = abs(found.mean - predicted) / excess
    assert (far < 0.015 + 4 * found.standard_error / excess).all()
    assert agreement.verdict != "disagrees", str(agreement)


@pytest.mark.slow
def test_the_mixture_again_to_two_in_a_thousand():
    agreement = modes.mix(LAW, 30, 1000, 0.1).crosscheck(4000, 12, budget=0.001)
    assert agreement.verdict == "agrees", str(agreement)
    assert abs(agreement.estimate.founders.mean / agreement.prediction["founders"] - 1) < 2e-3
    spread = agreement.estimate.alive.draws.var()
    founders, law = agreement.loop.founders, LAW
    poisson = law.modes(2 * founders.mean) - law.modes(founders.mean)
    predicted = poisson - (founders.mean - founders.variance) * law.missing_mass(founders.mean) ** 2
    assert abs(spread / predicted - 1) < 0.15
