"""Phase diagrams of the scaling laws: which part of the test error rules where."""

from typing import Any

import numpy as np

from modelcollapse._extras import require
from modelcollapse._pictures.style import COLOURS, on_axes
from modelcollapse.theory.scaling import optimal_exponent, scaling_exponents

__all__ = ["phase_diagram"]

_AXES = {  # argument: letter, what it is
    "ell": ("ℓ", r"$\lambda = T^{-\ell}$"),
    "generations_exponent": ("a", "$n = T^a$ generations"),
    "generator_samples_exponent": ("b", "$T_0 = T^b$ samples per generation"),
    "aspect_exponent": ("f", r"$d/T_0 = T^{-f}$"),
    "noise_exponent": ("s", r"$\sigma^2 = T^{-s}$"),
    "generator_noise_exponent": ("s0", r"$\sigma_0^2 = T^{-s_0}$"),
    "beta": ("β", r"capacity, eigenvalues $j^{-\beta}$"),
    "r": ("r", "source"),
}
_NOTHING = "nothing vanishes"
_COLOURS = {
    "label noise": COLOURS[0],
    "generator samples": COLOURS[1],
    "generator aspect": COLOURS[2],
    "bias": COLOURS[7],
    "generator noise": COLOURS[3],
    "capacity": COLOURS[4],
    "dimension": COLOURS[5],
    _NOTHING: "#333333",
}
_ALPHA = 0.45


def phase_diagram(
    beta,
    r,
    *,
    ell=None,
    generations_exponent=None,
    generator_samples_exponent=None,
    aspect_exponent=0.0,
    noise_exponent=0.0,
    generator_noise_exponent=0.0,
    pixels=201,
    ax=None,
):
    """Regimes of the scaling laws over two exponents, as colours; how fast the test error falls, as contour lines.

    Where several bounds tie, the last named has its colour.

    Parameters
    ----------
    beta, r, generations_exponent, ... : number, or (low, high)
        As in `optimal_exponent`. The two that are ranges are the axes of the picture. Where none is, these are the
        generations, T^0 to T^1, over the generators' samples, up to T^1.5.
    ell : None, number, or (low, high)
        None: what limits the rate at the best ridge (`optimal_exponent`). Otherwise which part of the test error is
        the largest at λ = T^-ell (`scaling_exponents`).
    pixels : int, points along each axis
    ax : as for `error_curves`

    Returns
    -------
    Matplotlib Axes

    Raises
    ------
    ValueError unless none or two of the numbers are ranges; as `optimal_exponent` does outside the laws' domain.

    Examples
    --------
    Generations that multiply faster than the samples they learn from leave nothing to gain:

    >>> ax = phase_diagram(1.5, 0.5)
    >>> ax.get_xlabel()
    'a   ($n = T^a$ generations)'
    >>> [text.get_text() for text in ax.figure.legends[0].get_texts()]
    ['generator samples', 'generator aspect', 'nothing vanishes']
    >>> [float(a) for a in ax.get_xlim()]
    [-0.0025, 1.0025]
    """
    numbers: dict[str, Any] = {
        "ell": ell,
        "generations_exponent": generations_exponent,
        "generator_samples_exponent": generator_samples_exponent,
        "aspect_exponent": aspect_exponent,
        "noise_exponent": noise_exponent,
        "generator_noise_exponent": generator_noise_exponent,
        "beta": beta,
        "r": r,
    }
    numbers, plane = _setting(numbers)
    axes = [np.linspace(numbers[name][0], numbers[name][1], pixels) for name in plane]
    fixed = {name: value for name, value in numbers.items() if name not in plane and value is not None}
    rate, regimes = _law(numbers | dict(zip(plane, np.meshgrid(*axes), strict=True)))

    colors, patches = (require(f"matplotlib.{name}", extra="plots") for name in ("colors", "patches"))
    own, ax = ax is None, on_axes(ax, (6.4, 4.8))
    present = [name for name in _COLOURS if np.any(regimes == name)]
    index = np.select([regimes == name for name in present], range(len(present)))
    colours = colors.ListedColormap([_COLOURS[name] for name in present])
    ax.pcolormesh(*axes, index, cmap=colours, vmin=-0.5, vmax=len(present) - 0.5, alpha=_ALPHA, rasterized=True)
    if np.ptp(rate) > 0:
        falling = np.ma.masked_where(regimes == _NOTHING, rate)
        lines = ax.contour(*axes, falling, levels=10, colors="black", linewidths=0.7)
        ax.clabel(lines, fontsize=7, fmt="%.2g")
    for place in range(len(present) - 1):
        ax.contour(*axes, index, levels=[place + 0.5], colors="black", linewidths=1.8)
    names = ["{}   ({})".format(*_AXES[name]) for name in plane]
    ax.set(xlabel=names[0], ylabel=names[1])
    first = [name for name in ("beta", "r") if name in fixed]
    order = [*first, *(name for name in fixed if name not in first)]
    ax.set_title(", ".join(f"{_AXES[name][0]} = {fixed[name]:.3g}" for name in order), fontsize="medium")
    what = "what limits the best rate" if ell is None else "largest part of the test error"
    place = {"loc": "outside lower center"} if own else {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16)}
    (ax.figure if own else ax).legend(
        handles=[patches.Patch(color=_COLOURS[name], alpha=_ALPHA, label=name) for name in present],
        ncols=min(len(present), 4 if own else 2),
        frameon=False,
        fontsize="small",
        title=f"colour: {what}; lines: exponent c of its decay $T^{{-c}}$",
        title_fontsize="small",
        **place,
    )
    return ax


def _setting(numbers: dict[str, Any]):
    """All numbers and ranges, and the names of the two ranges."""
    ranges = [name for name, value in numbers.items() if np.ndim(value)]
    if not ranges and numbers["ell"] is None:
        ranges = ["generations_exponent", "generator_samples_exponent"]
        given = [numbers[name] for name in ranges]
        if any(value is not None for value in given):
            raise ValueError(f"generations_exponent, generator_samples_exponent = {given}; give both as (low, high)")
        usual = (0.0, 1.0), (float(numbers["aspect_exponent"]), 1.5)
    else:
        usual = 0.0, 1.0
    defaults: dict[str, Any] = dict(zip(("generations_exponent", "generator_samples_exponent"), usual, strict=True))
    numbers = {name: defaults.get(name) if v is None else v for name, v in numbers.items()}
    if len(ranges) != 2:
        raise ValueError(f"{len(ranges)} ranges ({', '.join(ranges) or 'none'}); give two numbers as (low, high)")
    for name in ranges:
        if np.shape(numbers[name]) != (2,) or not numbers[name][0] < numbers[name][1]:
            raise ValueError(f"{name} = {numbers[name]!r} is no range; give (low, high) with low < high")
    return numbers, ranges


def _law(numbers):
    """The exponent of the error's decay and one name for each regime: ties go to the last, all floors are one."""
    at_ridge = numbers["ell"] is not None
    if at_ridge:
        found = scaling_exponents(**numbers)
        rate, names = -np.asarray(found.test_error), np.asarray(found.dominant)
    else:
        found = optimal_exponent(**{name: value for name, value in numbers.items() if name != "ell"})
        rate, names = np.asarray(found.rate), np.asarray(found.binding)
    last = np.reshape([str(name).split(" and ")[-1] for name in names.flat], names.shape)
    return rate, np.where(np.char.startswith(names, "floor"), _NOTHING, last)
