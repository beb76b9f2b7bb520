"""Spectral filters and one-pass SGD by their short name: `from modelcollapse.theory.filters import GradientFlow`."""

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
from modelcollapse.theory.pipelines.sgd import OnePassSGD, largest_step

__all__ = [
    "Filter",
    "GradientDescent",
    "GradientFlow",
    "IteratedRidge",
    "OnePassSGD",
    "Ridge",
    "SelfDistillation",
    "largest_eigenvalue",
    "largest_step",
    "refuse_unstable",
]
