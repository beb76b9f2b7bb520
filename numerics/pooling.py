"""Moved to `steps.pooled`."""

from modelcollapse.numerics.steps.pooled import pooled, shares  # noqa: F401
