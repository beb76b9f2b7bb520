"""Test error along a grid: predictions as lines, measurements beside them, or one prediction in its parts."""

from collections.abc import Mapping

import numpy as np

from modelcollapse._pictures.style import COLOURS, LINES, column, finish, finite, labelled, on_axes

__all__ = ["error_curves", "error_parts"]


def error_curves(x, curves, *, measured=None, bands=None, xlabel="samples", ylabel="test error", ax=None):
    """Predicted error curves, with measured errors beside them.

    Parameters
    ----------
    x : array (P,), drawn on a logarithmic axis if all of it is positive and it spans more than a factor of three
    curves : dict label -> Prediction or array (P,), or one such, drawn as lines; infinite errors leave a gap
    measured : dict label -> (values, standard errors) or (x, values, standard errors), drawn as markers with
        bars of two standard errors, in the colour of the curve with the same label
    bands : dict label -> (low, high), arrays (P,), shaded in the colour of the curve with that label
    xlabel, ylabel : names of the axes, with unit or scale
    ax : Matplotlib Axes to draw on; None for a new figure

    Returns
    -------
    Matplotlib Axes

    Raises
    ------
    ValueError for a curve or band that has not one number per point of x, and for a band without a curve. Markers stand
    for measurements only: predictions are told apart by colour and line.

    Examples
    --------
    >>> ax = error_curves([10, 100], {"clean": [1.0, 0.1]}, measured={"clean": ([1.1, 0.1], [0.1, 0.01])})
    >>> ax.get_xlabel(), ax.get_xscale(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('samples', 'log', ['clean'])
    >>> ax.get_lines()[0].get_ydata().tolist()
    [1.0, 0.1]
    """
    ax = on_axes(ax)
    x = column("x", x)
    curves = curves if isinstance(curves, Mapping) else {"": curves}
    styles = labelled(dict.fromkeys([*curves, *(measured or {})]))
    shown = {label: [] for label in styles}
    for label, curve in curves.items():
        y = column(label or "curve", getattr(curve, "test_error", curve), len(x))
        colour, _, line = styles[label]
        shown[label] += ax.plot(x, finite(y), color=colour, linestyle=line, linewidth=1.8)
    for label, edges in (bands or {}).items():
        if label not in curves:
            raise ValueError(f"bands has {label!r}, which is no curve; give one of {', '.join(map(repr, curves))}")
        low, high = (column(f"bands[{label!r}]", edge, len(x)) for edge in edges)
        ax.fill_between(x, low, high, color=styles[label][0], alpha=0.18, linewidth=0)
    for label, points in (measured or {}).items():
        at, mean, error = (np.asarray(part, float) for part in (points if len(points) == 3 else (x, *points)))
        colour, marker, _ = styles[label]
        shown[label].append(
            ax.errorbar(
                at, mean, yerr=2 * error, color=colour, marker=marker, linestyle="none", markersize=6,
                markeredgecolor="white", markeredgewidth=0.6, capsize=3,
            )
        )  # fmt: skip
    finish(ax, x, xlabel, ylabel)
    if not any(shown):  # one curve without a name
        return ax
    ax.legend(
        [tuple(handles) for handles in shown.values()],
        list(shown),
        frameon=False,
        title="line: predicted; points: measured, ± 2 standard errors" if measured else None,
        title_fontsize="small",
        alignment="left",
    )
    return ax


def error_parts(x, prediction, *, parts=("bias", "variance"), xlabel="samples", ylabel="test error", ax=None):
    """One error curve split into parts that add up to it: bias and variance, or clean and collapse.

    Parameters
    ----------
    x : array (P,)
    prediction : Prediction of shape (P,)
    parts : names of its attributes
    xlabel, ylabel, ax : as for `error_curves`

    Returns
    -------
    Matplotlib Axes

    Examples
    --------
    >>> import modelcollapse as mc
    >>> samples = np.geomspace(50, 5000, 20)
    >>> ax = error_parts(samples, mc.test_error(mc.power_law(1.5, 0.5), samples, ridge=1e-3, noise=0.1))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['test error', 'bias', 'variance']
    >>> ax.get_lines()[0].get_ydata()[[0, -1]].round(4)
    array([0.0156, 0.0009])
    """
    ax = on_axes(ax)
    x = column("x", x)
    total = column("test_error", prediction.test_error, len(x))
    ax.plot(x, finite(total), color="black", linewidth=1.8, label="test error")
    for part, colour, line in zip(parts, COLOURS, LINES[1:], strict=False):
        y = column(part, getattr(prediction, part), len(x))
        ax.plot(x, finite(y), color=colour, linestyle=line, linewidth=1.8, label=part)
    finish(ax, x, xlabel, ylabel)
    ax.legend(frameon=False)
    return ax
