"""The test error as a function of some symbols, for whoever differentiates it: `lower`, `gradient` and the optimisers.

`TracedError` is a pipeline's error as a function of the values of some symbols on lanes: pure, for JAX to transform.
`Slopes` evaluates it and its forward-mode derivatives in double precision, at points of the caller's choosing.
"""

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.duals import Dual
from modelcollapse.numerics.evaluation.effort import effort_of
from modelcollapse.numerics.evaluation.grid import grid_of
from modelcollapse.numerics.evaluation.lanes import SMALL_EFFORT, evaluate_on, flat, rows
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.outcome import all_found, require_found
from modelcollapse.numerics.evaluation.question import refuse_impossible
from modelcollapse.numerics.evaluation.walk import last_moments
from modelcollapse.numerics.formula_functions import JAX
from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols, slopes_of
from modelcollapse.theory.pipelines.reading import checked_values, read
from modelcollapse.theory.pipelines.steps import FitStep

__all__ = ["Slopes", "TracedError"]


class TracedError:
    """The test error of a model by values of the symbols `over`.

    Raises ValueError where the symbols move a spectrum that a source shifts.
    """

    def __init__(self, model, over):
        self.over, self.spectrum = tuple(over), model.spectrum
        self.reading = read(model)
        self.moving = [bool(free_symbols(value) & set(self.over)) for _, value, _ in self.reading.leaves]
        self.spectrum_moves = bool(set(model.spectrum.free) & set(self.over))
        if self.spectrum_moves and self.reading.shifted:
            raise ValueError(
                f"inputs of a source shift a spectrum with the free symbol {model.spectrum.free[0]}; "
                "replace it by a number with model.subs before differentiating or lowering"
            )

    def atoms(self, named, dtype):
        """The spectrum's atoms, on their own grid, at named values of symbols."""
        leaves = [evaluate(value, named, JAX) for value in self.spectrum.leaves]
        arrays = [jnp.asarray(x, dtype) for x in self.spectrum.atoms(leaves, jnp)]
        return Atoms(*arrays, scale=jax.lax.stop_gradient(arrays[0]))

    def __call__(self, numbers, atoms, shifts, lengths=None):
        """The error (P,) and the flags of all steps, by lanes of numbers and rows of atoms."""
        population = OnSpectrum(atoms, shifts, np.asarray(False), lengths or {})
        moments, flags = last_moments(self.reading.schedule, numbers, population)
        bias, variance = population.readout(moments, atoms.eigenvalues)
        return bias + variance, flags


class Slopes:
    """Test error and derivatives of a pipeline by the symbols `over`, its other numbers fixed.

    model : Model; over : tuple of its free symbols; values : dict of all other free symbols
    start : dict of numbers or grids, a feasible point of `over`

    `shape` is the grid's. Raises what `predict` raises.
    """

    nodes_per_decade = 4  # of the ridge, between which `best_ridge` sees every minimum
    log_sample = 5  # of the points by which `best_values` begins, to base two, for no symbol

    def __init__(self, model, over, values, start):
        self.model, self.traced = model, TracedError(model, over)
        self.reading = self.traced.reading
        values = {**checked_values(model, values), **start}
        self.grid = grid = grid_of(self.reading, model.spectrum, values)
        refuse_impossible(self.reading, grid, model.spectrum)
        self.shape = np.broadcast_shapes(grid.shape, *(np.shape(value) for value in values.values()))
        self.others = tuple(symbol for symbol in model.free if symbol not in start)
        self.fixed = [flat(values[symbol], self.shape) for symbol in self.others]
        self.numbers = [flat(number, self.shape) for number in grid.numbers]
        self.arrays = jax.tree.map(lambda array: rows(array, self.shape), grid.arrays)

    @property
    def lanes(self):
        return int(np.prod(self.shape))

    def check(self, lanes, point):
        """Raise ValueError if a point leaves the domain of a number of the pipeline."""
        named = self._named(lanes, point)
        for (name, value, domain), moves in zip(self.reading.leaves, self.traced.moving, strict=True):
            if moves:
                domain.check(f"{name} = {value}", evaluate(value, named))
        if any(isinstance(step, FitStep) and step.filter for step in self.reading.steps):
            values = {symbol: np.asarray(value) for symbol, value in named.items()}
            refuse_impossible(self.reading, grid_of(self.reading, self.model.spectrum, values), self.model.spectrum)

    def _named(self, lanes, point):
        fixed = (value[lanes] for value in self.fixed)
        return dict(zip((*self.traced.over, *self.others), (*point, *fixed), strict=True))

    def __call__(self, lanes, point):
        """Test error (N,) and its derivatives (symbols, N) at points (symbols, N) of the lanes (N,).

        Both may be infinite. Raises RuntimeError where an effective ridge was not found.
        """
        error, *slopes, converged = self._evaluated(np.asarray(lanes, int), [np.asarray(x, float) for x in point])
        require_found(converged)
        return error, np.array(slopes)

    def errors(self, lanes, point):
        """Test error (N,) alone, without its derivatives where nothing is compiled."""
        lanes, point = np.asarray(lanes, int), [np.asarray(x, float) for x in point]
        grid, effort = self._placed(lanes, self._named(lanes, point), [], 0)
        if effort > SMALL_EFFORT:
            return self(lanes, point)[0]
        error, converged = evaluate_on(grid, self._alone, 2, effort=effort)
        require_found(converged)
        return error

    def finite(self, lanes, point):
        """The same with derivatives of zero where they are not finite: for optimisers, whose search goes on."""
        error, slopes = self(lanes, point)
        return error, np.where(np.isfinite(error) & np.isfinite(slopes), slopes, 0)

    def _evaluated(self, lanes, point):
        named, over, shape = self._named(lanes, point), self.traced.over, (len(lanes),)
        moving = [value for (_, value, _), moves in zip(self.reading.leaves, self.traced.moving, strict=True) if moves]
        tangents = [tangent for value in moving for tangent in slopes_of(value, over, named, shape)]
        grid, effort = self._placed(lanes, named, tangents, len(over))
        if len(lanes) == 1 and effort > SMALL_EFFORT:  # the shape of many points, compiled already
            return [x[:1] for x in self._evaluated(np.repeat(lanes, 2), [np.repeat(x, 2) for x in point])]
        run = self._with_duals if effort <= SMALL_EFFORT else self._with_jax
        alive = 24 + 4 * max(map(len, self.reading.schedule.pairs))
        return evaluate_on(grid, run, len(over) + 2, alive, effort=effort)

    def _placed(self, lanes, named, tangents, symbols):
        """The grid of some points, numbers followed by `tangents`, and the effort of derivatives by so many symbols."""
        arrays = jax.tree.map(lambda array: array if len(array) == 1 else array[lanes], self.arrays)
        numbers = [
            np.broadcast_to(evaluate(value, named), lanes.shape) if moves else number[lanes]
            for (_, value, _), number, moves in zip(self.reading.leaves, self.numbers, self.traced.moving, strict=True)
        ]
        moved = list(named.values()) if self.traced.spectrum_moves else []
        grid = type(self.grid)(lanes.shape, [*numbers, *tangents, *moved], *arrays)
        steps, atoms = self.reading.filled(numbers), grid.atoms.eigenvalues.shape[-1]
        return grid, np.inf if moved else effort_of(steps, len(lanes), atoms, symbols)

    def _alone(self, numbers, atoms, shifts, tested):
        error, flags = self.traced(numbers, atoms, shifts)
        return error, np.broadcast_to(all_found(flags), numbers[0].shape)

    def _parts(self, lanes):
        """Numbers of the pipeline, their tangents by symbol (None for what stands still), values of symbols."""
        count, size = len(self.reading.leaves), len(self.traced.over)
        tangents = iter(lanes[count:])
        moved = [[next(tangents) for _ in range(size)] if moves else None for moves in self.traced.moving]
        return lanes[:count], moved, list(tangents)

    def _with_duals(self, lanes, atoms, shifts, tested):
        numbers, moved, _ = self._parts(lanes)
        numbers = [x if t is None else Dual(x, np.stack(t)) for x, t in zip(numbers, moved, strict=True)]
        error, flags = self.traced(numbers, atoms, shifts)
        converged = np.broadcast_to(all_found(flags), lanes[0].shape)
        if not isinstance(error, Dual):
            return error, *([np.zeros(1)] * len(self.traced.over)), converged
        return error.value, *error.tangents, converged

    def _with_jax(self, lanes, atoms, shifts, tested):
        traced = self.traced
        numbers, moved, symbols = self._parts(lanes)
        point, others = symbols[: len(traced.over)], symbols[len(traced.over) :]

        def error(numbers, point):
            here = atoms
            if traced.spectrum_moves:
                named = dict(zip((*traced.over, *self.others), (*point, *others), strict=True))
                pieces = [rows(x, numbers[0].shape, jnp) for x in traced.atoms(named, float)]
                pad = atoms.eigenvalues.shape[-1] - pieces[0].shape[-1]
                here = Atoms(*(jnp.pad(x, ((0, 0), (0, pad))) for x in pieces))
            return traced(numbers, here, shifts)

        found = []
        for k in range(len(traced.over)):
            along = [jnp.zeros_like(x) if t is None else t[k] for x, t in zip(numbers, moved, strict=True)]
            towards = [jnp.full_like(x, float(i == k)) for i, x in enumerate(point)]
            found.append(jax.jvp(error, (numbers, point), (along, towards), has_aux=True))
        value, _, flags = found[0]
        converged = np.all([np.asarray(flag) for flag in flags] or [[True]], 0)
        return value, *(slope for _, slope, _ in found), converged
