"""From rows and provenance to the correction of a criterion, or to a reason why there is none."""

from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.provenance.corrected_risk import (
    FEW,
    CleanRows,
    Correction,
    is_least_squares,
    least_squares_correction,
)
from modelcollapse.numerics.provenance.leverage import relative_leverage
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.numerics.provenance.source_conditions import (
    label_noise_variance,
    plug_in_correction,
    population_spectrum,
)
from modelcollapse.theory.populations.resolved_directions import Directions

ABSURD = 1e30  # times the labels: generator noise that nothing can be said about


class MixedRows(NamedTuple):
    """Rows and the authors of their labels.

    X: inputs (T, d); eps: of the precision that they came in; found: their Directions; path: their RidgePath; targets:
    (T, outputs), centred where there is an intercept, in units of `unit`; real: mask (T,); origins: pairs (share,
    Provenance), in the same unit.
    """

    X: np.ndarray
    eps: float
    found: Directions
    path: RidgePath
    targets: np.ndarray
    unit: float
    real: np.ndarray
    origins: list
    intercept: bool


class Correcting(NamedTuple):
    """criterion: its name; correction: None where there is none; level: what the corrected risk holds beside the error
    against the truth; reason: why it is not to be used, or empty; notes: warnings; worth: of the error on the labels at
    hand, what it must promise to be acted on."""

    criterion: str = ""
    correction: Correction | None = None
    level: float = 0.0
    reason: str = ""
    notes: tuple = ()
    worth: float = 0.0


def correction_of(rows, inputs, more):
    """How the criterion on MixedRows is to be corrected; inputs, more: path and directions of all inputs at hand,
    labelled or not."""
    path, origins, dim = rows.path, rows.origins, inputs.dim
    unknown = any(o.generations and o.noise is None for _, o in origins)
    if unknown and rows.real.sum() < 2:
        raise ValueError(
            f"generator_noise = None with {rows.real.sum()} real rows; give the noise, or mark at least two "
            "rows with clean labels through origin"
        )
    if any((o.noise or 0.0) >= ABSURD for _, o in origins):
        return Correcting(reason=f"generator noise is {ABSURD:g} times the spread of the labels, or more")
    if any(o.generations and o.ridge == 0 and abs(o.samples - dim) <= 1 for _, o in origins):
        return Correcting(reason=f"generators sit at their interpolation threshold, {dim:g} samples")
    _, kappa, _, df = inputs.curve()
    population = population_spectrum(kappa, df, dim)
    clean, clean_df = _clean_rows(rows, population) if unknown else (None, None)
    if is_least_squares(origins, dim):
        correction = least_squares_correction(
            origins, dim, clean, clean_df, lambda t: relative_leverage(more.vectors, t, rows.intercept)
        )
        few = path.exhausted and path.samples >= FEW * dim and correction.prior[1] > 0
        criterion = "noise, posterior" if few else "noise"
    else:
        correction = plug_in_correction(path, *population, dim, origins, clean)
        criterion, few = "noise and bias", False
    level = path.rest / path.null if few else label_noise_variance(path, *population) - correction.disagreement
    reason = ""
    if correction.misfit > 4 * np.sqrt(2 / path.samples):
        reason = f"no signal explains the labels (relative misfit {correction.misfit:.2g})"
    return Correcting(criterion, correction, level, reason, () if reason else _implausible(rows, correction))


def _implausible(rows, correction):
    """A warning where the labels cannot hold the errors that they are said to hold."""
    variance = float(np.mean(np.var(rows.targets[~rows.real], axis=0)))
    if correction.generator_variance <= 2 * variance:
        return ()
    claimed, seen = (rows.unit * rows.unit * value for value in (correction.generator_variance, variance))
    return (
        f"generator noise alone would give labels a variance of {claimed:.3g}, "
        f"and they have {seen:.3g}; check generations, generator_samples and generator_noise",
    )


def _clean_rows(rows, population):
    """The contrast between synthetic and real rows that carries the noise of the generators, and df_1 at its ridges."""
    path, basis = rows.path, rows.found.vectors
    ridge, kappa, gcv, df = path.curve()
    first = min(int(np.argmin(gcv)), len(df) - 2)
    second = max(first + 1, int(np.argmin(np.abs(df - df[first] / 4))))
    residuals, real = [], rows.real
    for index in (first, second):
        keep = path.values / (path.values + ridge[index] * path.rows)
        leverage = basis**2 @ keep + bool(rows.intercept) / path.rows
        residuals.append((rows.targets - basis @ (keep[:, None] * path.coordinates)) / (1 - leverage)[:, None])
    product = np.mean(residuals[1] * (residuals[1] - residuals[0]), axis=1)
    error = np.sqrt(product[real].var(ddof=1) / real.sum() + product[~real].var() / (~real).sum())
    contrast = product[~real].mean() - product[real].mean()
    clean = CleanRows(
        float(contrast), float(error), label_noise_variance(path, *population), (kappa[first], kappa[second])
    )
    return clean, (df[first], df[second])
