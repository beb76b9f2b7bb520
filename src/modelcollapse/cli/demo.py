"""The main job on real data: predicted error curves beside really trained chains of kernel-ridge fits.

The 8x8 handwritten digits with parity labels and an RBF kernel. A model is fitted on T digits whose labels
were written by the last of n models, each fitted on 600 digits labelled by the one before. Lines and the column
"predicted" come from the kernel matrix and the labels alone, row by row, with no parameter fitted; "measured" is the
mean held-out error of the trained models with its standard error. Dashed lines and "gaussian" are what the eigenvalues
of the kernel matrix say if features are taken for Gaussian.
"""

from modelcollapse.cli import _options, _output

HELP = "predictions beside really trained chains on the digits: a picture and a table"
EXAMPLE = "  modelcollapse demo --plot digits.png"

GAMMA, RIDGE, NOISE = 0.05, 1e-3, 0.5
FULL = {
    "rows": None,
    "generations": (0, 1, 3, 5),
    "samples": (50, 100, 200, 400, 800),
    "generator": 600,
    "runs": 20,
}
SMALL = {"rows": 900, "generations": (0, 1, 3), "samples": (50, 100, 200), "generator": 300, "runs": 6}


def options(parser):
    parser.add_argument("--small", action="store_true", help="900 digits and 6 runs: a few seconds")
    parser.add_argument(
        "--runs", type=_options.within("TWO"), help="independent chains (default: 20, or 6 with --small)"
    )
    parser.add_argument("--seed", type=_options.within("SEED"), default=0,
                        help="of rows and label noise (default: %(default)s)")  # fmt: skip
    parser.add_argument("--population", action="store_true",
                        help="take the data set for the whole population: rows are drawn with replacement and the "
                        "error is averaged over all of them, the theory's own setting")  # fmt: skip
    _options.output(parser, picture="modelcollapse-demo.png")


def run(arguments):
    import numpy as np

    from modelcollapse.validation import datasets
    from modelcollapse.validation.kernel_chains import kernel_chain

    size = SMALL if arguments.small else FULL
    runs = arguments.runs or size["runs"]
    data = datasets.digits()
    data = data.first(size["rows"]) if size["rows"] else data
    generations, samples = np.meshgrid(size["generations"], size["samples"], indexing="ij")
    with _output.progress(f"training {runs} chains of kernel-ridge fits on {len(data.targets)} digits") as advance:
        found = kernel_chain(
            data.inputs,
            data.targets,
            "rbf",
            gamma=GAMMA,
            generations=generations,
            samples=samples,
            ridge=RIDGE,
            noise=NOISE,
            generator_samples=size["generator"],
            runs=runs,
            seed=arguments.seed,
            held_out=not arguments.population,
            progress=advance,
        )
    print(
        f"{data}, parity labels, RBF kernel of gamma {GAMMA}; ridge {RIDGE}, label noise {NOISE} and "
        f"{size['generator']} samples in every generation; {runs} runs"
    )
    columns = {
        "generations": generations,
        "samples": samples,
        "predicted": found.prediction.test_error,
        "gaussian": found.gaussian.test_error,
        "measured": found.mean,
        "standard_error": found.standard_error,
        "deviation_%": np.round(100 * found.deviation, 1),
    }
    _output.report(_output.rows_of(columns), arguments, **size)
    distance = 100 * np.abs(found.deviation)
    worst = np.unravel_index(distance.argmax(), distance.shape)
    print(
        f"measured deviates from predicted by {np.median(distance):.1f} % (median) and at most "
        f"{distance[worst]:.1f} % (n = {generations[worst]}, T = {samples[worst]}; standard error there "
        f"{100 * found.standard_error[worst] / found.mean[worst]:.1f} %)"
    )
    _draw(found, generations, samples, size, arguments.plot)


def _draw(found, generations, samples, size, path):
    try:
        from modelcollapse import plot
    except ImportError as error:
        print(f"no picture: {error}")
        return
    import numpy as np

    from modelcollapse.validation.kernel_chains import predict_chain

    names = [{0: "clean labels", 1: "1 generation"}.get(n, f"{n} generations") for n in size["generations"]]
    curves = dict(zip(names, found.prediction.test_error, strict=True))
    points = {name: (found.mean[i], found.standard_error[i]) for i, name in enumerate(names)}
    ax = plot.error_curves(samples[0], curves, measured=points)
    fine = np.geomspace(min(size["samples"]), max(size["samples"]), 60)
    for n, line in zip(size["generations"], ax.get_lines()[: len(names)], strict=True):
        line.set_linestyle("-")
        gaussian = predict_chain(found.spectrum, n, fine, RIDGE, NOISE, size["generator"], RIDGE, NOISE)
        ax.plot(fine, gaussian.test_error, color=line.get_color(), linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
    for handle in ax.get_legend().get_lines():
        handle.set_linestyle("-")
    ax.get_legend().set_title(
        "line: predicted row by row; dashed: as if Gaussian;\npoints: measured, ± 2 standard errors"
    )
    ax.set(yscale="linear", ylim=(0, None))
    ax.set_title("Kernel ridge on handwritten digits, labels written by models", fontsize="medium")
    _output.save_picture(ax, path)
