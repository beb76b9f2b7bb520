"""Error curves: the test error against samples or ridge, for clean labels and after generations of models."""

from modelcollapse.cli import _options, _output

HELP = "error curves of a spectrum or a data set"
EXAMPLE = """  modelcollapse curve --power-law 1.5 0.5 --samples 50:5000:9log --generations 0,1,5 \\
      --generator-samples 2000 --plot curve.png
  modelcollapse curve --data digits --gamma 0.05 --samples 50:800:5log --ridge 1e-3 --noise 0.5 \\
      --generations 0,3 --generator-samples 600 --simulate 10"""


def options(parser):
    parser.usage = "%(prog)s (--isotropic DIM | --power-law BETA R [DIM] | --data WHERE) [option ...]"
    _options.spectrum(parser)
    _options.fits(parser)
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--simulate",
        type=_options.positive_whole,
        metavar="TRIALS",
        help="also run the pipeline TRIALS times: on a spectrum with Gaussian inputs, on data by "
        "really training on them and testing on held-out rows",
    )
    group.add_argument("--seed", type=int, default=0, help="of the simulation (default: %(default)s)")
    _options.output(parser)


def run(arguments):
    import numpy as np

    from modelcollapse.validation.kernel_chains import predict_chain

    generations, samples, ridge = np.meshgrid(
        arguments.generations, arguments.samples, arguments.ridge, indexing="ij"
    )
    generator = _options.generator_of(arguments)
    data = _options.data_of(arguments)
    measured = None
    if data is None:
        spectrum = _options.spectrum_of(arguments)
        prediction = predict_chain(spectrum, generations, samples, ridge, arguments.noise, *generator)
        if arguments.simulate:
            measured = _simulated(spectrum, generations, samples, ridge, arguments, generator)
    elif arguments.simulate:
        found = _trained(data, generations, samples, ridge, arguments, generator)
        spectrum, prediction = found.spectrum, found.prediction
        measured = found.mean, found.standard_error
    else:
        import modelcollapse as mc

        dataset, kernel, kernel_options = data
        spectrum = mc.from_samples(dataset.inputs, dataset.targets, kernel, **kernel_options)
        prediction = predict_chain(spectrum, generations, samples, ridge, arguments.noise, *generator)
    if data is not None:
        print(f"{data[0]}, {data[1]} kernel: {spectrum}")
    if spectrum.unexplained > 0:
        share = spectrum.unexplained / (spectrum.unexplained + spectrum.label_variance)
        print(
            f"the kernel cannot express {100 * share:.3g} % of the targets' variance; "
            f"where the data wrote the labels, that is noise of deviation {spectrum.unexplained**0.5:.4g}"
        )
    columns = {"generations": generations, "samples": samples, "ridge": ridge, **prediction.to_dict()}
    if measured is not None:
        columns |= {"measured": measured[0], "standard_error": measured[1]}
    if arguments.plot:
        _output.save_picture(
            _drawn(generations, samples, ridge, prediction.test_error, measured), arguments.plot
        )
    _output.report(_output.rows_of(columns), arguments, vars(arguments))


def _simulated(spectrum, generations, samples, ridge, arguments, generator):
    """Mean and standard error of the simulated pipelines."""
    import modelcollapse as mc

    T0, ridge0, noise0 = generator
    labels = mc.chain(mc.truth(spectrum), generations, T0, noise0, ridge0)
    model = mc.fit(labels.label(samples, arguments.noise), ridge=ridge)
    with _output.progress("simulating") as advance:
        found = mc.simulate(model, trials=arguments.simulate, seed=arguments.seed, progress=advance)
    return found.mean, found.standard_error


def _trained(data, generations, samples, ridge, arguments, generator):
    from modelcollapse.validation.kernel_chains import kernel_chain

    dataset, kernel, kernel_options = data
    T0, ridge0, noise0 = generator
    with _output.progress("training") as advance:
        return kernel_chain(
            dataset.inputs,
            dataset.targets,
            kernel,
            generations=generations,
            samples=samples,
            ridge=ridge,
            noise=arguments.noise,
            generator_samples=T0,
            generator_ridge=ridge0,
            generator_noise=noise0,
            runs=arguments.simulate,
            seed=arguments.seed,
            progress=advance,
            **kernel_options,
        )


def _drawn(generations, samples, ridge, errors, measured):
    """One curve per number of generations (and ridge, if samples vary too)."""
    from modelcollapse import plot

    by_ridge = samples.shape[1] == 1 and ridge.shape[2] > 1
    x, axis = (ridge[0, 0], 2) if by_ridge else (samples[0, :, 0], 1)
    curves, points = {}, {}
    for i in range(errors.shape[0]):
        for j in range(errors.shape[3 - axis]):
            pick = (i, j, slice(None)) if by_ridge else (i, slice(None), j)
            label = f"n = {generations[i, 0, 0]}" + (
                f", ridge {ridge[0, 0, j]:g}" if ridge.shape[2] > 1 and not by_ridge else ""
            )
            curves[label] = errors[pick]
            if measured is not None:
                points[label] = measured[0][pick], measured[1][pick]
    return plot.error_curves(x, curves, measured=points or None, xlabel="ridge" if by_ridge else "samples")
