"""What all pictures share: colours, markers and lines, axes and their scales.

Colours are Okabe and Ito's, which the colour-blind tell apart; every curve also has its own marker and line.
"""

import numpy as np

from modelcollapse._extras import require

figure = require("matplotlib.figure", extra="plots")
ticker = require("matplotlib.ticker", extra="plots")

__all__ = ["COLOURS", "LINES", "MARKERS", "column", "finish", "labelled", "on_axes"]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD^vP*X"
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 2, 2)))


def on_axes(ax, size=(6.4, 4.4)):
    """The axes to draw on: those given, or those of a new figure outside pyplot."""
    return figure.Figure(figsize=size, dpi=150, layout="constrained").add_subplot() if ax is None else ax


def column(name, values, length=None):
    """Numbers as a float column, of a given length if there is one."""
    values = np.asarray(values, float)
    if values.ndim != 1 or (length is not None and len(values) != length):
        wanted = f"{length} numbers, one per point of x" if length is not None else "a one-dimensional grid"
        raise ValueError(f"{name} has shape {values.shape}; give {wanted}")
    return values


def finite(values):
    """Infinite heights leave a gap."""
    return np.where(np.isfinite(values), values, np.nan)


def labelled(labels):
    """label -> (colour, marker, line), different for every label of the first 64."""
    return {label: (COLOURS[i % 8], MARKERS[i % 8], LINES[(i + i // 8) % 8]) for i, label in enumerate(labels)}


def finish(ax, x, xlabel, ylabel):
    """Names and scales: logarithmic where the numbers are positive and span more than a factor of three."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if np.all(x > 0) and np.max(x) > 3 * np.min(x):
        _logarithmic(ax.xaxis, x)
    heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.get_lines()])
    heights = heights[np.isfinite(heights)]
    if heights.size and np.min(heights) > 0 and np.max(heights) > 3 * np.min(heights):
        _logarithmic(ax.yaxis, heights)
    ax.grid(True, which="major", alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def _logarithmic(axis, values):
    """A logarithmic axis; below two and a half decades its ticks are 1, 2, 5 as plain numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    if np.max(values) < 300 * np.min(values):
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axis.set_minor_formatter(ticker.NullFormatter())
