r"""Fits by a spectral filter: gradient flow, gradient descent, iterated ridge, self-distillation.

A linear fit on T rows that starts at zero and sees the data only through S = XᵀX/T and Xᵀy/T is ŵ = g(S) Xᵀy/T. What
it has not yet learned along an eigenvalue x of S is the *residual filter*

$$ r(x) = 1 - x\,g(x), $$

which falls from r(0) = 1. Ridge, λ/(x + λ), is one such filter; training that is stopped is another:

    GradientFlow(time)              dw/dt = Xᵀy/T − S w, the flow of (1/2T)‖y − Xw‖²        r = e^{−tx}
    GradientDescent(step, steps)    k steps of length h on the same loss                    r = (1 − hx)^k
    IteratedRidge(ridge, rounds)    m ridge fits, each on the residuals of those before     r = (λ/(x + λ))^m
    Ridge(ridge)                    one round of it                                         r = λ/(x + λ)
    SelfDistillation(ridge, weight) a ridge fit, refitted on a blend of its labels and of   r = (1 − h)(1 + ξh),
                                    its own predictions of the same rows                    h = x/(x + λ)

The loss has a factor 1/2: a trainer that descends the mean squared error itself moves twice as fast, so its step h is
`step=2*h` here. Gradient descent converges only for steps below 2/(largest eigenvalue of S): `refuse_unstable`.

>>> flow, steps = GradientFlow(time=2.0), GradientDescent(step=1e-4, steps=20_000)
>>> bool(abs(steps.residual(0.7) / flow.residual(0.7) - 1) < 1e-4)     # many small steps are a flow
True
>>> rounds = IteratedRidge(ridge=1e4, rounds=20_000)
>>> bool(abs(rounds.residual(0.7) / flow.residual(0.7) - 1) < 1e-4)    # so are many weak ridge fits
True
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols
from modelcollapse.theory.pipelines.training import Training

__all__ = [
    "Filter",
    "GradientDescent",
    "GradientFlow",
    "IteratedRidge",
    "Ridge",
    "SelfDistillation",
    "largest_eigenvalue",
    "refuse_unstable",
]

TIME = Domain(low=0, high_open=True, remedy="give a finite time; training for ever is fit(..., ridge=0)")
STEP = Domain(low=0, low_open=True, high_open=True, remedy="give a positive step, below 2 / (largest eigenvalue of S)")
STEPS = Domain(low=0, high_open=True, whole=True, remedy="give a whole number of steps")
FILTER_RIDGE = Domain(low=0, low_open=True, high_open=True, remedy="give a positive penalty, or fit(..., ridge=0)")
REFIT_RIDGE = Domain(
    low=0,
    low_open=True,
    high_open=True,
    remedy="give a finite ridge above 0; refits of least squares and of the null model change nothing: fit(..., ridge)",
)
REFIT_WEIGHT = Domain(low_open=True, high_open=True, remedy="give a finite weight of the fit's own predictions")
MOST_REFITS = 30  # as many as the contour serves
REFITS = Domain(
    low=0,
    high=MOST_REFITS,
    whole=True,
    remedy="give a whole number of refits; many of a weight between -1 and 1 come to fit(..., ridge / (1 - weight))",
)
FILTER_ROUNDS = Domain(low=1, high_open=True, whole=True, remedy="give at least one round, a whole number")


class Filter(Training):
    """A rule of training that is a spectral filter: its residual filter r(x)."""

    __slots__ = ()

    def residual(self, x):
        """r at real or complex x; arrays broadcast against the filter's own.

        >>> GradientDescent(step=0.5, steps=3).residual(1.0)
        np.float64(0.125)
        >>> complex(Ridge(0.1).residual(-0.1 + 0.1j))
        -1j
        """
        for name, value, _ in self.numbers:
            if free_symbols(value):
                raise TypeError(f"{name} = {value} has free symbols; give numbers")
        return np.asarray(self._residual(np.asarray(x), [evaluate(value, {}) for _, value, _ in self.numbers]))[()]

    @property
    def strength(self):
        """The ridge λ that learns a small eigenvalue x equally much, r(x) ≃ 1 − x/λ; inf for no training.

        Of refits that of each single one.

        >>> GradientFlow(time=4.0).strength, GradientDescent(step=0.5, steps=8).strength, IteratedRidge(1.0, 4).strength
        (np.float64(0.25), np.float64(0.25), np.float64(0.25))
        """
        learned = np.asarray(self._speed([evaluate(value, {}) for _, value, _ in self.numbers]), float)
        return np.divide(1, learned, out=np.full(learned.shape, np.inf), where=learned > 0)[()]

    def _residual(self, x, numbers):
        raise NotImplementedError

    def _speed(self, numbers):
        """1/strength."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GradientFlow(Filter):
    """Gradient flow from zero for a time t ≥ 0; t = 0 is the null model.

    >>> GradientFlow(-1.0)
    Traceback (most recent call last):
        ...
    ValueError: time = -1.0 is outside [0, inf); give a finite time; training for ever is fit(..., ridge=0)
    """

    time: object

    kind = "gradient-flow"
    domains: ClassVar = {"time": TIME}

    def _residual(self, x, numbers):
        (time,) = numbers
        return np.exp(-time * x)

    def _speed(self, numbers):
        (time,) = numbers
        return time


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GradientDescent(Filter):
    """`steps` full-batch steps of length `step` from zero; none is the null model.

    >>> GradientDescent(step=0.5, steps=3)
    GradientDescent(step=0.5, steps=3)
    """

    step: object
    steps: object

    kind = "gradient-descent"
    domains: ClassVar = {"step": STEP, "steps": STEPS}

    def _residual(self, x, numbers):
        step, steps = numbers
        return (1 - step * x) ** steps

    def _speed(self, numbers):
        step, steps = numbers
        return step * steps


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IteratedRidge(Filter):
    """Ridge fits on the residuals of the ridge fits before: `rounds` of them in all (iterated Tikhonov).

    >>> [round(float(IteratedRidge(ridge=0.3, rounds=k).residual(0.2)), 3) for k in (1, 2, 3)]  # (0.3/0.5)^k
    [0.6, 0.36, 0.216]
    """

    ridge: object
    rounds: object

    kind = "iterated-ridge"
    domains: ClassVar = {"ridge": FILTER_RIDGE, "rounds": FILTER_ROUNDS}

    def _residual(self, x, numbers):
        ridge, rounds = numbers
        return (ridge / (x + ridge)) ** rounds

    def _speed(self, numbers):
        ridge, rounds = numbers
        return rounds / ridge


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ridge(Filter):
    """One ridge fit, as a filter: what `fit(..., ridge=...)` computes by a shorter way."""

    ridge: object

    kind = "ridge"
    domains: ClassVar = {"ridge": FILTER_RIDGE}

    def _residual(self, x, numbers):
        (ridge,) = numbers
        return ridge / (x + ridge)

    def _speed(self, numbers):
        (ridge,) = numbers
        return 1 / ridge


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SelfDistillation(Filter):
    """A ridge fit that is refitted `rounds` times on labels that it wrote itself, for the same inputs.

    Each refit is a ridge fit at the same `ridge` on (1 − weight)·labels + weight·(predictions of the fit before), the
    labels being those of the first fit, noise included. Its residual filter is, with h = x/(x + λ) and ξ the weight,

        r(x) = (1 − h) (1 + ξh + … + (ξh)^rounds) .

    Parameters
    ----------
    ridge : λ > 0, of all fits
    weight : ξ, any real number. 0 is the ridge fit, 1 forgets the labels; above 1 a refit exaggerates what the fit
        before did, below 0 it takes part of the shrinkage back
    rounds : whole number of refits from 0, the ridge fit, to 30

    Raises ValueError for numbers outside their domain, TypeError for a wrong type. Derived here; ξ = 1 is
    self-distillation as in Mobahi, Farajtabar, Bartlett 2020 (arXiv 2002.05715), any ξ as in Das, Sanghavi 2023
    (arXiv 2301.13304).

    >>> float(SelfDistillation(ridge=0.3, weight=0.0).residual(0.2) - Ridge(0.3).residual(0.2))
    0.0
    >>> steep = SelfDistillation(ridge=0.3, weight=-1.0).residual(0.2)
    >>> bool(abs(steep - IteratedRidge(ridge=0.3, rounds=2).residual(0.2)) < 1e-15)
    True
    >>> often = SelfDistillation(ridge=0.3, weight=0.5, rounds=30).residual(0.2)
    >>> bool(abs(often - Ridge(0.3 / (1 - 0.5)).residual(0.2)) < 1e-9)      # many refits are another ridge
    True
    """

    ridge: object
    weight: object
    rounds: object = 1

    kind = "self-distillation"
    domains: ClassVar = {"ridge": REFIT_RIDGE, "weight": REFIT_WEIGHT, "rounds": REFITS}

    def _residual(self, x, numbers):
        ridge, weight, rounds = numbers
        total = x + ridge
        kept, term = weight * (x / total), ridge / total
        residual = term
        for i in range(1, int(np.max(rounds, initial=0)) + 1):
            term = np.where(i <= rounds, term * kept, 0)
            residual = residual + term
        return residual

    def _speed(self, numbers):
        """Of the first fit: what all refits share."""
        ridge, _, _ = numbers
        return 1 / ridge


def largest_eigenvalue(eigenvalues, multiplicity, samples):
    r"""Where the eigenvalues of S = XᵀX/T end: (edge, bound), each (...,).

    eigenvalues s_j, multiplicity (..., A), samples (...,). The edge of the limiting law (Silverstein and Choi 1995) is

    $$ \min_{y > s_1} y \Bigl(1 + \frac1T \sum_j \frac{\mu_j s_j}{y - s_j}\Bigr) \le s_1 (1 + \sqrt{d_{eff}/T})^2, \quad
       d_{eff} = \sum_j \mu_j s_j / s_1, $$

    the bound from y = s_1 (1 + √(d_eff/T)) and s_j ≤ s_1 under the fraction (derived here; an equality for isotropic
    spectra). The slope in y increases and is bisected between s_1 and that y; any y overestimates, so the result does.
    The largest eigenvalue of one S scatters about the edge by a relative T^{-2/3}.

    >>> edge, bound = largest_eigenvalue(np.ones(1), np.full(1, 100.0), 400)
    >>> bool(np.isclose(edge, 1.5**2) and np.isclose(bound, 1.5**2))
    True
    >>> edge, bound = largest_eigenvalue(np.array([1.0, 1e-3]), np.array([1.0, 1e4]), 400)
    >>> bool(edge < 0.97 * bound)
    True
    """
    samples = np.asarray(samples, float)
    top = np.max(np.where(multiplicity > 0, eigenvalues, 0), -1)
    relative = np.where(multiplicity > 0, eigenvalues, 0) / np.where(top > 0, top, 1)[..., None]
    high = np.sqrt(np.sum(multiplicity * relative, -1) / samples)
    bound, low, gap = (1 + high) ** 2, 0 * high, 1 - relative
    for _ in range(60):
        middle = (low + high) / 2
        slope = 1 - np.sum(multiplicity * (relative / (gap + middle[..., None])) ** 2, -1) / samples
        low, high = np.where(slope > 0, low, middle), np.where(slope > 0, middle, high)
    edge = (1 + high) * (1 + np.sum(multiplicity * relative / (gap + high[..., None]), -1) / samples)
    return top * np.minimum(edge, bound), top * bound


def refuse_unstable(step, eigenvalues, multiplicity, samples):
    """Raise ValueError where gradient descent does not converge: step > 2 / (largest eigenvalue of S).

    Shapes as in `largest_eigenvalue`; `step` broadcasts against samples.

    >>> refuse_unstable(1.0, np.ones(1), np.full(1, 100.0), 400)
    Traceback (most recent call last):
        ...
    ValueError: step = 1.0 is unstable: S has eigenvalues up to 2.25, so give a step of at most 0.8889 = 2 / 2.25 \
(a step up to 0.8889 = 2 / (s_1 (1 + sqrt(d_eff/T))^2) is stable on every spectrum of this trace)
    """
    edge, bound = largest_eigenvalue(eigenvalues, multiplicity, samples)
    step, edge, bound = np.broadcast_arrays(np.asarray(step, float), edge, bound)
    unstable = step * edge > 2 * (1 + 1e-12)
    if not unstable.any():
        return
    step, edge, bound = (float(x[unstable].flat[0]) for x in (step, edge, bound))
    raise ValueError(
        f"step = {step!r} is unstable: S has eigenvalues up to {edge:.4g}, so give a step of at most {2 / edge:.4g} = "
        f"2 / {edge:.4g} (a step up to {2 / bound:.4g} = 2 / (s_1 (1 + sqrt(d_eff/T))^2) is stable on every spectrum "
        "of this trace)"
    )
