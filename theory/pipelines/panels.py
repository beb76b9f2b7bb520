r"""Several teachers who label the same rows: votes.

    panel(teachers).label(samples, soft=True)      the share of teachers who say +, less that who say −: in [−1, 1]
    panel(teachers).label(samples)                 the class of the majority, of an odd number of teachers alike

Two more ways need no panel: the sign of the mean score, `((t1 + t2 + t3) / 3).label(samples, link="sign")`, and a
random teacher for each row, `fit(t1.label(samples / 3, link="sign"), t2.label(…), t3.label(…))`. All four teach the
same direction if the teachers are alike, and differ in their noise: shares of votes have the least, then the mean
score, the majority, and a random teacher.

With K teachers of score deviations τ_k and overlaps r_kl, z normal, the linear part of a vote is Σ_k g_k w_k,

$$ g_k = \sqrt{2/π}\,\frac{p}{τ_k}, \qquad \text{shares: } p = \frac1K, \quad
   E y^2 = \frac{1}{K^2} \sum_{kl} \frac2π \arcsin r_{kl}, $$

majority: p the chance that the other K − 1 are split evenly, E C(K−1, (K−1)/2) (P(1−P))^{(K−1)/2} with P = Φ(z√r),
and E y² = 1. The rest of the label is noise (derived here).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.leaves import Number
from modelcollapse.theory.pipelines.links import Link
from modelcollapse.theory.pipelines.model import Model, Source, require_model, require_one_spectrum

__all__ = ["Panel", "Votes", "panel"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Votes(Link):
    """The votes of the labelling model and `models`: shares if soft, else the majority's class."""

    models: tuple[Any, ...] = ()
    soft: bool = False

    @classmethod
    def filled(cls, options, numbers):
        return Votes((), *options)

    def over(self, models):
        """The same votes of other models."""
        return Votes(tuple(models), self.soft)

    def _content(self):
        return (self.form, self.models)

    def of_scores(self, scores):
        """Labels (n,) from the scores (K, n) of all teachers."""
        votes = np.where(np.asarray(scores) >= 0, 1.0, -1.0).mean(0)
        return votes if self.soft else np.sign(votes)

    def __repr__(self):
        return f"{'shares' if self.soft else 'majority'} of {len(self.models) + 1} votes"


class Panel:
    """Teachers who vote; made by `panel`."""

    __slots__ = ("teachers",)

    def __init__(self, teachers):
        self.teachers = tuple(teachers)

    def label(
        self,
        samples: Number,
        noise: Number = 0.0,
        *,
        weight: Number = 1.0,
        inputs: Any = None,
        soft: bool = False,
    ) -> Source:
        """Fresh inputs with the votes of the teachers: one source for `fit`; arguments as for `Model.label`.

        soft : bool
            True: shares of votes, in [−1, 1]. False: the majority's class; the teachers must then be odd in number and
            alike (equal fits, built separately).
        """
        if not soft and len(self.teachers) % 2 == 0:
            raise ValueError(f"{len(self.teachers)} teachers may split evenly; give an odd number, or soft=True")
        if not soft and any(teacher != self.teachers[0] for teacher in self.teachers):
            raise ValueError("a majority of teachers that differ is not derived; give teachers alike, or soft=True")
        link = Votes(self.teachers[1:], soft)
        return self.teachers[0].label(samples, noise, weight=weight, inputs=inputs, link=link)

    def __repr__(self):
        return f"panel of {len(self.teachers)} teachers"


def panel(*teachers: Model) -> Panel:
    """Several models that vote on the same rows.

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> teachers = [mc.fit(w0.label(300, link="sign")) for _ in range(3)]
    >>> sources = {
    ...     "shares": [mc.panel(*teachers).label(600, soft=True)],
    ...     "mean score": [(sum(teachers) / 3).label(600, link="sign")],
    ...     "majority": [mc.panel(*teachers).label(600)],
    ...     "random teacher": [teacher.label(200, link="sign") for teacher in teachers],
    ... }
    >>> for name, source in sources.items():
    ...     print(name, round(float(mc.predict(mc.fit(*source)).error_rate), 3))
    shares 0.122
    mean score 0.139
    majority 0.142
    random teacher 0.154
    """
    if len(teachers) < 2:
        raise ValueError(f"{len(teachers)} teachers are no panel; give two or more")
    for teacher in teachers:
        require_model("teacher", teacher)
    require_one_spectrum([teacher.spectrum for teacher in teachers])
    return Panel(teachers)
