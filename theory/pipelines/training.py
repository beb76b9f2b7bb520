"""How a fit is trained where it is no ridge fit: what spectral filters and SGD have in common."""

from typing import ClassVar

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import key, leaf, show
from modelcollapse.theory.pipelines.steps import FitStep, Trained

__all__ = ["Training"]


class Training:
    """A rule of training: its numbers with their domains, and the step that readers of a pipeline see."""

    __slots__ = ()
    kind: ClassVar[str] = ""
    domains: ClassVar[dict[str, Domain]] = {}
    record: ClassVar[type[FitStep]] = FitStep

    def __post_init__(self):
        for name, domain in self.domains.items():
            object.__setattr__(self, name, leaf(name, getattr(self, name), domain))

    @property
    def numbers(self):
        """(name, leaf, domain) of every number, like those of a model."""
        return tuple((name, getattr(self, name), domain) for name, domain in self.domains.items())

    def recorded(self, sources, numbers):
        """The step of a fit on these sources, with the rule's own numbers."""
        return self.record(sources, filter=Trained(type(self), tuple(numbers)))

    def __eq__(self, other):
        return type(self) is type(other) and self._content() == other._content()

    def __hash__(self):
        return hash(self._content())

    def _content(self):
        return (self.kind, *(key(value) for _, value, _ in self.numbers))

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={show(value)}' for name, value, _ in self.numbers)})"
