"""How long a walk takes on NumPy arrays, to a factor of three: what decides whether a question waits for the compiler.

An estimate by the problem alone, never by a clock: the same question always goes the same way and gives the same
digits. The costs were measured on one core: a kernel takes a few milliseconds whatever its size, and about a
microsecond for each point and atom.
"""

import numpy as np

from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    CleanAccumulateStep,
    CleanChainStep,
    FitStep,
    MixtureStep,
    SgdStep,
    SurrogateStep,
    TruthStep,
)

__all__ = ["effort_of"]


def effort_of(steps, points, atoms, symbols=0):
    """Estimated milliseconds of a walk over filled steps, with derivatives by so many symbols."""
    work = sum(_MILLISECONDS[type(step)](step, points, points * atoms / 1000) for step in steps)
    return work * (1 + symbols)


def _fit(step, points, thousands):
    if step.filter is not None:
        return 3 * points + 2 * thousands
    pairs = len(step.sources) ** 2
    shifted = 3 if len(step.sources) > 1 and any(source.shifted for source in step.sources) else 1
    judged = sum(source.keep is not None for source in step.sources)
    linked = sum(source.link is not None for source in step.sources)
    quadrature = 0.005 * (judged + linked) * points  # less than it takes: its kernels are slow to compile
    return (3 + 0.7 * thousands) * shifted + 0.1 * pairs * thousands + quadrature


def _repeated(fixed, each, per_thousand):
    def milliseconds(step, points, thousands):
        return fixed + float(np.max(step.numbers[0], initial=0)) * (each + per_thousand * thousands)

    return milliseconds


_MILLISECONDS = {
    TruthStep: lambda step, points, thousands: 0.0,
    SurrogateStep: lambda step, points, thousands: 0.1,
    MixtureStep: lambda step, points, thousands: 0.1 + 0.05 * len(step.coefficients) ** 2 * thousands,
    FitStep: _fit,
    SgdStep: lambda step, points, thousands: 0.5 * points + 2 * thousands,  # a third of what it takes: slow to compile
    ChainStep: _repeated(3, 0.1, 0.1),
    AccumulateStep: _repeated(3, 3, 1),
    CleanChainStep: _repeated(3, 0, 0),
    CleanAccumulateStep: _repeated(3, 0, 0),
}
