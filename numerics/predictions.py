r"""`predict`: the test error of a pipeline in closed form.

The test error is the excess risk E‖ŵ − w0‖²_Σ; noise on the test labels is not added. All results are
deterministic equivalents (exact as samples and dimension grow together; at finite size the relative
deviation is of order 1/d), with `finite_size=True` exact for least squares.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelcollapse.numerics.boundary import evaluate_in_chunks, problem_of
from modelcollapse.numerics.evaluation import evaluate
from modelcollapse.numerics.surfaces import surface
from modelcollapse.numerics.training_curves import training_curve
from modelcollapse.theory import domains
from modelcollapse.theory.filters import refuse_unstable
from modelcollapse.theory.leaves import is_expression, leaf
from modelcollapse.theory.pipelines import Chain, Model, input_eigenvalues, refuse_interpolating_chain
from modelcollapse.theory.plans import plan

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A predicted test error and its parts, each an array of the grid's shape (np.float64 without a grid).

    test_error = bias + variance = clean + collapse. `bias` is the error of the mean predictor, `variance` the rest;
    `clean` is what the last fit would reach were every label it sees the truth's, with the same noise;
    `collapse` is what the labels of other models add.
    """

    test_error: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    clean: np.ndarray
    collapse: np.ndarray
    _question: Any = field(default=None, repr=False)

    def to_dict(self):
        """Columns by name: NumPy arrays."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if not name.startswith("_")}

    def by_direction(self):
        """Bias and variance by eigendirection of the inputs, arrays (*grid, atoms): which parts were lost.

        Raises ValueError for a Prediction that `predict` did not make.

        >>> import modelcollapse as mc
        >>> w0 = mc.truth(mc.power_law(1.5, 0.5, dim=100))
        >>> found = mc.predict(mc.fit(mc.chain(w0, 20, 80, 0.0, ridge=1e-3).label(300, 0.1), ridge=1e-3))
        >>> parts = found.by_direction()
        >>> bool(np.isclose(parts.bias.sum(), found.bias)), bool(np.isclose(parts.variance.sum(), found.variance))
        (True, True)
        >>> bool(np.all(np.diff(parts.bias / parts.signal) > 0))       # tails vanish first
        True
        """
        if self._question is None:
            raise ValueError("this Prediction was not made by predict and has no directions; call predict(model)")
        from modelcollapse.numerics.directions import directions

        return directions(*_asked(*self._question))

    @property
    def shape(self):
        return np.shape(self.test_error)

    def __repr__(self):
        if not self.shape:
            return f"Prediction({', '.join(f'{name}={value:.6g}' for name, value in self.to_dict().items())})"
        parts = [f"{name}={np.min(x):.4g}..{np.max(x):.4g}" for name, x in self.to_dict().items()]
        return f"Prediction({'x'.join(map(str, self.shape))} grid: {', '.join(parts)})"


def predict(model, values=None, *, inputs=None, finite_size=False):
    """The test error of a model at the end of any pipeline, in closed form.

    Parameters
    ----------
    model : Model
        truth, fit, chain, accumulate or a mixture.
    values : dict symbol -> number or array, optional
        Values of the pipeline's free symbols; they broadcast with its arrays.
    inputs : array (..., atoms) or function of the eigenvalues, optional
        Eigenvalues of the test inputs' covariance in the spectrum's eigenbasis; default: the spectrum's own.
    finite_size : bool
        False: the deterministic equivalent throughout, continuous in the ridge (least squares: σ²d/(T−d)).
        True: least-squares fits with T > d + 1 get the exact inverse-Wishart mean (σ²d/(T−d−1)).

    Returns
    -------
    Prediction, arrays of the broadcast shape. At T = d without ridge the error is infinite if there is label noise.

    Raises
    ------
    TypeError if a symbol stays free; ValueError for numbers outside their domain; RuntimeError if the effective
    ridge could not be found (never a silently wrong number).

    Examples
    --------
    The error of a fit on n-fold fake data is linear in n as long as the generators are least squares:

    >>> import modelcollapse as mc
    >>> w0 = mc.truth(mc.isotropic(100))
    >>> labels = mc.chain(w0, [0, 1, 2, 3], samples=400, noise=0.1)
    >>> error = mc.predict(mc.fit(labels.label(200, noise=0.1), ridge=0.05)).test_error
    >>> bool(np.allclose(np.diff(error, 2), 0))
    True
    """
    question = model, values, inputs, finite_size
    reading, problem, exact = _asked(*question)

    def run(numbers, atoms, shifts, tested):
        parts, clean, converged = evaluate(reading.plan, numbers, atoms, shifts, tested, exact)
        fine = np.array(True)
        for flags in converged:
            fine = fine & np.asarray(flags)
        return *parts, *clean, np.atleast_1d(fine)

    alive = 12 + max(map(len, reading.plan.pairs)) * 2
    found = surface(reading, problem, exact, run, alive) or training_curve(reading, problem, exact, run, alive)
    found = found or evaluate_in_chunks(problem, run, 5, alive, share=True)
    bias, variance, *clean, converged = found
    return _checked(problem, bias, variance, sum(clean), converged, question)


def _asked(model, values, inputs, finite_size):
    """The reading of a model, its checked Problem, and whether finite-size means are asked for."""
    _require_model(model)
    reading = plan(model)
    values = check_values(model, values)
    inputs = input_eigenvalues("inputs", inputs, model.spectrum)
    problem = problem_of(reading, model.spectrum, values, inputs)
    refuse_chains(reading, problem)
    return reading, problem, np.asarray(finite_size)


def check_values(model, values):
    """The values of free symbols as leaves; TypeError for keys that are not symbols of the pipeline."""
    checked, free = {}, model.free
    for symbol, value in (values or {}).items():
        if not is_expression(symbol) or symbol not in free:
            raise TypeError(f"{symbol!r} is not a free symbol of the pipeline; its free symbols are {free}")
        value = leaf(str(symbol), value, domains.Domain())
        if is_expression(value):
            raise TypeError(
                f"{symbol} = {value} is an expression; give numbers here and use model.subs for expressions"
            )
        checked[symbol] = value
    return checked


def refuse_chains(reading, problem):
    """Refuse least-squares generators on infinitely many directions, and fits that cannot be computed.

    Those have no rows, pool sources of different weights, or descend the gradient in steps that are too long.
    """
    for i, (node, step) in enumerate(zip(reading.nodes, reading.plan.steps, strict=True)):
        numbers = [problem.numbers[slot] for slot in step.slots]
        if isinstance(node, Chain):
            refuse_interpolating_chain(node.spectrum, numbers[3], numbers[0])
        if step.fitted:
            rows, _, weights, own = step.sources(numbers)
            used = sum(np.asarray(T) * np.asarray(w) for T, w in zip(rows, weights, strict=True))
            if not np.all(used > 0):
                raise ValueError("samples = 0 in all sources of a fit; give at least one source rows and weight")
            weight = 1.0 if step.kind == "fit" else _common_weight(rows, weights)
            if step.kind == "gradient-descent":
                inputs = problem.shifts.get((i, 0), problem.atoms.eigenvalues)
                samples = sum(np.where(np.asarray(w) > 0, T, 0) for T, w in zip(rows, weights, strict=True))
                refuse_unstable(own[0] * weight * samples / sum(rows), inputs, problem.atoms.multiplicity, samples)


def _common_weight(rows, weights):
    """The weight of all sources that have rows and weight; ValueError if they differ."""
    weights = np.stack(np.broadcast_arrays(*[np.where(np.asarray(T) > 0, w, 0) for T, w in zip(rows, weights,
                                                                                             strict=True)]))
    highest = weights.max(0)
    unequal = (weights > 0) & (weights != highest)
    if unequal.any():
        raise ValueError(
            f"weight = {float(weights[unequal][0])!r} and weight = {float(highest.max())!r} in one fit by a filter or "
            "over random features, which pools its sources; give them equal weights, or fit by a ridge"
        )
    return highest


def _require_model(model):
    if not isinstance(model, Model):
        raise TypeError(
            f"model is a {type(model).__name__}; give a pipeline: truth, fit, chain, accumulate or a mixture"
        )


def _checked(problem, bias, variance, clean, converged, question):
    if not np.all(converged):
        where = np.argwhere(converged == 0)[0].tolist()
        raise RuntimeError(
            f"the effective ridge was not found at {np.sum(converged == 0)} of {problem.points} grid points "
            f"(the first at {where}); a ridge further from zero, or samples further from the dimension, may help"
        )
    test_error = bias + variance
    collapse = np.full(problem.shape, np.inf)
    np.subtract(test_error, clean, out=collapse, where=~np.isinf(test_error))
    if np.isnan(test_error).any() or np.isnan(clean).any():
        where = np.argwhere(np.isnan(test_error + clean))[0].tolist()
        raise FloatingPointError(
            f"the test error is not a number at grid point {where}: some quantity left the range of double precision; "
            "rescale the eigenvalues, or move the ridge or the noise away from the extremes"
        )
    return Prediction(*(x[()] for x in (test_error, bias, variance, clean, collapse)), _question=question)
