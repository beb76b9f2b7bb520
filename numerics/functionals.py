"""Moved to `equivalents.shares`."""

from modelcollapse.numerics.equivalents.shares import (  # noqa: F401
    atom_sums,
    counted,
    degrees_of_freedom,
    in_range,
    samples_left,
    shares,
)
