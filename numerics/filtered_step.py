"""Moved to `steps.filtered`."""

from modelcollapse.numerics.steps.filtered import (  # noqa: F401
    Equivalent,
    Filtered,
    equivalent,
    filtered,
    filtered_step,
    tolerance_of,
)
