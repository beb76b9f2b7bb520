"""What a loop forgets: modes alive, missing mass, entropy and diversity over generations, for any frequencies.

Every generation is drawn from the one before; --real-share mixes real draws in, --rate lets generations grow,
--smoothing adds a count to every symbol, --accumulate keeps all rounds. The law is Zipf's, a file of numbers of
occurrences, or the n-grams of a text, and the first generation is drawn from it. --runs really runs the loop beside
the prediction. All grids are combined; every combination is a row.
"""

from modelcollapse.cli import _options, _output

HELP = "rare events, modes and text: what a loop forgets"
EXAMPLE = """  modelcollapse modes --zipf 1.5 --generations 1,2,5,10,30 --samples 1000
  modelcollapse modes --text book.txt --ngram 2 --generations 1:10:10 --real-share 0,0.1 --plot forgotten.png"""

GRIDS = ("generations", "samples", "real_share", "rate", "smoothing")


def options(parser):
    group = parser.add_argument_group("the law (one of the first three)")
    which = group.add_mutually_exclusive_group(required=True)
    which.add_argument("--zipf", type=_options.within("CAPACITY"), metavar="BETA", help="frequencies i^-BETA, BETA > 1")
    which.add_argument("--counts", metavar="FILE", help="numbers of occurrences, one for each symbol, in a text file")
    which.add_argument("--text", metavar="FILE", help="a text in UTF-8: its words, numbers and punctuation marks")
    add = group.add_argument
    add("--cut", type=_options.within("COUNT"), metavar="K", help="of --zipf: only the K most frequent are drawn")
    add("--ngram", type=_options.within("COUNT"), metavar="N", help="of --text: its n-grams (default: 1, its words)")
    group = parser.add_argument_group("the loop", description=_options.GRID)
    add = group.add_argument
    add("--generations", type=_options.within_grid("COUNT"), default="1,2,5,10,20", metavar="GRID",
        help="generations, or rounds with --accumulate (default: %(default)s)")  # fmt: skip
    add("--samples", type=_options.within_grid("TWO"), metavar="GRID",
        help="draws of each generation (default: 1000; the tokens of a file)")  # fmt: skip
    how = group.add_mutually_exclusive_group()
    how.add_argument("--real-share", type=_options.within_grid("PART"), default=[0.0], metavar="GRID",
                     help="share of real draws from the second generation on (default: 0)")  # fmt: skip
    how.add_argument("--rate", type=_options.within_grid("POSITIVE"), default=[1.0], metavar="GRID",
                     help="each generation's size over that of the one before (default: 1)")  # fmt: skip
    how.add_argument("--smoothing", type=_options.within_grid("ADDED"), default=[0.0], metavar="GRID",
                     help="count that generators add to every symbol of a file (default: 0)")  # fmt: skip
    how.add_argument("--accumulate", action="store_true", help="every round is drawn from all rounds before")
    add("--runs", type=_options.within("TWO"), metavar="N", help="run the loop N times beside the prediction")
    add("--seed", type=_options.within("SEED"), default=0, help="of the runs (default: %(default)s)")
    _options.output(parser)


def run(arguments):
    import numpy as np

    law = _law(arguments)
    grids = {name: getattr(arguments, name) for name in GRIDS}
    grids["samples"] = grids["samples"] or [getattr(law, "total", 1000)]
    meshes = dict(zip(grids, np.meshgrid(*grids.values(), indexing="ij"), strict=True))
    loop = _loop(law, meshes, arguments.accumulate)
    columns = {name: mesh for name, mesh in meshes.items() if len(grids[name]) > 1 or name == "generations"}
    columns["generations"] = columns["generations"].astype(int)
    if "samples" in columns:
        columns["samples"] = columns["samples"].astype(int)
    columns["founders"] = loop.founders.mean
    for name in ("alive", "missing_mass", "entropy", "divergence", "diversity"):
        columns[name] = loop.missing_mass() if name == "missing_mass" else getattr(loop, name)
    found = loop.simulate(arguments.runs, arguments.seed) if arguments.runs else None
    if found is not None:
        for name in ("alive", "missing_mass"):
            estimate = getattr(found, name)
            columns |= {f"{name}_simulated": estimate.mean, f"{name}_error": estimate.standard_error}
    _output.report(_output.rows_of(columns), arguments)
    if arguments.plot:
        _output.save_picture(_drawn(grids, loop, found, arguments.accumulate), arguments.plot)


def _law(arguments):
    import pathlib

    from modelcollapse import modes

    if arguments.cut and arguments.zipf is None:
        raise ValueError("--cut belongs to --zipf")
    if arguments.ngram and arguments.text is None:
        raise ValueError("--ngram belongs to --text")
    if arguments.zipf is not None:
        return modes.zipf(arguments.zipf, cut=arguments.cut)
    option, path = ("--text", arguments.text) if arguments.text is not None else ("--counts", arguments.counts)
    try:
        if arguments.text is not None:
            return modes.ngrams(pathlib.Path(path), arguments.ngram or 1)
        return modes.counts(_occurrences(path))
    except OSError as error:
        raise OSError(f"{option} {path} cannot be read: {error.strerror or error}; give a text file") from None


def _occurrences(path):
    """Whole numbers of a text file, separated by spaces, commas or lines."""
    with open(path, encoding="utf-8", errors="replace") as file:
        words = file.read().replace(",", " ").split()
    try:
        return [float(word) for word in words]
    except ValueError as error:
        wrong = str(error).rsplit(": ", 1)[-1]
        raise ValueError(f"--counts {path}: {wrong} is not a number; give numbers of occurrences only") from None


def _loop(law, meshes, accumulated):
    from modelcollapse.theory.modes.loops import Chain, Pool

    if accumulated:
        return Pool(law, meshes["generations"], meshes["samples"])
    return Chain(law, *meshes.values())


def _drawn(grids, loop, found, accumulated):
    """Modes alive over generations, a line for each combination of the other grids."""
    import itertools

    import numpy as np

    from modelcollapse.plot import error_curves

    others = [name for name in GRIDS[1:] if len(grids[name]) > 1]
    if int(np.prod([len(grids[name]) for name in others])) > 8:
        raise ValueError("a picture shows up to 8 lines; give fewer samples, real shares, rates or smoothings")
    curves, measured = {}, {}
    for place in itertools.product(*(range(len(grids[name])) for name in GRIDS[1:])):
        here = (slice(None), *place)
        chosen = zip(GRIDS[1:], place, strict=True)
        words = [f"{name.replace('_', ' ')} {grids[name][i]:g}" for name, i in chosen if name in others]
        label = ", ".join(words) or "modes alive"
        curves[label] = loop.alive[here]
        if found is not None:
            measured[label] = found.alive.mean[here], found.alive.standard_error[here]
    xlabel = "rounds" if accumulated else "generations"
    return error_curves(grids["generations"], curves, measured=measured or None, xlabel=xlabel, ylabel="modes alive")
