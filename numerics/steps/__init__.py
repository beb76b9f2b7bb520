"""One step of a pipeline: how it changes the first and second moments of the predictors."""

from modelcollapse.numerics.equivalents.shares import divide as ratio  # noqa: F401  (former names, until callers moved)
from modelcollapse.numerics.equivalents.shares import times  # noqa: F401
from modelcollapse.numerics.steps.fit import fit
from modelcollapse.numerics.steps.moments import (
    Atoms,
    Moments,
    combine,
    energy,
    energy_by_atom,
    mixture,
    readout,
    variance_of,
)
from modelcollapse.numerics.steps.repeated import accumulate, chain, clean_accumulate, clean_chain

__all__ = [
    "Atoms",
    "Moments",
    "accumulate",
    "chain",
    "clean_accumulate",
    "clean_chain",
    "combine",
    "energy",
    "energy_by_atom",
    "fit",
    "mixture",
    "readout",
    "variance_of",
]
