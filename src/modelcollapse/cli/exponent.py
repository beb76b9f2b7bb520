"""The best exponent of the ridge on a power law, and the rate at which the test error then falls.

With T samples, lambda = T^-ell, n = T^a generations of T0 = T^b samples and phi0 = d/T0 = T^-f. All exponents may
be grids; every combination is a row. With --ell the exponents of the error's parts at that ridge.
"""

from modelcollapse.cli import _options, _output

HELP = "scaling laws: the best ridge exponent on a power law"
EXAMPLE = "  modelcollapse exponent 1.5 0.5 --generations 0:0.5:6 --generator-samples 0.8"

EXPONENTS = {
    "generations": ("a", 0.0, "n = T^a; -inf is clean data (write --generations=-inf)"),
    "generator_samples": ("b", 1.0, "T0 = T^b"),
    "aspect": ("f", 0.0, "phi0 = T^-f"),
    "noise": ("s", 0.0, "sigma^2 = T^-s; inf is none"),
    "generator_noise": ("s0", 0.0, "sigma0^2 = T^-s0; inf is none"),
}


def options(parser):
    parser.add_argument("beta", type=float, metavar="BETA", help="capacity: eigenvalues j^-BETA, BETA > 1")
    parser.add_argument("r", type=float, metavar="R", help="source: signal j^-(1+2*R*BETA), R > 0")
    group = parser.add_argument_group("exponents of T", description=_options.GRID)
    for name, (letter, default, text) in EXPONENTS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}", type=_options.numbers, default=[default], metavar="GRID",
            help=f"{letter}: {text} (default: {default:g})",
        )  # fmt: skip
    group.add_argument("--ell", type=_options.numbers, metavar="GRID", help="lambda = T^-ell, instead of the best")
    parser.add_argument("--output", type=_options.table_path, metavar="FILE", help="write FILE.csv or FILE.json")


def run(arguments):
    import numpy as np

    import modelcollapse as mc

    axes = [getattr(arguments, name) for name in EXPONENTS] + ([arguments.ell] if arguments.ell else [])
    grids = np.meshgrid(*axes, indexing="ij")
    setting = {f"{name}_exponent": grid for name, grid in zip(EXPONENTS, grids, strict=False)}
    if arguments.ell:
        found = mc.scaling_exponents(arguments.beta, arguments.r, grids[-1], **setting)
        columns = {"ell": grids[-1], **vars(found)}
    else:
        columns = vars(mc.optimal_exponent(arguments.beta, arguments.r, **setting))
    varied = {name: setting[f"{name}_exponent"] for name in EXPONENTS if len(getattr(arguments, name)) > 1}
    _output.report(_output.rows_of({**varied, **columns}), arguments, vars(arguments))
