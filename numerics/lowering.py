"""From a pipeline with symbols to a pure JAX function of arrays, and to numbers for its gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.boundary import evaluate_in_chunks, problem_of, shifts_of
from modelcollapse.numerics.evaluation import walk
from modelcollapse.numerics.predictions import check_values, refuse_chains
from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.leaves import evaluate, free_symbols, is_expression
from modelcollapse.theory.pipelines import Model
from modelcollapse.theory.plans import plan

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
    >>> bool(abs(jax.jit(jax.grad(error))(best)) < 1e-5)
    True
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model is a {type(model).__name__}; give a pipeline: truth, fit, chain, accumulate or a mixture"
        )
    over = tuple(over) if isinstance(over, tuple | list) else (over,)
    for symbol in over:
        if not is_expression(symbol) or symbol not in model.free:
            raise TypeError(f"{symbol!r} is not a free symbol of the pipeline; its free symbols are {model.free}")
    left = [str(symbol) for symbol in model.free if symbol not in over]
    if left:
        raise TypeError(f"the symbol {left[0]} is free and not in over; add it there or replace it with model.subs")
    reading = plan(model)
    lengths = _loop_lengths(reading, model.spectrum)
    _refuse_moving_shifts(model, reading)
    shifts = {} if model.spectrum.free else shifts_of(reading, model.spectrum.eigenvalues)

    def function(*arrays):
        if len(arrays) != len(over):
            raise TypeError(f"{len(arrays)} arrays for {len(over)} symbols {over}; give one for each")
        dtype = jnp.result_type(float, *arrays)
        values = {symbol: jnp.asarray(array, dtype) for symbol, array in zip(over, arrays, strict=True)}
        numbers = [jnp.asarray(evaluate(value, values, "jax"), dtype) for _, value, _ in reading.leaves]
        atoms = _lowered_atoms(model.spectrum, values, dtype)
        shape = jnp.broadcast_shapes(*map(jnp.shape, numbers), atoms[0].shape[:-1], *map(jnp.shape, values.values()))
        lanes = [jnp.broadcast_to(number, shape).reshape(-1) for number in numbers]
        rows = Atoms(*(_rows(array, shape) for array in atoms))
        moved = {where: _rows(jnp.asarray(given, dtype), shape) for where, given in shifts.items()}
        widest = rows.eigenvalues
        for row in moved.values():
            widest = jnp.maximum(widest, row)
        rows = rows._replace(scale=jax.lax.stop_gradient(widest))
        bias, variance, _ = walk(reading.plan, lanes, rows, moved, rows.eigenvalues, jnp.asarray(False), lengths)
        return (bias + variance).reshape(shape)

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
    TypeError if a symbol has no value; ValueError for the derivative by a number of generations or rounds (whole
    numbers), unless the chain is least squares, where the error is linear in it.

    Examples
    --------
    Δ, the slope of E_clean + n·Δ:

    >>> import sympy, numpy as np, modelcollapse as mc
    >>> n = sympy.Symbol("n", integer=True, nonnegative=True)
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> model = mc.fit(mc.chain(w0, n, samples=400, noise=0.1).label(200, noise=0.1), ridge=0.05)
    >>> slope = mc.gradient(model, {n: 3})[n]
    >>> rise = mc.predict(model, {n: 4}).test_error - mc.predict(model, {n: 3}).test_error
    >>> bool(np.isclose(slope, rise, rtol=1e-10))
    True
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model is a {type(model).__name__}; give a pipeline: truth, fit, chain, accumulate or a mixture"
        )
    reading, symbols = plan(model), model.free
    _refuse_moving_shifts(model, reading)
    values = check_values(model, at)
    problem = problem_of(reading, model.spectrum, values)
    refuse_chains(reading, problem)
    _refuse_whole_numbers(reading, problem, model.spectrum.subs(values) if model.spectrum.free else model.spectrum)
    if not symbols:
        return {}
    problem.shape = np.broadcast_shapes(problem.shape, *(np.shape(values[symbol]) for symbol in symbols))
    problem.numbers = [values[symbol] for symbol in symbols] + problem.numbers
    exact = jnp.asarray(False)

    def run(lanes, atoms, shifts, tested):
        point, fixed = lanes[: len(symbols)], lanes[len(symbols) :]

        def error(*point):
            named = dict(zip(symbols, point, strict=True))
            numbers = [
                jnp.broadcast_to(evaluate(value, named, "jax"), lane.shape) if free_symbols(value) else lane
                for (_, value, _), lane in zip(reading.leaves, fixed, strict=True)
            ]
            here = atoms
            if model.spectrum.free:
                lowered = Atoms(*(_rows(x, point[0].shape) for x in _lowered_atoms(model.spectrum, named, float)))
                pad = atoms.eigenvalues.shape[-1] - lowered.eigenvalues.shape[-1]
                here = Atoms(*(jnp.pad(x, ((0, 0), (0, pad))) for x in lowered))._replace(scale=atoms.scale)
            bias, variance, _ = walk(reading.plan, numbers, here, shifts, here.eigenvalues, exact, {})
            return bias + variance

        basis = [[jnp.full_like(x, float(i == k)) for i, x in enumerate(point)] for k in range(len(point))]
        return [jax.jvp(error, tuple(point), tuple(tangent))[1] for tangent in basis]

    slopes = evaluate_in_chunks(problem, run, len(symbols), 24 + 4 * max(map(len, reading.plan.pairs)))
    return {symbol: slope[()] for symbol, slope in zip(symbols, slopes, strict=True)}


def _refuse_moving_shifts(model, reading):
    if model.spectrum.free and any(any(step.shifted) for step in reading.plan.steps):
        raise ValueError(
            f"inputs of a source shift a spectrum with the free symbol {model.spectrum.free[0]}; "
            "replace it by a number with model.subs before differentiating or lowering"
        )


def _lowered_atoms(spectrum, values, dtype):
    """Atoms with traced numbers: eigenvalues, signal, multiplicity, scale, with atoms last."""
    if spectrum.free:
        leaves = [evaluate(value, values, "jax") for value in spectrum.leaves]
        arrays = spectrum.atoms(leaves, jnp)
    else:
        arrays = (spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity)
    eigenvalues, signal, multiplicity = (jnp.asarray(x, dtype) for x in arrays)
    return Atoms(eigenvalues, signal, multiplicity, eigenvalues)


def _rows(array, shape):
    """Atoms last: one row if the array does not vary over the grid, else one for each point."""
    if array.ndim <= 1 or all(n == 1 for n in array.shape[:-1]):
        return array.reshape(1, -1)
    return jnp.broadcast_to(array, (*shape, array.shape[-1])).reshape(-1, array.shape[-1])


def _loop_lengths(reading, spectrum):
    """Static lengths of the loops over generations, where the numbers that decide them are known."""
    lengths = {}
    for i, step in enumerate(reading.plan.steps):
        if step.kind not in ("chain", "accumulate"):
            continue
        count, samples, _, ridge = (reading.leaves[slot][1] for slot in step.slots)
        if free_symbols(count):
            continue
        lengths[i] = int(np.max(np.asarray(evaluate(count, {}))))
        known = not (free_symbols(samples) | free_symbols(ridge) or spectrum.free)
        if step.kind == "chain" and known and _least_squares(evaluate(samples, {}), evaluate(ridge, {}), spectrum):
            lengths[i] = 0
    return lengths


def _least_squares(samples, ridge, spectrum):
    return not is_expression(spectrum.dim) and bool(
        np.all(np.asarray(ridge) == 0) and np.all(np.asarray(samples) >= np.asarray(spectrum.dim, float))
    )


def _refuse_whole_numbers(reading, problem, spectrum):
    for step in reading.plan.steps:
        if step.kind not in ("chain", "accumulate"):
            continue
        name, value, _ = reading.leaves[step.slots[0]]
        _, samples, _, ridge = (problem.numbers[slot] for slot in step.slots)
        linear = step.kind == "chain" and _least_squares(samples, ridge, spectrum)
        if free_symbols(value) and not linear:
            raise ValueError(
                f"{name} = {value} is a whole number and has a derivative only in a chain of least-squares fits, where "
                "the error is linear in it; replace it by a number with model.subs"
            )
