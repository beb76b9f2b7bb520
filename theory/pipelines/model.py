"""Models, their algebra, and the sources that they label.

A model is a node of an immutable graph whose arrows point to the models it was made from. Models are compared by
content, and remember which of their ancestors are one and the same random fit.
"""

import numbers
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import Number, free_symbols, is_expression, key, leaf, show, substitute
from modelcollapse.theory.pipelines.keeps import Keep, share_kept
from modelcollapse.theory.pipelines.links import Link, link_of, warn_if_heavy
from modelcollapse.theory.pipelines.steps import Kept, Linked, MixtureStep, Rows

__all__ = ["Mixture", "Model", "Source", "ancestry", "require_model", "require_one_spectrum", "sources_of"]


class Model:
    """A predictor in a pipeline: the truth, a mixture of models or something that was fitted.

    A new kind of model is a class with four things: `parents`, the models it was made from; `numbers`, its own numbers
    as (name, leaf, domain); `step`, what readers of the pipeline see of it (`theory.pipelines.steps`); and `_rebuilt`.
    """

    __array_ufunc__ = None  # NumPy arrays leave multiplication to __rmul__
    __slots__ = ()

    spectrum: Any  # the population that the truth lives on

    label_name: ClassVar[str] = "a fit"  # what the repr of a later model calls this one

    @property
    def parents(self) -> "tuple[Model, ...]":
        raise NotImplementedError

    @property
    def numbers(self) -> tuple:
        raise NotImplementedError

    def step(self, parents, numbers) -> Any:
        """The step of a reading: places of the parents, and numbers or their places in the order of `numbers`."""
        raise NotImplementedError

    def _rebuilt(self, spectrum, parents, values):
        """The same kind of node over other parents and numbers."""
        raise NotImplementedError

    @property
    def free(self):
        """The SymPy symbols of the pipeline, sorted by name."""
        found = set(self.spectrum.free)
        for node in ancestry(self):
            for _, value, _ in node.numbers:
                found |= free_symbols(value)
        return tuple(sorted(found, key=str))

    def subs(self, replacements):
        """The pipeline with symbols replaced by numbers, expressions or arrays.

        >>> import sympy
        >>> from modelcollapse.theory.pipelines import fit, truth
        >>> from modelcollapse.theory.spectra import isotropic
        >>> T, lam = sympy.symbols("T lambda", positive=True)
        >>> model = fit(truth(isotropic(50)).label(T), ridge=lam)
        >>> model.free
        (T, lambda)
        >>> model.subs({T: 100}).free
        (lambda,)
        """
        replacements = _replacements(replacements)
        spectrum = self.spectrum.subs(replacements) if self.spectrum.free else self.spectrum
        new = {}
        for node in ancestry(self):
            values = [substitute(name, value, replacements, domain) for name, value, domain in node.numbers]
            new[id(node)] = node._rebuilt(spectrum, [new[id(parent)] for parent in node.parents], values)
        return new[id(self)]

    def label(
        self,
        samples: Number,
        noise: Number = 0.0,
        *,
        weight: Number = 1.0,
        inputs: Any = None,
        link: Any = None,
        keep: Any = None,
    ) -> "Source":
        """Fresh inputs with this model's labels: one source for `fit`.

        Parameters
        ----------
        samples : number, grid or expression
            How many inputs, T ≥ 0. Zero drops the source from a fit of several.
        noise : number, grid or expression
            Standard deviation σ ≥ 0 of the noise added to the labels.
        weight : number, grid or expression
            Weight of each row's squared error in the fit; weights are not normalised.
        inputs : optional
            Where the inputs come from, by default as the population says. On a spectrum: eigenvalues of this source's
            input covariance in its eigenbasis (covariate shift), an array (..., atoms) or a function of the
            eigenvalues; on a dense Gaussian population: a covariance (d, d); on rows: the name of a pool.
        link : None, "sign", Sign, Probit, Logistic, Clip, Quantised or function of the score
            How the score x·w becomes a label (`theory.pipelines.links`); None is the score itself. Noise is added to
            the label that the link gives.
        keep : None, Verified or Margin
            Which rows are kept (`theory.pipelines.keeps`); `samples` counts them before. `Source.kept` is the share.

        >>> from modelcollapse.theory.pipelines import truth
        >>> from modelcollapse.theory.spectra import isotropic
        >>> truth(isotropic(100)).label(300, link="sign")
        300 rows by truth, noise=0, link=Sign(flips=0, offset=0)
        """
        link = link_of(link)
        if link is not None:
            self.spectrum.require("link", f"link = {link!r}")
        warn_if_heavy(link, self.spectrum)
        return Source(
            self,
            leaf("samples", samples, domains.SOURCE_SAMPLES),
            leaf("noise", noise, domains.NOISE),
            leaf("weight", weight, domains.WEIGHT),
            self.spectrum.checked_inputs("inputs", inputs),
            link,
            _keep_of(keep, self.spectrum),
        )

    def __mul__(self, coefficient):
        if isinstance(coefficient, Model):
            raise TypeError("two models cannot be multiplied; mix them as a * model_1 + b * model_2")
        coefficient = leaf("coefficient", coefficient, domains.REAL)
        terms = tuple(zip(*_terms(self), strict=True))
        if any(np.ndim(c) for c in (coefficient, *(c for _, c in terms))):  # grids keep their shapes
            return Mixture(self.spectrum, (self,), (coefficient,))
        return _collected(self.spectrum, [(m, leaf("coefficient", coefficient * c, domains.REAL)) for m, c in terms])

    __rmul__ = __mul__

    def __truediv__(self, divisor):
        if isinstance(divisor, Model):
            return NotImplemented
        one = leaf("divisor", divisor, domains.REAL)
        if not is_expression(one) and not np.all(np.asarray(one, float)):
            raise ValueError("divisor = 0.0 is outside the nonzero numbers; give a number other than zero")
        return self * (1 / one)

    def __neg__(self):
        return self * -1

    def __add__(self, other):
        if not isinstance(other, Model):
            return _zero_or_not_implemented(self, other)
        require_one_spectrum([self.spectrum, other.spectrum])
        return _collected(self.spectrum, [pair for model in (self, other) for pair in zip(*_terms(model), strict=True)])

    __radd__ = __add__

    def __sub__(self, other):
        if not isinstance(other, Model):
            return _zero_or_not_implemented(self, other)
        return self + -other

    def __eq__(self, other):
        if not isinstance(other, Model):
            return NotImplemented
        return self is other or self._content() == other._content()

    def __hash__(self):
        return hash(self._content())

    def _content(self):
        """The graph as nested tuples of bounded depth: equal exactly for equal pipelines."""
        nodes = ancestry(self)
        place = {id(node): i for i, node in enumerate(nodes)}
        return self.spectrum, tuple(
            (
                node.step([place[id(p)] for p in node.parents], [key(value) for _, value, _ in node.numbers]),
                *(source.shift for source in sources_of(node)),
            )
            for node in nodes
        )

    def __copy__(self):
        return self

    def __reduce__(self):
        # the ancestors come first, each with all of its own already stored: no deep recursion
        values = tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return _restore, (type(self), tuple(ancestry(self)[:-1]), values)


def _restore(kind, ancestors, values):
    return kind(*values)


def _zero_or_not_implemented(model, other):
    """`sum(models)` starts from 0."""
    return model if isinstance(other, numbers.Real) and other == 0 else NotImplemented


def _terms(model):
    return (model.parents, model.coefficients) if isinstance(model, Mixture) else ((model,), (1,))


def _collected(spectrum, terms):
    """The mixture of pairs (model, coefficient), in which what a model has several times is added up."""
    found = {}
    for model, coefficient in terms:
        here = (id(model),) if np.ndim(coefficient) == 0 else (id(model), len(found))
        found[here] = (model, found[here][1] + coefficient if here in found else coefficient)
    models, coefficients = zip(*found.values(), strict=True)
    return Mixture(spectrum, models, coefficients)


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Mixture(Model):
    """Σ_k coefficient_k · model_k: the ensemble, and by `.label` its mixed labels."""

    spectrum: Any
    models: tuple[Model, ...]
    coefficients: tuple

    label_name = "a mixture"

    @property
    def parents(self):
        return self.models

    @property
    def numbers(self):
        return tuple(("coefficient", value, domains.REAL) for value in self.coefficients)

    def step(self, parents, numbers):
        return MixtureStep(tuple(parents), tuple(numbers))

    def _rebuilt(self, spectrum, parents, values):
        return Mixture(spectrum, tuple(parents), tuple(values))

    def __repr__(self):
        terms = [f"{show(c)}*{m.label_name}" for m, c in zip(self.models[:4], self.coefficients[:4], strict=True)]
        return " + ".join(terms) + (f" + ... ({len(self.models)} terms)" if len(self.models) > 4 else "")


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Source:
    """Fresh inputs labelled by a model. Equal by content, like models."""

    model: Model
    samples: Number
    noise: Number
    weight: Number
    inputs: Any = None
    link: Link | None = None
    keep: Keep | None = None

    domains: ClassVar = {"samples": domains.SOURCE_SAMPLES, "noise": domains.NOISE, "weight": domains.WEIGHT}

    @property
    def numbers(self):
        """(name, leaf, domain) of every number, like those of a model."""
        own = tuple((name, getattr(self, name), domain) for name, domain in self.domains.items())
        return own + tuple(number for part in (self.link, self.keep) if part is not None for number in part.numbers)

    @property
    def kept(self):
        """The expected share of the rows that `keep` leaves: np.float64 or an array of the grid's shape, 1 without."""
        return np.float64(1) if self.keep is None else share_kept(self)

    @property
    def parents(self):
        """The models that label these rows, then the one that judges them."""
        others = () if self.link is None else self.link.models
        return (self.model, *others, *(() if self.keep is None else (self.keep.model,)))

    def step(self, parents, numbers):
        """What readers see of this source: places of `parents`, numbers or their places in the order of `numbers`."""
        (samples, noise, weight), of_link, of_keep = self._divided(numbers)
        first, *others = parents
        keep = None if self.keep is None else Kept(type(self.keep), others.pop(), of_keep)
        link = None if self.link is None else Linked(self.link.form, of_link, tuple(others))
        return Rows(first, samples, noise, weight, self.inputs is not None, self.pool, link, keep)

    def rebuilt(self, parents, values):
        """The same source of other models, with other numbers."""
        (samples, noise, weight), of_link, of_keep = self._divided(values)
        first, *others = parents
        kept: Any = type(self.keep)
        keep = None if self.keep is None else kept(others.pop(), *of_keep)
        link = None if self.link is None else self.link.filled(self.link.options, of_link).over(others)
        return Source(first, samples, noise, weight, self.inputs, link, keep)

    def _divided(self, values):
        """Numbers of the source itself, of its link and of its filter of rows."""
        end = 3 + (0 if self.link is None else len(self.link.numbers))
        return tuple(values[:3]), tuple(values[3:end]), tuple(values[end:])

    @property
    def pool(self):
        """The name of the pool that rows are drawn from, None on other populations."""
        return self.inputs if isinstance(self.inputs, str) else None

    @property
    def shift(self):
        """What tells apart the inputs of sources: hashable."""
        return self.inputs if callable(self.inputs) or self.inputs is None else key(self.inputs)

    def __eq__(self, other):
        if not isinstance(other, Source):
            return NotImplemented
        return self is other or (self.model == other.model and self._content() == other._content())

    def __hash__(self):
        return hash((self.model, self._content()))

    def _content(self):
        form = None if self.link is None else (self.link.form, self.link.models)
        kept = None if self.keep is None else (type(self.keep), self.keep.model)
        return self.shift, form, kept, tuple(key(value) for _, value, _ in self.numbers)

    def __repr__(self):
        more = "" if _is_one(self.weight) else f", weight={show(self.weight)}"
        if self.pool is None:
            more += "" if self.inputs is None else ", shifted inputs"
        else:
            more += "" if self.pool == self.model.spectrum.default_pool else f", inputs={self.pool!r}"
        more += "" if self.link is None else f", link={self.link!r}"
        more += "" if self.keep is None else f", keep={self.keep!r}"
        return f"{show(self.samples)} rows by {self.model.label_name}, noise={show(self.noise)}{more}"


def _keep_of(keep, spectrum):
    if keep is None:
        return None
    if not isinstance(keep, Keep):
        shown = keep.__name__ if isinstance(keep, type) else repr(keep)
        raise TypeError(f"keep = {shown} is no filter of rows; give mc.Verified(by=model) or mc.Margin(of=model)")
    require_model(f"keep: {keep.model_name}", keep.model)
    spectrum.require("keep", f"keep = {keep!r}")
    require_one_spectrum([spectrum, keep.model.spectrum])
    return keep


def sources_of(node):
    """What a fit was fitted on; nothing else has sources."""
    return getattr(node, "sources", ())


def ancestry(model):
    """All models that a model depends on and itself, every one after its parents, in a fixed order."""
    order, seen, stack = [], set(), [(model, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in reversed(node.parents) if id(parent) not in seen)
    return order


def _replacements(mapping):
    checked = {}
    for symbol, new in dict(mapping).items():
        if not is_expression(symbol) or not symbol.is_Symbol:
            raise TypeError(f"{symbol!r} is not a SymPy symbol; name a number by a symbol of model.free")
        checked[symbol] = leaf(str(symbol), new, domains.Domain())
    return checked


def require_model(name, model):
    """Raise TypeError, in the same sentence everywhere, for what is no model."""
    if not isinstance(model, Model):
        raise TypeError(f"{name} is a {type(model).__name__}; give a model: truth, fit, chain, accumulate or a mixture")


def require_one_spectrum(spectra):
    """Raise ValueError for models of different spectra in one pipeline."""
    for other in spectra[1:]:
        if other is not spectra[0] and other != spectra[0]:
            raise ValueError(
                f"models of different spectra in one pipeline: {spectra[0]!r} and {other!r}; build them from one truth"
            )


def _is_one(value):
    return not isinstance(value, np.ndarray) and not is_expression(value) and value == 1
