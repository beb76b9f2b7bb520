"""A pipeline as a simulation needs it: whole numbers, true eigenvalues, one grid point at a time.

The same plan that the prediction walks is read here; a step is one random model per trial, so labels that two fits
draw from one model share its error. Spectra are simulated through `Spectrum.expand`: quadrature atoms are never
drawn as features.
"""

import hashlib
import pickle
from typing import NamedTuple

import numpy as np

from modelcollapse.theory import domains
from modelcollapse.theory.filters import Filter
from modelcollapse.theory.leaves import evaluate, is_expression, leaf
from modelcollapse.theory.pipelines import Model, input_eigenvalues, shifted_eigenvalues
from modelcollapse.theory.plans import leaf_values, plan
from modelcollapse.validation.designs import Distribution, distribution_of

__all__ = ["FitStep", "MixtureStep", "Problem", "RepeatStep", "SourceNumbers", "TruthStep", "problems_of"]


class SourceNumbers(NamedTuple):
    """One source: the step that labels it, rows, label noise, weight, input eigenvalues (d,)."""

    parent: int
    rows: int
    noise: float
    weight: float
    inputs: np.ndarray


class TruthStep(NamedTuple):
    """The truth."""

    parents: tuple = ()


class MixtureStep(NamedTuple):
    """Σ coefficients · models."""

    parents: tuple
    coefficients: tuple


class FitStep(NamedTuple):
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

    @property
    def rows(self):
        return sum(source.rows for source in self.sources)


class RepeatStep(NamedTuple):
    """`generations` fits one after the other, `keep`: each on all data so far."""

    parents: tuple
    source: SourceNumbers
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


class Problem(NamedTuple):
    """One grid point: eigenvalues and w0 in their basis (d,), test eigenvalues (d,), the law of inputs, the steps."""

    eigenvalues: np.ndarray
    truth: np.ndarray
    tested: np.ndarray
    distribution: Distribution
    steps: tuple

    def digest(self):
        """A short text that differs for different problems."""
        law = (self.distribution.name, self.distribution.df, self.distribution.rows)
        return hashlib.blake2b(pickle.dumps((self[:3], law, self.steps), 4), digest_size=8).hexdigest()


def problems_of(model, values=None, inputs=None, distribution="gaussian", df=None):
    """The grid's shape and one Problem per grid point, in C order.

    Raises TypeError if a symbol stays free, ValueError for samples that are not whole, for spectra that cannot be
    expanded and for numbers outside their domain.
    """
    if not isinstance(model, Model):
        kind = type(model).__name__
        raise TypeError(f"model is a {kind}; give a pipeline: truth, fit, chain, accumulate or a mixture")
    reading = plan(model)
    values = _checked_values(model, values)
    numbers = leaf_values(reading.leaves, values)
    for (name, _, _), number in zip(reading.leaves, numbers, strict=True):
        if name in ("samples", "features"):
            _require_whole(name, number)
    spectrum = model.spectrum.subs(values) if model.spectrum.free else model.spectrum
    leaves = [evaluate(value, {}) for value in spectrum.leaves]
    atoms_last = spectrum.kind[0] == "arrays"
    inputs = input_eigenvalues("inputs", inputs, model.spectrum)
    given = [source.inputs for node in reading.nodes for source in getattr(node, "sources", ())] + [inputs]
    shapes = [np.shape(number) for number in numbers]
    shapes += [np.shape(value)[: -1 if atoms_last else None] for value in leaves]
    shapes += [x.shape[:-1] for x in given if isinstance(x, np.ndarray)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"the grids {sorted({s for s in shapes if s})} do not broadcast together; "
            "add axes of length 1 as for NumPy arrays"
        ) from None

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
            _step(node, step, [float(here[slot]) for slot in step.slots], directions, point, shape)
            for node, step in zip(reading.nodes, reading.plan.steps, strict=True)
        )
        problems.append(Problem(directions.eigenvalues, directions.truth, tested, law, steps))
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
        copies = self.atoms.multiplicity
        if np.all(copies == np.floor(copies)) and np.array_equal(
            np.repeat(self.atoms.eigenvalues, copies.astype(int)), self.eigenvalues
        ):
            return np.repeat(inputs, copies.astype(int))
        raise ValueError(
            "inputs is an array over atoms that stand for many different directions; for simulation give a function of "
            "the eigenvalues"
        )


def _step(node, step, numbers, directions, point, shape):
    parents = step.parents
    if step.kind == "truth":
        return TruthStep()
    if step.kind == "mixture":
        return MixtureStep(parents, tuple(numbers))
    if step.kind in ("chain", "accumulate"):
        generations, rows, noise, ridge = numbers
        source = SourceNumbers(parents[0], int(rows), noise, 1.0, directions.eigenvalues)
        keep = step.kind == "accumulate"
        return RepeatStep(parents, source, int(generations), ridge if keep else ridge * rows, keep)
    sources = []
    *columns, own = step.sources(numbers)
    for parent, source, rows, noise, weight in zip(parents, node.sources, *columns, strict=True):
        if rows and weight:
            shift = source.inputs
            shift = _at(shift, point, shape, True) if isinstance(shift, np.ndarray) else shift
            sources.append(SourceNumbers(parent, int(rows), noise, weight, directions.mapped(shift)))
    if not sources:
        raise ValueError("samples = 0 in all sources of a fit; give at least one source rows and weight")
    total, parents = sum(columns[0]), tuple(s.parent for s in sources)
    if node.filter is None:
        return FitStep(parents, tuple(sources), own[0] * total, features=own[1] if len(own) > 1 else np.inf)
    trained = type(node.filter)(*own)
    return FitStep(parents, tuple(sources), trained.strength * total, trained, total)


def _at(value, point, shape, atoms_last=False):
    value = np.asarray(value, float)
    tail = value.shape[-1:] if atoms_last else ()
    return np.broadcast_to(value, shape + tail)[point]


def _require_whole(name, number):
    number = np.asarray(number, float)
    if not np.all(number == np.floor(number)):
        bad = float(number[number != np.floor(number)].flat[0])
        raise ValueError(f"{name} = {bad} is not whole; a simulation draws them, so give a whole number of {name}")


def _checked_values(model, values):
    checked, free = {}, model.free
    for symbol, value in (values or {}).items():
        if not is_expression(symbol) or symbol not in free:
            raise TypeError(f"{symbol!r} is not a free symbol of the pipeline; its free symbols are {free}")
        checked[symbol] = leaf(str(symbol), value, domains.Domain())
    return checked
