"""Numbers that change from one generation of a chain to the next."""

from collections.abc import Iterable, Sequence

from modelcollapse.theory.numbers.leaves import Domain, is_expression, key, leaf, show

__all__ = ["Schedule"]

_SHOWN = 16


class Schedule(Sequence):
    """One entry for each generation of a `chain`: entry k is the number of the k-th fit.

    entries : sequence of numbers, grids or expressions, at least one. A list alone is a grid, that is several chains;
        a Schedule is one chain whose rows, noise or ridge change. Compared and hashed by content. TypeError for what is
        no sequence of numbers, ValueError for an empty one.

    Rounds that double keep the error of least squares below twice that of the first:

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(10))
    >>> growing = mc.chain(w0, 4, samples=mc.Schedule([1000, 2000, 4000, 8000]), noise=0.1)
    >>> growing
    chain(start=truth, generations=4, samples=Schedule([1000, 2000, 4000, 8000]), noise=0.1, ridge=0)
    >>> first = mc.predict(mc.chain(w0, 1, samples=1000, noise=0.1)).test_error
    >>> bool(mc.predict(growing).test_error < 2 * first)
    True
    """

    __slots__ = ("entries",)

    def __init__(self, entries):
        if isinstance(entries, str) or is_expression(entries) or not isinstance(entries, Iterable):
            raise TypeError(f"entries is a {type(entries).__name__}; give a list with a number for each generation")
        self.entries = tuple(leaf(f"entries[{k}]", entry, Domain()) for k, entry in enumerate(entries))
        if not self.entries:
            raise ValueError("entries is empty; give a number for each generation, at least one")

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, k):
        return self.entries[k]

    def __array__(self, dtype=None, copy=None):
        raise TypeError(f"{self!r} is for the generations of mc.chain; give a number or an array of numbers here")

    def __eq__(self, other):
        return isinstance(other, Schedule) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        return tuple(map(key, self.entries))

    def __reduce__(self):
        return Schedule, (self.entries,)

    def __repr__(self):
        more = f", ... ({len(self)} entries)" if len(self) > _SHOWN else ""
        return f"Schedule([{', '.join(map(show, self.entries[:_SHOWN]))}{more}])"
