"""Real data: the digits that ship with scikit-learn, MNIST from its files, a CSV, an .npz.

Every loader returns a `Dataset`: inputs (N, features) and targets (N,), both float64. Labels of digits are
their parity, +1 for even and −1 for odd.

>>> data = load("digits")
>>> data.inputs.shape, sorted(set(data.targets.tolist()))
((1797, 64), [-1.0, 1.0])
>>> data
Dataset(digits: 1797 rows, 64 features)
"""

import gzip
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelcollapse._extras import require

__all__ = ["Dataset", "csv", "digits", "load", "mnist", "npz"]

_GZIP = b"\x1f\x8b"
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_INPUT_NAMES = ("inputs", "X", "x", "x_train")
_TARGET_NAMES = ("targets", "y", "Y", "y_train")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs (N, features) and targets (N,) of a regression problem, and the name of their source."""

    inputs: np.ndarray
    targets: np.ndarray
    name: str

    def standardised(self):
        """Every feature and the targets with mean 0 and variance 1; constant features are dropped.

        >>> data = digits().standardised()
        >>> bool(abs(data.inputs.mean(0)).max() < 1e-12), round(float(data.targets.std()), 12)
        (True, 1.0)
        """
        spread = self.inputs.std(axis=0)
        varying = spread > 1e-12 * np.abs(self.inputs).max(axis=0)
        if not varying.any() or not self.targets.std() > 0:
            raise ValueError(
                f"{self.name}: all features or all targets are constant; there is nothing to learn"
            )
        inputs = (self.inputs - self.inputs.mean(axis=0))[:, varying] / spread[varying]
        return Dataset(inputs, (self.targets - self.targets.mean()) / self.targets.std(), self.name)

    def first(self, rows):
        """The first rows only."""
        return Dataset(self.inputs[:rows], self.targets[:rows], self.name)

    def __repr__(self):
        return f"Dataset({self.name}: {len(self.targets)} rows, {self.inputs.shape[1]} features)"


def load(where: str = "digits", target: str | None = None) -> Dataset:
    """The data set that a word or path names.

    where : "digits"; FILE.csv (also .csv.gz); FILE.npz; a folder with the four MNIST files.
    target : the column of a CSV or the array of an .npz that holds the targets.

    Raises ValueError or OSError with one sentence that names the file and what is wrong with it.
    """
    if where == "digits":
        return digits()
    path = Path(where)
    if path.is_dir():
        return mnist(path)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        return csv(path, target)
    if name.endswith(".npz"):
        return npz(path, target)
    raise ValueError(
        f"{where} is no data set: give digits, FILE.csv, FILE.npz or a folder with the MNIST files"
    )


def digits() -> Dataset:
    """The 1797 handwritten 8×8 digits of scikit-learn, pixels in [0, 1], parity labels."""
    found = require("sklearn.datasets", extra="estimator").load_digits()
    return Dataset(found.data / 16.0, _parity(found.target), "digits")


def mnist(path: str | Path, split: str = "train") -> Dataset:
    """MNIST from a folder of IDX files (gzip or not) or one .npz, pixels in [0, 1], parity labels.

    path : a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, each
        perhaps ending in .gz; or FILE.npz with arrays x_train, y_train, x_test, y_test.
    split : "train" or "test".
    """
    if split not in ("train", "test"):
        raise ValueError(f"split = {split!r} is not 'train' or 'test'")
    path = Path(path)
    if path.is_dir():
        prefix = {"train": "train", "test": "t10k"}[split]
        images_path, labels_path = (
            _idx_path(path, f"{prefix}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        images, labels = _idx(images_path, 3), _idx(labels_path, 1)
    else:
        arrays = _arrays(path)
        images, labels = (_named(path, arrays, (f"{letter}_{split}",), None) for letter in "xy")
    if len(images) != len(labels) or not len(images):
        raise ValueError(
            f"{path}: {len(images)} images but {len(labels)} labels; the files do not belong together"
        )
    return Dataset(images.reshape(len(images), -1) / 255.0, _parity(labels), f"mnist {split}")


def csv(path: str | Path, target: str | None = None) -> Dataset:
    """A CSV of numbers; the last column, or the one named `target`, is the target.

    A first row of names is recognised by holding no number. `target` is a name or a column number from 0.
    """
    path = Path(path)
    try:
        lines = [line for line in _read(path).decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; give a CSV file of numbers") from None
    if not lines:
        raise ValueError(f"{path} is empty; give a CSV file of numbers")
    delimiter = max(",;\t", key=lines[0].count)
    rows = [[cell.strip().strip('"') for cell in line.split(delimiter)] for line in lines]
    names = None if any(_is_number(cell) for cell in rows[0]) else rows.pop(0)
    width = len(names or rows[0])
    for i, row in enumerate(rows, 1 + (names is not None)):
        if len(row) != width:
            raise ValueError(f"{path}, row {i}: {len(row)} columns where the first row has {width}")
        for j, cell in enumerate(row):
            if not _is_number(cell):
                column = names[j] if names else j
                raise ValueError(
                    f"{path}, row {i}, column {column}: {cell!r} is not a number; "
                    "encode or remove such columns"
                )
    if width < 2:
        raise ValueError(f"{path} has {width} column; give at least one feature and the target")
    table = np.array(rows, dtype=np.float64).reshape(len(rows), width)
    column = _column(path, names, width, target)
    return _dataset(path, np.delete(table, column, axis=1), table[:, column])


def npz(path: str | Path, target: str | None = None) -> Dataset:
    """An .npz with arrays inputs (or X, x, x_train) and targets (or y, Y, y_train, or what `target` says)."""
    path = Path(path)
    arrays = _arrays(path)
    inputs = _named(path, arrays, _INPUT_NAMES, None)
    targets = _named(path, arrays, _TARGET_NAMES, target)
    return _dataset(path, inputs.reshape(len(inputs), -1), targets)


def _dataset(path, inputs, targets):
    if targets.ndim != 1 or len(inputs) != len(targets):
        raise ValueError(
            f"{path}: inputs of shape {inputs.shape} and targets of shape {targets.shape}; "
            "give one target per row of inputs"
        )
    if len(targets) < 2:
        raise ValueError(f"{path} has {len(targets)} rows; give at least two")
    for what, array in (("inputs", inputs), ("targets", targets)):
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise ValueError(
                f"{path}: the {what} of row {row} hold NaN or infinity; remove or fill such rows"
            )
    return Dataset(inputs.astype(np.float64), targets.astype(np.float64), path.name)


def _parity(labels):
    return np.where(np.asarray(labels) % 2 == 0, 1.0, -1.0)


def _read(path):
    content = path.read_bytes()
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise ValueError(f"{path} is a damaged or truncated gzip file; fetch it again") from None


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column(path, names, width, target):
    if target is None:
        return width - 1
    if names and target in names:
        return names.index(target)
    if str(target).isdecimal() and int(target) < width:
        return int(target)
    known = ", ".join(names[:12]) if names else f"numbers 0 to {width - 1}"
    raise ValueError(f"{path} has no column {target!r}; its columns are {known}")


def _idx_path(folder, stem):
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx"), stem.replace("-idx", ".idx") + ".gz"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} has no {stem} (or {stem}.gz); give the folder with the four MNIST files"
    )


def _idx(path, dimensions):
    """An array from an IDX file: two zero bytes, a type code, how many dimensions, the sizes, the entries."""
    content = _read(path)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise ValueError(f"{path} is truncated: {len(content)} bytes, but the header alone has {header}")
    zeros, kind, found = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind not in _IDX_TYPES or found != dimensions:
        raise ValueError(
            f"{path} is no IDX file of {dimensions} dimensions: its first bytes are {content[:4].hex()}"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    dtype = np.dtype(_IDX_TYPES[kind])
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(content) - header != wanted:
        raise ValueError(
            f"{path} is truncated or damaged: its header announces {wanted} bytes of data, "
            f"{len(content) - header} follow"
        )
    return np.frombuffer(content, dtype, offset=header).reshape(shape)


def _arrays(path):
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError):
        raise ValueError(
            f"{path} is not a readable .npz of plain numeric arrays; "
            "write it with numpy.savez(path, inputs=..., targets=...)"
        ) from None


def _named(path, arrays, names, wanted):
    for name in (wanted,) if wanted is not None else names:
        if name in arrays:
            array = arrays[name]
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{path}: the array {name} has dtype {array.dtype}; give numbers")
            return array
    asked = wanted if wanted is not None else " or ".join(names)
    raise ValueError(f"{path} has no array {asked}; it holds {', '.join(sorted(arrays)) or 'nothing'}")
