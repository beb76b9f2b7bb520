"""The test error and its derivatives on any population: what optimisers and `gradient` ask."""

from modelcollapse.numerics.evaluation.traced import Slopes
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["error_slopes"]


def error_slopes(model, over, values, start):
    """The Slopes of a model, or PointSlopes on a dense population."""
    if isinstance(model.spectrum, Spectrum):
        return Slopes(model, over, values, start)
    from modelcollapse.numerics.evaluation.point_by_point import PointSlopes

    return PointSlopes(model, over, values, start)
