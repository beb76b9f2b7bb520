r"""Links: labels that are not the score of a model but a function of it, classes above all.

A model w scores an input by u = x·w. A *link* turns the score into a label y, by a function of u or by chance that u
steers:

    Sign(flips, offset)        sign(u + offset), flipped with probability `flips`
    Probit(scale, soft)        ±1 with P(+) = Φ(u/scale); soft: the mean of that, 2Φ(u/scale) − 1
    Logistic(scale, soft)      ±1 with P(+) = 1/(1 + e^{−u/scale}); soft: the mean of that, tanh(u/(2 scale))
    Clip(bound)                u, cut off at ±bound
    Quantised(edges, levels)   level i where edge i−1 < u ≤ edge i
    a function of the score    f(u)

With Gaussian inputs every label is a gain, a noise level and nothing else that a linear fit could learn: y = g u + r
with r uncorrelated with the inputs,

$$ g = \frac{E[y u]}{τ^2}, \qquad ν = E[y^2] - g^2 τ^2, \qquad τ^2 = E[u^2] . $$

A fit on such labels is a fit on the model g·w with noise of variance ν (exact in the proportional limit; derived here).
Fits have no intercept, so the mean of unbalanced labels is a part of ν. `labels` draws them.
"""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import Number, evaluate, free_symbols, key, leaf, show

__all__ = ["Clip", "Link", "Logistic", "OfScore", "Probit", "Quantised", "Sign", "link_of"]

FLIPS = Domain(low=0, high=0.5, remedy="give the share of flipped labels; above one half they are the other class")
OFFSET = Domain(low_open=True, high_open=True, remedy="give a finite number, in units of the score")
SCALE = Domain(low=0, low_open=True, high_open=True, remedy="give a positive temperature, or mc.Sign() for zero")
BOUND = Domain(low=0, low_open=True, high_open=True, remedy="give a positive bound, or no link for none")
HEAVY = 4.0  # from which on noise is said to grow with the score
LEVEL = Domain(low_open=True, high_open=True, remedy="give finite labels, one for each interval")


class Link:
    """How scores become labels: numbers with their domains, and static `options` that are no numbers."""

    __slots__ = ()
    domains: ClassVar[dict[str, Domain]] = {}
    models: Any = ()  # that label together with the first one

    def __post_init__(self):
        for name, domain in self.domains.items():
            object.__setattr__(self, name, leaf(name, getattr(self, name), domain))
        if hasattr(self, "soft") and not isinstance(self.soft, bool | np.bool_):  # type: ignore[attr-defined]
            raise TypeError(f"soft = {self.soft!r} is neither True nor False; give one of them")  # type: ignore[attr-defined]

    @property
    def numbers(self):
        """(name, leaf, domain) of every number, like those of a model."""
        return tuple((name, getattr(self, name), domain) for name, domain in self.domains.items())

    @property
    def options(self) -> tuple:
        """What is no number, hashable."""
        return (bool(self.soft),) if hasattr(self, "soft") else ()  # type: ignore[attr-defined]

    @property
    def form(self):
        """The class and its options: everything but the numbers."""
        return (type(self), *self.options)

    def over(self, models):
        """The same link of other models, where it has any."""
        return self

    @classmethod
    def filled(cls, options, numbers) -> Any:
        """The link of these options with other numbers."""
        return cls(*numbers, *options)

    def labels(self, generator, scores):
        """Labels of scores (n,), drawn with a NumPy generator.

        >>> Sign(flips=0.5).labels(np.random.default_rng(0), np.ones(4))
        array([-1.,  1.,  1.,  1.])
        """
        for name, value, _ in self.numbers:
            if free_symbols(value):
                raise TypeError(f"{name} = {value} has free symbols; give numbers")
        numbers = [float(np.asarray(evaluate(value, {}))) for _, value, _ in self.numbers]
        return self._labels(generator, np.asarray(scores, float), numbers)

    def _labels(self, generator, scores, numbers) -> Any:
        raise NotImplementedError

    def __eq__(self, other):
        return type(self) is type(other) and self._content() == other._content()

    def __hash__(self):
        return hash(self._content())

    def _content(self):
        return (self.form, *(key(value) for _, value, _ in self.numbers))

    def __repr__(self):
        shown = [f"{name}={show(value)}" for name, value, _ in self.numbers]
        return f"{type(self).__name__}({', '.join(shown + ['soft=True'] * (self.options == (True,)))})"


def _coins(generator, chance):
    return np.where(generator.random(np.shape(chance)) < chance, 1.0, -1.0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sign(Link):
    """The class sign(u + offset), flipped with probability `flips`: argmax, the best of all ±1 labels.

    >>> Sign(flips=0.7)
    Traceback (most recent call last):
        ...
    ValueError: flips = 0.7 is outside [0, 0.5]; give the share of flipped labels; above one half they are the other \
class
    """

    flips: Number = 0.0
    offset: Number = 0.0

    domains: ClassVar = {"flips": FLIPS, "offset": OFFSET}

    def _labels(self, generator, scores, numbers):
        flips, offset = numbers
        labels = np.where(scores + offset >= 0, 1.0, -1.0)
        return labels * _coins(generator, np.full(scores.shape, 1 - flips)) if flips else labels


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Probit(Link):
    """±1 with P(+) = Φ(u/scale); soft: the mean of such labels, 2Φ(u/scale) − 1. `scale` is a temperature.

    >>> Probit(0.5, soft=True)
    Probit(scale=0.5, soft=True)
    """

    scale: Number
    soft: bool = False

    domains: ClassVar = {"scale": SCALE}

    def _labels(self, generator, scores, numbers):
        from scipy.special import ndtr

        chance = ndtr(scores / numbers[0])
        return 2 * chance - 1 if self.soft else _coins(generator, chance)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Logistic(Link):
    """±1 with P(+) = 1/(1 + exp(−u/scale)); soft: the mean of such labels, tanh(u/(2 scale)).

    >>> import modelcollapse as mc
    >>> w0, links = mc.truth(mc.isotropic(100)), [Logistic(1.0), Logistic(1.0, soft=True)]
    >>> [round(float(mc.predict(mc.fit(w0.label(400, link=link), ridge=0.1)).error_rate), 3) for link in links]
    [0.282, 0.03]
    """

    scale: Number
    soft: bool = False

    domains: ClassVar = {"scale": SCALE}

    def _labels(self, generator, scores, numbers):
        mean = np.tanh(scores / (2 * numbers[0]))
        return mean if self.soft else _coins(generator, (1 + mean) / 2)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Clip(Link):
    """The score itself, cut off at ±bound.

    >>> Clip(1.5).labels(None, [-2.0, 0.5])
    array([-1.5,  0.5])
    """

    bound: Number

    domains: ClassVar = {"bound": BOUND}

    def _labels(self, generator, scores, numbers):
        return np.clip(scores, -numbers[0], numbers[0])


class Quantised(Link):
    """Label levels[i] where edges[i − 1] < u ≤ edges[i]: ratings, rounded scores, more than two ordered classes.

    edges : increasing finite numbers; levels : one more, numbers or expressions

    >>> Quantised([0.0], [-1, 1])
    Quantised(1 edges)
    >>> Quantised([1, 0], [-1, 0, 1])
    Traceback (most recent call last):
        ...
    ValueError: edges = [1.0, 0.0] do not increase; give edges in increasing order
    """

    __slots__ = ("edges", "levels")

    def __init__(self, edges, levels):
        given = leaf("edges", np.atleast_1d(np.asarray(edges)), OFFSET)
        if given.ndim != 1 or not given.size:
            raise ValueError(f"edges has shape {given.shape}; give a list of at least one number")
        if np.any(np.diff(given) <= 0):
            raise ValueError(f"edges = {given.tolist()} do not increase; give edges in increasing order")
        levels = tuple(leaf(f"levels[{i}]", level, LEVEL) for i, level in enumerate(levels))
        if len(levels) != given.size + 1:
            raise ValueError(f"levels has {len(levels)} entries for {given.size} edges; give one more than edges")
        object.__setattr__(self, "edges", tuple(given.tolist()))
        object.__setattr__(self, "levels", levels)

    def __setattr__(self, name, value):
        raise AttributeError(f"{name} of a link is fixed; make another link")

    def __reduce__(self):
        return Quantised, (self.edges, self.levels)

    @property
    def numbers(self):
        return tuple((f"levels[{i}]", level, LEVEL) for i, level in enumerate(self.levels))

    @property
    def options(self):
        return (self.edges,)

    @classmethod
    def filled(cls, options, numbers):
        (edges,) = options
        return Quantised(edges, numbers)

    def _labels(self, generator, scores, numbers):
        return np.array(numbers)[np.searchsorted(self.edges, scores)]

    def __repr__(self):
        return f"Quantised({len(self.edges)} edges)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OfScore(Link):
    """A function of the score, acting elementwise on arrays; its gain and noise level are found by quadrature.

    >>> OfScore(np.tanh).labels(None, [0.0])
    array([0.])
    """

    function: Any

    @property
    def options(self):
        return (self.function,)

    def _labels(self, generator, scores, numbers):
        labels = np.asarray(self.function(scores), float)
        if labels.shape != scores.shape:
            raise ValueError(f"link returned shape {labels.shape} for {scores.shape} scores; act elementwise")
        if not np.isfinite(labels).all():
            raise ValueError("link returned numbers that are not finite; give a function that is finite everywhere")
        return labels

    def __repr__(self):
        return getattr(self.function, "__name__", "a function")


def warn_if_heavy(link, spectrum):
    """Warn of a function of the score whose noise grows with the score: what is then left out, relative to what is not.

    The noise r of a label is uncorrelated with the inputs but may depend on the score. In a fit on T rows it moves the
    model along the labeller by E[r²z²] − ν more than noise of variance ν does, of 1/df_2 of its whole variance.

    >>> import warnings
    >>> from modelcollapse.theory.spectra import isotropic
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_if_heavy(OfScore(lambda u: u**3), isotropic(100))
    >>> str(caught[0].message)[:75]
    'link = <lambda> has noise that grows with the score: of the variance that a'
    """
    if not isinstance(link, OfScore) or spectrum.free:
        return
    z = np.linspace(-10, 10, 4001)
    weight = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for deviation in np.unique(np.sqrt(spectrum.label_variance)):
        labels = link.labels(None, deviation * z)
        rest = (labels - (weight @ (labels * z)) * z) ** 2
        noise, along = weight @ rest, weight @ (rest * z * z)
        if along > (1 + HEAVY) * noise > 0 and noise > 1e-12 * weight @ labels**2:
            warnings.warn(
                f"link = {link!r} has noise that grows with the score: of the variance that a fit has by it, about "
                f"{along / noise - 1:.2g}/df_2 is left out, along the labeller; use it with many degrees of freedom, "
                "or clip the labels",
                stacklevel=3,
            )
            return


def link_of(link) -> Link | None:
    """A link from what `label` accepts; TypeError for anything else.

    >>> link_of("sign") == Sign()
    True
    >>> link_of(Sign)
    Traceback (most recent call last):
        ...
    TypeError: link = Sign is a class; give an instance, as in mc.Sign(...)
    """
    if link is None or isinstance(link, Link):
        return link
    if isinstance(link, str) and link == "sign":
        return Sign()
    if isinstance(link, type):
        raise TypeError(f"link = {link.__name__} is a class; give an instance, as in mc.{link.__name__}(...)")
    if not callable(link):
        raise TypeError(
            f"link = {link!r} is a {type(link).__name__}; give 'sign', mc.Sign, Probit, Logistic, Clip, Quantised or a "
            "function of the score"
        )
    OfScore(link).labels(None, np.array([-1.0, 0.0, 0.5]))
    return OfScore(link)
