"""Predictions beside simulations of n-fold fake data, with a verdict at every point of the grid."""

from modelcollapse.cli import _options, _output

HELP = "predictions beside simulations, with verdicts"
EXAMPLE = """  modelcollapse crosscheck --isotropic 100 --samples 150,300 --ridge 0.1 --generations 0,3 \\
      --generator-samples 200 --generator-ridge 0"""


def options(parser):
    parser.usage = "%(prog)s (--isotropic DIM | --power-law BETA R DIM) [option ...]"
    _options.problem(parser, data=False)
    _options.fits(parser, ("100:400:3log", "100:400:3log"))
    group = parser.add_argument_group("the simulation")
    group.add_argument("--trials", type=_options.within("TWO"), default=400, help="runs per point (default: 400)")
    group.add_argument("--seed", type=_options.within("SEED"), default=0, help="(default: %(default)s)")
    group.add_argument("--budget", type=_options.within("SHARE"), default=0.01, metavar="P",
                       help="probability of calling a correct theory wrong (default: %(default)s)")  # fmt: skip
    group.add_argument("--workers", type=_options.within("COUNT"), default=1, metavar="N", help="threads (default: 1)")
    group.add_argument("--client", metavar="ADDRESS", help="of a dask.distributed scheduler: tcp://...")
    _options.output(parser)


def run(arguments):
    import numpy as np

    import modelcollapse as mc

    generations, samples, ridge = np.meshgrid(arguments.generations, arguments.samples, arguments.ridge, indexing="ij")
    T0, ridge0, noise0 = _options.generator_of(arguments, arguments.samples[0])
    labels = mc.chain(mc.truth(_options.spectrum_of(arguments)), generations, T0, noise0, ridge0)
    model = mc.fit(labels.label(samples, arguments.noise), ridge=ridge)
    client = _client(arguments.client) if arguments.client else None
    with _output.progress("simulating") as advance:
        found = mc.crosscheck(
            model, arguments.trials, arguments.seed, budget=arguments.budget, workers=arguments.workers,
            client=client, progress=advance,
        )  # fmt: skip
    columns = {"generations": generations.ravel(), "samples": samples.ravel(), "ridge": ridge.ravel()}
    columns |= {name: column for name, column in found.to_dict().items() if name != "pipeline"}
    _output.report(_output.rows_of(columns), arguments)
    print(f"{found.verdict}; a correct theory is rejected with probability {arguments.budget:g}")
    if arguments.plot:
        from modelcollapse import plot

        _output.save_picture(plot.agreement(found, relative=True), arguments.plot)


def _client(address):
    from modelcollapse._extras import require

    return require("distributed", extra="distributed").Client(address, timeout="10s")
