"""Hypothesis strategies for spectra, numbers and whole pipelines.

    from hypothesis import given
    from modelcollapse.validation import strategies

    @given(strategies.pipelines(max_fits=2))
    def test_my_formula(model): ...

Bounds are keywords, checked against the domain of the parameter; what is drawn can be simulated (finite dimension,
whole samples). Examples shrink towards isotropic inputs of one dimension, one sample, no noise, no ridge and the
truth as labeller. `modelcollapse.validation.assert_agrees` runs a formula over them.
"""

import functools

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.pipelines import Model, accumulate, chain, fit, truth
from modelcollapse.theory.pipelines.links import Clip, Logistic, Probit, Sign
from modelcollapse.theory.pipelines.sgd import OnePassSGD, largest_step
from modelcollapse.theory.populations.data_rows import rows
from modelcollapse.theory.spectra import Spectrum, isotropic, power_law

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("strategies need hypothesis; install it with: pip install 'modelcollapse[test]'") from error

__all__ = [
    "data_rows",
    "label_mixtures",
    "links",
    "noises",
    "pipelines",
    "power_laws",
    "ridges",
    "sample_sizes",
    "spectra",
]


def _once(function):
    """The function, its strategies made once for each arguments: a composite asks for the same ones in every draw."""
    cached = functools.lru_cache(maxsize=256)(function)

    @functools.wraps(function)
    def made(*arguments, **options):
        try:
            return cached(*arguments, **options)
        except TypeError:  # arrays have no hash
            return function(*arguments, **options)

    return made


def _bounds(domain, low, high):
    domain.check("the lower bound", low)
    domain.check("the upper bound", high)
    if low > high:
        raise ValueError(f"the lower bound {low} is above the upper bound {high}; give bounds in order")
    return low, high


@_once
def _numbers(domain, low, high, simple):
    """Floats of a domain: first the simple ones, which examples shrink to, then any of three digits from 1e-4 up."""
    low, high = _bounds(domain, low, high)
    inside = [float(x) for x in simple if low <= x <= high] or [float(low)]
    anything = st.floats(min(max(low, 1e-4), high), high)
    rounded = anything.map(lambda x: float(np.clip(float(f"{x:.3g}"), low, high)))
    return st.sampled_from(inside) | rounded


@_once
def ridges(*, min_value=0.0, max_value=10.0):
    """Ridge penalties, zero among them if the bounds allow it."""
    return _numbers(domains.RIDGE, min_value, max_value, (0, 1, 0.1, 0.01, 0.001))


@_once
def noises(*, min_value=0.0, max_value=2.0):
    """Standard deviations of label noise."""
    return _numbers(domains.NOISE, min_value, max_value, (0, 1, 0.1))


@_once
def links(*, soft=True, scores=True):
    """Links of labels: signs first, then classes drawn at a temperature, soft ones and clipped scores if allowed."""
    scale = _numbers(domains.Domain(0.05, 5), 0.05, 5, (1, 0.5))
    kinds = [
        st.just(Sign()),
        st.builds(Sign, _numbers(domains.Domain(0, 0.4), 0, 0.4, (0.1,))),
        st.builds(Probit, scale),
        st.builds(Logistic, scale),
    ]
    kinds += [st.builds(Probit, scale, st.just(True)), st.builds(Logistic, scale, st.just(True))] if soft else []
    return st.one_of(kinds + [st.builds(Clip, scale)] * scores)


@_once
def sample_sizes(*, min_value=1, max_value=64):
    """Whole numbers of samples."""
    return st.integers(*_bounds(domains.SAMPLES, min_value, max_value))


@_once
def power_laws(*, min_beta=1.1, max_beta=3.0, min_r=0.1, max_r=2.0, min_dim=1, max_dim=32):
    """Power laws of finite dimension."""
    return st.builds(
        power_law,
        _numbers(domains.CAPACITY, min_beta, max_beta, (2, 1.5)),
        _numbers(domains.SOURCE_EXPONENT, min_r, max_r, (1, 0.5)),
        st.integers(*_bounds(domains.POWER_LAW_DIMENSION, min_dim, max_dim)),
    )


@_once
def spectra(*, min_dim=1, max_dim=32):
    """Spectra of `min_dim` to `max_dim` directions: isotropic, power laws, two eigenvalues with multiplicities."""
    low, high = _bounds(domains.POWER_LAW_DIMENSION, min_dim, max_dim)
    kinds = [st.builds(isotropic, st.integers(low, high)), power_laws(min_dim=low, max_dim=high)]
    if high > 1:
        kinds.append(_two_level(max(low, 2), high))
    return st.one_of(kinds)


@st.composite
def _two_level(draw, low, high):
    dim = draw(st.integers(low, high))
    first = draw(st.integers(1, dim - 1))
    small = draw(st.sampled_from([0.1, 0.5, 0.01]))
    share = draw(st.sampled_from([0.5, 0.1, 0.9]))
    return Spectrum([1.0, small], [share, 1 - share], [first, dim - first])  # type: ignore[arg-type]


@st.composite
def data_rows(draw, *, min_rows=20, max_rows=60, max_features=6, method="rows"):
    """Small data sets as populations, by a kernel: inputs with long tails, targets of a smooth function and noise.

    >>> from hypothesis import find
    >>> find(data_rows(min_rows=20), lambda data: True)
    rows(20 rows, kernel=rbf, pools all: 20)
    """
    count, features = draw(st.integers(min_rows, max_rows)), draw(st.integers(1, max_features))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inputs = generator.standard_t(draw(st.sampled_from([30, 5])), (count, features))
    targets = np.sin(inputs[:, 0]) + draw(noises(max_value=1.0)) * generator.standard_normal(count)
    kernel, options = draw(
        st.sampled_from([("rbf", {"gamma": 0.3}), ("laplacian", {"gamma": 0.3}), ("polynomial", {}), ("linear", {})])
    )
    return rows(inputs, targets, kernel, method=method, **options)


@st.composite
def label_mixtures(draw, models, *, min_share=0.0, max_share=1.0):
    """share * first + (1 − share) * second of two models drawn from a strategy or a list of models."""
    low, high = _bounds(domains.Domain(0, 1, remedy="a share lies between 0 and 1"), min_share, max_share)
    models = st.sampled_from(list(models)) if not isinstance(models, st.SearchStrategy) else models
    share = draw(_numbers(domains.REAL, low, high, (0.5, 0.25, 0.75)))
    return share * draw(models) + (1 - share) * draw(models)


@st.composite
def pipelines(
    draw,
    spectrum=None,
    *,
    min_fits=1,
    max_fits=3,
    max_sources=2,
    max_generations=3,
    max_samples=64,
    min_ridge=0.0,
    max_noise=2.0,
    mixtures=True,
    shifts=True,
    linked=False,
    passes=False,
):
    """Pipelines of `min_fits` to `max_fits` steps, each a fit, a chain or accumulated data.

    Parameters
    ----------
    spectrum : Spectrum or strategy of them, optional
        default: `spectra()`
    max_sources, max_generations, max_samples, min_ridge, max_noise
        bounds of every fit
    mixtures, shifts, linked, passes : bool
        whether labels may be mixed, inputs shifted, and labels classes or clipped (`links`), whether a fit may be one
        pass of SGD
    """
    if not 1 <= min_fits <= max_fits:
        raise ValueError(f"min_fits = {min_fits}, max_fits = {max_fits}; give bounds with 1 <= min_fits <= max_fits")
    given = spectra() if spectrum is None else st.just(spectrum) if isinstance(spectrum, Spectrum) else spectrum
    sizes, noise = sample_sizes(max_value=max_samples), noises(max_value=max_noise)
    ridge = ridges(min_value=min_ridge)
    models: list[Model] = [truth(draw(given))]
    for _ in range(draw(st.integers(min_fits, max_fits))):
        kind = draw(st.sampled_from(["fit", "chain", "accumulate", *["pass"] * passes]))
        earlier = st.sampled_from(models[::-1])
        labeller = (earlier | label_mixtures(earlier)) if mixtures and len(models) > 1 else earlier
        if kind == "fit":
            count = draw(st.integers(1, max_sources))
            sources = [
                draw(labeller).label(
                    draw(sizes),
                    draw(noise),
                    weight=draw(_numbers(domains.WEIGHT, 0.1, 10, (1, 2, 0.5))),
                    inputs=draw(st.sampled_from([None, np.sqrt])) if shifts else None,
                    link=draw(st.none() | links()) if linked else None,
                )
                for _ in range(count)
            ]
            models.append(fit(*sources, ridge=draw(ridge)))
        elif kind == "pass":
            models.append(draw(_passes(labeller, noise, max_samples)))
        else:
            step = chain if kind == "chain" else accumulate
            count = draw(st.integers(1, max_generations))
            models.append(step(draw(labeller), count, draw(sizes), draw(noise), draw(ridge)))
    return models[-1]


@st.composite
def _passes(draw, labellers, noise, max_samples):
    """Models trained by one pass of SGD with a stable step."""
    model, batch = draw(labellers), draw(st.sampled_from([1, 2, 5]))
    steps = draw(st.integers(1, max(1, max_samples // batch)))
    share = draw(_numbers(domains.Domain(0.01, 0.95), 0.01, 0.95, (0.5, 0.1)))
    step = share * float(largest_step(model.spectrum.eigenvalues, model.spectrum.multiplicity, batch))
    return fit(model.label(steps * batch, draw(noise)), filter=OnePassSGD(step, batch))
