"""Pictures of test errors. Every function draws on a Matplotlib Axes and returns it.

    import modelcollapse as mc
    ax = mc.plot.error_curves(samples, {"clean": clean, "5 generations": fake})
    ax.figure.savefig("curves.png")

Without `ax` a new figure is made outside pyplot, so that nothing stays open and no backend is chosen.
Colours are Okabe and Ito's, which the colour-blind tell apart; every curve also has its own marker and line.
"""

import numpy as np

from modelcollapse._extras import require

figure = require("matplotlib.figure", extra="plots")
ticker = require("matplotlib.ticker", extra="plots")

__all__ = ["COLOURS", "error_curves", "error_parts"]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
_MARKERS = "osD^vP*X"
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 2, 2)))


def error_curves(x, curves, *, measured=None, bands=None, xlabel="samples", ylabel="test error", ax=None):
    """Predicted error curves, with measured errors beside them.

    Parameters
    ----------
    x : array (P,), drawn on a logarithmic axis if all of it is positive
    curves : dict label -> Prediction or array (P,), drawn as lines; infinite errors leave a gap
    measured : dict label -> (values, standard errors) or (x, values, standard errors), drawn as markers with
        bars of two standard errors, in the colour of the curve with the same label
    bands : dict label -> (low, high), shaded in the colour of the curve

    >>> ax = error_curves([10, 100], {"clean": [1.0, 0.1]}, measured={"clean": ([1.1, 0.1], [0.1, 0.01])})
    >>> ax.get_xlabel(), ax.get_xscale(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('samples', 'log', ['clean'])
    """
    ax = _axes(ax)
    x = _column("x", x)
    labels = list(dict.fromkeys([*curves, *(measured or {})]))
    styles = {
        label: (COLOURS[i % 8], _MARKERS[i % 8], _LINES[(i + i // 8) % 8]) for i, label in enumerate(labels)
    }
    shown = {label: [] for label in labels}
    for label, curve in curves.items():
        y = _column(label, getattr(curve, "test_error", curve), len(x))
        colour, marker, line = styles[label]
        shown[label] += ax.plot(
            x,
            np.where(np.isinf(y), np.nan, y),
            color=colour,
            linestyle=line,
            linewidth=1.8,
            marker=None if measured else marker,
            markersize=4,
            markevery=max(1, len(x) // 12),
        )
    for label, (low, high) in (bands or {}).items():
        ax.fill_between(x, low, high, color=styles[label][0], alpha=0.18, linewidth=0)
    for label, points in (measured or {}).items():
        at, mean, error = (np.asarray(part, float) for part in (points if len(points) == 3 else (x, *points)))
        colour, marker, _ = styles[label]
        shown[label].append(
            ax.errorbar(
                at,
                mean,
                yerr=2 * error,
                color=colour,
                marker=marker,
                linestyle="none",
                markersize=6,
                markeredgecolor="white",
                markeredgewidth=0.6,
                capsize=3,
            )
        )
    _finish(ax, x, xlabel, ylabel)
    title = "line: predicted; points: measured, ± 2 standard errors" if measured else None
    ax.legend(
        [tuple(handles) for handles in shown.values()],
        labels,
        frameon=False,
        title=title,
        title_fontsize="small",
        alignment="left",
    )
    return ax


def error_parts(x, prediction, *, parts=("bias", "variance"), xlabel="samples", ylabel="test error", ax=None):
    """One error curve split into parts that add up to it: bias and variance, or clean and collapse.

    >>> import modelcollapse as mc
    >>> samples = np.geomspace(50, 5000, 20)
    >>> ax = error_parts(samples, mc.test_error(mc.power_law(1.5, 0.5), samples, ridge=1e-3, noise=0.1))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['test error', 'bias', 'variance']
    """
    ax = _axes(ax)
    x = _column("x", x)
    total = _column("test_error", prediction.test_error, len(x))
    ax.plot(x, np.where(np.isinf(total), np.nan, total), color="black", linewidth=1.8, label="test error")
    for part, colour, line in zip(parts, COLOURS, _LINES[1:], strict=False):
        y = _column(part, getattr(prediction, part), len(x))
        ax.plot(x, np.where(np.isinf(y), np.nan, y), color=colour, linestyle=line, linewidth=1.8, label=part)
    _finish(ax, x, xlabel, ylabel)
    ax.legend(frameon=False)
    return ax


def _axes(ax):
    return (
        figure.Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained").add_subplot() if ax is None else ax
    )


def _column(name, values, length=None):
    column = np.asarray(values, float)
    if column.ndim != 1 or (length is not None and len(column) != length):
        wanted = f"{length} numbers, one per point of x" if length is not None else "a one-dimensional grid"
        raise ValueError(f"{name} has shape {column.shape}; give {wanted}")
    return column


def _finish(ax, x, xlabel, ylabel):
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
