"""The moves of the walk on a dense Gaussian population: moments are a vector and a matrix, one point at a time."""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics import duals
from modelcollapse.numerics.duals import value_of
from modelcollapse.numerics.equivalents.dense import dense_sources
from modelcollapse.numerics.steps.dense import angle_dense, applied, combined, congruent, energy, fit_dense
from modelcollapse.numerics.steps.judged import judged_sources
from modelcollapse.numerics.steps.kept_dense import fit_kept_dense
from modelcollapse.numerics.steps.links import gain_and_noise
from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    CleanAccumulateStep,
    CleanChainStep,
    FitStep,
    MixtureStep,
    SurrogateStep,
)
from modelcollapse.theory.populations.resolved_directions import gram_noise

__all__ = ["OnGaussian"]

PANEL = "a panel of teachers on dense Gaussian inputs is not supported; use a spectrum"


class _Weights(NamedTuple):
    """A model: w0 − E w (d,) and its covariance (d, d), None for none; `bound` as for `steps.dense.energy`."""

    deviation: Any
    spread: Any
    bound: Any = None

    @property
    def bounded(self):
        """What the covariance was added up from: itself, but for mixtures and what was fitted to them."""
        return self.spread if self.bound is None else self.bound


class OnGaussian:
    """A population of `gaussian`, with the covariances of shifted sources by (step, source)."""

    def __init__(self, population, shifts, finite_size):
        self.covariance_of_inputs, self.weights = population.covariance, population.weights
        self.shifts, self.finite_size, self.size = shifts, finite_size, len(population.weights)

    def truth(self):
        return _Weights(np.zeros(len(self.weights)), None)

    def own_covariance(self, moments):
        return moments.spread

    def transposed(self, covariance):
        return None if covariance is None else covariance.T

    def rearranged(self, origin):
        shifts = {(i, g): x for i, old in enumerate(origin) for (place, g), x in self.shifts.items() if place == old}
        here = OnGaussian.__new__(OnGaussian)
        here.__dict__.update(self.__dict__, shifts=shifts)
        return here

    @staticmethod
    def reads_last(step):
        return False

    def advance(self, place, step, models, joint):
        return _MOVES[type(step)](self, place, step, models, joint)

    def covariance(self, projections, parts):
        found = [applied(m, part) for m, part in zip(projections, parts, strict=True) if part is not None]
        return sum(found[1:], found[0])

    def readout(self, moments, tested):
        """Bias and variance on inputs of the covariance `tested`, None for the population's own."""
        covariance = self.covariance_of_inputs if tested is None else tested
        bias = energy(covariance, moments.deviation, None)
        variance = energy(covariance, moments.deviation * 0, moments.spread, lambda: moments.bounded)
        return bias, variance

    def angle(self, moments, tested):
        """Mean angle to the truth, overlap, mean squares of the score and of the truth's."""
        covariance = self.covariance_of_inputs if tested is None else tested
        return angle_dense(covariance, self.weights, moments.deviation, moments.spread)

    def scales(self, place, step):
        """The smallest and the largest ridge between which a fit changes its behaviour."""
        samples = sum(source.samples for source in step.sources)
        pooled = sum(
            self.shifts.get((place, k), self.covariance_of_inputs) * (source.samples * source.weight / samples)
            for k, source in enumerate(step.sources)
        )
        values = np.linalg.eigvalsh(pooled)
        values = values[values > gram_noise(pooled)]
        kappa = 0.0
        if samples < len(values):
            kappa = float(dense_sources([pooled], [samples], [1.0], 0.0).kappa)
        return 0.01 * max(values[0], kappa), 100 * values[-1]

    def fitted(self, covariances, sources, ridge, models, parts):
        """(model, maps, converged) of a fit on sources (samples, noise variance, weight) of those covariances."""
        rows, noise_variance, weights = zip(*sources, strict=True)
        if np.isinf(value_of(ridge)):
            return _Weights(self.weights, None), (0.0,) * len(rows), np.array(True)
        found = dense_sources(covariances, rows, weights, ridge)
        alike = all(c is covariances[0] or np.array_equal(c, covariances[0]) for c in covariances)
        exact = self.finite_size and value_of(ridge) == 0 and value_of(found.kappa) == 0 and alike
        exact = exact and len({float(value_of(w)) for w in weights}) == 1
        deviations = [model.deviation for model in models]

        bounds = [model.bounded for model in models]
        deviation, spread = fit_dense(
            found, covariances, rows, noise_variance, self.weights, deviations, parts, bounds, exact
        )
        bound = None
        if any(model.bound is not None for model in models):
            bound = value_of(spread) + congruent(found.maps, bounds)
        return _Weights(deviation, spread, bound), found.maps, found.converged

    def judged(self, step, models, joint):
        """What the kernels of `steps.kept_dense` need to know of a fit's models, links and filters of rows."""
        if any(source.link is not None and source.link.models for source in step.sources):
            raise ValueError(PANEL)
        return {
            "means": [self.weights - models[k].deviation for k in step.parents],
            "parts": [[joint(a, b) for b in step.parents] for a in step.parents],
            "sources": judged_sources(step),
            "link_values": [() if source.link is None else source.link.values for source in step.sources],
            "keep_values": [() if source.keep is None else source.keep.values for source in step.sources],
        }

    def fit_one(self, samples, noise, ridge, model):
        return self.fitted([self.covariance_of_inputs], [(samples, noise**2, 1.0)], ridge, [model], [[model.spread]])


def _fit(here, place, step, models, joint):
    if step.judges:
        return _fit_kept(here, place, step, models, joint)
    samples = sum(source.samples for source in step.sources)
    used = [k for k, s in enumerate(step.sources) if value_of(s.samples) > 0 and value_of(s.weight) > 0]
    sources = [step.sources[k] for k in used]
    rows = sum(source.samples for source in sources)
    covariances = [here.shifts.get((place, k), here.covariance_of_inputs) for k in used]
    read = [_linked(s, models[s.parent], here, c) for s, c in zip(sources, covariances, strict=True)]
    labels, gains = [model for model, _, _ in read], [gain for _, gain, _ in read]
    numbers = [(s.samples, s.noise**2 + level, s.weight) for s, (_, _, level) in zip(sources, read, strict=True)]
    parts = [
        [_scaled(joint(a.parent, b.parent), g, h) for b, h in zip(sources, gains, strict=True)]
        for a, g in zip(sources, gains, strict=True)
    ]
    moments, maps, converged = here.fitted(covariances, numbers, step.ridge * (samples / rows), labels, parts)
    maps = [m if g is None else m * g for m, g in zip(maps, gains, strict=True)]
    projections = dict(zip(used, maps, strict=True))
    return moments, tuple(projections.get(k, 0.0) for k in range(len(step.sources))), (converged,)


def _fit_kept(here, place, step, models, joint):
    """A fit of which some rows were kept for their labels or scores; all inputs are alike."""
    if np.isinf(value_of(step.ridge)):
        return _Weights(here.weights, None), (0.0,) * len(step.parents), (np.array(True),)
    covariance = here.shifts.get((place, 0), here.covariance_of_inputs)
    rows, noise, weights = ([getattr(x, name) for x in step.sources] for name in ("samples", "noise", "weight"))
    mean, spread, maps, converged = fit_kept_dense(
        covariance, rows, noise, weights, step.ridge, **here.judged(step, models, joint)
    )
    return _Weights(here.weights - mean, spread), maps, (converged,)


def _linked(source, model, here, covariance):
    """A label model behind a link: (g·w, g, ν), g None without link; see `steps.links`."""
    link = source.link
    if link is None:
        return model, None, 0.0
    if link.models:
        raise ValueError(PANEL)
    mean = here.weights - model.deviation
    square = energy(covariance, mean, model.spread, lambda: model.bounded)
    values = tuple(duals.stack([duals.asarray(value, float)]) for value in link.values)
    gain, level = (x[0] for x in gain_and_noise(link.form, values, duals.stack([square])))
    spread = None if model.spread is None else model.spread * (gain * gain)
    return (
        _Weights(here.weights - mean * gain, spread, None if model.bound is None else congruent([gain], [model.bound])),
        gain,
        level,
    )


def _scaled(covariance, *gains):
    for gain in gains:
        covariance = covariance if covariance is None or gain is None else covariance * gain
    return covariance


def _mixture(here, place, step, models, joint):
    missing = 1 - sum(step.coefficients)
    deviation = here.weights * missing
    for c, parent in zip(step.coefficients, step.models, strict=True):
        deviation = deviation + models[parent].deviation * c
    spread = combined(step.coefficients, [[joint(a, b) for b in step.models] for a in step.models])
    bound = congruent(step.coefficients, [models[parent].bounded for parent in step.models])
    return _Weights(deviation, spread, bound), tuple(step.coefficients), ()


def _surrogate(here, place, step, models, joint):
    (weights,) = step.given.arrays
    return _Weights(here.weights - weights, None), (), ()


def _chain(here, place, step, models, joint):
    generations, samples, noise, ridge = step.numbers
    model, projection, flags = models[step.start], 1.0, ()
    clean = isinstance(step, CleanChainStep)
    count = round(float(value_of(generations)))
    if clean and count:
        model, count = here.truth(), 1
    for _ in range(count):
        model, (learned,), converged = here.fit_one(samples, noise, ridge, model)
        projection = learned if np.ndim(value_of(projection)) == 0 else learned @ projection
        flags += (converged,)
    return model, (0.0 if clean and count else projection,), flags


def _accumulate(here, place, step, models, joint):
    """Round k adds the noise of its labels: (2) of `steps.repeated`."""
    rounds, samples, noise, penalty = step.numbers
    count, start = round(float(value_of(rounds))), models[step.start]
    if not count:
        return start, (1.0,), ()
    if isinstance(step, CleanAccumulateStep):
        rows = samples * count
        model, _, converged = here.fit_one(rows, noise, penalty / rows, here.truth())
        return model, (0.0,), (converged,)
    model, (learned,), converged = here.fit_one(samples, noise, penalty / samples, start)
    flags, nothing = (converged,), _Weights(here.weights, None)
    for k in range(2, count + 1):
        rows = samples * k
        fresh, _, converged = here.fit_one(rows, noise, penalty / rows, nothing)
        model, flags = (
            _Weights(model.deviation, model.spread + fresh.spread * (1 / k), model.bound),
            (*flags, converged),
        )
    return model, (learned,), flags


_MOVES = {
    FitStep: _fit,
    MixtureStep: _mixture,
    SurrogateStep: _surrogate,
    ChainStep: _chain,
    CleanChainStep: _chain,
    AccumulateStep: _accumulate,
    CleanAccumulateStep: _accumulate,
}
