r"""Tables of numbers in CSV files: read right, or refused in one sentence that names the line an editor shows.

The delimiter is what a first line `sep=;` says, otherwise the first of semicolon, tab and comma that gives all records
one width of two or more. Quotes may hold delimiters, line ends and doubled quotes. Lines that begin with # are
comments. Text is UTF-8, or UTF-16 with its byte order mark; gzip is unpacked.

The first record is a row of names if it holds no number. Names 0,1,2,... look like a row of data and are refused.
Numbers are written with a decimal point. A decimal comma is read where no cell has a point, thousands marks where a
cell can be nothing else; `1,234` alone could be either and is refused.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Table", "read_bytes", "read_table"]

_MISSING = {"", "na", "n/a", "nan", "null", "none", "nil", "?", "-", "<na>"}
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.I)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of a CSV as text; `lines` has the line where each record begins, `names` is None without a header."""

    path: Path
    names: list[str] | None
    lines: list[int]
    cells: list[list[str]]

    @property
    def width(self):
        return len(self.names or (self.cells[0] if self.cells else []))

    def index(self, column):
        """Which column a name means, or a number from 0; ValueError with the columns there are."""
        names = self.names or []
        if names.count(column) == 1:
            return names.index(column)
        if column not in names and str(column).isdecimal() and int(column) < self.width:
            return int(column)
        known = ", ".join(names[:12]) if names else f"numbers 0 to {self.width - 1}"
        raise ValueError(f"{self.path} has {names.count(column) or 'no'} column{'s' * (column in names)} {column!r}; "
                         f"its columns are {known}")  # fmt: skip

    def text(self, column):
        """The cells of one column, stripped."""
        return [row[column] for row in self.cells]

    def numbers(self, columns):
        """Columns as a float array (rows, columns); ValueError with every missing value, or the first that is none."""
        cells = [[row[j] for j in columns] for row in self.cells]
        try:
            table = np.array(cells, dtype=np.float64).reshape(len(cells), len(columns))
        except ValueError:
            table = None
        if table is None or not np.isfinite(table).all() or any("_" in cell for row in cells for cell in row):
            table = self._explained(cells, columns)
        return table

    def _explained(self, cells, columns):
        """The numbers of cells that are not all written plainly, or the reason why there are none."""
        self._refuse_missing(cells, columns)
        plain = self._with_points(cells)
        wrong = [(i, j) for i, row in enumerate(plain) for j, cell in enumerate(row) if not _NUMBER.fullmatch(cell)]
        if wrong:
            i, j = wrong[0]
            more = f" (nor are {len(wrong) - 1} other cells)" if len(wrong) > 1 else ""
            raise ValueError(f"{self._place(i, columns[j])}: {cells[i][j]!r} is not a number{more}; "
                             "encode or remove such columns")  # fmt: skip
        table = np.array(plain, dtype=np.float64).reshape(len(plain), len(columns))
        for i, j in np.argwhere(~np.isfinite(table)):
            raise ValueError(f"{self._place(i, columns[j])}: {cells[i][j]!r} is not finite; remove such rows")
        return table

    def _place(self, row, column):
        return f"{self.path}, line {self.lines[row]}, column {self._named(column)}"

    def _refuse_missing(self, cells, columns):
        missing = {
            line: [self._named(j) for j, cell in zip(columns, row, strict=True) if cell.lower() in _MISSING]
            for line, row in zip(self.lines, cells, strict=True)
        }
        missing = {line: names for line, names in missing.items() if names}
        if missing:
            shown = [f"line {line}: {', '.join(names[:8])}" for line, names in list(missing.items())[:8]]
            more = ["..."] if len(missing) > 8 else []
            raise ValueError(f"{self.path} misses {sum(map(len, missing.values()))} values in {len(missing)} rows "
                             f"({'; '.join(shown + more)}); remove or fill such rows")  # fmt: skip

    def _with_points(self, cells):
        """Cells with a decimal point and no thousands marks."""
        marked = [(line, cell) for line, row in zip(self.lines, cells, strict=True) for cell in row if "," in cell]
        if not marked:
            return cells
        thousands = all(_THOUSANDS.fullmatch(cell) for _, cell in marked)
        decimal = all(_DECIMAL_COMMA.fullmatch(cell) for _, cell in marked)
        points = any("." in cell for row in cells for cell in row)
        if thousands and not decimal:
            return [[cell.replace(",", "") for cell in row] for row in cells]
        if decimal and not thousands and not points:
            return [[cell.replace(",", ".") for cell in row] for row in cells]
        if not (thousands or decimal) and not any(
            _THOUSANDS.fullmatch(cell) or _DECIMAL_COMMA.fullmatch(cell) for _, cell in marked
        ):
            return cells  # text: refused as no number
        line, cell = marked[0]
        raise ValueError(f"{self.path}, line {line}: the comma in {cell!r} may be a decimal comma or a thousands mark; "
                         "write numbers with a decimal point and without thousands marks")  # fmt: skip

    def _named(self, column):
        return self.names[column] if self.names else str(column)


def read_table(path):
    """The Table of a CSV file, every record of the same width; see the module for the dialects."""
    path = Path(path)
    text = _decoded(path, read_bytes(path))
    first, _, rest = text.partition("\n")
    announced = re.fullmatch(r"sep=(.)", first.strip("\r "))
    delimiters = [announced[1]] if announced else [mark for mark in ";\t," if mark in text] or [","]
    body = ("\n" + rest) if announced else text  # line numbers stay those of the file
    found, problems = None, []
    for delimiter in delimiters:
        try:
            records = _rectangular(path, body, delimiter)
        except ValueError as problem:
            problems.append((-first.count(delimiter), problem))
            continue
        if found is None or len(found[0][1]) < 2:
            found = records
    if found is None:
        raise min(problems, key=lambda pair: pair[0])[1]
    return _named_table(path, found)


def read_bytes(path):
    """The bytes of a file, unpacked if it is gzip."""
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise ValueError(f"{path} is a damaged or truncated gzip file; fetch it again") from None


def _decoded(path, content):
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: byte {content[error.start]:#04x} is not "
                         f"{encoding.removesuffix('-sig')} text; save the table as CSV in UTF-8") from None  # fmt: skip
    if "\0" in text:
        line = text[: text.index(chr(0))].count("\n") + 1
        raise ValueError(f"{path}, line {line}: a zero byte; this is no text in UTF-8, save the table as CSV in UTF-8")
    return text


def _rectangular(path, text, delimiter):
    """Pairs (line, cells), all of one width."""
    records = [pair for pair in _records(path, text, delimiter) if any(pair[1])]
    if not records:
        raise ValueError(f"{path} is empty; give a CSV file of numbers")
    width = len(records[0][1])
    for line, cells in records:
        if len(cells) != width:
            raise ValueError(f"{path}, line {line}: {len(cells)} columns where the first row has {width}")
    return records


def _records(path, text, delimiter):
    """(line where it begins, stripped cells) of every record; comments and blank lines between records are skipped."""
    between, began, last = True, 0, 0

    def lines():
        nonlocal between, began, last
        for last, line in enumerate(io.StringIO(text, newline=""), 1):
            if between:
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                between, began = False, last
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            between = True
            yield began, [cell.strip() for cell in cells]
    except csv.Error as error:
        where = began if "unexpected end" in str(error) else last
        raise ValueError(f"{path}, line {where}: {error}; check the quotes there") from None


def _named_table(path, records):
    line, first = records[0]
    if first == [str(j) for j in range(len(first))] and len(first) > 1:
        shown = ",".join(first[:4]) + ",..." * (len(first) > 4)
        raise ValueError(f"{path}, line {line}: {shown} may be a row of data or number the columns; "
                         "name the columns by words, or move such a row of data down")  # fmt: skip
    names = None
    if not any(_NUMBER.fullmatch(cell.replace(",", "")) or cell.lower() == "nan" for cell in first):
        names, records = first, records[1:]
        if "" in names:
            raise ValueError(f"{path}, line {line}: column {names.index('')} has no name; name it, or write the table "
                             "without its index (index=False in pandas)")  # fmt: skip
    return Table(path, names, [line for line, _ in records], [cells for _, cells in records])
