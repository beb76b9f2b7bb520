"""Tables, files, pictures and progress of every command."""

import contextlib
import csv
import json
import os
import sys
import tempfile
from importlib.util import find_spec

__all__ = ["progress", "report", "rows_of", "save_picture", "save_table", "show_table"]


def rows_of(columns):
    """Rows of a table from columns by name: arrays of one shape, or numbers that stand in every row."""
    import numpy as np

    flat = [np.ravel(column).tolist() for column in np.broadcast_arrays(*columns.values())]
    return [dict(zip(columns, row, strict=True)) for row in zip(*flat, strict=True)]


def report(rows, arguments, settings=None):
    """The table to --output if that was asked for, otherwise to the terminal."""
    if arguments.output:
        save_table(rows, arguments.output, settings or {})
        print(f"wrote {arguments.output}")
    else:
        show_table(rows)


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


def save_table(rows, path, settings):
    """Rows as CSV, or as JSON with the settings beside them; infinity is the string "inf" in JSON."""
    if path.lower().endswith(".csv"):
        with _replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
        return
    settings = {name: value for name, value in settings.items() if value is not None}
    with _replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(_finite({"settings": settings, "rows": rows}), file, indent=1, allow_nan=False)
        file.write("\n")


def _plain(value):
    return value if isinstance(value, str | int) else float(value)


def _finite(value):
    """What JSON can hold: infinite numbers as strings, sequences as lists."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    value = value if value is None else _plain(value)
    return str(value) if value in (float("inf"), float("-inf")) else value


def save_picture(ax, path):
    """An Axes' figure as FILE.png, FILE.svg or FILE.pdf."""
    with _replacing(path) as temporary:
        ax.figure.savefig(temporary, format=path.rsplit(".", 1)[-1].lower())
    print(f"wrote {path}")


@contextlib.contextmanager
def _replacing(path):
    """A temporary file beside `path` that takes its place only when all went well."""
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    os.close(handle)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def progress(title):
    """A function (done, total) that moves a progress bar on stderr; one line of text if rich is missing."""
    if not find_spec("rich"):
        print(f"{title} ... (for a progress bar: pip install 'modelcollapse[cli]')", file=sys.stderr)
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
