"""A pipeline as a simulation needs it: whole numbers, true eigenvalues, one grid point at a time.

The same plan that the prediction walks is read here; a step is one random model per trial, so labels that two fits
draw from one model share its error. Spectra are simulated through `Spectrum.expand`: quadrature atoms are never
drawn as features.
"""

import hashlib
import pickle
from typing import Any, NamedTuple

import numpy as np

from modelcollapse.theory.numbers.leaves import evaluate
from modelcollapse.theory.pipelines.filters import Filter
from modelcollapse.theory.pipelines.keeps import Keep
from modelcollapse.theory.pipelines.links import Link, OfScore
from modelcollapse.theory.pipelines.model import sources_of
from modelcollapse.theory.pipelines.reading import checked_values, leaf_values, read
from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    FitStep,
    MixtureStep,
    SgdStep,
    SurrogateStep,
    TruthStep,
)
from modelcollapse.theory.populations.spectrum import Spectrum
from modelcollapse.theory.populations.spectrum_inputs import input_eigenvalues, shifted_eigenvalues
from modelcollapse.validation.designs import Distribution, distribution_of

__all__ = ["SimulatedFit", "SimulatedPoint", "SimulatedRepeat", "SimulatedRows", "SimulatedSgd", "problems_of"]


class SimulatedRows(NamedTuple):
    """One source: the step that labels it, rows, label noise, weight, input eigenvalues (d,), link of its labels, the
    filter of its rows and the step whose model judges them, the steps of further models that vote."""

    parent: int
    rows: int
    noise: float
    weight: float
    inputs: np.ndarray
    link: Link | None = None
    keep: Keep | None = None
    judge: int | None = None
    voters: tuple = ()


class SimulatedFit(NamedTuple):
    """One fit, over random features if there are finitely many; `penalty` is Λ = λT.

    A filter's Λ is that of a ridge of its strength, 1/t for a flow of time t.
    """

    parents: tuple
    sources: tuple
    penalty: float
    filter: Filter | None = None
    total: float = 0  # rows, those of sources without weight included
    features: float = np.inf
    keep = False
    generations = 1

    @property
    def rows(self):
        return sum(source.rows for source in self.sources)


class SimulatedSgd(NamedTuple):
    """One pass of SGD from zero, `batch` rows a step, each from a source by its share of the rows."""

    parents: tuple
    sources: tuple
    step: float
    batch: int

    @property
    def rows(self):
        return sum(source.rows for source in self.sources)


class SimulatedRepeat(NamedTuple):
    """`generations` fits one after the other, `keep`: each on all data so far."""

    parents: tuple
    source: SimulatedRows
    generations: int
    penalty: float
    keep: bool
    filter = None
    features = np.inf

    @property
    def sources(self):
        return (self.source,)

    @property
    def rows(self):
        return self.source.rows


class SimulatedSurrogate(NamedTuple):
    """Weights ratio · w0 + spread · ξ, ξ standard normal in every trial: both (d,)."""

    ratio: np.ndarray
    spread: np.ndarray
    parents: tuple = ()


class SimulatedPoint(NamedTuple):
    """One grid point: eigenvalues and w0 in their basis (d,), test eigenvalues (d,), the law of inputs, the steps."""

    eigenvalues: np.ndarray
    truth: np.ndarray
    tested: np.ndarray
    distribution: Distribution
    steps: tuple

    @property
    def null_error(self):
        """The error of the model that is zero."""
        return np.sum(self.tested * self.truth**2)

    def digest(self):
        """A short text that differs for different problems."""
        law = (self.distribution.name, self.distribution.df, self.distribution.rows)
        steps = [_comparable(step) for step in self.steps]
        return hashlib.blake2b(pickle.dumps((self[:3], law, steps), 4), digest_size=8).hexdigest()


def _comparable(step):
    """A step that pickles: functions of the score by their values."""
    if not isinstance(step, SimulatedFit | SimulatedSgd):
        return step
    grid = np.linspace(-8, 8, 1001)
    sources = [
        source._replace(link=source.link.labels(None, grid)) if isinstance(source.link, OfScore) else source  # type: ignore[arg-type]
        for source in step.sources
    ]
    return step._replace(sources=sources)


def problems_of(model, values=None, inputs=None, distribution="gaussian", df=None):
    """The grid's shape and one Problem per grid point, in C order.

    Raises TypeError if a symbol stays free, ValueError for samples that are not whole, for spectra that cannot be
    expanded and for numbers outside their domain.
    """
    reading = read(model)
    values = checked_values(model, values)
    numbers = leaf_values(reading.leaves, values)
    for (name, _, _), number in zip(reading.leaves, numbers, strict=True):
        if name in ("samples", "features", "batch"):
            _require_whole(name, number)
    if not isinstance(model.spectrum, Spectrum):
        if distribution != "gaussian":
            raise ValueError(
                f"distribution = {distribution!r} on a population of {model.spectrum.noun}, which is drawn as it is; "
                "leave it out"
            )
        from modelcollapse.validation.dense_problems import dense_problems_of

        return dense_problems_of(model, values, inputs)
    spectrum = model.spectrum.subs(values) if model.spectrum.free else model.spectrum
    leaves = [evaluate(value, {}) for value in spectrum.leaves]
    atoms_last = spectrum.kind[0] == "arrays"
    inputs = input_eigenvalues("inputs", inputs, model.spectrum)
    given = [source.inputs for node in reading.nodes for source in sources_of(node)] + [inputs]
    atoms = [value if atoms_last else np.asarray(value)[..., None] for value in leaves]
    shape = reading.grid_shape(numbers, *atoms, *(x for x in given if isinstance(x, np.ndarray)))

    problems, expanded = [], {}
    for point in np.ndindex(*shape):
        here = [_at(value, point, shape) for value in numbers]
        key = tuple(_at(value, point, shape, atoms_last).tobytes() for value in leaves)
        if key not in expanded:
            here_leaves = (_at(value, point, shape, atoms_last)[()] for value in leaves)
            expanded[key] = _Directions(spectrum.replace_leaves(here_leaves) if shape else spectrum)
        directions = expanded[key]
        law = distribution_of(distribution, df, len(directions.eigenvalues))
        tested = directions.mapped(_at(inputs, point, shape, True) if isinstance(inputs, np.ndarray) else inputs)
        steps = tuple(
            _SIMULATED[type(step)](node, step, directions, point, shape)
            for node, step in zip(reading.nodes, reading.filled([float(number) for number in here]), strict=True)
        )
        problems.append(SimulatedPoint(directions.eigenvalues, directions.truth, tested, law, steps))
    return shape, problems


class _Directions:
    """The true directions of a spectrum at one grid point."""

    def __init__(self, spectrum):
        self.atoms = spectrum
        full = spectrum.expand()
        self.eigenvalues, self.truth = np.array(full.eigenvalues), np.sqrt(full.signal)

    def mapped(self, inputs):
        """Input eigenvalues per direction of None, a function, or an array with one entry per atom."""
        if inputs is None:
            return self.eigenvalues
        if callable(inputs):
            return shifted_eigenvalues("inputs", inputs, self.eigenvalues)
        return self.repeated(inputs)

    def repeated(self, values):
        """One value per atom on all directions that it stands for."""
        copies = self.atoms.multiplicity
        if np.all(copies == np.floor(copies)) and np.array_equal(
            np.repeat(self.atoms.eigenvalues, copies.astype(int)), self.eigenvalues
        ):
            return np.repeat(values, copies.astype(int))
        raise ValueError(
            "an array over atoms that stand for many different directions cannot be simulated; give a function of the "
            "eigenvalues as inputs, numbers to a surrogate"
        )


def _as_it_is(node, step, directions, point, shape):
    return step


def _surrogate(node, step, directions, point, shape):
    correlation, energies = step.given.arrays
    ratio: Any
    if callable(correlation):
        ratio = correlation(directions.eigenvalues)
    elif correlation is None:
        ratio = np.full(len(directions.truth), step.correlation)
    else:
        ratio = directions.repeated(correlation)
    if energies is None:
        share = directions.truth**2 / np.sum(directions.eigenvalues * directions.truth**2)
        return SimulatedSurrogate(ratio, np.sqrt(step.error * share))
    return SimulatedSurrogate(ratio, np.sqrt(directions.repeated(energies / directions.atoms.multiplicity)))


def _repeated(node, step, directions, point, shape):
    generations, samples, noise, ridge = step.numbers
    rows = SimulatedRows(step.start, int(samples), noise, 1.0, directions.eigenvalues)
    keep = isinstance(step, AccumulateStep)
    return SimulatedRepeat(step.parents, rows, int(generations), ridge if keep else ridge * samples, keep)


def _drawn(node, step, directions, point, shape):
    """The sources that have rows and weight, and the places of their models."""
    sources = []
    for rows, source in zip(step.sources, node.sources, strict=True):
        if rows.samples and rows.weight:
            shift = source.inputs
            shift = _at(shift, point, shape, True) if isinstance(shift, np.ndarray) else shift
            link = None if rows.link is None else source.link.filled(rows.link.form[1:], rows.link.values)
            keep = (None, None) if rows.keep is None else (rows.keep.keep(None, *rows.keep.values), rows.keep.model)
            voters = () if rows.link is None else rows.link.models
            link = link if link is None else link.over([None] * len(voters))
            numbers = int(rows.samples), rows.noise, rows.weight
            sources.append(SimulatedRows(rows.parent, *numbers, directions.mapped(shift), link, *keep, voters))
    if not sources:
        raise ValueError("samples = 0 in all sources of a fit; give at least one source rows and weight")
    parents = tuple(place for rows in sources for place in (rows.parent, rows.judge, *rows.voters) if place is not None)
    return tuple(sources), parents


def _fit(node, step, directions, point, shape):
    sources, parents = _drawn(node, step, directions, point, shape)
    total = sum(rows.samples for rows in step.sources)
    if step.filter is None:
        features = np.inf if step.features is None else step.features
        return SimulatedFit(parents, sources, step.ridge * total, features=features)
    trained = step.filter.filter(*step.filter.values)
    return SimulatedFit(parents, sources, trained.strength * total, trained, total)


def _sgd(node, step, directions, point, shape):
    sources, parents = _drawn(node, step, directions, point, shape)
    length, batch = step.filter.values
    drawn = SimulatedSgd(parents, sources, length, int(batch))
    if drawn.rows % drawn.batch:
        raise ValueError(
            f"samples = {drawn.rows} is no multiple of batch = {drawn.batch}; give one, a simulation takes whole steps"
        )
    return drawn


_SIMULATED = {
    TruthStep: _as_it_is,
    SurrogateStep: _surrogate,
    MixtureStep: _as_it_is,
    FitStep: _fit,
    SgdStep: _sgd,
    ChainStep: _repeated,
    AccumulateStep: _repeated,
}


def _at(value, point, shape, atoms_last=False):
    value = np.asarray(value, float)
    tail = value.shape[-1:] if atoms_last else ()
    return np.broadcast_to(value, shape + tail)[point]


def _require_whole(name, number):
    number = np.asarray(number, float)
    if not np.all(number == np.floor(number)):
        bad = float(number[number != np.floor(number)].flat[0])
        raise ValueError(f"{name} = {bad} is not whole; a simulation draws them, so give a whole number of {name}")
