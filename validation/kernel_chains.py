r"""Kernel-ridge chains really trained on a data set, and what the theory says about them.

Generation k = 1..n is kernel ridge regression on T0 rows of the data set, labelled by generation k − 1 (by
the data for k = 1) plus noise σ0; the model of interest is fitted on T rows labelled by generation n plus
noise σ. Each fit takes its own random rows. On rows I of a kernel matrix K a fit is

$$ \hat f = K_{\cdot I}\,(K_{II} + T\lambda)^{-1} y_I . $$

Instead of by ridge the last fit may be trained by gradient flow from zero, on half the mean squared error, and stopped
at a time t: with the eigenpairs (k_i, u_i) of K_II / T,

$$ \hat f = \frac1T K_{\cdot I} \sum_i u_i \frac{1 - e^{-t k_i}}{k_i} u_i^\top y_I . $$

The truth f* is the part of the targets that the kernel can represent on the whole data set (all of it for a
universal kernel); the rest is label noise that the data wrote. The error is the mean of (f̂ − f*)² over rows that the
last fit has not seen. The prediction goes row by row (`modelcollapse.rows`): it gets the kernel matrix and the targets,
no parameter is fitted, and nothing is assumed about the law of the inputs.

`gaussian` is what a spectrum can say: the eigenvalues of K/N and the projections of the targets, as if features were
Gaussian and the data set infinite. It is off where rows differ in leverage and where the last fit sees a large part of
the data. It stands alone where the rows have no formula: gradient flow, and `held_out=False`, which makes the data set
itself the population (rows are drawn with replacement, the error is averaged over all rows).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh

from modelcollapse._progress import Progress
from modelcollapse.numerics.questions.predictions import Prediction
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf
from modelcollapse.theory.pipelines.filters import TIME
from modelcollapse.theory.populations.data_rows import MOST_ROWS, rows
from modelcollapse.theory.populations.families import Spectrum, from_gram
from modelcollapse.theory.populations.kernels import enough_memory, kernel_matrix
from modelcollapse.validation.training.predicted_chains import chain_labels, predict_chain, predict_chain_on_rows
from modelcollapse.validation.training.trained_chains import Streams, one_run, ridges, stopped

__all__ = ["KernelChain", "chain_labels", "explained", "kernel_chain", "predict_chain", "predict_chain_on_rows"]


_ROWS = domains.Domain(low=1, high_open=True, whole=True, remedy="give a whole number of rows")
_RUNS = domains.Domain(low=2, high_open=True, whole=True, remedy="give at least two runs, for a standard error")


@dataclass(frozen=True, eq=False, repr=False)
class KernelChain:
    """Measured errors (runs, *grid) of trained chains, the spectrum of the data, two predictions (*grid).

    `prediction` goes row by row where that has a formula, and is computed when it is first asked for; `gaussian` takes
    the data for Gaussian with their spectrum.

    >>> from modelcollapse.validation import datasets
    >>> data = datasets.digits().first(200)
    >>> found = kernel_chain(data.inputs, data.targets, gamma=0.05, samples=100, ridge=1e-2, noise=0.5, runs=50)
    >>> [round(float(error), 2) for error in (found.mean, found.prediction.test_error, found.gaussian.test_error)]
    [0.27, 0.27, 0.25]
    """

    draws: np.ndarray
    spectrum: Spectrum
    gaussian: Prediction
    by_rows: Callable[[], Prediction] | None

    @cached_property
    def prediction(self):
        """The predicted errors, (*grid): row by row, or `gaussian` where the rows have no formula."""
        return self.gaussian if self.by_rows is None else self.by_rows()

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
    spectrum: Spectrum | None = None,
    progress: bool | Callable[[int, int], object] | None = None,
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
    spectrum : that of these rows and this kernel, of `from_samples` (without `label_noise`) or an earlier result, where
        it is known already: its eigendecomposition takes longest
    progress : function of (runs done, runs), called after every run; True for a bar

    Returns
    -------
    KernelChain. Raises ValueError for settings that the data set cannot serve, and for more rows than `enough_memory`
    allows: the matrix of N rows takes 72·N² bytes while it is decomposed.

    Twenty chains on the digits, within the few per cent that the theory leaves open:

    >>> from modelcollapse.validation import datasets
    >>> data = datasets.digits().first(400)
    >>> found = kernel_chain(data.inputs, data.targets, gamma=0.05, generations=[0, 3], samples=100,
    ...                      ridge=1e-2, noise=0.5, generator_samples=200)
    >>> found.mean.round(1), bool(np.all(np.abs(found.deviation) < 0.15))
    (array([0.3, 0.6]), True)

    The same by training that is stopped: the error falls, turns and rises.

    >>> found = kernel_chain(data.inputs, data.targets, gamma=0.05, generations=3, samples=100, noise=0.5,
    ...                      time=[1, 100, 1e6], generator_samples=200, generator_ridge=1e-2)
    >>> bool(found.mean[0] > found.mean[1] < found.mean[2])
    True
    """
    enough_memory(len(np.asarray(targets)))
    gram = _gram(inputs, kernel, kernel_options)
    targets = _numbers("targets", targets, domains.REAL)
    spectrum = from_gram(gram, targets) if spectrum is None else _fitting(spectrum, gram, targets)
    generations = _numbers("generations", generations, domains.GENERATIONS)
    samples = _numbers("samples", samples, _ROWS)
    if (ridge is None) == (time is None):
        given = "neither ridge nor time" if ridge is None else f"ridge = {ridge} and time = {time}"
        raise ValueError(f"the last fit got {given}; give one of the two")
    if time is not None and generator_ridge is None and np.max(generations) > 0:
        raise ValueError("time trains the last fit only; give generator_ridge, the ridge of every generation's fit")
    trained = _numbers("time", time, TIME) if ridge is None else _numbers("ridge", ridge, domains.RIDGE)
    noise = _one("noise", noise, noise, domains.NOISE)
    alone = np.max(generations) == 0  # no generation needs a setting
    generator = (
        _one("generator_samples", generator_samples, 1.0 if alone else samples, _ROWS),
        _one("generator_ridge", generator_ridge, 0.0 if alone or ridge is None else trained, domains.RIDGE),
        _one("generator_noise", generator_noise, noise, domains.NOISE),
    )
    runs = int(_one("runs", runs, runs, _RUNS))
    _fits(len(gram), "samples", samples, held_out)
    if np.max(generations) > 0:
        _fits(len(gram), "generator_samples", generator[0], held_out)
    lone = (None, trained) if ridge is None else (trained, None)
    gaussian = predict_chain(spectrum, generations, samples, lone[0], noise, *generator, time=lone[1])
    representable, by_rows = explained(gram, targets, spectrum), None
    if held_out and ridge is not None and len(gram) <= MOST_ROWS:
        population = rows(gram, representable, "precomputed")
        by_rows = partial(predict_chain_on_rows, population, targets, generations, samples, trained, noise, *generator)
    solve = stopped if ridge is None else ridges
    cells = np.broadcast_arrays(generations, samples, trained)
    draws = np.empty((runs, *cells[0].shape))
    with Progress(progress, "training") as bar:
        for run in range(runs):
            streams = Streams(_seeds(seed), run)
            draws[run] = one_run(gram, targets, representable, cells, solve, noise, generator, held_out, streams)
            bar.report(run + 1, runs)
    return KernelChain(draws, spectrum, gaussian, by_rows)


def _fitting(spectrum, gram, targets):
    """A spectrum that is given, if it is as large as the kernel matrix and the targets are."""
    pairs = (
        (np.sqrt(spectrum.multiplicity @ spectrum.eigenvalues**2), np.linalg.norm(gram) / len(gram)),
        (spectrum.label_variance + spectrum.unexplained, np.mean(targets**2)),
    )
    if not all(np.isclose(given, wanted, rtol=1e-6) for given, wanted in pairs):
        shown = ", ".join(f"{given:.6g} where the data have {wanted:.6g}" for given, wanted in pairs)
        raise ValueError(f"spectrum has root sum of squared eigenvalues and label variance {shown}; "
                         "give the one of these rows and this kernel")  # fmt: skip
    return spectrum


def explained(gram, targets, spectrum):
    """What of the targets lies in the span of the kernel matrix."""
    if spectrum.unexplained <= 1e-12 * np.mean(targets**2):
        return targets
    rank = int(spectrum.dim)
    _, vectors = eigh(gram, subset_by_index=(len(gram) - rank, len(gram) - 1))
    return vectors @ (vectors.T @ targets)


def _gram(inputs, kernel, options):
    inputs = _numbers("inputs", inputs, domains.REAL)
    return inputs if kernel == "precomputed" else kernel_matrix(inputs, kernel, options)


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
