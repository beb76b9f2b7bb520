"""Error curves: the test error against samples, ridge, generations or training time, for clean and synthetic labels.

With --classes labels are classes, and the curve shows the error rate. With --over time the last fit is trained by
gradient flow on half the mean squared error and stopped; k steps of length h take a time k*h. The lines below the table
say when it is best to stop.
"""

from modelcollapse.cli import _classes, _options, _output

HELP = "error curves of a spectrum or a data set"
EXAMPLE = """  modelcollapse curve --power-law 1.5 0.5 --samples 50:5000:9log --generations 0,1,5 \\
      --generator-samples 2000 --generator-ridge 1e-3 --plot curve.png
  modelcollapse curve --data digits --gamma 0.05 --samples 50:800:5log --ridge 1e-3 --noise 0.5 \\
      --generations 0,3 --generator-samples 600 --generator-ridge 1e-3 --simulate 10
  modelcollapse curve --over time --power-law 1.5 0.7 200 --samples 300 --generations 0,1,5,20 \\
      --generator-samples 400 --plot training.png
  modelcollapse curve --isotropic 100 --classes --verify 0.9 0.2 --over generations --generations 0:10:11 \\
      --samples 400 --generator-samples 400 --plot rates.png"""


SAMPLES, RIDGE, NOISE, TIMES = "50:5000:9log", 1e-3, 0.1, "0.1:1e5:25log"


def options(parser):
    parser.usage = "%(prog)s (--isotropic DIM | --power-law BETA R [DIM] | --data WHERE) [option ...]"
    _options.problem(parser)
    samples = f"{SAMPLES}; with --over time or generations 1000, or half the rows of the data"
    _options.fits(parser, (None, samples), ridge=None, noise=(None, f"{NOISE}; with --classes 0"))
    _classes.options(parser)
    group = parser.add_argument_group("the curve")
    group.add_argument(
        "--over",
        choices=("samples", "ridge", "generations", "time"),
        help="what the curve runs over (default: samples, or ridge or generations where that is the only grid); time: "
        "of training",
    )
    group.add_argument("--times", type=_options.within_grid("TIME"), metavar="GRID", help="with --over time: when "
                       f"training stops (default: {TIMES}, in units of 1 / eigenvalue)")  # fmt: skip
    group.add_argument(
        "--method",
        choices=("auto", "rows", "spectrum", "gaussian"),
        default="auto",
        help="on data: follow every row with its own leverage (rows), take rows for alike (spectrum), or take the data "
        "for Gaussian with its spectrum; auto: rows up to 1000 rows, spectrum beyond, gaussian where a fit asks for "
        "more rows than there are or stops in time",
    )
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--simulate",
        type=_options.within("TWO"),
        metavar="TRIALS",
        help="also run the pipeline TRIALS times: on a spectrum with Gaussian inputs, on data by "
        "really training on them and testing on held-out rows",
    )
    group.add_argument("--seed", type=_options.within("SEED"), default=0,
                       help="of the simulation (default: %(default)s)")  # fmt: skip
    _options.output(parser)


def run(arguments):
    import numpy as np

    from modelcollapse.validation.kernel_chains import predict_chain

    _classes.require_spectrum(arguments)
    if arguments.noise is None:
        arguments.noise = 0.0 if arguments.classes else NOISE
    data = _real_data(arguments)
    last = _last_fit(arguments, data)
    generator = _options.generator_of(arguments, arguments.samples[0])
    along = next(iter(last))
    generations, samples, values = np.meshgrid(arguments.generations, arguments.samples, last[along], indexing="ij")
    grid = {"generations": generations, "samples": samples, along: values}
    measured = None
    if arguments.classes:
        columns = _classes.error_rates(_options.spectrum_of(arguments), grid, arguments, generator)
        _output.report(_output.rows_of(grid | columns), arguments)
        if arguments.plot:
            measured = (columns["measured"], columns["standard_error"]) if arguments.simulate else None
            ax = _drawn(arguments, grid, columns["error_rate"], measured, {}, "error rate")
            _output.save_picture(ax, arguments.plot)
        return
    if data is not None and arguments.simulate:
        found = _trained(data, grid, arguments, generator)
        spectrum, measured = found.spectrum, (found.mean, found.standard_error)
    else:
        spectrum = _options.spectrum_of(arguments) if data is None else _spectrum_of_data(*data)
        if arguments.simulate:
            measured = _simulated(spectrum, grid, arguments, generator)
    ridge, time = grid.get("ridge"), grid.get("time")
    prediction = predict_chain(spectrum, generations, samples, ridge, arguments.noise, *generator, time=time)
    columns = {}
    if data is not None:
        _say_what_data(data, spectrum)
        by_rows = _by_rows(data, spectrum, grid, arguments, generator)
        if by_rows is not None:
            columns, prediction = {"gaussian": prediction.test_error}, by_rows
    columns = grid | prediction.to_dict() | columns
    if measured is not None:
        columns |= {"measured": measured[0], "standard_error": measured[1]}
    best = _best_stops(spectrum, arguments, generator) if along == "time" else {}
    _output.report(_output.rows_of(columns), arguments)
    for n, stop in best.items():
        print(f"n = {n}: {_advice(*stop)}")
    if arguments.plot:
        _output.save_picture(_drawn(arguments, grid, prediction.test_error, measured, best), arguments.plot)


def _real_data(arguments):
    """Data set, kernel and its options, or None; only rows with real labels say what the truth is."""
    found = _options.data_of(arguments)
    if found is None:
        return None
    data, kernel, kernel_options, real = found
    if real is not None:
        if real.sum() < 2:
            raise ValueError(
                f"{data} has {real.sum()} rows with real labels; a curve needs two or more to know the truth"
            )
        data = data.rows(real)
    return data, kernel, kernel_options


def _by_rows(data, spectrum, grid, arguments, generator):
    """The prediction on the rows themselves, or None for the Gaussian one; says which it is, and why."""
    import numpy as np

    import modelcollapse as mc
    from modelcollapse.validation.kernel_chains import explained, predict_chain_on_rows

    dataset, kernel, options = data
    count, method = len(dataset.targets), arguments.method
    drawn = max(np.max(grid["samples"]), generator[0] if np.max(grid["generations"]) > 0 else 0)
    why = "gradient flow has no formula on rows" if "ridge" not in grid else ""
    why = f"{drawn:g} rows are asked of {count}" if not why and drawn > count else why
    if method == "gaussian" or (method == "auto" and why):
        print(f"predicted as if the data were Gaussian: {why}" if why else "predicted as if the data were Gaussian")
        return None
    if why:
        raise ValueError(f"--method {method}: {why}; use --method gaussian")
    if method == "auto":
        method = "rows" if count <= 1000 or spectrum.unexplained > 0 else "spectrum"
    gram = mc.rows(dataset.inputs, dataset.targets, kernel, method="spectrum", **options).kernel_matrix
    targets = explained(gram, dataset.targets, spectrum)
    population = mc.rows(gram, targets, "precomputed", method=method)
    print("predicted row by row" if method == "rows" else "predicted by the spectrum of the rows, all taken for alike")
    given = grid["generations"], grid["samples"], grid["ridge"], arguments.noise
    return predict_chain_on_rows(population, dataset.targets, *given, *generator)


def _say_what_data(data, spectrum):
    print(f"{data[0]}, {data[1]} kernel: {spectrum}")
    if spectrum.unexplained > 0:
        share = spectrum.unexplained / (spectrum.unexplained + spectrum.label_variance)
        print(
            f"the kernel cannot express {100 * share:.3g} % of the targets' variance; "
            f"where the data wrote the labels, that is noise of deviation {spectrum.unexplained**0.5:.4g}"
        )


def _last_fit(arguments, data):
    """How the last fit is trained, {"ridge": grid} or {"time": grid}; defaults that depend on it are filled in."""
    half = [1000 if data is None else max(1, len(data[0].targets) // 2)]
    if arguments.over != "time":
        if arguments.times is not None:
            raise ValueError("--times belongs to --over time")
        default = half if arguments.over == "generations" else _options.rows_grid(SAMPLES)
        arguments.samples = arguments.samples or default
        arguments.ridge = [RIDGE] if arguments.ridge is None else arguments.ridge
        return {"ridge": arguments.ridge}
    if arguments.ridge is not None:
        raise ValueError(
            "--ridge does not go with --over time, which trains the last fit by gradient flow; "
            "the penalty of the generations is --generator-ridge"
        )
    arguments.samples = arguments.samples or half
    if len(arguments.samples) > 1:
        raise ValueError(f"--over time follows one fit and --samples names {len(arguments.samples)}; give one number")
    arguments.times = arguments.times or _options.numbers(TIMES)
    return {"time": arguments.times}


def _best_stops(spectrum, arguments, generator):
    """{n: (best time, test error, its ratio to that of the best ridge)} of the one number of samples."""
    import numpy as np

    import modelcollapse as mc
    from modelcollapse.validation.kernel_chains import chain_labels

    settings = arguments.samples[0], arguments.noise, *generator
    best = {}
    for some in ([n for n in arguments.generations if n == 0], [n for n in arguments.generations if n > 0]):
        if some:
            stop = mc.optimal_stopping(mc.fit(chain_labels(spectrum, np.array(some), *settings)))
            values = (np.broadcast_to(x, len(some)).tolist() for x in (stop.time, stop.test_error, stop.ratio))
            best |= dict(zip(some, zip(*values, strict=True), strict=True))
    return best


def _advice(time, error, ratio):
    if time == 0:
        return f"do not train at all: the test error is then {error:.4g}"
    when = "train to the end" if time == float("inf") else f"stop at time {time:.4g}"
    return f"{when}: test error {error:.4g}, {ratio:.4g} times that of the best ridge"


def _spectrum_of_data(dataset, kernel, kernel_options):
    import modelcollapse as mc

    return mc.from_samples(dataset.inputs, dataset.targets, kernel, **kernel_options)


def _simulated(spectrum, grid, arguments, generator):
    """Mean and standard error of the simulated pipelines."""
    import modelcollapse as mc

    T0, ridge0, noise0 = generator
    labels = mc.chain(mc.truth(spectrum), grid["generations"], T0, noise0, ridge0)
    how = {"filter": mc.GradientFlow(grid["time"])} if "time" in grid else {"ridge": grid["ridge"]}
    model = mc.fit(labels.label(grid["samples"], arguments.noise), **how)
    with _output.progress("simulating") as advance:
        found = mc.simulate(model, trials=arguments.simulate, seed=arguments.seed, progress=advance)
    return found.mean, found.standard_error


def _trained(data, grid, arguments, generator):
    from modelcollapse.validation.kernel_chains import kernel_chain

    dataset, kernel, kernel_options = data
    T0, ridge0, noise0 = generator
    with _output.progress("training") as advance:
        return kernel_chain(
            dataset.inputs,
            dataset.targets,
            kernel,
            **grid,
            noise=arguments.noise,
            generator_samples=T0,
            generator_ridge=ridge0,
            generator_noise=noise0,
            runs=arguments.simulate,
            seed=arguments.seed,
            progress=advance,
            **kernel_options,
        )


def _drawn(arguments, grid, errors, measured, best, ylabel="test error"):
    """A curve for each number of generations, and for each value of what else varies; stars where to stop."""
    from itertools import product

    from modelcollapse import plot

    letters = {"generations": "n =", "samples": "T =", "ridge": "ridge"}
    names = list(grid)
    axis = (
        next((i for i in (1, 2, 0) if errors.shape[i] > 1), 1)
        if arguments.over is None
        else names.index(arguments.over)
    )
    over = names[axis]
    curves, points = {}, {}
    for pick in product(*(range(count) if i != axis else [slice(None)] for i, count in enumerate(errors.shape))):
        first = tuple(0 if i == axis else at for i, at in enumerate(pick))
        parts = [
            f"{letters[name]} {grid[name][first]:g}"
            for i, name in enumerate(names)
            if i != axis and (i == 0 or errors.shape[i] > 1)
        ]
        label = ", ".join(parts)
        curves[label] = errors[pick]
        if measured is not None:
            points[label] = measured[0][pick], measured[1][pick]
    x = grid[over][tuple(slice(None) if i == axis else 0 for i in range(3))]
    xlabel = "time of gradient flow" if over == "time" else over
    ax = plot.error_curves(x, curves, measured=points or None, xlabel=xlabel, ylabel=ylabel)
    for time, error, _ in best.values():
        if 0 < time < float("inf"):
            ax.plot(time, error, "*", color="black", markersize=11, markerfacecolor="white", zorder=5)
    return ax
