"""Pipelines on rows and on dense Gaussian populations as a simulation runs them: really trained, trial by trial.

On *rows* a fit draws its rows from their pools at random, without replacement, trains kernel ridge on them, and is a
function on all rows; its error is the mean square against the targets of the tested pool's rows, of those that the last
fit has not seen. On a *dense Gaussian* every source draws inputs from its own covariance.
"""

import hashlib
import pickle
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, get_lapack_funcs

from modelcollapse.theory.pipelines.reading import checked_values, leaf_values, read
from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    FitStep,
    MixtureStep,
    Rows,
    SurrogateStep,
    TruthStep,
)
from modelcollapse.theory.populations.data_rows import DataRows
from modelcollapse.theory.populations.factors import factor_of
from modelcollapse.validation.allowances import NOISE, SIGNAL, inverse_rows_left
from modelcollapse.validation.streams import Streams

__all__ = ["DenseProblem", "dense_problems_of"]

_pocon, _potrf, _potrs = get_lapack_funcs(("pocon", "potrf", "potrs"))
ROWS_ALLOWANCE, SMALL_SAMPLES = 0.01, 0.1  # measured: `python -m benchmarks.rows` and tests/numerics/test_rows.py


class DenseProblem(NamedTuple):
    """One grid point: the world that draws, the tested inputs, the steps with numbers."""

    world: Any
    tested: Any
    steps: tuple

    @property
    def truth(self):
        return self.world.truth

    @property
    def null_error(self):
        """The error of the model that is zero."""
        return self.world.error(self.world.mixed((0.0,), (self.world.true(),)), self.tested)

    @property
    def cost(self):
        """Multiplications of one trial, to an order of magnitude."""
        rows = [sum(source.samples for source in step.sources) for step in self.steps if isinstance(step, FitStep)]
        rows += [step.samples * step.numbers[0] for step in self.steps if isinstance(step, ChainStep | AccumulateStep)]
        return len(self.truth) + sum(count * min(count, len(self.truth)) * len(self.truth) for count in rows)

    def allowance(self, learned, angles=False):
        """The relative deviation allowed to a test error, or to an error rate: see `allowances`."""
        return self.world.allowance(self.steps, learned, angles)

    def digest(self):
        """A short text that differs for different problems."""
        content = pickle.dumps((self.world.identity, self.tested, self.steps), 4)
        return hashlib.blake2b(content, digest_size=8).hexdigest()

    def run(self, key, start, stop):
        """Test errors and 0–1 errors of the trials start..stop−1, (2, stop − start)."""
        streams = Streams(key)
        return np.array([self._trial(streams, trial) for trial in range(start, stop)]).T

    def _trial(self, streams, trial):
        models = {}
        for i, step in enumerate(self.steps):
            models[i] = _TRIED[type(step)](self.world, i, step, models, lambda k, i=i: streams.at(trial, i, k))
        last = models[len(self.steps) - 1]
        return self.world.error(last, self.tested), self.world.error_rate(last, self.tested)


class _Function(NamedTuple):
    """Values on all rows, and the rows that its own fit has seen."""

    values: np.ndarray
    seen: Any = None


class RowsWorld:
    """Fits on random subsets of the rows of a data set."""

    def __init__(self, population):
        self.gram, self.truth, self.pools = population.kernel_matrix, population.targets, population.pools
        self.pool = population.default_pool
        self.identity = population._digest

    def true(self):
        return _Function(self.truth)

    def given(self, labels):
        return _Function(labels)

    def mixed(self, coefficients, models):
        values: Any = sum(c * model.values for c, model in zip(coefficients, models, strict=True))
        return _Function(values)

    def fitted(self, place, sources, models, ridge, generator):
        samples = sum(source.samples for source in sources)
        used = [source for source in sources if source.samples and source.weight]
        pools = {source.pool for source in used}
        order = {pool: generator.permutation(self.pools[pool]) for pool in self.pools if pool in pools}
        rows, labels, penalties, taken = [], [], [], dict.fromkeys(order, 0)
        for source in used:
            first, count = taken[source.pool], int(source.samples)
            drawn = order[source.pool][first : first + count]
            taken[source.pool] += count
            rows.append(drawn)
            labels.append(models[source.parent].values[drawn] + source.noise * generator.standard_normal(count))
            penalties.append(np.full(count, ridge * samples / source.weight))
        rows, labels, penalties = map(np.concatenate, (rows, labels, penalties))
        if np.isinf(ridge):
            return _Function(np.zeros(len(self.truth)), rows)
        seen = self.gram[rows]
        return _Function(_coefficients(seen[:, rows], penalties, labels) @ seen, rows)

    def single(self, samples, noise):
        return Rows(0, samples, noise, 1.0, pool=self.pool)

    def allowance(self, steps, learned, angles):
        """Every fit, and every generation, on few rows adds what an equivalent leaves out."""
        fits = [sum(source.samples for source in step.sources) for step in steps if isinstance(step, FitStep)]
        chains = [step.generations / step.samples for step in steps if isinstance(step, ChainStep)]
        return ROWS_ALLOWANCE + SMALL_SAMPLES * (sum(1 / rows for rows in fits) + sum(chains))

    def error_rate(self, model, tested):
        return np.nan

    def error(self, model, tested):
        rows = self.pools[tested]
        if model.seen is not None:
            seen = np.zeros(len(self.truth), bool)
            seen[model.seen] = True
            rows = rows[~seen[rows]]
        return np.mean((model.values[rows] - self.truth[rows]) ** 2)


def _coefficients(gram, penalties, labels):
    """α of K α + Λ α = y; without ridge on dependent rows the least-squares function."""
    try:
        return _solution(gram, penalties, labels)
    except LinAlgError:
        if penalties.any():
            raise
        return np.linalg.lstsq(gram, labels, rcond=len(gram) * 1e-15)[0]


def _solution(matrix, added, right):
    """Of a positive definite system whose diagonal is raised: `scipy.linalg.solve` takes longer on small ones."""
    system = np.array(matrix, order="F")
    diagonal = np.einsum("ii->i", system)
    diagonal += added
    length = np.abs(system).sum(0).max()
    factor, failed = _potrf(system, overwrite_a=1)
    if failed:
        raise LinAlgError(f"a system of {len(system)} rows is not positive definite; give a larger ridge")
    reciprocal, _ = _pocon(factor, length)
    if reciprocal < np.finfo(float).eps:
        warnings.warn(f"a system of {len(system)} rows has condition {1 / reciprocal:.1e}", LinAlgWarning, stacklevel=2)
    return _potrs(factor, right)[0]


class GaussianWorld:
    """Fits on fresh Gaussian inputs of any covariance."""

    def __init__(self, population, shifts):
        self.truth, self.own = population.weights, factor_of("covariance", population.covariance)
        self.covariance = population.covariance
        self.factors = {place: factor_of("inputs", shift) for place, shift in shifts.items()}
        self.identity = (population._digest, tuple((place, shift.tobytes()) for place, shift in shifts.items()))

    def true(self):
        return self.truth

    def given(self, weights):
        return weights

    def mixed(self, coefficients, models):
        return sum(c * model for c, model in zip(coefficients, models, strict=True))

    def fitted(self, place, sources, models, ridge, generator):
        samples = sum(source.samples for source in sources)
        blocks = [
            self.drawn(generator, self.factors.get((place, g), self.own), source, models)
            for g, source in enumerate(sources)
            if source.samples and source.weight
        ]
        used = sum(source.samples for source in sources if source.weight)
        return self.solved(blocks, ridge * samples * (sum(len(labels) for _, labels in blocks) / used))

    def drawn(self, generator, factor, source, models):
        """Inputs and labels of the rows that a source keeps, scaled by the root of its weight."""
        inputs = generator.standard_normal((int(source.samples), factor.shape[1])) @ factor.T
        labels = inputs @ models[source.parent]
        if source.link is not None:
            kind, *options = source.link.form
            labels = kind.filled(tuple(options), source.link.values).labels(generator, labels)
        if source.keep is not None:
            judge = models[source.keep.model]
            deviation = np.linalg.norm(factor.T @ judge)
            keep = source.keep.keep(None, *source.keep.values)
            kept = keep.kept(generator, labels, inputs @ judge / (deviation or 1))
            inputs, labels = inputs[kept], labels[kept]
        labels = labels + source.noise * generator.standard_normal(len(inputs))
        return np.sqrt(source.weight) * inputs, np.sqrt(source.weight) * labels

    def solved(self, blocks, penalty):
        inputs, labels = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        if np.isinf(penalty):
            return np.zeros(len(self.truth))
        if not penalty:
            return np.linalg.lstsq(inputs, labels, rcond=1e-12)[0]
        return _solution(inputs.T @ inputs, penalty, inputs.T @ labels)

    def single(self, samples, noise):
        return Rows(0, samples, noise, 1.0)

    def allowance(self, steps, learned, angles):
        total = 0.0
        for i, step in enumerate(steps):
            if isinstance(step, FitStep) and np.isfinite(step.ridge):
                rows = [source.samples for source in step.sources]
                pooled = sum(
                    source.samples * source.weight * self.covariance_at(i, g) for g, source in enumerate(step.sources)
                )
                plain = all(source.link is None and source.keep is None for source in step.sources)
                exact = len(rows) == 1 and plain and not angles
                total += inverse_rows_left(pooled / sum(rows), sum(rows), step.ridge * sum(rows), exact)
            elif isinstance(step, ChainStep | AccumulateStep) and step.numbers[0] and np.isfinite(step.numbers[3]):
                penalty = step.numbers[3] * (step.samples if isinstance(step, ChainStep) else 1)
                sizes = range(1, 2 if isinstance(step, ChainStep) else 1 + int(step.rounds))
                total += max(inverse_rows_left(self.covariance, k * step.samples, penalty, not angles) for k in sizes)
        return (1 if angles else NOISE + SIGNAL * learned) * total

    def covariance_at(self, place, source):
        factor = self.factors.get((place, source), self.own)
        return factor @ factor.T

    def error_rate(self, model, tested):
        """The angle between model and truth over π."""
        covariance = self.covariance if tested is None else tested
        length = np.sqrt(self.truth @ covariance @ self.truth)
        along = self.truth @ covariance @ model / length if length else 0.0
        apart = model - self.truth * (along / length) if length else model
        across = np.sqrt(max(apart @ covariance @ apart, 0.0))
        return np.arctan2(across, along) / np.pi if along or across else 0.5

    def error(self, model, tested):
        away, covariance = model - self.truth, self.covariance if tested is None else tested
        return away @ covariance @ away


def _fit(world, place, step, models, generator):
    return world.fitted(place, step.sources, models, step.ridge, generator(0))


def _chain(world, place, step, models, generator):
    model = models[step.start]
    for k in range(int(step.generations)):
        source = world.single(step.samples, step.noise)
        model = world.fitted(None, (source,), {0: model}, step.ridge, generator(k))
    return model


def _accumulate(world, place, step, models, generator):
    model, blocks = models[step.start], []
    for k in range(int(step.rounds)):
        blocks.append(world.drawn(generator(k), world.own, world.single(step.samples, step.noise), {0: model}))
        model = world.solved(blocks, step.penalty)
    return model


_TRIED = {
    TruthStep: lambda world, place, step, models, generator: world.true(),
    SurrogateStep: lambda world, place, step, models, generator: world.given(*step.given.arrays),
    MixtureStep: lambda world, place, step, models, generator: world.mixed(
        step.coefficients, [models[k] for k in step.models]
    ),
    FitStep: _fit,
    ChainStep: _chain,
    AccumulateStep: _accumulate,
}


def dense_problems_of(model, values=None, inputs=None):
    """The grid's shape and one DenseProblem per grid point, in C order: see `problems_of`."""
    from modelcollapse.numerics.evaluation.point_by_point import tested_inputs

    reading = read(model)
    numbers = leaf_values(reading.leaves, checked_values(model, values))
    shape = reading.grid_shape(numbers)
    population, tested = model.spectrum, tested_inputs(model, inputs)
    world = RowsWorld(population) if isinstance(population, DataRows) else GaussianWorld(population, reading.inputs)
    numbers = [np.broadcast_to(np.asarray(x, float), shape).reshape(-1) for x in numbers]
    problems = []
    for point in range(int(np.prod(shape))):
        steps = reading.filled([float(x[point]) for x in numbers])
        if isinstance(population, DataRows):
            _require_unseen(population, steps, tested)
        problems.append(DenseProblem(world, tested, steps))
    return shape, problems


def _require_unseen(population, steps, tested):
    """Refuse fits on more rows than there are, and errors on rows of which the last fit saw all, or parts saw some."""
    if isinstance(steps[-1], MixtureStep) and any(
        tested in {getattr(source, "pool", None) for source in getattr(steps[k], "sources", ())}
        or (isinstance(steps[k], ChainStep) and tested == population.default_pool)
        for k in steps[-1].models
    ):
        population.refuse_mixture(tested)
    for i, step in enumerate(steps):
        pools = {}
        for source in getattr(step, "sources", ()):
            pools[source.pool] = pools.get(source.pool, 0) + source.samples
        if isinstance(step, ChainStep):
            pools[population.default_pool] = step.samples if step.generations else 0
        for pool, count in pools.items():
            population.require_drawable(pool, count)
            if i == len(steps) - 1 and pool == tested and count == len(population.pools[pool]):
                raise ValueError(
                    f"samples = {count:g} are all rows of pool {pool!r}, which leaves none to measure the error on; "
                    "simulate fewer, or give inputs= another pool"
                )
