"""What readers of a pipeline see: one typed record for each model, apart from its numbers.

A *step* names its parents by their place in the pipeline and its numbers by their place among the pipeline's leaves: a
plain structure that hashes, on which schedules and compiled code rest. `filled` puts numbers in their place: floats for
a simulation, lanes of arrays for a prediction, SymPy expressions for a closed form. Readers dispatch on the class, by
one table each.

>>> step = FitStep((Rows(0, samples=0, noise=1, weight=2),), ridge=3)
>>> step.parents, step.filled([100, 0.1, 1.0, 0.5]).ridge
((0,), 0.5)
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

__all__ = [
    "AccumulateStep",
    "ChainStep",
    "CleanAccumulateStep",
    "CleanChainStep",
    "FitStep",
    "Kept",
    "Linked",
    "MixtureStep",
    "Rows",
    "SgdStep",
    "Step",
    "SurrogateStep",
    "Trained",
    "TruthStep",
]


class Step:
    """A record whose numbers can be replaced all at once; `quantities` are the fields that hold one number each."""

    __slots__ = ()
    quantities: ClassVar[tuple[str, ...]] = ()

    @property
    def parents(self) -> tuple[int, ...]:
        """The places of the models that this one was made from."""
        return ()

    def mapped(self, function):
        """The same record with `function` of every number in its place."""
        return replace(self, **{name: function(getattr(self, name)) for name in self.quantities})  # type: ignore[type-var]

    def filled(self, numbers):
        """The record with numbers for their places."""
        return self.mapped(numbers.__getitem__)

    @property
    def numbers(self):
        """All numbers, or their places, in a list."""
        found = []
        self.mapped(found.append)
        return found


def _many(values, function):
    return tuple(function(value) for value in values)


@dataclass(frozen=True, slots=True)
class TruthStep(Step):
    """The truth x·w0."""


@dataclass(frozen=True, slots=True)
class SurrogateStep(Step):
    """A given model: mean ρ·truth and an error of variance `error`, or what is `given` by direction, atom or row."""

    correlation: Any
    error: Any
    given: Any

    quantities: ClassVar = ("correlation", "error")


@dataclass(frozen=True, slots=True)
class MixtureStep(Step):
    """Σ coefficients · models."""

    models: tuple[int, ...]
    coefficients: tuple

    @property
    def parents(self):
        return self.models

    def mapped(self, function):
        return MixtureStep(self.models, _many(self.coefficients, function))


@dataclass(frozen=True, slots=True)
class Linked(Step):
    """The form of a link (its class and options), its numbers in the order of its own, further models that label."""

    form: tuple
    values: tuple
    models: tuple[int, ...] = ()

    def mapped(self, function):
        return replace(self, values=_many(self.values, function))


@dataclass(frozen=True, slots=True)
class Kept(Step):
    """A filter of rows: its class, the place of the model that judges, and its numbers, in the order of its domains."""

    keep: type
    model: int
    values: tuple

    def mapped(self, function):
        return Kept(self.keep, self.model, _many(self.values, function))


@dataclass(frozen=True, slots=True)
class Rows(Step):
    """One source of a fit: who labels its rows, how many, with which noise and weight, on inputs that are shifted or
    come from a pool, through which link, and which of them are kept."""

    parent: int
    samples: Any
    noise: Any
    weight: Any
    shifted: bool = False
    pool: str | None = None
    link: Linked | None = None
    keep: Kept | None = None

    def mapped(self, function):
        samples, noise, weight = _many((self.samples, self.noise, self.weight), function)
        link = None if self.link is None else self.link.mapped(function)
        keep = None if self.keep is None else self.keep.mapped(function)
        return Rows(self.parent, samples, noise, weight, self.shifted, self.pool, link, keep)

    @property
    def labellers(self):
        """The places of all models that label these rows."""
        return (self.parent,) if self.link is None else (self.parent, *self.link.models)

    @property
    def judges(self):
        """The place of the model that decides which rows are kept, if there is one."""
        return () if self.keep is None else (self.keep.model,)

    def by(self, labellers, judges):
        """The same rows with other models in their places."""
        first, *others = labellers
        link = None if self.link is None else replace(self.link, models=tuple(others))
        keep = None if self.keep is None else replace(self.keep, model=judges[0])
        return replace(self, parent=first, link=link, keep=keep)


@dataclass(frozen=True, slots=True)
class Trained(Step):
    """The class of a rule of training and its numbers, in the order of its domains."""

    filter: type
    values: tuple

    def mapped(self, function):
        return Trained(self.filter, _many(self.values, function))


@dataclass(frozen=True, slots=True)
class FitStep(Step):
    """One fit: by a ridge, over random features if their number is given, or by a filter instead of the ridge.

    Its parents are, source by source, the models that label its rows and then the one that judges them.
    """

    sources: tuple[Rows, ...]
    ridge: Any = None
    features: Any = None
    filter: Trained | None = None

    @property
    def parents(self):
        return tuple(place for source in self.sources for place in (*source.labellers, *source.judges))

    @property
    def judges(self):
        """The places of the models that decide which rows are kept."""
        return tuple(place for source in self.sources for place in source.judges)

    @property
    def plain(self):
        """Whether this is a ridge fit on all directions."""
        return self.filter is None and self.features is None

    def mapped(self, function):
        return type(self)(
            tuple(source.mapped(function) for source in self.sources),
            None if self.ridge is None else function(self.ridge),
            None if self.features is None else function(self.features),
            None if self.filter is None else self.filter.mapped(function),
        )

    def by(self, labeller, judge):
        """The same fit with functions of the old places of its labellers and judges for these."""
        return replace(
            self,
            sources=tuple(
                source.by([labeller(x) for x in source.labellers], [judge(x) for x in source.judges])
                for source in self.sources
            ),
        )


@dataclass(frozen=True, slots=True)
class SgdStep(FitStep):
    """One pass of stochastic gradient descent over the rows: a fit by what `filter` says, which is no filter of S."""


@dataclass(frozen=True, slots=True)
class ChainStep(Step):
    """`generations` fits, each on fresh rows that the one before labelled."""

    start: int
    generations: Any
    samples: Any
    noise: Any
    ridge: Any

    quantities: ClassVar = ("generations", "samples", "noise", "ridge")

    @property
    def parents(self):
        return (self.start,)

    def clean(self, start):
        """The same with the last generation's labels written by the truth."""
        return CleanChainStep(start, self.generations, self.samples, self.noise, self.ridge)


@dataclass(frozen=True, slots=True)
class CleanChainStep(ChainStep):
    """The last generation of a chain on labels of the truth; `start` if there is none."""


@dataclass(frozen=True, slots=True)
class AccumulateStep(Step):
    """`rounds` fits in all, each on all rows so far, its own round's labelled by the fit before."""

    start: int
    rounds: Any
    samples: Any
    noise: Any
    penalty: Any

    quantities: ClassVar = ("rounds", "samples", "noise", "penalty")

    @property
    def parents(self):
        return (self.start,)

    def clean(self, start):
        """The same with all labels written by the truth."""
        return CleanAccumulateStep(start, self.rounds, self.samples, self.noise, self.penalty)


@dataclass(frozen=True, slots=True)
class CleanAccumulateStep(AccumulateStep):
    """The last accumulated fit on labels of the truth; `start` if there is no round."""
