r"""The best values of several numbers of a pipeline together, within bounds.

Each symbol x in [low, high] gets a coordinate t in [0, 1]: the logarithm where low > 0 and high/low > 10; for
a ridge or penalty from zero, x = high·(e^{ct} − 1)/(e^c − 1) with e^c = 10⁹, which has a slope at zero and
covers nine decades; t proportional to x otherwise. The error E, which may be infinite in the box (T = d), is
replaced by E/(E + E_0), a monotone function that is 1 with slope 0 there. An evenly spread sequence over the box gives
the starts, those that no lower point is close to; from each SciPy's L-BFGS-B descends on exact derivatives.
"""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.evaluation.slopes import error_slopes
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.numbers.leaves import free_symbols, is_expression
from modelcollapse.theory.pipelines.model import require_model
from modelcollapse.theory.pipelines.reading import read

__all__ = ["Tuned", "tune"]

STARTS = 4
_EDGE = 1e-9
_DECADES = 9 * np.log(10)


@dataclass(frozen=True, eq=False)
class Tuned:
    """The best values {symbol: number or grid}, the test error there, and which symbols sit at a bound.

    `at_bound` is {symbol: "low" or "high"} for a single pipeline, empty where all values are inside; for a
    grid the entries are arrays of "low", "high" and "".
    """

    values: dict
    test_error: np.ndarray
    at_bound: dict

    def __repr__(self):
        if np.ndim(self.test_error):
            return f"Tuned({'x'.join(map(str, np.shape(self.test_error)))} grid of {', '.join(map(str, self.values))})"
        named = ", ".join(f"{symbol}={value:.6g}" for symbol, value in self.values.items())
        bounds = "".join(f", {symbol} at its {end} bound" for symbol, end in self.at_bound.items())
        return f"Tuned({named}, test_error={self.test_error:.6g}{bounds})"


def tune(model, over, values=None):
    """The values of some symbols, within bounds, that minimise the test error.

    Parameters
    ----------
    model : Model with free symbols
        Anything can be named: ridges, weights, noises, the share of a mixture, or the split p of a budget
        through samples T*p and T*(1 - p).
    over : dict symbol -> (low, high), finite
        The whole box must lie in the domain of the pipeline.
    values : dict symbol -> number or array, optional
        Values of the other free symbols. Every point of a grid is tuned by itself.

    Returns
    -------
    Tuned

    Raises
    ------
    TypeError for a key that is not a free symbol; ValueError for bounds that are not finite and increasing,
    that leave the domain of a number, or that concern whole numbers (generations, rounds: predict on a grid
    instead), and where the error is infinite in the whole box.

    Examples
    --------
    Labels α·w0 + (1 − α)·ŵ of real and synthetic labels, generation after generation: the golden ratio is
    best.

    >>> import sympy, modelcollapse as mc
    >>> from modelcollapse.numerics.questions.best_values import tune
    >>> share = sympy.Symbol("alpha", positive=True)
    >>> w0 = model = mc.truth(mc.isotropic(10))
    >>> for _ in range(12):
    ...     noise = 0.1 * sympy.sqrt(share**2 + (1 - share) ** 2)
    ...     model = mc.fit((share * w0 + (1 - share) * model).label(1000, noise=noise))
    >>> round(float(tune(model, {share: (0.1, 0.9)}).values[share]), 4)
    0.618
    """
    require_model("model", model)
    box = _Box(model, over)
    slopes = error_slopes(model, box.symbols, values, dict(zip(box.symbols, box.low.tolist(), strict=True)))
    corners = np.array(np.meshgrid(*zip(box.low, box.high, strict=True))).reshape(len(box.symbols), -1)
    _require_feasible(slopes, box, corners)
    best = np.array([_tuned(slopes, box, lane) for lane in range(slopes.lanes)])
    best = np.moveaxis(best, 0, -1).reshape(len(box.symbols), *slopes.shape)
    found = {symbol: value[()] for symbol, value in zip(box.symbols, best, strict=True)}
    ends = {
        symbol: np.select([value == low, value == high], ["low", "high"], "")
        for symbol, value, low, high in zip(box.symbols, best, box.low, box.high, strict=True)
    }
    if not slopes.shape:
        ends = {symbol: str(end) for symbol, end in ends.items() if end}
    return Tuned(found, predict(model, {**(values or {}), **found}).test_error, ends)


class _Box:
    """Symbols, their bounds and the coordinates t in [0, 1]."""

    def __init__(self, model, over):
        if not isinstance(over, dict) or not over:
            raise TypeError(f"over = {over!r}; give a dict of at least one symbol: {{symbol: (low, high)}}")
        self.symbols = tuple(over)
        for symbol in self.symbols:
            if not is_expression(symbol) or symbol not in model.free:
                raise TypeError(f"{symbol!r} is not a free symbol of the pipeline; its free symbols are {model.free}")
        self.low, self.high = np.array([_bounds(symbol, over[symbol]) for symbol in self.symbols]).T
        whole, penalty = _roles(model)
        for symbol in whole & set(self.symbols):
            raise ValueError(f"{symbol} is a whole number and has no derivative; predict on a grid of it instead")
        wide = self.high > 10 * self.low
        self.logarithmic = wide & (self.low > 0)
        self.exponential = (self.low == 0) & np.array([symbol in penalty for symbol in self.symbols])

    def __call__(self, t):
        """The numbers x (symbols, N) at t (symbols, N), and dx/dt."""
        low, high = self.low[:, None], self.high[:, None]
        width = np.log(high / np.where(self.logarithmic[:, None], low, high))
        log = np.clip(np.where(low > 0, low, 1) * np.exp(width * t), low, high)
        grown = high * np.expm1(_DECADES * t) / np.expm1(_DECADES)
        kinds = [self.logarithmic[:, None], self.exponential[:, None]]
        x = np.select(kinds, [log, grown], low + (high - low) * t)
        steep = high * _DECADES * np.exp(_DECADES * t) / np.expm1(_DECADES)
        return x, np.select(kinds, [log * width, steep], high - low)


def _bounds(symbol, bounds):
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        raise TypeError(f"over[{symbol}] = {bounds!r}; give a pair of numbers (low, high)") from None
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"over[{symbol}] = ({low:g}, {high:g}) is no interval; give finite bounds, low < high")
    return low, high


def _roles(model):
    """Symbols in whole numbers, and symbols that are a ridge or penalty."""
    leaves = (*read(model).leaves, *model.spectrum.numbers)
    whole = {symbol for _, value, domain in leaves if domain.whole for symbol in free_symbols(value)}
    return whole, {value for name, value, _ in leaves if name in ("ridge", "penalty") and is_expression(value)}


def _require_feasible(slopes, box, points):
    for lane in range(slopes.lanes):
        try:
            slopes.check(np.full(points.shape[1], lane), points)
        except ValueError as error:
            named = ", ".join(f"{s}: ({a:g}, {b:g})" for s, a, b in zip(box.symbols, box.low, box.high, strict=True))
            raise ValueError(f"the bounds {named} leave the domain of the pipeline: {error}; narrow them") from None


def _tuned(slopes, box, lane):
    """The best numbers (symbols,) of one lane."""
    from scipy.optimize import minimize

    size = len(box.symbols)
    sample = np.clip(_spread_evenly(2 ** min(slopes.log_sample + size, 9), size), _EDGE, 1 - _EDGE)
    points, _ = box(sample)
    _require_feasible(slopes, box, points)
    error = slopes.errors(np.full(sample.shape[1], lane), points)
    positive = error[np.isfinite(error) & (error > 0)]
    if not np.isfinite(error).any():
        raise ValueError("the test error is infinite in the whole box; give bounds away from samples = dimension")
    reference = positive.min() if positive.size else 1.0

    def objective(t):
        x, stretch = box(t[:, None])
        value, slope = slopes.finite([lane], x)
        if np.isinf(value[0]):
            return 1.0, np.zeros(size)
        scaled = reference / (value[0] + reference) ** 2
        return value[0] / (value[0] + reference), scaled * slope[:, 0] * stretch[:, 0]

    def descend(start, **options):
        bounds = [(_EDGE, 1 - _EDGE)] * size
        return minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)

    starts = _starts(sample, error)
    if len(starts) > 1:
        coarse = [descend(start, ftol=1e-4, maxiter=20) for start in starts]
        starts = [min(coarse, key=lambda found: found.fun).x]
    best = descend(starts[0], ftol=1e-15, gtol=1e-13, maxiter=200).x
    x, _ = box(best[:, None])
    return np.select([best <= 2 * _EDGE, best >= 1 - 2 * _EDGE], [box.low, box.high], x[:, 0])


def _spread_evenly(count, size):
    """Points (size, count) of the unit box by the additive recurrence of Roberts (2018): steps 1/φ, 1/φ², … with
    φ^(size+1) = φ + 1. (Drawing them by SciPy's Sobol would take half a second to import.)"""
    phi = 2.0
    for _ in range(64):
        phi = (1 + phi) ** (1 / (size + 1))
    steps = phi ** -np.arange(1.0, size + 1)[:, None]
    return (0.5 + steps * np.arange(1, count + 1)) % 1


def _starts(sample, error):
    """The lowest points of a sample (symbols, N), none within a tenth of the box of a lower one of the sample."""
    sample = sample[:, np.argsort(error, kind="stable")[: np.isfinite(error).sum()]].T
    apart = [np.all(np.abs(sample[:k] - point).max(axis=1) > 0.1) for k, point in enumerate(sample)]
    return sample[apart][:STARTS]
