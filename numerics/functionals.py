"""Moved to `equivalents.shares`."""

from modelcollapse.numerics.equivalents.shares import atom_sums, counted, degrees_of_freedom, in_range, samples_left, shares  # noqa: F401
