"""Moved to `equivalents.sources` and `equivalents.shifted_sources`."""

from modelcollapse.numerics.equivalents.shares import times  # noqa: F401
from modelcollapse.numerics.equivalents.shifted_sources import several_sources, solve_soft  # noqa: F401
from modelcollapse.numerics.equivalents.sources import RidgeEquivalent as Trust  # noqa: F401
from modelcollapse.numerics.equivalents.sources import one_source, projections, shared_sources  # noqa: F401
