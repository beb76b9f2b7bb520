"""Kernel matrices of data, and the memory that they take.

Importing scikit-learn takes a second: the linear kernel and the Gaussian one are computed here.
"""

import os
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.domains import KERNEL_SCALE
from modelcollapse.theory.numbers.leaves import leaf

__all__ = ["enough_memory", "kernel_matrix", "kernel_values"]

_COPIES = 9  # of the kernel matrix at most, 7 to 9 measured: its own, those of the eigendecomposition, rows of a fit


def kernel_matrix(inputs, kernel: Any, options):
    """Kernel matrix (N, N) of the rows of inputs (N, d), by scikit-learn's name or a function of two rows.

    Raises ImportError, ValueError, TypeError and MemoryError, each with a remedy; see `enough_memory`.
    """
    enough_memory(len(inputs))
    try:
        return kernel_values(inputs, None, kernel, options)
    except TypeError as error:
        raise TypeError(f"kernel = {kernel!r} does not take {options}: {error}") from None
    except MemoryError:
        rows = len(inputs)
        raise MemoryError(f"no memory for the kernel matrix of {rows} rows; give fewer, drawn at random") from None


def kernel_values(X, Z, kernel: Any, options, filter_params=False):
    """k(x, z) of rows X (N, d) and Z (M, d), None for X itself: (N, M).

    filter_params: whether options that a named kernel does not know are left out. Raises ImportError where
    scikit-learn is needed and missing, ValueError for an unknown kernel and TypeError for an unknown option.

    >>> kernel_values(np.array([[0.0], [1.0]]), np.array([[3.0]]), "rbf", {"gamma": 0.5}).round(4).tolist()
    [[0.0111], [0.1353]]
    """
    if isinstance(kernel, str) and kernel in _OWN:
        function, known = _OWN[kernel]
        given = {name: value for name, value in options.items() if name in known} if filter_params else options
        return function(X, X if Z is None else Z, **given)
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
    return pairwise.pairwise_kernels(X, Z, **{"metric": kernel, "filter_params": filter_params, **options})


def _linear(X, Z):
    return X @ Z.T


def _gaussian(X, Z, gamma=None):
    """exp(-γ ‖x - z‖²); γ is one over the number of columns unless it is given."""
    gamma = 1 / max(X.shape[1], 1) if gamma is None else float(leaf("gamma", gamma, KERNEL_SCALE))
    centre = Z.mean(axis=0)  # an offset would cost digits of the distances
    rows = X - centre
    others = rows if X is Z else Z - centre
    exponents = rows @ others.T
    exponents -= np.sum(rows * rows, axis=1)[:, None] / 2 + np.sum(others * others, axis=1) / 2
    exponents *= 2 * gamma
    np.minimum(exponents, 0, out=exponents)
    if X is Z:
        np.fill_diagonal(exponents, 0)
    return np.exp(exponents, out=exponents)


_OWN = {"linear": (_linear, ()), "rbf": (_gaussian, ("gamma",))}  # by scikit-learn's names, with their options


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
