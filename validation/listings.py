"""A pipeline as the few lines of code that build it.

>>> import modelcollapse as mc
>>> w0 = mc.truth(mc.isotropic(9))
>>> print(listing(mc.fit(mc.chain(w0, 2, samples=5, noise=0.1).label(20), w0.label(7, weight=2), ridge=0.5)))
w0 = mc.truth(mc.isotropic(dim=9, signal=1))
m1 = mc.chain(w0, 2, samples=5, noise=0.1)
m2 = mc.fit(m1.label(20), w0.label(7, weight=2), ridge=0.5)
"""

import numpy as np

from modelcollapse.theory.pipelines import Accumulate, Chain, Fit, Mixture, Truth, ancestry
from modelcollapse.theory.pipelines.links import OfScore, Quantised
from modelcollapse.theory.pipelines.panels import Votes
from modelcollapse.theory.pipelines.surrogates import Surrogate
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["listing"]

_FEW = 12


def listing(model):
    """Python source of a pipeline, `mc` being modelcollapse."""
    names, lines = {}, []
    for node in ancestry(model):
        names[id(node)] = "w0" if isinstance(node, Truth) else f"m{len(names)}"
        lines.append(f"{names[id(node)]} = {_call(node, names)}")
    return "\n".join(lines)


def _call(node, names):
    if isinstance(node, Truth):
        return f"mc.truth({_spectrum(node.spectrum)})"
    if isinstance(node, Surrogate):
        return f"<{node!r}>"
    if isinstance(node, Mixture):
        terms = zip(node.coefficients, node.models, strict=True)
        return " + ".join(f"{_number(c)} * {names[id(model)]}" for c, model in terms)
    if isinstance(node, Fit):
        sources = [_source(source, names) for source in node.sources]
        trained = _option("ridge", node.ridge, 0) if node.filter is None else [f"filter=mc.{node.filter!r}"]
        features = [] if node.features is None else _option("features", node.features, None)
        return f"mc.fit({', '.join([*sources, *trained, *features])})"
    assert isinstance(node, Chain | Accumulate)
    chained = isinstance(node, Chain)
    kind, count, penalty = ("chain", "generations", "ridge") if chained else ("accumulate", "rounds", "penalty")
    given = [
        names[id(node.start)],
        _number(getattr(node, count)),
        f"samples={_number(node.samples)}",
        f"noise={_number(node.noise)}",
        *_option(penalty, getattr(node, penalty), 0),
    ]
    return f"mc.{kind}({', '.join(given)})"


def _source(source, names):
    given = [_number(source.samples), *_option("noise", source.noise, 0), *_option("weight", source.weight, 1)]
    if source.inputs is not None:
        given.append(f"inputs={getattr(source.inputs, '__name__', None) or _number(source.inputs)}")
    labeller = names[id(source.model)]
    if isinstance(source.link, Votes):
        labeller = f"mc.panel({', '.join(names[id(model)] for model in (source.model, *source.link.models))})"
        given += ["soft=True"] * source.link.soft
    elif source.link is not None:
        given.append(f"link={_link(source.link)}")
    if source.keep is not None:
        numbers = ", ".join(_number(value) for _, value, _ in source.keep.numbers)
        given.append(f"keep=mc.{type(source.keep).__name__}({names[id(source.keep.model)]}, {numbers})")
    return f"{labeller}.label({', '.join(given)})"


def _link(link):
    if isinstance(link, OfScore):
        return repr(link)
    numbers = [_number(value) for _, value, _ in link.numbers]
    if isinstance(link, Quantised):
        return f"mc.Quantised({list(link.edges)}, [{', '.join(numbers)}])"
    return f"mc.{type(link).__name__}({', '.join([*numbers, *map(str, link.options)])})"


def _option(name, value, default):
    plain = not isinstance(value, np.ndarray) and value == default
    return [] if plain else [f"{name}={_number(value)}"]


def _number(value):
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.size <= _FEW else f"<{'x'.join(map(str, value.shape))} array>"
    return repr(value) if isinstance(value, int | float) else str(value)


def _spectrum(spectrum):
    if not isinstance(spectrum, Spectrum):
        return f"<{spectrum!r}>"
    if spectrum.kind[0] != "arrays" or spectrum.eigenvalues.size > _FEW:
        return f"mc.{spectrum!r}"
    columns = (spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity)
    return f"mc.Spectrum({', '.join(str(column.tolist()) for column in columns)})"
