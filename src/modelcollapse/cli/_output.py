"""Tables, files, pictures and progress of every command."""

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from importlib.util import find_spec

from modelcollapse._files import replacing, save_table
from modelcollapse._progress import Progress

__all__ = ["discard_output", "progress", "readable_anywhere", "report", "rows_of", "save_picture", "show_table"]


def rows_of(columns):
    """Rows of a table from columns by name: arrays of one shape, or numbers that stand in every row."""
    import numpy as np

    flat = [np.ravel(column).tolist() for column in np.broadcast_arrays(*columns.values())]
    return [dict(zip(columns, row, strict=True)) for row in zip(*flat, strict=True)]


def report(rows, arguments, /, **settings):
    """The table to --output if that was asked for, with more settings in JSON; otherwise, or if that fails, shown."""
    if not arguments.output:
        show_table(rows)
        return
    try:
        save_table(rows, arguments.output, settings | vars(arguments))
    except OSError:
        show_table(rows)  # what took long to compute is not lost
        raise
    print(f"wrote {arguments.output}")


def show_table(rows):
    """A list of dicts with the same keys as a table, drawn by rich if it is there and a terminal listens."""
    names = list(rows[0])
    cells = [[_shown(row[name]) for name in names] for row in rows]
    if find_spec("rich") and sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*names, box=None, header_style="bold")
        for column in table.columns:
            column.justify = "right"
        for row in cells:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for row in (names, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _shown(value):
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.4g}"


def save_picture(ax, path):
    """An Axes' figure as FILE.png, FILE.svg or FILE.pdf."""
    with replacing(path) as temporary:
        ax.figure.savefig(temporary, format=path.rsplit(".", 1)[-1].lower())
    print(f"wrote {path}")


@contextlib.contextmanager
def progress(title):
    """A function (done, total) that moves a progress bar on stderr; one line of text if rich is missing."""
    if not find_spec("rich"):
        print(f"{title} ... (for a progress bar: pip install 'modelcollapse[cli]')", file=sys.stderr)
    with Progress(True, title, patience=0) as bar:
        yield bar.report


def readable_anywhere():
    """Let stdout spell what its encoding lacks: "lambda" for the letter; stdout that was closed swallows all."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error("modelcollapse-spelled", _spelled)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="modelcollapse-spelled")


def _spelled(error):
    """A handler of encoding errors: Greek letters by name, other characters by their nearest in ASCII.

    >>> codecs.register_error("doctest-spelled", _spelled)
    >>> "λ ≥ 0, E‖ŵ‖² ± 1 — naïve".encode("ascii", "doctest-spelled").decode()
    'lambda >= 0, E||w||2 +- 1 - naive'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelling, error.object[error.start : error.end])), error.end


def _spelling(character):
    plain = {"≥": ">=", "≤": "<=", "±": "+-", "×": "x", "·": "*", "−": "-", "—": "-", "–": "-", "‖": "||", "∞": "inf",
             "√": "sqrt", "→": "->", "↦": "->", "∼": "~", "≈": "~", "∈": "in", "ℓ": "l", "⋆": "*"}  # fmt: skip
    if character in plain:
        return plain[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK"):
        letter = name.split(" WITH ")[0].split()[-1].lower().replace("lamda", "lambda")
        return letter.capitalize() if "CAPITAL" in name else letter
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or (
        "" if unicodedata.combining(character) else "?"
    )


def discard_output():
    """Nothing more can be written to stdout: Python must not try again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
