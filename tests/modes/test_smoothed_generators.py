"""Generators that add a count to every symbol, against transition matrices of the smoothed chain itself."""

import numpy as np
import pytest
from scipy.stats import binom

import modelcollapse as mc
from modelcollapse.theory import catalogue

modes = mc.modes
P = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
LAW = modes.frequencies(P)


def counts_law(p, generations, items, smoothing):
    """The law of a symbol's number in the last generation: each is drawn with (N + s)/(M + sV)."""
    numbers = np.arange(items + 1)
    law = binom.pmf(numbers, items, p)
    for _ in range(generations - 1):
        law = law @ binom.pmf(numbers, items, ((numbers + smoothing) / (items + smoothing * len(P)))[:, None])
    return law


def summed(function, generations, items, smoothing):
    return sum(counts_law(p, generations, items, smoothing) @ function(np.arange(items + 1), p) for p in P)


@pytest.mark.parametrize(("generations", "smoothing"), [(2, 0.5), (6, 0.1), (6, 2.0), (40, 1.0)])
def test_numbers_are_those_of_the_smoothed_chain(generations, smoothing):
    """The diversity exactly; what two moments of the founders give to 6e-4, the loss above the entropy to 1 %."""
    items = 60
    loop, plain = modes.replace(LAW, generations, items, smoothing=smoothing), modes.replace(LAW, generations, items)
    exact = {
        "alive": summed(lambda n, p: n > 0, generations, items, smoothing),
        "missing_mass": summed(lambda n, p: p * (n == 0), generations, items, smoothing),
        "entropy": -summed(lambda n, p: n / items * np.log(np.maximum(n, 1) / items), generations, items, smoothing),
    }
    cross = -summed(lambda n, p: n / items * np.log(p), generations, items, smoothing)
    exact["divergence"] = cross - exact["entropy"]
    for name, value in exact.items():
        found, copied = (x.missing_mass() if name == "missing_mass" else getattr(x, name) for x in (loop, plain))
        assert abs(found - value) < 6e-4 * (1 + value), name
        assert abs(copied - value) > 6e-4 * (1 + value), name
    assert abs(loop.diversity - (1 - summed(lambda n, p: (n / items) ** 2, generations, items, smoothing))) < 1e-13
    loss = summed(lambda n, p: -p * np.log((n + 0.3) / (items + 0.3 * len(P))), generations, items, smoothing)
    assert abs(loop.log_loss(None, 0.3) - loss) < 1e-2 * (loss - LAW.entropy)


def test_lineages_are_those_of_the_records():
    """The share of uniform draws, and a symbol that neither kind of lineage shows."""
    loop = modes.replace(LAW, 9, 300, smoothing=0.7)
    share = float(catalogue["smoothing_share"].evaluate(draws=300, smoothing=0.7, modes=6))
    assert abs(loop.fresh_share - share) < 1e-15
    founders = modes.replace(LAW, 9, 300, smoothing=5.0).founders
    unseen = catalogue["smoothed_mode_unseen"].evaluate(
        probability=0.01, founders=founders.start, uniform_founders=founders.real, modes=6
    )
    exact = counts_law(0.01, 9, 300, 5.0)[0]
    assert abs(float(unseen) - exact) < 2e-3
    assert abs(0.99**founders.start - exact) > 0.1  # without the uniform lineages


def test_no_smoothing_is_replacing_and_grids_are_points():
    law = modes.zipf(1.2, size=[50, 400])
    grid = modes.replace(law, [[3], [9], [20]], 200, smoothing=0.4)
    assert grid.alive.shape == (3, 2)
    one = modes.replace(modes.zipf(1.2, size=400), 9, 200, smoothing=0.4)
    for name in ("alive", "entropy", "divergence", "diversity"):
        assert abs(getattr(grid, name)[1, 1] / getattr(one, name) - 1) < 1e-12
    assert repr(one) == "replace(zipf(1.2, size=400), generations=9, samples=200, smoothing=0.4)"
    assert modes.replace(law, 3, 200, smoothing=0.0) == modes.replace(law, 3, 200)


def test_real_runs_agree_and_a_loop_that_copies_does_not():
    loop = modes.replace(modes.zipf(1.0, size=300), [2, 10], 400, smoothing=[[0.05], [0.5]])
    agreement = loop.crosscheck(300, 5, budget=0.001, smoothing=0.1)
    assert agreement.verdict == "agrees", str(agreement)
    wrong = {"alive": modes.replace(modes.zipf(1.0, size=300), [2, 10], 400).alive}
    assert loop.crosscheck(50, 5, budget=0.001, predicted=wrong).verdict == "disagrees"


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda: modes.replace(modes.zipf(1.5), 3, 100, smoothing=0.1), "give a finite law that is its own truth"),
    (lambda: modes.replace(LAW.cut(3), 3, 100, smoothing=0.1), "give a finite law that is its own truth"),
    (lambda: modes.replace(modes.ngrams("a b a c a b", 2), 3, 100, smoothing=0.1), "contexts.*single words"),
    (lambda: modes.replace(LAW, 3, 100, smoothing=-1), "smoothing = -1"),
    (lambda: modes.replace(LAW, 3, 100, smoothing=0.1).total_variation, "is not known; give a loop of replace"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
