"""The moves of the walk on rows that are all taken for alike: numbers per eigendirection, many points at once."""

from typing import Any

import numpy as np

from modelcollapse.numerics import steps
from modelcollapse.numerics.arrays import namespace
from modelcollapse.numerics.duals import value_of
from modelcollapse.numerics.steps import Atoms, Moments, pooled
from modelcollapse.numerics.steps.row_spectrum import RowDirections, Unseen, fit_alike, share_of_rows
from modelcollapse.theory.pipelines.steps import ChainStep, CleanChainStep, FitStep, MixtureStep, Rows, SurrogateStep

__all__ = ["OnRowSpectrum"]

MIXED: Any = object()  # in place of errors on unseen rows: the parts of a mixture have seen different ones


class OnRowSpectrum:
    """A population of `rows` with method="spectrum"; numbers are lanes (P,)."""

    together = 2**21  # numbers in one array

    def __init__(self, rows):
        self.rows, self.pool = rows, rows.default_pool
        self.directions = directions = RowDirections(*rows.directions)
        count = len(directions.eigenvalues)
        one = np.ones((1, count))
        self.atoms = Atoms(one / count, directions.energy[None], one, one)

    @property
    def size(self):
        return len(self.directions.eigenvalues)

    def truth(self):
        ones = np.ones((1, self.size))
        return Unseen(ones, 0 * ones, 0 * ones)

    def own_covariance(self, moments):
        return moments.variance

    def transposed(self, covariance):
        return covariance

    def rearranged(self, origin):
        return self

    @staticmethod
    def reads_last(step):
        return False

    def advance(self, place, step, models, joint):
        return _MOVES[type(step)](self, step, models, joint)

    def covariance(self, projections, parts):
        return steps.combine(projections, parts)

    def readout(self, moments, tested):
        """Bias and variance on rows that the last fit has not seen; on all rows for what is no fit."""
        if moments.unseen_bias is MIXED:
            self.rows.refuse_mixture(self.pool)
        if moments.unseen_bias is not None:
            return moments.unseen_bias, moments.unseen_variance
        return steps.readout(self.atoms, self.atoms.eigenvalues, Moments(*moments[:3]))

    def by_row(self, moments, tested):
        raise ValueError('the rows are all taken for alike by method="spectrum"; use method="rows" for single rows')

    def scales(self, place, step):
        """The smallest and the largest ridge between which a fit changes its behaviour."""
        values = self.directions.eigenvalues
        samples = np.atleast_1d(np.asarray(sum(source.samples for source in step.sources), float))
        smallest = np.min(values[values > 0])
        if samples[0] <= self.directions.rank:
            _, _, lost, _, _ = share_of_rows(self.directions, samples, 0 * samples)
            top = np.argmax(values)
            smallest = max(smallest, float(values[top] * lost[0, top] / (1 - lost[0, top])))
        weights = np.max([np.max(source.weight) for source in step.sources])
        return 0.01 * smallest / len(values), 100 * np.max(values) * weights / len(values)


def _fit(here, step, models, joint):
    xp = namespace(step.numbers, [models[source.parent] for source in step.sources])
    lanes = max(np.shape(value_of(x))[0] for x in (*step.numbers, *(models[p].ratio for p in step.parents)))
    total = sum(source.samples for source in step.sources)
    used = [s for s in step.sources if np.any(value_of(s.samples) > 0) and np.any(value_of(s.weight) > 0)]
    rows, noise, weights = (
        xp.stack([xp.broadcast_to(getattr(source, name), (lanes,)) for source in used])
        for name in ("samples", "noise", "weight")
    )
    here.rows.require_drawable(here.pool, value_of(rows).sum(0))
    drawn = value_of(rows) > 0
    lowest, highest = (np.where(drawn, value_of(weights), other).T for other in (np.inf, 0.0))
    here.rows.require_one_weight(here.pool, lowest.min(-1), highest.max(-1))
    parts, samples, _ = pooled.shares(rows, weights)
    labels = tuple(
        Moments(*(xp.broadcast_to(x, (lanes, here.size)) for x in models[source.parent][:3])) for source in used
    )
    triangle = _triangle(here, xp, [source.parent for source in used], joint, lanes)
    label, noise_variance, _ = pooled.pooled(here.atoms, here.atoms.eigenvalues, parts, noise, labels, triangle)
    ridge = step.ridge * (total / samples) / weights.max(0)
    null = np.isinf(value_of(ridge))
    moments, learned, converged = fit_alike(here.directions, samples, noise_variance, xp.where(null, 1.0, ridge), label)
    if np.any(null):
        moments, learned = _where_null(xp, null, here, moments, learned)
    kept = set(map(id, used))
    projections = iter([learned * part[:, None] for part in parts])
    return moments, tuple(next(projections) if id(s) in kept else 0 * learned for s in step.sources), (converged,)


def _triangle(here, xp, parents, joint, lanes):
    """Covariances of each pair of label models that are not independent."""
    return {
        (g, h): xp.broadcast_to(part, (lanes, here.size))
        for g, a in enumerate(parents)
        for h, b in enumerate(parents[:g])
        if (part := joint(a, b)) is not None
    }


def _where_null(xp, null, here, moments, learned):
    """An infinite ridge gives the model zero."""
    energy = here.directions.energy.mean()
    line = null[:, None]
    nothing = Unseen(
        xp.where(line, 0.0, moments.ratio),
        xp.where(line, 1.0, moments.deficit),
        xp.where(line, 0.0, moments.variance),
        xp.where(null, energy, moments.unseen_bias),
        xp.where(null, 0.0, moments.unseen_variance),
    )
    return nothing, xp.where(line, 0.0, learned)


def _mixture(here, step, models, joint):
    xp = namespace(step.numbers, list(models.values()))
    lanes = max(np.shape(value_of(x))[0] for x in (*step.numbers, *(models[p].ratio for p in step.models)))
    parts = [Moments(*(xp.broadcast_to(x, (lanes, here.size)) for x in models[parent][:3])) for parent in step.models]
    triangle = _triangle(here, xp, step.models, joint, lanes)
    coefficients = xp.stack([xp.broadcast_to(c, (lanes,)) for c in step.coefficients])
    moments, weights = steps.mixture(coefficients, tuple(parts), triangle)
    if any(models[parent].unseen_bias is not None for parent in step.models):
        return Unseen(*moments, MIXED, MIXED), tuple(weights), ()
    return Unseen(*moments), tuple(weights), ()


def _surrogate(here, step, models, joint):
    raise ValueError('a surrogate with labels on all rows needs method="rows"; build the population with it')


def _chain(here, step, models, joint):
    generations, samples, noise, ridge = step.numbers
    counts = np.rint(value_of(generations)).astype(int)
    start = model = models[step.start]
    clean = isinstance(step, CleanChainStep)
    projection, flags = np.ones((1, here.size)), ()
    xp = namespace(step.numbers, model)
    generation = FitStep((Rows(0, samples, noise, np.ones_like(value_of(samples)), pool=here.pool),), ridge)
    for k in range(min(1, counts.max()) if clean else counts.max()):
        label = here.truth() if clean else model
        fitted, (learned,), (converged,) = _fit(here, generation, {0: label}, lambda a, b, label=label: label.variance)
        some = counts > k
        model = _chosen(xp, some, fitted, start if clean else model, here)
        projection = xp.where(some[:, None], 0 * learned if clean else learned * projection, projection)
        flags = (*flags, converged | ~some)
    return model, (projection,), flags


def _chosen(xp, some, new, old, here):
    """Lanes of a new model where there is one more generation."""
    if np.all(some):
        return new
    ratio, deficit, spread = (xp.where(some[:, None], x, y) for x, y in zip(new[:3], old[:3], strict=True))
    if old.unseen_bias is MIXED:
        return Unseen(ratio, deficit, spread, MIXED, MIXED)
    bias, variance = here.readout(old, None)
    unseen = xp.where(some, new.unseen_bias, bias), xp.where(some, new.unseen_variance, variance)
    return Unseen(ratio, deficit, spread, *unseen)


_MOVES = {FitStep: _fit, MixtureStep: _mixture, SurrogateStep: _surrogate, ChainStep: _chain, CleanChainStep: _chain}
