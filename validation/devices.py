"""Dense fits on whatever JAX runs on: designs drawn and solved for a batch of trials at once, in double precision.

The trial axis is sharded over all devices of the default backend. A trial's key is folded from (seed, grid point, step,
generation, trial), so its numbers do not depend on how trials are batched or sharded. They are other numbers
than those of the NumPy backend, from the same law.

Rule of `backend="auto"`: accelerators take the fits that need a dense factor (samplers "bartlett" and "direct") from
256 directions up; everything else, and all work without an accelerator, is NumPy and LAPACK. Measured on a CPU core, a
ridge fit on T = 2d rows by its Bartlett factor, milliseconds a trial (`benchmarks/bench_simulation.py`):

| d | NumPy and LAPACK | JAX |
|---|---|---|
| 100 | 0.25 | 0.55 |
| 300 | 1.6 | 4.7 |
| 1000 | 31 | 79 |
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from modelcollapse.numerics.evaluation.double_precision import double_precision

__all__ = ["accelerated", "dense_accumulation", "dense_fit"]

_TRIALS = PartitionSpec("trials")
_SMALL_PIVOT = 1e-7


def accelerated():
    """Whether JAX has something better than a CPU."""
    return jax.default_backend() != "cpu"


def dense_fit(distribution, step, labels, name, place, generation):
    """ŵ (B, d) of one fit on several sources for the trials of `place`; see `samplers`."""
    with double_precision():
        mesh, trials, labels = _spread(place.trials, labels)
        blocks = [
            _drawn(distribution, source, label, g, name, place, generation, mesh, trials)
            for g, (source, label) in enumerate(zip(step.sources, labels, strict=True))
        ]
        return _checked(_solve(tuple(blocks), step.penalty, mesh=mesh), place.trials)


def dense_accumulation(distribution, step, start, name, place):
    """ŵ (B, d) after all rounds of an accumulation, every round fitted on all rows so far."""
    with double_precision():
        mesh, trials, (label,) = _spread(place.trials, [start])
        blocks = []
        for generation in range(step.generations):
            blocks.append(_drawn(distribution, step.source, label, 0, name, place, generation, mesh, trials))
            label = _solve(tuple(blocks), step.penalty, mesh=mesh)
        return _checked(label, place.trials)


def _spread(trials, labels):
    """Trial numbers and labels over all devices, padded to few shapes that the devices divide."""
    devices = np.array(jax.devices())
    padded = max(16, 2 ** math.ceil(math.log2(len(trials))))
    padding = padded + -padded % len(devices) - len(trials)
    mesh = Mesh(devices, ("trials",))
    over = NamedSharding(mesh, _TRIALS)
    numbers = jax.device_put(np.pad(np.asarray(trials, np.uint32), (0, padding), "edge"), over)
    labels = [jax.device_put(np.pad(np.asarray(x, float), ((0, padding), (0, 0)), "edge"), over) for x in labels]
    return mesh, numbers, labels


def _drawn(distribution, source, label, place_in_fit, name, place, generation, mesh, trials):
    """Rows (B, r, d) and noisy labels (B, r) of one source, times the square root of its weight."""
    words = [word >> shift & 0xFFFFFFFF for word in place.key for shift in (0, 32)]
    address = np.array([*words, place.step, generation, place_in_fit], np.uint32)
    data = np.zeros((1, 1)) if distribution.rows is None else distribution.rows
    law = "bartlett" if name == "bartlett" else distribution.name
    numbers = (source.weight * source.inputs, np.sqrt(source.weight) * source.noise, data)
    return _block(trials, label, address, numbers, mesh=mesh, rows=source.rows, law=law, df=distribution.df)


@partial(jax.jit, static_argnames=("mesh", "rows", "law", "df"))
def _block(trials, label, address, numbers, *, mesh, rows, law, df):
    def local(trials, label, address, numbers):
        inputs, noise, data = numbers
        base = jax.random.wrap_key_data(address[:2], impl="threefry2x32")
        for word in address[2:]:
            base = jax.random.fold_in(base, word)

        def one(trial, label):
            design, errors = jax.random.split(jax.random.fold_in(base, trial))
            x = _design(design, rows, label.shape[0], law, df, data) * jnp.sqrt(inputs)
            return x, x @ label + noise * jax.random.normal(errors, (x.shape[0],), x.dtype)

        return jax.vmap(one)(trials, label)

    specs = (_TRIALS, _TRIALS, PartitionSpec(), PartitionSpec())
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=_TRIALS, check_vma=False)(
        trials, label, address, numbers
    )


def _design(key, rows, dim, law, df, data):
    shape = (rows, dim)
    if law == "bartlett":
        height = min(rows, dim)
        below, across = jax.random.split(key)
        factor = jnp.tril(jax.random.normal(below, (height, dim)), dim - height - 1)
        freedom = rows - height + 1.0 + jnp.arange(height)
        diagonal = jnp.sqrt(2 * jax.random.gamma(across, freedom / 2))
        return factor.at[jnp.arange(height), dim - height + jnp.arange(height)].set(diagonal)
    if law == "rows":
        return data[jax.random.randint(key, (rows,), 0, data.shape[0])]
    if law == "rademacher":
        return jax.random.rademacher(key, shape, jnp.float64)
    if law == "uniform":
        return jax.random.uniform(key, shape, jnp.float64, -jnp.sqrt(3.0), jnp.sqrt(3.0))
    if law == "student":
        return jax.random.t(key, df, shape) * jnp.sqrt((df - 2) / df)
    return jax.random.normal(key, shape)


@partial(jax.jit, static_argnames="mesh")
def _solve(blocks, penalty, *, mesh):
    specs = (_TRIALS, PartitionSpec())
    one_by_one = mesh.devices.flat[0].platform == "cpu"
    return jax.shard_map(partial(_solution, one_by_one), mesh=mesh, in_specs=specs, out_specs=_TRIALS, check_vma=False)(
        blocks, jnp.asarray(penalty, jnp.float64)
    )


def _solution(one_by_one, blocks, penalty):
    """As `ridge_solutions`: scaled normal equations, or the scaled Gram matrix if there are fewer rows.

    On CPUs the factorisations run one by one: batched LAPACK calls of several XLA devices were seen to wait for each
    other for ever on two cores (jaxlib 0.10.2).
    """
    rows = jnp.concatenate([x for x, _ in blocks], 1)
    labels = jnp.concatenate([y for _, y in blocks], 1)
    gram = rows.shape[1] < rows.shape[2]
    matrix = jnp.einsum("bij,bkj->bik", rows, rows) if gram else jnp.einsum("bji,bjk->bik", rows, rows)
    diagonal = jnp.diagonal(matrix, axis1=1, axis2=2) + penalty
    empty = diagonal == 0
    scale = jnp.sqrt(diagonal + empty)
    matrix = matrix / scale[:, :, None] / scale[:, None, :]
    matrix = matrix + jnp.eye(matrix.shape[1]) * (penalty / scale**2 + empty)[:, None, :]
    right = labels if gram else jnp.einsum("bij,bi->bj", rows, labels)
    pairs = (matrix, right / scale)
    solution = (jax.lax.map(_solved, pairs) if one_by_one else jax.vmap(_solved)(pairs)) / scale
    return jnp.einsum("bi,bij->bj", solution, rows) if gram else solution


def _solved(pair):
    """The solution of one system of unit diagonal, NaN if it is too ill-conditioned."""
    factor = jax.lax.linalg.cholesky(pair[0])
    solution = jax.scipy.linalg.cho_solve((factor, True), pair[1])
    return jnp.where(jnp.min(jnp.diagonal(factor)) > _SMALL_PIVOT, solution, jnp.nan)


def _checked(fitted, trials):
    fitted = np.asarray(fitted)[: len(trials)]
    if np.isnan(fitted).any():
        raise RuntimeError(
            "a fit is too ill-conditioned for the normal equations; simulate with backend='numpy', which falls back "
            "on a singular value decomposition"
        )
    return fitted
