"""Random streams that are addressed, not consumed.

Every trial of a simulation draws from counters of its own: the Philox counter of (trial, step, generation) under one
key per grid point. What a trial draws therefore depends on the seed and on its place alone, whatever the batch size,
the number of workers and the machine it runs on.

>>> first = Streams(stream_key(0, 0))
>>> alone = first.at(trial=7).standard_normal()
>>> for trial in range(7):
...     _ = first.at(trial).standard_normal(1000)
>>> bool(first.at(trial=7).standard_normal() == alone)
True
"""

import numpy as np

__all__ = ["Streams", "seed_sequence", "stream_key"]


def seed_sequence(seed):
    """A SeedSequence of a whole number of any size, a SeedSequence or a Generator (which is advanced).

    Raises TypeError for anything else and ValueError for a negative number.
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence(seed.integers(0, 2**32, size=4, dtype=np.uint32).tolist())
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer):
        raise TypeError(
            f"seed = {seed!r} is a {type(seed).__name__}; give a whole number, a NumPy SeedSequence or Generator"
        )
    if seed < 0:
        raise ValueError(f"seed = {seed} is outside [0, inf); give a whole number that is not negative")
    return np.random.SeedSequence(int(seed))


def stream_key(seed, point):
    """The 128-bit Philox key of a grid point, two whole numbers below 2^64."""
    parent = seed_sequence(seed)
    child = np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, point), pool_size=parent.pool_size)
    return tuple(int(word) for word in child.generate_state(2, np.uint64))


class Streams:
    """Generators by address under one key."""

    def __init__(self, key):
        self._bits = np.random.Philox(key=np.array(key, np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def at(self, trial, step=0, generation=0):
        """The generator at the start of an address; it is the same object each time, moved there."""
        self._state["state"]["counter"][:] = (0, generation, step, trial)
        self._bits.state = self._state
        return self._generator
