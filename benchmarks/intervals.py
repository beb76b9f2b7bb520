"""How often the intervals of label errors hold the truth: `python -m benchmarks.intervals [--trials N] [--advise]`.

The synthetic problems of the study of mixes, where it is known what every teacher is wrong by: isotropic inputs and two
power laws, five teachers each. A line says of one problem and one number of real rows in which share of data sets the
interval, of nine tenths, holds the error of the teacher's labels, the median of estimate over truth, and the median of
upper over lower limit. Intervals are those of `CollapseAwareRidge.label_errors_`; with --advise those of
`modelcollapse.advise`, which takes ten times as long.
"""

import argparse
import warnings

import numpy as np

import modelcollapse as mc
from modelcollapse.validation.studies.mixes import REGIMES, draw

REAL = (20, 60, 200)


def interval(found, advised):
    """(estimate, low, high) of the error of the synthetic labels of a Draw, of standardised columns."""
    marks = np.where(found.origin == 1, "model", "real")
    if advised:
        return mc.advise(found.X, found.y, marks).label_errors["model"]
    model = mc.CollapseAwareRidge({"real": mc.Provenance(), "model": None}, weights="auto")
    return model.fit((found.X - found.X.mean(axis=0)) / found.X.std(axis=0), found.y, origin=marks).label_errors_[
        "model"
    ]


def truth(found):
    """What the labels of a linear teacher, which have no noise, are wrong by on average over inputs."""
    fake = found.origin == 1
    teacher = np.linalg.lstsq(found.X[fake], found.y[fake])[0]
    return np.sum(found.eigenvalues * (teacher - found.truth) ** 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--advise", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    held = {real: [] for real in REAL}
    for regime in (regime for regime in REGIMES if regime.dim):
        for real in REAL:
            lines = []
            for seed in range(options.trials):
                found = draw(regime, real, np.random.default_rng([seed, real]))
                estimate, low, high = interval(found, options.advise)
                true = truth(found)
                lines.append((low <= true <= high, estimate / true, high / low))
            inside, ratios, widths = np.transpose(lines)
            held[real].append(np.mean(inside))
            name = f"{regime.problem}, {regime.teacher}, {regime.generations} × {regime.teacher_rows} rows"
            print(f"{name:58} {real:4} real rows: held {100 * held[real][-1]:3.0f} %, estimate/truth "
                  f"{np.median(ratios):5.2f}, high/low {np.median(widths):6.1f}", flush=True)  # fmt: skip
    for real, shares in held.items():
        print(
            f"{real} real rows: held {100 * np.mean(shares):.0f} % over all problems, at least {100 * min(shares):.0f}"
        )


if __name__ == "__main__":
    main()
