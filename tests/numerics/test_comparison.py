"""Replace, accumulate, mix, subsample at equal budget: the laws of least squares, and bounds."""

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.numerics.questions.strategies_compared import compare_strategies

D, ROWS, NOISE = 20, 1000, 0.1
FIRST = NOISE**2 * D / (ROWS - D)


@pytest.fixture(scope="module")
def found():
    return compare_strategies(mc.isotropic(D), 12, ROWS, NOISE, real_share=0.5)


def test_budgets_are_equal_and_the_first_round_is_one_fit(found):
    assert found.budget.tolist() == [ROWS * n for n in range(1, 13)]
    for errors in (found.replace, found.accumulate, found.mix, found.subsample):
        assert errors[0] == pytest.approx(FIRST, rel=1e-12)


def test_replacing_grows_by_the_first_error_each_round(found):
    np.testing.assert_allclose(found.replace, FIRST * np.arange(1, 13), rtol=1e-12)


def test_accumulating_pays_for_every_row_it_trains_on_again(found):
    """Round g adds σ²(T/N)·d/(N − d), N = gT; k rounds cost k(k + 1)/2 times T rows."""
    adds = [NOISE**2 / g * D / (g * ROWS - D) for g in range(1, 5)]
    rounds = [sum(k * (k + 1) / 2 <= n for k in range(1, 5)) for n in range(1, 13)]
    np.testing.assert_allclose(found.accumulate, np.cumsum(adds)[np.array(rounds) - 1], rtol=1e-12)


def test_mixing_approaches_its_fixed_point(found):
    """[DFSK]: the share q = 1 − p of labels with error c² adds (q² + pq·φ/(1 − φ))c²."""
    gain = 0.25 + 0.25 * D / (ROWS - D)
    np.testing.assert_allclose(found.mix, FIRST * np.cumsum(gain ** np.arange(12)), rtol=1e-10)


def test_mixing_is_the_loop_of_its_fits():
    """Round by round, each predicted by itself; the last round alone is not the others."""
    law, rows, share = mc.power_law(1.5, 0.5, dim=60), np.array([40, 90]), np.array([0.2, 0.6])
    mixed = mc.compare_strategies(law, 5, rows, 0.3, 0.01, real_share=share).mix
    model = w0 = mc.truth(law)
    for k in range(5):
        model = mc.fit(w0.label(rows * share, 0.3), model.label(rows * (1 - share), 0.3), ridge=0.01)
        np.testing.assert_allclose(mixed[:, k], mc.predict(model).test_error, rtol=1e-13)
    assert np.all(np.abs(mixed[:, 0] / mixed[:, -1] - 1) > 0.1)


def test_the_bounds_of_the_literature(found):
    assert found.accumulate[-1] < np.pi**2 / 6 * FIRST < found.replace[-1]
    assert found.mix[-1] < found.accumulate[-1]
    assert found.real_rows["mix"][-1] == 6500
    assert found.real_rows["accumulate"][-1] == found.real_rows["subsample"][-1] == ROWS


def test_subsampling_approaches_its_law_for_many_rows():
    many = compare_strategies(mc.isotropic(D), 12, 1e7, NOISE)
    np.testing.assert_allclose(
        many.subsample / many.replace[0], mc.workflow_factor("subsample", np.arange(1, 13)), rtol=1e-5
    )
    np.testing.assert_allclose(many.accumulate[-3] / many.replace[0], mc.workflow_factor("accumulate", 4), rtol=1e-5)


def test_grids_stand_before_the_budgets():
    grid = compare_strategies(mc.power_law(1.5, 0.5), 2, [200, 400, 800], NOISE, ridge=[[1e-3], [np.inf]])
    assert grid.mix.shape == grid.budget.shape == (2, 3, 2)
    single = compare_strategies(mc.power_law(1.5, 0.5), 2, 800, NOISE, ridge=1e-3)
    for name, column in single.to_dict().items():
        np.testing.assert_allclose(grid.to_dict()[name][0, 2], column, rtol=1e-12)
    np.testing.assert_allclose(grid.accumulate[..., 0], grid.replace[..., 0], rtol=1e-12)
    np.testing.assert_allclose(grid.mix[..., 0], grid.replace[..., 0], rtol=1e-12)
    np.testing.assert_allclose(grid.subsample[..., 0], grid.replace[..., 0], rtol=1e-12)
    np.testing.assert_allclose(grid.subsample[1], mc.power_law(1.5, 0.5).label_variance, rtol=1e-12)
    np.testing.assert_allclose(grid.replace[1], mc.power_law(1.5, 0.5).label_variance)
    with pytest.raises(ValueError, match="one problem at a time"):
        grid.strategies_plot()


def test_the_picture_has_a_line_for_each(found):
    ax = found.strategies_plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["replace", "accumulate", "mix", "subsample"]
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), found.accumulate)
    assert [line.get_drawstyle() for line in ax.get_lines()] == ["default", "steps-post", "default", "default"]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="rounds = 0"):
        compare_strategies(mc.isotropic(D), 0, ROWS, NOISE)
    with pytest.raises(ValueError, match=r"real_share = 1\.5"):
        compare_strategies(mc.isotropic(D), 2, ROWS, NOISE, real_share=1.5)
    with pytest.raises(TypeError, match="one number"):
        compare_strategies(mc.isotropic(D), [2, 3], ROWS, NOISE)
