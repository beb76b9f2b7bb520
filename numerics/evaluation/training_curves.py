r"""Error curves over training: a contour for many durations, a few products for each.

`training_curve` serves pipelines that end in a fit by a filter on one source, whose duration (time, steps or rounds)
varies over a grid. The effective ridge on a contour and all that follows from the spectrum alone do not depend on the
duration, and one Hankel contour of 32 nodes serves all durations within a factor of four. So a curve costs a few
contours (`filtered_step.equivalent`), and per duration the quadratic forms

    bias = Σ_j s'_j θ_j (b_j + r̄_j a_j)²,
    Σ_j μ_j s'_j s_j U_j = Σ_ab c_a c_b u_ab G_ab,      G_ab = Σ_j μ_j s'_j s_j Q_{a,j} Q_{b,j},

with s' the eigenvalues of the test inputs and the rest as in `filtered_step`.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents.contour import FEW, Contour, contour, quadrature_error, residuals
from modelcollapse.numerics.equivalents.shares import divide
from modelcollapse.numerics.evaluation.double_precision import double_precision
from modelcollapse.numerics.evaluation.lanes import flat, padded_atoms
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.surfaces import narrow_atoms
from modelcollapse.numerics.evaluation.walk import label_model
from modelcollapse.numerics.steps.filtered import equivalent, tolerance_of
from modelcollapse.theory.pipelines.filters import Ridge, SelfDistillation
from modelcollapse.theory.pipelines.steps import FitStep

__all__ = ["training_curve"]

NODES, RATIO, BATCH = 32, 4.0, 128
MANY = 2**20  # durations times atoms, from which compiling pays
FEWEST = 6  # durations per contour from which sharing pays
BARELY = 1e-3  # of the fastest direction learned: what is less is lost in 1 − null, and goes the direct way


def training_curve(question):
    """Bias, variance, those of clean labels, and flags, each (points,), flags 0 where nothing is filled in; or None."""
    grid, schedule = question.grid, question.reading.schedule
    last = schedule.steps[-1]
    if type(last) is not FitStep or last.filter is None or len(last.sources) > 1:
        return None
    if last.filter.filter in (Ridge, SelfDistillation):  # which have no duration
        return None
    if any(source.link is not None for source in last.sources):
        return None
    if not grid.one_spectrum or grid.points < FEWEST:
        return None
    *columns, durations = (flat(number, grid.shape) for number in grid.numbers)
    groups, which = np.unique(np.stack(columns, 1), axis=0, return_inverse=True)
    if grid.points < FEWEST * len(groups):
        return None
    kind = last.filter.filter.kind
    results = [np.empty(grid.points) for _ in range(4)] + [np.zeros(grid.points)]
    count = grid.atoms.eigenvalues.size
    many = grid.points * count > MANY
    with double_precision():
        wide = grid.padded(padded_atoms(count, 1) if many else count)
        few = narrow_atoms(count) if many else count
        atoms, shifts, tested = jax.tree.map(lambda x: (jnp.asarray if many else np.asarray)(x[0, :few]), wide)
        inputs = shifts.get((len(schedule.steps) - 1, 0), atoms.eigenvalues)
        unit = float(inputs.max()) or 1.0  # products of four resolvents stay in range whatever the unit of the data
        inputs, tested = inputs / unit, tested / unit
        if kind == "gradient-flow":
            durations = durations * unit
        population = OnSpectrum(*wide[:2], exact=question.exact)
        for group, values in enumerate(groups):
            model, flags = label_model(schedule, [np.full(1, x) for x in (*values, np.nan)], population)
            if not all(bool(np.all(flag)) for flag in flags):
                continue
            labels = jax.tree.map(lambda x: np.asarray(x)[0, :few], model)
            filled = last.filled((*values, np.nan))
            (source,), (first, *_) = filled.sources, filled.filter.values
            speed, scale = _scale(kind, first, source.weight, unit)
            places = np.flatnonzero(which.reshape(-1) == group)
            moving = places[durations[places] * speed >= BARELY]
            for block, centre in _blocks(kind, durations[moving]):
                here = moving[block]
                padded = durations[here][None]
                if many:
                    padded = np.full(math.ceil(len(here) / BATCH) * BATCH, durations[here[0]])
                    padded[: len(here)] = durations[here]
                    padded = padded.reshape(-1, BATCH)
                noise = source.noise / math.sqrt(unit)
                out = _block(*(atoms, inputs, tested, source.samples, noise, labels, scale, centre, padded), kind=kind)
                with np.errstate(over="ignore"):  # what is beyond double precision is infinite
                    for result, value, factor in zip(results, out, (unit, unit, unit, unit, 1), strict=True):
                        result[here] = np.asarray(value).reshape(-1)[: len(here)] * factor
    return results


def _scale(kind, first, weight, unit):
    """How fast the largest eigenvalue is learned per unit of duration, and the first number for rows of a weight.

    Eigenvalues, and durations of a flow, in units of the largest eigenvalue.
    """
    if kind == "gradient-flow":
        return weight, weight
    if kind == "gradient-descent":
        return (first * weight * unit,) * 2
    return weight / (first / unit), first / unit / weight


def _blocks(kind, durations):
    """Indices of durations that one contour serves, with the contour's own duration."""
    base = 1.0
    if kind != "gradient-flow":
        base = float(FEW)
        few = durations <= FEW
        if few.any():
            yield np.flatnonzero(few), base
        durations = np.where(few, np.nan, durations)
    index = np.floor(np.log(durations / base) / math.log(RATIO))
    for block in np.unique(index[~np.isnan(index)]):
        yield np.flatnonzero(index == block), base * RATIO ** (block + 0.5)


@functools.partial(compiled, static="kind")
@quiet()
def _block(atoms, inputs, tested, rows, noise, labels, scale, centre, durations, *, kind):
    """(bias, variance, clean bias, clean variance, found) at durations (N, BATCH) on the contour of `centre`.

    atoms, inputs, tested, labels: one row each, (A,); rows, noise, scale, centre: ().
    """
    xp = namespace(atoms, inputs, durations)
    s, signal, multiplicity, width = inputs, atoms.signal, atoms.multiplicity, atoms.scale
    if kind == "gradient-flow":
        centre, durations = centre * scale, durations * scale
        path = contour(kind, (centre,), NODES)
    else:
        path = contour(kind, (scale, centre), NODES)
    here = equivalent(s, multiplicity, rows, path.nodes)
    mirrors = (lambda x: x, xp.conj)
    direct = [(here.resolvent * (multiplicity * s * tested)) @ m(here.resolvent).T for m in mirrors]
    gained = here.noise @ (tested * multiplicity).astype(here.noise.dtype)

    def forms(ratio, spread):
        """u_ab G_ab for labels of moments `ratio`, variance `spread` that counts multiplicity."""
        energy = s * (ratio**2 * signal + spread)
        return [
            (here.resolvent * energy) @ m(here.resolvent).T / rows / left * total
            for m, left, total in zip(mirrors, here.left, direct, strict=True)
        ]

    endless = xp.any(xp.isinf(labels.variance) & (s > 0))  # a label model with T = d and noise
    known = xp.where(xp.isinf(labels.variance), 0, labels.variance)
    spread = divide(multiplicity, width, 0) * known
    zeros = xp.zeros_like(s)
    models = [(labels.ratio, labels.deficit, spread), (zeros + 1, zeros, zeros)]
    pulls = [forms(ratio, spread) for ratio, _, spread in models]

    def certain(lane):
        duration, residual = lane
        parameters = (duration,) if kind == "gradient-flow" else (scale, duration)
        count = duration if kind == "gradient-descent" else 1
        return quadrature_error(kind, parameters, Contour(path.nodes, path.weights, residual)) < tolerance_of(s, count)

    def at(durations):
        residual = residuals(kind, centre, durations, NODES)
        coefficient = path.weights * residual * here.ratio
        null = 2 * (coefficient @ here.resolvent).real
        fresh = noise**2 / rows * -2 * ((path.weights * residual * (residual - 2) / path.nodes) @ gained).real
        out = []
        for (ratio, deficit, spread), pull in zip(models, pulls, strict=True):
            pairs = zip(mirrors, pull, strict=True)
            pulled = sum(xp.sum((coefficient @ form) * mirror(coefficient), -1) for mirror, form in pairs)
            out.append((deficit + null * ratio) ** 2 @ (tested * signal))
            out.append((1 - null) ** 2 @ (tested * spread) + 2 * pulled.real + fresh)
        sure = here.converged & (out[1] >= 0) & (out[3] >= 0)  # below zero by rounding: the direct way knows more
        out[1] = xp.where(endless, np.inf, out[1])
        return *out, xp.over_lanes(certain, (durations, residual)) & sure

    return xp.over_lanes(at, durations)
