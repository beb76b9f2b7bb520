"""The ridge to use when models wrote the labels, and what plain GCV would have chosen instead.

For a problem described by numbers: the ridge that minimises the predicted test error, beside the one that generalised
cross-validation finds on the labels at hand. For a data set (--data): CollapseAwareRidge is fitted on its
rows, whose labels the described generations wrote. A ridge is lambda of the mean squared error; alpha is
scikit-learn's, lambda times the rows. test_error is the error on the noiseless truth; predicted_error and gcv, of a
data set, are errors on noisy labels: they include label noise.
"""

import warnings

from modelcollapse.cli import _options, _output

HELP = "the recommended ridge for labels that models wrote"
EXAMPLE = """  modelcollapse ridge --power-law 1.5 0.7 200 --samples 300 --generations 0,5,20 \\
      --generator-samples 400 --plot ridge.png
  modelcollapse ridge --data labels.csv --kernel linear --generations 5 --generator-samples 400 \\
      --generator-noise 0.3
  modelcollapse ridge --data marked.csv --origin written_by --kernel linear --generations 5 \\
      --generator-samples 400"""


def options(parser):
    parser.usage = "%(prog)s (--isotropic DIM | --power-law BETA R [DIM] | --data WHERE) [option ...]"
    _options.problem(parser)
    group = parser.add_argument_group("the rows at hand", description=_options.GRID)
    add = group.add_argument
    add("--samples", type=_options.rows_grid, metavar="GRID", help="T, rows (default: 1000; not with --data)")
    add("--noise", type=_options.within("NOISE"), metavar="SIGMA",
        help="standard deviation of the rows' label noise (default: 0.1; not with --data)")  # fmt: skip
    group = parser.add_argument_group("who wrote their labels")
    _options.generators(group, "that of --noise, or estimated from the real rows")
    _options.output(parser)


def run(arguments):
    if max(arguments.generations) > 0 and arguments.generator_samples is None:
        raise ValueError("--generations above 0 need --generator-samples, the rows of every generation's fit")
    data = _options.data_of(arguments)
    rows, ax = _described(arguments) if data is None else _estimated(arguments, *data)
    _output.report(rows, arguments)
    if ax is not None:
        _output.save_picture(ax, arguments.plot)


def _described(arguments):
    """One row per problem, and the picture if it was asked for."""
    import numpy as np

    import modelcollapse as mc
    from modelcollapse.numerics.questions.best_ridge import optimal_ridge

    noise = 0.1 if arguments.noise is None else arguments.noise
    noise0 = noise if arguments.generator_noise is None else arguments.generator_noise
    generations, samples = np.meshgrid(arguments.generations, arguments.samples or [1000], indexing="ij")
    spectrum = _options.spectrum_of(arguments)

    def models(generations, samples, ridge):
        w0 = mc.truth(spectrum)
        labels = w0
        if max(arguments.generations) > 0:
            settings = arguments.generator_samples, noise0, arguments.generator_ridge
            labels = mc.chain(w0, generations, *settings)
        student = mc.fit(labels.label(samples, noise), ridge=ridge)
        return student, student - labels + w0

    best = optimal_ridge(models(generations, samples, 0.0)[0])
    path = np.append(0.0, spectrum.eigenvalues.max() * np.geomspace(1e-9, 1e3, 241))
    student, seen = models(generations[..., None], samples[..., None], path)
    error, against_labels = mc.predict(student).test_error, mc.predict(seen).test_error
    pick = np.argmin(against_labels, axis=-1)
    at_pick = np.take_along_axis(error, pick[..., None], -1)[..., 0]
    excess = 100 * (np.divide(at_pick, best.test_error, out=np.ones_like(at_pick), where=best.test_error > 0) - 1)
    columns = {
        "generations": generations, "samples": samples, "ridge": best.ridge, "alpha": best.ridge * samples,
        "test_error": best.test_error, "gcv_ridge": path[pick], "gcv_test_error": at_pick, "gcv_excess_%": excess,
    }  # fmt: skip
    names = [f"n = {n}, T = {T}" for n, T in zip(generations.flat, samples.flat, strict=True)]
    ax = None
    if arguments.plot:
        curves = dict(zip(names, error.reshape(-1, len(path))[:, 1:], strict=True))
        if len(curves) == 1:
            curves = {"test error": error[0, 0, 1:], "error against the labels at hand": against_labels[0, 0, 1:]}
        points = [("recommended", best.ridge, best.test_error), ("GCV", path[pick], at_pick)]
        ax = _drawn(path[1:], curves, points, "test error")
    return _output.rows_of(columns), ax


def _estimated(arguments, dataset, kernel, kernel_options, real):
    """The recommended and the GCV point of a data set, and the picture if it was asked for."""
    import numpy as np

    from modelcollapse._extras import require

    if arguments.samples or arguments.noise is not None:
        raise ValueError("--samples and --noise describe a problem; with --data use --rows and --generator-noise")
    if len(arguments.generations) > 1:
        raise ValueError("--generations is a grid; a data set has one number of generations")
    n, count = arguments.generations[0], len(dataset.targets)
    if n and arguments.generator_noise is None and (real is None or real.sum() < 2):
        raise ValueError("give --generator-noise, or mark two or more rows with real labels by --origin or --real-rows")
    estimator = require("modelcollapse.estimator", extra="estimator").CollapseAwareRidge(
        generations=n, generator_samples=arguments.generator_samples, generator_noise=arguments.generator_noise,
        generator_ridge=arguments.generator_ridge, kernel=kernel, **kernel_options,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        origin = None if real is None else np.where(real, "real", "model")
        estimator.fit(dataset.inputs, dataset.targets, origin=origin)
    print(f"{dataset}, {kernel} kernel; criterion: {estimator.criterion_}; predicted_error and gcv include label noise")
    for warning in caught:
        print(f"note: {warning.message}")
    path = estimator.path_
    picks = {"recommended": np.argmin(path["corrected_risk"]), "gcv": np.argmin(path["gcv"])}
    rows = [
        {"point": name, "ridge": path["ridge"][k], "alpha": path["ridge"][k] * count, "gcv": path["gcv"][k],
         "predicted_error": path["corrected_risk"][k], "degrees_of_freedom": path["degrees_of_freedom"][k]}
        for name, k in picks.items()
    ]  # fmt: skip
    ax = None
    if arguments.plot:
        curves = {"corrected risk": path["corrected_risk"], "GCV": path["gcv"]}
        points = [
            (label, path["ridge"][k], path["corrected_risk"][k])
            for label, k in zip(("recommended", "GCV"), picks.values(), strict=True)
        ]
        ax = _drawn(path["ridge"], curves, points, "predicted error, label noise included")
    return rows, ax


def _drawn(path, curves, points, ylabel):
    """Error against ridge; a filled circle where it is recommended to stand, a cross where GCV stands."""
    from modelcollapse import plot

    picks = {label: (ridge, error) for label, ridge, error in points}
    return plot.ridge_path(path, curves, picks=picks, ylabel=ylabel)
