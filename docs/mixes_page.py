"""Write docs/mixes.md from docs/mixes.csv: `python docs/mixes_page.py`. A test compares the two."""

from pathlib import Path

import numpy as np

from modelcollapse.validation import mix_study
from modelcollapse.validation.studies.reports import read_records

PAGE = Path(__file__).with_name("mixes.md")
STUDY = Path(__file__).with_name("mixes.csv")
HELD_OUT, TABLES, LINEAR_TEACHERS = (
    {(regime.problem, regime.teacher) for regime in regimes}
    for regimes in (mix_study.HELD_OUT, mix_study.TABLES, mix_study.LINEAR_TEACHERS)
)

TEXT = """# Which weight for synthetic rows

A few rows have real labels, many have labels that a model wrote. Which way of choosing their weight and the ridge
costs least, and where does `CollapseAwareRidge(weights="auto")` lose? All numbers come from

```bash
python -m modelcollapse.validation.mix_study --trials {trials} --output docs/mixes.csv --plot docs/images/mixes.png
python docs/mixes_page.py
```

A number is the test error of what a strategy picks above that of the best weight and ridge of a grid, in per cent, the
median of {trials} data sets; on synthetic problems (isotropic, power laws) of the excess error, on data of the error on
held-out rows, their label noise included. Where {trials} data sets leave open whether ours is more than six points
above the better of real only and pooled (within two standard errors, paired bootstrap), as many again were drawn, up
to {most}. Other lines are noisy, by some points with 20 real rows: the tables over many regimes say more than one line.

- *real only*: leave-one-out on real rows; *pooled*: GCV on all rows, each as heavy; *teacher alone*: GCV on synthetic
  rows.
- *leave-one-out*: over weight and ridge, on real rows.
- *ours*: `CollapseAwareRidge(weights="auto")`; *ours, provenance*: told generations, rows and ridge of the teachers
  (trees are not described).

![Regret of every strategy in every regime with 60 real rows](images/mixes.png)

## In short

Median over regimes of that median, and the worst regime against the better of real only and pooled, in points.

### Problems that the method was made on

{short}

### Problems that were held out

Looked at ten times: with the method of the first version, with one that fell into a second optimum on kernels
(digits, above), with one that knew one shape of the truth and believed every provenance, with one that believed
its model's variances whatever leave-one-out said, with that of the time before by 9, by 24 and by more data
sets, with one in which a hundred directions of a kernel decided and one in which all did, and with this one.
Changes were made on the problems above and on those of the next table, with one exception: that provenance is
refused where the rows contradict it was prompted by friedman 3, RBF (a linear teacher of a kernel student), so
that its provenance is no longer held out; and that it lost there was the reason to look at more problems of its
kind, the next table.

{short_held_out}

### Linear teachers of kernel students

Six test functions of computer experiments, from nearly linear ones (circuit, piston, borehole) to one of which
a plane says nothing (curved), labelled by least squares on 60 rows, learned with an RBF kernel. The method was
changed on other data sets of these and of six further functions: before, it took what a linear teacher leaves
out for noise, and its labels for the truth. That of more than two hundred directions not all decide was
prompted by circuit in this table. With {few} real rows only.

{linear_teachers}

### A table of people and models

25 correlated columns with units over six decades, a category and gaps, in the usual scikit-learn pipeline; held out as
well. `pytest -m slow tests/validation/test_mix_study.py` compares, on 60, 100 and 400 real rows, with RidgeCV on real
rows, on all and on synthetic ones, and with a cross-validated grid over weight and alpha: at most 8 % above the best of
these.

{short_tables}

## Where ours loses

Regimes in which the median of ours is more than six points above the better of real only and pooled:

{losses}

## All regimes

{every}
"""


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def short(cells):
    rows = []
    for real in sorted({key[4] for key in cells}):
        for name in mix_study.STRATEGIES:
            some = [row for key, row in cells.items() if key[4] == real and name in row]
            over = max(row[name].median - better(row) for row in some)
            median = np.median([row[name].median for row in some])
            rows.append([str(real), name, f"{100 * median:.1f}", f"{100 * over:+.1f}"])
    return table(["real rows", "strategy", "median", "worst against the better"], rows)


def better(row):
    return min(row["real only"].median, row["pooled"].median)


def losses(cells):
    rows = [
        [*map(str, key), f"{100 * row['ours'].median:.1f}", f"{100 * better(row):.1f}"]
        for key, row in cells.items()
        if row["ours"].median - better(row) > 0.06
    ]
    header = ["problem", "teacher", "generations", "its rows", "real rows", "ours", "better of the two"]
    return table(header, rows) if rows else "None."


def every(cells):
    rows = [
        [*map(str, key), *(f"{100 * row[name].median:.1f}" if name in row else "-" for name in mix_study.STRATEGIES),
         str(row["ours"].trials)]
        for key, row in cells.items()
    ]  # fmt: skip
    names = ["problem", "teacher", "generations", "its rows", "real rows", *mix_study.STRATEGIES, "data sets"]
    return table(names, rows)


def page():
    """The text of docs/mixes.md."""
    records = read_records(STUDY, mix_study.MixRecord)
    cells = mix_study.rows_of_records(records)
    held_out = {key: row for key, row in cells.items() if key[:2] in HELD_OUT}
    tables = {key: row for key, row in cells.items() if key[:2] in TABLES}
    linear = {key: row for key, row in cells.items() if key[:2] in LINEAR_TEACHERS}
    made_on = {key: row for key, row in cells.items() if key not in held_out | tables | linear}
    return TEXT.format(
        trials=min(record.trials for record in records),
        most=mix_study.MOST * min(record.trials for record in records),
        short=short(made_on),
        short_held_out=short(held_out),
        short_tables=short(tables),
        few=min(mix_study.REAL),
        linear_teachers=every(linear),
        losses=losses(cells),
        every=every(cells),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
