"""The test error and its exact derivatives at points chosen lane by lane.

Optimisers ask for the error of a pipeline at numbers of their own choosing, for some of the points of its
grid. A *lane* is one point of the flattened grid. Derivatives are forward-mode through the kernels of
`predict`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.boundary import Problem, evaluate_in_chunks, problem_of
from modelcollapse.numerics.evaluation import walk
from modelcollapse.numerics.predictions import check_values, refuse_chains
from modelcollapse.numerics.steps import Atoms
from modelcollapse.theory.leaves import evaluate, free_symbols
from modelcollapse.theory.plans import plan

__all__ = ["Slopes"]


class Slopes:
    """Test error and derivatives of a pipeline by the symbols `over`, its other numbers fixed.

    model : Model; over : tuple of its free symbols; values : dict of all other free symbols
    start : dict of numbers, one feasible point of `over`

    `shape` is the grid's. Raises what `predict` raises.
    """

    def __init__(self, model, over, values, start):
        self.model, self.over, self.reading = model, tuple(over), plan(model)
        values = {**check_values(model, values), **start}
        problem = problem_of(self.reading, model.spectrum, values)
        refuse_chains(self.reading, problem)
        self.shape = problem.shape
        self.others = tuple(symbol for symbol in model.free if symbol not in start)
        self.fixed = [self._flat(values[symbol]) for symbol in self.others]
        self.numbers = [self._flat(number) for number in problem.numbers]
        arrays = {"atoms": problem.atoms, "shifts": problem.shifts, "inputs": problem.inputs}
        self.arrays = jax.tree.map(self._rows, arrays)
        self.moving = [bool(free_symbols(value) & set(self.over)) for _, value, _ in self.reading.leaves]
        self.spectrum_moves = bool(set(model.spectrum.free) & set(self.over))
        if self.spectrum_moves and problem.shifts:
            raise ValueError(
                f"inputs of a source shift a spectrum with the free symbol {model.spectrum.free[0]}; "
                "replace it by a number with model.subs"
            )

    @property
    def lanes(self):
        return int(np.prod(self.shape))

    def _flat(self, number):
        return np.broadcast_to(np.asarray(number, np.float64), self.shape).reshape(-1)

    def _rows(self, array):
        if array.ndim == 1 or np.prod(array.shape[:-1]) == 1:
            return array.reshape(1, -1)
        return np.broadcast_to(array, (*self.shape, array.shape[-1])).reshape(-1, array.shape[-1])

    def check(self, lanes, point):
        """Raise ValueError if a point leaves the domain of a number of the pipeline."""
        named = self._named(lanes, point)
        for (name, value, domain), moves in zip(self.reading.leaves, self.moving, strict=True):
            if moves:
                domain.check(f"{name} = {value}", evaluate(value, named))
        if any(step.kind == "gradient-descent" for step in self.reading.plan.steps):
            values = {symbol: np.asarray(named[symbol]) for symbol in (*self.over, *self.others)}
            refuse_chains(self.reading, problem_of(self.reading, self.model.spectrum, values))

    def _named(self, lanes, point):
        fixed = (value[lanes] for value in self.fixed)
        return dict(zip((*self.over, *self.others), (*point, *fixed), strict=True))

    def __call__(self, lanes, point):
        """Test error (N,) and its derivatives (symbols, N) at points (symbols, N) of the lanes (N,).

        The error may be infinite; derivatives are zero there.
        """
        found = self._evaluated(lanes, point, self._run)
        self._require(found.pop())
        error, slopes = found[0], np.array(found[1:])
        return error, np.where(np.isfinite(error) & np.isfinite(slopes), slopes, 0)

    def _evaluated(self, lanes, point, run):
        lanes, point = np.asarray(lanes, int), [np.asarray(x, float) for x in point]
        if len(lanes) == 1:  # the shape of many points, compiled already
            return [x[:1] for x in self._evaluated(np.repeat(lanes, 2), [np.repeat(x, 2) for x in point], run)]

        def pick(rows):
            return rows if rows.shape[0] == 1 else rows[lanes]

        parts = jax.tree.map(pick, self.arrays)
        numbers = [*self._named(lanes, point).values(), *(number[lanes] for number in self.numbers)]
        problem = Problem((len(lanes),), numbers, parts["atoms"], parts["shifts"], parts["inputs"])
        alive = 24 + 4 * max(map(len, self.reading.plan.pairs))
        return evaluate_in_chunks(problem, run, len(self.over) + 2, alive)

    def _run(self, numbers, atoms, shifts, tested):
        symbols = (*self.over, *self.others)
        given, numbers = numbers[: len(symbols)], numbers[len(symbols) :]
        point, fixed = given[: len(self.over)], given[len(self.over) :]

        def error(*point):
            named = dict(zip(symbols, (*point, *fixed), strict=True))
            leaves = [
                jnp.broadcast_to(evaluate(value, named, "jax"), number.shape) if moves else number
                for (_, value, _), number, moves in zip(self.reading.leaves, numbers, self.moving, strict=True)
            ]
            here = self._atoms(named, atoms) if self.spectrum_moves else atoms
            bias, variance, fine = walk(
                self.reading.plan, leaves, here, shifts, here.eigenvalues, jnp.asarray(False), {}
            )
            return bias + variance, fine

        found = []
        for k in range(len(point)):
            tangent = tuple(jnp.full_like(x, float(i == k)) for i, x in enumerate(point))
            found.append(jax.jvp(error, tuple(point), tangent, has_aux=True))
        value, _, fine = found[0]
        converged = np.all([np.asarray(flags) for flags in fine] or [[True]], 0)
        return value, *(slope for _, slope, _ in found), converged

    def _atoms(self, named, atoms):
        """Atoms of a spectrum whose numbers move, padded like the given ones."""
        leaves = [evaluate(value, named, "jax") for value in self.model.spectrum.leaves]
        arrays = [jnp.asarray(x, float) for x in self.model.spectrum.atoms(leaves, jnp)]
        rows = [x.reshape(-1, x.shape[-1]) for x in arrays]
        pad = atoms.eigenvalues.shape[-1] - rows[0].shape[-1]
        rows = [jnp.pad(x, ((0, 0), (0, pad))) for x in rows]
        return Atoms(*rows, jax.lax.stop_gradient(rows[0]))

    def _require(self, converged):
        if not np.all(converged):
            raise RuntimeError(
                f"the effective ridge was not found at {np.sum(converged == 0)} of {len(converged)} points; "
                "keep ridges further from zero, or samples further from the dimension"
            )
