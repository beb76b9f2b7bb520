r"""Spectra: the eigenvalues of the inputs' covariance and the signal that lies along them.

Inputs x ~ N(0, Σ) with eigenvalues s_j, truth y = x·w0 + noise with coordinates w0_j in the eigenbasis.
Every error depends on them through sums of two kinds, Σ_j f(s_j) and Σ_j f(s_j) w0_j². A `Spectrum` is these
two measures on one set of *atoms*,

$$ \sum_j f(s_j) = \sum_a \mu_a f(s_a), \qquad \sum_j f(s_j) w_{0j}^2 = \sum_a \theta_a f(s_a), $$

with multiplicity μ_a ≥ 0, any real number, and signal energy θ_a ≥ 0. An atom may carry one without the
other. Isotropic inputs are one atom whatever their dimension, and a power law of any length is a few
hundred.

>>> from modelcollapse.theory.spectra import power_law
>>> full = Spectrum(np.arange(1.0, 10**5 + 1) ** -1.5, 1.0)
>>> atoms = power_law(beta=1.5, r=0.5, dim=10**5)
>>> bool(abs(atoms.trace / full.trace - 1) < 1e-13), atoms.eigenvalues.size < 300
(True, True)
"""

from functools import cached_property, partial
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import evaluate, free_symbols, key, leaf, show, substitute
from modelcollapse.theory.populations import compression
from modelcollapse.theory.populations.population import Population
from modelcollapse.theory.populations.quadrature import power_law_atoms
from modelcollapse.theory.populations.spectrum_inputs import input_eigenvalues
from modelcollapse.theory.populations.spectrum_leaves import described, normalised, parameters, read_only, stacked

_SMALL = 256
_TOLERANCE = Domain(low=1e-12, high=1e-2, remedy="give a relative error, by default 1e-12")


class Spectrum(Population):
    """Eigenvalues s_a, signal energies θ_a = Σ_{j in a} w0_j² and multiplicities μ_a.

    Arguments are numbers, lists or arrays with the atoms on the last axis; axes in front of it are a grid of
    spectra. Numbers apply to every atom. A list may hold SymPy expressions. Immutable, compared and hashed
    by content.

    Raises ValueError for an empty spectrum, for shapes that differ and for negative or infinite entries and
    NaN, TypeError for what is not a real number.

    A direction may be split in two, each with its share of the signal, and no functional changes:

    >>> whole = Spectrum([2.0, 1.0], [1.0, 3.0])
    >>> split = Spectrum([2.0, 1.0, 1.0], [1.0, 1.0, 2.0], [1.0, 0.25, 0.75])
    >>> bool(whole.trace == split.trace), bool(whole.label_variance == split.label_variance)
    (True, True)
    >>> split.merge() == whole
    True

    Attributes for readers: `kind`, the structure without a number; `leaves`, its numbers and expressions in
    the order (dim, signal), (beta, r, dim), (eigenvalues, signal, multiplicity) as arrays, or the same entry
    by entry if one of them is an expression; `atoms` and `replace_leaves`, which take new leaves of the same
    structure.
    """

    kind: tuple
    leaves: tuple
    unexplained: float
    _origin: "Spectrum | None"
    supported = frozenset({"accumulate", "filter", "features", "link", "keep"})

    def __init__(self, eigenvalues, signal, multiplicity=1.0):
        self._fill(*described(eigenvalues, signal, multiplicity))

    @classmethod
    def _make(cls, kind, leaves, unexplained=0.0, origin=None):
        self = object.__new__(cls)
        self._fill(kind, leaves, unexplained, origin)
        return self

    def _fill(self, kind, leaves, unexplained=0.0, origin=None):
        kind, leaves = normalised(kind, leaves)
        self.__dict__.update(kind=kind, leaves=leaves, unexplained=float(unexplained), _origin=origin)

    def __setattr__(self, name, value):
        raise AttributeError(f"a Spectrum is immutable; build a new one instead of setting {name}")

    def __delattr__(self, name):
        raise AttributeError(f"a Spectrum is immutable; build a new one instead of deleting {name}")

    def __reduce__(self):
        return _rebuild, (self.kind, self.leaves, self.unexplained, self._origin)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __eq__(self, other):
        if not isinstance(other, Spectrum):
            return NotImplemented
        return self is other or (
            self.kind == other.kind
            and self.unexplained == other.unexplained
            and all(map(_same, self._content, other._content))
            and self._origin == other._origin
        )

    @cached_property
    def _content(self):
        return tuple(value if free_symbols(value) else evaluate(value, {}) for value in self.leaves)

    @cached_property
    def _hash(self):
        return hash((self.kind, *(key(_sample(value)) for value in self._content)))

    def __hash__(self):
        return self._hash

    @property
    def free(self):
        """The free SymPy symbols, sorted by name."""
        return tuple(sorted(frozenset().union(*map(free_symbols, self.leaves)), key=str))

    @property
    def numbers(self):
        """(name, leaf, domain) of every number, like those of a model."""
        named = zip(parameters(self.kind), self.leaves, strict=True)
        return tuple((name, value, domain) for (name, domain), value in named)

    def subs(self, mapping):
        """The spectrum with some symbols replaced by numbers, arrays (a grid) or expressions."""
        mapping = {symbol: leaf(str(symbol), value, Domain()) for symbol, value in dict(mapping).items()}
        if not mapping.keys() & set(self.free):
            return self
        return self.replace_leaves(substitute(name, value, mapping, domain) for name, value, domain in self.numbers)

    def replace_leaves(self, new_leaves):
        """The spectrum of the same structure with other leaves."""
        return Spectrum._make(self.kind, tuple(new_leaves), self.unexplained)

    def atoms(self, leaf_values, xp=np):
        """Eigenvalues, signal energies and multiplicities for given values of the leaves, atoms last.

        The values are numbers or arrays of a common grid shape (with the atoms on a last axis of their own
        for kind ("arrays",)), or JAX tracers with xp = jax.numpy. The dim of a power law must be concrete.
        """
        if self.kind[0] == "power_law":
            return power_law_atoms(*leaf_values, xp=xp)
        if self.kind[0] == "isotropic":
            dim, signal = xp.broadcast_arrays(*(xp.asarray(value)[..., None] * 1.0 for value in leaf_values))
            return xp.ones_like(signal), signal, dim
        if self.kind[0] == "entries":
            return stacked(leaf_values, self.kind[1], xp)
        return tuple(xp.broadcast_arrays(*map(xp.asarray, leaf_values)))

    @cached_property
    def _arrays(self):
        if self.free:
            names = ", ".join(map(str, self.free))
            raise TypeError(
                f"the atoms of a spectrum with the free symbol {names} are not numbers; "
                "give values with .subs, or to predict"
            )
        arrays = self.atoms(tuple(evaluate(value, {}) for value in self.leaves))
        return tuple(read_only(part) for part in np.broadcast_arrays(*arrays))

    @property
    def eigenvalues(self):
        """Eigenvalues s_a, (*grid, atoms)."""
        return self._arrays[0]

    @property
    def signal(self):
        """Signal energies θ_a, (*grid, atoms)."""
        return self._arrays[1]

    @property
    def multiplicity(self):
        """Multiplicities μ_a, (*grid, atoms)."""
        return self._arrays[2]

    @property
    def dim(self):
        """The number of directions with a positive eigenvalue: a number, inf, a grid or an expression."""
        if self.kind[0] == "isotropic":
            return self.leaves[0]
        if self.kind[0] == "power_law":
            return self.leaves[2]
        return np.sum(self.multiplicity * (self.eigenvalues > 0), axis=-1)

    @property
    def trace(self):
        """Σ_a μ_a s_a, the mean square of the inputs."""
        return np.sum(self.multiplicity * self.eigenvalues, axis=-1)

    @property
    def label_variance(self):
        """Σ_a s_a θ_a, the variance of the labels without noise."""
        return np.sum(self.eigenvalues * self.signal, axis=-1)

    def __repr__(self):
        if self.kind[0] in ("isotropic", "power_law"):
            named = zip(parameters(self.kind), self.leaves, strict=True)
            return f"{self.kind[0]}({', '.join(f'{name}={_show(value)}' for (name, _), value in named)})"
        if self.free:
            return f"Spectrum({self.kind[1]} eigenvalues in {', '.join(map(str, self.free))})"
        *grid, count = self.eigenvalues.shape
        size = f"{'x'.join(map(str, grid))} grid of " * bool(grid) + f"{count} eigenvalue{'s' * (count > 1)}"
        low, high = self.eigenvalues.min(), self.eigenvalues.max()
        signal = "" if grid else f", signal {self.signal.sum():.6g}"
        unexplained = f", unexplained {self.unexplained:.6g}" if self.unexplained else ""
        return f"Spectrum({size} in [{low:.6g}, {high:.6g}]{signal}{unexplained})"

    def _is_arrays(self):
        return self.kind[0] not in ("isotropic", "power_law")

    def _with_atoms(self, arrays, origin):
        return Spectrum._make(("arrays",), arrays, self.unexplained, origin)

    def checked_inputs(self, name, inputs):
        """A covariate shift: None, a function of the eigenvalues, or eigenvalues with the atoms last."""
        return input_eigenvalues(name, inputs, self)

    def merge(self):
        """The same spectrum, equal eigenvalues in one atom, eigenvalues descending.

        >>> Spectrum([1.0, 2.0, 1.0], [0.5, 0.0, 1.5]).merge() == Spectrum([2.0, 1.0], [0.0, 2.0], [1.0, 2.0])
        True
        """
        if not self._is_arrays():
            return self
        return self._with_atoms(_by_row(compression.merge, self._arrays), self._origin)

    def compress(self, tol=1e-12):
        """Fewer atoms, every functional kept to a relative `tol` (see `modelcollapse.theory.populations.compression`).

        About 10 atoms per factor e in the eigenvalues, in time O(d log d) and memory O(d). A spectrum that
        is small already, or would not shrink, is returned as it is. Raises ValueError for tol outside
        [1e-12, 1e-2].

        >>> s = np.linspace(0.1, 2.0, 1000)
        >>> few = Spectrum(s, s**2).compress()
        >>> few.eigenvalues.size < 70, round(float(few.dim), 9), bool(abs(few.trace / s.sum() - 1) < 1e-13)
        (True, 1000.0, True)
        >>> few.expand() == Spectrum(s, s**2)
        True
        """
        checked: Any = leaf("tol", tol, _TOLERANCE)
        if not self._is_arrays() or self._arrays[0].shape[-1] <= _SMALL:
            return self
        arrays = _by_row(partial(compression.compress, tol=checked), self._arrays)
        if arrays[0].shape[-1] >= self._arrays[0].shape[-1]:
            return self
        return self._with_atoms(arrays, self if self._origin is None else self._origin)

    def expand(self, limit=20_000):
        """The true eigenvalues, one per direction and in the order of the atoms, for simulation.

        An atom of whole multiplicity m and signal energy θ becomes m directions of energy θ/m. A power law
        gives its true eigenvalues, and a compressed spectrum those it was compressed from. Raises ValueError
        for a grid, for more than `limit` directions, and for atoms that are no whole number of directions.

        >>> from modelcollapse.theory.spectra import power_law
        >>> bool(np.all(power_law(beta=2.0, r=0.5, dim=3).expand().eigenvalues == [1, 1 / 4, 1 / 9]))
        True
        >>> power_law(beta=2.0, r=0.5).expand()
        Traceback (most recent call last):
            ...
        ValueError: power_law(beta=2, r=0.5, dim=inf) has infinitely many directions; give it a finite dim
        """
        if self._origin is not None:
            return self._origin.expand(limit)
        s, theta, mu = self._arrays
        if s.ndim > 1:
            raise ValueError(f"{self!r} is a grid of spectra; expand one spectrum at a time")
        self._refuse_many(limit)
        if self.kind[0] == "power_law":
            beta, r, dim = (float(evaluate(value, {})) for value in self.leaves)
            j = np.arange(1.0, dim + 1)
            return self._with_atoms((j**-beta, j ** (beta - 1 - 2 * r * beta), 1.0), None)
        whole = (mu == np.round(mu)) & ((mu > 0) | (s == 0) | (theta == 0))
        if not whole.all():
            worst = int(np.argmin(whole))
            raise ValueError(
                f"atom {worst} of {self!r} has multiplicity {mu[worst]:.6g} and signal {theta[worst]:.6g}, "
                "no whole number of directions; build the spectrum from one eigenvalue per direction"
            )
        counts = mu.astype(int)
        shares = theta / np.maximum(counts, 1)
        return self._with_atoms((np.repeat(s, counts), np.repeat(shares, counts), 1.0), None)

    def _refuse_many(self, limit):
        directions = float(np.sum(self.multiplicity) if self._is_arrays() else evaluate(self.dim, {}))
        if directions == np.inf:
            raise ValueError(f"{self!r} has infinitely many directions; give it a finite dim")
        if directions > limit:
            raise ValueError(
                f"{self!r} has {directions:.6g} directions, more than limit = {limit}; "
                "give a smaller spectrum, or a larger limit if memory allows"
            )


def _rebuild(kind, leaves, unexplained, origin):
    return Spectrum._make(kind, leaves, unexplained, origin)


def _by_row(function, arrays):
    """A function of 1-d atoms applied to every spectrum of a grid, padded by empty atoms to one length."""
    *grid, count = arrays[0].shape
    if not grid:
        return function(*arrays)
    rows = [function(*row) for row in zip(*(part.reshape(-1, count) for part in arrays), strict=True)]
    width = max(row[0].size for row in rows)
    padded = ([np.pad(part, (0, width - part.size)) for part in row] for row in rows)
    return tuple(np.stack(column).reshape(*grid, width) for column in zip(*padded, strict=True))


def _sample(value):
    """Some entries of a large array, enough to tell spectra apart; a zero without its sign."""
    return value[..., :: max(1, value.shape[-1] // 64)] + 0.0 if isinstance(value, np.ndarray) else value


def _same(one, two):
    if isinstance(one, np.ndarray) or isinstance(two, np.ndarray):
        return np.shape(one) == np.shape(two) and bool(np.all(one == two))
    return one == two


def _show(value):
    return f"{value:g}" if isinstance(value, float) else show(value)
