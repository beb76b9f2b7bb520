"""Predictions against measurements, point by point."""

import numpy as np

from modelcollapse._pictures.style import COLOURS, column, finish, on_axes

__all__ = ["agreement"]

_LOOKS = {
    "measured": ("o", COLOURS[0]),
    "agrees": ("o", COLOURS[0]),
    "undecided": ("s", COLOURS[1]),
    "disagrees": ("X", COLOURS[3]),
}


def agreement(prediction, estimate=None, standard_error=None, *, allowance=0.0, relative=False, ax=None):
    """Measured over predicted test errors, with bars of two standard errors, the identity and the allowance.

    Parameters
    ----------
    prediction : Agreement of `crosscheck`, list of them, or array (P,)
        Agreements bring their own estimates, standard errors, allowances and verdicts; points get colour and marker
        by verdict.
    estimate, standard_error : arrays (P,), where prediction is an array
    allowance : number or array (P,), the relative deviation that the theory is allowed, where prediction is an array
    relative : bool
        Divide everything by the prediction: differences of a per cent become visible.
    ax : as for `error_curves`

    Returns
    -------
    Matplotlib Axes. Points whose prediction, estimate or standard error is not finite are left out; the title counts
    them.

    Raises
    ------
    TypeError for an Agreement together with arrays, or an array alone; ValueError for arrays of different lengths.

    Examples
    --------
    >>> ax = agreement([1.0, 10.0], [1.02, 9.9], [0.02, 0.1], allowance=0.05)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['prediction', 'allowed deviation', 'measured, ± 2 standard errors']
    >>> ax.get_xscale(), ax.get_yscale()
    ('log', 'log')
    """
    first = prediction[0] if isinstance(prediction, list | tuple) and len(prediction) else prediction
    what = getattr(first, "metric", "test_error").replace("_", " ")
    predicted, measured, error, allowed, verdicts = _columns(prediction, estimate, standard_error, allowance)
    usable = np.isfinite(predicted) & (predicted > 0) & np.isfinite(measured) & np.isfinite(error)
    if not np.any(usable):
        raise ValueError(f"none of {len(usable)} points has a finite prediction and a finite standard error")
    predicted, measured, error, allowed, verdicts = (
        part[usable] for part in (predicted, measured, error, allowed, verdicts)
    )
    scale = predicted if relative else np.ones_like(predicted)
    ax = on_axes(ax, (5.6, 5.0))
    ends = np.array([np.min(predicted), np.max(predicted)]) * (0.9, 1.1)
    ax.plot(ends, [1, 1] if relative else ends, color="black", linewidth=0.9, label="prediction")
    low, high = (predicted * np.maximum(1 + sign * allowed, 0) / scale for sign in (-1, 1))
    if np.any(allowed > 0):
        ax.vlines(predicted, low, high, color="#999999", alpha=0.45, linewidth=7, label="allowed deviation", zorder=1)
    for name, (marker, colour) in _LOOKS.items():
        here = verdicts == name
        if np.any(here):
            ax.errorbar(
                predicted[here],
                measured[here] / scale[here],
                yerr=2 * error[here] / scale[here],
                color=colour,
                marker=marker,
                linestyle="none",
                markersize=6,
                markeredgecolor="white",
                markeredgewidth=0.6,
                capsize=3,
                label=f"{name}, ± 2 standard errors",
            )
    finish(ax, predicted, f"predicted {what}", "measured / predicted" if relative else f"measured {what}")
    if lost := np.sum(~usable):
        ax.set_title(f"{lost} of {len(usable)} points without finite numbers are not shown", fontsize="small")
    ax.legend(frameon=False, fontsize="small")
    return ax


def _columns(prediction, estimate, standard_error, allowance):
    """predicted, measured, standard error, allowance, verdict: flat arrays of one length."""
    if hasattr(prediction, "verdicts"):
        prediction = [prediction]
    first = prediction[0] if len(prediction) else None
    if hasattr(first, "verdicts"):
        if estimate is not None or standard_error is not None:
            raise TypeError("estimate and standard_error belong to arrays; an Agreement brings its own")
        parts = [one.to_dict() for one in prediction]
        names = ("predicted", "simulated", "standard_error", "allowance", "verdict")
        return [np.concatenate([part[name] for part in parts]) for name in names]
    if estimate is None or standard_error is None:
        raise TypeError("prediction is an array; give estimate and standard_error too, or an Agreement")
    predicted = column("prediction", np.ravel(prediction))
    arrays = {"estimate": estimate, "standard_error": standard_error}
    measured, error = (column(name, np.ravel(values), len(predicted)) for name, values in arrays.items())
    allowed = np.broadcast_to(np.ravel(np.asarray(allowance, float)), predicted.shape)
    return predicted, measured, error, allowed, np.full(len(predicted), "measured")
