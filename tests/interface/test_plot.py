"""What the pictures show."""

import numpy as np
import pytest
from matplotlib import color_sequences
from matplotlib.colors import to_hex, to_rgb
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
    """Eight by their line alone, 64 with the colour; markers are for measurements."""
    lines = mc.plot.error_curves([1, 2], {str(i): [i, i] for i in range(64)}).get_lines()
    assert len({str(line._unscaled_dash_pattern) for line in lines[:8]}) == 8
    assert len({(line.get_color(), str(line._unscaled_dash_pattern)) for line in lines}) == 64
    assert {line.get_marker() for line in lines} == {"None"}


def test_one_curve_needs_no_name():
    prediction = mc.test_error(mc.isotropic(20), [30, 60], ridge=0.1, noise=0.5)
    for curve in (prediction, prediction.test_error, prediction.test_error.tolist()):
        ax = mc.plot.error_curves([30, 60], curve)
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), prediction.test_error)
        assert ax.get_legend() is None
    measured = mc.plot.error_curves([30, 60], prediction, measured={"runs": ([1, 2], [0.1, 0.1])})
    assert [text.get_text() for text in measured.get_legend().get_texts()][-1] == "runs"
    with pytest.raises(ValueError, match="curve has shape"):
        mc.plot.error_curves([30, 60, 90], prediction)


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


def test_bands_are_shaded_between_their_edges_in_the_colour_of_their_curve():
    edges = [0.9, 0.8], [1.1, 1.3]
    ax = mc.plot.error_curves([1, 2], {"a": [1, 1], "b": [2, 2]}, bands={"b": edges})
    (band,) = ax.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices}
    assert corners >= {(1, 0.9), (2, 0.8), (1, 1.1), (2, 1.3)}
    assert to_hex(band.get_facecolor()[0]) == to_hex(ax.get_lines()[1].get_color())
    assert band.get_alpha() < 0.5
    with pytest.raises(ValueError, match="'c', which is no curve"):
        mc.plot.error_curves([1, 2], {"a": [1, 1]}, bands={"c": edges})
    with pytest.raises(ValueError, match=r"bands\['a'\] has shape \(3,\)"):
        mc.plot.error_curves([1, 2], {"a": [1, 1]}, bands={"a": ([1, 1], [1, 1, 1])})


def test_wrong_lengths_are_named():
    with pytest.raises(ValueError, match="clean has shape"):
        mc.plot.error_curves([1, 2], {"clean": [1, 2, 3]})
    with pytest.raises(ValueError, match="x has shape"):
        mc.plot.error_curves([[1, 2]], {"clean": [1, 2]})


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def closest(colours):
    """The smallest distance in the unit cube of linear RGB between what normal and colour-blind eyes see.

    Machado, Oliveira, Fernandes 2009, severity 1.
    """
    sights = {
        "trichromat": np.eye(3),
        "protanope": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deuteranope": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "tritanope": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    }
    linear = np.array([to_rgb(colour) for colour in colours]) ** 2.2
    seen = [linear @ np.transpose(matrix) for matrix in sights.values()]
    return min(np.min(np.linalg.norm(one[:, None] - one, axis=-1)[np.triu_indices(len(one), 1)]) for one in seen)


def test_colours_differ_for_all_kinds_of_sight():
    """Measured: 0.136; Matplotlib's own eight first colours come to 0.018."""
    assert len(mc.plot.COLOURS) == 8
    assert closest(mc.plot.COLOURS) > 0.09 > closest(color_sequences["tab10"][:8])


RIDGES = np.geomspace(1e-4, 10, 41)


@pytest.fixture(scope="module")
def over_ridges():
    labels = mc.chain(mc.truth(mc.isotropic(100)), [[0], [6]], 400, 0.5)
    return mc.predict(mc.fit(labels.label(200, 0.5), ridge=RIDGES)).test_error


def test_a_pick_stands_on_the_first_curve(over_ridges):
    clean, fake = over_ridges
    best = RIDGES[np.argmin(fake)]
    picks = {"recommended": best, "chosen elsewhere": (0.01, 0.7), "null model": np.inf}
    ax = mc.plot.ridge_path(RIDGES, {"synthetic labels": fake, "clean labels": clean}, picks=picks)
    lines = ax.get_lines()
    np.testing.assert_array_equal(lines[0].get_ydata(), fake)
    np.testing.assert_array_equal(lines[1].get_ydata(), clean)
    at = [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines[2:]]
    np.testing.assert_allclose(at, [(best, fake.min()), (0.01, 0.7), (10, fake[-1])], rtol=1e-12)
    assert len({line.get_marker() for line in lines[2:]}) == 3
    names = legend_of(ax)
    assert names[:2] == ["synthetic labels", "clean labels"]
    assert names[2].startswith("recommended (")
    assert names[4].endswith("at λ = inf)")
    assert (ax.get_xscale(), ax.get_ylabel()) == ("log", "test error")
    assert ax.get_xlabel().startswith("ridge λ")


def test_the_path_of_an_estimator_shows_what_it_recommends():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 20))
    y = X.sum(1) + rng.standard_normal(80)
    ridges = [0.0, *np.geomspace(1e-4, 1e2, 61)]
    found = mc.CollapseAwareRidge(8, 60, 0.5, ridges=ridges[::-1]).fit(X, y)
    ax = mc.plot.ridge_path(found.path_, {"twice": 2 * found.path_["gcv"]}, picks={"oracle": 0.1})
    twice, corrected, gcv, recommended, blind, _ = ax.get_lines()
    assert np.all(np.diff(gcv.get_xdata()) > 0)
    assert recommended.get_xdata()[0] == found.ridge_ > blind.get_xdata()[0]
    assert blind.get_xdata()[0] == gcv.get_xdata()[np.argmin(gcv.get_ydata())]
    assert corrected.get_xdata()[np.argmin(corrected.get_ydata())] == found.ridge_
    assert recommended.get_ydata()[0] == pytest.approx(twice.get_ydata()[twice.get_xdata() == found.ridge_][0])
    assert [name.split(" (")[0] for name in legend_of(ax)] == [
        "twice", "corrected risk", "GCV", "recommended", "chosen by GCV", "oracle",
    ]  # fmt: skip
    assert "label noise included" in ax.get_ylabel()


def test_ridge_paths_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="0 curves"):
        mc.plot.ridge_path([1.0, 2.0])
    with pytest.raises(ValueError, match="over 0 positive ridges"):
        mc.plot.ridge_path([0.0, 0.0], {"a": [1, 2]})
    with pytest.raises(ValueError, match="a has shape"):
        mc.plot.ridge_path([1.0, 2.0], {"a": [1, 2, 3]})


def regimes(ax, pixels=101):
    legend = ax.get_legend() or ax.figure.legends[0]
    names = [text.get_text() for text in legend.get_texts()]
    return np.array(names)[ax.collections[0].get_array().reshape(pixels, pixels).astype(int)]


def test_phases_of_the_best_ridge_follow_the_law():
    """At f = 0 the rate is limited by b - a below b = 1, by 1 - a above; nothing vanishes below b = a."""
    ax = mc.plot.phase_diagram(1.5, 0.5, pixels=101)
    a, b = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 1.5, 101))
    names = ["nothing vanishes", "generator samples"]
    expected = np.select([(b <= a) | (a == 1), b < 1], names, "generator aspect")
    assert np.mean(regimes(ax) != expected) < 0.01
    assert (ax.get_xlabel()[0], ax.get_ylabel()[0]) == ("a", "b")
    assert ax.get_title() == "β = 1.5, r = 0.5, f = 0, s = 0, s0 = 0"


def test_phases_at_a_ridge_follow_the_parts_of_the_error():
    """Bias T^-2rℓ against label noise T^-(1 - ℓ/β) and generator noise T^-(ν - ℓ/β) with ν = min(b - a, 1 - a)."""
    given = Figure().add_subplot()
    setting = {"generations_exponent": (0, 0.5), "noise_exponent": -0.2, "generator_samples_exponent": 2}
    ax = mc.plot.phase_diagram(1.5, 0.5, ell=(0, 1), **setting, pixels=101, ax=given)
    assert ax is given
    ell, a = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 0.5, 101))
    noises = np.where(a < 0.2, "label noise", "generator noise")
    expected = np.where(ell < np.minimum(0.8, 1 - a) - ell / 1.5, "bias", noises)
    assert np.mean(regimes(ax) != expected) < 0.03
    assert (ax.get_xlabel()[0], ax.get_ylabel()[0]) == ("ℓ", "a")


def test_contours_of_a_phase_diagram_are_rates():
    """At a = 0 and b between 0 and 1 the best rate is b·2rβ/(1 + 2rβ)."""
    ax = mc.plot.phase_diagram(1.5, (0.1, 0.9), generator_samples_exponent=(0.2, 0.9), pixels=51)
    lines = next(c for c in ax.collections if len(getattr(c, "levels", [])) > 3)
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        b, r = path.vertices.T
        np.testing.assert_allclose(b * 3 * r / (1 + 3 * r), level, atol=2e-3)


def test_contours_at_a_ridge_are_the_decay_of_the_largest_part():
    """ell = 0.1, r = 0.1, a = 0: the bias T^-2rℓ falls slower than any noise."""
    ax = mc.plot.phase_diagram(1.5, (0.1, 0.3), ell=(0.05, 0.3), generations_exponent=0, pixels=51)
    assert set(regimes(ax, 51).flat) == {"bias"}
    lines = next(c for c in ax.collections if len(getattr(c, "levels", [])) > 3)
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        ell, r = path.vertices.T
        np.testing.assert_allclose(2 * r * ell, level, atol=2e-3)


def test_of_tied_bounds_the_last_is_shown():
    ax = mc.plot.phase_diagram((1.2, 3), (0.1, 0.9), generations_exponent=0, generator_samples_exponent=1, pixels=11)
    assert set(regimes(ax, 11).flat) == {"generator aspect"}


def test_regimes_differ_for_all_kinds_of_sight():
    """Colours as drawn, on white; the mid grey of an earlier version was the green of a protanope."""
    seen = {}
    best = mc.plot.phase_diagram(1.5, 0.5, aspect_exponent=0.4, noise_exponent=-0.3, pixels=51)
    at_ridge = {"ell": (0, 1), "generations_exponent": (0, 0.9), "generator_samples_exponent": 2}
    for ax in (best, mc.plot.phase_diagram(1.5, 0.5, **at_ridge, noise_exponent=-0.2, pixels=51)):
        patches = ax.figure.legends[0].get_patches()
        colours = [1 - p.get_alpha() + p.get_alpha() * np.array(to_rgb(p.get_facecolor())) for p in patches]
        assert len(patches) >= 3
        assert closest(colours) > 0.09
        seen |= {p.get_label(): c for p, c in zip(patches, colours, strict=True)}
    assert len(seen) >= 7
    greys = [1 - 0.45 + 0.45 * np.array(to_rgb("#777777")), seen["generator aspect"]]
    assert closest(greys) < 0.01


def test_phase_diagrams_need_two_ranges():
    with pytest.raises(ValueError, match=r"1 ranges \(r\)"):
        mc.plot.phase_diagram(1.5, (0.1, 1))
    with pytest.raises(ValueError, match="low < high"):
        mc.plot.phase_diagram(1.5, (1, 0.1), ell=(0, 1))
    with pytest.raises(ValueError, match="give both"):
        mc.plot.phase_diagram(1.5, 0.5, generations_exponent=0.5)
    with pytest.raises(ValueError, match="beta"):
        mc.plot.phase_diagram(0.5, 0.5)


def test_agreement_of_arrays():
    ax = mc.plot.agreement([1.0, 10.0, np.inf], [1.1, 9.0, 2.0], [0.1, 0.5, 0.1], allowance=[0.0, 0.2, 0.1])
    identity = ax.get_lines()[0]
    np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())
    points, _, (bars,) = ax.containers[0]
    assert points.get_xdata().tolist() == [1, 10]
    assert points.get_ydata().tolist() == [1.1, 9]
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0.9, 1.3], [8, 10]])
    allowed = ax.collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in allowed], [[1, 1], [8, 12]])
    assert ax.get_title().startswith("1 of 3 points")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted test error", "measured test error")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_relative_agreement_divides_by_the_prediction():
    ax = mc.plot.agreement([1.0, 10.0], [1.1, 9.0], [0.1, 0.5], allowance=0.2, relative=True)
    points, _, (bars,) = ax.containers[0]
    np.testing.assert_allclose(points.get_ydata(), [1.1, 0.9])
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0.9, 1.3], [0.8, 1.0]])
    np.testing.assert_allclose([bar[:, 1] for bar in ax.collections[0].get_segments()], [[0.8, 1.2]] * 2)
    assert (ax.get_lines()[0].get_ydata().tolist(), ax.get_yscale()) == ([1, 1], "linear")


def test_agreements_show_their_verdicts():
    """A model against itself agrees; a simulation judged with no allowance near T = d does not (z of 20 and more)."""
    labels = mc.truth(mc.isotropic(20)).label([60, 22], 0.5)
    exact = mc.crosscheck(mc.fit(labels), trials=100)
    ridge = mc.fit(labels, ridge=1e-3)
    wrong = mc.crosscheck(ridge, trials=2000, allowance=0)
    assert set(wrong.verdicts.tolist()) >= {"disagrees"}
    ax = mc.plot.agreement([exact, wrong])
    names = {name.split(",")[0] for name in legend_of(ax)} - {"prediction", "allowed deviation"}
    assert names == {*exact.verdicts.tolist(), *wrong.verdicts.tolist()}
    drawn = np.sort(np.concatenate([bars[0].get_xdata() for bars in ax.containers]))
    finite = np.isfinite(exact.prediction.test_error)
    expected = [*exact.prediction.test_error[finite], *wrong.prediction.test_error]
    np.testing.assert_allclose(drawn, np.sort(expected))
    looks = {(bars[0].get_color(), bars[0].get_marker()) for bars in ax.containers}
    assert len(looks) == len(names)


def test_agreement_refuses_halves():
    with pytest.raises(TypeError, match="give estimate and standard_error"):
        mc.plot.agreement([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="estimate has shape"):
        mc.plot.agreement([1.0, 2.0], [1.0], [1.0])
    with pytest.raises(ValueError, match="none of 1 points"):
        mc.plot.agreement([np.inf], [1.0], [1.0])


def test_directions_are_shares_of_the_signal_from_the_largest_eigenvalue_on():
    w0 = mc.truth(mc.power_law(1.5, 0.5, dim=60))
    parts = mc.predict(mc.fit(mc.chain(w0, 3, 40, 0.1).label(300, 0.1), ridge=1e-3)).by_direction()
    for of in ("bias", "variance", "test_error"):
        ax = mc.plot.directions({"n = 3": parts}, of=of)
        (line,) = ax.get_lines()
        order = np.argsort(-parts.eigenvalues)
        np.testing.assert_array_equal(line.get_xdata(), parts.eigenvalues[order])
        np.testing.assert_allclose(line.get_ydata(), (getattr(parts, of) / parts.signal)[order])
        assert ax.get_xlim()[0] > ax.get_xlim()[1]
        assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["n = 3"]
    assert mc.plot.directions(parts).get_legend() is None


def test_directions_refuse_grids_and_unknown_parts():
    w0 = mc.truth(mc.power_law(1.5, 0.5, dim=60))
    grid = mc.predict(mc.fit(w0.label([100, 200], 0.1), ridge=1e-3)).by_direction()
    with pytest.raises(ValueError, match="shape \\(2, 60\\); give the directions of one prediction"):
        mc.plot.directions(grid)
    with pytest.raises(ValueError, match="of = 'noise' is unknown"):
        mc.plot.directions(grid, of="noise")


def test_groups_show_the_mean_error_of_their_rows():
    groups, errors = np.array([2, 1, 2, 1]), np.array([1.0, 2.0, 3.0, 6.0])
    ax = mc.plot.error_by_group(groups, {"clean": errors, "twice": 2 * errors})
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[4, 2], [8, 4]]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1\n2 rows", "2\n2 rows"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["clean", "twice"]
    with pytest.raises(ValueError, match="one number for each of 4 rows"):
        mc.plot.error_by_group(groups, errors[:3])
