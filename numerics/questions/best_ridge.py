r"""The best ridge of the last fit of a pipeline.

For general spectra λ ↦ E_test(λ) can have several minima, on clean data too. As a function of log λ its
features are those of s/(s+κ), and never narrower than in log κ: with λ = κ(T − df_1)/T,

    d log λ / d log κ = (T − df_2)/(T − df_1) ≥ 1 .

So the sign of dE/d log λ on a grid of four nodes per decade, from a hundredth of the smallest scale of the
spectrum (or of κ(0, T) where that is larger) to a hundred times the largest, finds every minimum there.
Beyond, the error is a power series in λ/s or s/κ whose first terms decide: one more node at either end, forty
decades below and eight above, brackets what is left. The brackets are closed in by a root finder on the exact
derivative, and the lowest minimum wins against λ = 0 and λ = ∞. Optima beyond the last node are reported as
∞; the error there is that of the null model to ten digits. Where rounding hides the sign of the lowest slopes, as it
does without label noise, they have the sign of the first that is seen.

Random features have λ = κ(1 − df_1/T)(1 − df_1/m), as steep in κ. Their slopes at tiny ridges drown in rounding, of
size ε E/λ: there one node per decade, down to where all that a ridge could gain is rounding, takes the place of the
node far below.

Isotropic clean data have λ⋆ = σ²d/(T‖w0‖²) (Dobriban and Wager, Annals of Statistics 46, 2018).
"""

import functools
from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents.ridge_equation import solve
from modelcollapse.numerics.equivalents.shares import samples_left
from modelcollapse.numerics.evaluation.grid import Grid
from modelcollapse.numerics.evaluation.lanes import evaluate_on
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.outcome import require_finite, shown
from modelcollapse.numerics.evaluation.slopes import error_slopes
from modelcollapse.numerics.evaluation.traced import Slopes
from modelcollapse.theory.pipelines import Fit, Model

__all__ = ["OptimalRidge", "optimal_ridge", "scales"]

BELOW, ABOVE = 40 * np.log(10), 8 * np.log(10)
LADDER = np.arange(15, 0, -1)[:, None] * np.log(10)  # below the scales of random features
_LIMIT = np.log(1e290)
_NOISE, _HIDDEN = 1e-14, 1e-13  # of a slope at large ridges and at small ones, relative to the error


@dataclass(frozen=True, eq=False)
class OptimalRidge:
    """The best ridge of the last fit and the test error there, arrays of the grid's shape (np.float64 without a grid).

    `at_bound` is true where the optimum is no stationary point: ridge 0 (least squares or interpolation) or
    inf (the null model: the labels teach nothing).
    """

    ridge: np.ndarray
    test_error: np.ndarray
    at_bound: np.ndarray

    def __repr__(self):
        if np.ndim(self.ridge) == 0:
            numbers = f"ridge={self.ridge:.6g}, test_error={self.test_error:.6g}"
            return f"OptimalRidge({numbers}, at_bound={bool(self.at_bound)})"
        parts = shown(ridge=self.ridge, test_error=self.test_error)
        return f"OptimalRidge({parts}, {np.sum(self.at_bound)} at a bound)"


def optimal_ridge(model, values=None):
    """The ridge of the last fit that minimises the test error, over [0, inf], globally.

    Parameters
    ----------
    model : Model that ends in `fit`
        The ridge it was given is ignored. Only the last fit's ridge varies: another number of the pipeline
        that is equal to it, or is named by the same symbol, stays as it is.
    values : dict symbol -> number or array, optional
        Values of the pipeline's free symbols.

    Returns
    -------
    OptimalRidge, arrays of the broadcast shape of the pipeline's grids; the test error is the deterministic
    equivalent.

    Raises
    ------
    TypeError if the model is no fit (the ridge of a chain is a number of every generation: name it by a
    symbol and use `tune`) or a symbol stays free; ValueError for numbers outside their domain.

    Examples
    --------
    Labels that other models wrote want more ridge, the more the older they are:

    >>> import numpy as np, modelcollapse as mc
    >>> from modelcollapse.numerics.questions.best_ridge import optimal_ridge
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> labels = mc.chain(w0, [0, 1, 5, 20], samples=400, noise=0.5)
    >>> best = optimal_ridge(mc.fit(labels.label(200, noise=0.5)))
    >>> best.ridge.round(3)  # on clean labels σ²d/T
    array([0.125, 0.162, 0.376, 1.857])
    """
    if not isinstance(model, Fit):
        kind = type(model).__name__ if isinstance(model, Model) else f"no model but a {type(model).__name__}"
        raise TypeError(
            f"model is {kind} and optimal_ridge needs one that ends in fit(...); to vary the ridge of a "
            "chain or the penalty of an accumulation, name it by a symbol and use tune"
        )
    if model.filter is not None:
        raise ValueError(
            f"filter = {model.filter!r} in the last fit, which has no ridge; give fit(..., ridge=...), or use "
            "optimal_stopping"
        )
    symbol = _last_ridge()
    model, free = Fit(model.spectrum, model.sources, symbol, None, model.features), set(model.free)
    values = {s: v for s, v in (values or {}).items() if s in model.free or s not in free}
    slopes = error_slopes(model, (symbol,), values, {symbol: 1.0})
    lanes = slopes.lanes
    low, high = scales(slopes)
    nodes = _nodes(low, high, np.array([[BELOW]]) if model.features is None else LADDER, slopes.nodes_per_decade)
    asked = np.vstack([np.zeros(lanes), np.exp(nodes), np.full(lanes, np.inf)])
    error, slope = slopes.finite(np.tile(np.arange(lanes), len(asked)), (asked.ravel(),))
    error, slope = error.reshape(asked.shape), slope[0].reshape(asked.shape)[1:-1]
    slope[-1] = np.where(asked[-2] * slope[-1] > _NOISE * error[-1], slope[-1], -1)
    reach = np.exp(low)[None] if model.features is None else asked[1:-2]  # plain slopes are as accurate at zero
    hidden = np.abs(slope[:-1]) * reach <= _HIDDEN * np.maximum(error[1:-2], error[2:-1])
    for k in reversed(range(np.sum(nodes[:, 0] < low[0]) if lanes else 0)):
        slope[k] = np.where(hidden[k], slope[k + 1], slope[k])
    ridge, least = _interior(slopes, nodes, slope)

    allowed = slope[0] >= 0, slope[-1] < 0
    for end, bound, open_ in zip((0.0, np.inf), (error[0], error[-1]), allowed, strict=True):
        better = (open_ | np.isinf(least)) & (bound < least)
        ridge, least = np.where(better, end, ridge), np.where(better, bound, least)
    ridge, least = (x.reshape(slopes.shape)[()] for x in (np.where(np.isinf(least), np.inf, ridge), least))
    lost = np.isnan(error[1:-1]).all(0).reshape(slopes.shape)
    require_finite(np.where(lost, np.nan, least))
    return OptimalRidge(ridge, least, (ridge == 0) | np.isinf(ridge))


@functools.cache
def _last_ridge():
    import sympy

    return sympy.Dummy("last_ridge", nonnegative=True)


def _interior(slopes, nodes, slope):
    """The lowest of the stationary minima of each lane: its ridge and error, inf where there is none."""
    from scipy.optimize.elementwise import find_root

    ridge, least = np.zeros(nodes.shape[1]), np.full(nodes.shape[1], np.inf)
    interval, lanes = np.nonzero((slope[:-1] < 0) & (slope[1:] >= 0))
    if not len(lanes):
        return ridge, least
    ends = interval, interval + 1
    bracket = tuple(nodes[end, lanes] for end in ends)
    known = [np.exp(u) * slope[end, lanes] for u, end in zip(bracket, ends, strict=True)]

    def rising(u, lane):
        """dE/d log λ, of which SciPy asks both ends of the brackets once more."""
        for end, value in zip(bracket, known, strict=True):
            if np.array_equal(u, end):
                return value
        return np.exp(u) * slopes.finite(lane, (np.exp(u),))[1][0]

    found = find_root(rising, bracket, args=(lanes,), tolerances={"xatol": 1e-14, "xrtol": 1e-15}).x
    error = slopes.errors(lanes, (np.exp(found),))
    order = np.lexsort((error, lanes))[::-1]
    ridge[lanes[order]], least[lanes[order]] = np.exp(found[order]), error[order]
    return ridge, least


def _nodes(low, high, below, per_decade):
    """Logarithms of ridges, (nodes, lanes): those `below` the lowest scale, between the scales, and above."""
    count = int(np.ceil(per_decade * np.max(high - low, initial=0) / np.log(10))) + 1
    inner = low + (high - low) * np.linspace(0, 1, max(count, 2))[:, None]
    return np.clip(np.vstack([low - below, inner, high + ABOVE]), -_LIMIT, _LIMIT)


def scales(slopes):
    """Logarithms of the smallest and the largest ridge between which the last fit changes its behaviour, (lanes,)."""
    if not isinstance(slopes, Slopes):
        return slopes.scales()
    schedule = slopes.reading.schedule

    def run(numbers, atoms, shifts, tested):
        step = schedule.steps[-1].filled(numbers)
        inputs = OnSpectrum(atoms, shifts, False).inputs(len(schedule.steps) - 1, step)
        xp = namespace(numbers)
        rows, weights = (xp.stack([getattr(x, name) for x in step.sources]) for name in ("samples", "weight"))
        features = xp.full_like(rows[0], np.inf) if step.features is None else step.features
        return _scale(atoms, inputs, rows, weights, features)

    effort = 5 + 2e-3 * slopes.lanes * slopes.grid.atoms.eigenvalues.shape[-1]  # milliseconds, as in `effort`
    return evaluate_on(Grid((slopes.lanes,), slopes.numbers, *slopes.arrays), run, 2, effort=effort)


@compiled
@quiet()
def _scale(atoms, inputs, rows, weights, features):
    """The scales of the pooled covariance Σ_g p_g ω_g Σ_g; unequal weights widen them."""
    xp = namespace(atoms, inputs, rows, weights, features)
    samples, used = rows.sum(0), rows * weights > 0
    shares = rows * weights / samples
    pooled = sum(share[:, None] * s for share, s in zip(shares, inputs, strict=True))
    carries = (pooled > 0) & ((atoms.multiplicity > 0) | (atoms.signal > 0))
    smallest = xp.min(xp.where(carries, pooled, np.inf), -1)
    largest = xp.max(xp.where(carries, pooled, 0), -1)
    empty = largest == 0
    smallest, largest = xp.where(empty, 1, smallest), xp.where(empty, 1, largest)
    interpolating, _ = solve(pooled, atoms.multiplicity, xp.minimum(samples, features), 0 * samples)
    kappa = xp.maximum(1.01 * interpolating, 0.01 * smallest)
    left = [samples_left(pooled, atoms.multiplicity, n, kappa)[0] / n for n in (samples, xp.minimum(features, 1e300))]
    uneven = xp.min(xp.where(used, weights, np.inf), 0) / xp.max(weights, 0)
    low = kappa * xp.clip(left[0], 1e-6, 1) * xp.clip(left[1], 1e-6, 1) * uneven
    return xp.log(low), xp.log(100 * largest)
