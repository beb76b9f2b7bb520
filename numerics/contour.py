"""Moved to `equivalents.contour`."""

from modelcollapse.numerics.equivalents.contour import (  # noqa: F401
    FEW,
    Contour,
    complex_ridge,
    contour,
    hankel,
    quadrature_error,
    residuals,
    samples_left,
)
