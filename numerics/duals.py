r"""Numbers that carry their first derivatives: forward mode over NumPy, without a compiler.

A Dual is a value x (shape S) with K tangents ẋ_k (shape (K, *S)), one for each direction in which its inputs move.
Every operation moves them by the chain rule: f(x, y) has the tangents ∂_x f ẋ + ∂_y f ẏ. Where a value is selected
(`where`, `maximum`), so is its tangent; comparisons, rounding and flags have none.

>>> x = Dual(np.array([2.0]), np.array([[1.0]]))
>>> (x**3 + 1).tangents.item()
12.0
"""

import operator
from typing import Any

import numpy as np

__all__ = ["Dual", "tangent_of", "value_of"]


def value_of(x) -> Any:
    """The value of a Dual, anything else unchanged; tuples by element."""
    if isinstance(x, tuple):
        return type(x)(*map(value_of, x)) if hasattr(x, "_fields") else tuple(map(value_of, x))
    return x.value if isinstance(x, Dual) else x


def tangent_of(x, k):
    """The k-th tangent of a Dual; zeros for what does not move."""
    return x.tangents[k] if isinstance(x, Dual) else np.zeros_like(x)


def _moved(value, *parts):
    """The Dual of a value whose operands x contribute slope · ẋ; parts are pairs (x, slope), None for a slope of 1."""
    total: Any = None
    for x, slope in parts:
        if isinstance(x, Dual):
            part = _aligned(x.tangents, np.ndim(value))
            part = part if slope is None else part * slope
            total = part if total is None else total + part
    return Dual(value, _spread(total, (len(total), *np.shape(value))))


def _spread(tangents, shape):
    """Tangents in that shape, which most have."""
    return tangents if tangents.shape == shape else np.broadcast_to(tangents, shape)


def _aligned(tangents, dimensions):
    """Tangents (K, *S) with axes of length 1 after the first, for values of so many dimensions."""
    missing = dimensions + 1 - tangents.ndim
    return tangents.reshape(tangents.shape[0], *(1,) * missing, *tangents.shape[1:]) if missing > 0 else tangents


def _compared(operation) -> Any:
    """A comparison, of values alone."""
    return lambda self, other: operation(self.value, value_of(other))


class Dual:
    """See the module. Mixes with numbers and NumPy arrays, which stand still."""

    __array_ufunc__ = None  # np.ndarray * Dual is Dual's to compute

    def __init__(self, value, tangents):
        self.value, self.tangents = value, tangents

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: self.value.dtype)
    real = property(lambda self: Dual(self.value.real, self.tangents.real))
    imag = property(lambda self: Dual(self.value.imag, self.tangents.imag))

    def __len__(self):
        return len(self.value)

    def __repr__(self):
        return f"Dual({self.value!r}, {self.tangents!r})"

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        return Dual(self.value[index], self.tangents[(slice(None), *index)])

    def __neg__(self):
        return Dual(-self.value, -self.tangents)

    def __add__(self, other):
        return _moved(self.value + value_of(other), (self, None), (other, None))

    def __sub__(self, other):
        return _moved(self.value - value_of(other), (self, None), (other, -1))

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        return _moved(self.value * value_of(other), (self, value_of(other)), (other, self.value))

    def __truediv__(self, other):
        y = value_of(other)
        value = self.value / y
        return _moved(value, (self, 1 / y), (other, -value / y))

    def __rtruediv__(self, other):
        value = other / self.value
        return _moved(value, (self, -value / self.value))

    def __pow__(self, other):
        x, y = self.value, value_of(other)
        parts: list = [(self, y * x ** (y - 1))]
        if isinstance(other, Dual):
            parts.append((other, x**y * np.log(x)))
        return _moved(x**y, *parts)

    def __rpow__(self, other):
        value = other**self.value
        return _moved(value, (self, value * np.log(other)))

    def __matmul__(self, other):
        y, moved = value_of(other), [tangent @ value_of(other) for tangent in self.tangents]
        if isinstance(other, Dual):
            moved = [left + self.value @ right for left, right in zip(moved, other.tangents, strict=True)]
        return Dual(self.value @ y, np.stack(moved))

    def __rmatmul__(self, other):
        return Dual(other @ self.value, np.stack([other @ tangent for tangent in self.tangents]))

    __radd__, __rmul__ = __add__, __mul__

    __lt__, __le__, __gt__ = _compared(operator.lt), _compared(operator.le), _compared(operator.gt)
    __ge__, __eq__, __ne__ = _compared(operator.ge), _compared(operator.eq), _compared(operator.ne)
    __hash__: Any = None

    def sum(self, axis=None):
        axes = range(self.ndim) if axis is None else [axis % self.ndim]
        return Dual(self.value.sum(axis), self.tangents.sum(tuple(k + 1 for k in axes)))

    def max(self, axis):
        return take_along_axis(self, np.expand_dims(np.argmax(self.value, axis), axis), axis).sum(axis)

    def conj(self):
        return Dual(self.value.conj(), self.tangents.conj())

    def astype(self, dtype):
        return Dual(self.value.astype(dtype), self.tangents.astype(dtype))

    @property
    def T(self):
        return Dual(self.value.T, self.tangents.transpose(0, *range(self.ndim, 0, -1)))


def _analytic(function, slope):
    """An operation of one argument; slope(x, f(x)) is its derivative."""

    def apply(x):
        value = function(value_of(x))
        return _moved(value, (x, slope(x.value, value))) if isinstance(x, Dual) else value

    return apply


def _flag(function):
    """An operation that does not move."""
    return lambda *arguments, **options: function(*map(value_of, arguments), **options)


def _linear(function):
    """A rearrangement function(x, *settings) of one array."""

    def apply(x, *settings):
        if not isinstance(x, Dual):
            return function(x, *settings)
        return Dual(function(x.value, *settings), np.stack([function(t, *settings) for t in x.tangents]))

    return apply


def _jointly(function):
    """A rearrangement function(arrays, *settings) of several arrays, of which some may not move."""

    def apply(arrays, *settings):
        count = next((len(x.tangents) for x in arrays if isinstance(x, Dual)), 0)
        value = function([value_of(x) for x in arrays], *settings)
        if not count:
            return value
        return Dual(value, np.stack([function([tangent_of(x, k) for x in arrays], *settings) for k in range(count)]))

    return apply


exp = _analytic(np.exp, lambda x, y: y)
expm1 = _analytic(np.expm1, lambda x, y: y + 1)
log = _analytic(np.log, lambda x, y: 1 / x)
log1p = _analytic(np.log1p, lambda x, y: 1 / (1 + x))
sqrt = _analytic(np.sqrt, lambda x, y: 0.5 / y)
arcsin = _analytic(np.arcsin, lambda x, y: 1 / np.sqrt(1 - x * x))
abs = _analytic(np.abs, lambda x, y: np.sign(x))


def _special(name):
    """A function of SciPy, which is imported at the first use."""

    def apply(x):
        from scipy import special

        return getattr(special, name)(x)

    return apply


erf = _analytic(_special("erf"), lambda x, y: 2 / np.sqrt(np.pi) * np.exp(-x * x))
erfc = _analytic(_special("erfc"), lambda x, y: -2 / np.sqrt(np.pi) * np.exp(-x * x))
ndtr = _analytic(_special("ndtr"), lambda x, y: np.exp(-x * x / 2) / np.sqrt(2 * np.pi))
conj, real, imag = (_linear(f) for f in (np.conj, np.real, np.imag))
take_along_axis = _linear(np.take_along_axis)
stack, concatenate = _jointly(np.stack), _jointly(np.concatenate)
all, any, isfinite, isinf, isnan, round, sign, argsort, full_like, ones_like, zeros_like = map(
    _flag,
    (
        np.all,
        np.any,
        np.isfinite,
        np.isinf,
        np.isnan,
        np.round,
        np.sign,
        np.argsort,
        np.full_like,
        np.ones_like,
        np.zeros_like,
    ),
)


def where(condition, x, y):
    value = np.where(condition, value_of(x), value_of(y))
    if not isinstance(x, Dual) and not isinstance(y, Dual):
        return value
    count = len((x if isinstance(x, Dual) else y).tangents)
    chosen = (_aligned(z.tangents, value.ndim) if isinstance(z, Dual) else 0 for z in (x, y))
    return Dual(value, _spread(np.where(condition, *chosen), (count, *value.shape)))


def maximum(x, y):
    return where(value_of(x) >= value_of(y), x, y)


def minimum(x, y):
    return where(value_of(x) <= value_of(y), x, y)


def clip(x, low, high):
    return minimum(maximum(x, low), high)


def arctan2(y, x):
    a, b = value_of(y), value_of(x)
    value, square = np.arctan2(a, b), a * a + b * b
    moves = isinstance(y, Dual) or isinstance(x, Dual)
    return _moved(value, (y, b / square), (x, -a / square)) if moves else value


def hypot(x, y):
    return sqrt(x * x + y * y)


def mod(x, y):
    value = np.mod(value_of(x), value_of(y))
    return _moved(value, (x, None)) if isinstance(x, Dual) else value


def max(x, axis):
    return x.max(axis)


def min(x, axis):
    return -(-x).max(axis)


def sum(x, axis=None):
    return x.sum(axis)


def asarray(x, dtype=None):
    return x if isinstance(x, Dual) else np.asarray(x, dtype)


def result_type(*values):
    return np.result_type(*(x.dtype if isinstance(x, Dual) else x for x in values))


def broadcast_arrays(*arrays):
    shape = np.broadcast_shapes(*(np.shape(value_of(x)) for x in arrays))
    return [x if np.shape(value_of(x)) == shape else broadcast_to(x, shape) for x in arrays]


def broadcast_to(x, shape):
    if not isinstance(x, Dual):
        return np.broadcast_to(x, shape)
    return _moved(np.broadcast_to(x.value, shape), (x, None))


def einsum(subscripts, *operands):
    """The product rule, one operand and tangent at a time."""
    values = [value_of(x) for x in operands]
    value = np.einsum(subscripts, *values)
    total = 0
    for i, x in enumerate(operands):
        if isinstance(x, Dual):
            before, after = values[:i], values[i + 1 :]
            total = total + np.stack([np.einsum(subscripts, *before, t, *after) for t in x.tangents])
    return Dual(value, total) if np.ndim(total) else value
