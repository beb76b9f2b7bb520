"""The spectral filters by their short name: `from modelcollapse.theory.filters import GradientFlow`."""

from modelcollapse.theory.pipelines.filters import (
    Filter,
    GradientDescent,
    GradientFlow,
    IteratedRidge,
    Ridge,
    SelfDistillation,
    largest_eigenvalue,
    refuse_unstable,
)

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
