"""Results that are kept for the points of one grid, by key, the oldest dropped first."""

from collections import OrderedDict

__all__ = ["Memory"]


class Memory:
    """A dict that holds at most `most` bytes.

    >>> memory = Memory(most=16)
    >>> [memory.get(key, lambda key=key: key * 2, bytes=8) for key in (1, 2, 1, 3)], list(memory.kept)
    ([2, 4, 2, 6], [1, 3])
    """

    def __init__(self, most):
        self.most, self.kept, self.bytes = most, OrderedDict(), 0

    def get(self, key, make, bytes):
        """The value of a key, made and kept if it is new."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key][0]
        value = make()
        self.kept[key] = value, bytes
        self.bytes += bytes
        while self.bytes > self.most and len(self.kept) > 1:
            self.bytes -= self.kept.popitem(last=False)[1][1]
        return value
