"""Advice about a table: answers with intervals that hold the truth, one page, and refusals that help."""

import json
import warnings

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.estimators.advice import _answer
from modelcollapse.estimators.advice_columns import numeric


def table(errors=(0.2, 0.8), real=30, fake=100, dim=5, seed=0):
    """Rows of a linear truth: real ones with noise, and one origin per error of a teacher's weights."""
    rng = np.random.default_rng(seed)
    origin = np.repeat(["real", *(f"gen{i}" for i in range(1, len(errors) + 1))], [real, *[fake] * len(errors)])
    X, truth = rng.standard_normal((len(origin), dim)), np.ones(dim)
    y = X @ truth + rng.standard_normal(len(X))
    for i, error in enumerate(errors, 1):
        at = origin == f"gen{i}"
        y[at] = X[at] @ (truth + error * rng.standard_normal(dim))
    return X, y, origin


@pytest.fixture(scope="module")
def advice():
    return mc.advise(*table())


@pytest.fixture
def fast(monkeypatch, few_shapes):
    """Three groups in the jackknife: for tests that do not look at intervals."""
    monkeypatch.setattr("modelcollapse.estimators.advice.GROUPS", 3)


def test_the_page_has_every_answer(advice):
    text = str(advice)
    for part in ("30 real rows ('real'), 200 synthetic", "Ridge", "'gen1' (100 rows)", "Worth", "more real rows",
                 "Is it collapsing?", "It grows from origin to origin", "real only", "pooled", "chosen", "In Python",
                 "CollapseAwareRidge(weights={'gen1':"):  # fmt: skip
        assert part in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_page_says_how_to_fit(advice):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = {"make_pipeline": make_pipeline, "StandardScaler": StandardScaler, "modelcollapse": mc}
    model = eval("".join(str(advice).splitlines()[-2:]).strip(), names)
    X, y, origin = table()
    model.fit(X, y, collapseawareridge__origin=origin)
    assert model[-1].weights_["gen1"] == pytest.approx(advice.weights["gen1"].value, rel=1e-2)
    assert model[-1].ridge_ == pytest.approx(advice.ridge.value, rel=1e-2)


def test_numbers_are_plain_and_ordered(advice):
    found = advice.to_dict()
    assert json.loads(json.dumps(found)) == found
    answers = [advice.ridge, advice.worth, advice.more_rows, *advice.weights.values(), *advice.label_errors.values()]
    for answer in answers:
        assert 0 <= answer.low <= answer.value <= answer.high < np.inf
    assert advice.keep == {mark: answer.value > 0 for mark, answer in advice.weights.items()}


@pytest.mark.usefixtures("few_shapes")
def test_errors_of_labels_are_those_planted():
    """Median over twelve data sets of estimate over truth (a factor of about 2 for one, 1.3 for the median); a hundred
    times the variance of labels is seen as such."""
    ratios = {1.0: [], 10.0: []}
    for seed in range(12):
        for scale, found in ratios.items():
            X, y, origin = table(errors=(0.3 * scale,), seed=seed)
            rng = np.random.default_rng(seed)
            rng.standard_normal((130, 5)), rng.standard_normal(130)
            true = np.sum((0.3 * rng.standard_normal(5)) ** 2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = mc.CollapseAwareRidge({"real": mc.Provenance(), "gen1": None}, weights="auto")
                found.append(model.fit(X, y, origin=origin).label_errors_["gen1"][0] / true)
    assert 0.5 < np.median(ratios[1.0]) < 2
    assert 50 < np.median(ratios[10.0]) < 200


def test_errors_of_labels_are_those_of_the_estimator(advice):
    X, y, origin = table()
    described = {"real": mc.Provenance(), "gen1": None, "gen2": None}
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    found = mc.CollapseAwareRidge(described, weights="auto").fit(X, y, origin=origin).label_errors_
    assert found.keys() == advice.label_errors.keys()
    for mark, answer in advice.label_errors.items():
        assert answer == pytest.approx(found[mark], rel=1e-6)


def test_useless_rows_are_dropped(fast):
    advice = mc.advise(*table(errors=(30.0,), real=40))
    assert advice.keep == {"gen1": False}
    assert advice.worth.value == 0
    assert "drop them" in str(advice)
    assert "the real rows by themselves are better" in str(advice)


def test_an_only_row_of_its_origin_stays_in_every_group(fast):
    X, y, origin = table(errors=(0.2,))
    origin[-1] = "odd"
    assert mc.advise(X, y, origin).rows["odd"] == 1


def test_classes_are_recognised(fast):
    X, y, origin = table(errors=(0.3,))
    advice = mc.advise(X, np.where(y > 0, "yes", "no"), origin)
    assert advice.task == "classification"
    assert "wrong class" in str(advice)
    assert "CollapseAwareClassifier" in str(advice)
    three = np.digitize(y, [-1, 1])
    assert mc.advise(X, three, origin, task="classification").report["error_rate"].shape == (3,)
    assert mc.advise(X, three, origin).task == "regression"


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """In logarithms, of a mean of 1000 numbers near 5: 1.64 σ / √n on either side."""
    values = 5 + np.random.default_rng(0).standard_normal(1000)
    groups = np.arange(1000) % 10
    answer = _answer(values.mean(), [values[groups != g].mean() for g in range(10)], 10)
    width = (answer.high - answer.low) / 2
    assert 0.4 < width / (1.64 * values.std() / np.sqrt(1000)) < 1.8  # ten groups: relative error 0.24


def test_the_picture_shows_the_three_errors(advice):
    pytest.importorskip("matplotlib")
    ax = advice.plot()
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(advice.report["error"].tolist())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"real": "human"}, "real = 'human' is not among them"),
        ({"gain": 2.0}, r"gain = 2.0 is outside \(0, 1\)"),
        ({"task": "ranking"}, "task = 'ranking'"),
        ({"y": np.ones(130)}, r"y has one value, 1\.0; there is nothing to learn"),
        ({"y": np.full(130, "yes")}, "y has one value, 'yes'; there is nothing to learn"),
        ({"X": np.full((130, 3), 0.1)}, "X has no column that varies from row to row"),
    ],
)
def test_what_is_refused(change, words):
    X, y, origin = table(errors=(0.2,))
    with pytest.raises(ValueError, match=words):
        mc.advise(**({"X": X, "y": y, "origin": origin} | change))


def test_few_rows_and_single_marks_are_refused():
    X, y, origin = table(errors=(0.2,), real=7)
    with pytest.raises(ValueError, match="7 rows are marked 'real'; advice needs at least 8 real rows"):
        mc.advise(X, y, origin)
    with pytest.raises(ValueError, match="origin holds 'real' alone"):
        mc.advise(X, y, np.full(len(X), "real"))


def test_columns_are_named_with_their_remedy():
    with pytest.raises(ValueError, match=r"column 'colour' holds text, such as 'red'; encode it .*OneHotEncoder"):
        numeric(np.array([["red", 1], ["2", 2]], dtype=object), ["colour", "size"])
    with pytest.raises(ValueError, match=r"column 1 misses 1 of 2 values; fill it .*SimpleImputer\(\), \[1\]"):
        numeric(np.array([[1, 1], [2, np.nan]]))
    assert numeric([["1", 2], [3, "4e1"]]).tolist() == [[1, 2], [3, 40]]


# the command


def write(path, X, y, origin, colours=None, names=("a", "b", "c", "d", "e")):
    lines = [",".join([*names, "who", "y"])]
    for i, row in enumerate(X):
        cells = [f"{cell:.6g}" for cell in row]
        if colours:
            cells[0] = colours[i % len(colours)]
        lines.append(",".join([*cells, origin[i], f"{y[i]:.6g}"]))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_command_prints_the_page(tmp_path, run, fast):
    pytest.importorskip("matplotlib")
    data = write(tmp_path / "data.csv", *table(errors=(0.2,)))
    status, out, _ = run("mix", "--data", data, "--target", "y", "--origin", "who", "--plot", tmp_path / "p.png",
                         "--output", tmp_path / "t.csv")  # fmt: skip
    assert status == 0
    assert "One synthetic row is worth" in out
    assert (tmp_path / "p.png").stat().st_size > 5000
    rows = (tmp_path / "t.csv").read_text().splitlines()
    assert rows[0] == "answer,origin,value,low,high"
    assert len(rows) == 1 + 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "z", "--origin", "who"], "has no column 'z'"),
        (["--target", "y", "--origin", "y"], "--target and --origin are both 'y'"),
        (["--target", "y", "--origin", "who", "--real", "human"], "real = 'human' is not among them"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, run, options, words):
    data = write(tmp_path / "data.csv", *table(errors=(0.2,)))
    status, _, err = run("mix", "--data", data, *options)
    assert status == 2
    assert words in err
    assert "Traceback" not in err


def test_the_command_names_columns_of_text_and_gaps(tmp_path, run):
    for colours, words in ((["red", "blue"], "column 'a' holds text, such as 'red'"), (["1", ""], "column 'a' misses")):
        data = write(tmp_path / "data.csv", *table(errors=(0.2,)), colours=colours)
        status, _, err = run("mix", "--data", data, "--target", "y", "--origin", "who")
        assert (status, words in err) == (2, True), err
