r"""The spectra of the problems that are studied: isotropic, power laws, and those of data.

    isotropic(dim, signal)              Σ = I
    power_law(beta, r, dim)             s_j = j^-β, s_j w0_j² = j^-(1 + 2rβ), capacity and source conditions
    from_covariance(covariance, weights)
    from_gram(gram, targets)            kernel matrix of a large sample
    from_samples(inputs, targets)       the same from the inputs
    Spectrum(eigenvalues, signal)       anything else (see `modelcollapse.theory.populations.spectrum`)

The ridge of this package multiplies ‖w‖² against the *mean* squared error, so the eigenvalues of data are
those of K/N or XᵀX/N.

>>> power_law(beta=1.5, r=0.5, dim=10**15).eigenvalues.size < 1000
True
>>> isotropic(dim=10**15).eigenvalues.size
1
"""

import math

from modelcollapse.theory.populations.data import covariance_spectrum, gram_spectrum, sample_spectrum
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["Spectrum", "from_covariance", "from_gram", "from_samples", "isotropic", "power_law"]


def isotropic(dim, signal=1.0):
    """Isotropic inputs, Σ = I: one atom whatever `dim`; `signal` = ‖w0‖².

    >>> spectrum = isotropic(dim=100, signal=2.0)
    >>> spectrum.dim, float(spectrum.trace), float(spectrum.label_variance)
    (100, 100.0, 2.0)
    """
    return Spectrum._make(("isotropic",), (dim, signal))


def power_law(beta, r, dim=math.inf):
    """The power law s_j = j^-beta, s_j w0_j² = j^-(1 + 2·r·beta), j = 1..dim, at a cost independent of dim.

    beta > 1 is the capacity, for a finite dim beta > 0, and r > 0 the source exponent (Cui, Loureiro, Krzakala and
    Zdeborová, NeurIPS 2021). Functionals are accurate to about 1e-13; those of dim = inf for effective ridges down to
    1e-14 or T^-beta with T = 1e15 samples, whichever is smaller (see `modelcollapse.theory.populations.quadrature`).

    >>> from scipy.special import zeta
    >>> spectrum = power_law(beta=1.5, r=0.5)
    >>> round(float(spectrum.trace), 12), bool(abs(spectrum.trace / zeta(1.5) - 1) < 1e-13)
    (2.612375348685, True)
    >>> bool(abs(spectrum.label_variance / zeta(2.5) - 1) < 1e-13)
    True
    """
    return Spectrum._make(("power_law",), (beta, r, dim))


def from_covariance(covariance, weights):
    """The spectrum of a covariance matrix (d, d) and the weights w0 (d,) of the truth.

    Eigenvalues are in descending order, those below roundoff zero. Raises ValueError if the matrix is not
    symmetric or has an eigenvalue below zero.

    >>> import numpy as np
    >>> covariance, weights = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.5])
    >>> spectrum = from_covariance(covariance, weights)
    >>> spectrum.eigenvalues.round(6), round(float(spectrum.label_variance), 6), float(weights @ covariance @ weights)
    (array([3., 1.]), 3.5, 3.5)
    """
    eigenvalues, signal = covariance_spectrum(covariance, weights)
    return Spectrum(eigenvalues, signal)


def from_gram(gram, targets, *, label_noise=None):
    """The spectrum of a kernel matrix K (N, N) and targets (N,) of a large sample.

    Eigenvalues are those of K/N; signal energies come from the projections of the targets on the
    eigenvectors, so that label_variance + unexplained is the mean square of the targets, whatever the rank
    of K. `unexplained` is the share outside the span of the features: it acts as label noise of that
    variance. Centre the targets beforehand if their mean is of no interest.

    label_noise: standard deviation of the noise of the targets, or "auto" for the residual level that GCV finds. It is
    taken out of the signal and counted as `unexplained`; without it a kernel that spans everything takes the noise for
    signal that is hard to learn, and predicted errors are too large. "auto" also takes out what a smooth fit to N
    samples cannot resolve. ValueError where it exceeds the root mean square of the targets.

    >>> import numpy as np
    >>> features, targets = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 0.0, 1.0])
    >>> spectrum = from_gram(features @ features.T, targets)
    >>> float(spectrum.dim)
    1.0
    >>> bool(np.isclose(spectrum.label_variance + spectrum.unexplained, np.mean(targets**2)))
    True
    """
    return _of_data(gram_spectrum(gram, targets, label_noise))


def from_samples(inputs, targets, kernel="linear", *, label_noise=None, **kernel_options):
    """The spectrum of inputs (N, features) and targets (N,) under a kernel: `from_gram` of its matrix.

    `kernel` is one of scikit-learn's names for pairwise kernels ("rbf", "laplacian", "polynomial", …) with
    its options, such as gamma, or a function of two rows; all but "linear" and "rbf" need scikit-learn, the extra
    `estimator`. The linear kernel never forms an N × N matrix for
    N > features, nor a larger one otherwise. label_noise: as in `from_gram`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-2, 2, (300, 1))
    >>> y = np.sin(3 * x[:, 0]) + rng.standard_normal(300)
    >>> blind, told = (from_samples(x, y, "laplacian", gamma=3, label_noise=sigma) for sigma in (None, 1.0))
    >>> bool(blind.unexplained < 1e-9), round(float(told.unexplained), 2)
    (True, 0.92)

    >>> import numpy as np
    >>> inputs, targets = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]), np.array([1.0, 2.0, 0.0])
    >>> one, two = from_samples(inputs, targets), from_gram(inputs @ inputs.T, targets)
    >>> bool(np.allclose(one.eigenvalues, two.eigenvalues)), bool(np.allclose(one.signal, two.signal))
    (True, True)
    """
    return _of_data(sample_spectrum(inputs, targets, kernel, kernel_options, label_noise))


def _of_data(parts):
    eigenvalues, signal, unexplained = parts
    return Spectrum._make(("arrays",), (eigenvalues, signal, 1.0), unexplained)
