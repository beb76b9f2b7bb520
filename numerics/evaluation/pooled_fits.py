"""Fits on sources that are pooled into one: by a filter, over random features, by one pass of SGD."""

import functools
from typing import Any, NamedTuple

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.steps import pooled
from modelcollapse.numerics.steps.features import feature_step
from modelcollapse.numerics.steps.filtered import filtered_step
from modelcollapse.numerics.steps.moments import Moments
from modelcollapse.numerics.steps.sgd import sgd_step
from modelcollapse.theory.pipelines.steps import FitStep, SgdStep

__all__ = ["FITS", "Pool", "lower_triangle", "pool"]


class Pool(NamedTuple):
    """Shares of the sources in the rows, a tuple of (P, 1); rows, what multiplies S, label noise, (P,); the mean label
    model; the scatter of label models by atom (P, A)."""

    parts: tuple
    samples: Any
    weight: Any
    label_model: Moments
    noise_variance: Any
    scatter: Any


@compiled
@quiet()
def pool(atoms, inputs, rows, noise, weights, models, joint):
    """The Pool of G sources: tuples of G numbers (P,) and Moments, the covariances of the latter row by row."""
    xp = namespace(rows, noise, weights, models)
    rows, noise, weights = (xp.stack(x) for x in (rows, noise, weights))
    parts, samples, weight = pooled.shares(rows, weights)
    joint = lower_triangle(joint, len(models))
    label_model, noise_variance, scatter = pooled.pooled(atoms, inputs, parts, noise, models, joint)
    return Pool(tuple(parts[:, :, None]), samples, weight, label_model, noise_variance, scatter)


def lower_triangle(values, size):
    """Values of pairs, row by row, as a dict (g, h), g > h."""
    pairs = [(g, h) for g in range(size) for h in range(g)]
    return {pair: value for pair, value in zip(pairs, values, strict=True)}


def _fit(atoms, inputs, pool, step, exact):
    if step.filter is None:
        kind, numbers = "features", (step.ridge, step.features)
    else:
        kind, numbers = step.filter.filter.kind, step.filter.values
    return _filtered(
        atoms, inputs, pool.samples, pool.weight, pool.noise_variance, numbers, exact, pool.label_model, kind=kind
    )


def _pass(atoms, inputs, pool, step, exact):
    return _passed(atoms, inputs, pool, *step.filter.values)


FITS = {FitStep: _fit, SgdStep: _pass}  # Moments, projection (P, A), converged (P,)


@functools.partial(compiled, static="kind")
@quiet()
def _filtered(atoms, inputs, samples, weight, noise_variance, numbers, exact, label_model, *, kind):
    """A fit by a filter or over random features; the weight multiplies S, which the fit's own numbers absorb."""
    first, *rest = numbers
    first = first * weight if kind.startswith("gradient") else first / weight
    if kind == "features":
        return feature_step(atoms, inputs, samples, rest[0], noise_variance, first, exact, label_model)
    return filtered_step(kind, atoms, inputs, samples, noise_variance, (first, *rest), label_model)


@compiled
@quiet()
def _passed(atoms, inputs, pool, step, batch):
    """One pass of SGD; the weight of the rows multiplies the step."""
    numbers = pool.samples / batch, pool.noise_variance, pool.scatter, step * pool.weight, batch
    return sgd_step(atoms, inputs, *numbers, pool.label_model)
