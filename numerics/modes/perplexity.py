r"""The loss of a learner that smooths its counts, in a loop.

With N_i the counts of T draws and ln x = ∫ (e^{-t} - e^{-xt}) dt/t, exactly

$$ -E \sum_i q_i \ln \frac{N_i + s}{T + sV} = \ln(T + sV) - \int_0^\infty [e^{-t} - e^{-st} Q(t)] \frac{dt}{t},
   \qquad Q(t) = \sum_i q_i E\, e^{-t N_i}, $$

and Q is a missing mass: e^{-t N_i} is the chance that no draw of symbol i is among those kept, each with chance 1 -
e^{-t}. The integral is the trapezoidal rule in ln t, which converges exponentially. For words given n - 1 words before,
contexts take the place of T: the loss is the integral of the contexts, with sV, less that of the n-grams, with s.
"""

import math

import numpy as np

from modelcollapse.numerics.arrays import namespace
from modelcollapse.numerics.modes.atoms import loop_atoms
from modelcollapse.numerics.modes.founders import started
from modelcollapse.numerics.modes.functionals import missing_mass
from modelcollapse.numerics.modes.information import _population
from modelcollapse.theory.modes.parameters import traced

__all__ = ["log_loss", "mean_log_count"]

_STEP = 0.1


def log_loss(loop, samples, smoothing, size):
    """See `Loop.log_loss`."""
    contexts = getattr(loop.law, "contexts", None)
    size = _size(loop.law, size)
    if contexts is not None:
        before = mean_log_count(loop._on(contexts), samples, smoothing * size)
        return before - mean_log_count(loop, samples, smoothing)
    total = _population(loop) if samples is None else samples
    return namespace(total, smoothing).log(total + smoothing * size) - mean_log_count(loop, samples, smoothing)


def _size(law, size):
    least = getattr(law, "vocabulary", None) or law.size
    if size is None:
        if np.any(np.isinf(least)):
            raise ValueError(
                f"the law {law!r} has infinitely many symbols, over which a count cannot be added to each; "
                "give a finite law, such as zipf(beta, size=10000)"
            )
        return least
    if np.any(size < least):
        raise ValueError(f"size = {size} is below the {least:g} symbols of {law!r}; give at least as many")
    return size


def mean_log_count(loop, samples, smoothing):
    """Σ_i q_i E ln(N_i + s)."""
    xp = namespace(smoothing)
    most = _population(loop) if samples is None else samples
    low = -39 - math.log(1e12 if traced(most) else float(np.max(most)) + 2.0)
    least = 1e-6 if traced(smoothing) else float(np.min(smoothing))
    high = math.log(45.0 / min(least, 1.0))
    t = np.exp(np.arange(low, high + _STEP, _STEP))
    shape = np.broadcast_shapes(loop.shape, np.shape(samples) if samples is not None else (), np.shape(smoothing))
    t = t.reshape(-1, *[1] * len(shape))
    unseen = missing_mass(loop_atoms(loop), started(loop, samples, -np.expm1(-t)), loop.own_truth)
    return _STEP * (np.exp(-t) - xp.exp(-smoothing * t) * unseen).sum(0)
