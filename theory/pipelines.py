r"""Pipelines: who labelled what, and who was fitted on it.

A pipeline is plain data. `truth(spectrum)` is the target x·w0; a model *labels* fresh inputs, which makes a
`Source`; `fit` is a ridge fit on one or more sources and is again a model:

    >>> from modelcollapse.theory.spectra import isotropic
    >>> w0 = truth(isotropic(100))
    >>> teacher = fit(w0.label(400, noise=0.1))
    >>> student = fit(teacher.label(300), w0.label(100, noise=0.1), ridge=1e-2)

The ridge estimator on T rows is argmin_w (1/T) Σ_i weight_i (y_i − x_i·w)² + ridge ‖w‖². Instead of a ridge a fit may
have a spectral filter (`theory.filters`): training by gradient descent that is stopped; or it may be a ridge fit of
`features` random features of the inputs, a model of limited size.

**A model object is one random fit.** Labels drawn twice from the same object share its error; two equal fits
that were built separately are two independent fits. Comparison is nevertheless by content:

    >>> fit(w0.label(400)) == fit(w0.label(400))
    True
    >>> twin = fit(w0.label(400, noise=0.1))
    >>> 0.5 * teacher + 0.5 * teacher == 0.5 * teacher + 0.5 * twin     # one fit twice; the mean of two fits
    False
"""

import numbers
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory import domains
from modelcollapse.theory.filters import Filter
from modelcollapse.theory.leaves import Number, free_symbols, is_expression, key, leaf, show, substitute
from modelcollapse.theory.spectra import Spectrum

__all__ = ["Accumulate", "Chain", "Fit", "Mixture", "Model", "Source", "Truth", "accumulate", "chain", "fit", "truth"]


class Model:
    """A predictor in a pipeline: the truth, a mixture of models or something that was fitted.

    `kind` is what readers of a pipeline call it, `parents` are the models it was made from, `numbers` its own numbers
    as (name, leaf, domain).
    """

    __array_ufunc__ = None  # NumPy arrays leave multiplication to __rmul__
    __slots__ = ()

    spectrum: Spectrum

    @property
    def kind(self) -> str:
        return type(self).__name__.lower()

    @property
    def parents(self) -> "tuple[Model, ...]":
        raise NotImplementedError

    @property
    def numbers(self) -> tuple:
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

    def label(self, samples: Number, noise: Number = 0.0, *, weight: Number = 1.0, inputs: Any = None) -> "Source":
        """Fresh inputs with this model's labels: one source for `fit`.

        Parameters
        ----------
        samples : number, grid or expression
            How many inputs, T ≥ 0. Zero drops the source from a fit of several.
        noise : number, grid or expression
            Standard deviation σ ≥ 0 of the noise added to the labels.
        weight : number, grid or expression
            Weight of each row's squared error in the fit; weights are not normalised.
        inputs : None, array (..., atoms) or function of the eigenvalues
            Eigenvalues of this source's input covariance in the eigenbasis of the spectrum (covariate shift);
            None means the spectrum's own.
        """
        return Source(
            self,
            leaf("samples", samples, domains.SOURCE_SAMPLES),
            leaf("noise", noise, domains.NOISE),
            leaf("weight", weight, domains.WEIGHT),
            input_eigenvalues("inputs", inputs, self.spectrum),
        )

    def __mul__(self, coefficient):
        if isinstance(coefficient, Model):
            raise TypeError("two models cannot be multiplied; mix them as a * model_1 + b * model_2")
        return Mixture(self.spectrum, (self,), (leaf("coefficient", coefficient, domains.REAL),))

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
        _require_one_spectrum([self.spectrum, other.spectrum])
        left, right = _terms(self), _terms(other)
        return Mixture(self.spectrum, left[0] + right[0], left[1] + right[1])

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
                node.kind,
                tuple(place[id(p)] for p in node.parents),
                _shifts(node),
                *(key(value) for _, value, _ in node.numbers),
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


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Truth(Model):
    """The target x·w0."""

    spectrum: Spectrum

    @property
    def parents(self):
        return ()

    @property
    def numbers(self):
        return ()

    def _rebuilt(self, spectrum, parents, values):
        return Truth(spectrum)

    def __repr__(self):
        return f"truth({self.spectrum!r})"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Mixture(Model):
    """Σ_k coefficient_k · model_k: the ensemble, and by `.label` its mixed labels."""

    spectrum: Spectrum
    models: tuple[Model, ...]
    coefficients: tuple

    @property
    def parents(self):
        return self.models

    @property
    def numbers(self):
        return tuple(("coefficient", value, domains.REAL) for value in self.coefficients)

    def _rebuilt(self, spectrum, parents, values):
        return Mixture(spectrum, tuple(parents), tuple(values))

    def __repr__(self):
        terms = [f"{show(c)}*{_brief(m)}" for m, c in zip(self.models[:4], self.coefficients[:4], strict=True)]
        return " + ".join(terms) + (f" + ... ({len(self.models)} terms)" if len(self.models) > 4 else "")


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Source:
    """Fresh inputs labelled by a model. Equal by content, like models."""

    model: Model
    samples: Number
    noise: Number
    weight: Number
    inputs: Any = None

    def __eq__(self, other):
        if not isinstance(other, Source):
            return NotImplemented
        return self is other or _alone(self) == _alone(other)

    def __hash__(self):
        return hash((self.model, key(self.samples), key(self.noise), key(self.weight)))

    def __repr__(self):
        weight = "" if _is_one(self.weight) else f", weight={show(self.weight)}"
        shifted = "" if self.inputs is None else ", shifted inputs"
        return f"{show(self.samples)} rows by {_brief(self.model)}, noise={show(self.noise)}{weight}{shifted}"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Fit(Model):
    """One fit on fresh inputs from one or more sources: by a ridge, a filter, or a ridge over random features."""

    spectrum: Spectrum
    sources: tuple[Source, ...]
    ridge: Number | None
    filter: Filter | None = None
    features: Number | None = None

    @property
    def kind(self) -> str:
        if self.filter is not None:
            return self.filter.kind
        return "fit" if self.features is None else "features"

    @property
    def parents(self):
        return tuple(source.model for source in self.sources)

    @property
    def numbers(self):
        rows = []
        for source in self.sources:
            rows.append(("samples", source.samples, domains.SOURCE_SAMPLES))
            rows.append(("noise", source.noise, domains.NOISE))
            rows.append(("weight", source.weight, domains.WEIGHT))
        if self.filter is not None:
            return (*rows, *self.filter.numbers)
        features = () if self.features is None else (("features", self.features, domains.FEATURES),)
        return (*rows, ("ridge", self.ridge, domains.RIDGE), *features)

    def _rebuilt(self, spectrum, parents, values):
        own = values[3 * len(self.sources) :]
        triples = zip(*(iter(values[: 3 * len(self.sources)]),) * 3, strict=True)
        sources = tuple(
            Source(parent, samples, noise, weight, source.inputs)
            for parent, (samples, noise, weight), source in zip(parents, triples, self.sources, strict=True)
        )
        if self.filter is not None:
            return Fit(spectrum, sources, None, type(self.filter)(*own))
        return Fit(spectrum, sources, own[0], None, *own[1:])

    def __repr__(self):
        rows = [repr(source) for source in self.sources[:4]]
        more = f"; ... ({len(self.sources)} sources)" if len(self.sources) > 4 else ""
        trained = f"ridge={show(self.ridge)}" if self.filter is None else f"filter={self.filter!r}"
        features = "" if self.features is None else f", features={show(self.features)}"
        return f"fit({'; '.join(rows)}{more}; {trained}{features})"


class _Repeated(Model):
    """Several fits in a row from one start; `domains` names their numbers."""

    __slots__ = ()

    start: Model
    domains: ClassVar[dict[str, domains.Domain]]

    @property
    def parents(self):
        return (self.start,)

    @property
    def numbers(self):
        return tuple((name, getattr(self, name), domain) for name, domain in self.domains.items())

    def _rebuilt(self, spectrum, parents, values):
        kind: Any = type(self)
        return kind(spectrum, parents[0], *values)

    def __repr__(self):
        inside = ", ".join(f"{label}={show(value)}" for label, value, _ in self.numbers)
        return f"{self.kind}(start={_brief(self.start)}, {inside})"


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Chain(_Repeated):
    """n generations, each fitted on fresh inputs that the one before labelled."""

    spectrum: Spectrum
    start: Model
    generations: Number
    samples: Number
    noise: Number
    ridge: Number

    domains: ClassVar = {
        "generations": domains.GENERATIONS, "samples": domains.SAMPLES, "noise": domains.NOISE, "ridge": domains.RIDGE,
    }


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Accumulate(_Repeated):
    """k fits in all; each is trained on all data so far, its own round's rows labelled by the fit before."""

    spectrum: Spectrum
    start: Model
    rounds: Number
    samples: Number
    noise: Number
    penalty: Number

    domains: ClassVar = {
        "rounds": domains.ROUNDS, "samples": domains.SAMPLES, "noise": domains.NOISE, "penalty": domains.RIDGE,
    }


def _alone(source):
    return Fit(source.model.spectrum, (source,), 0)


def truth(spectrum: Spectrum) -> Truth:
    """The target x·w0 on a spectrum: the model without error.

    >>> from modelcollapse.theory.spectra import isotropic
    >>> truth(isotropic(100))
    truth(isotropic(dim=100, signal=1))
    """
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"spectrum is a {type(spectrum).__name__}; build one with isotropic, power_law or from_...")
    return Truth(spectrum)


def fit(*sources: Source, ridge: Number = 0.0, filter: Filter | None = None, features: Number | None = None) -> Fit:
    """A fit on sources that models labelled; `ridge` is λ of the mean squared error.

    Parameters
    ----------
    sources : Source
        Made with `model.label(samples, noise)`.
    ridge : number, grid or expression
        scikit-learn's alpha is ridge × rows. λ = 0 is least squares for T ≥ d and the minimum-norm interpolator for
        T < d; λ = inf is the null model.
    filter : GradientFlow, GradientDescent or IteratedRidge, instead of a ridge
        Training that is stopped. Several sources must then agree in weight and inputs.
    features : number m > 0, grid or expression, optional
        Fit ridge on m random features Fx of the inputs, F fresh with N(0, 1/m) entries; inf is all directions. Several
        sources must agree in weight and inputs.

    Raises ValueError if no source has rows and weight, if spectra differ, if a filter comes with a ridge or features,
    and if a filter or features meet sources of different inputs (at prediction: of different weights).

    >>> from modelcollapse.theory.filters import GradientFlow
    >>> from modelcollapse.theory.spectra import isotropic
    >>> source = truth(isotropic(100)).label(300, noise=0.1)
    >>> fit(source, ridge=0.01)
    fit(300 rows by truth, noise=0.1; ridge=0.01)
    >>> fit(source, filter=GradientFlow(time=5.0))
    fit(300 rows by truth, noise=0.1; filter=GradientFlow(time=5))
    >>> fit(source, filter=GradientFlow(time=5.0)) == fit(source, filter=GradientFlow(time=4.0))
    False
    """
    for source in sources:
        if not isinstance(source, Source):
            raise TypeError(f"a source is a {type(source).__name__}; make sources with model.label(samples, noise)")
    if not sources:
        raise ValueError("sources is empty; give at least one, made with model.label(samples, noise)")
    _require_one_spectrum([source.model.spectrum for source in sources])
    for name in ("samples", "weight"):
        values = [getattr(source, name) for source in sources]
        if not any(is_expression(value) or np.any(np.asarray(value, float)) for value in values):
            raise ValueError(f"{name} = 0 in every source; give at least one source a positive number")
    penalty = leaf("ridge", ridge, domains.RIDGE)
    spectrum = sources[0].model.spectrum
    if filter is not None and not isinstance(filter, Filter):
        raise TypeError(f"filter is a {type(filter).__name__}; give GradientFlow, GradientDescent or IteratedRidge")
    if filter is not None and (is_expression(penalty) or np.any(np.asarray(penalty, float)) or features is not None):
        other = f"ridge = {show(penalty)}" if features is None else f"features = {show(features)}"
        raise ValueError(f"filter = {filter!r} comes with {other}; give one or the other")
    if (filter is not None or features is not None) and len({_shift(source) for source in sources}) > 1:
        name = "filter" if features is None else "features"
        raise ValueError(f"{name} on sources of different inputs is not supported; give all the same, or use a ridge")
    if filter is not None:
        return Fit(spectrum, sources, None, filter)
    features = None if features is None else leaf("features", features, domains.FEATURES)
    return Fit(spectrum, sources, penalty, None, features)


def chain(start: Model, generations: Number, samples: Number, noise: Number, ridge: Number = 0.0) -> Chain:
    """n-fold fake data: `generations` successive fits, each on `samples` fresh inputs labelled by the one before.

    Zero generations is `start` itself. `noise` is the standard deviation of the noise on every generation's
    labels, `ridge` the λ of every generation's fit. `generations` may be an integer array, never a schedule: for
    different numbers per generation, loop over `fit`.

    >>> from modelcollapse.theory.spectra import isotropic
    >>> chain(truth(isotropic(100)), 5, samples=400, noise=0.1)
    chain(start=truth, generations=5, samples=400, noise=0.1, ridge=0)
    """
    _require_model("start", start)
    model = Chain(
        start.spectrum,
        start,
        leaf("generations", generations, domains.GENERATIONS),
        leaf("samples", samples, domains.SAMPLES),
        leaf("noise", noise, domains.NOISE),
        leaf("ridge", ridge, domains.RIDGE),
    )
    refuse_interpolating_chain(start.spectrum, model.ridge, model.generations)
    return model


def accumulate(start: Model, rounds: Number, samples: Number, noise: Number, penalty: Number = 0.0) -> Accumulate:
    """Keep all data: `rounds` fits in all, fit k on the rows of rounds 1..k, round k labelled by fit k − 1.

    The first round is labelled by `start`; zero rounds is `start` itself. `penalty` is the *unnormalised* ridge
    Λ = λ_k·N_k, the same in every round.

    >>> from modelcollapse.theory.spectra import isotropic
    >>> accumulate(truth(isotropic(100)), 5, samples=400, noise=0.1)
    accumulate(start=truth, rounds=5, samples=400, noise=0.1, penalty=0)
    """
    _require_model("start", start)
    return Accumulate(
        start.spectrum,
        start,
        leaf("rounds", rounds, domains.ROUNDS),
        leaf("samples", samples, domains.SAMPLES),
        leaf("noise", noise, domains.NOISE),
        leaf("penalty", penalty, domains.RIDGE),
    )


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


def refuse_interpolating_chain(spectrum, ridge, generations):
    """Raise ValueError for a least-squares generator on infinitely many directions."""
    if is_expression(ridge) or is_expression(generations):
        return
    least_squares = (np.asarray(ridge, float) == 0) & (np.asarray(generations, float) > 0)
    if np.any(least_squares) and _infinite(spectrum):
        raise ValueError(
            "ridge = 0.0 in a generator on a spectrum with dim = inf: least squares needs more samples than "
            "directions; give the generator a ridge > 0, or the spectrum a finite dim"
        )


def _infinite(spectrum):
    """Whether a spectrum has infinitely many directions: only power laws can."""
    dim = spectrum.dim if spectrum.kind[0] == "power_law" else 0
    return not is_expression(dim) and bool(np.any(np.isinf(dim)))


def input_eigenvalues(name, inputs, spectrum):
    """Check a covariate shift: None, a function of the eigenvalues, or an array with atoms last."""
    if inputs is None:
        return None
    if _infinite(spectrum):
        raise ValueError(f"{name} on a spectrum with dim = inf is not supported; give the spectrum a finite dim")
    if callable(inputs):
        if not spectrum.free:
            shifted_eigenvalues(name, inputs, spectrum.eigenvalues)
        return inputs
    array = leaf(name, inputs, domains.EIGENVALUE)
    if spectrum.free:
        raise ValueError(f"{name} is an array on a spectrum with free symbols; give a function of the eigenvalues")
    if not isinstance(array, np.ndarray) or array.shape[-1] != spectrum.eigenvalues.shape[-1]:
        found = np.shape(inputs)[-1] if np.ndim(inputs) else "a single number"
        raise ValueError(
            f"{name} has {found} on its last axis and the spectrum {spectrum.eigenvalues.shape[-1]} atoms; "
            "give one eigenvalue per atom, or a function of the eigenvalues"
        )
    return array


def shifted_eigenvalues(name, inputs, eigenvalues):
    """The eigenvalues of a shifted covariance on an array of eigenvalues."""
    if not callable(inputs):
        return inputs
    shifted = np.asarray(inputs(np.array(eigenvalues)), dtype=float)
    if shifted.shape != eigenvalues.shape:
        raise ValueError(
            f"{name} returned shape {shifted.shape} for eigenvalues of shape {eigenvalues.shape}; "
            "give a function that acts elementwise"
        )
    domains.EIGENVALUE.check(f"{name}(eigenvalues)", shifted)
    return shifted


def _replacements(mapping):
    checked = {}
    for symbol, new in dict(mapping).items():
        if not is_expression(symbol) or not symbol.is_Symbol:
            raise TypeError(f"{symbol!r} is not a SymPy symbol; name a number by a symbol of model.free")
        checked[symbol] = leaf(str(symbol), new, domains.Domain())
    return checked


def _require_model(name, model):
    if not isinstance(model, Model):
        raise TypeError(f"{name} is a {type(model).__name__}; give a model: truth, fit, chain, accumulate or a mixture")


def _require_one_spectrum(spectra):
    for other in spectra[1:]:
        if other is not spectra[0] and other != spectra[0]:
            raise ValueError(
                f"models of different spectra in one pipeline: {spectra[0]!r} and {other!r}; build them from one truth"
            )


def _shifts(node):
    if not isinstance(node, Fit):
        return ()
    return tuple(map(_shift, node.sources))


def _shift(source):
    return source.inputs if callable(source.inputs) or source.inputs is None else key(source.inputs)


def _is_one(value):
    return not isinstance(value, np.ndarray) and not is_expression(value) and value == 1


def _brief(model):
    names = {"truth": "truth", "mixture": "a mixture", "chain": "a chain", "accumulate": "an accumulation"}
    return names.get(model.kind, "a fit")
