"""Problems of the study of mixes: a few real rows, many rows that a model labelled, and where the truth is known.

A `Draw` gives the rows and the test errors of any fit. On synthetic problems the error is the exact excess over the
truth; on data the mean squared error on held-out rows with their real labels, in units of the targets' variance.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.provenance.corrected_risk import Provenance
from modelcollapse.validation.studies.computer_experiments import BOUNDS, FUNCTIONS

__all__ = ["HELD_OUT", "LINEAR_TEACHERS", "REGIMES", "TABLES", "Draw", "MixRegime", "draw"]


@dataclass(frozen=True)
class MixRegime:
    """One problem and one kind of teacher.

    exponents: (β, r) of a power law in `dim` directions, None for an isotropic one, on synthetic problems (dim > 0);
    noise: of real labels there, and of what each generation adds to labels; ridge: of the teachers' mean squared error;
    gamma: of an RBF kernel, None for a linear fit; rows: synthetic ones.
    """

    problem: str
    teacher: str
    generations: int
    teacher_rows: int
    rows: int = 400
    ridge: float = 0.0
    noise: float = 0.3
    dim: int = 0
    exponents: tuple[float, float] | None = None
    gamma: float | None = None

    @property
    def provenance(self):
        """What the teachers' owner would tell, or None where there is no word for it."""
        if self.teacher == "trees":
            return None
        return Provenance(self.generations, self.teacher_rows, self.noise if self.dim else None, self.ridge)


def _synthetic(problem, dim, noise, exponents):
    kinds = (("least squares", 1, 1.3, 0.0), ("least squares", 1, 6, 0.0), ("ridge", 3, 2, 0.02), ("ridge", 5, 3, 1e-3),
             ("under-determined", 2, 0.5, 0.01))  # fmt: skip
    return [
        MixRegime(problem, kind, n, int(share * dim), 800, ridge, noise, dim, exponents)
        for kind, n, share, ridge in kinds
    ]


REGIMES = (
    *_synthetic("isotropic", 40, 0.5, None),
    *_synthetic("power law 1.5, 0.25", 100, 0.2, (1.5, 0.25)),
    *_synthetic("power law 1.5, 0.7", 100, 0.2, (1.5, 0.7)),
    MixRegime("digits, RBF", "ridge", 1, 300, ridge=0.03, gamma=0.1),
    MixRegime("digits, RBF", "ridge", 4, 150, ridge=0.03, gamma=0.1),
    MixRegime("digits", "ridge", 2, 300, 600, ridge=0.1),
    MixRegime("digits", "trees", 1, 300, 600),
    MixRegime("diabetes", "least squares", 1, 40, 200),
    MixRegime("diabetes", "trees", 1, 80, 200),
    MixRegime("breast cancer", "least squares", 1, 60, 200),
    MixRegime("breast cancer", "ridge", 3, 80, 200, ridge=0.1),
    MixRegime("friedman", "least squares", 1, 30, 800),
    MixRegime("friedman", "trees", 2, 200, 800),
    MixRegime("friedman, RBF", "ridge", 1, 200, ridge=0.03, gamma=0.1),
    MixRegime("friedman, RBF", "trees", 1, 300, gamma=0.1),
)
HELD_OUT = (
    MixRegime("power law 1.2, 0.5", "least squares", 2, 120, 800, 0.0, 0.5, 60, (1.2, 0.5)),
    MixRegime("power law 1.2, 0.5", "ridge", 1, 90, 300, 0.01, 0.5, 60, (1.2, 0.5)),
    MixRegime("power law 1.8, 0.4", "under-determined", 1, 40, 400, 0.0, 0.1, 80, (1.8, 0.4)),
    MixRegime("friedman 2, RBF", "ridge", 2, 150, ridge=0.01, gamma=0.2),
    MixRegime("friedman 3", "trees", 1, 100, 600),
    MixRegime("friedman 3, RBF", "least squares", 1, 60, 400, gamma=0.2),
)
TABLES = tuple(
    MixRegime("table of 26 columns", teacher, n, 400, 1600, ridge)
    for teacher, ridge in (("least squares", 0.0), ("ridge", 0.05), ("trees", 0.0))
    for n in (1, 3)
)
LINEAR_TEACHERS = tuple(  # of kernel students
    MixRegime(f"{name}, RBF", "least squares", 1, 60, gamma=0.2 if len(bounds) < 5 else 0.1)
    for name, bounds in BOUNDS.items()
)


class Draw(NamedTuple):
    """X (N, d), y (N,), origin (N,), 0 for real rows; test (M, d), and either its targets, or truth and eigenvalues."""

    X: np.ndarray
    y: np.ndarray
    origin: np.ndarray
    test: Any = None
    targets: Any = None
    truth: Any = None
    eigenvalues: Any = None


@functools.cache
def _data(problem):
    """Standardised inputs and targets of a data set that scikit-learn holds or makes."""
    from sklearn import datasets

    name = problem.split(",")[0]
    if name.startswith("table"):
        X, y = table()
        return _prepared().fit_transform(X), (y - y.mean()) / y.std()
    if name.startswith("friedman") or name in FUNCTIONS:
        X, y = _made(name)
        y = (y - y.mean()) / y.std() + 0.3 * np.random.default_rng(0).standard_normal(len(y))
    else:
        X, y = getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)
        y = y % 2 if name == "digits" else y
    spread = X.std(axis=0) if name != "digits" else np.full(X.shape[1], 16.0)
    return (X - X.mean(axis=0) * (name != "digits")) / spread, (y - y.mean()) / y.std()


def _made(name, rows=3000):
    """Inputs and noiseless targets of a function."""
    from sklearn import datasets

    if name in FUNCTIONS:
        low, high = np.transpose(BOUNDS[name])
        X = np.random.default_rng(1).uniform(low, high, (rows, len(low)))
        return X, FUNCTIONS[name](*X.T)
    which = {"friedman": 1, "friedman 2": 2, "friedman 3": 3}[name]
    return getattr(datasets, f"make_friedman{which}")(n_samples=rows, random_state=0)


def table(rows=8000, seed=0):
    """A table as people have them, X (rows, 26) and y (rows,).

    25 correlated columns whose units range over six decades, with a gap in 3 % of the cells; the last column holds one
    of four categories. Targets are linear in columns and category, with a curved part and noise.
    """
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((8, 25)) / np.sqrt(8)
    columns = rng.standard_normal((rows, 8)) @ common + 0.5 * rng.standard_normal((rows, 25))
    kinds = rng.integers(0, 4, rows)
    slopes = 0.3 * rng.standard_normal(25) * (rng.random(25) < 0.6)
    y = columns @ slopes + 0.15 * columns[:, 0] ** 2 + 0.5 * rng.standard_normal(4)[kinds] + rng.standard_normal(rows)
    columns = columns * 10 ** rng.uniform(-3, 3, 25)
    columns[rng.random(columns.shape) < 0.03] = np.nan
    return np.column_stack([columns, kinds]), y


def _prepared():
    """The usual scikit-learn pipeline for such a table."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = [("numbers", numbers, slice(0, 25)), ("kind", OneHotEncoder(sparse_output=False), [25])]
    return ColumnTransformer(parts)


def draw(regime, real, rng):
    """A Draw with `real` real rows."""
    return _gaussian(regime, real, rng) if regime.dim else _from_data(regime, real, rng)


def _gaussian(regime, real, rng):
    j = np.arange(1.0, regime.dim + 1)
    s, truth = np.ones(regime.dim), np.full(regime.dim, regime.dim**-0.5)
    if regime.exponents:
        beta, r = regime.exponents
        s, truth = j**-beta, np.sqrt(j ** -(1 + 2 * r * beta) * j**beta)
    teacher = truth
    for _ in range(regime.generations):
        A = rng.standard_normal((regime.teacher_rows, regime.dim)) * np.sqrt(s)
        b = A @ teacher + regime.noise * rng.standard_normal(len(A))
        teacher = _ridge(A, b, regime.ridge)
    X = rng.standard_normal((real + regime.rows, regime.dim)) * np.sqrt(s)
    origin = np.repeat([0, 1], [real, regime.rows])
    y = np.where(origin == 0, X @ truth + regime.noise * rng.standard_normal(len(X)), X @ teacher)
    return Draw(X, y, origin, truth=truth, eigenvalues=s)


def _ridge(A, b, ridge):
    if ridge == 0:
        return np.linalg.lstsq(A, b)[0]
    return np.linalg.solve(A.T @ A + len(A) * ridge * np.eye(A.shape[1]), A.T @ b)


def _from_data(regime, real, rng):
    X, y = _data(regime.problem)
    order = rng.permutation(len(X))
    held_out = len(X) // 4
    test, own, pool = np.split(order, [held_out, held_out + real])
    labels = y
    for generation in range(regime.generations):
        rows = rng.choice(pool, min(regime.teacher_rows, len(pool)), replace=False)
        given = labels[rows] + regime.noise * bool(generation) * rng.standard_normal(len(rows))
        labels = _teacher(regime, len(rows)).fit(X[rows], given).predict(X)
    fake = rng.choice(pool, min(regime.rows, len(pool)), replace=False)
    rows = np.append(own, fake)
    origin = np.repeat([0, 1], [real, len(fake)])
    return Draw(X[rows], np.where(origin == 0, y[rows], labels[rows]), origin, X[test], y[test])


def _teacher(regime, rows):
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import LinearRegression, Ridge

    if regime.teacher == "trees":
        return GradientBoostingRegressor(n_estimators=60, random_state=0)
    if regime.teacher == "least squares":
        return LinearRegression()
    if regime.gamma:
        return KernelRidge(alpha=regime.ridge * rows, kernel="rbf", gamma=regime.gamma)
    return Ridge(alpha=regime.ridge * rows)
