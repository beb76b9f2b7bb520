"""Options that several commands share: grids, the spectrum, the fits.

>>> numbers("1,2.5,10")
[1.0, 2.5, 10.0]
>>> numbers("1:1000:4log")
[1.0, 10.0, 100.0, 1000.0]
>>> numbers("0,1:3:3")
[0.0, 1.0, 2.0, 3.0]
"""

import argparse
import math
import os

__all__ = [
    "data_of",
    "fits",
    "numbers",
    "output",
    "output_path",
    "picture_path",
    "spectrum",
    "spectrum_of",
    "table_path",
    "whole_numbers",
]

GRID = (
    "a GRID is a comma list of numbers and ranges START:STOP:COUNT (even) or START:STOP:COUNTlog (geometric)"
)

RIDGE = "1e-3"  # of the last fit


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
        if len(pieces) != 3 or count < 2:
            raise ValueError
    except (ValueError, IndexError):
        raise argparse.ArgumentTypeError(
            f"{part!r} is neither a number nor a range START:STOP:COUNT or START:STOP:COUNTlog with COUNT > 1"
        ) from None
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise argparse.ArgumentTypeError(f"{part!r} has an infinite end; give finite numbers")
    if geometric and not (start > 0 and stop > 0):
        raise argparse.ArgumentTypeError(
            f"{part!r} is geometric and needs two positive ends; give those or drop 'log'"
        )
    steps = (i / (count - 1) for i in range(count))
    if geometric:
        inner = [start * (stop / start) ** step for step in steps]
    else:
        inner = [start + (stop - start) * step for step in steps]
    return [start, *(float(f"{number:.12g}") for number in inner[1:-1]), stop]


def whole_numbers(text):
    """The numbers of a grid rounded to whole ones, each once."""
    found = numbers(text)
    if not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(f"{text!r} is not finite; give whole numbers")
    return list(dict.fromkeys(round(number) for number in found))


def exact_whole_numbers(text):
    """A grid of whole numbers; fractions are refused."""
    found = numbers(text)
    for number in found:
        if not (math.isfinite(number) and number == round(number)):
            raise argparse.ArgumentTypeError(f"{number:g} is not a whole number")
    return list(dict.fromkeys(round(number) for number in found))


def positive_whole(text):
    """One whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def output_path(text, endings):
    """A path with one of the endings, in a folder that exists."""
    if not text.lower().endswith(endings):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(endings)}")
    folder = os.path.dirname(os.path.abspath(text))
    if not os.path.isdir(folder):
        raise argparse.ArgumentTypeError(f"there is no folder {folder}")
    if os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    return text


def table_path(text):
    return output_path(text, (".csv", ".json"))


def picture_path(text):
    return output_path(text, (".png", ".svg", ".pdf"))


def output(parser):
    """--output and --plot."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "--output", type=table_path, metavar="FILE", help="write the table to FILE.csv or FILE.json"
    )
    group.add_argument(
        "--plot", type=picture_path, metavar="FILE", help="draw a picture to FILE.png, .svg or .pdf"
    )


def spectrum(parser, data=True):
    """The problem: an isotropic or power-law spectrum, or a data set with a kernel."""
    group = parser.add_argument_group(f"the problem (one of the first {'three' if data else 'two'})")
    which = group.add_mutually_exclusive_group(required=True)
    add = which.add_argument
    add("--isotropic", type=float, metavar="DIM", help="covariance I in DIM dimensions, signal norm 1")
    add(
        "--power-law",
        type=float,
        nargs="+",
        metavar=("BETA", "R [DIM]"),
        help="eigenvalues j^-BETA, signal j^-(1+2*R*BETA), j up to DIM (default: infinity)",
    )
    if not data:
        return
    add("--data", metavar="WHERE", help="digits, FILE.csv, FILE.npz, or a folder with the four MNIST files")
    add = group.add_argument
    add("--target", metavar="NAME", help="column or array of the targets (default: last column; targets)")
    add("--rows", type=positive_whole, metavar="N", help="use the first N rows of the data")
    add("--standardise", action="store_true", help="scale features and targets to mean 0, variance 1")
    add("--kernel", metavar="NAME", help="a scikit-learn kernel: linear, poly, rbf ... (default: rbf)")
    add("--gamma", type=float, help="of the kernel (default: 1 / features)")
    add("--degree", type=float, help="of the kernel poly")
    add("--coef0", type=float, help="of the kernels poly and sigmoid")


def data_of(arguments):
    """The data set, kernel and kernel options, or None for a spectrum given by numbers."""
    kernel_options = {
        name: getattr(arguments, name)
        for name in ("gamma", "degree", "coef0")
        if getattr(arguments, name) is not None
    }
    if arguments.data is None:
        given = [
            f"--{name}"
            for name in ("target", "rows", "standardise", "kernel", *kernel_options)
            if getattr(arguments, name)
        ]
        if given:
            raise ValueError(f"{given[0]} belongs to --data")
        return None
    from modelcollapse.validation import datasets

    data = datasets.load(arguments.data, arguments.target)
    data = data.first(arguments.rows) if arguments.rows else data
    data = data.standardised() if arguments.standardise else data
    return data, arguments.kernel or "rbf", kernel_options


def spectrum_of(arguments):
    """The spectrum that --isotropic or --power-law names."""
    import modelcollapse as mc

    if arguments.isotropic is not None:
        return mc.isotropic(arguments.isotropic)
    if len(arguments.power_law) not in (2, 3):
        raise ValueError(
            f"--power-law takes BETA R [DIM], two or three numbers, not {len(arguments.power_law)}"
        )
    return mc.power_law(*arguments.power_law)


def fits(parser, samples="50:5000:9log"):
    """The last fit and the generations before it."""
    group = parser.add_argument_group("the fits", description=GRID)
    group.add_argument(
        "--samples",
        type=whole_numbers,
        default=samples,
        metavar="GRID",
        help="T, rows of the last fit; rounded to whole numbers (default: %(default)s)",
    )
    group.add_argument(
        "--ridge",
        type=numbers,
        default=RIDGE,
        metavar="GRID",
        help=f"lambda, penalty against the mean squared error (default: {RIDGE})",
    )
    group.add_argument(
        "--noise",
        type=float,
        default=0.1,
        metavar="SIGMA",
        help="standard deviation of the last fit's label noise (default: %(default)s)",
    )
    group.add_argument(
        "--generations",
        type=exact_whole_numbers,
        default="0",
        metavar="GRID",
        help="n, how many models labelled one after the other (default: %(default)s, clean labels)",
    )
    group.add_argument(
        "--generator-samples",
        type=positive_whole,
        metavar="T0",
        help="rows of every generation's fit; needed for n > 0",
    )
    group.add_argument(
        "--generator-ridge",
        type=float,
        metavar="LAMBDA0",
        help="penalty of every generation's fit (default: that of --ridge)",
    )
    group.add_argument(
        "--generator-noise",
        type=float,
        metavar="SIGMA0",
        help="label noise of every generation's fit (default: that of --noise)",
    )


def generator_of(arguments):
    """T0, λ0, σ0 of the generations, with their defaults."""
    samples, ridge, noise = (
        arguments.generator_samples,
        arguments.generator_ridge,
        arguments.generator_noise,
    )
    if max(arguments.generations) > 0 and samples is None:
        raise ValueError("--generations above 0 need --generator-samples, the rows of every generation's fit")
    if ridge is None and len(arguments.ridge) > 1 and max(arguments.generations) > 0:
        raise ValueError("--ridge is a grid: give --generator-ridge, the penalty of every generation's fit")
    return (
        samples or arguments.samples[0],
        arguments.ridge[0] if ridge is None else ridge,
        arguments.noise if noise is None else noise,
    )
