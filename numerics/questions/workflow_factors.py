r"""What k rounds of self-training cost in units of the first, with far more rows than directions.

Least squares on T rows a round, each round's labels written by the newest model, the first by the truth, d ≪ T: the
error after k rounds is c_k σ²d/T,

    replace     T rows of the newest labels            c_k = k
    accumulate  all rows so far                        c_k = Σ_{i≤k} 1/i²            → π²/6
    subsample   T of all rows so far, drawn by lot     c_k = 3 Σ_{i≤k} 1/i² − 2      → π²/2 − 2
    sizes T_i   T_i rows of the newest labels          c_k = Σ_{i≤k} T_1/T_i         bounded if Σ 1/T_i is

The records are `workflow_accumulate`, `workflow_subsample` and `growing_chain`; at finite d/T, and with a ridge,
`compare_strategies` has the errors themselves.
"""

from collections.abc import Sequence

import numpy as np

from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf

__all__ = ["workflow_factor"]

_ROUNDS = domains.Domain(low=1, whole=True, remedy="give whole numbers of at least one round, inf for the limit")
_NAMES = ("replace", "accumulate", "subsample")


def workflow_factor(workflow, rounds):
    """The error after some rounds of a workflow over the error of its first round, for far more rows than directions.

    The limit of T·E/(σ²d) for least squares. The factor is universal: for logistic regression, and for any other
    regular model fitted by maximum likelihood, the same number multiplies the inverse Fisher information, that is the
    covariance of one fit on T real rows.

    Parameters
    ----------
    workflow : "replace", "accumulate", "subsample", or the sizes T_1, T_2, … > 0 of growing rounds (a Schedule or list)
    rounds : whole number ≥ 1, array of them, or inf for the limit; at most as many as there are sizes

    Returns
    -------
    np.float64 or an array of the shape of `rounds`; inf where the error grows without bound.

    Raises
    ------
    ValueError for another workflow, for rounds below one or not whole, for more rounds than sizes. Source: Gerstgrasser
    et al. 2024 (arXiv 2404.01413), Dey and Donoho 2024 (arXiv 2410.22812); closed forms derived here.

    Examples
    --------
    Old rows bound the price, a sample of old and new rows does too; so do rounds that double:

    >>> import numpy as np, modelcollapse as mc
    >>> [float(round(mc.workflow_factor(name, np.inf), 4)) for name in ("replace", "accumulate", "subsample")]
    [inf, 1.6449, 2.9348]
    >>> mc.workflow_factor([100, 200, 400, 800], [1, 2, 3, 4])
    array([1.   , 1.5  , 1.75 , 1.875])
    """
    rounds = leaf("rounds", rounds, _ROUNDS)
    if is_expression(rounds):
        raise TypeError(f"rounds = {rounds} is a symbol; give numbers, or read the records of the catalogue")
    rounds = np.asarray(rounds, float)
    if isinstance(workflow, str):
        if workflow not in _NAMES:
            raise ValueError(f"workflow = {workflow!r} is not one of {', '.join(_NAMES)}, and no list of sizes")
        if workflow == "replace":
            return rounds[()]
        from scipy.special import zeta

        squares = np.pi**2 / 6 - zeta(2, rounds + 1)
        return (squares if workflow == "accumulate" else 3 * squares - 2)[()]
    return _grown(workflow, rounds)[()]


def _grown(sizes, rounds):
    if not isinstance(sizes, Sequence | np.ndarray):
        raise TypeError(f"workflow is a {type(sizes).__name__}; give one of {', '.join(_NAMES)}, or a list of sizes")
    sizes = leaf("workflow", list(sizes), domains.SAMPLES)
    if np.ndim(sizes) != 1 or not np.size(sizes):
        raise ValueError(f"workflow has shape {np.shape(sizes)}; give the size of every round in one list")
    if np.any(rounds > len(sizes)):
        raise ValueError(
            f"rounds = {np.max(rounds):g} with {len(sizes)} sizes; give a size for every round (sizes that grow by the "
            "factor r have the limit r/(r − 1))"
        )
    return np.cumsum(sizes[0] / sizes)[rounds.astype(int) - 1]
