r"""Filters of rows: a verifier that checks labels, a margin that selects inputs.

    Verified(by, right, wrong)     keeps a row whose label has the sign of the score of `by` with chance `right`, any
                                   other with chance `wrong`
    Margin(of, below, above)       keeps the rows whose score by `of` is, in units of its standard deviation, between
                                   `above` and `below` in absolute value

A perfect verifier does not make perfect labels: kept labels are right, but which inputs are kept depends on the labels,
so that what is learned points half way between the labeller and the verifier (`numerics.steps.kept`). Labels are judged
before `noise` is added.
"""

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import Number, evaluate, free_symbols, is_expression, key, leaf, show

__all__ = ["Keep", "Margin", "Verified", "share_kept"]

SHARE = Domain(low=0, high=1, remedy="give the chance that such a row is kept, between 0 and 1")
BELOW = Domain(low=0, low_open=True, remedy="give a positive number of standard deviations, inf for no limit")
ABOVE = Domain(low=0, high=8, remedy="give a number of standard deviations of which scores are left above")


class Keep:
    """Which rows of a source are kept: a model that judges, and numbers with their domains."""

    __slots__ = ()
    model_name: ClassVar[str] = ""
    domains: ClassVar[dict[str, Domain]] = {}

    def __post_init__(self):
        for name, domain in self.domains.items():
            object.__setattr__(self, name, leaf(name, getattr(self, name), domain))
        numbers = [value for _, value, _ in self.numbers]
        if not any(is_expression(value) for value in numbers):
            self.refuse_empty(numbers)

    @staticmethod
    def refuse_empty(numbers):
        """Raise ValueError for numbers with which nothing is kept."""
        raise NotImplementedError

    @property
    def model(self) -> Any:
        """The model that judges."""
        return getattr(self, self.model_name)

    @property
    def numbers(self):
        """(name, leaf, domain) of every number, like those of a model."""
        return tuple((name, getattr(self, name), domain) for name, domain in self.domains.items())

    def kept(self, generator, labels, scores):
        """Which of n rows are kept, drawn with a NumPy generator: bool (n,).

        labels : (n,); scores : (n,), of the model that judges, in units of their standard deviation
        """
        for name, value, _ in self.numbers:
            if free_symbols(value):
                raise TypeError(f"{name} = {value} has free symbols; give numbers")
        numbers = [float(np.asarray(evaluate(value, {}))) for _, value, _ in self.numbers]
        return self._kept(generator, np.asarray(labels, float), np.asarray(scores, float), numbers)

    def _kept(self, generator, labels, scores, numbers) -> Any:
        raise NotImplementedError

    def __eq__(self, other):
        return type(self) is type(other) and self.model == other.model and self.content == other.content

    def __hash__(self):
        return hash((self.model, self.content))

    @property
    def content(self):
        """The class and its numbers, without the model: hashable."""
        return (type(self), *(key(value) for _, value, _ in self.numbers))

    def __repr__(self):
        numbers = [f"{name}={show(value)}" for name, value, _ in self.numbers]
        return f"{type(self).__name__}({', '.join([f'{self.model_name}={self.model.label_name}', *numbers])})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verified(Keep):
    """Keep a row whose label agrees with the sign of `by`'s score with chance `right`, another with chance `wrong`.

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> labeller = mc.fit(w0.label(400, link="sign"))
    >>> source = labeller.label(800, link="sign", keep=mc.Verified(by=w0))
    >>> round(float(source.kept), 3), round(float(1 - mc.predict(labeller).error_rate), 3)     # what is right is kept
    (0.869, 0.87)
    """

    by: Any
    right: Number = 1.0
    wrong: Number = 0.0

    model_name = "by"
    domains: ClassVar = {"right": SHARE, "wrong": SHARE}

    @staticmethod
    def refuse_empty(numbers):
        right, wrong = (np.asarray(x, float) for x in numbers)
        if not np.all(right + wrong):
            raise ValueError("right = 0.0 and wrong = 0.0 keep nothing; give at least one of them a positive chance")

    def _kept(self, generator, labels, scores, numbers):
        right, wrong = numbers
        chance = np.where((labels >= 0) == (scores >= 0), right, wrong)
        return generator.random(len(chance)) < chance


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Margin(Keep):
    """Keep the rows whose score by `of` lies, in units of its standard deviation, between `above` and `below`.

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> labeller = mc.fit(w0.label(400, link="sign"))
    >>> sure = labeller.label(800, link="sign", keep=mc.Margin(of=labeller, above=1.0))
    >>> round(float(sure.kept), 4)                                                # both tails of a normal score
    0.3173
    """

    of: Any
    below: Number = np.inf
    above: Number = 0.0

    model_name = "of"
    domains: ClassVar = {"below": BELOW, "above": ABOVE}

    @staticmethod
    def refuse_empty(numbers):
        below, above = np.broadcast_arrays(*(np.asarray(x, float) for x in numbers))
        empty = below <= above
        if empty.any():
            bounds = f"below = {float(below[empty][0])!r} and above = {float(above[empty][0])!r}"
            raise ValueError(f"{bounds} leave no scores; give a below that is larger than above")

    def _kept(self, generator, labels, scores, numbers):
        below, above = numbers
        return (np.abs(scores) < below) & (np.abs(scores) > above)


def share_kept(source):
    """The expected share of rows that a source keeps: an array of the grid's shape.

    Asked of the numerics, which theory does not import for anything else.
    """
    return importlib.import_module("modelcollapse.numerics.questions.rows_kept").rows_kept(source)
