r"""What synthetic rows are worth in real ones, and how many more real rows an aim takes.

With x further real rows, whose inputs are like all rows at hand (second moments $S$), the expected error of the best
use of the rows is

$$ R(x) = tr\, \Sigma \big( A^{-1} + N + x S / \sigma^2 \big)^{-1} , $$

N the information of the rows at hand about the truth (`modelcollapse.numerics.mixes.evidence`): that of the real ones,
or of all. One generalised eigendecomposition, $S v = \mu \sigma^2 (A^{-1} + N) v$, gives it for all x: $R(x) = \sum_j
v_j^\top \Sigma v_j / (1 + x \mu_j)$. Averaged over the posteriors; derived here.
"""

import numpy as np
from scipy.linalg import eigh

_LONGEST = 1e9  # rows


class LearningCurve:
    """R(x) in the labels' unit squared.

    synthetic: whether the synthetic rows at hand count.

    >>> from modelcollapse.numerics.mixes.choice import beliefs
    >>> from modelcollapse.numerics.mixes.moments import rows_of
    >>> rng = np.random.default_rng(0)
    >>> X, origin = rng.standard_normal((80, 5)), np.repeat([0, 1], 40)
    >>> rows = rows_of(X, X @ np.ones((5, 1)) + rng.standard_normal((80, 1)), origin)
    >>> curve = LearningCurve(rows, beliefs(rows), synthetic=False)
    >>> more = curve.rows_for(0.5 * curve(0.0))
    >>> bool(np.isclose(curve(more), 0.5 * curve(0.0))), more > 20
    (True, True)
    """

    def __init__(self, rows, belief, synthetic):
        unit = float(np.mean(belief.unit**2))
        self.parts = []
        for weight, one in zip(belief.weights, belief.posteriors, strict=True):
            if weight > 1e-4:
                seen = len(one.prior)
                told = np.sum(one.informations if synthetic else one.informations[:1], axis=0)
                told = told + np.diag(1 / one.prior)
                inputs = np.append(1.0, rows.variances[: seen - 1])
                rates, vectors = eigh(np.diag(inputs / one.noise), told)
                errors = np.einsum("ij,ik,kj->j", vectors, belief.metric[:seen, :seen], vectors)
                self.parts.append((weight * unit * errors, np.maximum(rates, 0.0)))

    def __call__(self, more):
        """R after so many more real rows."""
        return float(sum(np.sum(errors / (1 + more * rates)) for errors, rates in self.parts))

    def rows_for(self, error):
        """The number of further rows at which R is `error`; 0 where it is already, inf where it never is."""
        from scipy.optimize import brentq

        if self(0.0) <= error:
            return 0.0
        if self(_LONGEST) > error:
            return float("inf")
        root: float = brentq(lambda log: self(np.expm1(log)) - error, 0.0, np.log1p(_LONGEST))  # type: ignore
        return float(np.expm1(root))


def worth(rows, belief, chosen):
    """How many real rows one synthetic row is worth: further real rows that would bring the error of the best fit of
    real rows alone to that of the chosen one, over the number of synthetic rows."""
    synthetic = sum(moment.rows for moment in rows.moments[1:])
    alone, ours = (one.risk[one.at] for one in (chosen.alone, chosen.best))
    if not chosen.best.weights[1:].any() or not synthetic or alone <= 0:
        return 0.0
    curve = LearningCurve(rows, belief, synthetic=False)
    return curve.rows_for(curve(0.0) * ours / alone) / synthetic
