"""What a loop forgets: a number over generations, and frequencies by rank before and after."""

from collections.abc import Mapping

import numpy as np

from modelcollapse._pictures.curves import error_curves
from modelcollapse._pictures.style import COLOURS, MARKERS, finish, on_axes

__all__ = ["modes_left", "rank_frequency"]

_NAMES = {
    "alive": "modes alive",
    "missing_mass": "missing mass",
    "entropy": "entropy (nats)",
    "divergence": "divergence (nats)",
    "diversity": "diversity",
    "founders": "founders",
}


def modes_left(loops, *, number="alive", simulated=None, ax=None):
    """A number of one or several loops over their generations (rounds of a pool).

    Parameters
    ----------
    loops : Loop with a one-dimensional grid of generations, or dict label -> Loop
    number : "alive", "missing_mass", "entropy", "divergence", "diversity" or "founders"
    simulated : dict label -> what `Loop.simulate` gave, drawn as points with two standard errors
    ax : Matplotlib Axes to draw on; None for a new figure

    Returns
    -------
    Matplotlib Axes. Raises ValueError for another number, and for a loop without such a grid.

    Examples
    --------
    >>> import modelcollapse as mc
    >>> law, k = mc.modes.zipf(1.5), [1, 2, 5, 10, 30]
    >>> ax = modes_left({"replace": mc.modes.replace(law, k, 1000), "10 % real": mc.modes.mix(law, k, 1000, 0.1)})
    >>> ax.get_ylabel(), ax.get_lines()[0].get_ydata().round(1)
    ('modes alive', array([140.7, 103.6,  64.5,  43.3,  21.9]))
    """
    if number not in _NAMES:
        raise ValueError(f"number = {number!r} is none of {', '.join(_NAMES)}")
    loops = loops if isinstance(loops, Mapping) else {"": loops}
    first = next(iter(loops.values()))
    axis = "rounds" if hasattr(first, "rounds") else "generations"
    x = np.asarray(getattr(first, axis, 0), float)
    for label, loop in loops.items():
        given = np.asarray(getattr(loop, "rounds", getattr(loop, "generations", 0)), float)
        if given.ndim != 1 or loop.shape != given.shape or not np.array_equal(given, x):
            raise ValueError(f"the loop {label!r} is {loop!r}; give every loop one and the same list of generations")
    curves = {label: _read(loop, number) for label, loop in loops.items()}
    measured = {label: getattr(found, number) for label, found in (simulated or {}).items()}
    points = {label: (found.mean, found.standard_error) for label, found in measured.items()}
    return error_curves(x, curves, measured=points or None, xlabel=axis, ylabel=_NAMES[number], ax=ax)


def _read(loop, number):
    if number == "founders":
        return loop.founders.mean
    return loop.missing_mass() if number == "missing_mass" else getattr(loop, number)


def rank_frequency(loop, *, seed=0, ax=None):
    """Frequencies by rank: the law's as a line, those that one run of the loop left as points.

    Parameters
    ----------
    loop : Loop without grids
    seed : of the run
    ax : Matplotlib Axes to draw on; None for a new figure

    Returns
    -------
    Matplotlib Axes. Raises ValueError for a loop with a grid.

    Examples
    --------
    >>> import modelcollapse as mc
    >>> ax = rank_frequency(mc.modes.replace(mc.modes.zipf(1.5), 10, 1000))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['the law', 'one run of replace(zipf(1.5), generations=10, samples=1000)']
    """
    from modelcollapse.validation.modes.simulation import one_run

    if loop.shape:
        raise ValueError(f"{loop!r} is a grid of shape {loop.shape}; give one loop")
    left, law = one_run(loop, seed)
    ax = on_axes(ax)
    ranks = np.arange(1.0, len(law) + 1)
    ax.plot(ranks, law, color=COLOURS[0], linewidth=1.8, label="the law")
    ax.plot(
        np.arange(1.0, len(left) + 1), left, color=COLOURS[3], marker=MARKERS[0], markersize=3.5, linestyle="none",
        label=f"one run of {loop!r}",
    )  # fmt: skip
    finish(ax, ranks, "rank", "frequency")
    ax.legend(frameon=False)
    return ax
