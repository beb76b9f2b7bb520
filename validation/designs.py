r"""Designs: the inputs of one source, or something with the same law that is cheaper to draw.

With Gaussian inputs a fit reads its T rows X = Z Σ^{1/2} only through XᵀX and Xᵀε. Any Z' = QZ with Q orthogonal and
fewer rows serves as well, with fresh noise for its rows: ZᵀZ is a Wishart matrix, whose Bartlett factor has
independent entries. We use the trapezoid with r = min(T, d) rows,

$$ Z'_{i,j} \sim N(0, 1) \text{ for } j < d - r + i, \qquad
   Z'_{i, d-r+i} \sim \chi_{T-r+1+i}, \qquad 0 \text{ beyond}. $$

For r = d it is lower triangular (derived here by a Householder reduction that starts at the last column; Bartlett
1933 for the Wishart law). No T × d matrix is formed for T > d.

Other input distributions have independent entries of unit variance in the eigenbasis, or are the whitened rows of a
data set drawn with replacement; they are drawn directly, row by row.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["Distribution", "distribution_of", "trapezoid"]


def trapezoid(generator, rows, dim):
    """The Bartlett factor of `rows` Gaussian inputs in `dim` directions, (min(rows, dim), dim)."""
    height = min(rows, dim)
    offset = dim - height
    factor = np.zeros((height, dim))
    factor[_before(height, dim)] = generator.standard_normal(height * offset + height * (height - 1) // 2)
    factor.ravel()[offset :: dim + 1] = np.sqrt(generator.chisquare(np.arange(rows - height + 1.0, rows + 1)))
    return factor


@lru_cache(maxsize=16)
def _before(height, dim):
    """Which entries of a trapezoid come before the last of their row."""
    return np.tri(height, dim, dim - height - 1, dtype=bool)


@dataclass(frozen=True, eq=False)
class Distribution:
    """The law of whitened inputs: a name, degrees of freedom of "student", whitened rows of "rows"."""

    name: str = "gaussian"
    df: float = np.inf
    rows: np.ndarray | None = None

    @property
    def gaussian(self):
        return self.name == "gaussian"

    def draw(self, generator, rows, dim):
        """Whitened inputs (rows, dim)."""
        if self.rows is not None:
            return self.rows[generator.integers(len(self.rows), size=rows)]
        shape = (rows, dim)
        if self.name == "rademacher":
            return generator.integers(0, 2, size=shape, dtype=np.int8) * 2.0 - 1
        if self.name == "uniform":
            return generator.uniform(-np.sqrt(3), np.sqrt(3), size=shape)
        if self.name == "student":
            return generator.standard_t(self.df, size=shape) * np.sqrt((self.df - 2) / self.df)
        return generator.standard_normal(shape)


def distribution_of(distribution, df, dim):
    """Check the options of `simulate` and return a Distribution for `dim` directions.

    An array of rows (N, d) is whitened by its own singular vectors, largest first: in the spectrum's eigenbasis its
    inputs then have exactly the spectrum's eigenvalues.
    """
    names = ("gaussian", "rademacher", "uniform", "student")
    if isinstance(distribution, str):
        if distribution not in names:
            known = ", ".join(names)
            raise ValueError(f"distribution = {distribution!r} is unknown; give one of {known} or an array of rows")
        if distribution != "student":
            return Distribution(distribution)
        if df is None or not df > 4:
            raise ValueError(f"df = {df!r} of Student-t inputs is outside (4, inf); give df > 4 for a finite kurtosis")
        return Distribution("student", float(df))
    rows = np.asarray(distribution)
    if rows.dtype.kind not in "iuf" or rows.ndim != 2:
        found = f"dtype {rows.dtype} and {rows.ndim} axes"
        raise TypeError(f"distribution has {found}; give a name or an array of rows (N, d)")
    if rows.shape[1] != dim or rows.shape[0] < dim:
        raise ValueError(
            f"distribution has rows of shape {rows.shape} where the spectrum has {dim} directions; "
            f"give at least {dim} rows of {dim} numbers"
        )
    if not np.isfinite(rows).all():
        raise ValueError("distribution has rows with NaN or infinite entries; remove or impute them")
    left, singular, _ = np.linalg.svd(np.asarray(rows, float), full_matrices=False)
    if singular[-1] <= 1e-12 * singular[0]:
        raise ValueError(f"distribution has rows of rank below {dim}; remove the directions in which they do not vary")
    return Distribution("rows", rows=left * np.sqrt(len(rows)))
