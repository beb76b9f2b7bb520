"""Options that several commands share: grids, the problem, who wrote the labels, the fits.

Every number is checked when it is read, so that an error names its option and no arithmetic comes first.

>>> numbers("1,2.5,10")
[1.0, 2.5, 10.0]
>>> numbers("1:1000:4log")
[1.0, 10.0, 100.0, 1000.0]
>>> numbers("0,1:3:3")
[0.0, 1.0, 2.0, 3.0]
>>> within("NOISE")("-1")
Traceback (most recent call last):
    ...
argparse.ArgumentTypeError: -1 is outside [0, inf); give a standard deviation, finite and not negative
"""

import argparse
import math
import os

__all__ = ["data_of", "fits", "generator_of", "numbers", "output", "problem", "spectrum_of", "within", "within_grid"]

GRID = "a GRID is a comma list of numbers and ranges START:STOP:COUNT (even) or START:STOP:COUNTlog (geometric)"
MOST = 100_000  # numbers in one range


def numbers(text):
    """The numbers of a grid, in the order given."""
    return [number for part in text.split(",") for number in _part(part.strip())]


def _part(part):
    pieces = part.split(":")
    try:
        if len(pieces) == 1:
            return [float(part)]
        start, stop = float(pieces[0]), float(pieces[1])
        geometric = pieces[2].endswith("log")
        count = int(pieces[2].removesuffix("log"))
        if len(pieces) != 3 or not 2 <= count <= MOST:
            raise ValueError
    except (ValueError, IndexError):
        raise argparse.ArgumentTypeError(
            f"{part!r} is neither a number nor a range START:STOP:COUNT or START:STOP:COUNTlog, COUNT from 2 to {MOST}"
        ) from None
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise argparse.ArgumentTypeError(f"{part!r} has an infinite end; give finite numbers")
    if geometric and not (start > 0 and stop > 0):
        raise argparse.ArgumentTypeError(f"{part!r} is geometric and needs two positive ends; give those or drop 'log'")
    steps = (i / (count - 1) for i in range(count))
    if geometric:
        inner = [start * (stop / start) ** step for step in steps]
    else:
        inner = [start + (stop - start) * step for step in steps]
    return [start, *(float(f"{number:.12g}") for number in inner[1:-1]), stop]


def _domain(name):
    """A domain of the library, or one that only the command line has."""
    from modelcollapse.theory.numbers import domains
    from modelcollapse.theory.pipelines.filters import TIME
    from modelcollapse.theory.pipelines.links import FLIPS

    own = {
        "TIME": TIME,
        "POSITIVE": domains.Domain(low=0, low_open=True, high_open=True, remedy="give a finite positive number"),
        "ADDED": domains.Domain(low=0, high_open=True, remedy="give a finite count of zero or more"),
        "SHARE": domains.Domain(0, 1, True, True, remedy="give a probability between 0 and 1"),
        "FLIPS": FLIPS,
        "PART": domains.Domain(0, 1, remedy="a share lies between none and all"),
        "COUNT": domains.Domain(low=1, high_open=True, whole=True, remedy="give a whole number of at least 1"),
        "TWO": domains.Domain(low=2, high_open=True, whole=True, remedy="give two or more, for a standard error"),
        "SEED": domains.Domain(low=0, high_open=True, whole=True, remedy="give a whole number that is not negative"),
    }
    return own[name] if name in own else getattr(domains, name)


def _checked(found, domain):
    for number in found:
        if not domain.contains(number):
            raise argparse.ArgumentTypeError(f"{number:g} is outside {domain}; {domain.remedy}")
    return [int(number) for number in found] if domain.whole else found


def within(domain):
    """One number in a domain named by `theory.numbers.domains`; whole ones as int."""

    def read(text):
        try:
            number = int(text)
        except ValueError:
            try:
                number = float(text)
            except ValueError:
                raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        return _checked([number], _domain(domain))[0]

    return read


def within_grid(domain):
    """A grid of numbers in a domain; whole ones as int, each once."""

    def read(text):
        found = _checked(numbers(text), _domain(domain))
        return list(dict.fromkeys(found)) if found and isinstance(found[0], int) else found

    return read


def rows_grid(text):
    """A grid of numbers of rows: rounded to whole ones, at least 1, each once."""
    found = numbers(text)
    if not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(f"{text!r} is not finite; give whole numbers")
    return list(dict.fromkeys(_checked([round(number) for number in found], _domain("COUNT"))))


def _path(endings):
    """A path with one of the endings, in a folder that exists and can be written to."""

    def read(text):
        if not text.lower().endswith(endings):
            raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(endings)}")
        folder = os.path.dirname(os.path.realpath(text))
        if not os.path.isdir(folder):
            raise argparse.ArgumentTypeError(f"there is no folder {folder}")
        if os.path.isdir(text):
            raise argparse.ArgumentTypeError(f"{text!r} is a folder")
        if not os.access(folder, os.W_OK):
            raise argparse.ArgumentTypeError(f"the folder {folder} cannot be written to")
        return text

    return read


def output(parser, picture=None):
    """--output and --plot; `picture` is the default of the latter."""
    group = parser.add_argument_group("results")
    group.add_argument("--output", type=_path((".csv", ".json")), metavar="FILE",
                       help="write the table to FILE.csv or FILE.json")  # fmt: skip
    default = " (default: %(default)s)" if picture else ""
    group.add_argument("--plot", type=_path((".png", ".svg", ".pdf")), metavar="FILE", default=picture,
                       help=f"draw a picture to FILE.png, .svg or .pdf{default}")  # fmt: skip


def problem(parser, data=True):
    """The problem: an isotropic or power-law spectrum, or a data set with a kernel."""
    group = parser.add_argument_group(f"the problem (one of the first {'three' if data else 'two'})")
    which = group.add_mutually_exclusive_group(required=True)
    add = which.add_argument
    add("--isotropic", type=within("DIMENSION"), metavar="DIM", help="covariance I in DIM dimensions, signal norm 1")
    add("--power-law", type=float, nargs="+", metavar=("BETA", "R [DIM]"),
        help="eigenvalues j^-BETA, signal j^-(1+2*R*BETA), j up to DIM (default: infinity)")  # fmt: skip
    if not data:
        return
    add("--data", metavar="WHERE", help="digits, FILE.csv, FILE.npz, or a folder with the four MNIST files; noise and "
        "errors are then in the unit of its targets and that unit squared")  # fmt: skip
    add = group.add_argument
    add("--target", metavar="NAME", help="column or array of the targets (default: last column; targets)")
    add("--rows", type=within("COUNT"), metavar="N", help="use the first N rows of the data")
    add("--standardise", action="store_true",
        help="scale the features to mean 0 and variance 1 and centre the targets, which keep their unit")  # fmt: skip
    add("--kernel", metavar="NAME", help="a scikit-learn kernel: linear, poly, rbf ... (default: rbf)")
    add("--gamma", type=within("POSITIVE"), help="of the kernel (default: 1 / features)")
    add("--degree", type=within("POSITIVE"), help="of the kernel poly")
    add("--coef0", type=within("REAL"), help="of the kernels poly and sigmoid")
    add = group.add_mutually_exclusive_group().add_argument
    add("--origin", metavar="COLUMN", help="the column of FILE.csv that says who wrote each label: real or 0; "
        "synthetic, model, generated, fake or 1")  # fmt: skip
    add("--real-rows", type=within("COUNT"), metavar="N", help="the first N labels are real, the others a model's")
    group.add_argument("--model-marks", type=_words, metavar="MARK,...", help="further words for a model in --origin")


def _words(text):
    return [word.strip().lower() for word in text.split(",")]


def data_of(arguments):
    """Data set, kernel, kernel options and a mask of real rows (None: unmarked); None for a spectrum."""
    kernel_options = {
        name: getattr(arguments, name) for name in ("gamma", "degree", "coef0") if getattr(arguments, name) is not None
    }
    if arguments.data is None:
        for name in ("target", "rows", "standardise", "kernel", "gamma", "degree", "coef0", "origin", "real_rows",
                     "model_marks"):  # fmt: skip
            if getattr(arguments, name) not in (None, False):
                raise ValueError(f"--{name.replace('_', '-')} belongs to --data")
        return None
    if arguments.model_marks and not arguments.origin:
        raise ValueError("--model-marks belongs to --origin")
    import numpy as np

    from modelcollapse.validation import datasets

    data = datasets.load(arguments.data, arguments.target, arguments.origin)
    data = data.first(arguments.rows) if arguments.rows else data
    data = data.standardised(targets=False) if arguments.standardise else data
    if arguments.origin:
        real = _real_rows(data.marks, arguments)
    else:
        real = np.arange(len(data.targets)) < arguments.real_rows if arguments.real_rows else None
    return data, arguments.kernel or "rbf", kernel_options, real


def _real_rows(marks, arguments):
    """Only marks that are named count: what nobody described could mean either."""
    import numpy as np

    from modelcollapse.estimators import origins

    real, synthetic = (list(map(str, names)) for names in (origins.REAL, origins.SYNTHETIC))
    marks = [mark.lower() for mark in marks]
    unknown = [mark for mark in dict.fromkeys(marks) if mark not in {*real, *synthetic, *(arguments.model_marks or [])}]
    if unknown:
        shown = ", ".join(map(repr, unknown[:6])) + ", ..." * (len(unknown) > 6)
        raise ValueError(f"--origin {arguments.origin}: {shown} could be real or not; mark real rows by "
                         f"{' or '.join(real)}, others by {', '.join(synthetic)} or --model-marks")  # fmt: skip
    return np.isin(marks, real)


def spectrum_of(arguments):
    """The spectrum that --isotropic or --power-law names."""
    import modelcollapse as mc

    if arguments.isotropic is not None:
        return mc.isotropic(arguments.isotropic)
    if len(arguments.power_law) not in (2, 3):
        raise ValueError(f"--power-law takes BETA R [DIM], two or three numbers, not {len(arguments.power_law)}")
    try:
        return mc.power_law(*arguments.power_law)
    except ValueError as error:
        raise ValueError(f"--power-law: {error}") from None


def fits(parser, samples, ridge: str | None = "1e-3", noise: tuple[float | None, str] = (0.1, "0.1")):
    """The last fit and the generations before it; `samples` and `noise`: the default, and how --help says it."""
    group = parser.add_argument_group("the fits", description=GRID)
    add = group.add_argument
    add("--samples", type=rows_grid, default=samples[0], metavar="GRID",
        help=f"T, rows of the last fit; rounded to whole numbers (default: {samples[1]})")  # fmt: skip
    add("--ridge", type=within_grid("RIDGE"), default=ridge, metavar="GRID",
        help="lambda, penalty against the mean squared error (default: 1e-3)")  # fmt: skip
    add("--noise", type=within("NOISE"), default=noise[0], metavar="SIGMA",
        help=f"standard deviation of its label noise, in the targets' unit (default: {noise[1]})")  # fmt: skip
    generators(group, "that of --noise")


def generators(group, noise):
    """--generations and what every one of them was fitted with; `noise` says the default of theirs."""
    add = group.add_argument
    add("--generations", type=within_grid("GENERATIONS"), default="0", metavar="GRID",
        help="n, how many models labelled one after the other (default: %(default)s, clean labels)")  # fmt: skip
    add("--generator-samples", type=within("COUNT"), metavar="T0",
        help="rows of every generation's fit; needed for n > 0")  # fmt: skip
    add("--generator-ridge", type=within("RIDGE"), default=0.0, metavar="LAMBDA0",
        help="penalty of every generation's fit, of the mean squared error (default: 0, least squares)")  # fmt: skip
    add("--generator-noise", type=within("NOISE"), metavar="SIGMA0",
        help=f"label noise of every generation's fit, in the unit of the targets (default: {noise})")  # fmt: skip


def generator_of(arguments, rows=1):
    """T0, λ0, σ0 of the generations, with their defaults; without generations any `rows` will do."""
    samples, noise = arguments.generator_samples, arguments.generator_noise
    if max(arguments.generations) > 0 and samples is None:
        raise ValueError("--generations above 0 need --generator-samples, the rows of every generation's fit")
    return samples or rows, arguments.generator_ridge, arguments.noise if noise is None else noise
