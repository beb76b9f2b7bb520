"""The best exponent of the ridge on a power law, and the rate at which the test error then falls.

With T samples, lambda = T^-ell, n = T^a generations of T0 = T^b samples and phi0 = d/T0 = T^-f. All exponents may
be grids; every combination is a row. With --ell the exponents of the error's parts at that ridge. --plot draws the
phase diagram over (a, b), or over (ell, r) with --ell, on the ranges of the grids given.
"""

from typing import Any

from modelcollapse.cli import _options, _output

HELP = "scaling laws: the best ridge exponent on a power law, phase diagrams"
EXAMPLE = """  modelcollapse exponent 1.5 0.5 --generations 0:0.5:6 --generator-samples 0.8
  modelcollapse exponent 1.5 0.5 --plot phases.png"""

EXPONENTS = {
    "generations": ("a", 0.0, "n = T^a; -inf is clean data (write --generations=-inf)"),
    "generator_samples": ("b", 1.0, "T0 = T^b"),
    "aspect": ("f", 0.0, "phi0 = T^-f"),
    "noise": ("s", 0.0, "sigma^2 = T^-s; inf is none"),
    "generator_noise": ("s0", 0.0, "sigma0^2 = T^-s0; inf is none"),
}
RANGES = {"generations": (0.0, 1.0), "generator_samples": (0.0, 1.5), "ell": (0.0, None), "r": (0.05, 1.5)}
PIXELS = 201


def options(parser):
    parser.add_argument("beta", type=float, metavar="BETA", help="capacity: eigenvalues j^-BETA, BETA > 1")
    parser.add_argument("r", type=_options.numbers, metavar="R", help="source: signal j^-(1+2*R*BETA), R > 0; a GRID")
    group = parser.add_argument_group("exponents of T", description=_options.GRID)
    for name, (letter, default, text) in EXPONENTS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}", type=_options.numbers, default=[default], metavar="GRID",
            help=f"{letter}: {text} (default: {default:g})",
        )  # fmt: skip
    group.add_argument("--ell", type=_options.numbers, metavar="GRID", help="lambda = T^-ell, instead of the best")
    _options.output(parser)


def run(arguments):
    import numpy as np

    grids = {name: getattr(arguments, name) for name in ("r", *EXPONENTS)}
    if arguments.ell:
        grids["ell"] = arguments.ell
    if arguments.plot:
        _output.save_picture(_drawn(arguments.beta, grids), arguments.plot)
    meshes = dict(zip(grids, np.meshgrid(*grids.values(), indexing="ij"), strict=True))
    varied = {name: mesh for name, mesh in meshes.items() if len(grids[name]) > 1 or name == "ell"}
    _output.report(_output.rows_of({**varied, **_law(arguments.beta, meshes)}), arguments, vars(arguments))


def _law(beta, numbers):
    """The optimal exponent, or the exponents at ell: columns by name."""
    import modelcollapse as mc

    setting = {f"{name}_exponent": numbers[name] for name in EXPONENTS}
    if "ell" in numbers:
        return vars(mc.scaling_exponents(beta, numbers["r"], numbers["ell"], **setting))
    return vars(mc.optimal_exponent(beta, numbers["r"], **setting))


def _drawn(beta, grids):
    """Regimes as colours, the rate of the test error as contour lines."""
    import numpy as np

    from modelcollapse import plot
    from modelcollapse._extras import require

    plane = ("ell", "r") if "ell" in grids else ("generations", "generator_samples")
    others = [name for name, grid in grids.items() if len(grid) > 1 and name not in plane]
    if others:
        raise ValueError(f"--{others[0].replace('_', '-')} is a grid; the picture is over {' and '.join(plane)} only")
    numbers = {name: grid[0] for name, grid in grids.items()}
    axes = [np.linspace(*_range(name, grids[name], beta, numbers["aspect"]), PIXELS) for name in plane]
    numbers |= dict(zip(plane, np.meshgrid(*axes), strict=True))
    found: Any = _law(beta, numbers)
    rate, regimes = (-found["test_error"], found["dominant"]) if "ell" in grids else (found["rate"], found["binding"])
    return _phases(plot, require, plane, axes, rate, _names(regimes), beta, numbers)


def _range(name, grid, beta, aspect):
    if len(grid) > 1:
        return min(grid), max(grid)
    low, high = RANGES[name]
    return max(low, aspect) if name == "generator_samples" else low, beta if high is None else high


def _names(regimes):
    """One name for each regime: ties go to the last named, all floors are one regime."""
    import numpy as np

    last = [str(regime).split(" and ")[-1] for regime in regimes.flat]
    return np.where(np.char.startswith(regimes, "floor"), "nothing vanishes", np.reshape(last, regimes.shape))


def _phases(plot, require, plane, axes, rate, regimes, beta, numbers):
    import numpy as np

    colors, patches = (require(f"matplotlib.{name}", extra="plots") for name in ("colors", "patches"))
    known = ["label noise", "generator samples", "generator aspect", "bias", "generator noise", "capacity", "dimension"]
    palette = dict(zip(known, (*plot.COLOURS[:3], plot.COLOURS[5], *plot.COLOURS[3:5], plot.COLOURS[7]), strict=True))
    palette["nothing vanishes"] = "#777777"
    present = sorted(set(regimes.flat), key=list(palette).index)
    ax = plot.figure.Figure(figsize=(6.4, 4.8), dpi=150, layout="constrained").add_subplot()
    index = np.vectorize(present.index)(regimes)
    colours = colors.ListedColormap([palette[name] for name in present])
    ax.pcolormesh(*axes, index, cmap=colours, vmin=-0.5, vmax=len(present) - 0.5, alpha=0.45, rasterized=True)
    if np.ptp(rate) > 0:
        vanishing = np.ma.masked_where(regimes == "nothing vanishes", rate)
        lines = ax.contour(*axes, vanishing, levels=10, colors="black", linewidths=0.7)
        ax.clabel(lines, fontsize=7, fmt="%.2g")
    names = {"generations": "a  (n = T^a generations)", "generator_samples": "b  (T0 = T^b samples per generation)",
             "ell": "ℓ  (λ = T^-ℓ)", "r": "r  (source)"}  # fmt: skip
    ax.set(xlabel=names[plane[0]], ylabel=names[plane[1]])
    what = "dominant part of the test error" if "ell" in plane else "what limits the best rate"
    fixed = ["β"] + ["r"] * ("r" not in plane)
    values = [beta] + [numbers["r"]] * ("r" not in plane)
    values += [numbers[name] for name in EXPONENTS if name not in plane]
    fixed += [EXPONENTS[name][0] for name in EXPONENTS if name not in plane]
    ax.set_title(", ".join(f"{name} = {value:g}" for name, value in zip(fixed, values, strict=True)), fontsize="medium")
    handles = [patches.Patch(color=palette[name], alpha=0.45, label=name) for name in present]
    ax.figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 4), frameon=False, fontsize="small",
        title=f"colour: {what}; lines: exponent of its decay", title_fontsize="small",
    )  # fmt: skip
    return ax
