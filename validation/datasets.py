"""Real data: the digits that ship with scikit-learn, MNIST from its files, a CSV, an .npz.

Every loader returns a `Dataset`: inputs (N, features) and targets (N,), both float64. Labels of digits are
their parity, +1 for even and −1 for odd.

>>> data = load("digits")
>>> data.inputs.shape, sorted(set(data.targets.tolist()))
((1797, 64), [-1.0, 1.0])
>>> data
Dataset(digits: 1797 rows, 64 features)
"""

import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from modelcollapse._extras import require
from modelcollapse.validation.training.csv_tables import read_bytes, read_table

__all__ = ["Dataset", "csv", "digits", "load", "mnist", "npz"]

_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_INPUT_NAMES = ("inputs", "X", "x", "x_train")
_TARGET_NAMES = ("targets", "y", "Y", "y_train")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs (N, features) and targets (N,) of a regression problem, and the name of their source.

    marks : text about every row, (N,), where a column of the file was named for it
    """

    inputs: np.ndarray
    targets: np.ndarray
    name: str
    marks: np.ndarray | None = None

    def standardised(self, targets=True):
        """Every feature with mean 0 and variance 1, the targets too, or only centred; constant features are dropped.

        >>> data = digits().standardised()
        >>> bool(abs(data.inputs.mean(0)).max() < 1e-12), round(float(data.targets.std()), 12)
        (True, 1.0)
        """
        spread = self.inputs.std(axis=0)
        varying = spread > 1e-12 * np.abs(self.inputs).max(axis=0)
        if not varying.any() or not self.targets.std() > 0:
            raise ValueError(f"{self.name}: all features or all targets are constant; there is nothing to learn")
        inputs = (self.inputs - self.inputs.mean(axis=0))[:, varying] / spread[varying]
        unit = self.targets.std() if targets else 1.0
        return replace(self, inputs=inputs, targets=(self.targets - self.targets.mean()) / unit)

    def rows(self, which):
        """Some rows only: a slice, a mask or their numbers."""
        marks = None if self.marks is None else self.marks[which]
        return replace(self, inputs=self.inputs[which], targets=self.targets[which], marks=marks)

    def first(self, rows):
        """The first rows only."""
        return self.rows(slice(rows))

    def __repr__(self):
        return f"Dataset({self.name}: {len(self.targets)} rows, {self.inputs.shape[1]} features)"


def load(where: str = "digits", target: str | None = None, marks: str | None = None) -> Dataset:
    """The data set that a word or path names.

    where : "digits"; FILE.csv (also .csv.gz); FILE.npz; a folder with the four MNIST files.
    target : the column of a CSV or the array of an .npz that holds the targets.
    marks : the column of a CSV with text about the rows, see `csv`.

    Raises ValueError or OSError with one sentence that names the file and what is wrong with it.
    """
    path = Path(where)
    if marks is not None and not path.name.lower().removesuffix(".gz").endswith(".csv"):
        raise ValueError(f"{where} is no CSV, and only a CSV has a column {marks!r} of marks")
    if where == "digits":
        return digits()
    if path.is_dir():
        return mnist(path)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        return csv(path, target, marks)
    if name.endswith(".npz"):
        return npz(path, target)
    raise ValueError(f"{where} is no data set: give digits, FILE.csv, FILE.npz or a folder with the MNIST files")


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
        raise ValueError(f"{path}: {len(images)} images but {len(labels)} labels; the files do not belong together")
    return Dataset(images.reshape(len(images), -1) / 255.0, _parity(labels), f"mnist {split}")


def csv(path: str | Path, target: str | None = None, marks: str | None = None) -> Dataset:
    """A CSV of numbers; the last column, or the one that `target` names, holds the targets.

    target, marks : name of a column, or its number from 0. `marks` is a column of text that is no feature, kept as
        the data set's `marks`.

    What is read, and what is refused with its line: see `modelcollapse.validation.training.csv_tables`.
    """
    table = read_table(path)
    apart = [] if marks is None else [table.index(marks)]
    columns = [j for j in range(table.width) if j not in apart]
    if len(columns) < 2:
        raise ValueError(f"{path} has {len(columns)} column of numbers; give at least one feature and the target")
    column = columns[-1] if target is None else table.index(target)
    if column in apart:
        raise ValueError(f"column {target} of {path} cannot hold the targets and the marks; name two columns")
    numbers, at = table.numbers(columns), columns.index(column)
    found = _dataset(table.path, np.delete(numbers, at, axis=1), numbers[:, at])
    return replace(found, marks=np.array(table.text(apart[0]))) if apart else found


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
        rows = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if rows.size:
            shown = ", ".join(map(str, rows[:8])) + ", ..." * (rows.size > 8)
            raise ValueError(f"{path}: the {what} hold NaN or infinity in {rows.size} rows ({shown}, from 0); "
                             "remove or fill such rows")  # fmt: skip
    return Dataset(inputs.astype(np.float64), targets.astype(np.float64), path.name)


def _parity(labels):
    return np.where(np.asarray(labels) % 2 == 0, 1.0, -1.0)


def _idx_path(folder, stem):
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx"), stem.replace("-idx", ".idx") + ".gz"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no {stem} (or {stem}.gz); give the folder with the four MNIST files")


def _idx(path, dimensions):
    """An array from an IDX file: two zero bytes, a type code, how many dimensions, the sizes, the entries."""
    content = read_bytes(path)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise ValueError(f"{path} is truncated: {len(content)} bytes, but the header alone has {header}")
    zeros, kind, found = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind not in _IDX_TYPES or found != dimensions:
        raise ValueError(f"{path} is no IDX file of {dimensions} dimensions: its first bytes are {content[:4].hex()}")
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
