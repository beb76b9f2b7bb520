"""Loaders on tiny files that the tests write."""

import gzip
import struct

import numpy as np
import pytest

from modelcollapse.validation import datasets


def idx(array):
    """The bytes of an IDX file of unsigned bytes."""
    array = np.asarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.arange(5 * 2 * 3).reshape(5, 2, 3)
LABELS = np.array([0, 1, 2, 3, 9])


@pytest.fixture(params=["plain", "gzip"])
def mnist_folder(request, tmp_path):
    for prefix in ("train", "t10k"):
        for name, array in (("images-idx3-ubyte", IMAGES), ("labels-idx1-ubyte", LABELS)):
            content = idx(array)
            if request.param == "gzip":
                (tmp_path / f"{prefix}-{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (tmp_path / f"{prefix}-{name}").write_bytes(content)
    return tmp_path


def write_csv(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_digits_have_parity_labels():
    data = datasets.digits()
    assert data.inputs.shape == (1797, 64)
    assert (data.inputs.min(), data.inputs.max()) == (0, 1)
    assert set(data.targets) == {-1.0, 1.0}


@pytest.mark.parametrize("split", ["train", "test"])
def test_mnist_from_idx_files(mnist_folder, split):
    data = datasets.mnist(mnist_folder, split)
    np.testing.assert_allclose(data.inputs, IMAGES.reshape(5, 6) / 255)
    assert data.targets.tolist() == [1, -1, 1, -1, -1]
    assert datasets.load(str(mnist_folder)).inputs.shape == (5, 6)


def test_mnist_from_npz(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2])
    assert len(datasets.mnist(path).targets) == 5
    assert len(datasets.mnist(path, "test").targets) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (idx(IMAGES)[:-1], "truncated"),
        (idx(IMAGES)[:7], "truncated"),
        (idx(IMAGES) + b"\0", "truncated or damaged"),
        (b"\x00\x01" + idx(IMAGES)[2:], "no IDX file"),
        (idx(LABELS) + bytes(20), "no IDX file"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "gzip"),
    ],
)
def test_damaged_idx_files_are_named(mnist_folder, content, sentence):
    for path in mnist_folder.glob("train-images*"):
        path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as error:
        datasets.mnist(mnist_folder)
    assert "train-images" in str(error.value)


def test_a_missing_mnist_file_is_named(mnist_folder):
    for path in mnist_folder.glob("train-labels*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte"):
        datasets.mnist(mnist_folder)


@pytest.mark.parametrize("header", ["", "a,b,c\n"])
def test_csv_takes_the_last_column_as_target(tmp_path, header):
    data = datasets.csv(write_csv(tmp_path, header + "1,2,3\n4,5,6\n"))
    np.testing.assert_array_equal(data.inputs, [[1, 2], [4, 5]])
    assert data.targets.tolist() == [3, 6]


@pytest.mark.parametrize("target", ["a", "0"])
def test_csv_target_by_name_or_number(tmp_path, target):
    data = datasets.csv(write_csv(tmp_path, "a,b,c\n1,2,3\n4,5,6\n"), target)
    assert data.targets.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("a,b\n1,red\n", "line 2, column b: 'red' is not a number"),
        ("1,2\n3\n", "line 2: 1 columns where the first row has 2"),
        ("1,2\n3,\n", "misses 1 values in 1 rows"),
        ("1,2\nnan,3\n", "misses 1 values"),
        ("1,2\n1,inf\n", "line 2, column 1: 'inf' is not finite"),
        ("1\n2\n", "one feature and the target"),
        ("1,2\n", "at least two"),
        ("a,b\n", "at least two"),
    ],
)
def test_a_bad_csv_gives_one_clear_sentence(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        datasets.csv(write_csv(tmp_path, text))
    assert "table.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_csv_of_bytes_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\x00\x81")
    with pytest.raises(ValueError, match="text; save the table as CSV"):
        datasets.csv(path)


def test_unknown_targets_and_files(tmp_path):
    path = write_csv(tmp_path, "a,b\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="no column 'z'; its columns are a, b"):
        datasets.csv(path, "z")
    with pytest.raises(FileNotFoundError):
        datasets.load(str(tmp_path / "none.csv"))
    with pytest.raises(ValueError, match="no data set"):
        datasets.load("digitz")


def test_npz_with_named_arrays(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=np.ones((3, 2)), y=[1, 2, 3], other=[4, 5, 6])
    assert datasets.npz(path).targets.tolist() == [1, 2, 3]
    assert datasets.npz(path, "other").targets.tolist() == [4, 5, 6]
    with pytest.raises(ValueError, match="no array none; it holds X, other, y"):
        datasets.npz(path, "none")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"inputs": np.ones((3, 2)), "targets": np.ones(2)}, "one target per row"),
        ({"inputs": np.full((3, 2), np.nan), "targets": np.ones(3)}, r"NaN or infinity in 3 rows \(0, 1, 2"),
        ({"inputs": np.array([["a"], ["b"]]), "targets": np.ones(2)}, "dtype"),
        ({"inputs": np.array([{}, {}]), "targets": np.ones(2)}, "plain numeric arrays"),
        ({"targets": np.ones(2)}, "no array inputs"),
    ],
)
def test_a_bad_npz_gives_one_clear_sentence(tmp_path, arrays, sentence):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=sentence):
        datasets.npz(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_a_file_that_is_no_npz(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a readable \.npz"):
        datasets.npz(path)


def test_standardised_drops_constant_features(tmp_path):
    data = datasets.csv(write_csv(tmp_path, "1,5,1\n2,5,2\n4,5,9\n")).standardised()
    assert data.inputs.shape == (3, 1)
    np.testing.assert_allclose([data.inputs.std(), data.targets.std()], 1)
    centred = datasets.csv(write_csv(tmp_path, "1,5,1\n2,5,2\n4,5,9\n")).standardised(targets=False)
    np.testing.assert_allclose(centred.targets, [-3, -2, 5])
    with pytest.raises(ValueError, match="constant"):
        datasets.csv(write_csv(tmp_path, "1,5\n2,5\n4,5\n")).standardised()
