"""The moves of the walk on the rows of a data set: moments are a vector and a matrix over rows, one point at a time.

Numbers are floats, or dual numbers for derivatives. What depends on few of a pipeline's numbers is kept for the other
points of a grid: the medium of a fit (its ridge, rows and weights) and the models of its label makers.
"""

import copy
import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics import duals
from modelcollapse.numerics.duals import Dual, value_of
from modelcollapse.numerics.equivalents.rows import Selection, UsedRows, medium
from modelcollapse.numerics.equivalents.symmetric import diagonal_of
from modelcollapse.numerics.evaluation.memory import Memory
from modelcollapse.numerics.steps.rows import Labels, added_up, bounded, fit_rows
from modelcollapse.theory.pipelines.steps import ChainStep, CleanChainStep, FitStep, MixtureStep, Rows, SurrogateStep

__all__ = ["OnRows"]

MODELS, MEDIA = 2**29, 2**29  # bytes that are kept
WITHIN = -1  # the place of a chain's generations


class _Function:
    """A model: its deviation (M,), its covariance (M, M) on demand, what it missed on rows that it has not seen.

    covariance: a function that computes it, or None; unseen: pool -> (deviation, variance) of its rows; `key` names the
    model among those of a grid; bound: a function that computes variances (M,) that its own were added up from
    without a subtraction, plain numbers, or None.
    """

    def __init__(self, deviation, covariance=None, unseen=None, key: Any = None, bound=None):
        self.deviation, self.unseen, self.key = deviation, unseen or {}, key
        self._covariance, self._bound = covariance, bound

    @functools.cached_property
    def covariance(self):
        make, self._covariance = self._covariance, None  # what it was made from is not kept
        return None if make is None else make()

    @functools.cached_property
    def bound(self):
        make, self._bound = self._bound, None
        return np.zeros(len(self.deviation)) if make is None else make()


class _Hat(NamedTuple):
    """What a model that is kept keeps of its medium."""

    mean_hat: Any
    converged: Any


class OnRows:
    """A population of `rows`; one object for all points of a grid. last: the place of the model that is asked about."""

    def __init__(self, rows, last):
        self.rows, self.targets, self.last = rows, rows.targets, last
        self.size, self.used, self.roots = len(rows.targets), {}, {}
        self.models, self.media = Memory(MODELS), Memory(MEDIA)

    @staticmethod
    def reads_last(step):
        return False

    def truth(self):
        return _Function(np.zeros(len(self.targets)), key="truth")

    def own_covariance(self, moments):
        return moments.covariance

    def transposed(self, covariance):
        return None if covariance is None else covariance.T

    def rearranged(self, origin):
        here = copy.copy(self)
        here.last = None  # fits on clean labels are the same for many points
        return here

    def advance(self, place, step, models, joint):
        return _MOVES[type(step)](self, place, step, models, joint)

    def covariance(self, projections, parts):
        found = [project(part) for project, part in zip(projections, parts, strict=True) if part is not None]
        return sum(found[1:], found[0])

    def readout(self, moments, tested):
        """Bias and variance on the rows of a pool: of those that the model has not seen, if it was fitted on some."""
        missed, variance = self.by_row(moments, tested)
        return (missed * missed).sum() / len(variance), variance.sum() / len(variance)

    def by_row(self, moments, tested):
        """Deviation and variance on every row of a pool."""
        if tested in moments.unseen:
            if moments.unseen[tested] is None:
                self.rows.refuse_mixture(tested)
            return moments.unseen[tested]
        rows, covariance = self.rows.pools[tested], moments.covariance
        missed = moments.deviation[rows]
        if covariance is None:
            return missed, missed * 0
        return missed, bounded(diagonal_of(covariance)[rows], lambda: moments.bound[rows])

    def selection(self, sources, ridge):
        """(UsedRows, Selection, groups) of a fit: groups are (row numbers, sources, shares) of each pool."""
        samples = sum(source.samples for source in sources)
        kept = [source for source in sources if value_of(source.samples) > 0 and value_of(source.weight) > 0]
        pools = {pool: [s for s in kept if s.pool == pool] for pool in self.rows.pools}
        groups, chances, weights, drawn = [], [], [], 0.0
        for pool, group in pools.items():
            if group:
                rows, count = self.rows.pools[pool], sum(source.samples for source in group)
                self.rows.require_drawable(pool, value_of(count))
                every = [float(value_of(source.weight)) for source in group]
                self.rows.require_one_weight(pool, min(every), max(every))
                ones = np.ones(len(rows))
                groups.append((rows, group, [source.samples / count for source in group]))
                chances.append(count / len(rows) * ones)
                weights.append(group[0].weight * ones)
                drawn = drawn + count
        names = tuple(pool for pool, group in pools.items() if group)
        if names not in self.used:
            used = np.concatenate([self.rows.pools[pool] for pool in names])
            self.used[names] = UsedRows(self.rows.kernel_matrix, self.rows.factor.shape[1], used)
        starts = np.cumsum([0, *(len(rows) for rows, _, _ in groups)])
        pools = [np.arange(start, stop) for start, stop in itertools.pairwise(starts)]
        selection = Selection(duals.concatenate(chances), duals.concatenate(weights), ridge * samples, drawn, pools)
        return self.used[names], selection, groups

    def scales(self, place, step):
        """The smallest and the largest ridge between which a fit changes its behaviour."""
        rows, selection, _ = self.selection(step.sources, 0.0)
        samples, values = selection.samples, np.linalg.eigvalsh(rows.block)
        if rows.rank < samples:
            smallest = values[-rows.rank] * samples / len(values)
        else:
            smallest = np.min(self.medium(rows, selection).kappa * selection.weight)
        largest = values[-1]
        return 0.01 * max(smallest, 1e-16 * largest) / samples, 100 * largest * np.max(selection.weight) / len(values)

    def medium(self, rows, selection):
        """The Medium, kept where its numbers are plain, from the root nearest in ridge on the same rows."""
        asked = (id(rows), float(value_of(selection.penalty)))
        same = (*asked[:1], *(value_of(x).tobytes() for x in (selection.chance, selection.weight)))
        roots = self.roots.setdefault(same, {})
        near = min(roots, key=lambda penalty: abs(np.log((penalty + 1e-300) / (asked[1] + 1e-300))), default=None)

        def make():
            found = medium(rows, selection, None if near is None else roots[near])
            if found.converged:
                roots[asked[1]] = value_of(found.kappa)
            return found

        if any(isinstance(x, Dual) for x in selection):
            return make()
        return self.media.get((same, asked[1]), make, 72 * rows.block.size)


def _fit(here, place, step, models, joint):
    if np.isinf(value_of(step.ridge)):
        return _null(here, step)
    key = None if place == here.last else _key(here, place, step, models)
    rows, selection, groups = here.selection(step.sources, step.ridge)

    def make():
        found = here.medium(rows, selection)
        labels = _labels(here, groups, models, joint)
        fitted = fit_rows(found, selection, rows, here.targets, labels)
        unseen = {
            group[0].pool: (fitted.unseen_deviation[places], fitted.unseen_variance[places])
            for (_, group, _), places in zip(groups, selection.pools, strict=True)
        }
        kept = found if key is None else _Hat(found.mean_hat, found.converged)
        covariance = functools.partial(_spread, found.hat, fitted.inside)
        bound = functools.partial(_bound, kept, labels.bound, value_of(fitted.inner))
        return _Function(fitted.deviation, covariance, unseen, key and object(), bound), kept

    size = 24 * len(here.targets) ** 2
    moments, kept = make() if key is None else here.models.get(key, make, size)
    return moments, tuple(_projection(kept, groups, source) for source in step.sources), (kept.converged,)


def _key(here, place, step, models):
    """What names a model among all that are alike; None where its numbers move, or those of a model that it stands on.

    Of several models the covariances count, which depend on where they stand: that is the place of the step, in the
    pipeline or in the one with clean labels (which has no last place).
    """
    parents = tuple(models[p].key for p in step.parents)
    if None in parents or any(isinstance(x, Dual) for x in step.numbers):
        return None
    pools = tuple(source.pool for source in step.sources) if isinstance(step, FitStep) else ()
    return tuple(step.numbers), pools, parents, (place, here.last) if len(set(step.parents)) > 1 else None


def _spread(hat, inside):
    """H inside Hᵀ."""
    return hat @ inside @ hat.T


def _bound(kept, labels, inner):
    """What the variances of a fit were added up from."""
    hat = value_of(kept.mean_hat)
    return added_up(hat, labels) + np.square(hat) @ inner


def _null(here, step):
    """The model zero, of an infinite ridge."""
    zeros = np.zeros(len(here.targets))
    pools = {source.pool for source in step.sources}
    unseen = {pool: (here.targets[here.rows.pools[pool]], zeros[here.rows.pools[pool]]) for pool in pools}
    return _Function(here.targets, None, unseen, "null"), (lambda part: 0 * part,) * len(step.sources), ()


def _projection(kept, groups, source):
    """The map of Cov(label model, older model) to Cov(fit, older model)."""
    start = 0
    for rows, group, shares in groups:
        place = next((k for k, other in enumerate(group) if other is source), None)
        if place is not None:
            share, columns = shares[place], slice(start, start + len(rows))
            return lambda part: kept.mean_hat[:, columns] @ part[rows] * share
        start += len(rows)
    return lambda part: 0 * part


def _labels(here, groups, models, joint):
    """Labels of the rows used, by (3) of `steps.rows`."""
    deviations, noises = [], []
    for rows, group, shares in groups:
        deviations.append(sum(p * models[s.parent].deviation[rows] for p, s in zip(shares, group, strict=True)))
        noise = sum(p * s.noise**2 for p, s in zip(shares, group, strict=True)) * np.ones(len(rows))
        for i, first in enumerate(group):
            for second, share in zip(group[:i], shares[:i], strict=True):
                noise = noise + shares[i] * share * _apart(models, joint, first.parent, second.parent, rows)
        noises.append(noise)
    blocks = [[_between(joint, first, second) for second in groups] for first in groups]
    if all(block is None for line in blocks for block in line):
        covariance = None
    else:
        sizes = [len(rows) for rows, _, _ in groups]
        lines = [
            duals.concatenate(
                [np.zeros((n, m)) if block is None else block for block, m in zip(line, sizes, strict=True)], 1
            )
            for line, n in zip(blocks, sizes, strict=True)
        ]
        covariance = duals.concatenate(lines)

    bounds = [
        sum(value_of(p) * models[s.parent].bound[rows] for p, s in zip(shares, group, strict=True))
        for rows, group, shares in groups
    ]
    return Labels(duals.concatenate(deviations), covariance, duals.concatenate(noises), np.concatenate(bounds))


def _between(joint, first, second):
    """Covariance of the labels of two pools, None for none."""
    total = None
    for a, p in zip(first[1], first[2], strict=True):
        for b, q in zip(second[1], second[2], strict=True):
            part = joint(a.parent, b.parent)
            if part is not None:
                part = part[first[0]][:, second[0]] * (p * q)
                total = part if total is None else total + part
    return total


def _apart(models, joint, i, k, rows):
    """E (w_i − w_k)² on rows."""
    gap = (models[i].deviation - models[k].deviation)[rows]
    total = gap * gap
    for a, b, sign in ((i, i, 1), (k, k, 1), (i, k, -2)):
        covariance = joint(a, b)
        if covariance is not None:
            total = total + sign * diagonal_of(covariance)[rows]
    return bounded(total, lambda: 2 * (models[i].bound + models[k].bound)[rows])


def _mixture(here, place, step, models, joint):
    missing = 1 - sum(step.coefficients)
    deviation = here.targets * missing
    for c, parent in zip(step.coefficients, step.models, strict=True):
        deviation = deviation + models[parent].deviation * c

    def covariance():
        total = None
        for c, a in zip(step.coefficients, step.models, strict=True):
            for d, b in zip(step.coefficients, step.models, strict=True):
                part = joint(a, b)
                if part is not None:
                    total = part * (c * d) if total is None else total + part * (c * d)
        return total

    drawn = {pool for parent in step.models for pool in models[parent].unseen}
    found = covariance()

    sizes = [abs(float(value_of(c))) for c in step.coefficients]
    bounds = [models[parent].bound for parent in step.models]
    moments = _Function(
        deviation,
        None if found is None else (lambda: found),
        dict.fromkeys(drawn),
        _key(here, place, step, models),
        lambda: sum(sizes) * sum(c * bound for c, bound in zip(sizes, bounds, strict=True)),
    )
    return moments, tuple((lambda part, c=c: part * c) for c in step.coefficients), ()


def _surrogate(here, place, step, models, joint):
    (labels,) = step.given.arrays
    return _Function(here.targets - labels, key=step.given), (), ()


def _chain(here, place, step, models, joint):
    """Generation after generation."""
    generations, samples, noise, ridge = step.numbers
    count = round(float(value_of(generations)))
    if isinstance(step, CleanChainStep):
        if not count:
            return models[step.start], (lambda part: part,), ()
        moments, _, flags = _generation(here, here.truth(), None, samples, noise, ridge)
        return moments, (lambda part: 0 * part,), flags
    start = models[step.start]

    def make():
        moments, covariance, flags, maps = start, joint(step.start, step.start), (), []
        for _ in range(count):
            moments, (project,), more = _generation(here, moments, covariance, samples, noise, ridge)
            flags, covariance = flags + more, moments.covariance if len(maps) + 1 < count else None
            maps.append(project)
        return moments, (lambda part: functools.reduce(lambda x, project: project(x), maps, part),), flags

    if start.key is None or any(isinstance(x, Dual) for x in step.numbers):
        return make()
    return here.models.get((step, start.key), make, 0)  # its parts are counted where they are kept


def _generation(here, model, covariance, samples, noise, ridge):
    pool = here.rows.checked_inputs("inputs", None)
    step = FitStep((Rows(0, samples, noise, 1.0, pool=pool),), ridge)
    return _fit(here, WITHIN, step, {0: model}, lambda i, k: covariance)


_MOVES = {FitStep: _fit, MixtureStep: _mixture, SurrogateStep: _surrogate, ChainStep: _chain, CleanChainStep: _chain}
