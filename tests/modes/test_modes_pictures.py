"""Pictures of loops show their numbers."""

import numpy as np
import pytest

import modelcollapse as mc

LAW, K = mc.modes.zipf(1.5), [1, 3, 9]


@pytest.mark.parametrize("number", ["alive", "missing_mass", "entropy", "divergence", "diversity", "founders"])
def test_lines_are_the_loop(number):
    loop = mc.modes.replace(LAW, K, 300)
    ax = mc.plot.modes_left(loop, number=number)
    expected = {"missing_mass": loop.missing_mass(), "founders": loop.founders.mean}.get(number)
    expected = getattr(loop, number) if expected is None else expected
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), expected)
    assert ax.get_xlabel() == "generations"


def test_points_are_the_simulation():
    loop = mc.modes.accumulate(LAW, K, 100)
    found = loop.simulate(20)
    ax = mc.plot.modes_left({"pool": loop}, simulated={"pool": found})
    assert ax.get_xlabel() == "rounds"
    np.testing.assert_array_equal(ax.containers[0][0].get_ydata(), found.alive.mean)


def test_ranks_before_and_after():
    ax = mc.plot.rank_frequency(mc.modes.replace(LAW, 5, 300), seed=1)
    law, left = ax.get_lines()
    np.testing.assert_allclose(law.get_ydata()[:3] / law.get_ydata()[0], np.array([1.0, 2, 3]) ** -1.5)
    assert abs(left.get_ydata().sum() - 1) < 1e-12
    assert (np.diff(left.get_ydata()) <= 0).all()
    plain = mc.plot.rank_frequency(mc.modes.replace(mc.modes.counts([3, 9]), 2, 12))
    np.testing.assert_allclose(plain.get_lines()[0].get_ydata(), [0.75, 0.25])


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda: mc.plot.modes_left(mc.modes.replace(LAW, 3, 100)), "one and the same list of generations"),
    (lambda: mc.plot.modes_left({"a": mc.modes.replace(LAW, K, 100), "b": mc.modes.replace(LAW, [1, 2, 3], 100)}),
     "the loop 'b'"),
    (lambda: mc.plot.modes_left(mc.modes.replace(LAW, K, 100), number="size"), "number = 'size'"),
    (lambda: mc.plot.rank_frequency(mc.modes.replace(LAW, K, 100)), "grid of shape"),
])  # fmt: skip
def test_bad_input_gets_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
