"""Founders against exact occupancy chains and transition matrices: moments, and every functional of them."""

import numpy as np
import pytest
from wright_fisher import counts_law, founders_law, unseen_by_founders

import modelcollapse as mc
from modelcollapse.numerics.modes.founders import log_miss

modes = mc.modes


@pytest.mark.parametrize("sizes", [(30, 30, 30, 30), (20, 80, 35, 50)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_what_is_unseen_is_what_the_founders_have_not_shown(sizes, share):
    """The duality, for every p: transition matrices of counts against occupancy laws, and moments against both."""
    for p in (0.01, 0.1, 0.4):
        exact = counts_law(p, sizes, share)[0]
        assert abs(unseen_by_founders(p, sizes, share) / exact - 1) < 2e-13
        teachers = [None] + [{g: 1 - share, "real": share} for g in range(len(sizes) - 1)]
        founders = modes.graph(modes.frequencies([p, 1 - p]), sizes, teachers).founders
        by_moments = np.exp(log_miss(founders.mean, founders.variance, p))
        assert abs(by_moments - exact) < 6e-4
        assert abs(np.exp(log_miss(founders.mean + 1, founders.variance, p)) - exact) > 6e-4 or p * exact < 1e-3


@pytest.mark.parametrize("generations", [2, 3, 10, 30])
def test_two_moments_of_the_founders(generations):
    items, numbers = 1000, np.arange(1001.0)
    law = founders_law(items, generations)
    mean = law @ numbers
    variance = law @ (numbers - mean) ** 2
    founders = modes.replace(modes.zipf(1.5), generations, items).founders
    assert abs(founders.mean / mean - 1) < 3e-5
    assert abs(founders.variance / variance - 1) < 4e-3
    for beta in (1.2, 1.5, 2.5):
        truth = law @ modes.zipf(beta).modes(numbers)
        loop = modes.replace(modes.zipf(beta), generations, items)
        assert abs(loop.alive / truth - 1) < 4e-5
        assert abs(loop.missing_mass() / (law @ modes.zipf(beta).missing_mass(numbers)) - 1) < 4e-5
    mean_only = modes.zipf(1.2).modes(founders.mean)
    assert abs(mean_only / (law @ modes.zipf(1.2).modes(numbers)) - 1) > 1e-5


@pytest.mark.parametrize(("generations", "budget"), [(100, 2e-3), (300, 6e-3), (1500, 2e-3)])
def test_a_long_loop_ends_at_one_founder(generations, budget):
    """300 draws: worst where three or so are left; right again at the end."""
    items, numbers = 300, np.arange(301.0)
    law = founders_law(items, generations)
    loop = modes.replace(modes.zipf(1.5), generations, items)
    assert abs(loop.founders.mean / (law @ numbers) - 1) < budget
    assert abs(loop.alive / (law @ modes.zipf(1.5).modes(numbers)) - 1) < budget
    assert abs(loop.missing_mass() / (law @ modes.zipf(1.5).missing_mass(numbers)) - 1) < budget
    assert loop.alive >= 1 - 1e-12


def test_the_first_hit_is_exact():
    """Of T draws from generation 1, the founders have occupancy's own mean and variance."""
    items, draws = 40, 25
    x = [1 - j / items for j in (1, 2)]
    mean = items * (1 - x[0] ** draws)
    variance = items * x[0] ** draws + items * (items - 1) * x[1] ** draws - items**2 * x[0] ** (2 * draws)
    founders = modes.replace(modes.zipf(1.5), 1, items).founders_of(draws)
    assert abs(founders.mean - mean) < 1e-12
    assert abs(founders.variance - variance) < 1e-12


def graphs():
    law = modes.zipf(1.5)
    chain = [None, {0: 1.0}, {1: 1.0}, {2: 1.0}]
    yield modes.replace(law, 4, 300), modes.graph(law, [300] * 4, chain)
    yield modes.grow(law, 4, 100, 1.5), modes.graph(law, 100 * 1.5 ** np.arange(4), chain)
    mixed = [None] + [{g: 0.7, "real": 0.3} for g in range(3)]
    yield modes.mix(law, 4, 300, 0.3), modes.graph(law, [300] * 4, mixed)
    yield modes.mix(modes.zipf(1.5, cut=20), 4, 300, 0.3), modes.graph(modes.zipf(1.5, cut=20), [300] * 4, mixed)


@pytest.mark.parametrize(("loop", "graph"), list(graphs()))
def test_every_loop_is_a_graph(loop, graph):
    for name in ("alive", "entropy", "divergence", "diversity"):
        assert abs(getattr(loop, name) / getattr(graph, name) - 1) < 1e-10
    for draws in (None, 500):
        assert abs(loop.missing_mass(draws) / graph.missing_mass(draws) - 1) < 1e-10
        assert abs(loop.founders_of(draws).variance - graph.founders_of(draws).variance) < 1e-8


def test_a_sample_of_a_pool_is_a_sample_of_a_graph():
    law, rounds = modes.zipf(1.5), 4
    teachers = (
        [None] + [{h: 1 / g for h in range(g)} for g in range(1, rounds)] + [{h: 1 / rounds for h in range(rounds)}]
    )
    graph = modes.graph(law, [200] * rounds + [350], teachers)
    pool = modes.accumulate(law, rounds, 200)
    assert abs(pool.founders_of(350).mean - graph.founders.mean) < 1e-9
    assert abs(pool.founders_of(350).variance - graph.founders.variance) < 1e-9
    assert abs(pool.missing_mass(350) - graph.missing_mass()) < 1e-12


def test_grids_are_points_one_by_one():
    generations, samples, betas = np.array([1, 3, 7]), np.array([[50.0], [400.0]]), np.array([[[1.3]], [[2.0]]])
    grid = modes.mix(modes.zipf(betas), generations, samples, 0.1)
    assert grid.shape == grid.alive.shape == grid.divergence.shape == grid.diversity.shape == (2, 2, 3)
    one = modes.mix(modes.zipf(1.3), 7, 400, 0.1)
    for name in ("alive", "entropy", "divergence", "diversity"):
        assert abs(getattr(grid, name)[0, 1, 2] - getattr(one, name)) < 1e-11
    assert abs(grid.missing_mass(100)[0, 1, 2] - one.missing_mass(100)) < 1e-13
    pools = modes.accumulate(modes.zipf(1.5), [1, 4], 100)
    assert abs(pools.missing_mass(50)[1] - modes.accumulate(modes.zipf(1.5), 4, 100).missing_mass(50)) < 1e-14


@pytest.mark.parametrize(("generations", "budget"), [(2, 0.043), (10, 4e-3), (30, 6.1e-4)])
def test_survival_of_large_generations(generations, budget):
    """Modes alive: b = M g_k with g_{k+1} = 1 - e^{-g_k}, whose inverse is k/2 + ln(k)/6 + 0.3991."""
    g = 1.0
    for _ in range(generations - 1):
        g = -np.expm1(-g)
    items = 1e9
    assert abs(modes.replace(modes.zipf(1.5), generations, items).founders.mean / items / g - 1) < 1e-8
    assert abs(g * (generations / 2 + np.log(generations) / 6 + 0.3991) - 1) < budget


def test_shares_of_founders_that_real_data_keep():
    """R(α) of a mixture at rest, and Ewens' 2α ln(1 + 1/2α) for small α."""
    items = 1e6
    for share, kept in ((0.001, 0.0126), (0.01, 0.0813), (0.1, 0.400), (0.2, 0.587), (0.5, 0.870), (0.9, 0.995)):
        rest = modes.mix(modes.zipf(1.5), int(5 / share), items, share).founders.mean / items
        assert abs(rest - kept) < 6e-4
        if share <= 0.1:
            ewens = 2 * share * np.log1p(1 / (2 * share))
            assert abs(ewens / rest - 1) < {0.001: 0.025, 0.01: 0.05, 0.1: 0.115}[share]


def test_growth_keeps_the_survivors_of_a_supercritical_tree():
    for rate, kept in ((1.1, 0.176), (1.5, 0.583), (2.0, 0.797)):
        loop = modes.grow(modes.zipf(1.5), 150 if rate < 1.2 else 40, 1000, rate)
        assert abs(loop.founders.mean / 1000 - kept) < 1.5e-3
