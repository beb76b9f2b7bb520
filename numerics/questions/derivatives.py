"""From a pipeline with symbols to a pure JAX function of arrays, and to numbers for its gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.evaluation.double_precision import ordinary_rules
from modelcollapse.numerics.evaluation.grid import shifts_of
from modelcollapse.numerics.evaluation.lanes import rows
from modelcollapse.numerics.evaluation.outcome import require_finite
from modelcollapse.numerics.evaluation.slopes import error_slopes
from modelcollapse.numerics.evaluation.traced import TracedError
from modelcollapse.numerics.formula_functions import JAX
from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols, is_expression
from modelcollapse.theory.pipelines.filters import SelfDistillation
from modelcollapse.theory.pipelines.model import require_model
from modelcollapse.theory.pipelines.reading import checked_values
from modelcollapse.theory.pipelines.steps import AccumulateStep, ChainStep, FitStep
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["gradient", "lower"]


def lower(model, over):
    """The test error as a pure function of the values of some symbols, one positional array for each.

    Parameters
    ----------
    model : Model whose free symbols are exactly those in `over`
    over : tuple of SymPy symbols

    Returns
    -------
    function(*arrays) -> array of their broadcast shape (with the pipeline's own arrays). It composes with jit, grad,
    vmap; dtypes follow JAX's usual rules, so double precision needs JAX's x64 mode. Nothing is checked
    inside: arguments outside their domain give meaningless numbers. A chain whose number of generations is itself
    in `over` supports forward-mode differentiation only.

    Examples
    --------
    >>> import jax, sympy, modelcollapse as mc
    >>> from modelcollapse.numerics import lower
    >>> lam = sympy.Symbol("lambda", positive=True)
    >>> model = mc.fit(mc.truth(mc.isotropic(100)).label(300, noise=0.5), ridge=lam)
    >>> error = lower(model, over=(lam,))
    >>> best = 0.5**2 * 100 / 300                  # the optimal ridge of clean isotropic data is stationary
    >>> bool(abs(jax.jit(jax.grad(error))(best)) < 1e-5), round(float(error(best)), 4)
    (True, 0.1061)
    """
    require_model("model", model)
    over = tuple(over) if isinstance(over, tuple | list) else (over,)
    for symbol in over:
        if not is_expression(symbol) or symbol not in model.free:
            raise TypeError(f"{symbol!r} is not a free symbol of the pipeline; its free symbols are {model.free}")
    left = [str(symbol) for symbol in model.free if symbol not in over]
    if left:
        raise TypeError(f"the symbol {left[0]} is free and not in over; add it there or replace it with model.subs")
    if not isinstance(model.spectrum, Spectrum):
        raise ValueError(
            f"lower on a population of {model.spectrum.noun} is not supported: its matrices stay on NumPy; use gradient"
        )
    traced = TracedError(model, over)
    lengths = _loop_lengths(traced.reading, model.spectrum)
    shifts = {} if model.spectrum.free else shifts_of(traced.reading, model.spectrum.eigenvalues)
    fixed = (model.spectrum.eigenvalues, model.spectrum.signal, model.spectrum.multiplicity)

    @ordinary_rules()
    def function(*arrays):
        if len(arrays) != len(over):
            raise TypeError(f"{len(arrays)} arrays for {len(over)} symbols {over}; give one for each")
        dtype = jnp.result_type(float, *arrays)
        values = {symbol: jnp.asarray(array, dtype) for symbol, array in zip(over, arrays, strict=True)}
        numbers = [jnp.asarray(evaluate(value, values, JAX), dtype) for _, value, _ in traced.reading.leaves]
        atoms = traced.atoms(values, dtype)[:3] if traced.spectrum_moves else [jnp.asarray(x, dtype) for x in fixed]
        shape = jnp.broadcast_shapes(*map(jnp.shape, (*numbers, *values.values())), atoms[0].shape[:-1])
        lanes = [jnp.broadcast_to(number, shape).reshape(-1) for number in numbers]
        pieces = [rows(array, shape, jnp) for array in atoms]
        moved = {where: rows(jnp.asarray(given, dtype), shape, jnp) for where, given in shifts.items()}
        widest = pieces[0]
        for row in moved.values():
            widest = jnp.maximum(widest, row)
        error, _ = traced(lanes, Atoms(*pieces, scale=jax.lax.stop_gradient(widest)), moved, lengths)
        return error.reshape(shape)

    return function


def gradient(model, at):
    """Derivatives of the test error by every free symbol, exact up to rounding: {symbol: array}.

    Parameters
    ----------
    model : Model with at least one free symbol
    at : dict symbol -> number or array, a value for every free symbol

    Returns
    -------
    dict symbol -> ∂ test_error / ∂ symbol, float64 arrays of the broadcast shape.

    Raises
    ------
    TypeError if a symbol has no value; ValueError for the derivative by a number of generations, rounds or refits
    (whole numbers), unless the chain is least squares, where the error is linear in it; RuntimeError where the error is
    infinite or a derivative does not exist.

    Examples
    --------
    Δ, the slope of E_clean + n·Δ:

    >>> import sympy, numpy as np, modelcollapse as mc
    >>> n = sympy.Symbol("n", integer=True, nonnegative=True)
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> model = mc.fit(mc.chain(w0, n, samples=400, noise=0.1).label(200, noise=0.1), ridge=0.05)
    >>> slope = mc.gradient(model, {n: 3})[n]
    >>> rise = mc.predict(model, {n: 4}).test_error - mc.predict(model, {n: 3}).test_error
    >>> bool(np.isclose(slope, rise, rtol=1e-10)), round(float(slope), 6)
    (True, 0.002811)
    """
    require_model("model", model)
    symbols, values = model.free, checked_values(model, at)
    slopes = error_slopes(model, symbols, {}, values)
    spectrum = model.spectrum.subs(values) if model.spectrum.free else model.spectrum
    _refuse_whole_numbers(slopes.reading, slopes.numbers, spectrum)
    if not symbols:
        return {}
    point = [np.broadcast_to(np.asarray(values[symbol], float), slopes.shape).reshape(-1) for symbol in symbols]
    error, found = slopes(np.arange(slopes.lanes), point)
    require_finite(error.reshape(slopes.shape))
    _require_slopes(error.reshape(slopes.shape), found.reshape(-1, *slopes.shape))
    return {symbol: slope.reshape(slopes.shape)[()] for symbol, slope in zip(symbols, found, strict=True)}


def _require_slopes(error, slopes):
    lost = np.isinf(error) | np.isnan(slopes).any(0)
    if lost.any():
        point = tuple(np.argwhere(lost)[0])
        raise RuntimeError(
            f"the test error {error[point]} at grid point {list(map(int, point))} has no derivative there; samples "
            "further from the dimension, or a ridge, give one"
        )


def _loop_lengths(reading, spectrum):
    """Static lengths of the loops over generations, where the numbers that decide them are known."""
    lengths = {}
    for i, step in enumerate(reading.filled([value for _, value, _ in reading.leaves])):
        if not isinstance(step, ChainStep | AccumulateStep):
            continue
        count, samples, _, ridge = step.numbers
        if free_symbols(count):
            continue
        lengths[i] = int(np.max(np.asarray(evaluate(count, {}))))
        known = not (free_symbols(samples) | free_symbols(ridge) or spectrum.free)
        chained = isinstance(step, ChainStep)
        if chained and known and _least_squares(evaluate(samples, {}), evaluate(ridge, {}), spectrum):
            lengths[i] = 0
    return lengths


def _least_squares(samples, ridge, spectrum):
    return (
        isinstance(spectrum, Spectrum)
        and not is_expression(spectrum.dim)
        and bool(np.all(np.asarray(ridge) == 0) and np.all(np.asarray(samples) >= np.asarray(spectrum.dim, float)))
    )


def _refuse_whole_numbers(reading, numbers, spectrum):
    for step, filled in zip(reading.steps, reading.filled(numbers), strict=True):
        if isinstance(step, FitStep) and step.filter is not None and step.filter.filter is SelfDistillation:
            name, value, _ = reading.leaves[step.filter.values[-1]]
            if free_symbols(value):
                raise ValueError(
                    f"{name} = {value} counts refits and has no derivative; replace it by a number with model.subs"
                )
        if not isinstance(step, ChainStep | AccumulateStep):
            continue
        name, value, _ = reading.leaves[step.numbers[0]]
        _, samples, _, ridge = filled.numbers
        linear = isinstance(step, ChainStep) and _least_squares(samples, ridge, spectrum)
        if free_symbols(value) and not linear:
            raise ValueError(
                f"{name} = {value} is a whole number and has a derivative only in a chain of least-squares fits, where "
                "the error is linear in it; replace it by a number with model.subs"
            )
