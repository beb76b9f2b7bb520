"""Errors of groups of rows: who is hurt by generations."""

from collections.abc import Mapping

import numpy as np

from modelcollapse._pictures.style import labelled, on_axes

__all__ = ["error_by_group"]


def error_by_group(groups, errors, *, ylabel="expected squared error", ax=None):
    """The mean error of every group of rows, one marker for each curve.

    Parameters
    ----------
    groups : array (rows,) of labels, numbers or text: the group of every row
    errors : dict label -> array (rows,), as `Prediction.by_row()` gives them, or one such array
    ylabel : name of the axis
    ax : Matplotlib Axes to draw on; None for a new figure

    Returns
    -------
    Matplotlib Axes; groups stand in the order of `numpy.unique`, with their numbers of rows.

    Raises
    ------
    ValueError for errors that have not one number for each row.

    Examples
    --------
    >>> ax = error_by_group(["a", "a", "b"], {"clean": [1.0, 3.0, 5.0]})
    >>> [line.get_ydata().tolist() for line in ax.get_lines()], [tick.get_text() for tick in ax.get_xticklabels()]
    ([[2.0, 5.0]], ['a\\n2 rows', 'b\\n1 row'])
    """
    ax = on_axes(ax)
    groups = np.asarray(groups)
    names, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    errors = errors if isinstance(errors, Mapping) else {"": errors}
    across = np.linspace(-0.15, 0.15, len(errors)) if len(errors) > 1 else [0.0]
    for (label, (colour, marker, _)), shift in zip(labelled(errors).items(), across, strict=True):
        values = np.asarray(errors[label], float)
        if values.shape != groups.shape:
            raise ValueError(
                f"errors[{label!r}] has shape {values.shape}; give one number for each of {len(groups)} rows"
            )
        means = np.bincount(place, values) / counts
        ax.plot(np.arange(len(names)) + shift, means, marker, color=colour, label=label or None, markersize=7)
    ax.set_xticks(
        np.arange(len(names)), [f"{n}\n{c} row{'s' if c > 1 else ''}" for n, c in zip(names, counts, strict=True)]
    )
    ax.set(ylabel=ylabel, ylim=(0, None), xlim=(-0.5, len(names) - 0.5))
    ax.grid(True, axis="y", alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if any(errors):
        ax.legend(frameon=False)
    return ax
