"""The moves of the walk on a spectrum: moments are numbers per eigendirection.

Arrays have a leading axis of lanes: one for each of P grid points, or a single one for what is the same at all of
them. A step runs on as many lanes as its numbers and label models need, so that the generations of a chain are
computed once for a whole grid of last fits.

Kernels run on what they are given: NumPy arrays (or dual numbers) at once, JAX arrays compiled, once per shape. For
those, sources and mixture terms are padded to 1, 4, 8, 16, ... here, points and atoms by `lanes`, so that no kernel is
compiled for a pipeline.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modelcollapse.numerics import steps
from modelcollapse.numerics.arrays import compiled, namespace, on_device, quiet
from modelcollapse.numerics.equivalents import sources
from modelcollapse.numerics.equivalents.shares import divide, times
from modelcollapse.numerics.equivalents.shifted_sources import several_sources
from modelcollapse.numerics.evaluation import pooled_fits
from modelcollapse.numerics.evaluation.lanes import most_lanes, spread
from modelcollapse.numerics.evaluation.pooled_fits import lower_triangle
from modelcollapse.numerics.steps.judged import judged_sources
from modelcollapse.numerics.steps.kept import fit_kept
from modelcollapse.numerics.steps.links import linked
from modelcollapse.numerics.steps.moments import Moments
from modelcollapse.numerics.steps.votes import voted
from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    CleanAccumulateStep,
    CleanChainStep,
    FitStep,
    MixtureStep,
    SgdStep,
    SurrogateStep,
)

__all__ = ["OnSpectrum", "judged"]


@dataclass(frozen=True)
class OnSpectrum:
    """Atoms (P or 1, A); input eigenvalues (P or 1, A) of shifted sources by (step, source); `exact`: a bool array (),
    finite-size means; lengths: step -> static length of its loop, which reverse differentiation needs."""

    atoms: Any
    shifts: dict
    exact: Any
    lengths: dict = field(default_factory=dict)

    def truth(self):
        return _truth(1, self.atoms)

    def own_covariance(self, moments):
        return moments.variance

    @staticmethod
    def transposed(covariance):
        return covariance

    def advance(self, place, step, models, joint):
        moved = self._moved(place, step)
        lanes = most_lanes(step.numbers, models, moved, self.atoms.eigenvalues)
        step = step.mapped(lambda number: spread(number, lanes))
        models = {parent: spread(model, lanes) for parent, model in models.items()}
        return _MOVES[type(step)](self, place, step, models, joint)

    def covariance(self, projections, parts):
        across = most_lanes(projections[0], [part for part in parts if part is not None])
        zeros = _truth(across, self.atoms).variance
        parts = [zeros if part is None else spread(part, across) for part in parts]
        parts += [zeros] * (len(projections) - len(parts))
        return _combine(tuple(spread(x, across) for x in projections), tuple(parts))

    def readout(self, moments, tested):
        return _readout(self.atoms, tested, moments)

    def rearranged(self, origin):
        """The same for steps that stood at other places: shifts follow their fits."""
        shifts = {(i, g): x for i, old in enumerate(origin) for (place, g), x in self.shifts.items() if place == old}
        return replace(self, shifts=shifts, lengths={})

    @staticmethod
    def reads_last(step):
        """Whether the last step's error, and its clean error, come from one kernel: a ridge fit on the scores of one
        source."""
        return isinstance(step, FitStep) and step.plain and len(step.parents) == 1 and step.sources[0].link is None

    def read_last(self, place, step, model, tested):
        """(bias, variance), the same of clean labels, and the flag of a last fit on one source."""
        inputs = self.inputs(place, step)[0]
        lanes = most_lanes(step.numbers, model, inputs, self.atoms.eigenvalues)
        step, model = step.mapped(lambda number: spread(number, lanes)), spread(model, lanes)
        (source,) = step.sources
        rows, noise, weight = (x[None] for x in (source.samples, source.noise, source.weight))
        return _last_fit(self.atoms, inputs[None], tested, rows, noise, weight, step.ridge, self.exact, model)

    def inputs(self, place, step):
        """Input eigenvalues (P or 1, A) of every source of a fit."""
        return [
            self.shifts[place, g] if source.shifted else self.atoms.eigenvalues for g, source in enumerate(step.sources)
        ]

    def _moved(self, place, step):
        of_a_fit = step.sources if isinstance(step, FitStep) else ()
        return [self.shifts[place, g] for g, source in enumerate(of_a_fit) if source.shifted]


def _fit(here, place, step, models, joint):
    if step.judges:
        return _fit_kept(here, place, step, models, joint)
    if all(source.link is None for source in step.sources):
        return _fit_scores(here, place, step, models, joint)
    step, models, joint, gains = _unlinked(here, place, step, models, joint)
    moments, projections, converged = _fit_scores(here, place, step, models, joint)
    moved = [x if g is None else x * g[:, None] for x, each in zip(projections, gains, strict=False) for g in each]
    return moments, tuple(moved), converged


def _fit_kept(here, place, step, models, joint):
    """A fit of which some rows were kept for their labels or scores; all inputs are alike."""
    rows, noise, weights = (tuple(getattr(x, name) for x in step.sources) for name in ("samples", "noise", "weight"))
    inputs = here.inputs(place, step)[0]
    moments, pushes, converged = fit_kept(
        here.atoms, inputs, rows, noise, weights, step.ridge, **judged(step, models, joint, here.atoms)
    )
    return moments, pushes, (converged,)


def judged(step, models, joint, atoms):
    """What the kernels of `steps.kept` need to know of a fit's models, links and filters of rows."""
    lanes = len(models[step.parents[0]].ratio)
    return {
        "models": tuple(models[place] for place in step.parents),
        "joint": _joint_triangle(step.parents, 0, joint, lanes, atoms),
        "link_values": tuple(() if source.link is None else source.link.values for source in step.sources),
        "keep_values": tuple(() if source.keep is None else source.keep.values for source in step.sources),
        "sources": judged_sources(step),
    }


def _unlinked(here, place, step, models, joint):
    """A fit on linked labels as one on scores: each source has a label model of its own, g·w, and the link's noise."""
    sources, labels, gains = [], {}, []
    for i, (source, s) in enumerate(zip(step.sources, here.inputs(place, step), strict=True)):
        labels[i], noise, gain = models[source.parent], source.noise, (None,)
        if source.link is not None and source.link.models:
            teachers = tuple(models[k] for k in source.labellers)
            pairs = _joint_triangle(source.labellers, 0, joint, len(noise), here.atoms)
            labels[i], noise, gain = voted(here.atoms, s, teachers, pairs, noise, soft=source.link.form[1])
        elif source.link is not None:
            link = source.link
            labels[i], noise, one = linked(here.atoms, s, labels[i], noise, link.values, form=link.form)
            gain = (one,)
        gains.append(gain)
        sources.append(replace(source, parent=i, noise=noise, link=None))

    def between(i, k):
        terms = []
        for left, g in zip(step.sources[i].labellers, gains[i], strict=True):
            for right, h in zip(step.sources[k].labellers, gains[k], strict=True):
                value = joint(left, right)
                for gain in (g, h):
                    value = value if value is None or gain is None else times(gain[:, None], value)
                terms += [] if value is None else [value]
        return sum(terms[1:], terms[0]) if terms else None

    return replace(step, sources=tuple(sources)), labels, between, gains


def _fit_scores(here, place, step, models, joint):
    if not step.plain:
        return _fit_pooled(here, place, step, models, joint)
    inputs = here.inputs(place, step)
    if len(step.sources) == 1:
        (source,) = step.sources
        rows, noise, weight = (x[None] for x in (source.samples, source.noise, source.weight))
        return _fit_one(here.atoms, inputs[0][None], rows, noise, weight, step.ridge, here.exact, models[source.parent])
    (rows, noise, weights), models, joint = _padded(here, step, models, joint)
    if any(source.shifted for source in step.sources):
        points, xp = most_lanes(inputs), namespace(inputs)
        inputs = [xp.broadcast_to(x, (points, x.shape[-1])) for x in inputs]
        inputs += [inputs[0]] * (len(models) - len(inputs))
    else:
        inputs = inputs[:1]
    return _fit_several(here.atoms, tuple(inputs), rows, noise, weights, step.ridge, here.exact, models, joint)


def _fit_pooled(here, place, step, models, joint):
    """A fit that is trained, or over random features; all inputs are alike."""
    inputs = here.inputs(place, step)[0]
    (rows, noise, weights), models, joint = _padded(here, step, models, joint)
    pool = pooled_fits.pool(here.atoms, inputs, rows, noise, weights, models, joint)
    moments, learned, converged = pooled_fits.FITS[type(step)](here.atoms, inputs, pool, step, here.exact)
    return moments, tuple(part * learned for part in pool.parts), (converged,)


def _padded(here, step, models, joint):
    """Rows, noise and weights of the sources, their label models and the covariances of these, padded."""
    models = [models[parent] for parent in step.parents]
    count, lanes = len(models), len(models[0].ratio)
    pad = _padding(count, models, step.numbers)
    nothing = np.zeros(lanes, here.atoms.eigenvalues.dtype)
    columns = (
        tuple([getattr(source, name) for source in step.sources] + [nothing] * pad)
        for name in ("samples", "noise", "weight")
    )
    models += [_truth(lanes, here.atoms)] * pad
    return columns, tuple(models), _joint_triangle(step.parents, pad, joint, lanes, here.atoms)


def _mixture(here, place, step, models, joint):
    count, lanes = len(step.coefficients), len(step.coefficients[0])
    pad = _padding(count, models, step.coefficients, fewest=2)
    moments, weights = _mix(
        (*step.coefficients, *[np.zeros(lanes, here.atoms.eigenvalues.dtype)] * pad),
        tuple([models[parent] for parent in step.parents] + [_truth(lanes, here.atoms)] * pad),
        _joint_triangle(step.parents, pad, joint, lanes, here.atoms),
    )
    return moments, weights, ()


def _surrogate(here, place, step, models, joint):
    """ρ·w0 plus an independent error, whose energies by atom are divided by their multiplicities."""
    correlation, error = step.given.on(here.atoms.eigenvalues)
    ratio = step.correlation[:, None] if correlation is None else correlation
    return _given(here.atoms, ratio, step.error, error), (), ()


def _repeated(here, place, step, models, joint):
    kernel, looped = _KERNELS[type(step)]
    options = {"length": here.lengths.get(place)} if looped else {}
    moments, projection, converged = kernel(here.atoms, *step.numbers, here.exact, models[step.start], **options)
    return moments, (projection,), (converged,)


_MOVES = {
    SurrogateStep: _surrogate,
    FitStep: _fit,
    SgdStep: _fit,
    MixtureStep: _mixture,
    ChainStep: _repeated,
    AccumulateStep: _repeated,
    CleanChainStep: _repeated,
    CleanAccumulateStep: _repeated,
}


@compiled
@quiet()
def _fit_one(atoms, inputs, rows, noise, weights, ridge, exact, model):
    equivalent = sources.shared_sources(inputs[0], atoms.multiplicity, rows, weights, ridge)
    moments, learned = steps.fit(atoms, inputs, equivalent, rows, noise, weights, ridge, exact, (model,), {})
    return moments, tuple(learned), (equivalent.converged,)


@compiled
@quiet()
def _last_fit(atoms, inputs, tested, rows, noise, weights, ridge, exact, model):
    """Readouts of a fit on one source and of the same fit on the truth's labels, and `converged`."""
    equivalent = sources.shared_sources(inputs[0], atoms.multiplicity, rows, weights, ridge)
    zeros = namespace(model.ratio).zeros_like(model.ratio)
    parts = []
    for labels in (model, Moments(zeros + 1, zeros, zeros)):
        moments, _ = steps.fit(atoms, inputs, equivalent, rows, noise, weights, ridge, exact, (labels,), {})
        parts.append(steps.readout(atoms, tested, moments))
    return *parts, equivalent.converged


@compiled
@quiet()
def _fit_several(atoms, inputs, rows, noise, weights, ridge, exact, models, joint):
    xp = namespace(rows, noise, weights, ridge, models)
    inputs, rows, noise, weights = (xp.stack(x) for x in (inputs, rows, noise, weights))
    used = xp.where(weights > 0, rows, 0)  # the ridge counts all rows, those of weight zero too
    rows, ridge = used, ridge * (rows.sum(0) / used.sum(0))
    if len(inputs) == 1:
        equivalent = sources.shared_sources(inputs[0], atoms.multiplicity, rows, weights, ridge)
    else:
        equivalent = several_sources(inputs, atoms.multiplicity, rows, weights, ridge)
    joint = lower_triangle(joint, len(models))
    moments, learned = steps.fit(atoms, inputs, equivalent, rows, noise, weights, ridge, exact, models, joint)
    return moments, tuple(learned), (equivalent.converged,)


@compiled
@quiet()
def _mix(coefficients, models, joint):
    xp = namespace(coefficients, models)
    moments, weights = steps.mixture(xp.stack(coefficients), models, lower_triangle(joint, len(models)))
    return moments, tuple(xp.broadcast_to(w, moments.ratio.shape) for w in weights)


@compiled
@quiet()
def _given(atoms, ratio, error, energies):
    xp = namespace(atoms, ratio, error)
    lanes = xp.broadcast_arrays(error[:, None] + ratio, atoms.eigenvalues)[0]
    if energies is None:
        share = atoms.signal / xp.sum(atoms.eigenvalues * atoms.signal, -1)[:, None]
        energies = error[:, None] * share
    spread = atoms.scale * divide(energies, atoms.multiplicity, 0)
    return Moments(ratio + 0 * lanes, 1 - ratio + 0 * lanes, spread + 0 * lanes)


_combine = compiled(steps.combine)
_readout = compiled(steps.readout)
_KERNELS = {  # the kernel of repeated fits, and whether it loops
    ChainStep: (compiled(steps.chain, "length"), True),
    AccumulateStep: (compiled(steps.accumulate, "length"), True),
    CleanChainStep: (compiled(steps.clean_chain), False),
    CleanAccumulateStep: (compiled(steps.clean_accumulate), False),
}


def _padding(count, *arrays, fewest=1):
    """How many sources or terms that count for nothing are added where kernels are compiled."""
    sizes = (1, 4, 8, *(2**k for k in range(4, 31)))
    return next(size for size in sizes if size >= max(count, fewest)) - count if on_device(*arrays) else 0


def _joint_triangle(parents, pad, joint, lanes, atoms):
    """Covariances of each pair of label models, row by row, zero for independent ones and for padding."""
    padded = (*parents, *[None] * pad)
    zeros = _truth(lanes, atoms).variance
    return tuple(
        zeros if None in (a, b) or (value := joint(a, b)) is None else spread(value, lanes)
        for g, a in enumerate(padded)
        for b in padded[:g]
    )


def _truth(lanes, atoms):
    """Moments of the truth; those of a chunk's size are kept."""
    count = atoms.eigenvalues.shape[-1]
    constants = _constants if lanes * count <= 2**18 else _constants.__wrapped__
    return constants(lanes, count, np.dtype(atoms.eigenvalues.dtype), on_device(atoms.eigenvalues))


@functools.lru_cache(maxsize=8)
def _constants(lanes, atoms, dtype, device):
    ones, zeros = (np.full((lanes, atoms), value, dtype) for value in (1, 0))
    if device:
        import jax

        with jax.ensure_compile_time_eval():
            ones, zeros = jax.numpy.asarray(ones), jax.numpy.asarray(zeros)
    return Moments(ones, zeros, zeros)
