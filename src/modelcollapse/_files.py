"""Files that are written whole or not at all, and the one writer of tables."""

import contextlib
import csv
import json
import math
import os
import tempfile

__all__ = ["replacing", "save_table"]


@contextlib.contextmanager
def replacing(path):
    """The path of a temporary file that takes the place of `path` only when all went well.

    A symbolic link stays, what it points to is replaced; a device or pipe is written to directly. OSError, in one
    sentence that names `path`, where that cannot be done; a file that was there is then as it was.
    """
    target = os.path.realpath(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            yield target
            return
        folder, name = os.path.split(target)
        handle, temporary = tempfile.mkstemp(prefix=f".{name[:80]}.", dir=folder)
        os.close(handle)
        try:
            yield temporary
            os.chmod(temporary, _permissions(target))
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def _permissions(target):
    """Those of the file that is replaced, otherwise those of a new file."""
    if os.path.exists(target):
        return os.stat(target).st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def save_table(rows, path, settings=None):
    """Rows (dicts of the same keys) as CSV; as JSON where the path ends in .json, beside the settings if there are any.

    Infinity is the string "inf" in JSON, None an empty cell in CSV. OSError as `replacing`.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.json")
    >>> save_table([{"n": 1, "error": float("inf")}], path)
    >>> with open(path) as file:
    ...     json.load(file)
    [{'n': 1, 'error': 'inf'}]
    """
    if str(path).lower().endswith(".json"):
        content = rows if settings is None else {
            "settings": {name: value for name, value in settings.items() if value is not None}, "rows": rows,
        }  # fmt: skip
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump(_finite(content), file, indent=1, allow_nan=False)
            file.write("\n")
        return
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value):
    return value if value is None or isinstance(value, str | int) else float(value)


def _finite(value):
    """What JSON can hold: numbers that are not finite as strings, sequences as lists."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    value = _plain(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
