r"""The labels that teach best: not the true ones.

A student fits ridge(λ) on T rows that a model w labels, κ = κ(λ, T), u = df_2/(T − df_2). Its test error

    E = Σ_j s_j (s_j w_j/(s_j+κ) − w0_j)² + u [κ² Σ_j s_j w_j²/(s_j+κ)² + σ²]                                       (1)

is a parabola in every w_j. It is lowest at w_j = ρ_j w0_j,

    ρ_j = s_j (s_j+κ)/(s_j² + uκ²),    E⋆ = Σ_j s_j w0_j² uκ²/(s_j² + uκ²) + uσ²:                                   (2)

directions with s_j > uκ are labelled louder than they are, to make up for the ridge, the others are hushed, because
what the student cannot learn disturbs it like noise. Only uσ² depends on the label noise, so the best teacher does not.
Without noise direction j has the share u(s_j+κ)²/((1+u)(s_j²+uκ²)) of its error on true labels, which is 1 at s_j = uκ
and nowhere less than min(u, 1)/(1+u) = min(df_2/T, 1 − df_2/T).

Source: Ildiz et al. 2024 (arXiv 2410.18837) for interpolators; any ridge and the bound derived here.
"""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.equivalents.shares import samples_left
from modelcollapse.numerics.questions.shortcuts import degrees_of_freedom, effective_ridge
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf, show
from modelcollapse.theory.pipelines.surrogates import Surrogate, surrogate
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["optimal_teacher"]

_RIDGE = domains.Domain(low=0, high_open=True, remedy="an infinite ridge learns nothing from any labels")
_FARTHEST = 1e100  # κ over the largest eigenvalue, or under it


@dataclass(frozen=True, slots=True)
class _Loudness:
    """ρ of (2) as a function of the eigenvalue."""

    kappa: float
    gain: float

    def __call__(self, eigenvalues):
        ratio = eigenvalues / self.kappa
        return ratio * (ratio + 1) / (ratio * ratio + self.gain)


def optimal_teacher(spectrum: Spectrum, samples, ridge=0.0, noise=0.0) -> Surrogate:
    """The model whose labels make a ridge fit best: among all labellers, the truth included.

    Parameters
    ----------
    spectrum : Spectrum, one
    samples : number T > 0, rows of the student
    ridge : number λ ≥ 0, finite, of the student
    noise : number σ ≥ 0, standard deviation of the noise on the labels. It adds the same to the error of every student,
        so the best teacher is the same for all σ.

    Returns
    -------
    Surrogate with the correlations ρ_j = s_j(s_j+κ)/(s_j² + uκ²), u = df_2/(T − df_2), and no error of its own: label
    with it, mix it, simulate it like any model. For a student without ridge on T ≥ d rows it is the truth itself.

    Raises
    ------
    TypeError for a grid or a symbol: a teacher is made for one student. ValueError for numbers outside their domain.

    Examples
    --------
    Louder than the truth where the student shrinks, quieter where it cannot follow:

    >>> import numpy as np, modelcollapse as mc
    >>> spectrum, rows, ridge = mc.power_law(1.5, 0.5, dim=200), 50, 1e-3
    >>> errors = [
    ...     mc.predict(mc.fit(teacher.label(rows, noise=0.1), ridge=ridge)).test_error
    ...     for teacher in (mc.truth(spectrum), mc.optimal_teacher(spectrum, rows, ridge, noise=0.1))
    ... ]
    >>> bool(errors[1] < errors[0])
    True
    >>> float(mc.predict(mc.optimal_teacher(spectrum, 1000)).test_error)     # least squares: nothing beats the truth
    0.0
    """
    samples = _one("samples", samples, domains.SAMPLES)
    ridge = _one("ridge", ridge, _RIDGE)
    _one("noise", noise, domains.NOISE)
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"spectrum is a {type(spectrum).__name__}; build one with isotropic, power_law or from_...")
    if spectrum.free or np.ndim(spectrum.eigenvalues) > 1:
        raise TypeError(f"{spectrum!r} is no single spectrum of numbers; build a teacher for each spectrum")
    kappa = effective_ridge(spectrum, samples, ridge)
    largest = np.max(spectrum.eigenvalues)
    if kappa > _FARTHEST * largest:
        raise ValueError(
            f"ridge = {ridge!r} leaves nothing to learn on eigenvalues up to {largest:.3g}; give a smaller one"
        )
    if kappa < largest / _FARTHEST:
        return surrogate(spectrum)
    numbers = np.array([samples]), np.array([kappa])
    _, left = samples_left(spectrum.eigenvalues[None], spectrum.multiplicity[None], *numbers)
    gain = degrees_of_freedom(spectrum, kappa, 2) / left[0]
    return surrogate(spectrum, correlation=_Loudness(float(kappa), float(gain)))


def _one(name, value, domain):
    value = leaf(name, value, domain)
    if np.ndim(value) or (is_expression(value) and value.free_symbols):
        raise TypeError(
            f"{name} = {show(value)} is not one number; a teacher is made for one student, so build several"
        )
    return float(value)
