"""Which sampler serves which fit. Each is exact in law; none forms more than it needs.

| sampler | serves | cost of a fit |
|---|---|---|
| student | least squares on one source, T ≥ d, Gaussian inputs | d; a chain n + d |
| bidiagonal | ridge on one source, isotropic Gaussian inputs | d |
| bartlett | anything with Gaussian inputs and no link | d² min(T, d) |
| direct | anything, links too | d T min(T, d), the T × d design itself |

A pass of SGD draws its rows whatever the sampler, batch by batch, at d T.

"auto" takes the first that is exact for the fit at hand: a rule of the problem alone, so that a seed gives the same
numbers everywhere. Another name asks for that sampler in every fit and is refused where it is not exact.

`conditional=True` replaces a trial's error by its mean over the label noise of the last fit, given the designs and the
labelling models: the error of the noise-free labels plus Σ_i σ_i² ‖A^{-1}x_i‖² (Rao–Blackwell).
"""

import math
from typing import NamedTuple

import numpy as np

from modelcollapse.theory.pipelines.filters import SelfDistillation
from modelcollapse.validation.bidiagonal import bidiagonal_fit
from modelcollapse.validation.designs import trapezoid
from modelcollapse.validation.feature_fits import feature_solution
from modelcollapse.validation.problems import SimulatedFit, SimulatedPoint, SimulatedRepeat, SimulatedSgd
from modelcollapse.validation.ridge_solutions import (
    Block,
    filter_solution,
    many_solutions,
    refitted_solution,
    ridge_solution,
)
from modelcollapse.validation.streams import Streams
from modelcollapse.validation.student_increments import inverse_sums, student_fits

__all__ = ["SAMPLERS", "Place", "conditional_fit", "fit_step", "repeat_step", "sampler_of", "trial_cost"]

SAMPLERS = ("auto", "student", "bidiagonal", "bartlett", "direct")
_ROWS_AT_A_TIME = 1024
_FITS_AT_A_TIME = 256
_SMALL = 2048  # numbers of a design, beyond which LAPACK takes most of the time


class Place(NamedTuple):
    """Where a step draws: streams under a key, the step's number, the trials, and what runs dense fits."""

    streams: Streams
    key: tuple
    step: int
    trials: range
    backend: str = "numpy"

    def generators(self, generation=0):
        """The generator of each trial, valid until the next one is asked for."""
        return (self.streams.at(trial, self.step, generation) for trial in self.trials)


def sampler_of(distribution, step, wanted="auto"):
    """The name of the sampler of the fits of a step; ValueError if `wanted` is not exact for it."""
    exact = _exact_samplers(distribution, step)
    if wanted == "auto":
        return exact[0]
    if wanted not in exact:
        trained = f"ridge {step.penalty / step.rows:g}" if step.filter is None else f"filter {step.filter!r}"
        trained += f" over {step.features:g} random features" if np.isfinite(step.features) else ""
        raise ValueError(
            f"sampler = {wanted!r} is not exact for a fit on {len(step.sources)} source(s) with {step.rows} rows and "
            f"{trained}; give 'auto', or one of {', '.join(exact)}"
        )
    return wanted


def _exact_samplers(distribution, step):
    drawn = any(source.link is not None or source.keep is not None for source in step.sources)
    if not distribution.gaussian or drawn:
        return ["direct"]
    names = ["bartlett", "direct"]
    if len(step.sources) > 1 or step.keep or step.filter is not None or np.isfinite(step.features):
        return names
    inputs, rows = step.sources[0].inputs, step.rows
    if step.penalty == 0 and rows >= np.count_nonzero(inputs):
        return ["student", *names]
    return ["bidiagonal", *names] if inputs[0] > 0 and np.all(inputs == inputs[0]) else names


def fit_step(problem, step, labels, place, wanted, others=None):
    """ŵ (B, d) of a SimulatedFit or SimulatedSgd.

    labels : one (B, d) per source; others : those of its voters and its judge
    """
    if isinstance(step, SimulatedSgd):
        return _passed(problem.distribution, step, labels, place, wanted, others)
    if np.isinf(step.penalty):
        return np.zeros(labels[0].shape)
    return _fitted(problem.distribution, step, labels, place, wanted, others=others)


def _fitted(distribution, step, labels, place, wanted, generation=0, others=None):
    name = sampler_of(distribution, step, wanted)
    rows, noise, weight, inputs = step.sources[0][1:5]
    if name == "student":
        return student_fits(place.generators(generation), labels[0], rows, noise, inputs)
    if name == "bidiagonal":
        return bidiagonal_fit(place.generators(generation), labels[0], rows, noise, inputs[0], step.penalty / weight)
    if place.backend == "jax":
        from modelcollapse.validation.devices import dense_fit

        return dense_fit(distribution, step, labels, name, place, generation)
    if _is_small(step, step.sources, name):
        return _small_fits(distribution, step, step.sources, labels, place, name, generation)
    fitted = np.empty(labels[0].shape)
    for b, generator in enumerate(place.generators(generation)):
        here = [[model[b] for model in models] for models in others or [[]] * len(labels)]
        blocks = [
            _block(distribution, source, label[b], generator, name, others=models)
            for source, label, models in zip(step.sources, labels, here, strict=True)
        ]
        some = any(len(block.rows) for block in blocks)  # a filter may leave none
        fitted[b] = _solved(generator, blocks, _with_fewer_rows(step, blocks)) if some else 0
    return fitted


def _is_small(step, sources, name):
    """Whether fits are quick to solve, and nothing is drawn but rows and their noise."""
    if step.filter is not None or np.isfinite(step.features):
        return False
    if any(source.link is not None or source.keep is not None for source in sources):
        return False
    return sum(_height(source, name) for source in sources) * len(sources[0].inputs) <= _SMALL


def _height(source, name):
    return source.rows if name == "direct" else min(source.rows, len(source.inputs))


def _small_fits(distribution, step, sources, labels, place, name, generation=0):
    """ŵ (B, d), drawn trial by trial as `_block` draws, and solved many at once.

    labels : one (B, d) per source; of one alone, each further source has its labels from a fit on all before it
    """
    fitted = np.empty(labels[0].shape)
    for start in range(0, len(fitted), _FITS_AT_A_TIME):
        here = slice(start, start + _FITS_AT_A_TIME)
        generators = place._replace(trials=place.trials[here]).generators(generation)
        rows, told = _small_draws(distribution, sources, generators, len(fitted[here]), name)
        for g, label in enumerate(labels):
            told[g] += (rows[g] @ label[here, :, None])[..., 0]
        for g in range(len(labels), len(sources)):
            label = many_solutions(np.concatenate(rows[:g], 1), np.concatenate(told[:g], 1), step.penalty)
            told[g] += (rows[g] @ label[..., None])[..., 0]
        fitted[here] = many_solutions(np.concatenate(rows, 1), np.concatenate(told, 1), step.penalty)
    return fitted


def _small_draws(distribution, sources, generators, count, name):
    """Rows (B, r, d) and label noise (B, r) of every source, times the square root of its weight."""
    draw, dim = distribution.draw if name == "direct" else trapezoid, len(sources[0].inputs)
    rows = [np.empty((count, _height(source, name), dim)) for source in sources]
    noises = [np.zeros(drawn.shape[:2]) for drawn in rows]
    for b, generator in enumerate(generators):
        for source, drawn, noise in zip(sources, rows, noises, strict=True):
            drawn[b] = draw(generator, source.rows, dim)
            if source.noise:
                noise[b] = generator.standard_normal(noise.shape[1])
    for source, drawn, noise in zip(sources, rows, noises, strict=True):
        drawn *= np.sqrt(source.weight * source.inputs)
        noise *= source.noise * math.sqrt(source.weight)
    return rows, noises


def _passed(distribution, step, labels, place, wanted, others):
    """ŵ (B, d) of a SimulatedSgd: every batch is drawn, and read once."""
    if wanted not in ("auto", "direct"):
        raise ValueError(f"sampler = {wanted!r} is not exact for one pass of SGD; give 'auto' or 'direct'")
    fitted = np.zeros(labels[0].shape)
    counts = np.array([source.rows for source in step.sources])
    size = step.batch * max(1, _ROWS_AT_A_TIME // step.batch)
    for b, generator in enumerate(place.generators()):
        here = [[model[b] for model in models] for models in others]
        for start in range(0, step.rows, size):
            shares = generator.multinomial(min(size, step.rows - start), counts / step.rows)
            blocks = [
                _block(distribution, source._replace(rows=count), label[b], generator, "direct", others=models)
                for source, count, label, models in zip(step.sources, shares.tolist(), labels, here, strict=True)
            ]
            rows, targets = (np.concatenate([block[k] for block in blocks]) for k in (0, 1))
            order = generator.permutation(len(rows)) if len(blocks) > 1 else np.arange(len(rows))
            for batch in order.reshape(-1, step.batch):
                seen = rows[batch]
                fitted[b] += step.step / step.batch * ((targets[batch] - seen @ fitted[b]) @ seen)
    return fitted


def _with_fewer_rows(step, blocks):
    """The step with Λ = λT for the rows that are left."""
    if all(source.keep is None for source in step.sources):
        return step
    return step._replace(penalty=step.penalty * sum(len(block.rows) for block in blocks) / step.rows)


def _solved(generator, blocks, step):
    if isinstance(step.filter, SelfDistillation):
        _, (_, weight, _), (_, rounds, _) = step.filter.numbers
        return refitted_solution(blocks, step.penalty, weight, int(rounds))
    if step.filter is not None:
        return filter_solution(blocks, step.filter, step.total)
    return feature_solution(generator, blocks, step.penalty, step.features)


def _block(distribution, source, label, generator, name, noise=1.0, others=()):
    """Rows and noisy labels of a source, times the square root of its weight."""
    draw = distribution.draw if name == "direct" else trapezoid
    root = math.sqrt(source.weight)
    rows = draw(generator, source.rows, len(source.inputs))
    rows *= np.sqrt(source.weight * source.inputs)
    labels = rows @ label
    if source.voters:
        labels = root * source.link.of_scores([labels, *(rows @ other for other in others)])
    elif source.link is not None:
        labels = root * source.link.labels(generator, labels / root)
    if source.keep is not None:
        (judge,) = others
        deviation = root * np.sqrt(np.sum(source.inputs * judge**2))
        kept = source.keep.kept(generator, labels, rows @ judge / (deviation or 1))
        rows, labels = rows[kept], labels[kept]
    if noise * source.noise:
        labels += noise * source.noise * root * generator.standard_normal(len(rows))
    return Block(rows, labels, name == "bartlett" and rows.shape[0] == rows.shape[1])


def repeat_step(problem, step, start, place, wanted):
    """ŵ (B, d) after the generations of a SimulatedRepeat, started from `start` (B, d)."""
    if step.generations == 0:
        return start
    if np.isinf(step.penalty):
        return np.zeros(start.shape)
    source, law = step.source, problem.distribution
    name = sampler_of(law, step, wanted)
    if name == "student":
        return student_fits(place.generators(), start, source.rows, source.noise, source.inputs, step.generations)
    if not step.keep:
        for generation in range(step.generations):
            start = _fitted(law, step, [start], place, name, generation)
        return start
    if place.backend == "jax":
        from modelcollapse.validation.devices import dense_accumulation

        return dense_accumulation(law, step, start, name, place)
    rounds = [source] * step.generations
    if _is_small(step, rounds, name):
        return _small_fits(law, step, rounds, [start], place, name)
    fitted = np.empty(start.shape)
    for b, generator in enumerate(place.generators()):
        fitted[b] = ridge_solution(_accumulated(law, step, start[b], generator, name), step.penalty)
    return fitted


def _accumulated(distribution, step, label, generator, name, last_noise=1.0):
    """The blocks of all rounds; every round before the last really fits all rows so far."""
    blocks = []
    for left in reversed(range(step.generations)):
        blocks.append(_block(distribution, step.source, label, generator, name, 1.0 if left else last_noise))
        if left:
            label = ridge_solution(blocks, step.penalty)
    return blocks


def conditional_fit(problem, step, models, place, wanted):
    """The last fit's mean (B, d) over its label noise, and what the noise adds to the test error (B,)."""
    generation = 0
    if isinstance(step, SimulatedRepeat) and not step.keep and step.generations > 0:
        step, models, generation = _last_generation(problem, step, models, place, wanted)
    if not hasattr(step, "penalty") or getattr(step, "generations", 1) == 0:
        kind = "trained by SGD" if isinstance(step, SimulatedSgd) else "not a fit"
        raise ValueError(f"conditional = True, but the last model is {kind}; simulate it with conditional=False")
    labels = [models[parent] for parent in step.parents]
    batch = len(labels[0])
    if np.isinf(step.penalty):
        return np.zeros(labels[0].shape), np.zeros(batch)
    keep, sources = step.keep, step.sources
    if any(source.keep is not None for source in sources):
        raise ValueError("conditional = True with keep= in the last fit is not supported; give conditional=False")
    if _is_student(problem, step, wanted):
        source = sources[0]
        mean, varied = np.array(labels[0]), source.inputs > 0
        mean[:, ~varied] = 0
        added = source.noise**2 * np.sum(problem.tested[varied] / source.inputs[varied])
        count = getattr(step, "generations", 1)
        return mean, added * inverse_sums(place.generators(), source.rows, source.inputs, count, batch)
    exact = _exact_samplers(problem.distribution, step)
    name = "direct" if wanted == "direct" or "bartlett" not in exact else "bartlett"
    mean, added = np.empty(labels[0].shape), np.empty(batch)
    for b, generator in enumerate(place.generators(generation)):
        if keep:
            blocks = _accumulated(problem.distribution, step, labels[0][b], generator, name, 0.0)
            noisy = [0.0] * (len(blocks) - 1) + [sources[0].noise]
        else:
            blocks = [
                _block(problem.distribution, source, label[b], generator, name, 0.0)
                for source, label in zip(sources, labels, strict=True)
            ]
            noisy = [source.noise * np.sqrt(source.weight) for source in sources]
        solved = _solved(generator, _with_noise_columns(blocks, noisy), step)
        mean[b], added[b] = solved[:, 0], problem.tested @ np.sum(solved[:, 1:] ** 2, 1)
    return mean, added


def _is_student(problem, step, wanted):
    exact = _exact_samplers(problem.distribution, step)
    return exact[0] == "student" and wanted in ("auto", "student")


def _last_generation(problem, step, models, place, wanted):
    """A chain as its last fit on the model before; a least-squares chain stays whole (its noise is one Gaussian)."""
    if _is_student(problem, step, wanted):
        return step, models, 0
    before = step._replace(generations=step.generations - 1)
    last = repeat_step(problem, before, models[step.parents[0]], place, wanted)
    fit = SimulatedFit(step.parents, (step.source,), step.penalty)
    return fit, {step.parents[0]: last}, step.generations - 1


def _with_noise_columns(blocks, noisy):
    total, done, widened = sum(len(block.rows) for block in blocks), 0, []
    for block, noise in zip(blocks, noisy, strict=True):
        labels = np.zeros((len(block.rows), 1 + total))
        labels[:, 0] = block.labels
        np.fill_diagonal(labels[:, 1 + done :], noise)
        widened.append(block._replace(labels=labels))
        done += len(block.rows)
    return widened


def trial_cost(problem, wanted="auto"):
    """Multiplications of one trial, to an order of magnitude."""
    if not isinstance(problem, SimulatedPoint):
        return problem.cost
    dim, cost = len(problem.truth), 0.0
    for step in problem.steps:
        cost += dim
        if isinstance(step, SimulatedSgd):
            cost += step.rows * (20.0 * dim + 1e4 / step.batch)
        if not isinstance(step, SimulatedFit | SimulatedRepeat) or np.isinf(step.penalty):
            continue
        keep, count = step.keep, step.generations
        name = sampler_of(problem.distribution, step, wanted) if count else "student"
        if name in ("student", "bidiagonal"):
            cost += 10.0 * (dim + count if name == "student" else dim * count)
            continue
        for source in step.sources:
            rows = source.rows if name == "direct" else min(source.rows, dim)
            cost += dim * (rows * min(rows, dim) + 10.0 * rows) * (count * (count + 1) / 2 if keep else count)
    return cost
