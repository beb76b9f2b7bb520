"""The problems of the studies: who labels what, and where the truth is known.

A *world* gives inputs, labels of the generation at hand, and test errors of fitted paths: `Synthetic` draws Gaussian
inputs for a linear truth, `Real` takes the rows of a data set that comes with scikit-learn.
"""

import functools
from dataclasses import dataclass

import numpy as np

__all__ = ["HELD_OUT", "REGIMES", "Real", "Regime", "Synthetic", "world_of"]

CLEAN_ROWS = 20


@dataclass(frozen=True)
class Regime:
    """One problem and one kind of generator; every trial visits all of GENERATIONS along one chain.

    noise: label noise of students and generators alike; exponents: (β, r) of a power law.
    """

    problem: str
    generator: str
    samples: int
    generator_samples: int
    generator_ridge: float
    noise: float
    exponents: tuple[float, float] | None = None
    kernel: str = "linear"
    gamma: float | None = None


def _synthetic(problem, noise, exponents, samples=300):
    kinds = (("least squares", 400, 0.0), ("ridge", 400, 0.01), ("under-determined", 120, 0.0))
    return [Regime(problem, kind, samples, t0, ridge, noise, exponents) for kind, t0, ridge in kinds]


REGIMES = (
    *_synthetic("isotropic", 0.5, None),
    *_synthetic("power law 1.5, 0.25", 0.1, (1.5, 0.25)),
    *_synthetic("power law 1.5, 0.7", 0.1, (1.5, 0.7)),
    *_synthetic("power law 1.2, 0.5", 0.1, (1.2, 0.5)),
    Regime("power law 1.5, 0.7", "least squares", 120, 400, 0.0, 0.1, (1.5, 0.7)),
    Regime("digits, RBF", "ridge", 300, 400, 1e-3, 0.3, kernel="rbf", gamma=0.1),
    Regime("digits, RBF", "under-determined", 300, 300, 0.0, 0.3, kernel="rbf", gamma=0.1),
    Regime("diabetes", "least squares", 100, 60, 0.0, 0.7),
    Regime("diabetes, RBF", "ridge", 100, 100, 1e-2, 0.7, kernel="rbf", gamma=0.1),
    Regime("breast cancer", "least squares", 150, 100, 0.0, 0.5),
    Regime("breast cancer", "ridge", 150, 100, 1e-2, 0.5),
)
HELD_OUT = (
    Regime("wine", "least squares", 60, 27, 0.0, 0.4),
    Regime("digits", "least squares", 300, 400, 0.0, 0.6),
    Regime("diabetes, Laplacian", "ridge", 100, 100, 1e-2, 0.7, kernel="laplacian", gamma=0.1),
    Regime("digits, polynomial", "under-determined", 300, 300, 0.0, 0.3, kernel="poly"),
    Regime("power law 1.8, 0.5", "under-determined", 120, 100, 0.0, 0.1, (1.8, 0.5)),
)
DIM = 200
SYNTHETIC = frozenset(regime.problem for regime in REGIMES + HELD_OUT if regime.problem.startswith(("iso", "power")))


@functools.cache
def spectrum_of_exponents(exponents):
    """Eigenvalues (d,) and truth (d,)."""
    if exponents is None:
        return np.ones(DIM), np.full(DIM, DIM**-0.5)
    beta, r = exponents
    j = np.arange(1.0, DIM + 1)
    return j**-beta, np.sqrt(j ** -(1 + 2 * r * beta) / j**-beta)


@functools.cache
def bundled_data(problem):
    """Standardised inputs and targets of a bundled data set."""
    from sklearn import datasets

    name = problem.split(",")[0].replace(" ", "_")
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        X, y = X / 16, y % 2
    else:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X.astype(float), (y - y.mean()) / y.std()


class Synthetic:
    """Gaussian inputs, a linear truth, an exact test error."""

    def __init__(self, regime, rng):
        self.regime, self.rng = regime, rng
        self.eigenvalues, self.truth = spectrum_of_exponents(regime.exponents)
        self.weights = self.truth

    def inputs(self, rows):
        return self.rng.standard_normal((rows, DIM)) * np.sqrt(self.eigenvalues)

    def labels(self, X, clean=False):
        weights = self.truth if clean else self.weights
        return X @ weights + self.regime.noise * self.rng.standard_normal(len(X))

    def next_generation(self):
        rows, ridge = self.regime.generator_samples, self.regime.generator_ridge
        if ridge == 0 and rows > DIM:  # exact in law: a multivariate t
            q = self.rng.chisquare(rows - DIM + 1)
            step = self.rng.standard_normal(DIM) / np.sqrt(q * self.eigenvalues)
            self.weights = self.weights + self.regime.noise * step
            return
        X = self.inputs(rows)
        y = self.labels(X)
        if rows < DIM:
            self.weights = X.T @ np.linalg.solve(X @ X.T + rows * ridge * np.eye(rows), y)
        else:
            self.weights = np.linalg.solve(X.T @ X + rows * ridge * np.eye(DIM), X.T @ y)

    def features(self, X):
        return lambda inputs: inputs

    def errors(self, coefficients, intercepts, features):
        return (coefficients - self.truth) ** 2 @ self.eigenvalues + intercepts**2


class Real:
    """A bundled data set, split into test, student and generator rows; the first generator sees the real labels,
    and consecutive ones share no row.
    """

    def __init__(self, regime, rng):
        self.regime, self.rng = regime, rng
        self.X, self.y = bundled_data(regime.problem)
        order = rng.permutation(len(self.X))
        held_out = len(order) // 4
        first = held_out + regime.samples + CLEAN_ROWS
        self.test, self.student, self.pool = order[:held_out], order[held_out:first], order[first:]
        self.rows, self.model = self.pool[:0], None

    def inputs(self, rows):
        self.rows = self.rng.permutation(self.student)[:rows]
        return self.X[self.rows]

    def labels(self, X, clean=False):
        if clean or self.model is None:
            return self.y[self.rows]
        return self.model.predict(X) + self.regime.noise * self.rng.standard_normal(len(X))

    def next_generation(self):
        fresh = np.setdiff1d(self.pool, self.rows)
        self.rows = self.rng.choice(fresh, size=self.regime.generator_samples, replace=False)
        X = self.X[self.rows]
        y = self.labels(X)
        self.model = estimator_of(self.regime, ridges=[self.regime.generator_ridge]).fit(X, y)

    def features(self, X):
        if self.regime.kernel == "linear":
            return lambda inputs: inputs
        from sklearn.decomposition import KernelPCA
        from sklearn.metrics.pairwise import pairwise_kernels

        def kernel(Z):
            return pairwise_kernels(Z, X, metric=self.regime.kernel, gamma=self.regime.gamma, filter_params=True)

        found = KernelPCA(kernel="precomputed", eigen_solver="dense").fit(kernel(X))
        return lambda inputs: found.transform(kernel(inputs))

    def errors(self, coefficients, intercepts, features):
        predictions = coefficients @ features(self.X[self.test]).T + intercepts[:, None]
        return np.mean((predictions - self.y[self.test]) ** 2, axis=1)


def estimator_of(regime, **options):
    from modelcollapse.estimator import CollapseAwareRidge

    return CollapseAwareRidge(kernel=regime.kernel, gamma=regime.gamma, **options)


def world_of(regime, rng):
    """The world of a regime, before its first generation."""
    return (Synthetic if regime.problem in SYNTHETIC else Real)(regime, rng)
