r"""One pass of stochastic gradient descent: a way to fit that sees every row once.

Training starts from w = 0 and takes T/B steps, each on a batch of B rows that it has not seen:

    w ← w + (η/B) Σ_{i in batch} x_i (y_i − x_i·w),         η the step, B the batch.                            (1)

This is no filter of S = XᵀX/T, the second moment of the rows: nothing is seen twice. With Gaussian inputs the mean and
the covariance of w obey closed recursions (`numerics.steps.sgd`), exact at every size. A step of the gradient of
½(y − x·w)²; a trainer that descends (y − x·w)² itself moves twice as fast, so its step h is `step=2*h` here.

Training forgets its start only if the step is short enough. With the eigenvalues s_j of the inputs the error has a
limit for ever longer training exactly if

    η s_1 (1 + 1/B) < 2    and    Σ_j η s_j / (2 − η s_j (1 + 1/B)) < B,                                         (2)

(derived here as the condition that the update of the error's second moments, a diagonal plus a rank-one matrix, has
its largest eigenvalue below 1). Isotropic inputs: η s < 2B/(d + B + 1); on every spectrum η < 2B/(tr Σ + (B+1) s_1) is
enough, and η < 2B/tr Σ necessary. `largest_step` is where (2) becomes an equality.

>>> s = np.array([1.0, 0.5, 0.25])
>>> step = largest_step(s, np.ones(3), batch=4)
>>> bool(np.isclose(np.sum(step * s / (2 - step * s * (1 + 1 / 4))), 4))
True
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.pipelines.steps import SgdStep
from modelcollapse.theory.pipelines.training import Training

__all__ = ["OnePassSGD", "largest_step", "refuse_impossible_pass"]

STEP = Domain(low=0, low_open=True, high_open=True, remedy="give a positive step, below the largest stable one")
BATCH = Domain(low=1, high_open=True, remedy="give one row or more for each step")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OnePassSGD(Training):
    """Stochastic gradient descent from zero on batches of fresh rows: samples/batch steps.

    Parameters
    ----------
    step : number η > 0, grid or expression
        Step of the gradient of ½(y − x·w)²; a source's weight multiplies it.
    batch : number B ≥ 1, grid or expression
        Rows of each step, averaged.

    Several sources are one pool in random order: every row is of source g with the chance T_g/T. They must agree in
    weight and inputs.

    Raises ValueError for numbers outside their domain. `predict` and all that rests on it raise it for a step at or
    above the largest stable one, which they name, for less than one step, for broken numbers of steps that overshoot.

    >>> import modelcollapse as mc
    >>> source = mc.truth(mc.isotropic(100)).label([200, 2000, 20_000], noise=0.5)
    >>> fast, slow = (mc.predict(mc.fit(source, filter=mc.OnePassSGD(step))).test_error for step in (0.01, 0.001))
    >>> bool(fast[0] < slow[0] and slow[-1] < fast[-1])            # a long step learns sooner, a short one better
    True
    >>> mc.OnePassSGD(step=0.01)
    OnePassSGD(step=0.01, batch=1)
    """

    step: object
    batch: object = 1

    kind = "one-pass-sgd"
    domains: ClassVar = {"step": STEP, "batch": BATCH}
    record = SgdStep


def largest_step(eigenvalues, multiplicity, batch):
    """The step at which one-pass SGD is no longer stable, (2) as an equality: an array (...,).

    eigenvalues s_j, multiplicity (..., A), batch (...,); inf where no direction has an eigenvalue above zero. The root
    lies between 2B/(tr + B + 1) and the smaller of 2B/tr and 2B/(B + 1) in units of 1/s_1, and is bisected.

    >>> bool(np.isclose(largest_step(np.full(1, 2.0), np.full(1, 100.0), 3), 2 * 3 / (100 + 3 + 1) / 2))
    True
    """
    batch = np.asarray(batch, float)
    s = np.where(multiplicity > 0, eigenvalues, 0)
    top = np.max(s, -1)
    relative = s / np.where(top > 0, top, 1)[..., None]
    trace = np.sum(multiplicity * relative, -1)
    low, high = 2 * batch / (trace + batch + 1), 2 * batch / np.maximum(trace, batch + 1)
    for _ in range(60):
        middle = (low + high) / 2
        pulled = middle[..., None] * relative
        rest = 2 - pulled * (1 + 1 / batch[..., None])
        risen = np.sum(multiplicity * pulled / np.where(rest > 0, rest, 1), -1)
        stable = (risen < batch) & np.all(rest > 0, -1)
        low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    return np.divide(low, top, out=np.full(np.broadcast_shapes(low.shape, top.shape), np.inf), where=top > 0)


def refuse_impossible_pass(step, batch, samples, weight, eigenvalues, signal, multiplicity):
    """Raise ValueError for a pass that is unstable or shorter than a step, or whose moments are not known.

    step, batch, samples, weight broadcast to a grid (...,); eigenvalues of the inputs, signal, multiplicity (..., A).

    >>> refuse_impossible_pass(0.5, 1, 1000, 1, np.ones(1), np.ones(1), np.full(1, 100.0))
    Traceback (most recent call last):
        ...
    ValueError: step = 0.5 is unstable with batch = 1.0 on these inputs: give a step below 0.01961, or a larger batch \
(a step below 2B/(tr + (B + 1) s_1) is stable on every spectrum)
    """
    step, batch, samples, weight = np.broadcast_arrays(*(np.asarray(x, float) for x in (step, batch, samples, weight)))
    turned = (step * weight / batch)[..., None] * eigenvalues
    moved = samples[..., None] * np.square(turned)  # of the energy, along itself
    if np.any((multiplicity == 0) & (signal > 0) & (moved > 1e-12)):
        raise ValueError(
            "multiplicity = 0.0 on an atom with signal: one-pass SGD scatters what it learns of a direction along that "
            "direction; give the atom its number of directions (for a compressed spectrum, the one before compress)"
        )
    short = samples < batch
    if short.any():
        raise ValueError(
            f"samples = {samples[short].flat[0]} is less than batch = {batch[short].flat[0]}, one step of SGD; give "
            "more samples or a smaller batch"
        )
    bound = largest_step(eigenvalues, multiplicity, batch)
    step, batch, samples, bound = np.broadcast_arrays(step * weight, batch, samples, bound)
    unstable = ~(step < bound)
    if unstable.any():
        pulled, rows, most = (float(x[unstable].flat[0]) for x in (step, batch, bound))
        raise ValueError(
            f"step = {pulled!r} is unstable with batch = {rows!r} on these inputs: give a step below {most:.4g}, or a "
            "larger batch (a step below 2B/(tr + (B + 1) s_1) is stable on every spectrum)"
        )
    steps = samples / batch
    broken = (step * np.max(eigenvalues, -1) > 1) & (steps != np.round(steps))
    if broken.any():
        raise ValueError(
            f"samples / batch = {float(steps[broken].flat[0])!r} is no whole number of steps, and step = "
            f"{float(step[broken].flat[0])!r} overshoots (step times the largest eigenvalue is above 1); give a "
            "multiple of batch, or a shorter step"
        )
