r"""Eigenvalues and signal energies of data.

For N samples with feature rows X (N, d) or kernel matrix K (N, N) and targets y (N,), the empirical
counterparts of the population's eigenvalues and coefficients are

$$ s_i = \mathrm{eig}_i(K/N) = \mathrm{eig}_i(X^\top X/N), \qquad
   s_i \theta_i = (u_i \cdot y)^2 / N, \qquad Σ_i s_i \theta_i + \mathrm{unexplained} = \|y\|^2 / N, $$

with u_i the unit eigenvectors of K. The ridge of this package multiplies ‖w‖² against the *mean* squared
error, so eigenvalues are those of K/N and do not grow with the sample. What of y lies outside the span of
the features cannot be fitted by any w: it acts as label noise and is reported as `unexplained`. Eigenvalues below
rounding count as zero (`modelcollapse.theory.populations.resolved_directions`).

*Noisy targets.* Label noise of variance σ² puts σ²/N into every direction, on average, and a kernel that spans
everything leaves none of it outside: the noise then counts as signal that no fit can learn. `without_noise` takes it
out: direction by direction where eigenvalues are large, over blocks of directions, half as long again each time,
further down. A block keeps the share $1 - m \sigma^2 / \sum (u_i \cdot y)^2$ of its m directions, or nothing: clipping
every direction at zero would leave half of the noise, clipping blocks leaves about $\sigma^2 / \sqrt N$. σ² itself may
be estimated by the residual level that GCV finds, $\hat\sigma^2 = \|(1 - H) y\|^2 / tr(1 - H)$ at the ridge of
smallest GCV (Wahba 1983): it holds some of a signal too slow to be learned from N samples.
"""

from typing import Any

import numpy as np

from modelcollapse.theory.numbers.domains import NOISE, REAL
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.populations import resolved_directions
from modelcollapse.theory.populations.kernels import kernel_matrix
from modelcollapse.theory.populations.resolved_directions import precision

_LEAST_RESIDUAL = 10  # degrees of freedom of a residual that says something about the noise


def covariance_spectrum(covariance, weights):
    """Descending eigenvalues (d,) and signal energies (d,) of a covariance (d, d) and weights (d,).

    A covariance is a Gram matrix of columns, whose units may differ: it is factored with a unit diagonal.
    """
    eps = precision(covariance)
    covariance, weights = square_matrix("covariance", covariance), vector("weights", weights)
    _same_length("covariance", covariance, "weights", weights)
    units = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), 1.0))
    found = _semidefinite("covariance", covariance / units / units[:, None], eps)
    factor = np.sqrt(found.values)[:, None] * found.vectors.T * units  # factorᵀ factor is the covariance
    found = resolved_directions.of_features(factor, centre=False)
    directions = found.maps / np.sqrt(found.values)
    energies = (directions.T @ weights) ** 2
    rest = weights - directions @ (directions.T @ weights)
    outside = np.zeros(len(weights) - len(energies))
    outside[:1] = rest @ rest  # eigenvalue zero: no error sees it
    return np.append(found.values, 0 * outside), np.append(energies, outside)


def gram_spectrum(gram, targets, label_noise=None):
    """Descending positive eigenvalues of K/N, signal energies, and the mean square outside the span."""
    eps = precision(gram)
    gram, targets = square_matrix("gram", gram), vector("targets", targets)
    _same_length("gram", gram, "targets", targets)
    return _spectrum("gram", _semidefinite("gram", gram, eps), targets, label_noise)


def sample_spectrum(inputs, targets, kernel, options, label_noise=None):
    """The same for a kernel that scikit-learn knows by name, or a function of two rows."""
    inputs, eps, targets = _matrix("inputs", inputs), precision(inputs), vector("targets", targets)
    _same_length("inputs", inputs, "targets", targets)
    if kernel == "linear" and not options:
        return _spectrum("inputs", resolved_directions.of_features(inputs, False, eps), targets, label_noise)
    return gram_spectrum(kernel_matrix(inputs, kernel, options), targets, label_noise)


def _spectrum(name, found, targets, label_noise):
    if not found.values.size:
        raise ValueError(f"{name} has no eigenvalue above rounding; give inputs that are not all zero")
    along, count = found.vectors.T @ targets, targets.size
    outside = targets - found.vectors @ along if found.null else np.zeros(1)
    eigenvalues, explained, unexplained = found.values / count, along**2 / count, float(outside @ outside) / count
    if label_noise is not None:
        variance = _noise_variance(eigenvalues, explained, unexplained, found.null, label_noise)
        clean = without_noise(explained, variance / count)
        explained, unexplained = clean, unexplained + float(np.sum(explained) - np.sum(clean))
    return eigenvalues, explained / eigenvalues, unexplained


def _noise_variance(eigenvalues, explained, unexplained, null, label_noise):
    if isinstance(label_noise, str):
        if label_noise != "auto":
            raise ValueError(f'label_noise = {label_noise!r}; give a standard deviation, "auto" or None')
        return residual_level(eigenvalues, explained, unexplained, null)
    variance = float(leaf("label_noise", label_noise, NOISE)) ** 2
    total = float(np.sum(explained)) + unexplained
    if variance > total:
        raise ValueError(
            f"label_noise = {label_noise!r} is more than the root mean square {np.sqrt(total):.6g} of the targets; "
            "give the standard deviation of the noise alone"
        )
    return variance


def without_noise(energies, each):
    """Energies (r,), of descending eigenvalues, of which `each` is noise on average, without it; not negative.

    >>> without_noise(np.array([5.0, 3.0, 0.5, 2.0, 0.0]), 1.0).tolist()
    [4.0, 2.0, 0.0, 0.0, 0.0]
    >>> float(without_noise(np.random.default_rng(0).chisquare(1, 10_000), 1.0).mean().round(2))  # clipping leaves 0.48
    0.01
    """
    first = np.unique(np.append(0, np.rint(1.5 ** np.arange(2 + int(2.5 * np.log(len(energies))))).astype(int)))
    first = first[first < len(energies)]
    totals, sizes = np.add.reduceat(energies, first), np.diff(np.append(first, len(energies)))
    shares = np.maximum(0.0, 1 - np.divide(sizes * each, totals, out=np.ones(len(totals)), where=totals > 0))
    return energies * np.repeat(shares, sizes)


def residual_level(eigenvalues, explained, unexplained, null):
    """σ² by the residual at the ridge of smallest GCV, of those that leave degrees of freedom to the residual.

    With nothing to learn it is the variance of the targets:

    >>> energies = np.full(1000, 2.0 / 1000)
    >>> bool(np.isclose(residual_level(np.geomspace(1, 1e-6, 1000), energies, 0.0, 0), 2.0, rtol=0.01))
    True
    """
    count = len(eigenvalues) + null
    ridges = eigenvalues[0] * np.geomspace(1e-15, 1e3, 361)
    kept = ridges[:, None] / (eigenvalues + ridges[:, None])
    squares, trace = kept**2 @ explained + unexplained, (kept.sum(axis=1) + null) / count
    believed = trace * count >= min(_LEAST_RESIDUAL, count / 2)
    best = np.argmin(np.where(believed, squares / trace**2, np.inf))
    return float(squares[best] / trace[best])


def _semidefinite(name, matrix, eps):
    """Directions of a matrix that is positive semidefinite, up to rounding."""
    found = resolved_directions.of_gram(matrix, centre=False, eps=eps)
    largest = found.values.max(initial=0.0)
    if found.least < -max(1e-10 * largest, resolved_directions.gram_noise(matrix, eps)):
        raise ValueError(
            f"{name} has the eigenvalue {found.least:.6g} beside a largest one of {largest:.6g}; "
            "give a positive semidefinite matrix"
        )
    return found


def _numbers(name, value) -> np.ndarray:
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is a sparse matrix; give a dense array, {name}.toarray()")
    array: Any = leaf(name, value, REAL)
    return array


def _matrix(name, value):
    matrix = _numbers(name, value)
    if np.ndim(matrix) != 2 or 0 in np.shape(matrix):
        raise ValueError(f"{name} has shape {np.shape(matrix)}; give a matrix with one row per sample")
    return matrix


def square_matrix(name, value):
    matrix = _numbers(name, value)
    if np.ndim(matrix) != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} has shape {np.shape(matrix)}; give a square matrix")
    asymmetry = np.max(np.abs(matrix - matrix.T))
    if asymmetry > 1e-8 * np.max(np.abs(matrix)):
        raise ValueError(f"{name} differs from its transpose by {asymmetry:.3g}; give a symmetric matrix")
    return (matrix + matrix.T) / 2


def vector(name, value):
    vector = _numbers(name, value)
    if np.ndim(vector) != 1:
        raise ValueError(f"{name} has shape {np.shape(vector)}; give one number per row, a 1-d array")
    return vector


def _same_length(name, matrix, other, vector):
    rows, entries = len(matrix), len(vector)
    if rows != entries:
        raise ValueError(f"{name} has {rows} rows and {other} {entries} entries; give equally many")
