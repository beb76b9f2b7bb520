"""The nodes of a pipeline: the truth, a fit, and fits repeated generation after generation."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import Number, key, show
from modelcollapse.theory.numbers.schedules import Schedule
from modelcollapse.theory.pipelines.model import Model, Source
from modelcollapse.theory.pipelines.steps import AccumulateStep, ChainStep, FitStep, TruthStep
from modelcollapse.theory.pipelines.training import Training

__all__ = ["Accumulate", "Chain", "Fit", "Scheduled", "Truth"]


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Truth(Model):
    """The target x·w0."""

    spectrum: Any

    label_name = "truth"

    @property
    def parents(self):
        return ()

    @property
    def numbers(self):
        return ()

    def step(self, parents, numbers):
        return TruthStep()

    def _rebuilt(self, spectrum, parents, values):
        return Truth(spectrum)

    def __repr__(self):
        return f"truth({self.spectrum!r})"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Fit(Model):
    """One fit on fresh inputs from one or more sources: by a ridge, a filter, or a ridge over random features."""

    spectrum: Any
    sources: tuple[Source, ...]
    ridge: Number | None
    filter: Training | None = None
    features: Number | None = None

    @property
    def parents(self):
        return tuple(parent for source in self.sources for parent in source.parents)

    @property
    def numbers(self):
        rows = [number for source in self.sources for number in source.numbers]
        if self.filter is not None:
            return (*rows, *self.filter.numbers)
        features = () if self.features is None else (("features", self.features, domains.FEATURES),)
        return (*rows, ("ridge", self.ridge, domains.RIDGE), *features)

    def step(self, parents, numbers):
        rows, own = self._divided(numbers)
        sources = tuple(
            source.step(models, row)
            for models, row, source in zip(self._grouped(parents), rows, self.sources, strict=True)
        )
        if self.filter is not None:
            return self.filter.recorded(sources, own)
        return FitStep(sources, *own)

    def _rebuilt(self, spectrum, parents, values):
        rows, own = self._divided(values)
        sources = tuple(
            source.rebuilt(models, row)
            for models, row, source in zip(self._grouped(parents), rows, self.sources, strict=True)
        )
        if self.filter is not None:
            return Fit(spectrum, sources, None, type(self.filter)(*own))
        return Fit(spectrum, sources, own[0], None, *own[1:])

    def _grouped(self, parents):
        """The parents of each source."""
        rest = iter(parents)
        return [[next(rest) for _ in source.parents] for source in self.sources]

    def _divided(self, values):
        """The numbers of each source, and those of the fit itself."""
        rows, end = [], 0
        for source in self.sources:
            rows.append(values[end : end + len(source.numbers)])
            end += len(source.numbers)
        return rows, values[end:]

    def __repr__(self):
        rows = [repr(source) for source in self.sources[:4]]
        more = f"; ... ({len(self.sources)} sources)" if len(self.sources) > 4 else ""
        trained = f"ridge={show(self.ridge)}" if self.filter is None else f"filter={self.filter!r}"
        features = "" if self.features is None else f", features={show(self.features)}"
        return f"fit({'; '.join(rows)}{more}; {trained}{features})"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Scheduled(Fit):
    """The last fit of a chain that is a loop over fits, as those by a schedule and through links are; only its repr
    knows that it is one of several."""

    generations: int = 1

    label_name = "a chain"

    def _rebuilt(self, spectrum, parents, values):
        last = Fit._rebuilt(self, spectrum, parents, values)
        return Scheduled(spectrum, last.sources, last.ridge, generations=self.generations)

    def __repr__(self):
        fits: list = [self]
        while len(fits) < self.generations:
            fits.append(fits[-1].sources[0].model)
        sources = [node.sources[0] for node in fits[::-1]]
        columns = {
            "samples": [source.samples for source in sources],
            "noise": [source.noise for source in sources],
            "ridge": [node.ridge for node in fits[::-1]],
        }
        shown = [f"start={sources[0].model.label_name}, generations={self.generations}"]
        for name, values in columns.items():
            shown.append(f"{name}={show(values[0]) if len(set(map(key, values))) == 1 else Schedule(values)}")
        for name in ("link", "keep"):
            value = getattr(sources[-1], name)
            shown += [] if value is None else [f"{name}={value!r}"]
        return f"chain({', '.join(shown)})"


class _Repeated(Model):
    """Several fits in a row from one start; `domains` names their numbers."""

    __slots__ = ()

    start: Model
    domains: ClassVar[dict[str, domains.Domain]]
    record: ClassVar[Any]

    @property
    def parents(self):
        return (self.start,)

    @property
    def numbers(self):
        return tuple((name, getattr(self, name), domain) for name, domain in self.domains.items())

    def step(self, parents, numbers):
        return self.record(*parents, *numbers)

    def _rebuilt(self, spectrum, parents, values):
        kind: Any = type(self)
        return kind(spectrum, parents[0], *values)

    def __repr__(self):
        inside = ", ".join(f"{label}={show(value)}" for label, value, _ in self.numbers)
        text = f"{type(self).__name__.lower()}(start={self.start.label_name}, {inside})"
        gridded = any(isinstance(value, np.ndarray) for _, value, _ in self.numbers)
        return f"a grid of pipelines: {text}" if gridded else text


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Chain(_Repeated):
    """n generations, each fitted on fresh inputs that the one before labelled."""

    spectrum: Any
    start: Model
    generations: Number
    samples: Number
    noise: Number
    ridge: Number

    label_name = "a chain"
    record = ChainStep
    domains: ClassVar = {
        "generations": domains.GENERATIONS,
        "samples": domains.SAMPLES,
        "noise": domains.NOISE,
        "ridge": domains.RIDGE,
    }


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Accumulate(_Repeated):
    """k fits in all; each is trained on all data so far, its own round's rows labelled by the fit before."""

    spectrum: Any
    start: Model
    rounds: Number
    samples: Number
    noise: Number
    penalty: Number

    label_name = "an accumulation"
    record = AccumulateStep
    domains: ClassVar = {
        "rounds": domains.ROUNDS,
        "samples": domains.SAMPLES,
        "noise": domains.NOISE,
        "penalty": domains.RIDGE,
    }
