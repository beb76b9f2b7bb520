r"""The outcome of a simulation: a value with its uncertainty.

Trial errors are skewed to the right, and the t statistic of their mean to the left. Intervals therefore use Hall's
cubic transformation (Hall 1992, *On the removal of skewness by transformation*): with W = (mean − μ)/s and skewness
γ,

$$ \sqrt n \left( W + \tfrac13 γ W^2 + \tfrac1{27} γ^2 W^3 + \tfrac γ{6n} \right) \approx t_{n-1}, $$

which is monotone and inverts in closed form. Measured on least-squares fits (d = 30, T = 45, 100 trials), the share
of intervals of level 0.999 that miss is 0.0011, against 0.0028 for the plain t interval. Where a trial has no
variance (tail index α ≤ 2, see `tails`) no finite interval is claimed; for 2 < α ≤ 4 nominal 95 % was measured to be
92 to 94 % at 100 trials and more.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelcollapse.validation.tails import FEWEST_DRAWS, hill

__all__ = ["Estimate"]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A simulated test error: mean over trials, its standard error, quantiles of single runs, the draws.

    Arrays have the grid's shape (np.float64 without a grid).

    Attributes
    ----------
    mean, standard_error : over the trials
    trials : int
    quantiles : dict level -> array, of single runs (of the conditional mean if `conditional`)
    draws : (*grid, trials), read-only
    tail_index : α with P(error > x) ~ x^-α, inf where all moments exist; derived from the pipeline
    conditional : whether a draw is the mean over the label noise of the last fit
    interrupted : whether fewer trials were run than were asked for
    streams : (problem, key, first, end) per grid point and run, for `merge`
    error_rate : Estimate of the 0–1 error against the sign of the truth's score; None if `conditional`

    >>> import modelcollapse as mc
    >>> found = mc.simulate(mc.fit(mc.truth(mc.isotropic(20)).label(50, noise=0.5)), trials=400)
    >>> round(float(found.mean), 2), found.trials, found.tail_index
    (0.17, 400, np.float64(15.5))
    """

    mean: np.ndarray
    standard_error: np.ndarray
    trials: int
    quantiles: dict
    draws: np.ndarray = field(repr=False)
    tail_index: Any = np.inf
    conditional: bool = False
    interrupted: bool = False
    streams: tuple = ()
    error_rate: "Estimate | None" = None

    @classmethod
    def from_draws(cls, draws, tail_index: Any = np.inf, **details):
        """The summary of draws (*grid, trials), at least two."""
        draws = np.array(draws, float)
        draws.flags.writeable = False
        trials = draws.shape[-1]
        if trials < 2:
            raise ValueError(f"trials = {trials} is outside [2, inf); a standard error needs two trials at least")
        quantiles = dict(zip(LEVELS, np.quantile(draws, LEVELS, axis=-1), strict=True))
        tail = np.broadcast_to(np.asarray(tail_index, float), draws.shape[:-1])
        error = draws.std(-1, ddof=1) / np.sqrt(trials)
        return cls(draws.mean(-1)[()], error[()], trials, quantiles, draws, tail[()], **details)

    @property
    def shape(self):
        return np.shape(self.mean)

    @property
    def heavy_tailed(self):
        """Where the standard error means nothing: a trial has no variance, or the draws themselves say so.

        The first is known from the pipeline; the second is Hill's estimate of the tail index, with its
        uncertainty below 2.
        """
        known = np.asarray(self.tail_index) <= 2
        if self.trials < FEWEST_DRAWS:
            return known[()]
        index, spread = hill(self.draws)
        return (known | (index * (1 + 2.33 * spread) < 2))[()]

    def interval(self, level=0.95):
        """(low, high) of the mean at a confidence level; (0, inf) where `heavy_tailed`."""
        if not 0 < level < 1:
            raise ValueError(f"level = {level} is outside (0, 1); give a confidence level such as 0.95")
        from scipy.special import stdtrit  # a simulation without an interval need not wait for it

        quantile, heavy = stdtrit(self.trials - 1, 0.5 + level / 2), self.heavy_tailed
        apart = self.draws - np.asarray(self.mean)[..., None]
        spread = np.sqrt(np.mean(apart**2, axis=-1, keepdims=True))
        skewness = np.mean((apart / np.where(spread > 0, spread, 1)) ** 3, axis=-1)
        low, high = (
            self.mean - self.standard_error * _inverse_transform(end, skewness, self.trials)
            for end in (quantile, -quantile)
        )
        return np.where(heavy, 0, np.maximum(low, 0))[()], np.where(heavy, np.inf, high)[()]

    def merge(self, other):
        """The estimate from the trials of both.

        Raises ValueError if the two share trials (one seed, overlapping trial numbers) or differ in their problem.
        """
        if not isinstance(other, Estimate):
            raise TypeError(f"other is a {type(other).__name__}; merge two estimates")
        if self.shape != other.shape or self.conditional != other.conditional:
            raise ValueError(
                f"the estimates have grids {self.shape} and {other.shape}, conditional {self.conditional} and "
                f"{other.conditional}; merge estimates of one problem"
            )
        _require_disjoint(self.streams, other.streams, len(self.draws.reshape(-1, self.trials)))
        both = self.error_rate is not None and other.error_rate is not None
        return Estimate.from_draws(
            np.concatenate([self.draws, other.draws], -1),
            np.minimum(self.tail_index, other.tail_index),
            conditional=self.conditional,
            interrupted=self.interrupted or other.interrupted,
            streams=self.streams + other.streams,
            error_rate=self.error_rate.merge(other.error_rate) if both else None,  # type: ignore[union-attr]
        )

    def to_dict(self):
        """Columns by name: NumPy arrays, without the draws."""
        columns = {"mean": self.mean, "standard_error": self.standard_error, "trials": np.int64(self.trials)}
        columns |= {f"quantile_{level:g}": value for level, value in self.quantiles.items()}
        return columns | {"tail_index": self.tail_index}

    def __repr__(self):
        notes = ", interrupted" * self.interrupted + ", conditional on the designs" * self.conditional
        heavy = self.heavy_tailed
        if self.shape:
            size = "x".join(map(str, self.shape))
            tails = f", no finite variance at {np.count_nonzero(heavy)} points" if np.any(heavy) else ""
            spread = np.max(np.where(heavy, 0, self.standard_error))
            return (
                f"Estimate({size} grid: mean={np.min(self.mean):.4g}..{np.max(self.mean):.4g}, "
                f"standard_error<={spread:.2g}, trials={self.trials}{tails}{notes})"
            )
        if heavy:
            return (
                f"Estimate(median={self.quantiles[0.5]:.6g}, 90% of runs in [{self.quantiles[0.05]:.4g}, "
                f"{self.quantiles[0.95]:.4g}], trials={self.trials}, no standard error: {self._missing()}{notes})"
            )
        return f"Estimate(mean={self.mean:.6g}, standard_error={self.standard_error:.2g}, trials={self.trials}{notes})"

    def _missing(self):
        if self.tail_index > 2:
            return f"the draws look as if they had no variance (tail index about {hill(self.draws)[0]:.2g})"
        missing = "mean" if self.tail_index <= 1 else "variance"
        return f"a run's error has no finite {missing} so near samples = dim (tail index {self.tail_index:g})"


def _inverse_transform(end, skewness, trials):
    """√n W at which the transformed statistic equals `end`."""
    small = np.abs(skewness) < 1e-6
    gamma = np.where(small, 1, skewness)
    root = np.cbrt(1 + gamma * (end / np.sqrt(trials) - gamma / (6 * trials)))
    return np.where(small, end, np.sqrt(trials) * 3 / gamma * (root - 1))


def _require_disjoint(ours, theirs, points):
    problems = [[stream[0] for stream in streams[:points]] for streams in (ours, theirs)]
    if problems[0] != problems[1]:
        raise ValueError("the estimates are of different problems; merge estimates of one problem")
    for _, key, start, stop in ours:
        for _, other_key, other_start, other_stop in theirs:
            if key == other_key and start < other_stop and other_start < stop:
                raise ValueError(
                    f"both estimates hold the trials {max(start, other_start)}..{min(stop, other_stop) - 1} of one "
                    f"seed; simulate the second with another seed, or with first_trial={stop}"
                )
