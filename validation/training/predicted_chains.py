"""The predicted error of chains of kernel fits on a data set: `predict_chain`, with nothing fitted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modelcollapse.numerics.questions.predictions import Prediction, predict
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.pipelines import chain, fit, truth
from modelcollapse.theory.pipelines.filters import GradientFlow
from modelcollapse.theory.pipelines.surrogates import surrogate
from modelcollapse.theory.populations.data_rows import DataRows
from modelcollapse.theory.populations.families import Spectrum

__all__ = ["chain_labels", "predict_chain", "predict_chain_on_rows"]


def predict_chain(
    spectrum: Spectrum,
    generations: ArrayLike,
    samples: ArrayLike,
    ridge: ArrayLike | None,
    noise: ArrayLike,
    generator_samples: ArrayLike,
    generator_ridge: ArrayLike,
    generator_noise: ArrayLike,
    time: ArrayLike | None = None,
) -> Prediction:
    """The predicted error of n-fold fake data on the spectrum of a data set; arguments broadcast.

    The last fit is by ridge, or by gradient flow stopped at `time` where ridge is None. What the spectrum leaves
    unexplained is noise on the labels that the data wrote, and only on those: of the last fit for n = 0, of the first
    generation else.

    >>> import modelcollapse as mc
    >>> spectrum, fake = mc.isotropic(50), mc.FakeData(3, 200, 0.1)
    >>> one = predict_chain(spectrum, 3, 100, 0.1, 0.2, 200, 0.0, 0.1).test_error
    >>> bool(np.isclose(one, mc.test_error(spectrum, 100, 0.1, 0.2, fake).test_error, rtol=1e-12))
    True
    """
    generator = generator_samples, generator_ridge, generator_noise
    trained: dict[str, Any] = {"ridge": ridge} if time is None else {"filter": GradientFlow(time)}
    over: Any = ridge if time is None else time
    cells = np.broadcast_shapes(*map(np.shape, (generations, samples, over, noise)))
    clean = predict(fit(chain_labels(spectrum, 0, samples, noise, *generator), **trained))
    if np.max(generations) > 0:
        fake = predict(fit(chain_labels(spectrum, np.maximum(generations, 1), samples, noise, *generator), **trained))
    else:
        fake = clean

    def choose(name):
        chosen = np.where(np.equal(generations, 0), getattr(clean, name), getattr(fake, name))
        return np.broadcast_to(chosen, np.broadcast_shapes(cells, chosen.shape))[()]

    error, reference = (
        choose("test_error"),
        np.broadcast_to(clean.test_error, np.shape(choose("test_error")))[()],
    )
    with np.errstate(invalid="ignore"):
        collapse = np.where(np.isinf(error), np.inf, error - reference)[()]
    return Prediction(error, choose("bias"), choose("variance"), reference, collapse)


def predict_chain_on_rows(
    rows: DataRows,
    labels: ArrayLike,
    generations: ArrayLike,
    samples: ArrayLike,
    ridge: ArrayLike,
    noise: ArrayLike,
    generator_samples: ArrayLike,
    generator_ridge: ArrayLike,
    generator_noise: ArrayLike,
) -> Prediction:
    """The same row by row: the truth is what the rows' targets say, the first generation sees the rows' `labels`.

    `clean` is the error of n = 0.
    """
    if np.array_equal(rows.targets, labels):
        first = truth(rows)
    else:
        first = surrogate(rows, labels=labels)
    numbers = np.broadcast_arrays(
        generations, samples, ridge, noise, generator_samples, generator_noise, generator_ridge
    )
    counts, samples, ridge, noise, *generator = (np.stack([x, x]) for x in numbers)
    counts[1] = 0
    found = predict(fit(chain(first, counts, *generator).label(samples, noise), ridge=ridge))
    (error, clean), (bias, _), (variance, _) = found.test_error, found.bias, found.variance
    return Prediction(error, bias, variance, clean, error - clean)


def chain_labels(spectrum, generations, samples, noise, generator_samples, generator_ridge, generator_noise):
    """The source of the last fit, as `predict_chain` sees it: `generations` is 0, or at least 1 everywhere."""
    noise, generator_noise = (  # before the root of a sum of squares hides a sign
        leaf(name, value, domains.NOISE) for name, value in (("noise", noise), ("generator_noise", generator_noise))
    )
    w0, hidden = truth(spectrum), np.sqrt(spectrum.unexplained)
    if np.max(generations) == 0:
        return w0.label(samples, np.hypot(noise, hidden))
    first = fit(w0.label(generator_samples, np.hypot(generator_noise, hidden)), ridge=generator_ridge)
    models = chain(first, np.asarray(generations) - 1, generator_samples, generator_noise, generator_ridge)
    return models.label(samples, noise)
