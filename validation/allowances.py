r"""How far a deterministic equivalent may be from the mean at finite size.

The closed forms are limits. What replaces T in them is the number of rows left after a fit has spent its degrees of
freedom, and relative corrections are of the order of its inverse. We allow, relatively,

$$ \Big( \frac32 + \frac52\, a \Big) \sum_{\text{fits}} \frac{1}{T - \mathrm{df}_2(κ) - 3},
   \qquad κ - λ = κ\,\mathrm{df}_1(κ)/T,\qquad a = \frac{E_0}{E}\Big(1 - \frac{E_0}{V}\Big), $$

E_0 being the error without label noise and V that of the null model. The first part is for noise, which enters
through one inverse of a Wishart matrix, E W^{-1} ∝ 1/(T−d−1); the second for signal that was learned up to a small
ridge, through two, E W^{-2} ∝ 1/((T−d)(T−d−1)(T−d−3)), a correction of 4/(T−d). Σ pools all sources by rows and
weights. A chain or an accumulation counts once, at its worst: over chains of 1 to 20 fits the deviation does not grow
with their number. Measured on 60 random pipelines with 24, 48 and 96 directions, and on 224 noise-free chains with
40: no resolved deviation exceeded the allowance.

A fit over m random features counts with 2/5 (1/(L − 3) + 1/(m − df_2 − 3)), with L = T − df_1 + ϱ(df_1 − df_2) rows
left, ϱ = (m − df_1)/(m − df_2), at its own κ, λ = κ(1 − df_1/T)(1 − df_1/m): so at least 3/5 of the bracket are
allowed, which no deviation exceeded in 24 pipelines with 60 directions.

Sources of other covariances, and populations whose covariances do not commute, count by the eigenvalues of the pooled
covariance. On rows of a data set, predicted to the next order, the allowance is 1 % + Σ 1/(10 T) over the fits, every
generation counted: sixteen data sets and kernels were measured to need up to 1.7 % for six fits on 26 rows, next to
nothing for hundreds (`python -m benchmarks.rows`).
Angles between predictors and the truth, and so error rates, are second-order expansions and never exact: they are
allowed Σ 1/(T − df_2 − 3) over the fits, chains counted once.

Fits whose mean is exact at finite size (least squares on one source, T > d + 1, and one pass of SGD, both on Gaussian
inputs) are allowed nothing; a pass on labels through a link or on other inputs s_1/tr Σ for Σ, and for its angles.
κ is found here by bisection of its own.
"""

from typing import Any

import numpy as np
from scipy.optimize import brentq

from modelcollapse.theory.pipelines import ancestry
from modelcollapse.validation.problems import SimulatedFit, SimulatedPoint, SimulatedRepeat, SimulatedSgd

__all__ = ["NOISE", "SIGNAL", "angle_allowance", "finite_size_allowance", "inverse_rows_left", "without_noise"]

NOISE, SIGNAL = 1.5, 2.5


def finite_size_allowance(problem, learned=1.0):
    """The relative deviation allowed to a prediction with finite_size=True, inf close to T = d without ridge.

    `learned` is the a of the module's text, in [0, 1]. 0 for least squares throughout, which is exact at finite size.
    """
    if not isinstance(problem, SimulatedPoint):
        return problem.allowance(learned)
    return (NOISE + SIGNAL * learned) * sum(_share(problem, step) for step in problem.steps)


def angle_allowance(problem):
    """The relative deviation allowed to an error rate, inf close to T = d without ridge."""
    if not isinstance(problem, SimulatedPoint):
        return problem.allowance(0.0, angles=True)
    return sum(_share(problem, step, angles=True) for step in problem.steps)


def without_noise(model):
    """The same pipeline with noise-free labels."""
    new = {}
    for node in ancestry(model):
        values = [0.0 if name == "noise" else value for name, value, _ in node.numbers]
        new[id(node)] = node._rebuilt(node.spectrum, [new[id(parent)] for parent in node.parents], values)
    return new[id(model)]


def _share(problem, step, angles=False):
    gaussian = problem.distribution.gaussian and not angles
    if isinstance(step, SimulatedFit) and np.isfinite(step.penalty):
        inputs = np.array([source.inputs for source in step.sources])
        rows = np.array([source.rows for source in step.sources], float)
        weights = np.array([source.weight for source in step.sources])
        pooled = (rows * weights) @ inputs / rows.sum()
        if np.isfinite(step.features):
            return _inverse_feature_left(pooled, rows.sum(), step.features, step.penalty)
        exact = gaussian and len(rows) == 1 and step.filter is None and step.sources[0].link is None
        exact = exact and step.sources[0].keep is None
        return _inverse_left(pooled, rows.sum(), step.penalty, exact)
    if isinstance(step, SimulatedSgd):
        plain = gaussian and all(source.link is None for source in step.sources)
        inputs = np.max([source.inputs for source in step.sources], 0)
        return 0.0 if plain else np.max(inputs) / np.sum(inputs)
    if isinstance(step, SimulatedRepeat) and step.generations and np.isfinite(step.penalty):
        sizes = range(1, 1 + (step.generations if step.keep else 1))
        return max(_inverse_left(step.source.inputs, k * step.source.rows, step.penalty, gaussian) for k in sizes)
    return 0.0


def inverse_rows_left(covariance, rows, penalty, exact):
    """The same for a covariance matrix (d, d)."""
    values = np.linalg.eigvalsh(covariance)
    return _inverse_left(np.where(values > 1e-12 * values[-1], values, 0), rows, penalty, exact)


def _inverse_left(eigenvalues, rows, penalty, exact):
    """1/(T − df_2(κ) − 3), 0 if the fit is least squares with an exact mean."""
    s = eigenvalues[eigenvalues > 0]
    if penalty == 0 and rows >= len(s):
        if exact and rows > len(s) + 1:
            return 0.0
        return 1 / (rows - len(s) - 3) if rows > len(s) + 3 else np.inf
    ridge = penalty / rows

    def gap(log_kappa):
        kappa = np.exp(log_kappa)
        return ridge - kappa * (1 - np.sum(s / (s + kappa)) / rows)

    lowest = ridge if ridge > 0 else s.min() * (len(s) - rows) / rows
    root: Any = brentq(gap, np.log(lowest) - 1e-6, np.log(ridge + s.sum() / rows) + 1e-6)
    kappa = np.exp(root)
    left = rows - np.sum((s / (s + kappa)) ** 2) - 3
    return 1 / left if left > 0 else np.inf


def _inverse_feature_left(eigenvalues, rows, features, penalty):
    """2/5 (1/(L − 3) + 1/(m − df_2 − 3)) of the module's text; 0 where the fit is least squares on all directions."""
    s, ridge, fewest = eigenvalues[eigenvalues > 0], penalty / rows, min(rows, features)
    if ridge == 0 and fewest >= len(s):
        return _inverse_left(eigenvalues, rows, penalty, True)

    def gap(log_kappa):
        fitted = np.sum(s / (s + np.exp(log_kappa)))
        if fitted >= fewest or ridge == 0:
            return fitted - fewest
        return ridge - np.exp(log_kappa) * (1 - fitted / rows) * (1 - fitted / features)

    root: Any = brentq(gap, np.log(s.min()) - 60, np.log(ridge + s.sum()) + 3)
    learned = s / (s + np.exp(root))
    unresolved, spare = np.sum(learned * (1 - learned)), features - np.sum(learned**2)
    left = rows - learned.sum() + (features - learned.sum()) / spare * unresolved
    return 0.4 * sum(1 / (x - 3) if x > 3 else np.inf for x in (left, spare))
