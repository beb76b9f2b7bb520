r"""The usual questions in one call: the error curve, Δ, the effective ridge, degrees of freedom."""

import math
from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents import ridge_equation
from modelcollapse.numerics.equivalents import shares as shares_left
from modelcollapse.numerics.equivalents.sources import projections
from modelcollapse.numerics.evaluation.grid import Grid, few_atoms, require_range
from modelcollapse.numerics.evaluation.lanes import evaluate_on
from modelcollapse.numerics.evaluation.outcome import require_found
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf, show
from modelcollapse.theory.pipelines import chain, fit, truth
from modelcollapse.theory.spectra import Spectrum

__all__ = ["FakeData", "degrees_of_freedom", "delta", "effective_ridge", "test_error"]

ORDER = domains.Domain(low=0, low_open=True, high_open=True, remedy="give a positive power")


@dataclass(frozen=True, eq=False, repr=False)
class FakeData:
    """n-fold fake data: how many generations labelled the training data, and how each was fitted.

    generations : n ≥ 0, whole; samples : T0 > 0 rows per generation; noise : standard deviation σ0 of the noise on
    each generation's labels; ridge : λ0 of each generation's fit (0: least squares).

    >>> import modelcollapse as mc
    >>> fake = mc.FakeData(generations=5, samples=400, noise=0.5)
    >>> round(float(mc.test_error(mc.isotropic(100), 1000, ridge=0.1, noise=0.5, fake=fake).collapse), 3)
    0.339
    """

    generations: object
    samples: object
    noise: object
    ridge: object = 0.0

    def __post_init__(self):
        for name, domain in (
            ("generations", domains.GENERATIONS),
            ("samples", domains.SAMPLES),
            ("noise", domains.NOISE),
            ("ridge", domains.RIDGE),
        ):
            object.__setattr__(self, name, leaf(name, getattr(self, name), domain))

    def __repr__(self):
        return (
            "FakeData(" + ", ".join(f"{name}={show(getattr(self, name))}" for name in self.__dataclass_fields__) + ")"
        )


def test_error(spectrum, samples, ridge, noise, fake=None):
    """The error curve: a ridge fit on `samples` rows whose labels are clean, or n-fold fake.

    samples T > 0, ridge λ ≥ 0 and noise σ ≥ 0 (a standard deviation) are numbers, arrays that broadcast, or symbols
    with values given to `predict`. Returns a Prediction of the broadcast shape.

    >>> import numpy as np, modelcollapse as mc
    >>> curve = mc.test_error(mc.power_law(1.5, 0.5), np.geomspace(10, 1e4, 5), ridge=1e-3, noise=0.1)
    >>> curve.test_error.round(4)
    array([0.1068, 0.0138, 0.0035, 0.0012, 0.0008])
    """
    labels = truth(spectrum)
    if fake is not None:
        _require_fake(fake)
        labels = chain(labels, fake.generations, fake.samples, fake.noise, fake.ridge)
    return predict(fit(labels.label(samples, noise), ridge=ridge))


def delta(spectrum, samples, ridge, fake):
    r"""Δ of E_test = E_clean + n·Δ, for least-squares generators on T0 > d rows.

        Δ = σ0²/(T0 − d) · [ df_2(κ) + κ² Σ_j (s_j + κ)^{-2} · df_2(κ)/(T − df_2(κ)) ],   κ = κ(λ, T)

    (Dohmatob, Feng, Kempe 2024, Theorem 1). Shapes and domains as in `test_error`; fake.generations is not used.
    Raises ValueError for ridge generators and for T0 ≤ d, where the error is not linear in n: use `predict`.

    >>> import modelcollapse as mc
    >>> spectrum, fake = mc.power_law(1.5, 0.5, dim=200), mc.FakeData(generations=3, samples=500, noise=0.1)
    >>> error = mc.test_error(spectrum, 300, 1e-3, 0.1, fake)
    >>> round(float(mc.delta(spectrum, 300, 1e-3, fake)), 6), round(float(error.collapse / 3), 6)
    (0.002436, 0.002436)
    """
    _require_fake(fake)
    samples = _number("samples", samples, domains.SAMPLES)
    ridge = _number("ridge", ridge, domains.RIDGE)
    rows = _number("fake.samples", fake.samples, domains.SAMPLES)
    noise = _number("fake.noise", fake.noise, domains.NOISE)
    directions = np.asarray(_checked_spectrum(spectrum).dim, float)
    if np.any(np.asarray(_number("fake.ridge", fake.ridge, domains.RIDGE)) > 0):
        raise ValueError(
            f"fake.ridge = {show(fake.ridge)} > 0: with ridge generators the error is not linear in the "
            "generations and has no Δ; give ridge=0, or ask predict for the error itself"
        )
    if np.any(np.asarray(rows) <= directions):
        raise ValueError(
            f"fake.samples = {show(fake.samples)} with dim = {directions}: Δ needs least-squares generators on "
            "more samples than directions; ask predict for the error itself"
        )

    def run(numbers, atoms, shifts, tested):
        return _delta(atoms, *numbers)

    increment, converged = _evaluated(spectrum, [samples, ridge, rows, noise], run, 2)
    require_found(converged)
    return increment


@compiled
@quiet()
def _delta(atoms, samples, ridge, rows, noise):
    xp = namespace(atoms, samples, ridge)
    kappa, converged = ridge_equation.solve(atoms.eigenvalues, atoms.multiplicity, samples, ridge)
    s = xp.broadcast_to(atoms.eigenvalues, (len(samples), atoms.eigenvalues.shape[-1]))
    learned, null = projections(s[None], s, xp.ones_like(samples)[None], kappa)
    positive = xp.where(s > 0, atoms.multiplicity, 0)
    two = xp.sum(positive * learned[0] ** 2, -1)
    rest = xp.sum(positive * null**2, -1)
    _, left = shares_left.samples_left(
        atoms.eigenvalues, atoms.multiplicity, samples, xp.where(xp.isinf(kappa), 1, kappa)
    )
    spare = rows - xp.sum(positive, -1)
    zero = rest * two == 0
    increment = noise**2 / spare * (two + xp.where(zero, 0, rest * two / xp.where(zero, 1, left)))
    return increment, converged


def effective_ridge(spectrum, samples, ridge):
    """The effective ridge κ ≥ λ, the largest root of κ − λ = κ df_1(κ)/T.

    samples T > 0 and ridge λ ≥ 0 broadcast. κ(0, T) = 0 for T ≥ d and the root of df_1 = T for T < d, where d counts
    positive eigenvalues. Returns np.float64 or an array. Raises RuntimeError where it was not found.

    >>> import modelcollapse as mc
    >>> spectrum = mc.power_law(1.5, 0.5, dim=1000)
    >>> kappa = mc.effective_ridge(spectrum, samples=300, ridge=1e-3)
    >>> bool(abs(kappa - 1e-3 - kappa * mc.degrees_of_freedom(spectrum, kappa) / 300) < 1e-14), round(float(kappa), 5)
    (True, 0.00176)
    """
    samples = _number("samples", samples, domains.SAMPLES)
    ridge = _number("ridge", ridge, domains.RIDGE)

    def run(numbers, atoms, shifts, tested):
        return _solve(atoms.eigenvalues, atoms.multiplicity, *numbers)

    kappa, converged = _evaluated(spectrum, [samples, ridge], run, 2)
    require_found(converged)
    return kappa


_solve = compiled(ridge_equation.solve)
_df = compiled(shares_left.degrees_of_freedom)


def degrees_of_freedom(spectrum, kappa, order=1):
    """df_m(κ) = Σ_j (s_j/(s_j + κ))^m, κ ≥ 0, order m > 0; broadcasting. At κ = 0 it counts positive eigenvalues.

    >>> import modelcollapse as mc
    >>> float(mc.degrees_of_freedom(mc.isotropic(100), kappa=1.0))
    50.0
    """
    kappa = _number("kappa", kappa, domains.EFFECTIVE_RIDGE)
    order = _number("order", order, ORDER)

    def run(numbers, atoms, shifts, tested):
        return (_df(atoms.eigenvalues, atoms.multiplicity, *numbers),)

    return _evaluated(spectrum, [kappa, order], run)


def _evaluated(spectrum, numbers, run, outputs=1):
    atoms, rows = few_atoms(_checked_spectrum(spectrum))
    require_range(atoms)
    try:
        shape = np.broadcast_shapes(*map(np.shape, numbers), atoms.eigenvalues.shape[:-1])
    except ValueError:
        raise ValueError(
            f"the grids do not broadcast together: shapes {[np.shape(x) for x in numbers]}; "
            "add axes of length 1 as for NumPy arrays"
        ) from None
    effort = 2 + 1e-3 * math.prod(shape) * atoms.eigenvalues.shape[-1]  # milliseconds, as in `effort`
    found = evaluate_on(Grid(shape, numbers, atoms, {}, atoms.eigenvalues, rows), run, outputs, effort=effort)
    return found[0][()] if outputs == 1 else [value[()] for value in found]


def _checked_spectrum(spectrum):
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"spectrum is a {type(spectrum).__name__}; build one with isotropic, power_law or from_...")
    return spectrum


def _require_fake(fake):
    if not isinstance(fake, FakeData):
        raise TypeError(f"fake is a {type(fake).__name__}; give FakeData(generations, samples, noise)")


def _number(name, value, domain):
    value = leaf(name, value, domain)
    if is_expression(value):
        if value.free_symbols:
            raise TypeError(f"{name} = {value} has free symbols; give numbers, or predict a pipeline with values")
        return float(value)
    return value
