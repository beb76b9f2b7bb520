"""The command line, the tables and the pictures of a study."""

import argparse
import csv
import os
from dataclasses import fields
from typing import Any

import numpy as np

from modelcollapse._extras import require
from modelcollapse._files import replacing

__all__ = ["asked", "dots", "read_records", "save_picture"]


def asked(arguments, study, description, *, least, trials, fast=None):
    """What the user of `python -m modelcollapse.validation.STUDY` asks for; `least`: number of trials."""
    command = f"python -m modelcollapse.validation.{study}"
    parser = argparse.ArgumentParser(
        prog=command, description=description, epilog=f"example: {command} --output table.csv --plot picture.png"
    )
    parser.add_argument("--output", help="write all records to this .csv or .json file")
    parser.add_argument("--plot", help="draw the picture to this .png, .svg or .pdf file")
    parser.add_argument("--trials", type=int, help=trials)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true", help=fast or argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name, low in (("trials", least), ("workers", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < low:
            parser.error(f"--{name} {value} is less than {low}; give {low} or more")
    for name, endings in (("output", (".csv", ".json")), ("plot", (".png", ".svg", ".pdf"))):
        path = getattr(options, name)
        if path and not path.lower().endswith(endings):
            parser.error(f"--{name} {path} does not end in {', '.join(endings)}")
        if path and not os.path.isdir(os.path.dirname(os.path.realpath(path))):
            parser.error(f"--{name} {path}: there is no such folder")
    return options


def read_records(path, kind):
    """The records (of a dataclass) in a .csv file; empty cells are None."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds: Any = {field.name: field.type if field.type in (str, int) else float for field in fields(kind)}
    return [kind(**{name: kinds[name](value) if value else None for name, value in row.items()}) for row in rows]


def save_picture(figure, path):
    """A Figure as .png, .svg or .pdf."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format=str(path).rsplit(".", 1)[-1].lower(), dpi=130)


def dots(names, marks, xlabel):
    """A Figure, a line for every name; marks: method -> [(line, share, standard error), ...], drawn in per cent."""
    from modelcollapse._pictures.style import COLOURS

    figure = require("matplotlib.figure", extra="plots").Figure(
        figsize=(9, 1.5 + 0.2 * len(names)), layout="constrained"
    )
    axes = figure.subplots()
    colours = ("#999999", *(COLOURS[i] for i in (1, 3, 4, 5, 0, 2)))
    for (method, found), colour, marker in zip(marks.items(), colours, "xv^Pdos", strict=False):
        at, share, error = np.reshape(found, (-1, 3)).T
        axes.errorbar(np.maximum(100 * share, 0.1), at, xerr=100 * error, fmt=marker, color=colour, label=method,
                      ms=5, lw=0.8, alpha=0.9)  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set(xscale="log", xlim=(0.08, None), xlabel=xlabel)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.grid(axis="y", lw=0.3)
    axes.axvline(5, color="black", lw=0.6, ls=":")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return figure
