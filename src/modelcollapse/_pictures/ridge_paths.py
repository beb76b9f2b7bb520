"""Errors and criteria over the ridge, with the ridges that somebody picked."""

from collections.abc import Mapping

import numpy as np

from modelcollapse._pictures.style import column, finish, finite, labelled, on_axes

__all__ = ["ridge_path"]

_PICKS = (("o", "black"), ("X", "white"), ("*", "white"), ("^", "black"), ("s", "white"))


def ridge_path(
    ridges,
    curves=None,
    *,
    picks=None,
    xlabel="ridge λ (of the mean squared error)",
    ylabel=None,
    ax=None,
):
    """Test errors or selection criteria over the ridge, and marks where picked ridges stand.

    Parameters
    ----------
    ridges : array (L,), or `path_` of a fitted CollapseAwareRidge
        Only positive, finite ridges are drawn, on a logarithmic axis. Of a `path_` the corrected risk and GCV are
        drawn, and the ridges where they are smallest are picked: "recommended" and "chosen by GCV".
    curves : dict label -> Prediction or array (L,)
        Drawn first.
    picks : dict label -> ridge, or (ridges, heights)
        Marked on the first curve, or at the heights given; 0 and inf stand at the edges of the picture. The legend
        tells a single pick's height and ridge.
    xlabel, ylabel, ax : as for `error_curves`; ylabel defaults to the test error, of a `path_` to the error on noisy
        labels

    Returns
    -------
    Matplotlib Axes

    Raises
    ------
    ValueError where there is no curve, no positive ridge, or a curve of another length.

    Examples
    --------
    What GCV would pick on labels of a model costs more than the recommended ridge; both stand on the corrected risk:

    >>> import modelcollapse as mc
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 40)) * np.arange(1, 41) ** -0.5
    >>> y = X @ np.ones(40) + rng.standard_normal(100)
    >>> found = mc.CollapseAwareRidge(generations=10, generator_samples=80, generator_noise=0.3).fit(X, y)
    >>> ax = ridge_path(found.path_)
    >>> recommended, gcv = ax.get_lines()[2:]
    >>> [(round(float(x), 3), round(float(y), 2)) for line in (recommended, gcv) for x, y in [line.get_xydata()[0]]]
    [(0.059, 1.62), (0.01, 1.94)]
    """
    curves, picks = dict(curves or {}), dict(picks or {})
    if isinstance(ridges, Mapping):
        path, ylabel = ridges, ylabel or "predicted error, label noise included"
        curves |= {"corrected risk": path["corrected_risk"], "GCV": path["gcv"]}
        best = {"recommended": path["corrected_risk"], "chosen by GCV": path["gcv"]}
        picks = {label: path["ridge"][np.argmin(values)] for label, values in best.items()} | picks
        ridges = path["ridge"]
    ridges = column("ridges", ridges)
    drawn = (ridges > 0) & np.isfinite(ridges)
    if not curves or not np.any(drawn):
        raise ValueError(f"{len(curves)} curves over {np.sum(drawn)} positive ridges; give at least one of each")
    order = np.flatnonzero(drawn)[np.argsort(ridges[drawn])]
    x, ax = ridges[order], on_axes(ax)
    heights = [column(name, getattr(y, "test_error", y), len(ridges))[order] for name, y in curves.items()]
    for y, (label, (colour, _, line)) in zip(heights, labelled(curves).items(), strict=True):
        ax.plot(x, finite(y), color=colour, linestyle=line, linewidth=1.8, label=label)
    finish(ax, x, xlabel, ylabel or "test error")
    top = 0.0
    for (label, pick), (marker, fill) in zip(picks.items(), _PICKS * len(picks), strict=False):
        ridge, height = pick if np.ndim(pick) or isinstance(pick, tuple) else (pick, None)
        ridge = np.ravel(np.asarray(ridge, float))
        at = np.clip(ridge, x[0], x[-1])
        height = np.interp(np.log(at), np.log(x), heights[0]) if height is None else np.ravel(height)
        worth = f" ({height[0]:.3g} at λ = {ridge[0]:.2g})" if len(ridge) == 1 else ""
        ax.plot(at, height, marker, color="black", markerfacecolor=fill, markersize=11 if marker == "*" else 8,
                linestyle="none", label=f"{label}{worth}", zorder=5)  # fmt: skip
        top = max(top, np.max(height[np.isfinite(height)], initial=0.0))
    if ax.get_yscale() == "log" and top > 0:
        ax.set_ylim(top=min(ax.get_ylim()[1], 100 * top))
    ax.legend(frameon=False, fontsize="small")
    return ax
