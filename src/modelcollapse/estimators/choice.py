"""What a fit chose among its strengths, and what it chose by."""

from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.provenance.corrected_risk import Correction


class Choice(NamedTuple):
    """Strengths (L,), and of each the error on the labels at hand, the degrees of freedom and the corrected risk.

    at: place of the chosen one; criterion, correction: how it was chosen; excess: its error against the truth, None
    where nothing was corrected; notes: warnings.
    """

    strengths: np.ndarray
    error: np.ndarray
    degrees_of_freedom: np.ndarray
    risk: np.ndarray
    at: int
    criterion: str
    correction: Correction | None
    excess: float | None
    notes: list
