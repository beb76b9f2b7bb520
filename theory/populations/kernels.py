"""Kernel matrices of data, and the memory that they take."""

import os
from typing import Any

__all__ = ["enough_memory", "kernel_matrix"]

_COPIES = 9  # of the kernel matrix at most, 7 to 9 measured: its own, those of the eigendecomposition, rows of a fit


def kernel_matrix(inputs, kernel: Any, options):
    """Kernel matrix (N, N) of the rows of inputs (N, d), by scikit-learn's name or a function of two rows.

    Raises ImportError, ValueError, TypeError and MemoryError, each with a remedy; see `enough_memory`.
    """
    enough_memory(len(inputs))
    try:
        from sklearn.metrics import pairwise
    except ImportError:
        raise ImportError(
            f"kernel = {kernel!r} needs scikit-learn; pip install 'modelcollapse[estimator]', or give the "
            "kernel matrix to from_gram"
        ) from None
    known = sorted(pairwise.kernel_metrics())
    if not callable(kernel) and kernel not in known:
        raise ValueError(f"kernel = {kernel!r} is unknown; give one of {', '.join(known)}, or use from_gram")
    try:
        return pairwise.pairwise_kernels(inputs, **{"metric": kernel, **options})
    except TypeError as error:
        raise TypeError(f"kernel = {kernel!r} does not take {options}: {error}") from None
    except MemoryError:
        rows = len(inputs)
        raise MemoryError(f"no memory for the kernel matrix of {rows} rows; give fewer, drawn at random") from None


def enough_memory(rows, memory=None):
    """Raise ValueError before a kernel matrix of so many rows takes more than the memory of this machine, in bytes.

    >>> enough_memory(10_000, memory=8e9)
    >>> enough_memory(20_000, memory=8e9)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: the kernel matrix of 20000 rows takes about 29 GB, and this machine has 8 GB; give at most ...
    """
    if memory is None:
        known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 16e9
    needed = _COPIES * 8 * rows**2
    if needed > memory:
        raise ValueError(
            f"the kernel matrix of {rows} rows takes about {needed / 1e9:.0f} GB, and this machine has "
            f"{memory / 1e9:.0f} GB; give at most {int((memory / _COPIES / 8) ** 0.5)} rows, drawn at random, or to "
            'from_samples the features of sklearn.kernel_approximation.Nystroem with kernel="linear"'
        )
