"""Write docs/early_stopping.md from docs/stopping.csv: `python docs/early_stopping_page.py`. A test compares both."""

import math
import statistics
from pathlib import Path

from modelcollapse.validation import stopping_study, study

PAGE = Path(__file__).with_name("early_stopping.md")
STUDY = Path(__file__).with_name("stopping.csv")

TEXT = """# Stopping instead of a ridge

Few models are fitted by inverting a matrix. They are trained, and training is stopped. This page says when to
stop on labels that models wrote, what that reaches compared with the best ridge, and how well the prediction
holds when the training is really run. All numbers come from

```bash
python -m modelcollapse.validation.stopping_study --output docs/stopping.csv --plot docs/images/early_stopping.png
python docs/early_stopping_page.py
```

## In short

- The test error along training falls, turns and rises. The more generations of models stand between the truth and
  your labels, the earlier it turns: after 20 generations at {least_moved} to {most_moved} of the time that is best
  for real labels. {exceptions}
- Neither is always better: stopped at its best time, gradient flow has between {least_ratio} and {most_ratio}
  times the test error of ridge at its best penalty, {median_ratio} in the median of {count} cases. Smooth labelling
  models favour stopping, rough ones and isotropic inputs favour ridge.
- `mc.optimal_stopping(model)` computes the moment, for grids of pipelines at once; `modelcollapse curve --over
  time` draws the curve.

![Test error along training after 0, 1, 5 and 20 generations, with the best moments to stop and simulated points;
and the share of the signal that is lost in every eigendirection by then](images/early_stopping.png)

Left: lines are predictions, points are real runs of gradient flow. Right: what the model does not know of the
truth when it is stopped at the best time, direction by direction. The tail of the spectrum goes first, and every
generation takes more of it: generators with fewer rows than directions forget, and earlier stopping adds to it.

```python
>>> import numpy as np
>>> import modelcollapse as mc
>>> labels = mc.chain(mc.truth(mc.power_law(1.5, 0.7, 200)), [0, 1, 5, 20], samples=400, noise=0.1)
>>> source = labels.label(300, noise=0.1)
>>> best = mc.optimal_stopping(mc.fit(source))
>>> bool(np.all(np.diff(best.time) < 0))
True
>>> lost = 1 - mc.predict(mc.fit(source, filter=mc.GradientFlow(best.time))).by_direction().learned
>>> bool(np.all(np.diff(lost, axis=0) > 0) and np.all(np.diff(lost, axis=1) > 0))
True

```

```bash
modelcollapse curve --over time --power-law 1.5 0.7 200 --samples 300 --generations 0,1,5,20 --generator-samples 400 \\
    --plot training.png
```

## What the theory says

Gradient flow that starts at zero has, at time $t$, learned the share $1 - e^{{-tx}}$ of what the data say along
an eigenvalue $x$ of $S = X^\\top X/T$. Ridge learns $x/(x + \\lambda)$. Both are functions of $S$, so Cauchy's
formula turns either into a superposition of resolvents,

$$
e^{{-tS}} = \\frac{{1}}{{2\\pi i}} \\oint e^{{-tx}} (x - S)^{{-1}}\\, dx ,
$$

over a contour around the spectrum; and of the resolvent at a complex penalty $z = -x$ everything is known that is
known at a real one. On average it shrinks direction $j$ like a ridge fit does, with a complex effective ridge
$\\kappa(z)$ from $\\kappa - z = \\kappa\\, \\mathrm{{df}}_1(\\kappa)/T$. So the model at time $t$ has, in the
mean, lost the share

$$
\\bar r_j(t) = \\frac{{1}}{{2\\pi i}} \\oint e^{{-tx}}\\, \\frac{{\\kappa(-x)}}{{x\\,(s_j + \\kappa(-x))}}\\, dx
$$

of the labelling model in direction $j$: the counterpart of $\\kappa/(s_j + \\kappa)$. Its variance takes two
resolvents and hence a double sum over the contour. [The theory page](theory/early_stopping.md) has all of it. The
result is a map from the moments of the labelling model to those of the trained one, like that of ridge: trained
generators, chains and mixtures come for free.

$\\lambda = 1/t$ turns one curve into the other only roughly. Directions with $s_j \\ll 1/t$ are treated alike,
but where $s_j \\gg 1/t$ ridge leaves $\\lambda/s_j$ unlearned and the flow a share that is exponentially small.

## Time, steps and the factor one half

The flow descends *half* the mean squared error, $\\frac{{1}}{{2T}} \\|y - Xw\\|^2$, whose gradient is $Sw -
X^\\top y/T$. A trainer that descends the mean squared error itself moves twice as fast: its learning rate
counts twice, as step and in the time. $k$ steps of length $h$ come close to the flow at time $k h$ as long as $h$
is well below the inverse of the largest eigenvalue of $S$:

```python
>>> flow, descent = (
...     mc.predict(mc.fit(source, filter=trained)).test_error
...     for trained in (mc.GradientFlow(20.0), mc.GradientDescent(step=0.1, steps=200))
... )
>>> bool(np.all(abs(descent / flow - 1) < 0.01))
True

```

Steps beyond two over that eigenvalue diverge. Where it lies follows from the spectrum and $T$, and longer steps
are refused with the number:

```python
>>> mc.predict(mc.fit(source, filter=mc.GradientDescent(step=2.5, steps=10)))    # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: step = 2.5 is unstable: S has eigenvalues up to ...

```

The longest stable steps of the problems below:

{steps}

## The table

Labels come from the last of $n$ models in a chain, each fitted on {generator_samples} rows that the one before
had labelled. *Least squares* and *ridge* (λ = 0.01; 0.001 on the digits) saw more rows than directions on the
synthetic problems, *under-determined* ones fewer ({few_rows}; on the digits 300), without ridge. *time*: where
the predicted error along gradient flow is smallest, in units of one over an eigenvalue (the largest is 1 on the
synthetic problems). *at that time*: the predicted test error there. *really run*: the flow, stopped there, on
labels of chains really run, ± one standard error. *best ridge*: the predicted test error at the ridge that is
best for the same labels. *ratio*: stopped over ridge.

{tables}

Of {synthetic_count} synthetic rows {within} lie within two standard errors of the prediction. Of a perfect theory one
would expect 95 %; this one leaves out terms of the order of one over the number of directions, which add up along a
chain. The largest distance is {worst} % of the error. On the digits, where inputs are not Gaussian and a fit sees a
sixth of all there are, it is {digits_clean} % with real labels and at most {digits_fake} % with synthetic ones.

## When stopping beats ridge

Test error at the best time over that at the best ridge, smallest and largest over generators and generations:

{wins}

The filter of the flow is the sharper one. What ridge has to leave of the strong directions, $\\lambda/s_j$, in order to
keep the noise out of the weak ones, the flow leaves exponentially small. Where the signal sits in the strong
directions (power laws with large $r$) this is what matters, and for $r > 1$ ridge cannot even make up for it with
more rows. Generators with a ridge leave such a labelling model behind whatever the truth was. Where the signal is
spread evenly or sits in the tail, ridge is better: for a Gaussian signal whose energies are equal in all directions,
and labels with independent noise, ridge is the Bayes estimate and nothing improves on it.

## From data

The time can be chosen without knowing the problem only if the error can be estimated. What is familiar from ridge
does not carry over. With $g$ the filter, the expression

$$
\\frac{{\\mathrm{{mean}}_i (y_i - \\hat y_i)^2}}{{(1 - \\mathrm{{tr}}\\, S g(S)/T)^2}}
$$

is GCV for ridge, where it estimates the test error plus the noise of the labels. The square in the denominator comes
from the way in which a *single* ridge fit shrinks residuals; a flow is a superposition of many, and there the
expression is no estimate of the error. On {data_sets} data sets with real labels: the criterion over the truth (1 is
right) at the best penalty, the same where training goes on ten times as long or the ridge is a tenth, and how far the
test error at the criterion's minimum lies above the smallest of the path.

{criteria}

With more rows than directions it is up to {off_many} % off the error, with fewer rows by a factor of up to {off_few};
and what its choice costs above the best is up to {worse} times what the choice of GCV costs on the same data.

On labels that models wrote both have a second fault: they measure the distance to the labels, not to the truth
([which criterion when](which_criterion.md)). Leave-one-out along the flow, corrected by the provenance of the labels,
has neither ([early stopping](theory/early_stopping.md)): `CollapseAwareGradientFlow` stops where it is smallest, and
`StoppingMonitor` tells a training loop of your own when it gets there.
"""


def _label(record):
    return "real labels" if record.generations == 0 else record.generator


def table(records):
    """The rows of one number of samples."""
    head = "| problem | labels from | n | time | at that time | really run | best ridge | ratio |"
    lines = [head, "|---|---|" + "---:|" * 6]
    for r in records:
        digits = 2 - math.floor(math.log10(r.test_error))
        cells = (f"{x:.{digits}f}" for x in (r.test_error, r.measured, r.standard_error, r.ridge_test_error))
        lines.append(
            f"| {r.problem} | {_label(r)} | {r.generations} | {r.time:.3g} | {{}} | {{}} ± {{}} | {{}} ".format(*cells)
            + f"| {r.ratio:.3f} |"
        )
    return "\n".join(lines)


def steps(records):
    lines = ["| problem | T | longest stable step |", "|---|---:|---:|"]
    shown = {(r.problem, r.samples): r.stable_step for r in records}
    return "\n".join([*lines, *(f"| {problem} | {T} | {step:.3g} |" for (problem, T), step in shown.items())])


def criteria(records):
    head = "| problem | T | ridge: at best | a tenth | its pick | flow: at best | ten times | its pick |"
    lines = [head, "|---|---:|" + "---:|" * 6]
    for r in records:
        if r.gcv is not None:
            cells = (
                f"{here:.2f} | {late:.2f} | +{100 * excess:.0f} %"
                for here, late, excess in (
                    (r.gcv, r.gcv_late, r.gcv_excess),
                    (r.lookalike, r.lookalike_late, r.lookalike_excess),
                )
            )
            lines.append(f"| {r.problem} | {r.samples} | {' | '.join(cells)} |")
    return "\n".join(lines)


def wins(records):
    """Smallest and largest ratio by problem and number of rows."""
    groups = {}
    for r in records:
        groups.setdefault((r.problem, r.samples), []).append(r)
    lines = ["| problem | T | real labels | smallest | largest |", "|---|---:|---:|---:|---:|"]
    for (problem, T), rows in groups.items():
        ratios = [r.ratio for r in rows]
        lines.append(f"| {problem} | {T} | {rows[0].ratio:.3f} | {min(ratios):.3f} | {max(ratios):.3f} |")
    return "\n".join(lines)


def _clean_times(records):
    return {(r.problem, r.samples): r.time for r in records if r.generations == 0}


def exceptions(records):
    """One sentence about the cases in which the turn comes later than with real labels."""
    clean = _clean_times(records)
    later = [r for r in records if r.time > clean[r.problem, r.samples]]
    if not later:
        return "There is no exception here."
    named = "; ".join(f"{r.problem}, {r.generator}, n = {r.generations}, T = {r.samples}" for r in later)
    return f"It comes later in {len(later)} of {len(records) - len(clean)} cases:\n  {named}."


def _distance(records):
    """Largest distance of real runs from the prediction, in percent."""
    return f"{100 * max(abs(r.measured / r.test_error - 1) for r in records):.1f}"


def page():
    """The text of the page."""
    records = stopping_study.read(STUDY)
    digits = [r for r in records if r.problem.startswith("digits")]
    synthetic = [r for r in records if r not in digits]
    ratios, clean = [r.ratio for r in records], _clean_times(records)
    moved = [r.time / clean[r.problem, r.samples] for r in records if r.generations == 20]
    judged = [r for r in records if r.gcv is not None]
    off = {
        many: [x for r in judged if (r.samples > study.DIM) is many for x in (r.lookalike, r.lookalike_late)]
        for many in (True, False)
    }
    tables = [f"### {T} rows\n\n{table([r for r in synthetic if r.samples == T])}" for T in (300, 120)]
    tables.append(f"### Handwritten digits, {digits[0].samples} rows\n\n{table(digits)}")
    few, many = (
        {
            r.generator_samples
            for r in stopping_study.REGIMES
            if r.problem not in {d.problem for d in digits} and (r.generator == "under-determined") == short
        }
        for short in (True, False)
    )
    return TEXT.format(
        least_moved=f"{100 * min(moved):.2g} %" if min(moved) > 0 else "0 % (no training at all)",
        most_moved=f"{100 * max(moved):.2g} %",
        median_ratio=f"{statistics.median(ratios):.3f}", least_ratio=f"{min(ratios):.3f}",
        most_ratio=f"{max(ratios):.3f}", count=len(records), steps=steps(records), tables="\n\n".join(tables),
        generator_samples=min(many), few_rows=min(few), synthetic_count=len(synthetic),
        within=sum(abs(r.measured - r.test_error) <= 2 * r.standard_error for r in synthetic),
        worst=_distance(synthetic), digits_clean=_distance([r for r in digits if r.generations == 0]),
        digits_fake=_distance([r for r in digits if r.generations > 0]), exceptions=exceptions(records),
        off_many=f"{100 * max(abs(x - 1) for x in off[True]):.0f}", off_few=f"{max(off[False]):.1f}",
        worse=f"{max(r.lookalike_excess / r.gcv_excess for r in judged):.2g}",
        wins=wins(records), criteria=criteria(records), data_sets=stopping_study.DATA_SETS,
    )  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
