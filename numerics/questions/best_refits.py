r"""How much of its own predictions a ridge fit should be refitted on.

A refit on (1 − ξ)·labels + ξ·predictions of the same rows, at the same ridge, is ŵ + ξ λ∂ŵ/∂λ. With the cross-risk
C(a, b) of two ridge fits on the same rows (`steps.refits`), E = C(λ, λ) and D = λ² ∂_a ∂_b C,

    E(ξ) = E + ξ λ E'(λ) + ξ² D,      ξ⋆ = −λE'/(2D),      E⋆ = E − (λE')²/(4D):

ξ⋆ has the sign that E' has not, a refit never harms at its best weight, and gains nothing exactly where the ridge is
stationary. k refits, each with a weight of its own, are a quadratic problem in k numbers.
"""

import functools
from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.evaluation.lanes import evaluate_on, most_lanes, spread
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.evaluation.outcome import require_found, shown
from modelcollapse.numerics.evaluation.question import Question
from modelcollapse.numerics.evaluation.walk import label_model
from modelcollapse.numerics.steps.refits import refit_errors
from modelcollapse.theory.numbers.domains import Domain
from modelcollapse.theory.numbers.leaves import leaf
from modelcollapse.theory.pipelines import Fit, Model
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["OptimalSelfDistillation", "optimal_self_distillation"]

ROUNDS = Domain(low=1, high=6, whole=True, remedy="give a whole number of refits; later ones gain next to nothing")
_LOST = 1e-6  # relative rounding error of the quadratic form
_SEEN = 10  # roundings that a direction of it must exceed


class OptimalSelfDistillation(NamedTuple):
    """The best weight of a fit's own predictions, the test error of the refit, and its gain.

    Arrays of the grid's shape (np.float64 without a grid); for several rounds `weight` has an axis more, the last, with
    one weight for each refit in their order. gain = 1 − test_error / (that of the ridge fit itself), at least 0.
    """

    weight: np.ndarray
    test_error: np.ndarray
    gain: np.ndarray

    def __repr__(self):
        if np.ndim(self.test_error) == 0:
            weight = np.array2string(np.asarray(self.weight), precision=6, separator=", ")
            return f"OptimalSelfDistillation(weight={weight}, test_error={self.test_error:.6g}, gain={self.gain:.4g})"
        return f"OptimalSelfDistillation({shown(**self._asdict())})"


def optimal_self_distillation(model, values=None, *, rounds=1):
    """The weight of its own predictions that makes a refit of a ridge fit best.

    Parameters
    ----------
    model : Model that ends in `fit` with a ridge, on one source of a spectrum
        The source may be labelled by any model, and its inputs may be shifted.
    values : dict symbol -> number or array, optional
        Values of the pipeline's free symbols.
    rounds : int from 1 to 6
        Refits, each with a weight of its own, all of them chosen together.

    Returns
    -------
    OptimalSelfDistillation, a named tuple (weight, test_error, gain) of arrays of the pipeline's grid: the
    deterministic equivalent. Weights may have any sign and size: they are negative where the ridge is too large, and
    0 where no refit changes anything (ridge 0 or inf).

    Raises
    ------
    TypeError for a model that does not end in a fit or a symbol without value; ValueError for several sources, filters,
    features, links or kept rows in the last fit, populations that are no spectrum, rounds outside their range, and
    several rounds at a ridge that is so large that their differences are lost in rounding.

    The closed form is derived here; for clean labels and one round see Das, Sanghavi 2023 (arXiv 2301.13304) and
    Pareek, Du, Oh 2024 (arXiv 2407.04600).

    Examples
    --------
    At a ridge that is too large a refit takes shrinkage back; at the best ridge it has nothing to gain.

    >>> import numpy as np, modelcollapse as mc
    >>> source = mc.truth(mc.isotropic(100)).label(200, noise=0.5)
    >>> best = mc.optimal_ridge(mc.fit(source)).ridge
    >>> found = mc.optimal_self_distillation(mc.fit(source, ridge=best * np.array([0.1, 1, 10])))
    >>> np.sign(found.weight.round(9)).tolist(), bool(found.gain[1] < 1e-12 < found.gain[2])
    ([1.0, 0.0, -1.0], True)
    """
    rounds = _rounds(rounds)
    _require_plain(model)
    question = Question.of(model, values)
    schedule, grid = question.reading.schedule, question.grid
    place, count = len(schedule.steps) - 1, (rounds + 1) * (rounds + 2) // 2

    def run(numbers, atoms, shifts, tested):
        population = OnSpectrum(atoms, shifts, question.exact)
        labels, flags = label_model(schedule, numbers, population)
        step = schedule.steps[place].filled(numbers)
        inputs = population.inputs(place, step)[0]
        lanes = most_lanes(step.numbers, labels, inputs, atoms.eigenvalues)
        step, labels = step.mapped(lambda number: spread(number, lanes)), spread(labels, lanes)
        (source,) = step.sources
        found = refit_errors(
            atoms, inputs, tested, source.samples, source.noise, source.weight, step.ridge, labels, rounds
        )
        converged = functools.reduce(lambda a, b: a & b, flags, found.converged)
        return *found.form, *found.units, found.rounding, converged

    effort = question.effort * (1 + rounds**2)
    *form, rounding, converged = evaluate_on(grid, run, count + rounds + 2, question.alive, effort=effort)
    require_found(converged, grid.shape)
    if np.any(rounding > _LOST):
        raise ValueError(
            f"rounds = {rounds} at a ridge so far above the eigenvalues of the inputs is lost in rounding; give a "
            "smaller ridge, or fewer rounds"
        )
    form, units = (np.moveaxis(np.array(x), 0, -1) for x in (form[:count], form[count:]))
    return _best(form, units, rounding)


def _rounds(rounds):
    if np.ndim(rounds):
        raise TypeError("rounds is an array; give one whole number, and ask once for each")
    rounds = leaf("rounds", rounds, ROUNDS)
    if getattr(rounds, "free_symbols", None):
        raise TypeError(f"rounds = {rounds} has free symbols; give a whole number")
    return int(rounds)


def _require_plain(model):
    if not isinstance(model, Fit):
        kind = type(model).__name__ if isinstance(model, Model) else f"no model but a {type(model).__name__}"
        raise TypeError(f"model is {kind} and optimal_self_distillation needs one that ends in fit(..., ridge=...)")
    if not isinstance(model.spectrum, Spectrum):
        raise ValueError(
            f"optimal_self_distillation on a population of {model.spectrum.noun} is not derived; use a spectrum of it "
            "(mc.from_covariance, mc.from_samples)"
        )
    given = {
        f"filter = {model.filter!r}": model.filter,
        f"features = {model.features}": model.features,
        "sources: more than one": model.sources[1:] or None,
        "link=": model.sources[0].link,
        "keep=": model.sources[0].keep,
    }
    for what, value in given.items():
        if value is not None:
            raise ValueError(
                f"{what} in the last fit has no optimal self-distillation here; give a ridge fit on one plain source"
            )


def _best(form, units, rounding):
    """The minimum of E = Σ_il a_i a_l M_il with a_0 = 1, given the upper triangle (..., count) of M and the units."""
    rounds = units.shape[-1]
    upper = np.triu_indices(rounds + 1)
    error = form[..., 0]
    known = np.isfinite(error)
    matrix = np.zeros((*error.shape, rounds + 1, rounds + 1))
    matrix[..., upper[0], upper[1]] = matrix[..., upper[1], upper[0]] = np.where(known[..., None], form, 0)
    slope, curve = matrix[..., 1:, 0], matrix[..., 1:, 1:]
    scale = np.sqrt(np.einsum("...ii->...i", curve))
    scale = np.where(scale > 0, scale, 1)
    seen = np.maximum(_SEEN * rounding, _SEEN * np.finfo(float).eps)
    inverse = np.linalg.pinv(curve / (scale[..., None] * scale[..., None, :]), rcond=seen, hermitian=True)
    parts = -(inverse @ (slope / scale)[..., None])[..., 0] / scale
    gained = np.minimum(np.sum(slope * parts, -1), 0)
    gain = np.divide(-gained, error, out=np.zeros(error.shape), where=known & (error > 0))
    parts = parts * units
    before = np.concatenate([np.ones_like(parts[..., :1]), parts[..., :-1]], -1)
    weights = np.divide(parts, before, out=np.zeros_like(parts), where=before != 0)[..., ::-1] + 0.0
    weight = weights[..., 0] if rounds == 1 else weights
    return OptimalSelfDistillation(weight[()], np.where(known, error + gained, np.inf)[()], gain[()] + 0.0)
