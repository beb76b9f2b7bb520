"""GCV along ridges, from one eigendecomposition of the kernel matrix of T rows."""

from dataclasses import dataclass

import numpy as np

_POINTS = 40


def reaching(grid, end):
    """A geometric grid, continued in its own steps on the side where it does not reach an end.

    >>> reaching(np.array([1.0, 10.0]), 0.02).round(6).tolist()
    [0.01, 0.1, 1.0, 10.0]
    """
    step = np.log(grid[1] / grid[0])
    below, above = (int(np.ceil(max(0.0, np.log(x) / step) - 1e-9)) for x in (grid[0] / end, end / grid[-1]))
    k = np.arange(1, max(below, above) + 1)
    return np.concatenate([grid[0] * np.exp(-step * k[:below][::-1]), grid, grid[-1] * np.exp(step * k[:above])])


@dataclass(frozen=True)
class RidgePath:
    """Kernel matrix and labels in the kernel's eigenbasis, after centring.

    values: positive eigenvalues of the T x T kernel matrix, (r,); coordinates: labels along them, (r,
    outputs); rest: mean over the outputs of the squared length of the labels outside; rows: T; null:
    dimension outside (T - r, one less with an intercept); dim: directions of the feature space, inf where the rows do
    not show the end of it (not stated: r, where something is outside).
    """

    values: np.ndarray
    coordinates: np.ndarray
    rest: float
    rows: int
    null: int
    dim: float | None = None

    @classmethod
    def of(cls, found, targets):
        """The path of centred targets (T, outputs) along the Directions `found` of T rows."""
        coordinates = found.vectors.T @ targets
        rest = np.mean(np.sum((targets - found.vectors @ coordinates) ** 2, axis=0)) if found.null else 0.0
        return cls(found.values, coordinates, float(rest), len(targets), found.null, found.dim)

    @property
    def exhausted(self):
        """Whether the rows show the whole feature space, so that what lies outside is noise."""
        return bool(self.null) and (self.dim is None or self.dim <= len(self.values))

    @property
    def lowest(self):
        """A ridge that shrinks no direction: of columns in units however far apart, if the rows show all there are."""
        return 1e-2 * self.values[-1] / self.rows if self.exhausted and self.values.size else np.inf

    def __call__(self, ridge):
        """κ, GCV and df_1 at ridges λ (L,), three arrays (L,).

        GCV is mean((y - ŷ)²) / (1 - tr H / T)², averaged over the outputs, in a form that is finite at λ = 0
        for T < d.

        >>> path = RidgePath(np.array([2.0, 1.0]), np.ones((2, 1)), 1.0, rows=3, null=1)
        >>> kappa, gcv, df = path(np.array([0.0, 1e-9]))
        >>> np.allclose(gcv[0], gcv[1]) and np.allclose(df, 2)
        True
        """
        alpha = self.rows * np.asarray(ridge, dtype=float)[:, None]
        if self.null:  # multiplied through by alpha
            inside = np.where(alpha > 0, alpha / (self.values + alpha), 0.0)
            trace, scale, rest = inside.sum(axis=1) + self.null, alpha[:, 0], self.rest
        else:
            inside = 1 / (self.values + alpha)
            trace, scale, rest = inside.sum(axis=1), 1.0, 0.0
        squares = inside**2 @ np.mean(self.coordinates**2, axis=1) + rest
        return (
            scale / trace,
            self.rows * squares / trace**2,
            np.sum(self.values / (self.values + alpha), axis=1),
        )

    def residual_degrees(self, ridge):
        """tr(1 - H)² / tr (1 - H)² at ridges (L,): how many squares the residual is a sum of, whose relative
        variance GCV therefore has twice over.

        >>> path = RidgePath(np.array([1e4, 1e-4]), np.ones((2, 1)), 1.0, rows=3, null=1)
        >>> path.residual_degrees(np.array([0.0, 1.0, 1e9])).round(2).tolist()
        [1.0, 2.0, 3.0]
        """
        alpha = self.rows * np.asarray(ridge, dtype=float)[:, None]
        if self.null:
            inside = np.where(alpha > 0, alpha / (self.values + alpha), 0.0)
        else:
            inside = self.values.min(initial=np.inf) / (self.values + alpha)
        return (inside.sum(axis=1) + self.null) ** 2 / ((inside**2).sum(axis=1) + self.null)

    @property
    def samples(self):
        """Dimension that the labels live in: T, or T - 1 with an intercept."""
        return len(self.values) + self.null

    def curve(self):
        """About forty points (λ, κ, GCV, df_1), even in log κ, from the edge of interpolation to the null
        model."""
        ridge = np.geomspace(1e-9, 1e3, 241) * self.values.sum() / self.rows
        kappa, gcv, df = self(ridge)
        first = np.flatnonzero(df >= 0.995 * df[0])[-1]
        even = np.linspace(np.log(kappa[first]), np.log(kappa[-1]), _POINTS)
        pick = np.unique(np.argmin(np.abs(np.log(kappa) - even[:, None]), axis=1))
        return ridge[pick], kappa[pick], gcv[pick], df[pick]
