"""The moves of the walk on a spectrum: moments are numbers per eigendirection, kernels are compiled once per shape.

Arrays have a leading axis of lanes: one for each of P grid points, or a single one for what is the same at all of
them. A step runs on as many lanes as its numbers and label models need, so that the generations of a chain are
computed once for a whole grid of last fits. Sources and mixture terms are padded to 1, 4, 8, 16, ... here, points and
atoms by `lanes`, so that no kernel is compiled for a pipeline.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics import pooling, sources, steps
from modelcollapse.numerics.evaluation.lanes import most_lanes, spread
from modelcollapse.numerics.filtered_step import filtered_step
from modelcollapse.numerics.random_features import feature_step
from modelcollapse.numerics.steps import Moments
from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    CleanAccumulateStep,
    CleanChainStep,
    FitStep,
    MixtureStep,
)

__all__ = ["OnSpectrum"]


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
        """Whether the last step's error, and its clean error, come from one kernel: a ridge fit on one source."""
        return isinstance(step, FitStep) and step.plain and len(step.sources) == 1

    def read_last(self, place, step, model, tested):
        """(bias, variance), the same of clean labels, and the flag of a last fit on one source."""
        inputs = self.inputs(place, step)[0]
        lanes = most_lanes(step.numbers, model, inputs, self.atoms.eigenvalues)
        (source,), ridge = (step := step.mapped(lambda number: spread(number, lanes))).sources, step.ridge
        rows, noise, weight = (x[None] for x in (source.samples, source.noise, source.weight))
        return _last_fit(
            self.atoms, inputs[None], tested, rows, noise, weight, ridge, self.exact, spread(model, lanes)
        )

    def inputs(self, place, step):
        """Input eigenvalues (P or 1, A) of every source of a fit."""
        return [
            self.shifts[place, g] if source.shifted else self.atoms.eigenvalues
            for g, source in enumerate(step.sources)
        ]

    def _moved(self, place, step):
        sources_ = step.sources if isinstance(step, FitStep) else ()
        return [self.shifts[place, g] for g, source in enumerate(sources_) if source.shifted]


def _fit(here, place, step, models, joint):
    if not step.plain:
        return _fit_pooled(here, place, step, models, joint)
    inputs = here.inputs(place, step)
    if len(step.sources) == 1:
        (source,) = step.sources
        rows, noise, weight = (x[None] for x in (source.samples, source.noise, source.weight))
        return _fit_one(
            here.atoms, inputs[0][None], rows, noise, weight, step.ridge, here.exact, models[source.parent]
        )
    columns, models, joint = _padded(here, step, models, joint)
    points = most_lanes(inputs)
    inputs = [jnp.broadcast_to(x, (points, x.shape[-1])) for x in inputs]
    inputs += [inputs[0]] * (len(models) - len(inputs))
    return _fit_several(here.atoms, tuple(inputs), *columns, step.ridge, here.exact, models, joint)


def _fit_pooled(here, place, step, models, joint):
    """A fit by a filter or over random features; all inputs are alike."""
    inputs = here.inputs(place, step)[0]
    columns, models, joint = _padded(here, step, models, joint)
    parts, samples, weight, label_model, noise_variance = _pool(here.atoms, inputs, *columns, models, joint)
    if step.filter is None:
        kind, numbers = "features", (step.ridge, step.features)
    else:
        kind, numbers = step.filter.filter.kind, step.filter.values
    moments, learned, converged = _fit_otherwise(
        kind, here.atoms, inputs, samples, weight, noise_variance, numbers, here.exact, label_model
    )
    return moments, tuple(part * learned for part in parts), (converged,)


def _padded(here, step, models, joint):
    """Rows, noise and weights of the sources, their label models and the covariances of these, padded."""
    models = [models[parent] for parent in step.parents]
    count, lanes = len(models), len(models[0].ratio)
    pad = _padded_size(count) - count
    nothing = np.zeros(lanes, here.atoms.eigenvalues.dtype)
    columns = (
        tuple([getattr(source, name) for source in step.sources] + [nothing] * pad)
        for name in ("samples", "noise", "weight")
    )
    models += [_truth(lanes, here.atoms)] * pad
    return columns, tuple(models), _joint_triangle(step.parents, pad, joint, lanes, here.atoms)


def _mixture(here, place, step, models, joint):
    count, lanes = len(step.coefficients), len(step.coefficients[0])
    pad = _padded_size(max(count, 2)) - count
    moments, weights = _mix(
        (*step.coefficients, *[np.zeros(lanes, here.atoms.eigenvalues.dtype)] * pad),
        tuple([models[parent] for parent in step.parents] + [_truth(lanes, here.atoms)] * pad),
        _joint_triangle(step.parents, pad, joint, lanes, here.atoms),
    )
    return moments, weights, ()


def _repeated(here, place, step, models, joint):
    kernel, looped = _KERNELS[type(step)]
    options = {"length": here.lengths.get(place)} if looped else {}
    moments, projection, converged = kernel(here.atoms, *step.numbers, here.exact, models[step.start], **options)
    return moments, (projection,), (converged,)


_MOVES = {
    FitStep: _fit,
    MixtureStep: _mixture,
    ChainStep: _repeated,
    AccumulateStep: _repeated,
    CleanChainStep: _repeated,
    CleanAccumulateStep: _repeated,
}


@jax.jit
def _fit_one(atoms, inputs, rows, noise, weights, ridge, exact, model):
    trust = sources.one_source(inputs[0], atoms.multiplicity, rows[0], weights[0], ridge)
    moments, learned = steps.fit(atoms, inputs, trust, rows, noise, weights, ridge, exact, (model,), {})
    return moments, tuple(learned), (trust.converged,)


@jax.jit
def _last_fit(atoms, inputs, tested, rows, noise, weights, ridge, exact, model):
    """Readouts of a fit on one source and of the same fit on the truth's labels, and `converged`."""
    trust = sources.one_source(inputs[0], atoms.multiplicity, rows[0], weights[0], ridge)
    zeros = jnp.zeros_like(model.ratio)
    parts = [
        steps.readout(atoms, tested, steps.fit(atoms, inputs, trust, rows, noise, weights, ridge, exact, (m,), {})[0])
        for m in (model, Moments(zeros + 1, zeros, zeros))
    ]
    return *parts, trust.converged


@jax.jit
def _fit_several(atoms, inputs, rows, noise, weights, ridge, exact, models, joint):
    inputs, rows, noise, weights = (jnp.stack(x) for x in (inputs, rows, noise, weights))
    used = jnp.where(weights > 0, rows, 0)  # the ridge counts all rows, those of weight zero too
    rows, ridge = used, ridge * (rows.sum(0) / used.sum(0))
    trust = sources.several_sources(inputs, atoms.multiplicity, rows, weights, ridge)
    moments, learned = steps.fit(
        atoms, inputs, trust, rows, noise, weights, ridge, exact, models, _lower_triangle(joint, len(models))
    )
    return moments, tuple(learned), (trust.converged,)


@jax.jit
def _pool(atoms, inputs, rows, noise, weights, models, joint):
    rows, noise, weights = (jnp.stack(x) for x in (rows, noise, weights))
    parts, samples, weight = pooling.shares(rows, weights)
    label_model, noise_variance = pooling.pooled(
        atoms, inputs, parts, noise, models, _lower_triangle(joint, len(models))
    )
    return tuple(parts[:, :, None]), samples, weight, label_model, noise_variance


@functools.partial(jax.jit, static_argnums=0)
def _fit_otherwise(kind, atoms, inputs, samples, weight, noise_variance, numbers, exact, label_model):
    """A fit by a filter or over random features; the weight multiplies S, which the fit's own numbers absorb."""
    first, *rest = numbers
    first = first * weight if kind.startswith("gradient") else first / weight
    if kind == "features":
        return feature_step(atoms, inputs, samples, rest[0], noise_variance, first, exact, label_model)
    return filtered_step(kind, atoms, inputs, samples, noise_variance, (first, *rest), label_model)


@jax.jit
def _mix(coefficients, models, joint):
    moments, weights = steps.mixture(jnp.stack(coefficients), models, _lower_triangle(joint, len(models)))
    return moments, tuple(jnp.broadcast_to(w, moments.ratio.shape) for w in weights)


_combine = jax.jit(steps.combine)
_readout = jax.jit(steps.readout)
_KERNELS = {  # the kernel of repeated fits, and whether it loops
    ChainStep: (jax.jit(steps.chain, static_argnames="length"), True),
    AccumulateStep: (jax.jit(steps.accumulate, static_argnames="length"), True),
    CleanChainStep: (jax.jit(steps.clean_chain), False),
    CleanAccumulateStep: (jax.jit(steps.clean_accumulate), False),
}


def _lower_triangle(values, size):
    pairs = [(g, h) for g in range(size) for h in range(g)]
    return {pair: value for pair, value in zip(pairs, values, strict=True)}


def _padded_size(count):
    return next(size for size in (1, 4, 8, *(2**k for k in range(4, 31))) if size >= count)


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
    """Moments of the truth; those of a chunk's size are kept on the device."""
    constants = _constants if lanes * atoms.eigenvalues.shape[-1] <= 2**18 else _constants.__wrapped__
    return constants(lanes, atoms.eigenvalues.shape[-1], np.dtype(atoms.eigenvalues.dtype))


@functools.lru_cache(maxsize=8)
def _constants(lanes, atoms, dtype):
    with jax.ensure_compile_time_eval():
        ones, zeros = (jnp.asarray(np.full((lanes, atoms), value, dtype)) for value in (1, 0))
    return Moments(ones, zeros, zeros)
