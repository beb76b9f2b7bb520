"""The leaves of a spectrum: what its numbers are called, where they may lie and which shapes fit.

A spectrum has a *kind*, its structure without a number, and leaves:

    ("isotropic",)    dim, signal
    ("power_law",)    beta, r, dim; ("power_law", "finite") where dim is known to be finite, with any beta > 0
    ("arrays",)       eigenvalues, signal, multiplicity, each an array with atoms on the last axis
    ("entries", A)    A eigenvalues, A signal energies, A multiplicities, not all of them numbers

>>> normalised(("entries", 2), [1.0, 2.0, 3.0, 4.0, 1.0, 1.0])
(('arrays',), (array([1., 2.]), array([3., 4.]), array([1., 1.])))
"""

import dataclasses

import numpy as np

from modelcollapse.theory.numbers.domains import (
    CAPACITY,
    DIMENSION,
    EIGENVALUE,
    ENERGY,
    MULTIPLICITY,
    POWER_LAW_DIMENSION,
    SOURCE_EXPONENT,
    Domain,
)
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols, is_expression, leaf

MOST_DIRECTIONS = 1e260  # of a finite power law
_FINITE_CAPACITY = Domain(low=0, low_open=True, high_open=True, remedy="the eigenvalues j^-beta fall for beta > 0")
_ARRAYS = (("eigenvalues", EIGENVALUE), ("signal", ENERGY), ("multiplicity", MULTIPLICITY))
_ISOTROPIC = (("dim", DIMENSION), ("signal", ENERGY))
_POWER_LAW = (
    ("beta", CAPACITY),
    ("r", SOURCE_EXPONENT),
    ("dim", dataclasses.replace(POWER_LAW_DIMENSION, whole=True)),
)


def parameters(kind):
    """Name and domain of every leaf of a kind of spectrum."""
    if kind[0] == "entries":
        return tuple((f"{name}[{i}]", domain) for name, domain in _ARRAYS for i in range(kind[1]))
    return {
        ("arrays",): _ARRAYS,
        ("isotropic",): _ISOTROPIC,
        ("power_law",): _POWER_LAW,
        ("power_law", "finite"): (("beta", _FINITE_CAPACITY), *_POWER_LAW[1:]),
    }[kind]


def normalised(kind, leaves):
    """Kind and leaves, checked and read-only; entries without a free symbol become arrays.

    Raises ValueError for numbers outside their domain and shapes that do not fit, TypeError for wrong types.
    """
    if kind[0] == "power_law":
        kind = ("power_law", *["finite"] * _known_to_be_finite(leaves[-1]))
    named = zip(parameters(kind), leaves, strict=True)
    leaves = tuple(leaf(name, value, domain) for (name, domain), value in named)
    if kind[0] == "entries" and not any(map(free_symbols, leaves)):
        kind, leaves = ("arrays",), stacked(leaves, kind[1])
    if kind[0] == "arrays":
        return kind, _common_shape(leaves)
    _grid_shape(kind, leaves)
    if kind[0] == "power_law" and not any(map(is_expression, leaves)):
        _require_resolved(leaves[-1])
    return kind, leaves


def _known_to_be_finite(dim):
    try:
        return bool(np.all(np.isfinite(np.asarray(dim, float))))
    except (TypeError, ValueError):  # an expression, or what is refused later
        return False


def _require_resolved(dim):
    """Refuse a finite dim at which eigenvalues below double precision, 1e-280 for all of them, would add up."""
    dim = np.asarray(dim, float)
    lost = dim[np.isfinite(dim) & (dim > MOST_DIRECTIONS)]
    if lost.size:
        raise ValueError(
            f"dim = {lost.flat[0]:g} of a power law exceeds {MOST_DIRECTIONS:g}: its last eigenvalues leave double "
            "precision; give dim=math.inf, which differs by nothing visible"
        )


def described(eigenvalues, signal, multiplicity):
    """The kind and the unchecked leaves of what a caller passed to Spectrum."""
    given = (eigenvalues, signal, multiplicity)
    if any(is_expression(entry) for value in given for entry in _entries(value)):
        return _symbolic(given)
    return ("arrays",), given


def _entries(value):
    return value if isinstance(value, list | tuple) else (value,)


def _symbolic(given):
    length = max(len(value) if isinstance(value, list | tuple) else np.size(value) for value in given)
    columns = []
    for (name, _), value in zip(_ARRAYS, given, strict=True):
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value.tolist()
        if not isinstance(value, list | tuple):
            value = [value] * length
        if len(value) != length:
            raise ValueError(f"{name} has {len(value)} entries, another argument {length}; give one per atom")
        columns += value
    for entry in columns:
        if isinstance(entry, list | tuple | np.ndarray) and np.ndim(entry):
            raise TypeError(f"{entry!r} is beside a SymPy expression; give grids as the values of symbols")
    return ("entries", length), columns


def stacked(leaves, length, xp=np):
    """Eigenvalues, signal energies and multiplicities, atoms last, of entries of one grid shape."""
    numbers = [evaluate(value, {}) if xp is np else value for value in leaves]
    numbers = xp.broadcast_arrays(*map(xp.asarray, numbers))
    return tuple(xp.stack(numbers[i : i + length], axis=-1) * 1.0 for i in range(0, 3 * length, length))


def _common_shape(leaves):
    lengths = {np.shape(value)[-1] for value in leaves if np.ndim(value)}
    try:
        shape = np.broadcast_shapes(*(np.shape(value) for value in leaves)) or (1,)
    except ValueError:
        shape = ()
    if len(lengths) > 1 or not shape:
        named = zip(_ARRAYS, leaves, strict=True)
        found = ", ".join(f"{name} {np.shape(value)}" for (name, _), value in named)
        raise ValueError(f"the shapes {found} do not fit; give one entry per atom on the last axis")
    if 0 in shape:
        raise ValueError(f"eigenvalues of shape {shape} are empty; a spectrum has at least one atom")
    numbers = (np.asarray(evaluate(value, {}), dtype=float) for value in leaves)
    return tuple(read_only(np.broadcast_to(value, shape)) for value in numbers)


def _grid_shape(kind, leaves):
    shapes = [np.shape(value) for value in leaves if not is_expression(value)]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"the shapes {shapes} of {kind[0]} do not broadcast; give one grid") from None


def read_only(array):
    """A view that cannot be written to."""
    array = array.view()
    array.flags.writeable = False
    return array
