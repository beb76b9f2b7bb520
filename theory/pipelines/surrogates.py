r"""A model that is given, not fitted: a biased labeller, an existing model, an LLM's labels on all rows.

On a spectrum it has weights $\rho_j w_{0j} + \delta_j$ with a correlation ρ_j and an independent random error of energy
E δ_j²; on a dense Gaussian population its weights, on rows its answers on all rows are given. A correlation may be a
function of the eigenvalue, which speaks of every direction however the spectrum is compressed or expanded.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, key, leaf, show
from modelcollapse.theory.pipelines.model import Model
from modelcollapse.theory.pipelines.steps import SurrogateStep
from modelcollapse.theory.populations.data_rows import DataRows
from modelcollapse.theory.populations.dense_gaussian import Gaussian
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["Given", "Surrogate", "surrogate"]


class Given:
    """Arrays or functions that a structure may hold: hashed and compared by content."""

    __slots__ = ("arrays",)

    def __init__(self, *arrays):
        self.arrays = arrays

    def on(self, eigenvalues):
        """The arrays, with the values of functions on these eigenvalues."""
        return tuple(given(eigenvalues) if callable(given) else given for given in self.arrays)

    def __eq__(self, other):
        return isinstance(other, Given) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        return tuple(key(array) for array in self.arrays)

    def __reduce__(self):
        return Given, self.arrays


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Surrogate(Model):
    """A given model: `correlation` and `error` on a spectrum, numbers or `given` by atom; `given` alone elsewhere."""

    spectrum: Any
    correlation: Any
    error: Any
    given: Given

    label_name: ClassVar[str] = "a surrogate"

    @property
    def parents(self):
        return ()

    @property
    def numbers(self):
        return ("correlation", self.correlation, domains.REAL), ("error", self.error, domains.NOISE)

    def step(self, parents, numbers):
        correlation, error = numbers
        return SurrogateStep(correlation, error, self.given)

    def _rebuilt(self, spectrum, parents, values):
        correlation, error = values
        return Surrogate(spectrum, correlation, error, self.given)

    def __repr__(self):
        if not isinstance(self.spectrum, Spectrum):
            return f"surrogate({len(self.given.arrays[0])} given numbers)"
        named = zip(("correlation", "error"), (self.correlation, self.error), self.given.arrays, strict=True)
        parts = [f"{name}={show(value) if given is None else _kind(given)}" for name, value, given in named]
        return f"surrogate({', '.join(parts)})"


def surrogate(population, *, correlation: Any = 1.0, error: Any = None, weights=None, labels=None) -> Surrogate:
    """A model that is given: what it labels can be fitted on, mixed and simulated like any other.

    Parameters
    ----------
    population : Spectrum, gaussian or rows
    correlation : number, expression, one for each atom, or a function of the eigenvalues; on a spectrum
        ρ_j: the model's mean weights are ρ_j w0_j. A function is to use arithmetic alone: it also meets JAX arrays.
    error : number or expression ≥ 0, or one energy ≥ 0 for each atom; on a spectrum
        A number is the variance E(x·δ)² of its independent error, spread over directions like the signal's; energies
        E δ_j² are totals of each atom, like `signal`. Default: no error.
    weights : array (d,); on a dense Gaussian population
    labels : array (M,); on rows
        Its answers on all rows.

    Raises TypeError for arguments of another population and ValueError for shapes and numbers outside their domain.

    Labels that are all too small cannot be averaged away; the test error has a floor (1 − ρ)² of the label variance:

    >>> import modelcollapse as mc
    >>> spectrum = mc.isotropic(100)
    >>> shy = mc.surrogate(spectrum, correlation=0.8)
    >>> error = mc.predict(mc.fit(shy.label(10**7, noise=0.1))).test_error
    >>> round(float(error), 4)
    0.04
    """
    plain = np.ndim(correlation) == 0 and not is_expression(correlation) and correlation == 1
    given = {"correlation": None if plain else correlation, "error": error, "weights": weights, "labels": labels}
    if isinstance(population, Spectrum):
        _only(given, ("correlation", "error"), population)
        parts = [_by_atom(name, given[name], population) for name in ("correlation", "error")]
        numbers = [correlation, 0.0 if error is None else error]
        checked = [
            0.0 if array is not None else leaf(name, value, domain)
            for name, value, array, domain in zip(
                ("correlation", "error"), numbers, parts, (domains.REAL, domains.NOISE), strict=True
            )
        ]
        if parts[1] is not None:
            domains.NOISE.check("error", parts[1])
        return Surrogate(population, checked[0], checked[1], Given(*parts))
    if not isinstance(population, Gaussian | DataRows):
        raise TypeError(
            f"population is a {type(population).__name__}; give a spectrum, mc.gaussian(...) or mc.rows(...)"
        )
    name = "weights" if isinstance(population, Gaussian) else "labels"
    size = len(population.weights if isinstance(population, Gaussian) else population.targets)
    _only(given, (name,), population)
    if given[name] is None:
        raise TypeError(f"{name} is missing; on a population of {population.noun} give an array of {size} numbers")
    array = leaf(name, given[name], domains.REAL)
    if np.shape(array) != (size,):
        raise ValueError(f"{name} has shape {np.shape(array)}; give an array of {size} numbers")
    return Surrogate(population, 0.0, 0.0, Given(array))


def _only(given, names, population):
    for name, value in given.items():
        if value is not None and name not in names:
            raise TypeError(f"{name} on a population of {population.noun}; give {' and '.join(names)} there")


def _kind(given):
    return "by eigenvalue" if callable(given) else "by atom"


def _by_atom(name, value, spectrum):
    """An array with one entry for each atom or a function of the eigenvalues, None for a single number."""
    if name == "correlation" and callable(value):
        _array(name, value(np.asarray(spectrum.eigenvalues)), spectrum)
        return value
    if value is None or is_expression(value) or np.ndim(value) == 0:
        return None
    return _array(name, value, spectrum)


def _array(name, value, spectrum):
    array = leaf(name, value, domains.REAL)
    if spectrum.free or np.shape(array) != spectrum.eigenvalues.shape[-1:]:
        size = "free symbols" if spectrum.free else f"{spectrum.eigenvalues.shape[-1]} atoms"
        raise ValueError(f"{name} has shape {np.shape(array)} on a spectrum with {size}; give a number or one per atom")
    return array
