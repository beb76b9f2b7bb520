r"""Kernel-ridge chains really trained on a data set, and what the theory says about them.

Generation k = 1..n is kernel ridge regression on T0 rows of the data set, labelled by generation k − 1 (by
the data for k = 1) plus noise σ0; the model of interest is fitted on T rows labelled by generation n plus
noise σ. Each fit takes its own random rows. On rows I of a kernel matrix K a fit is

$$ \hat f = K_{\cdot I}\,(K_{II} + T\lambda)^{-1} y_I . $$

Instead of by ridge the last fit may be trained by gradient flow from zero, on half the mean squared error, and stopped
at a time t: with the eigenpairs (k_i, u_i) of K_II / T,

$$ \hat f = \frac1T K_{\cdot I} \sum_i u_i \frac{1 - e^{-t k_i}}{k_i} u_i^\top y_I . $$

The truth f* is the part of the targets that the kernel can represent on the whole data set (all of it for a
universal kernel); the rest is label noise that the data wrote, and its variance is the spectrum's
`unexplained`. The error is the mean of (f̂ − f*)² over rows that the last fit has not seen. The theory gets
nothing but the eigenvalues of K/N and the projections of the targets: no parameter is fitted. It knows the
data set only, not the law it came from, and treats the rows as if their features were Gaussian: expect
deviations of a few per cent, more where the last fit sees a large part of the data set.

`held_out=False` makes the data set itself the population: rows are drawn with replacement and the error is
averaged over all rows. That is the theory's setting up to the Gaussian features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

from modelcollapse._extras import require
from modelcollapse.numerics.questions.predictions import Prediction, predict
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf
from modelcollapse.theory.pipelines import chain, fit, truth
from modelcollapse.theory.pipelines.filters import TIME, GradientFlow
from modelcollapse.theory.spectra import Spectrum, from_gram

__all__ = ["KernelChain", "kernel_chain", "predict_chain"]

_ROWS = domains.Domain(low=1, high_open=True, whole=True, remedy="give a whole number of rows")
_RUNS = domains.Domain(
    low=2, high_open=True, whole=True, remedy="give at least two runs, for a standard error"
)


@dataclass(frozen=True, eq=False, repr=False)
class KernelChain:
    """Measured errors (runs, *grid) of trained chains, the spectrum of the data, the prediction (*grid)."""

    draws: np.ndarray
    spectrum: Spectrum
    prediction: Prediction

    @property
    def runs(self):
        return len(self.draws)

    @cached_property
    def mean(self):
        """Mean error over the runs, (*grid)."""
        return self.draws.mean(axis=0)

    @cached_property
    def standard_error(self):
        """Standard error of the mean, (*grid). It holds the data set fixed."""
        return self.draws.std(axis=0, ddof=1) / np.sqrt(self.runs)

    @cached_property
    def deviation(self):
        """Measured error relative to the predicted one, minus 1."""
        return self.mean / self.prediction.test_error - 1

    def to_dict(self):
        """Columns by name: NumPy arrays."""
        return {
            "predicted": self.prediction.test_error,
            "measured": self.mean,
            "standard_error": self.standard_error,
            "deviation": self.deviation,
        }

    def __repr__(self):
        worst = f"{100 * np.abs(self.deviation).max():.1f} %"
        return (
            f"KernelChain({self.runs} runs on {'x'.join(map(str, np.shape(self.mean))) or 1} settings, "
            f"at most {worst} from the prediction)"
        )


def kernel_chain(
    inputs: ArrayLike,
    targets: ArrayLike,
    kernel: str = "rbf",
    *,
    generations: ArrayLike = 0,
    samples: ArrayLike,
    ridge: ArrayLike | None = None,
    time: ArrayLike | None = None,
    noise: float = 0.0,
    generator_samples: float | None = None,
    generator_ridge: float | None = None,
    generator_noise: float | None = None,
    runs: int = 20,
    seed: int | np.random.SeedSequence = 0,
    held_out: bool = True,
    progress: Callable[[int, int], object] | None = None,
    **kernel_options,
) -> KernelChain:
    """Train chains of kernel fits on subsamples of a data set and measure their error.

    Parameters
    ----------
    inputs : array (N, features), or (N, N) for kernel="precomputed"
    targets : array (N,)
    kernel, **kernel_options : a scikit-learn kernel and its options (gamma, degree, ...), or "precomputed"
    generations, samples, and one of ridge and time : numbers or arrays that broadcast
        n ≥ 0; T whole; λ ≥ 0 of the mean squared error, as everywhere in this package; or the time at which
        gradient flow is stopped in the last fit. The cells of one run share rows and noise as far as they can:
        their differences are sharper than their values.
    noise : σ, standard deviation of noise added to the last fit's labels
    generator_samples, generator_ridge, generator_noise : T0, λ0, σ0 of every generation; default: those of
        the last fit, which then must be single numbers. Generators are ridge fits: with `time` give their ridge
    runs : how many independent chains; seed : int or SeedSequence
    held_out : measure on rows that the last fit has not seen; False: see the module
    progress : function of (runs done, runs), called after every run

    Returns
    -------
    KernelChain. Raises ValueError for settings that the data set cannot serve.

    Twenty chains on the digits, within the few per cent that the theory leaves open:

    >>> from modelcollapse.validation import datasets
    >>> data = datasets.digits().first(400)
    >>> found = kernel_chain(data.inputs, data.targets, gamma=0.05, generations=[0, 3], samples=100,
    ...                      ridge=1e-2, noise=0.5, generator_samples=200)
    >>> bool(np.all(np.abs(found.deviation) < 0.15))
    True

    The same by training that is stopped: the error falls, turns and rises.

    >>> found = kernel_chain(data.inputs, data.targets, gamma=0.05, generations=3, samples=100, noise=0.5,
    ...                      time=[1, 100, 1e6], generator_samples=200, generator_ridge=1e-2)
    >>> bool(found.mean[0] > found.mean[1] < found.mean[2])
    True
    """
    gram = _gram(inputs, kernel, kernel_options)
    targets = _numbers("targets", targets, domains.REAL)
    spectrum = from_gram(gram, targets)
    generations = _numbers("generations", generations, domains.GENERATIONS)
    samples = _numbers("samples", samples, _ROWS)
    if (ridge is None) == (time is None):
        given = "neither ridge nor time" if ridge is None else f"ridge = {ridge} and time = {time}"
        raise ValueError(f"the last fit got {given}; give one of the two")
    if time is not None and generator_ridge is None and np.max(generations) > 0:
        raise ValueError("time trains the last fit only; give generator_ridge, the ridge of every generation's fit")
    trained = _numbers("time", time, TIME) if ridge is None else _numbers("ridge", ridge, domains.RIDGE)
    noise = _one("noise", noise, noise, domains.NOISE)
    generator = (
        _one("generator_samples", generator_samples, samples, _ROWS),
        _one("generator_ridge", generator_ridge, 0.0 if ridge is None else trained, domains.RIDGE),
        _one("generator_noise", generator_noise, noise, domains.NOISE),
    )
    runs = int(_one("runs", runs, runs, _RUNS))
    _fits(len(gram), "samples", samples, held_out)
    if np.max(generations) > 0:
        _fits(len(gram), "generator_samples", generator[0], held_out)
    lone = (None, trained) if ridge is None else (trained, None)
    prediction = predict_chain(spectrum, generations, samples, lone[0], noise, *generator, time=lone[1])
    explained = _explained(gram, targets, spectrum)
    solve = _stopped if ridge is None else _ridges
    cells = np.broadcast_arrays(generations, samples, trained)
    draws = np.empty((runs, *cells[0].shape))
    for run in range(runs):
        streams = _Streams(_seeds(seed), run)
        draws[run] = _one_run(gram, targets, explained, cells, solve, noise, generator, held_out, streams)
        if progress is not None:
            progress(run + 1, runs)
    return KernelChain(draws, spectrum, prediction)


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


def chain_labels(spectrum, generations, samples, noise, generator_samples, generator_ridge, generator_noise):
    """The source of the last fit, as `predict_chain` sees it: `generations` is 0, or at least 1 everywhere."""
    w0, hidden = truth(spectrum), np.sqrt(spectrum.unexplained)
    if np.max(generations) == 0:
        return w0.label(samples, np.hypot(noise, hidden))
    first = fit(w0.label(generator_samples, np.hypot(generator_noise, hidden)), ridge=generator_ridge)
    models = chain(first, np.asarray(generations) - 1, generator_samples, generator_noise, generator_ridge)
    return models.label(samples, noise)


class _Streams:
    """Random numbers of one run, a stream for every fit: a cell draws the same whatever the others are."""

    def __init__(self, seed, run):
        self.seed, self.run = seed, run

    def generator(self, *fit):
        key = (*self.seed.spawn_key, self.run, *fit)
        return np.random.default_rng(np.random.SeedSequence(self.seed.entropy, spawn_key=key))


def _one_run(gram, targets, explained, cells, solve, noise, generator, held_out, streams):
    """Errors of all cells for one chain; `solve` fits for all ridges or times of a number of rows."""
    generations, samples, trained = cells
    T0, ridge0, noise0 = generator
    order = np.unique(generations).astype(int)
    wanted, labels = {}, targets
    for n in range(order[-1] + 1):
        if n in order:
            wanted[n] = labels
        if n < order[-1]:
            rng = streams.generator(0, n)
            rows = _draw(rng, len(gram), T0, held_out)
            given = labels[rows] + noise0 * rng.standard_normal(len(rows))
            (labels,) = _ridges(gram, rows, given, [ridge0])
    columns = np.stack([wanted[n] for n in order], axis=1)
    errors = np.empty(generations.shape)
    for T in np.unique(samples):
        rng = streams.generator(1, int(T))
        rows = _draw(rng, len(gram), T, held_out)
        given = columns[rows] + noise * rng.standard_normal((len(rows), 1))
        values = np.unique(trained[samples == T])
        for value, fitted in zip(values, solve(gram, rows, given, values), strict=True):
            squares = (fitted - explained[:, None]) ** 2
            if held_out:
                squares = np.delete(squares, rows, axis=0)
            for n, error in zip(order, squares.mean(axis=0), strict=True):
                errors[(samples == T) & (trained == value) & (generations == n)] = error
    return errors


def _draw(rng, count, rows, held_out):
    return rng.choice(count, int(rows), replace=not held_out)


def _ridges(gram, rows, labels, ridges):
    """Values on all rows of the kernel-ridge fits on some, one for each ridge; labels (T,) or (T, fits)."""
    taken = gram[rows]
    for ridge in ridges:
        if np.isinf(ridge):
            yield np.zeros((len(gram), *labels.shape[1:]))
            continue
        system = taken[:, rows]
        system[np.diag_indices_from(system)] += len(rows) * ridge
        try:
            weights = cho_solve(cho_factor(system, lower=True, overwrite_a=True, check_finite=False), labels)
        except LinAlgError:
            raise ValueError(
                f"ridge = {ridge:g}: the kernel matrix of {len(rows)} rows is singular to roundoff; raise it"
            ) from None
        yield taken.T @ weights


def _stopped(gram, rows, labels, times):
    """Values on all rows of gradient flow on some, one for each time at which it stops; labels (T, fits)."""
    taken = gram[rows]
    values, vectors = eigh(taken[:, rows] / len(rows), check_finite=False)
    known = values > 0
    seen, given = taken.T @ vectors / len(rows), vectors.T @ labels
    for time in times:
        learned = np.divide(-np.expm1(-time * values), values, out=np.full_like(values, time), where=known)
        yield (seen * learned) @ given


def _explained(gram, targets, spectrum):
    """What of the targets lies in the span of the kernel matrix."""
    if spectrum.unexplained <= 1e-12 * np.mean(targets**2):
        return targets
    rank = int(spectrum.dim)
    _, vectors = eigh(gram, subset_by_index=(len(gram) - rank, len(gram) - 1))
    return vectors @ (vectors.T @ targets)


def _gram(inputs, kernel, options):
    inputs = _numbers("inputs", inputs, domains.REAL)
    if kernel == "precomputed":
        return inputs
    pairwise = require("sklearn.metrics.pairwise", extra="estimator")
    if kernel not in pairwise.kernel_metrics():
        known = ", ".join(sorted(pairwise.kernel_metrics()))
        raise ValueError(f"kernel = {kernel!r} is unknown; give precomputed or one of {known}")
    try:
        return pairwise.pairwise_kernels(inputs, metric=kernel, **options)
    except TypeError as error:
        raise TypeError(f"kernel = {kernel!r} does not take {options}: {error}") from None


def _numbers(name, value, domain):
    value = leaf(name, value, domain)
    if is_expression(value):
        raise TypeError(f"{name} = {value} is an expression; models are trained on numbers")
    return np.asarray(value, float)


def _one(name, value, default, domain):
    value = _numbers(name, default if value is None else value, domain)
    if value.ndim:
        raise ValueError(f"{name} has shape {value.shape}; give one number")
    return float(value)


def _fits(count, name, samples, held_out):
    most = count - 1 if held_out else np.inf
    if np.max(samples) > most:
        raise ValueError(
            f"{name} = {np.max(samples):g} is too many: the data set has {count} rows, and the error is "
            f"measured on rows outside the fit; give at most {most}"
        )


def _seeds(seed):
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
