"""Classes on the command line: how labels become classes, which rows are kept, and the error rates that follow."""

from modelcollapse.cli import _options, _output

__all__ = ["error_rates", "options", "require_spectrum"]


def options(parser):
    group = parser.add_argument_group(
        "classes",
        "Every model labels by classes +1 and -1, and so does the truth; the curve shows the error rate of the last "
        "fit. --noise is added to these labels.",
    )
    add = group.add_argument
    add("--classes", action="store_true", help="labels are the sign of the score")
    add("--flips", type=_options.within("FLIPS"), metavar="CHANCE", help="of a class to be flipped (default: 0)")
    add("--sampled", type=_options.within("POSITIVE"), metavar="SCALE",
        help="classes are drawn with chance Phi(score / SCALE) of +1")  # fmt: skip
    add("--soft", type=_options.within("POSITIVE"), metavar="SCALE",
        help="labels are the mean of such classes, not the classes")  # fmt: skip
    add("--verify", type=_options.within("PART"), nargs="*", metavar="CHANCE",
        help="keep rows whose class is the truth's with the first chance (default: 1), others with the second "
        "(default: 0); --samples and --generator-samples count rows before that")  # fmt: skip


def require_spectrum(arguments):
    """ValueError for options that do not go together."""
    for name in ("flips", "sampled", "soft", "verify"):
        if getattr(arguments, name) is not None and not arguments.classes:
            raise ValueError(f"--{name} belongs to --classes")
    if arguments.classes and arguments.data is not None:
        raise ValueError("--classes: error rates on the rows of a data set have no formula; give a spectrum")
    given = [name for name in ("flips", "sampled", "soft") if getattr(arguments, name) is not None]
    if len(given) > 1:
        raise ValueError(f"--{given[0]} and --{given[1]} say both how labels are made; give one of them")
    if arguments.verify is not None and len(arguments.verify) > 2:
        raise ValueError(f"--verify takes two chances at most, not {len(arguments.verify)}")


def error_rates(spectrum, grid, arguments, generator):
    """Columns of the curve, each of the grid's shape: predictions, and with --simulate their measurement."""
    import numpy as np

    import modelcollapse as mc

    models = _models(spectrum, grid, arguments, generator)
    found = [mc.predict(model) for model in models]
    kept = [model.sources[0].kept for model in models]
    columns = {"error_rate": [x.error_rate for x in found], "overlap": [x.overlap for x in found],
               "test_error": [x.test_error for x in found]}  # fmt: skip
    columns |= {"kept": kept} if arguments.verify is not None else {}
    if arguments.simulate:
        rates = []
        for model, n in zip(models, grid["generations"][:, 0, 0], strict=True):
            with _output.progress(f"simulating n = {n}") as advance:
                trials = {"trials": arguments.simulate, "seed": arguments.seed, "progress": advance}
                rates.append(mc.simulate(model, **trials).error_rate)
        columns |= {"measured": [x.mean for x in rates], "standard_error": [x.standard_error for x in rates]}
    shape = grid["generations"].shape
    return {name: np.stack([np.broadcast_to(x, shape[1:]) for x in column]) for name, column in columns.items()}


def _models(spectrum, grid, arguments, generator):
    """The last fit, on the grid of everything but generations, for each number of these."""
    import modelcollapse as mc

    truth = mc.truth(spectrum)
    if arguments.soft or arguments.sampled:
        link = mc.Probit(arguments.soft or arguments.sampled, soft=arguments.soft is not None)
    else:
        link = mc.Sign(flips=arguments.flips or 0.0)
    keep = None
    if arguments.verify is not None:
        keep = mc.Verified(truth, *arguments.verify)
    samples, ridge, noise = generator
    last = {name: values[0] for name, values in grid.items() if name != "generations"}
    how = {"filter": mc.GradientFlow(last["time"])} if "time" in last else {"ridge": last["ridge"]}
    wanted, models, model = grid["generations"][:, 0, 0].tolist(), {}, truth
    for n in range(max(wanted) + 1):
        if n in wanted:
            models[n] = mc.fit(model.label(last["samples"], arguments.noise, link=link, keep=keep), **how)
        model = mc.fit(model.label(samples, noise, link=link, keep=keep), ridge=ridge)
    return [models[n] for n in wanted]
