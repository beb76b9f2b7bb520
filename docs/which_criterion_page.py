"""Write docs/which_criterion.md and its pictures from docs/study.csv: `python docs/which_criterion_page.py`.

A test compares page and table.
"""

import csv
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from modelcollapse.validation import study
from modelcollapse.validation.studies.reports import read_records

HELD_OUT = {(regime.problem, regime.generator) for regime in study.HELD_OUT}
PAGE = Path(__file__).with_name("which_criterion.md")
STUDY = Path(__file__).with_name("study.csv")
METHODS = study.METHODS
PICTURES = {  # kind of generators -> file in docs/images
    "least squares": "study_least_squares.png",
    "ridge": "study_ridge.png",
    "under-determined": "study_under_determined.png",
}

TEXT = """# Which criterion when

Choosing a ridge by cross-validation on labels that models wrote rewards fitting those models' errors. This
page says which criterion to use instead, and where each of them fails. All numbers come from

```bash
python -m modelcollapse.validation.study --output docs/study.csv
python docs/which_criterion_page.py
```

## In short

| you know | use |
|---|---|
| the labels are real | GCV or `RidgeCV`; `CollapseAwareRidge()` is GCV then |
| generations, rows, ridge and noise of the generators | `CollapseAwareRidge(generations=…, generator_samples=…, …)` |
| all of that but the noise, and some real rows | the same without `generator_noise`, and `fit(..., origin=…)` |
| nothing about the generators, and some real rows | validate on the real rows |
| the eigenvalues and the signal, not only data | `optimal_ridge(model)`, which is the optimum and estimates nothing |
| exponents only, and very large T | `optimal_exponent`: right in its slope, silent about constants |

Everywhere a ridge is λ of the *mean* squared error; scikit-learn's alpha is λ times the rows.

## The study

Each criterion picks from the same ridge path, fitted on labels of the last model of a chain of n generations.
The number is the test error of its pick above that of the best ridge on the path, in percent: the mean over
trials, and where a line covers several problems the median over these, with the largest in brackets. For real
data the test error is that on held-out rows with real labels, their noise included, which makes percentages
smaller.

- *RidgeCV*: scikit-learn's leave-one-out; *5-fold*: cross-validation; *GCV*: generalised cross-validation.
- *schedule*: λ = T^-ℓ⋆ of the scaling law, given the true exponents (power laws only).
- *20 clean rows*: the smallest error on 20 real rows that nothing else uses.
- *ours*: `CollapseAwareRidge`, told the provenance; *ours, noise unknown*: σ0 estimated from the same 20
  rows.

### Synthetic problems

{synthetic}

### Bundled data sets

{real}

### Problems that were held out

The estimator has a few constants (below which gain it does not act, what it takes for a plausible signal).
They were settled on the problems above; these were not used for it, but for one: see "ridge and
under-determined generators" below.

{held_out}

### Least-squares generators, five generations or more

This is where the correction should work best. Medians over trials:

{medians}

{pictures}

## Where each of them fails

- **GCV, leave-one-out and k-fold** are right for n = 0 and blind to the generators after that: they estimate
  the error against the labels, precisely, and more rows do not help. After least-squares generators, whose
  noise nothing shrinks, they choose λ too small, and this is where they fail worst. Generators that shrink
  the signal can make them choose λ too large; after ridge generators on power laws the damage is mild.
- **The schedule** has the right exponent and no constant. At a few hundred rows the constant is everything:
  it is far off in every line, for clean labels too, on the very power laws it was made for.
- **20 clean rows** cannot be fooled and cannot be precise: where labels are real they cost more than GCV
  does, and they are the safest choice where collapse is strong and the description of the generators is in
  doubt.
- **Ours, least-squares generators**: heavy-tailed inputs amplify the generators' noise, by a factor of two on
  the breast cancer data. The factor is measured on the rows at hand, without labels; a hundred rows measure
  it within a quarter there. With few directions (rows ≥ 4 d, the bundled data sets) the realised errors of
  the generators decide more than their expectation, and the ridge is chosen by its posterior expected error.
  This assumes that the signal's variance is between 0.3 and 1000 times σ0², and that it is spread over the
  directions like a power of the eigenvalue: with a truth in the smallest directions, or with few Gaussian
  directions and generators' errors still below the signal, the choice can be worse than GCV's. On "breast
  cancer, least squares" with n = 20, where generators' noise is several times the signal, the best single
  ridge for all trials together is itself far from each trial's best, and 20 clean rows do better.
- **Ours, ridge and under-determined generators**: the correction needs the signal of the truth, which is
  estimated within a family; a signal outside it can leave the choice worse than GCV. Where no member of the
  family explains the labels the estimator warns, falls back to GCV and says so in `criterion_`. In feature
  spaces of infinite dimension it corrects only where that promises three tenths of the GCV level, six tenths
  where the noise is estimated (half as much at first or less, which did harm on "digits, polynomial" at n = 1:
  that problem was held out until then). The tails of the inputs are not corrected for here.
- **Ours, noise unknown**: few real rows say little about σ0, so it is taken to be near the label noise of the
  rows at hand (the residuals of least squares, or the noise level of the fitted signals where T < d), give or
  take half, unless the real rows contradict with certainty. Where generators saw much noisier labels than
  yours and real rows are few, the correction is too small: towards GCV.
- **A wrong provenance** corrects for the wrong thing. Understating the generations leads back towards GCV,
  overstating them towards too large a ridge. The estimator warns when the described noise alone would exceed
  the variance of the labels.
- **Generators at their interpolation threshold** (as many rows as directions) have no finite noise: the
  estimator falls back to GCV.

Cases in which a version of ours is worse than GCV by more than 2 % of the test error, with the regrets of
both and their standard errors:

{harms}

With n = 0 both are GCV, and *noise unknown* differs from it only by its 20 rows more: differences there are
chance.

## When the problem is known

`optimal_ridge` minimises the predicted test error of a pipeline over the ridge of its last fit, and `tune`
over anything that has a name; neither estimates from data. The prediction is a deterministic equivalent, off
by about one over the number of directions, and takes features as Gaussian. The error as a function of λ can
have two minima, on clean data too, so a search from one starting point is not enough; a criterion from data
has the same two minima and noise on top.

```bash
modelcollapse ridge --power-law 1.5 0.7 200 --samples 300 --generations 0,5,20 --generator-samples 400 \\
    --plot ridge.png
modelcollapse ridge --data labels.csv --kernel linear --generations 5 --generator-samples 400 \\
    --generator-noise 0.3
modelcollapse ridge --data marked.csv --origin written_by --kernel linear --generations 5 \\
    --generator-samples 400
```
"""


class Regret(NamedTuple):
    """Test error above that of the oracle ridge, in percent, over trials."""

    mean: float
    error: float
    median: float


def records():
    """Regret by (problem, generator, generations, samples) and method."""
    found = defaultdict(dict)
    with STUDY.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = row["problem"], row["generator"], int(row["generations"]), int(row["samples"])
            numbers = (100 * float(row[name]) for name in ("mean", "standard_error", "median"))
            found[key][row["method"]] = Regret(*numbers)
    return found


def _synthetic(problem):
    return problem.startswith(("isotropic", "power law"))


def _group(problem, generator):
    """The table and the line of a regime."""
    if (problem, generator) in HELD_OUT:
        return "held_out", problem
    return ("synthetic", "isotropic and power laws") if _synthetic(problem) else ("real", problem)


def table(found, which):
    """Rows in the order of the study; a line per name that `_group` gives."""
    lines = defaultdict(list)
    for (problem, generator, generations, _), row in found.items():
        group, name = _group(problem, generator)
        if group == which:
            lines[name, generator, generations].append(row)
    methods = [method for method in METHODS if any(method in row for rows in lines.values() for row in rows)]
    text = ["| problem | generators | n | " + " | ".join(methods) + " |", "|---|---|" + "---:|" * (1 + len(methods))]
    for (name, generator, generations), rows in lines.items():
        cells = [_cell([row[method].mean for row in rows if method in row]) for method in methods]
        text.append(f"| {name} | {generator} | {generations} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def medians(found):
    """Median regrets after five and more least-squares generations."""
    text = ["| problem | T | n | GCV | ours | ours, noise unknown |", "|---|---:|---:|---:|---:|---:|"]
    for (problem, generator, generations, samples), row in found.items():
        if generator == "least squares" and generations >= 5:
            cells = [f"{row[method].median:.1f}" for method in ("GCV", "ours", "ours, noise unknown")]
            text.append(f"| {problem} | {samples} | {generations} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def _cell(values):
    if not values:
        return ""
    return f"{statistics.median(values):.1f}" + (f" ({max(values):.1f})" if len(values) > 1 else "")


def harms(found):
    """Lines for the cases in which ours loses to GCV by more than two per cent of the test error."""
    lines = []
    for (problem, generator, generations, samples), row in found.items():
        for method in ("ours", "ours, noise unknown"):
            ours, gcv = row[method], row["GCV"]
            excess = (100 + ours.mean) / (100 + gcv.mean) - 1
            if excess > 0.02:
                where = f"{problem}, {generator}, n = {generations}, T = {samples}"
                both = f"{ours.mean:.1f} ± {ours.error:.1f} against {gcv.mean:.1f} ± {gcv.error:.1f}"
                lines.append(f"- {where}: *{method}*, {100 * excess:.1f} % ({both})")
    return "\n".join(lines) or "- none"


def pictures():
    """The pictures on the page, one a kind of generators."""
    return "\n\n".join(
        f"![{kind.capitalize()} generators: test error above the best ridge against generations, with standard errors, "
        f"a panel for every problem](images/{name})"
        for kind, name in PICTURES.items()
    )


def draw():
    """Write the pictures."""
    found = read_records(STUDY, study.Record)
    for kind, name in PICTURES.items():
        study.plot([record for record in found if record.generator == kind], PAGE.parent / "images" / name)


def page():
    """The text of the page."""
    found = records()
    tables = {name: table(found, name) for name in ("synthetic", "real", "held_out")}
    return TEXT.format(**tables, medians=medians(found), pictures=pictures(), harms=harms(found))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    draw()
