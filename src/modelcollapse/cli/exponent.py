"""The best exponent of the ridge on a power law, and the rate at which the test error then falls.

With T samples, lambda = T^-ell, n = T^a generations of T0 = T^b samples and phi0 = d/T0 = T^-f. All exponents may
be grids; every combination is a row. With --ell the exponents of the error's parts at that ridge. --plot draws the
phase diagram over (a, b), or over (ell, r) with --ell, on the ranges of the grids given.
"""

import re

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
    parser.add_argument(
        "beta", type=_options.within("CAPACITY"), metavar="BETA", help="capacity: eigenvalues j^-BETA, BETA > 1"
    )
    parser.add_argument(
        "r",
        type=_options.within_grid("SOURCE_EXPONENT"),
        metavar="R",
        help="source: signal j^-(1+2*R*BETA), R > 0; a GRID",
    )
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
    ax = _drawn(arguments.beta, grids) if arguments.plot else None
    meshes = dict(zip(grids, np.meshgrid(*grids.values(), indexing="ij"), strict=True))
    varied = {name: mesh for name, mesh in meshes.items() if len(grids[name]) > 1 or name == "ell"}
    _output.report(_output.rows_of({**varied, **_law(arguments.beta, meshes)}), arguments)
    if ax is not None:
        _output.save_picture(ax, arguments.plot)


def _law(beta, numbers):
    """The optimal exponent, or the exponents at ell: columns by name."""
    import modelcollapse as mc

    setting = {f"{name}_exponent": numbers[name] for name in EXPONENTS}
    try:
        if "ell" in numbers:
            return vars(mc.scaling_exponents(beta, numbers["r"], numbers["ell"], **setting))
        return vars(mc.optimal_exponent(beta, numbers["r"], **setting))
    except ValueError as error:
        named = re.match(r"(\w+?)(?:_exponent)?\[[\d, ]*\] = ", str(error))
        if named is None:
            raise
        raise ValueError(f"--{named[1].replace('_', '-')}: {str(error)[named.end() :]}") from None


def _drawn(beta, grids):
    from modelcollapse import plot

    plane = ("ell", "r") if "ell" in grids else ("generations", "generator_samples")
    others = [name for name, grid in grids.items() if len(grid) > 1 and name not in plane]
    if others:
        raise ValueError(f"--{others[0].replace('_', '-')} is a grid; the picture is over {' and '.join(plane)} only")
    numbers = {name: grid[0] for name, grid in grids.items()}
    numbers |= {name: _range(name, grids[name], beta, numbers["aspect"]) for name in plane}
    numbers = {f"{name}_exponent" if name in EXPONENTS else name: value for name, value in numbers.items()}
    return plot.phase_diagram(beta, **numbers, pixels=PIXELS)


def _range(name, grid, beta, aspect):
    if len(grid) > 1:
        return min(grid), max(grid)
    low, high = RANGES[name]
    return max(low, aspect) if name == "generator_samples" else low, beta if high is None else high
