"""Tables in CSV files: every dialect is read right, what cannot be is refused with the line that an editor shows."""

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcollapse.validation import datasets
from modelcollapse.validation.training import csv_tables

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False) | st.integers(-(10**6), 10**6)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from(',;\t"\n'), min_size=1)


@st.composite
def tables(draw):
    rows, width = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    names = draw(st.none() | st.lists(NAMES.map("x".__add__), min_size=width, max_size=width, unique=True))
    return names, [[draw(NUMBERS) for _ in range(width)] for _ in range(rows)]


def written(names, cells, **dialect):
    file = io.StringIO(newline="")
    csv.writer(file, **dialect).writerows(cells if names is None else [names, *cells])
    return file.getvalue()


def numbers_of(path):
    data = datasets.csv(path)
    return np.column_stack([data.inputs, data.targets])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=tables(), delimiter=st.sampled_from(",;\t"), ends=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), announced=st.booleans(),
    comments=st.booleans(), packed=st.booleans(), decimal_comma=st.booleans(),
)  # fmt: skip
def test_what_a_writer_wrote_is_read_back(
    tmp_path, table, delimiter, ends, quoting, encoding, announced, comments, packed, decimal_comma
):
    names, cells = table
    if names is None and cells[0] == list(range(len(cells[0]))):
        cells[0][0] = 7.0
    shown = [[f"{x!r}" for x in row] for row in cells]
    if decimal_comma and (delimiter != "," or quoting == csv.QUOTE_ALL):
        shown = [[f"{x:.8f}".replace(".", ",") for x in row] for row in cells]
        cells = [[float(cell.replace(",", ".")) for cell in row] for row in shown]
    text = written(names, shown, delimiter=delimiter, lineterminator=ends, quoting=quoting)
    if comments:
        text = f'# a comment; with, marks and "a quote{ends}{ends}{text}  # the end, of "it'
    if announced and ends != "\r":
        text = f"sep={delimiter}{ends}{text}"
    content = text.encode(encoding)
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    np.testing.assert_array_equal(numbers_of(path), cells)
    if names is not None:
        assert csv_tables.read_table(path).names == [name.strip() for name in names]


READ = {
    "thousands": ('a,b\n"1,234,567","5,678"\n-3,"2,345.5"\n', [[1234567, 5678], [-3, 2345.5]]),
    "decimal commas": ("a;b\n1,5;2,25\n3;4\n", [[1.5, 2.25], [3, 4]]),
    "a decimal comma below one": ("a;b\n0,125;2\n3;4\n", [[0.125, 2], [3, 4]]),
    "a semicolon in one name": ("a;b,c\n1,2\n3,4\n", [[1, 2], [3, 4]]),
    "spaces after delimiters": ('a, b\n1, "2"\n3,  4\n', [[1, 2], [3, 4]]),
    "blank records of a spreadsheet": ("a,b\n1,2\n3,4\n,\n,\n", [[1, 2], [3, 4]]),
    "years as a first row": ("2019,2020\n3,4\n", [[2019, 2020], [3, 4]]),
}


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
def test_it_is_read(tmp_path, text, expected):
    (tmp_path / "t.csv").write_text(text)
    np.testing.assert_array_equal(numbers_of(tmp_path / "t.csv"), expected)


REFUSED = {
    "a comma that could be either": ('a,b\n"1,234","5,678"\n2,3\n', "line 2: the comma in '1,234' may be"),
    "decimal comma beside a point": ("a;b\n1;1.234\n1,5;2\n", "line 3: the comma in '1,5' may be"),
    "both kinds of comma": ('a,b\n"1,5","1,234.5"\n2,3\n', "line 2: the comma in '1,5' may be"),
    "numbers that count columns": ("0,1,2\n1,2,3\n4,5,6\n", "line 1: 0,1,2 may be a row of data or number the columns"),
    "an index": (",a,b\n0,1,2\n1,3,5\n", "line 1: column 0 has no name"),
    "all missing values": ("a,b,c\n1,,3\n4,NA,\n7,8,9\n", r"misses 3 values in 2 rows \(line 2: b; line 3: b, c\)"),
    "NaN": ("a,b\nnan,2\n3,4\n", "misses 1 values in 1 rows"),
    "the line after a break in quotes": ('"a\nb",c\n1,2\nx,4\n', "line 4"),
    "the line after comments": (
        "# one\n\na,b\n1,red\n2,blue\n",
        r"line 4, column b: 'red' is not a number \(nor are 1",
    ),
    "ragged": ("a,b\n1,2\n3\n", "line 3: 1 columns where the first row has 2"),
    "ragged after a break": ('a,b\n"1\n",2\n3\n', "line 4: 1 columns"),
    "a quote that never ends": ('a,b\n1,2\n"3,4\n5,6\n', "line 3: unexpected end of data"),
    "a quote inside": ('a,b\n1,2\n"3"4,4\n', "line 3: ',' expected"),
    "underscores": ("a,b\n1_000,2\n3,4\n", "'1_000' is not a number"),
    "infinite": ("a,b\n1,2\n3,inf\n", "line 3, column b: 'inf' is not finite"),
    "too large": ("a,b\n1,2\n3,1e400\n", "line 3, column b: '1e400' is not finite"),
    "two columns of one name": ("y,y\n1,2\n3,4\n", "2 columns 'y'"),
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_one_sentence(tmp_path, text, sentence):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence) as error:
        datasets.csv(tmp_path / "t.csv", "y" if text.startswith("y") else None)
    assert str(tmp_path / "t.csv") in str(error.value)


@pytest.mark.parametrize(("content", "sentence"), [
    ("a,b\nä,2\n3,4\n".encode("latin-1"), r"line 2: byte 0xe4 is not utf-8 text; save the table as CSV in UTF-8"),
    ("a,b\n1,2\n".encode("utf-16-le"), "line 1: a zero byte"),
    ("a,b\n1,2\n".encode("utf-16")[:-1], "is not utf-16 text"),
    (gzip.compress(b"a,b\n1,2\n3,4\n", mtime=0)[:-4], "damaged or truncated gzip"),
])  # fmt: skip
def test_what_is_no_text_is_refused(tmp_path, content, sentence):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        datasets.csv(tmp_path / "t.csv")


def test_a_column_of_marks_is_no_feature(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,by,b\n1,"ann, of ""x""",2\n3,,4\n5,eve,6\n')
    data = datasets.load(str(path), marks="by")
    assert data.marks.tolist() == ['ann, of "x"', "", "eve"]
    np.testing.assert_array_equal(data.inputs, [[1], [3], [5]])
    assert data.rows(data.marks != "").targets.tolist() == [2, 6]
    with pytest.raises(ValueError, match="name two columns"):
        datasets.load(str(path), "by", "by")
    with pytest.raises(ValueError, match="only a CSV has a column"):
        datasets.load("digits", marks="by")
