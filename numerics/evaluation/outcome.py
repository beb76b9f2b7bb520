"""What every door says of its numbers: their ranges, and one sentence for each fault where one was not found."""

from typing import Any

import numpy as np

__all__ = ["all_found", "require_finite", "require_found", "shown"]


def shown(**grids):
    """Grids of numbers in one line: the shape of the last, and the range of each; an empty grid has none."""
    shapes = ["x".join(map(str, np.shape(x))) for x in grids.values()]
    ranges = [f"{name}={np.min(x):.4g}..{np.max(x):.4g}" for name, x in grids.items() if np.size(x)]
    return f"{shapes[-1]} grid" + f": {', '.join(ranges)}" * bool(ranges)


def all_found(flags):
    """Whether every root was found, of all steps."""
    found: Any = np.array(True)
    for flag in flags:
        found = found & np.asarray(flag)
    return found


def require_found(converged, shape=None):
    """Raise RuntimeError where an effective ridge was not found; `converged` are flags over a grid of that shape."""
    converged = np.asarray(converged, bool)
    if converged.all():
        return
    if shape is not None and converged.shape != shape:
        converged = np.broadcast_to(converged, shape)
    where = f" (the first at {np.argwhere(~converged)[0].tolist()})" if converged.ndim else ""
    raise RuntimeError(
        f"the effective ridge was not found at {np.sum(~converged)} of {converged.size} grid points{where}; "
        "a ridge further from zero, or samples further from the dimension, may help"
    )


def require_finite(*errors, what="the test error"):
    """Raise RuntimeError where one of some numbers, called `what`, is not a number."""
    lost = np.logical_or.reduce(np.broadcast_arrays(*map(np.isnan, errors)))
    if lost.any():
        raise RuntimeError(
            f"{what} is not a number at grid point {np.argwhere(lost)[0].tolist()}: either some quantity "
            "left the range or the digits of double precision (rescale the eigenvalues, or move the ridge or the noise "
            "away from the extremes), or a model of infinite variance writes labels through a link (give it a ridge, "
            "or samples further from the dimension)"
        )
