"""Labels in units of their own spread, so that no square of them overflows or vanishes.

The unit is a power of two: scaling by it is exact, and labels of ordinary size come out as if nothing had been done.
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.theory.populations.resolved_directions import EPS


class Labels(NamedTuple):
    """values: (T, outputs), centred where there is an intercept, in the unit; level: (outputs,), what was subtracted;
    unit: of the values, in those of the labels given."""

    values: np.ndarray
    level: np.ndarray
    unit: float

    def weighed(self, counts, centre):
        """The same labels, centred on their mean over rows that count for (T,) rows each."""
        mean = bool(centre) * (counts @ self.values) / counts.sum()
        return self._replace(values=self.values - mean, level=self.level + mean * self.unit)

    def squared(self, error):
        """An error in the unit, as one of the labels; inf beyond the largest float."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(error) * self.unit * self.unit


def in_own_unit(targets, centre):
    """Labels of targets (T, outputs), centred or not.

    >>> labels = in_own_unit(1e-162 * np.array([[1.0], [2.0], [3.0]]), centre=True)
    >>> bool(np.isclose(labels.values[2, 0] * labels.unit, 1e-162, rtol=1e-12)), bool(0.5 < labels.values[2, 0] < 4)
    (True, True)
    >>> bool(in_own_unit(np.full((7, 1), 0.1 + 0.2), centre=True).values.any())
    False
    """
    first = _power_of_two(np.abs(targets).max())
    values = targets / first
    level = np.zeros(values.shape[1])
    for _ in range(2 * bool(centre)):  # the second mean is the rounding of the first
        mean = values.mean(axis=0)
        values, level = values - mean, level + mean
    values = np.where(np.abs(values).max(axis=0) > 4 * EPS * np.abs(level), values, 0.0)
    second = _power_of_two(np.abs(values).max())
    return Labels(values / second, level * first, first * second)


def _power_of_two(size):
    """The largest one that is not above a positive size; one for zero."""
    return float(2.0 ** (np.frexp(size)[1] - 1)) if size > 0 else 1.0


def refuse_text(name, values):
    """Raise TypeError where numbers are given as text, which conversion would take for numbers without a word."""
    array = np.asarray(values)
    first = next((value for value in array.ravel()[:1000] if isinstance(value, str | bytes)), None)
    if first is not None and array.dtype.kind in "OUS":
        shown = repr(str(first) if isinstance(first, str) else first)
        raise TypeError(
            f"{name} holds text, such as {shown}; give numbers: {name}.astype(float) if they are quantities, "
            "a classifier or an encoder if they are classes"
        )
