"""Walk a plan over numbers: the steps' kernels in order, each moment dropped after its last use.

All arrays have a leading axis of P grid points. Kernels are compiled once per shape, never per pipeline: sources and
mixture terms are padded to 1, 4, 8, 16, ... here, points and atoms by the caller.
"""

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics import sources, steps
from modelcollapse.numerics.steps import Moments
from modelcollapse.theory.plans import cleaned

__all__ = ["evaluate", "walk"]


@jax.jit
def _fit_one(atoms, inputs, rows, noise, weights, ridge, exact, model):
    trust = sources.one_source(inputs[0], atoms.multiplicity, rows[0], weights[0], ridge)
    moments, learned = steps.fit(atoms, inputs, trust, rows, noise, weights, ridge, exact, (model,), {})
    return moments, tuple(learned), (trust.converged,)


@jax.jit
def _fit_several(atoms, inputs, rows, noise, weights, ridge, exact, models, joint):
    inputs, rows, noise, weights = (jnp.stack(x) for x in (inputs, rows, noise, weights))
    trust = sources.several_sources(inputs, atoms.multiplicity, rows, weights, ridge)
    moments, learned = steps.fit(
        atoms, inputs, trust, rows, noise, weights, ridge, exact, models, _lower_triangle(joint, len(models))
    )
    return moments, tuple(learned), (trust.converged,)


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


def evaluate(plan, numbers, atoms, shifts, inputs, exact, lengths=None):
    """Bias, variance and clean error of the last model of a plan.

    Parameters
    ----------
    plan : Plan
    numbers : sequence of (P,), the leaves
    atoms : Atoms
    shifts : dict (step, source) of (P or 1, A): input eigenvalues of shifted sources
    inputs : (P or 1, A), eigenvalues of the test inputs
    exact : bool ()
    lengths : None, or dict step -> static length of its loop (reverse differentiation needs one)

    Returns
    -------
    (bias, variance), (clean bias, clean variance), each (P,), and the tuple of all steps' `converged` (P,)
    """
    clean_plan = cleaned(plan.steps)
    *parts, fine = walk(plan, numbers, atoms, shifts, inputs, exact, lengths or {})
    if clean_plan.steps == plan.steps:
        return parts, parts, fine
    clean_shifts = _clean_shifts(plan.steps, clean_plan.steps, shifts)
    *clean, clean_fine = walk(clean_plan, numbers, atoms, clean_shifts, inputs, exact, {})
    return parts, clean, fine + clean_fine


def _clean_shifts(steps_, clean_steps, shifts):
    """Shifts by the slots of their fits, which a cleaned plan keeps."""
    place = {step.slots: i for i, step in enumerate(steps_) if step.kind == "fit"}
    return {
        (i, g): shifts[place[step.slots], g]
        for i, step in enumerate(clean_steps) if step.kind == "fit"
        for g, shifted in enumerate(step.shifted) if shifted
    }


def walk(plan, numbers, atoms, shifts, inputs, exact, lengths):
    """Bias and variance (P,) of the last model and the steps' `converged` flags; see `evaluate`."""
    ones, zeros = _constants(numbers, atoms)
    moments, covariances, fine = {}, {}, ()
    last_use = _last_uses(plan.steps)

    def joint(i, k):
        if i == k:
            return moments[i].variance
        return covariances.get((i, k) if i > k else (k, i))

    for i, step in enumerate(plan.steps):
        values = [numbers[slot] for slot in step.slots]
        if step.kind == "truth":
            moments[i] = Moments(ones, zeros, zeros)
            continue
        if step.kind == "fit":
            moments[i], learned, converged = _fit(i, step, values, atoms, shifts, exact, moments, joint, (ones, zeros))
        elif step.kind == "mixture":
            moments[i], learned, converged = _mixture(step, values, moments, joint, (ones, zeros))
        else:
            options = {} if step.kind.startswith("clean") else {"length": lengths.get(i)}
            moments[i], projection, converged = _repeated[step.kind](
                atoms, *values, exact, moments[step.parents[0]], **options
            )
            learned, converged = (projection,), (converged,)
        fine += converged
        for k in plan.pairs[i]:
            if k != i:
                size = len(learned)
                parents = [None if plan.steps[p].kind == "truth" else joint(p, k) for p in step.parents]
                if all(value is None for value in parents):
                    continue
                parents = [zeros if value is None else value for value in parents]
                parents += [zeros] * (size - len(parents))
                covariances[i, k] = _combine(tuple(learned), tuple(parents))
        for pair in plan.dropped[i]:
            covariances.pop(pair, None)
        for k in last_use[i]:
            del moments[k]
    bias, variance = _readout(atoms, inputs, moments[len(plan.steps) - 1])
    return bias, variance, fine


def _constants(numbers, atoms):
    points = max([atoms.eigenvalues.shape[0], *(len(x) for x in numbers)])
    ones = np.ones((points, atoms.eigenvalues.shape[-1]), atoms.eigenvalues.dtype)
    return jnp.asarray(ones), jnp.asarray(0 * ones)


def _last_uses(steps_):
    """For every step, the models that it is the last to read."""
    last = {}
    for i, step in enumerate(steps_):
        last.update({p: i for p in step.parents})
    uses = [[] for _ in steps_]
    for k, i in last.items():
        uses[i].append(k)
    return uses


def _fit(i, step, values, atoms, shifts, exact, moments, joint, constants):
    ones, zeros = constants
    rows, noise, weights = values[:-1:3], values[1:-1:3], values[2:-1:3]
    ridge, count = values[-1], len(step.parents)
    inputs = [shifts[i, g] if shifted else atoms.eigenvalues for g, shifted in enumerate(step.shifted)]
    models = [moments[p] for p in step.parents]
    if count == 1:
        return _fit_one(atoms, inputs[0][None], rows[0][None], noise[0][None], weights[0][None], ridge, exact, models[0])
    pad = _padded_size(count) - count
    nothing = jnp.asarray(np.zeros(zeros.shape[0], zeros.dtype))
    points = max(x.shape[0] for x in inputs)
    inputs = [jnp.broadcast_to(x, (points, x.shape[-1])) for x in inputs]
    return _fit_several(
        atoms,
        tuple(inputs + [inputs[0]] * pad),
        tuple(rows + [nothing] * pad),
        tuple(noise + [nothing] * pad),
        tuple(weights + [nothing] * pad),
        ridge,
        exact,
        tuple(models + [Moments(ones, zeros, zeros)] * pad),
        _joint_triangle(step.parents, pad, joint, zeros),
    )


def _mixture(step, values, moments, joint, constants):
    ones, zeros = constants
    pad = _padded_size(max(len(values), 2)) - len(values)
    moments_, weights = _mix(
        tuple(values + [jnp.asarray(np.zeros(zeros.shape[0], zeros.dtype))] * pad),
        tuple([moments[p] for p in step.parents] + [Moments(ones, zeros, zeros)] * pad),
        _joint_triangle(step.parents, pad, joint, zeros),
    )
    return moments_, weights, ()


def _joint_triangle(parents, pad, joint, zeros):
    """Covariances of each pair of label models, row by row, zero for independent ones and for padding."""
    padded = (*parents, *[None] * pad)
    return tuple(
        zeros if None in (a, b) or (value := joint(a, b)) is None else value
        for g, a in enumerate(padded) for b in padded[:g]
    )
