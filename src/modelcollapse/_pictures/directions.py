"""Where the error sits: what is lost of the signal, and what noise was gained, by eigendirection."""

import numpy as np

from modelcollapse._pictures.style import finish, labelled, on_axes

__all__ = ["directions"]


def directions(parts, *, of="bias", ax=None):
    """Bias or variance by eigendirection, as a share of the signal there.

    Parameters
    ----------
    parts : dict label -> Directions of one prediction, as `Prediction.by_direction()` gives them, or one such
    of : "bias", the share of the signal that is lost; "variance", noise over signal; "test_error", their sum
    ax : Matplotlib Axes to draw on; None for a new figure

    Returns
    -------
    Matplotlib Axes, the largest eigenvalues on the left. Directions without signal are left out.

    Raises
    ------
    ValueError for directions of a whole grid, and for an unknown part.

    Examples
    --------
    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.power_law(1.5, 0.5, dim=100))
    >>> models = {n: mc.fit(mc.chain(w0, n, 60, 0.0).label(400), ridge=1e-4) for n in (0, 5)}
    >>> ax = directions({f"n = {n}": mc.predict(model).by_direction() for n, model in models.items()})
    >>> clean, fake = (line.get_ydata() for line in ax.get_lines())
    >>> bool(np.all(fake > clean)), fake[[0, -1]].round(2)               # more is lost, and tails vanish first
    (True, array([0.  , 0.99]))
    """
    if of not in ("bias", "variance", "test_error"):
        raise ValueError(f"of = {of!r} is unknown; give 'bias', 'variance' or 'test_error'")
    parts = parts if isinstance(parts, dict) else {"": parts}
    ax = on_axes(ax)
    for (label, here), (colour, _, line) in zip(parts.items(), labelled(parts).values(), strict=True):
        height = np.asarray(getattr(here, of), float)
        if height.ndim != 1:
            raise ValueError(f"parts[{label!r}] has shape {height.shape}; give the directions of one prediction")
        shown = (here.eigenvalues > 0) & (here.signal > 0)
        order = np.argsort(-here.eigenvalues[shown])
        share = (height[shown] / here.signal[shown])[order]
        ax.plot(here.eigenvalues[shown][order], share, color=colour, linestyle=line, linewidth=1.8, label=label)
    names = {"bias": "share of the signal that is lost", "variance": "noise / signal", "test_error": "error / signal"}
    finish(ax, np.concatenate([line.get_xdata() for line in ax.get_lines()]), "eigenvalue of the inputs", names[of])
    if of == "bias":
        ax.set_yscale("linear")
        ax.set_ylim(-0.02, 1.02)
    if not ax.xaxis_inverted():
        ax.invert_xaxis()
    if any(parts):
        ax.legend(frameon=False)
    return ax
