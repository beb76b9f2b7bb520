"""Classes on the command line: error rates by the library's pipelines, their picture, and mistakes in one line."""

import csv

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.cli import _output

START = ["curve", "--isotropic", "50", "--classes", "--samples", "100,200", "--ridge", "0.1"]
FAKE = ["--generations", "0,2", "--generator-samples", "150", "--generator-ridge", "0.01"]

W0 = mc.truth(mc.isotropic(50))
KINDS = [
    ([], "sign", None),
    (["--flips", "0.1"], mc.Sign(flips=0.1), None),
    (["--sampled", "0.5"], mc.Probit(0.5), None),
    (["--soft", "0.5"], mc.Probit(0.5, soft=True), None),
    (["--verify"], "sign", mc.Verified(by=W0)),
    (["--flips", "0.1", "--verify", "0.9", "0.2"], mc.Sign(flips=0.1), mc.Verified(by=W0, right=0.9, wrong=0.2)),
]


def table(path):
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(("options", "link", "keep"), KINDS)
def test_the_table_is_the_pipeline(run, tmp_path, options, link, keep):
    path = tmp_path / "rates.csv"
    assert run(*START, *FAKE, *options, "--output", path)[0] == 0
    model, expected = W0, []
    for _ in range(3):
        expected.append(mc.predict(mc.fit(model.label([100, 200], link=link, keep=keep), ridge=0.1)).error_rate)
        model = mc.fit(model.label(150, link=link, keep=keep), ridge=0.01)
    rows = table(path)
    np.testing.assert_allclose([row["error_rate"] for row in rows], np.ravel([expected[0], expected[2]]), rtol=1e-12)
    assert ("kept" in rows[0]) == (keep is not None)


def test_error_rates_are_drawn_over_generations_beside_measured_ones(run, tmp_path, monkeypatch):
    drawn, path = [], tmp_path / "rates.csv"
    monkeypatch.setattr(_output, "save_picture", lambda ax, path: drawn.append(ax))
    options = ["--over", "generations", "--simulate", "4", "--plot", "a.png", "--output", path]
    assert run(*START, *FAKE, *options)[0] == 0
    (ax,) = drawn
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("generations", "error rate")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["T = 100", "T = 200"]
    rows = table(path)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [row["error_rate"] for row in rows if row["samples"] == 100])
    for row in rows:  # four trials: beyond ten standard errors, t with 3 degrees of freedom, in .2 % of the rows
        assert abs(row["measured"] - row["error_rate"]) < 10 * row["standard_error"] + 0.02


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--isotropic", "9", "--verify"], "--verify belongs to --classes"),
        (["--isotropic", "9", "--soft", "1"], "--soft belongs to --classes"),
        (["--isotropic", "9", "--classes", "--flips", "0.6"], "--flips: 0.6 is outside [0, 0.5]"),
        (["--isotropic", "9", "--classes", "--flips", "0.1", "--soft", "1"], "--flips and --soft say both"),
        (["--isotropic", "9", "--classes", "--verify", "1", "0", "1"], "two chances at most, not 3"),
        (["--isotropic", "9", "--classes", "--verify", "0", "0"], "keep nothing"),
        (["--isotropic", "9", "--classes", "--verify", "--over", "time"], "keep= is not derived"),
        (["--data", "digits", "--classes"], "error rates on the rows of a data set have no formula"),
    ],
)
def test_a_mistake_is_answered_by_one_line_and_status_2(run, arguments, words):
    status, out, err = run("curve", *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1
