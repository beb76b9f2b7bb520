"""Moved to `equivalents.features` and `steps.features`."""

from modelcollapse.numerics.equivalents.features import effective_ridge, unused  # noqa: F401
from modelcollapse.numerics.steps.features import feature_step  # noqa: F401
