"""One fit of real and synthetic rows, its weights and ridge chosen or given: what regressor and classifier share."""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.mixes.choice import (
    SURE,
    Beliefs,
    Chosen,
    Scored,
    beliefs,
    choose,
    gap,
    score,
    share_of_risk,
    standard_error,
    worse,
)
from modelcollapse.numerics.mixes.leave_one_out import gcv, weighted_path
from modelcollapse.numerics.mixes.moments import Rows, rows_of
from modelcollapse.numerics.mixes.teachers import informed
from modelcollapse.numerics.mixes.worth import worth
from modelcollapse.theory.populations import resolved_directions
from modelcollapse.theory.populations.kernels import enough_memory, kernel_values
from modelcollapse.theory.populations.threads import pinned

FEWEST = 4  # real rows that a choice is made on
KERNEL_ROWS = 4000  # of a kernel fit whose weights are chosen
DIRECTIONS = 1000  # of a kernel that such a fit sees
_SMALL_GAIN = 0.05  # of the error: what is not worth a warning


class Features(NamedTuple):
    """Rows in coordinates where a ridge is a ridge: values (N, r); maps (d or N, r) from slopes to coefficients; offset
    (d or N,), what was subtracted; None where the inputs themselves are meant."""

    values: np.ndarray
    maps: np.ndarray | None
    offset: np.ndarray | None


class Mix(NamedTuple):
    """best: the Scored fit that is used; chosen, belief: None where nothing was chosen by real rows; risk: (L,), what
    was minimised over penalties; criterion: its name; notes: warnings."""

    rows: Rows
    best: Scored
    chosen: Chosen | None
    belief: Beliefs | None
    risk: np.ndarray
    criterion: str
    notes: list

    @property
    def alpha(self):
        return float(self.best.path.alphas[self.best.at])

    @property
    def effective_rows(self):
        """Rows of positive weight."""
        return sum(m.rows for m, w in zip(self.rows.moments, self.best.weights, strict=True) if w > 0)


def linear_features(X, eps, centre):
    """Features of inputs X (N, d); fewer coordinates than columns where there are few rows."""
    if 2 * X.shape[1] <= len(X):
        return Features(X, None, None)
    return _reduced(resolved_directions.of_features(X, centre, eps))


def kernel_features(gram, eps, centre):
    """Features of a kernel matrix (N, N): its leading DIRECTIONS."""
    return _reduced(resolved_directions.of_gram((gram + gram.T) / 2, centre, eps))


def _reduced(found):
    kept = slice(0, DIRECTIONS)
    lengths = np.sqrt(found.values[kept])
    return Features(found.vectors[:, kept] * lengths, found.maps[:, kept] / lengths, found.offset)


def features_of(X, eps, centre, kernel, options):
    """Features of inputs X (N, d) under a kernel, or of the kernel matrix (N, N) where it is "precomputed"."""
    if isinstance(kernel, str) and kernel == "linear":
        return linear_features(X, eps, centre)
    few_enough(len(X))
    gram = values_of(kernel, options, X)
    if gram.shape != (len(X), len(X)):
        raise ValueError(f"X has shape {gram.shape}; a precomputed kernel matrix is square")
    given = isinstance(kernel, str) and kernel == "precomputed"
    return kernel_features(gram, eps if given else np.finfo(float).eps, centre)


def values_of(kernel, options, X, Z=None):
    """Kernel values (N, M) of rows X and Z, None for X itself; X where the kernel is "precomputed"."""
    if isinstance(kernel, str) and kernel == "precomputed":
        return X
    return kernel_values(X, Z, kernel, options, filter_params=True)


def few_enough(rows):
    """Raise ValueError where a kernel fit of so many rows would take too long."""
    enough_memory(rows)
    if rows > KERNEL_ROWS:
        raise ValueError(
            f"X has {rows} rows, and weights are chosen for kernels of at most {KERNEL_ROWS}; use "
            "make_pipeline(sklearn.kernel_approximation.Nystroem(n_components=300), CollapseAwareRidge(weights=...))"
        )


def fit_mix(features, y, codes, counts, intercept, provenance, weights, ridges=None, near=None):
    """The Mix of Features and targets (N, k).

    codes: (N,), 0 for real rows; counts: (N,); provenance: dict code -> Provenance; weights: dict code -> weight, or
    None where they are to be chosen; ridges: λ (L,) or None; near: maxima of the evidence of nearly the same rows.
    """
    rows = rows_of(features.values, y, codes, counts, intercept)
    with pinned(len(rows.variances)):
        return _fitted(rows, int(np.sum((codes == 0) & (counts > 0))), provenance, weights, ridges, near)


def _fitted(rows, real, provenance, weights, ridges, near):
    """The Mix of Rows of which so many are real; the rest as for `fit_mix`."""
    origins = len(rows.moments)

    def penalties(given):
        count = sum(m.rows for m, w in zip(rows.moments, given, strict=True) if w > 0)
        return np.asarray(ridges) * count

    alphas = None if ridges is None else penalties
    fixed = None if weights is None else np.array([1.0] + [weights[g] for g in range(1, origins)])
    if real < FEWEST or origins == 1 or not len(rows.variances) or not rows.targets.any():
        return _without_real_rows(rows, np.ones(origins) if fixed is None else fixed, alphas, real)
    belief, told, refused = informed(rows, beliefs(rows, near=near), provenance)
    if fixed is None:
        chosen = choose(rows, belief, penalties=alphas)
    else:
        candidates = fixed, np.eye(origins)[0], np.ones(origins)
        best, alone, pooled = (score(rows, belief, w, alphas) for w in candidates)
        share = share_of_risk(rows, belief, best, best.judged(0.0))
        best, alone, pooled = (one.judged(share) for one in (best, alone, pooled))
        chosen = Chosen(best, alone, pooled, [best, alone, pooled], "")
    criterion = "leave-one-out and evidence" + (" with provenance" if told else "")
    notes = _notes(rows, chosen) if fixed is None else []
    if refused:
        notes.append("the rows contradict what is said of the generators: their error is read from the rows instead")
    return Mix(rows, chosen.best, chosen, belief, chosen.best.score, criterion, notes)


def _without_real_rows(rows, weights, alphas, real):
    """All that is known is GCV on all rows."""
    path = weighted_path(rows, weights, None if alphas is None else alphas(weights))
    risk = gcv(rows, path, weights)
    risk = np.where(np.isfinite(risk), risk, risk[np.isfinite(risk)].max())
    at = int(len(risk) - 1 - np.argmin(risk[::-1]))
    notes = []
    if len(rows.moments) > 1 and real:
        notes.append(
            f"{real} real rows are too few to choose by, at least {FEWEST} are needed: the ridge is chosen on all rows"
        )
    best = Scored(weights, path, risk, 0.0, risk, at)
    return Mix(rows, best, None, None, risk, "gcv (fallback)" if notes else "gcv", notes)


def _notes(rows, chosen):
    best, notes = chosen.best, []
    if not best.weights[1:].any():
        notes.append(
            "the real rows alone look best: synthetic rows get the weight 0"
            + (f" ({chosen.reason})" if chosen.reason else "")
        )
    elif chosen.reason:
        notes.append(f"{chosen.reason}: all rows are weighed alike")
    else:
        rival = min(chosen.alone, chosen.pooled, key=lambda one: one.best)
        mean, error = gap(rows, rival, best)
        gain = 1 - best.best / rival.best if rival.best > 0 else 0.0
        if gain > _SMALL_GAIN and mean < error:
            notes.append(
                f"{len(rows.counts)} real rows are too few to tell the chosen weights from "
                f"{'weight 0' if rival is chosen.alone else 'equal weights'} by themselves: the choice rests on the "
                "model of the synthetic labels"
            )
    lone = best._replace(at=int(best.path.loss.argmin()))
    penalty, smaller = best.path.alphas[best.at], best.path.alphas[lone.at]
    if smaller < penalty and worse(rows, best, lone):
        notes.append(
            f"leave-one-out on the real rows finds the penalty {smaller:.2g} better than {penalty:.2g} by more than "
            f"{SURE:g} standard errors: the model of the labels does not fit these rows; if columns differ in their "
            "units, standardise them (sklearn.preprocessing.StandardScaler)"
        )
    return notes


def coefficients_of(mix, features, dual):
    """Coefficients (d or N, k) of the inputs or of their kernel, and the intercept (k,)."""
    path, at = mix.best.path, mix.best.at
    slopes = mix.rows.rotation @ path.slopes[at]
    level = path.intercepts[at] - mix.rows.offset @ slopes
    if features.maps is None:
        return slopes, level
    coefficients = features.maps @ slopes
    if dual and mix.rows.intercept:
        coefficients -= coefficients.mean(axis=0)  # sums to zero but for rounding, which large kernels amplify
    return coefficients, level - features.offset @ coefficients


def report(mix, unit=1.0):
    """The candidates side by side: error on real labels, left out, with its standard error; expected excess over the
    truth; ridge. unit: of the labels."""
    if mix.chosen is None:
        return None
    found: dict[str, Any] = {"candidate": ["real only", "pooled", "chosen"]}
    candidates = mix.chosen.alone, mix.chosen.pooled, mix.best
    found["error"] = [one.path.loss[one.at] * unit**2 for one in candidates]
    found["standard_error"] = [standard_error(mix.rows, one.path.held_out[one.at]) * unit**2 for one in candidates]
    found["excess"] = [one.risk[one.at] * unit**2 for one in candidates]
    found["alpha"] = [one.path.alphas[one.at] for one in candidates]
    return {name: np.array(values) for name, values in found.items()}


def worth_of(mix):
    return None if mix.chosen is None else float(worth(mix.rows, mix.belief, mix.chosen))
