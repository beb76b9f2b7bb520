"""What a truth lives on: the one interface of spectra, dense Gaussian populations and the rows of a data set.

A population says what inputs are drawn from and what the truth is on them. Pipelines ask it for little: whether it has
free symbols, what the inputs of a source or of a test may be, and which kinds of fits have formulas on it.
"""

import hashlib
import pickle
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.populations.spectrum_leaves import read_only

__all__ = ["DensePopulation", "Population"]


class Population:
    """What `truth` takes. `free`: its SymPy symbols; `supported`: kinds of fits beyond ridge with formulas on it."""

    free: Any = ()
    numbers: Any = ()  # (name, leaf, domain) of those that may be symbols
    supported: ClassVar[frozenset] = frozenset()

    def subs(self, mapping):
        """The population with symbols replaced; one without symbols is itself."""
        return self

    def checked_inputs(self, name, inputs) -> Any:
        """The inputs of a source or of a test in the population's form; ValueError or TypeError in one sentence."""
        raise NotImplementedError

    def require(self, what, name):
        """Raise ValueError if the formulas of `what` do not extend to this population; `name` is what was asked for."""
        if what not in self.supported:
            raise ValueError(
                f"{name} on a population of {self.noun} is not supported, only ridge fits, chains and mixtures are; "
                "use those, or a spectrum of the same data (from_samples, from_gram or from_covariance)"
            )

    noun: ClassVar[str] = "eigendirections"


class DensePopulation(Population):
    """A population that is given by arrays: immutable, compared and hashed by content."""

    _digest: bytes

    def _fill(self, content, **others):
        """Set attributes; those in the dict `content` make the identity."""
        for name, value in {**content, **others}.items():
            object.__setattr__(self, name, read_only(value) if isinstance(value, np.ndarray) else value)
        plain = [np.ascontiguousarray(x).tobytes() if isinstance(x, np.ndarray) else x for x in content.values()]
        object.__setattr__(self, "_digest", hashlib.blake2b(pickle.dumps(plain, 4), digest_size=16).digest())

    def __setattr__(self, name, value):
        raise AttributeError(f"a {type(self).__name__} is immutable; build a new one instead of setting {name}")

    def __delattr__(self, name):
        raise AttributeError(f"a {type(self).__name__} is immutable; build a new one instead of deleting {name}")

    def __setstate__(self, state):
        self.__dict__.update({k: read_only(v) if isinstance(v, np.ndarray) else v for k, v in state.items()})

    def __eq__(self, other):
        return self._digest == other._digest if type(other) is type(self) else NotImplemented

    def __hash__(self):
        return hash(self._digest)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self
