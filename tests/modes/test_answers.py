"""Answers in one number, against runs of the recursion and the stated tables."""

import numpy as np
import pytest

import modelcollapse as mc

modes = mc.modes


@pytest.mark.parametrize(("beta", "generations"), [(1.05, 3), (1.2, 4), (1.5, 5), (2.0, 7), (3.0, 15)])
def test_half_of_the_modes_are_gone_whatever_the_samples(beta, generations):
    assert modes.half_life(modes.zipf(beta), 1e8) == generations
    alive = modes.replace(modes.zipf(beta), [1, generations - 1, generations], 1e8).alive
    assert alive[1] > alive[0] / 2 >= alive[2]


def test_half_life_of_equal_modes():
    """About 2M/(V ln 2), up to 7 % early; many generations in one stride are as good as one by one."""
    law = modes.frequencies(np.full(20, 1 / 20))
    samples = np.array([500, 5000, 50_000])
    found = modes.half_life(law, samples)
    assert (abs(found / (2 * samples / (20 * np.log(2))) - 1) < 0.07).all()
    path = modes.replace(law, np.arange(600, 900), 5000).alive
    assert abs(found[1] / (600 + np.argmax(path <= 10.0)) - 1) < 5e-3


SHARES = {1.1: (0.85, 0.13), 1.5: (0.82, 0.08), 2.0: (0.80, 0.05), 3.0: (0.75, 0.02)}


@pytest.mark.parametrize("beta", SHARES)
def test_real_data_that_keep_modes_for_ever(beta):
    found = modes.real_share_for(modes.zipf(beta), 1e6, [0.99, 0.5])
    assert (abs(found - SHARES[beta]) < 0.005).all()


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.2])
def test_the_share_keeps_what_was_asked(keep):
    law = modes.zipf(1.5)
    share = modes.real_share_for(law, 1000, keep)
    assert abs(modes.mix(law, 600, 1000, share).alive / law.modes(1000) / keep - 1) < 5e-4
    assert abs(modes.mix(law, 600, 1000, 1.01 * share).alive / law.modes(1000) / keep - 1) > 5e-4


def test_gini_cannot_see_the_tail():
    """50 real draws a generation keep 99 % of the diversity, whatever M, where the modes need most of the draws."""
    law, samples = modes.zipf(1.5), np.array([1e3, 1e5, 1e7])
    share = modes.real_share_for(law, samples, of="diversity")
    np.testing.assert_allclose(share * samples, 50, rtol=0.03)
    rest = modes.mix(law, 2000, 1000, share[0]).diversity
    assert abs(rest / law.diversity - 0.99) < 1e-6
    assert (modes.real_share_for(law, samples) > 0.8).all()


def test_growth_keeps_what_was_asked():
    law = modes.zipf(1.5)
    survival = 0.9**1.5
    assert abs(modes.growth_for(law, 1e8, 0.9) / (-np.log1p(-survival) / survival) - 1) < 1e-3
    rate = modes.growth_for(law, 1000, [0.5, 0.9])
    np.testing.assert_allclose(modes.grow(law, 120, 1000, rate).alive / law.modes(1000), [0.5, 0.9], rtol=2e-3)


def test_a_plateau_begins_at_the_floor_and_ends_with_the_real_data():
    law = modes.zipf([1.2, 1.5, 2.0], cut=100)
    flat = modes.plateau(law, 0.001)
    np.testing.assert_allclose(flat.end / flat.begin, 1000)
    assert (flat.missing_mass / flat.floor < 1.1).all()
    after = law.missing_mass(100 * flat.end, real_share=0.001)
    assert (after < 0.6 * flat.floor).all()
    known = modes.plateau(modes.zipf(1.5), 0.01, generator_samples=1000)
    assert known.begin == 1000
    assert known.end == 1e5
    assert 0.75 < known.missing_mass / known.floor < 1


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda law: modes.half_life(law, 1), "samples = 1"),
    (lambda law: modes.half_life(modes.frequencies([0.5, 0.5]), 100), "is one, never lost"),
    (lambda law: modes.half_life(modes.zipf([1.5, 2.0]), 100), "grid of shape"),
    (lambda law: modes.real_share_for(law, 100, keep=1), "keep = 1"),
    (lambda law: modes.real_share_for(law, 100, of="entropy"), "neither 'modes' nor 'diversity'"),
    (lambda law: modes.growth_for(law, 100, keep=0), "keep = 0"),
    (lambda law: modes.plateau(law, 0.1), "no plateau of its own"),
    (lambda law: modes.plateau(modes.zipf(1.5, cut=10), 0), "real_share = 0"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong(modes.zipf(1.5))
