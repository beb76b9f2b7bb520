r"""Eigenvalues and signal energies of data.

For N samples with feature rows X (N, d) or kernel matrix K (N, N) and targets y (N,), the empirical
counterparts of the population's eigenvalues and coefficients are

$$ s_i = \mathrm{eig}_i(K/N) = \mathrm{eig}_i(X^\top X/N), \qquad
   s_i \theta_i = (u_i \cdot y)^2 / N, \qquad Σ_i s_i \theta_i + \mathrm{unexplained} = \|y\|^2 / N, $$

with u_i the unit eigenvectors of K. The ridge of this package multiplies ‖w‖² against the *mean* squared
error, so eigenvalues are those of K/N and do not grow with the sample. What of y lies outside the span of
the features cannot be fitted by any w: it acts as label noise and is reported as `unexplained`. Eigenvalues
below the roundoff of the eigendecomposition count as zero.
"""

from typing import Any

import numpy as np

from modelcollapse.theory.numbers.domains import REAL
from modelcollapse.theory.numbers.leaves import leaf

_EPS = np.finfo(float).eps


def covariance_spectrum(covariance, weights):
    """Descending eigenvalues (d,) and signal energies (d,) of a covariance (d, d) and weights (d,)."""
    covariance, weights = _square("covariance", covariance), _vector("weights", weights)
    _same_length("covariance", covariance, "weights", weights)
    eigenvalues, vectors = _positive_semidefinite("covariance", covariance)
    return eigenvalues, (vectors.T @ weights) ** 2


def gram_spectrum(gram, targets):
    """Descending positive eigenvalues of K/N, signal energies, and the mean square outside the span."""
    gram, targets = _square("gram", gram), _vector("targets", targets)
    _same_length("gram", gram, "targets", targets)
    eigenvalues, vectors = _positive_semidefinite("gram", gram / targets.size)
    explained = (vectors.T @ targets) ** 2 / targets.size
    return _span("gram", eigenvalues, explained, explained[eigenvalues == 0].sum())


def linear_spectrum(inputs, targets):
    """The same for the linear kernel of rows (N, d), by a square matrix of the smaller size (QR, SVD)."""
    count, features = inputs.shape
    square, outside = inputs, 0.0
    if count > features:
        triangle = np.asarray(np.linalg.qr(np.column_stack([inputs, targets]), mode="r"))
        square, targets = triangle[:features, :features], triangle[:features, -1]
        outside = triangle[-1, -1] ** 2
    elif count < features:
        square = np.asarray(np.linalg.qr(inputs.T, mode="r")).T
    vectors, values, _ = np.linalg.svd(square)
    values[values <= max(inputs.shape) * _EPS * values[0]] = 0.0
    explained = (vectors.T @ targets) ** 2 / count
    return _span("inputs", values**2 / count, explained, outside / count + explained[values == 0].sum())


def sample_spectrum(inputs, targets, kernel, options):
    """The same for a kernel that scikit-learn knows by name, or a function of two rows."""
    inputs, targets = _matrix("inputs", inputs), _vector("targets", targets)
    _same_length("inputs", inputs, "targets", targets)
    if kernel == "linear" and not options:
        return linear_spectrum(inputs, targets)
    return gram_spectrum(_kernel_matrix(inputs, kernel, options), targets)


def _kernel_matrix(inputs, kernel: Any, options):
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


def _span(name, eigenvalues, explained, unexplained):
    positive = eigenvalues > 0
    if not positive.any():
        raise ValueError(f"{name} has no eigenvalue above roundoff; give inputs that are not all zero")
    return eigenvalues[positive], explained[positive] / eigenvalues[positive], float(unexplained)


def _positive_semidefinite(name, matrix):
    """Eigenvalues, descending and zero below roundoff, and eigenvectors."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    roundoff = len(matrix) * _EPS * np.abs(eigenvalues).max()
    if eigenvalues[0] < -max(1e-10 * eigenvalues[-1], roundoff):
        raise ValueError(
            f"{name} has the eigenvalue {eigenvalues[0]:.6g} beside a largest one of {eigenvalues[-1]:.6g}; "
            "give a positive semidefinite matrix"
        )
    return np.where(eigenvalues > roundoff, eigenvalues, 0.0)[::-1], vectors[:, ::-1]


def _numbers(name, value) -> np.ndarray:
    array: Any = leaf(name, value, REAL)
    return array


def _matrix(name, value):
    matrix = _numbers(name, value)
    if np.ndim(matrix) != 2 or 0 in np.shape(matrix):
        raise ValueError(f"{name} has shape {np.shape(matrix)}; give a matrix with one row per sample")
    return matrix


def _square(name, value):
    matrix = _numbers(name, value)
    if np.ndim(matrix) != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} has shape {np.shape(matrix)}; give a square matrix")
    asymmetry = np.max(np.abs(matrix - matrix.T))
    if asymmetry > 1e-8 * np.max(np.abs(matrix)):
        raise ValueError(f"{name} differs from its transpose by {asymmetry:.3g}; give a symmetric matrix")
    return (matrix + matrix.T) / 2


def _vector(name, value):
    vector = _numbers(name, value)
    if np.ndim(vector) != 1:
        raise ValueError(f"{name} has shape {np.shape(vector)}; give one number per row, a 1-d array")
    return vector


def _same_length(name, matrix, other, vector):
    rows, entries = len(matrix), len(vector)
    if rows != entries:
        raise ValueError(f"{name} has {rows} rows and {other} {entries} entries; give equally many")
