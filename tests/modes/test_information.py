"""Entropy, divergence, diversity and loss of a loop: against exact binomial sums and transition matrices."""

import numpy as np
import pytest
from scipy.special import zeta
from scipy.stats import binom
from wright_fisher import counts_law

import modelcollapse as mc

modes = mc.modes
P = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
LAW = modes.frequencies(P)


def summed(function, sizes, share=0.0, learner=None):
    """Σ_i E f(N_i, p_i) over the exact law of the number of each symbol in the last generation, or of a learner's."""
    total = 0.0
    for p in P:
        law = counts_law(p, sizes, share)
        if learner is not None:
            law = law @ binom.pmf(np.arange(learner + 1), learner, np.arange(sizes[-1] + 1)[:, None] / sizes[-1])
        total += law @ function(np.arange(len(law)), p)
    return total


def entropy_of(items):
    return lambda n, p: -np.where(n > 0, n / items * np.log(np.maximum(n, 1) / items), 0.0)


@pytest.mark.parametrize(
    ("generations", "share", "budget"), [(1, 0.0, 2e-5), (2, 0.0, 6e-5), (6, 0.0, 4e-4), (6, 0.2, 2e-4)]
)
def test_entropy(generations, share, budget):
    exact = summed(entropy_of(80), [80] * generations, share)
    loop = modes.mix(LAW, generations, 80, share)
    assert abs(loop.entropy / exact - 1) < budget
    assert abs(loop.divergence - (LAW.entropy - loop.entropy)) < 1e-14
    assert abs(modes.mix(LAW, generations + 1, 80, share).entropy / exact - 1) > budget


@pytest.mark.parametrize(("generations", "share"), [(1, 0.0), (2, 0.0), (7, 0.0), (7, 0.3)])
def test_diversity_is_exact(generations, share):
    pairs = summed(lambda n, p: (n / 40) ** 2, [40] * generations, share)
    assert abs(modes.mix(LAW, generations, 40, share).diversity - (1 - pairs)) < 1e-13


@pytest.mark.parametrize(("generations", "share"), [(1, 0.0), (2, 0.0), (5, 0.0), (5, 0.3)])
@pytest.mark.parametrize("smoothing", [0.01, 1.0])
@pytest.mark.parametrize("learner", [None, 50])
def test_loss_of_a_smoothed_learner(generations, share, smoothing, learner):
    """Exact for the counts of generation 1; else two moments of the founders cost 1 % of the loss above H at most."""
    draws = learner or 60

    def loss(n, p):
        return -p * np.log((n + smoothing) / (draws + smoothing * len(P)))

    exact = summed(loss, [60] * generations, share, learner)
    loop = modes.mix(LAW, generations, 60, share)
    budget = 1e-12 if generations == 1 and learner is None else 8e-3 * (exact - LAW.entropy)
    assert abs(loop.log_loss(learner, smoothing) - exact) < budget
    assert abs(modes.mix(LAW, generations + 1, 60, share).log_loss(learner, smoothing) - exact) > budget
    assert loop.perplexity(learner, smoothing) == np.exp(loop.log_loss(learner, smoothing))


def test_one_generation_of_a_large_law_against_the_binomial_sum():
    size, samples, smoothing = 500, 300, 0.05
    law = modes.zipf(1.2, size=size)
    p = np.arange(1.0, size + 1) ** -1.2
    p /= p.sum()
    n = np.arange(samples + 1)
    direct = np.log(samples + smoothing * size) - np.sum(
        p * (binom.pmf(n, samples, p[:, None]) @ np.log(n + smoothing))
    )
    assert abs(modes.replace(law, 1, samples).log_loss(None, smoothing) / direct - 1) < 1e-12
    pool = modes.accumulate(law, 1, samples).log_loss(None, smoothing)
    assert abs(pool / direct - 1) < 1e-12


def test_entropy_lost_is_missing_mass_times_a_constant():
    """ρ_1 after one generation, and β²/(β-1) while 1 ≪ k ≪ M."""
    for beta, first in ((1.2, 6.68), (1.5, 3.84), (2.0, 3.10), (3.0, 3.10)):
        one = modes.replace(modes.zipf(beta), 1, 1e6)
        assert abs(one.divergence / one.missing_mass() / first - 1) < 0.01
        many = modes.replace(modes.zipf(beta), 400, 1e7)
        assert abs(many.divergence / many.missing_mass() / (beta**2 / (beta - 1)) - 1) < 0.03


def test_a_fixed_smoothing_of_a_growing_pool_raises_its_perplexity():
    """By the missing mass of the first round for every e-fold of rounds, and not if it grows with the rounds."""
    law, samples = modes.zipf(1.5, size=1000), 1000
    loss = modes.accumulate(law, [100, 1000], samples).log_loss(None, 0.1)
    slope = (loss[1] - loss[0]) / np.log(10)
    assert abs(slope / law.missing_mass(samples) - 1) < 0.03
    grown = modes.accumulate(law, [100, 1000], samples).log_loss(None, np.array([10.0, 100.0]))
    assert abs(grown[1] - grown[0]) < 0.02 * slope


def test_entropy_of_the_truth_of_a_cut_law_is_what_divergence_measures():
    law = modes.zipf(1.5, cut=30)
    p = np.arange(1.0, 31) ** -1.5
    p /= p.sum()
    q = np.arange(1.0, 31) ** -1.5 / zeta(1.5)
    loop = modes.replace(law, 4, 200)
    assert abs(loop.divergence + loop.entropy + np.sum(p * np.log(q))) < 1e-10
    mixed = modes.mix(law, 400, 200, 0.1)
    assert abs(mixed.divergence + mixed.entropy - modes.zipf(1.5).entropy) < 1e-10


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda: modes.replace(modes.zipf(1.5), 2, 100).perplexity(), "infinitely many symbols.*size=10000"),
    (lambda: modes.replace(LAW, 2, 100).perplexity(size=5), "size = 5 is below the 6 symbols"),
    (lambda: modes.replace(LAW, 2, 100).perplexity(smoothing=0), "smoothing = 0"),
    (lambda: modes.replace(LAW, 0, 100), "generations = 0"),
    (lambda: modes.replace(LAW, 1.5, 100), "generations = 1.5"),
    (lambda: modes.replace(LAW, 3, 1), "samples = 1"),
    (lambda: modes.mix(LAW, 3, 10, -0.1), "real_share = -0.1"),
    (lambda: modes.grow(LAW, 30, 10, 0.5), r"samples \* rate\^\(generations - 1\)"),
    (lambda: modes.accumulate(LAW, 2.5, 10), "rounds = 2.5"),
    (lambda: modes.graph(LAW, [10, 10], [None]), "teachers 1 entries"),
    (lambda: modes.graph(LAW, [10, 10], [None, {1: 1.0}]), r"teachers\[1\] names 1"),
    (lambda: modes.graph(LAW, [10, 10], [None, {0: 0.6}]), "sum 0.6"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_a_law_is_needed():
    with pytest.raises(TypeError, match="law is a list; give zipf"):
        modes.replace([0.5, 0.5], 2, 100)  # pyright: ignore
