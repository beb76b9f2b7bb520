"""Build pipelines: every argument is checked here, in one sentence that names it."""

from typing import Any

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import Number, is_expression, leaf, show
from modelcollapse.theory.numbers.schedules import Schedule
from modelcollapse.theory.pipelines.keeps import Margin
from modelcollapse.theory.pipelines.links import Logistic, Probit, Sign
from modelcollapse.theory.pipelines.model import Model, Source, require_model, require_one_spectrum
from modelcollapse.theory.pipelines.nodes import Accumulate, Chain, Fit, Scheduled, Truth
from modelcollapse.theory.pipelines.training import Training
from modelcollapse.theory.populations.population import Population
from modelcollapse.theory.populations.spectrum_inputs import infinitely_many

__all__ = ["accumulate", "chain", "fit", "refuse_interpolating_chain", "truth"]


def truth(spectrum: Population) -> Truth:
    """The target x·w0 on a spectrum or another population: the model without error.

    >>> from modelcollapse.theory.spectra import isotropic
    >>> truth(isotropic(100))
    truth(isotropic(dim=100, signal=1))
    """
    if not isinstance(spectrum, Population):
        raise TypeError(
            f"spectrum is a {type(spectrum).__name__}; build one with isotropic, power_law, from_..., rows or gaussian"
        )
    return Truth(spectrum)


def fit(*sources: Source, ridge: Number = 0.0, filter: Training | None = None, features: Number | None = None) -> Fit:
    """A fit on sources that models labelled; `ridge` is λ of the mean squared error.

    Parameters
    ----------
    sources : Source
        Made with `model.label(samples, noise)`.
    ridge : number, grid or expression
        scikit-learn's alpha is ridge × rows. λ = 0 is least squares for T ≥ d and the minimum-norm interpolator for
        T < d; λ = inf is the null model.
    filter : GradientFlow, GradientDescent, IteratedRidge, SelfDistillation or OnePassSGD, instead of a ridge
        Training that is stopped, a ridge fit that is refitted on its own predictions, or training that sees every row
        once. Several sources must then agree in weight and inputs.
    features : number m > 0, grid or expression, optional
        Fit ridge on m random features Fx of the inputs, F fresh with N(0, 1/m) entries; inf is all directions. Several
        sources must agree in weight and inputs.

    Raises ValueError if no source has rows and weight, if spectra differ, if a filter comes with a ridge or features,
    and if a filter or features meet sources of different inputs (at prediction: of different weights).

    >>> from modelcollapse.theory.pipelines.filters import GradientFlow
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
    require_one_spectrum([source.model.spectrum for source in sources])
    for name in ("samples", "weight"):
        values = [getattr(source, name) for source in sources]
        if not any(is_expression(x) or np.size(x) == 0 or np.any(np.asarray(x, float)) for x in values):
            raise ValueError(f"{name} = 0 in every source; give at least one source a positive number")
    penalty = leaf("ridge", ridge, domains.RIDGE)
    spectrum = sources[0].model.spectrum
    if filter is not None and not isinstance(filter, Training):
        raise TypeError(
            f"filter is a {type(filter).__name__}; give GradientFlow, GradientDescent, IteratedRidge, SelfDistillation "
            "or OnePassSGD"
        )
    if filter is not None and (is_expression(penalty) or np.any(np.asarray(penalty, float)) or features is not None):
        other = f"ridge = {show(penalty)}" if features is None else f"features = {show(features)}"
        raise ValueError(f"filter = {filter!r} comes with {other}; give one or the other")
    judged = any(source.keep is not None for source in sources)
    pooled = filter is not None or features is not None or judged
    if pooled and len({source.shift for source in sources}) > 1:
        name = "keep" if judged else "filter" if features is None else "features"
        other = "leave out keep" if judged else "use a ridge"
        raise ValueError(f"{name} on sources of different inputs is not supported; give all the same, or {other}")
    if judged and (filter is not None or features is not None):
        name = "filter" if features is None else "features"
        raise ValueError(f"{name} on sources with keep= is not derived; fit by a ridge, or give sources without keep")
    _refuse_unjudged_links(sources)
    if filter is not None:
        spectrum.require("filter", f"filter = {filter!r}")
        return Fit(spectrum, sources, None, filter)
    if features is not None:
        spectrum.require("features", f"features = {show(features)}")
    features = None if features is None else leaf("features", features, domains.FEATURES)
    return Fit(spectrum, sources, penalty, None, features)


def chain(
    start: Model,
    generations: Number,
    samples: Number,
    noise: Number,
    ridge: Number = 0.0,
    *,
    link: Any = None,
    keep: Any = None,
) -> Model:
    """n-fold fake data: `generations` successive fits, each on `samples` fresh inputs labelled by the one before.

    Zero generations is `start` itself. `noise` is the standard deviation of the noise on every generation's
    labels, `ridge` the λ of every generation's fit. An array is a grid, never a schedule: `samples=[200, 400]` are two
    chains, one of 200 rows in every generation and one of 400. Numbers that change from generation to generation are a
    `Schedule` with one entry for each; the chain is then that of so many calls of `fit`. So is one whose labels go
    through a `link` or whose rows are filtered by `keep`, both as for `Model.label`: `generations` is one number there.

    >>> from modelcollapse.theory.spectra import isotropic
    >>> chain(truth(isotropic(100)), 5, samples=400, noise=0.1)
    chain(start=truth, generations=5, samples=400, noise=0.1, ridge=0)
    >>> chain(truth(isotropic(100)), 2, samples=[200, 400], noise=0.1)
    a grid of pipelines: chain(start=truth, generations=2, samples=<2 grid>, noise=0.1, ridge=0)
    >>> w0 = truth(isotropic(100))
    >>> growing = chain(w0, 2, samples=Schedule([200, 400]), noise=0.1)        # 200 rows, then 400
    >>> growing == fit(fit(w0.label(200, noise=0.1)).label(400, noise=0.1))
    True
    >>> classes = chain(w0, 2, samples=400, noise=0, link="sign")
    >>> classes == fit(fit(w0.label(400, link="sign")).label(400, link="sign"))
    True

    Raises ValueError for a schedule that has not one entry for each generation, TypeError where `generations` is not
    one number beside a schedule, a link or a filter.
    """
    require_model("start", start)
    if link is not None or keep is not None or any(isinstance(value, Schedule) for value in (samples, noise, ridge)):
        given = {"samples": samples, "noise": noise, "ridge": ridge}
        return _scheduled(start, generations, given, {"link": link, "keep": keep})
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


def _scheduled(start, generations, given, labels):
    count = leaf("generations", generations, domains.GENERATIONS)
    if is_expression(count) or np.ndim(count):
        raise TypeError(
            f"generations = {show(count)} with a schedule, a link or keep=; give one number, and loop over several"
        )
    columns = {}
    for name, value in given.items():
        if isinstance(value, Schedule) and len(value) != count:
            raise ValueError(
                f"{name} has length {len(value)}, generations = {count}; give one entry for each generation"
            )
        entries = value if isinstance(value, Schedule) else [value] * int(count)
        domain = Chain.domains[name]
        columns[name] = [
            leaf(f"{name}[{k}]" if entries is value else name, entry, domain) for k, entry in enumerate(entries)
        ]
    model = start
    for samples, noise, ridge in zip(*columns.values(), strict=True):
        refuse_interpolating_chain(start.spectrum, ridge, 1)
        model = fit(model.label(samples, noise, **labels), ridge=ridge)
    return model if model is start else Scheduled(start.spectrum, model.sources, model.ridge, generations=int(count))


def accumulate(
    start: Model, rounds: Number, samples: Number, noise: Number, penalty: Number = 0.0, *, link: Any = None
) -> Accumulate:
    """Keep all data: `rounds` fits in all, fit k on the rows of rounds 1..k, round k labelled by fit k − 1.

    The first round is labelled by `start`; zero rounds is `start` itself. `penalty` is the *unnormalised* ridge
    Λ = λ_k·N_k, the same in every round. Arrays are grids, as in `chain`. Labels are scores: a `link` is refused, as
    rows that are kept with labels of models that saw them have no formula; the sentence shows the loop that has one.

    >>> from modelcollapse.theory.spectra import isotropic
    >>> accumulate(truth(isotropic(100)), 5, samples=400, noise=0.1)
    accumulate(start=truth, rounds=5, samples=400, noise=0.1, penalty=0)
    """
    require_model("start", start)
    start.spectrum.require("accumulate", "accumulate")
    if link is not None:
        raise ValueError(
            f"link = {link!r} on rows kept is not derived; draw them afresh: models = [w0], then round by round "
            "models.append(mc.fit(*[model.label(samples, link=link) for model in models]))"
        )
    return Accumulate(
        start.spectrum,
        start,
        leaf("rounds", rounds, domains.ROUNDS),
        leaf("samples", samples, domains.SAMPLES),
        leaf("noise", noise, domains.NOISE),
        leaf("penalty", penalty, domains.RIDGE),
    )


def _refuse_unjudged_links(sources):
    for source in sources:
        known = source.link is None or isinstance(source.link, Sign | Probit | Logistic)
        offset = isinstance(source.link, Sign) and (is_expression(source.link.offset) or np.any(source.link.offset))
        if source.keep is not None and (not known or offset):
            raise ValueError(
                f"link = {source.link!r} with keep= is not derived; give mc.Sign without offset, mc.Probit, "
                "mc.Logistic or no link"
            )
        other = isinstance(source.keep, Margin) and source.keep.of is not source.model
        if other and (isinstance(source.link, Logistic) or getattr(source.link, "soft", False)):
            raise ValueError(
                f"link = {source.link!r} with the margin of another model is not derived; give mc.Sign, a hard "
                "mc.Probit or no link, or the margin of the model that labels"
            )


def refuse_interpolating_chain(spectrum, ridge, generations):
    """Raise ValueError for a least-squares generator on infinitely many directions."""
    if is_expression(ridge) or is_expression(generations):
        return
    least_squares = (np.asarray(ridge, float) == 0) & (np.asarray(generations, float) > 0)
    if np.any(least_squares) and infinitely_many(spectrum):
        raise ValueError(
            "ridge = 0.0 in a generator on a spectrum with dim = inf: least squares needs more samples than "
            "directions; give the generator a ridge > 0, or the spectrum a finite dim"
        )
