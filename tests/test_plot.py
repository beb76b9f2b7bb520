"""What the pictures show."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import modelcollapse as mc

SAMPLES = np.geomspace(20, 2000, 30)


@pytest.fixture(scope="module")
def prediction():
    return mc.test_error(mc.power_law(1.5, 0.5), SAMPLES, 1e-3, 0.1)


def test_curves_are_the_predictions(prediction):
    ax = mc.plot.error_curves(SAMPLES, {"clean": prediction, "twice": 2 * prediction.test_error})
    one, two = ax.get_lines()
    np.testing.assert_array_equal(one.get_xdata(), SAMPLES)
    np.testing.assert_array_equal(one.get_ydata(), prediction.test_error)
    np.testing.assert_array_equal(two.get_ydata(), 2 * prediction.test_error)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["clean", "twice"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("samples", "test error")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_curves_differ_in_more_than_colour():
    ax = mc.plot.error_curves([1, 2], {str(i): [i, i] for i in range(12)})
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.get_lines()}
    assert len(looks) == 12
    assert len({(line.get_linestyle(), line.get_marker()) for line in ax.get_lines()}) == 12


def test_error_bars_are_two_standard_errors():
    ax = mc.plot.error_curves([1, 10], {"a": [1.0, 2.0]}, measured={"a": ([1.1, 2.2], [0.1, 0.3])})
    bars = ax.containers[0][2][0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.9, 1.3], [1.6, 2.8]])
    assert ax.containers[0][0].get_color() == ax.get_lines()[0].get_color()


def test_measured_points_may_have_their_own_places():
    ax = mc.plot.error_curves([1, 2, 4], {"a": [3, 2, 1]}, measured={"a": ([2], [2.1], [0.1])})
    assert ax.containers[0][0].get_xdata().tolist() == [2]


def test_a_divergence_is_a_gap():
    ax = mc.plot.error_curves([1, 2, 3], {"a": [1.0, np.inf, 1.0]})
    assert np.isnan(ax.get_lines()[0].get_ydata()[1])
    assert np.isfinite(ax.get_ylim()).all()


def test_parts_add_up(prediction):
    ax = mc.plot.error_parts(SAMPLES, prediction)
    total, bias, variance = (line.get_ydata() for line in ax.get_lines())
    np.testing.assert_allclose(bias + variance, total, rtol=1e-10)
    ax = mc.plot.error_parts(SAMPLES, prediction, parts=("clean", "collapse"))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["test error", "clean", "collapse"]


def test_functions_draw_where_they_are_told(prediction):
    first, second = Figure().subplots(1, 2)
    assert mc.plot.error_curves(SAMPLES, {"a": prediction}, ax=first) is first
    assert mc.plot.error_parts(SAMPLES, prediction, ax=second) is second


def test_bands_are_shaded():
    ax = mc.plot.error_curves([1, 2], {"a": [1, 1]}, bands={"a": ([0.9, 0.9], [1.1, 1.1])})
    (band,) = ax.collections
    assert band.get_paths()[0].get_extents().ymin == pytest.approx(0.9)


def test_wrong_lengths_are_named():
    with pytest.raises(ValueError, match="clean has shape"):
        mc.plot.error_curves([1, 2], {"clean": [1, 2, 3]})
    with pytest.raises(ValueError, match="x has shape"):
        mc.plot.error_curves([[1, 2]], {"clean": [1, 2]})
