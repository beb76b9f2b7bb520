r"""Replace, accumulate, mix or subsample: four ways to go on training on labels of one's own models, at equal budget.

Round 1 fits T real rows. In every later round the newest model labels fresh inputs, and the next fit is on

    replace     T rows of those labels only                             grows: for least squares E_1 + (n − 1)·Δ
    accumulate  T rows of those labels and all rows of earlier rounds   bounded: π²/6 for T ≫ d
    mix         (1 − p)T rows of those labels and pT fresh real rows    bounded: 1/(1 − (1 − p)²) for T ≫ d
    subsample   T rows by lot of all rows so far, those labels included bounded: π²/2 − 2 for T ≫ d

The bounds are those of least squares in units of E_1, the error of the first fit (Gerstgrasser et al. 2024 for
accumulating, Dey and Donoho 2024 for subsampling, see `workflow_factor`); mixing's is lower than accumulating's for p
above 0.38 or so, and it keeps asking for real rows, where accumulating and subsampling have only those of round 1
(`real_rows` counts them). The budget counts rows *trained on*: n rounds of replacing, mixing or subsampling cost nT
rows, k rounds of accumulating T·k(k + 1)/2, because earlier rows are trained on again.

At finite T and with a ridge subsampled fits share rows and are dependent; `equivalents.reused_rows` follows that.
"""

from dataclasses import dataclass

import numpy as np

from modelcollapse.numerics.equivalents.reused_rows import errors_of_reused_rows
from modelcollapse.numerics.evaluation.grid import few_atoms
from modelcollapse.numerics.evaluation.outcome import require_found
from modelcollapse.numerics.evaluation.routes import errors_of_fits, question_of
from modelcollapse.numerics.questions.predictions import predict
from modelcollapse.theory.numbers import domains
from modelcollapse.theory.numbers.leaves import is_expression, leaf
from modelcollapse.theory.pipelines import accumulate, chain, fit, truth

__all__ = ["Comparison", "compare_strategies"]

_ROUNDS = domains.Domain(low=1, high_open=True, whole=True, remedy="give a whole number of at least one round")
_SHARE = domains.Domain(low=0, high=1, remedy="give a share of the rows")
_STRATEGIES = ("replace", "accumulate", "mix", "subsample")
_LARGEST = 2e7  # numbers in one array of subsampling


@dataclass(frozen=True, eq=False)
class Comparison:
    """Test errors of four strategies at equal budgets, budgets on the last axis.

    budget : (..., rounds), rows trained on so far, T·(1, 2, …)
    replace, accumulate, mix, subsample : (..., rounds), error of the newest model that the budget affords
    real_rows : dict strategy -> (..., rounds), how many of all rows had real labels
    """

    budget: np.ndarray
    replace: np.ndarray
    accumulate: np.ndarray
    mix: np.ndarray
    subsample: np.ndarray
    real_rows: dict

    def to_dict(self):
        """Columns by name: NumPy arrays."""
        errors = {name: getattr(self, name) for name in ("budget", *_STRATEGIES)}
        return errors | {f"real_rows_{name}": rows for name, rows in self.real_rows.items()}

    def strategies_plot(self, ax=None):
        """Test error against budget, one line each; returns the Matplotlib Axes. A grid has to be indexed first."""
        from modelcollapse import plot

        if self.budget.ndim > 1:
            raise ValueError(f"the comparison is a {self.budget.shape[:-1]} grid; draw one problem at a time")
        curves = {name: getattr(self, name) for name in _STRATEGIES}
        ax = plot.error_curves(self.budget, curves, xlabel="rows trained on", ax=ax)
        ax.get_lines()[_STRATEGIES.index("accumulate") - len(curves)].set_drawstyle("steps-post")
        return ax

    def __repr__(self):
        if self.budget.ndim > 1:
            return f"Comparison({'x'.join(map(str, self.budget.shape[:-1]))} grid, {self.budget.shape[-1]} budgets)"
        last = ", ".join(f"{name}={getattr(self, name)[-1]:.4g}" for name in _STRATEGIES)
        return f"Comparison(after {self.budget[-1]:g} rows: {last})"


def compare_strategies(spectrum, rounds, samples, noise, ridge=0.0, real_share=0.5):
    """Replace, accumulate, mix and subsample on one problem, at equal budgets of rows trained on.

    Parameters
    ----------
    spectrum : Spectrum, one
    rounds : int ≥ 1, how many rounds of `samples` rows the largest budget is worth
    samples : number or array, T > 0 rows of new labels per round
    noise : number or array, standard deviation of the noise on all labels
    ridge : number or array, λ of the first fit; all keep λ but accumulating, which keeps the penalty λT
    real_share : number or array, p in [0, 1]: share of fresh real rows when mixing

    Returns
    -------
    Comparison, arrays (..., rounds) with the broadcast shape of the numbers in front.

    Raises
    ------
    ValueError for numbers outside their domain. Subsampling takes memory in the square of `rounds`.

    Examples
    --------
    One way grows without bound, the others do not (2.7 is on its way to 2.93):

    >>> import modelcollapse as mc
    >>> from modelcollapse.numerics.questions.strategies_compared import compare_strategies
    >>> found = compare_strategies(mc.isotropic(20), rounds=12, samples=1000, noise=0.1)
    >>> bool(found.mix[-1] < found.accumulate[-1] < found.subsample[-1] < found.replace[-1])
    True
    >>> [round(float(x[-1] / x[0]), 1) for x in (found.replace, found.accumulate, found.mix, found.subsample)]
    [12.0, 1.4, 1.3, 2.7]
    """
    w0 = truth(spectrum)
    if spectrum.free or spectrum.eigenvalues.ndim > 1:
        raise ValueError(f"{spectrum!r} is no single spectrum of numbers; compare one spectrum at a time")
    rounds = int(_number("rounds", rounds, _ROUNDS, single=True))
    numbers = {
        "samples": (samples, domains.SAMPLES),
        "noise": (noise, domains.NOISE),
        "ridge": (ridge, domains.RIDGE),
        "real_share": (real_share, _SHARE),
    }
    numbers = [_number(name, value, domain) for name, (value, domain) in numbers.items()]
    T, noise, ridge, share = (x[..., None] for x in np.broadcast_arrays(*numbers))

    n = np.arange(1, rounds + 1)
    replaced = predict(chain(w0, n, T, noise, ridge)).test_error
    afforded = np.floor((np.sqrt(8 * n + 1) - 1) / 2 + 1e-9)
    accumulated = predict(accumulate(w0, afforded, T, noise, ridge * T)).test_error
    model = w0
    for _ in n:
        model = fit(w0.label(T * share, noise), model.label(T * (1 - share), noise), ridge=ridge)
    mixed = np.moveaxis(errors_of_fits(question_of(model))[..., 0], 0, -1)
    ones = np.ones_like(n)
    subsampled = _subsampled(spectrum, rounds, T, noise, ridge)
    real = dict.fromkeys(_STRATEGIES, T * ones) | {"mix": T * (1 + (n - 1) * share)}
    return Comparison(T * n, replaced, accumulated, mixed, subsampled, real)


def _subsampled(spectrum, rounds, samples, noise, ridge):
    """Errors (..., rounds) of fits on T rows drawn from all rows so far; the numbers are (..., 1)."""
    atoms, _ = few_atoms(spectrum)
    numbers = np.stack([x.reshape(-1, 1) for x in (samples, noise, ridge)])
    step = max(1, int(_LARGEST / (rounds**2 * atoms.eigenvalues.size)))
    chance = np.triu(np.ones((rounds, rounds))) / np.arange(1, rounds + 1)
    parts = [
        errors_of_reused_rows(atoms, chance, *np.repeat(numbers[:, i : i + step], rounds, axis=2))
        for i in range(0, numbers.shape[1], step)
    ]
    errors, converged = (np.concatenate(part) for part in zip(*parts, strict=True))
    require_found(converged)
    return errors.reshape(*samples.shape[:-1], rounds)


def _number(name, value, domain, single=False):
    value = leaf(name, value, domain)
    if is_expression(value) or (single and np.ndim(value)):
        raise TypeError(f"{name} = {value} is not {'one number' if single else 'a number or an array of numbers'}")
    return np.asarray(value, float)
