"""Moved to `equivalents.ridge_equation`."""

from modelcollapse.numerics.equivalents.ridge_equation import ITERATIONS, Root, root, solve  # noqa: F401
