"""How many rounds of self-training: the error after every number of rounds up to a largest, and the lowest of them.

Training on one's own labels again wears off what is noise in them and what is signal. With a ridge the noisy
directions, of small eigenvalues, go first: the error falls, turns and rises.
"""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.evaluation.outcome import shown
from modelcollapse.numerics.evaluation.routes import errors_of_fits, question_of
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf, show
from modelcollapse.theory.pipelines.model import require_model
from modelcollapse.theory.pipelines.nodes import Fit
from modelcollapse.theory.pipelines.reading import read
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["OptimalRounds", "optimal_rounds"]

_MOST = domains.Domain(low=1, high_open=True, whole=True, remedy="give a whole number of at least one round")


@dataclass(frozen=True, eq=False)
class OptimalRounds:
    """The best number of rounds, an int or an array over the grid of the models.

    rounds : from 1 to `most`
    test_error : there
    errors : (most, *grid), after 1, 2, …, `most` rounds
    at_bound : whether the best is the first round (more only harm) or the last one tried (more may help)
    """

    rounds: int | np.ndarray
    test_error: np.ndarray
    errors: np.ndarray
    at_bound: bool | np.ndarray

    def __repr__(self):
        if np.ndim(self.rounds):
            return f"OptimalRounds({shown(rounds=self.rounds)})"
        tried = f"rounds={self.rounds} of {len(self.errors)}"
        return f"OptimalRounds({tried}, test_error={self.test_error:.6g}, at_bound={self.at_bound})"


def optimal_rounds(model_of, most=64, values=None):
    """The number of rounds after which the test error is lowest.

    Parameters
    ----------
    model_of : function k -> Model, the model after k = 1, 2, …, `most` rounds
        Its numbers may be grids; every point of a grid has its own best number.
    most : whole number ≥ 1, the largest number that is tried
    values : dict symbol -> number or array, optional, for the free symbols of the models

    Returns
    -------
    OptimalRounds. All numbers are tried, as the error may turn more than once, in one walk where every model is trained
    on the way to the last one, as in a loop over `fit`, else each model by itself.

    Raises
    ------
    TypeError if model_of is no function or does not return a model; ValueError for `most` outside its domain and where
    the error is infinite after every number of rounds.

    Examples
    --------
    A noisy fit on few rows teaches itself on many unlabelled ones, by ridge: first its noise wears off, then what it
    knows.

    >>> import modelcollapse as mc
    >>> spectrum = mc.Spectrum([1.0, 0.02], signal=[1.0, 0.0], multiplicity=[5, 200])
    >>> first = mc.fit(mc.truth(spectrum).label(300, noise=0.5))
    >>> found = mc.optimal_rounds(lambda k: mc.chain(first, k - 1, samples=5000, noise=0.0, ridge=0.02))
    >>> found.rounds, found.at_bound
    (5, False)
    >>> bool(found.errors[0] > 10 * found.test_error < found.errors[-1])
    True
    """
    if not callable(model_of):
        raise TypeError(
            f"model_of is a {type(model_of).__name__}; give a function from the number of rounds to a model"
        )
    most = leaf("most", most, _MOST)
    if is_expression(most) or np.ndim(most):
        raise TypeError(f"most = {show(most)} is not one number; give the largest number of rounds")
    models = [model_of(k) for k in range(1, int(most) + 1)]
    for k, model in enumerate(models, 1):
        require_model(f"model_of({k})", model)
    errors = _errors(models, values)
    rounds, lowest = 1 + np.argmin(errors, axis=0), np.min(errors, axis=0)
    if np.any(np.isinf(lowest)):
        raise ValueError(
            "the test error is infinite after every number of rounds; give samples away from the dimension"
        )
    ends = (rounds == 1) | (rounds == most)
    if errors.ndim == 1:
        rounds, ends = int(rounds), bool(ends)
    return OptimalRounds(rounds, lowest, errors, ends)


def _errors(models, values):
    """Test errors (models, *grid)."""
    last = models[-1]
    fits = {node: k for k, node in enumerate(node for node in read(last).nodes if isinstance(node, Fit))}
    if not isinstance(last.spectrum, Spectrum) or any(model not in fits for model in models):
        return np.stack(np.broadcast_arrays(*(predict(model, values).test_error for model in models)))
    return errors_of_fits(question_of(last, values))[[fits[model] for model in models]]
