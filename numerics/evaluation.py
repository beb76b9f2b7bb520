"""Walk a plan over numbers: the steps' kernels in order, each moment dropped after its last use.

Arrays have a leading axis of lanes: one for each of P grid points, or a single one for what is the same at all of
them. A step runs on as many lanes as its numbers and label models need, so that the generations of a chain are
computed once for a whole grid of last fits. Kernels are compiled once per shape, never per pipeline: sources and
mixture terms are padded to 1, 4, 8, 16, ... here, points and atoms by the caller.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics import pooling, sources, steps
from modelcollapse.numerics.filtered_step import filtered_step
from modelcollapse.numerics.random_features import feature_step
from modelcollapse.numerics.steps import Moments
from modelcollapse.theory.plans import cleaned

__all__ = ["evaluate", "label_model", "last_moments", "walk"]


@jax.jit
def _fit_one(atoms, inputs, rows, noise, weights, ridge, exact, model):
    trust = sources.one_source(inputs[0], atoms.multiplicity, rows[0], weights[0], ridge)
    moments, learned = steps.fit(atoms, inputs, trust, rows, noise, weights, ridge, exact, (model,), {})
    return moments, tuple(learned), (trust.converged,)


@jax.jit
def _last_fit(atoms, inputs, tested, rows, noise, weights, ridge, exact, model):
    """Readouts of a fit on one source and of the same fit on the truth's labels, and `converged`."""
    trust = sources.one_source(inputs[0], atoms.multiplicity, rows[0], weights[0], ridge)
    still = jnp.zeros_like(model.ratio)
    parts = [
        steps.readout(atoms, tested, steps.fit(atoms, inputs, trust, rows, noise, weights, ridge, exact, (m,), {})[0])
        for m in (model, Moments(still + 1, still, still))
    ]
    return *parts, trust.converged


@jax.jit
def _fit_several(atoms, inputs, rows, noise, weights, ridge, exact, models, joint):
    inputs, rows, noise, weights = (jnp.stack(x) for x in (inputs, rows, noise, weights))
    used = jnp.where(weights > 0, rows, 0)  # the ridge counts all rows, those of weight zero too
    rows, ridge = used, ridge * (rows.sum(0) / used.sum(0))
    if len(inputs) == 1:
        trust = sources.shared_sources(inputs[0], atoms.multiplicity, rows, weights, ridge)
    else:
        trust = sources.several_sources(inputs, atoms.multiplicity, rows, weights, ridge)
    moments, learned = steps.fit(
        atoms, inputs, trust, rows, noise, weights, ridge, exact, models, _lower_triangle(joint, len(models))
    )
    return moments, tuple(learned), (trust.converged,)


@jax.jit
def _pool(atoms, inputs, rows, noise, weights, models, joint):
    rows, noise, weights = (jnp.stack(x) for x in (rows, noise, weights))
    parts, samples, weight = pooling.shares(rows, weights)
    label_model, doubt = pooling.pooled(atoms, inputs, parts, noise, models, _lower_triangle(joint, len(models)))
    return tuple(parts[:, :, None]), samples, weight, label_model, doubt


@functools.partial(jax.jit, static_argnums=0)
def _train(kind, atoms, inputs, samples, weight, doubt, own, exact, label_model):
    """A fit by a filter or over random features; the weight multiplies S, which the fit's own numbers absorb."""
    first, *rest = own
    first = first * weight if kind.startswith("gradient") else first / weight
    if kind == "features":
        return feature_step(atoms, inputs, samples, rest[0], doubt, first, exact, label_model)
    return filtered_step(kind, atoms, inputs, samples, doubt, (first, *rest), label_model)


@jax.jit
def _mix(coefficients, models, joint):
    moments, weights = steps.mixture(jnp.stack(coefficients), models, _lower_triangle(joint, len(models)))
    return moments, tuple(jnp.broadcast_to(w, moments.ratio.shape) for w in weights)


_combine = jax.jit(steps.combine)
_readout = jax.jit(steps.readout)
_repeated = {
    "chain": jax.jit(steps.chain, static_argnames="length"),
    "accumulate": jax.jit(steps.accumulate, static_argnames="length"),
    "clean-chain": jax.jit(steps.clean_chain),
    "clean-accumulate": jax.jit(steps.clean_accumulate),
}


def _lower_triangle(values, size):
    pairs = [(g, h) for g in range(size) for h in range(g)]
    return {pair: value for pair, value in zip(pairs, values, strict=True)}


def _padded_size(count):
    return next(size for size in (1, 4, 8, *(2**k for k in range(4, 31))) if size >= count)


def evaluate(plan, numbers, atoms, shifts, inputs, exact):
    """Bias, variance and clean error of the last model of a plan.

    Parameters
    ----------
    plan : Plan
    numbers : sequence of (P or 1,), the leaves
    atoms : Atoms
    shifts : dict (step, source) of (P or 1, A): input eigenvalues of shifted sources
    inputs : (P or 1, A), eigenvalues of the test inputs
    exact : bool ()

    Returns
    -------
    (bias, variance), (clean bias, clean variance), each (P or 1,), and the tuple of all steps' `converged`
    """
    last = plan.steps[-1]
    if last.kind == "fit" and len(last.parents) == 1:
        model, fine = label_model(plan, numbers, atoms, shifts, exact)
        values = [numbers[slot] for slot in last.slots]
        moved = shifts[len(plan.steps) - 1, 0] if last.shifted[0] else atoms.eigenvalues
        lanes = _most_lanes(*values, model, moved, atoms.eigenvalues)
        rows, noise, weight, ridge = (_spread(value, lanes) for value in values)
        parts, clean, converged = _last_fit(
            atoms, moved[None], inputs, rows[None], noise[None], weight[None], ridge, exact, _spread(model, lanes)
        )
        return parts, clean, (*fine, converged)
    clean_plan = cleaned(plan.steps)
    *parts, fine = walk(plan, numbers, atoms, shifts, inputs, exact, {})
    if clean_plan.steps == plan.steps:
        return parts, parts, fine
    clean_shifts = _clean_shifts(plan.steps, clean_plan.steps, shifts)
    *clean, clean_fine = walk(clean_plan, numbers, atoms, clean_shifts, inputs, exact, {})
    return parts, clean, fine + clean_fine


def label_model(plan, numbers, atoms, shifts, exact):
    """Moments (P or 1, A) of the model that labels the last fit, a fit on one source, and all `converged` flags."""
    moments, fine = _models(plan, plan.steps[:-1], numbers, atoms, shifts, exact, {})
    return moments[plan.steps[-1].parents[0]], fine


def _clean_shifts(steps_, clean_steps, shifts):
    """Shifts by the slots of their fits, which a cleaned plan keeps."""
    place = {step.slots: i for i, step in enumerate(steps_) if step.fitted}
    return {
        (i, g): shifts[place[step.slots], g]
        for i, step in enumerate(clean_steps) if step.fitted
        for g, shifted in enumerate(step.shifted) if shifted
    }


def walk(plan, numbers, atoms, shifts, inputs, exact, lengths):
    """Bias and variance (P or 1,) of the last model and the steps' `converged` flags; see `evaluate`.

    lengths : dict step -> static length of its loop (reverse differentiation needs one).
    """
    moments, fine = last_moments(plan, numbers, atoms, shifts, exact, lengths)
    bias, variance = _readout(atoms, inputs, moments)
    return bias, variance, fine


def last_moments(plan, numbers, atoms, shifts, exact, lengths=None):
    """Moments (P or 1, A) of the last model and the steps' `converged` flags."""
    moments, fine = _models(plan, plan.steps, numbers, atoms, shifts, exact, lengths or {})
    return moments[len(plan.steps) - 1], fine


def _models(plan, steps_, numbers, atoms, shifts, exact, lengths):
    """Moments of the models of the first steps that are still needed after them, and the `converged` flags."""
    moments, covariances, fine = {}, {}, ()
    last_use = _last_uses(plan.steps)

    def joint(i, k):
        if i == k:
            return moments[i].variance
        return covariances.get((i, k) if i > k else (k, i))

    for i, step in enumerate(steps_):
        if step.kind == "truth":
            moments[i] = _truth(1, atoms)
            continue
        values = [numbers[slot] for slot in step.slots]
        moved = [shifts[i, g] for g, shifted in enumerate(step.shifted) if shifted]
        lanes = _most_lanes(*values, *(moments[p] for p in step.parents), *moved, atoms.eigenvalues)
        values = [_spread(value, lanes) for value in values]
        models = {p: _spread(moments[p], lanes) for p in step.parents}
        if step.fitted:
            moments[i], learned, converged = _fit(i, step, values, atoms, shifts, exact, models, joint)
        elif step.kind == "mixture":
            moments[i], learned, converged = _mixture(step, values, atoms, models, joint)
        else:
            options = {} if step.kind.startswith("clean") else {"length": lengths.get(i)}
            moments[i], projection, converged = _repeated[step.kind](
                atoms, *values, exact, models[step.parents[0]], **options
            )
            learned, converged = (projection,), (converged,)
        fine += converged
        for k in plan.pairs[i]:
            if k != i:
                size = len(learned)
                parents = [None if plan.steps[p].kind == "truth" else joint(p, k) for p in step.parents]
                if all(value is None for value in parents):
                    continue
                across = _most_lanes(learned[0], *(value for value in parents if value is not None))
                zeros = _truth(across, atoms).variance
                parents = [zeros if value is None else _spread(value, across) for value in parents]
                parents += [zeros] * (size - len(parents))
                covariances[i, k] = _combine(tuple(_spread(x, across) for x in learned), tuple(parents))
        for pair in plan.dropped[i]:
            covariances.pop(pair, None)
        for k in last_use[i]:
            del moments[k]
    return moments, fine


def _most_lanes(*arrays):
    return max(x.shape[0] for x in jax.tree.leaves(arrays))


def _spread(tree, lanes):
    """Arrays of one lane or `lanes` repeated to `lanes`."""

    def repeat(x):
        if x.shape[0] == lanes:
            return x
        return (np if isinstance(x, np.ndarray) else jnp).broadcast_to(x, (lanes, *x.shape[1:]))

    return jax.tree.map(repeat, tree)


def _truth(lanes, atoms):
    """Moments of the truth; those of a chunk's size are kept on the device."""
    constants = _constants if lanes * atoms.eigenvalues.shape[-1] <= 2**18 else _constants.__wrapped__
    return constants(lanes, atoms.eigenvalues.shape[-1], np.dtype(atoms.eigenvalues.dtype))


@functools.lru_cache(maxsize=8)
def _constants(lanes, atoms, dtype):
    with jax.ensure_compile_time_eval():
        ones, still = (jnp.asarray(np.full((lanes, atoms), value, dtype)) for value in (1, 0))
    return Moments(ones, still, still)


def _last_uses(steps_):
    """For every step, the models that it is the last to read."""
    last = {}
    for i, step in enumerate(steps_):
        last.update({p: i for p in step.parents})
    uses = [[] for _ in steps_]
    for k, i in last.items():
        uses[i].append(k)
    return uses


def _fit(i, step, values, atoms, shifts, exact, models, joint):
    rows, noise, weights, own = step.sources(values)
    count, lanes = len(step.parents), len(values[-1])
    inputs = [shifts[i, g] if shifted else atoms.eigenvalues for g, shifted in enumerate(step.shifted)]
    models = [models[p] for p in step.parents]
    if count == 1 and step.kind == "fit":
        only, row, doubt, weight = (x[0][None] for x in (inputs, rows, noise, weights))
        return _fit_one(atoms, only, row, doubt, weight, *own, exact, models[0])
    pad = _padded_size(count) - count
    nothing = np.zeros(lanes, atoms.eigenvalues.dtype)
    if step.kind != "fit":  # all inputs are alike
        parts, samples, weight, label_model, doubt = _pool(
            atoms,
            inputs[0],
            tuple(rows + [nothing] * pad),
            tuple(noise + [nothing] * pad),
            tuple(weights + [nothing] * pad),
            tuple(models + [_truth(lanes, atoms)] * pad),
            _joint_triangle(step.parents, pad, joint, lanes, atoms),
        )
        moments, learned, converged = _train(
            step.kind, atoms, inputs[0], samples, weight, doubt, tuple(own), exact, label_model
        )
        return moments, tuple(part * learned for part in parts), (converged,)
    points = max(x.shape[0] for x in inputs)
    inputs = [jnp.broadcast_to(x, (points, x.shape[-1])) for x in inputs]
    return _fit_several(
        atoms,
        tuple(inputs + [inputs[0]] * pad) if any(step.shifted) else (inputs[0],),
        tuple(rows + [nothing] * pad),
        tuple(noise + [nothing] * pad),
        tuple(weights + [nothing] * pad),
        *own,
        exact,
        tuple(models + [_truth(lanes, atoms)] * pad),
        _joint_triangle(step.parents, pad, joint, lanes, atoms),
    )


def _mixture(step, values, atoms, models, joint):
    pad = _padded_size(max(len(values), 2)) - len(values)
    lanes = len(values[0])
    moments, weights = _mix(
        tuple(values + [np.zeros(lanes, atoms.eigenvalues.dtype)] * pad),
        tuple([models[p] for p in step.parents] + [_truth(lanes, atoms)] * pad),
        _joint_triangle(step.parents, pad, joint, lanes, atoms),
    )
    return moments, weights, ()


def _joint_triangle(parents, pad, joint, lanes, atoms):
    """Covariances of each pair of label models, row by row, zero for independent ones and for padding."""
    padded = (*parents, *[None] * pad)
    zeros = _truth(lanes, atoms).variance
    return tuple(
        zeros if None in (a, b) or (value := joint(a, b)) is None else _spread(value, lanes)
        for g, a in enumerate(padded) for b in padded[:g]
    )
