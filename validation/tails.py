r"""How far the tail of a trial's error reaches.

The error of a least-squares fit on T rows is a ratio with q ~ χ²_{T−d+1} below (see `student_increments`), and E
q^{-m} is finite only for m < (T − d + 1)/2. For T < d the Gram matrix Z Σ Zᵀ takes the place of the covariance: a T ×
T Wishart-like matrix whose smallest eigenvalue has P(ν < x) ∝ x^{(d−T+1)/2} near zero. With d directions of positive
eigenvalue and any label noise the *tail index* of an unpenalised fit is therefore

$$ \alpha = \frac{|T - d| + 1}{2}, \qquad P(\text{error} > x) \sim x^{-\alpha}: $$

the mean exists for α > 1 (T > d + 1 or T < d − 1), the variance for α > 2 (|T − d| > 3), and a standard error has a
variance of its own for α > 4 (|T − d| > 7). A positive ridge has all moments; a chain has the smallest index of its
fits, since every fit is linear in its labels. (Derived here.)

`hill` estimates the index from draws: with the k largest draws, 1/mean(log(x_i/x_k)) (Hill 1975).
"""

import numpy as np

from modelcollapse.theory.pipelines.steps import MixtureStep
from modelcollapse.validation.problems import SimulatedFit, SimulatedPoint, SimulatedRepeat

__all__ = ["hill", "tail_index"]

FEWEST_DRAWS = 100


def tail_index(problem):
    """The tail index of a trial's error, inf where all moments exist."""
    if not isinstance(problem, SimulatedPoint):
        return np.inf
    index = []
    for step in problem.steps:
        if isinstance(step, MixtureStep):
            used = [p for p, c in zip(step.parents, step.coefficients, strict=True) if c]
            index.append(min((index[p] for p in used), default=np.inf))
            continue
        inherited = min((index[p] for p in step.parents), default=np.inf)
        if isinstance(step, SimulatedFit):
            noisy = (
                any(s.noise or s.link is not None or s.keep is not None for s in step.sources)
                or len({s.parent for s in step.sources}) > 1
            )
            rows = [sum(s.rows for s in step.sources)] if noisy else []
            directions = min(np.count_nonzero(np.max([s.inputs for s in step.sources], 0)), step.features)
        elif isinstance(step, SimulatedRepeat):
            rounds = range(1, 1 + (step.generations if step.keep else min(step.generations, 1)))
            rows = [k * step.source.rows for k in rounds] if step.source.noise else []
            directions = np.count_nonzero(step.source.inputs)
        else:
            rows, directions = [], 0
        if getattr(step, "penalty", 0) == np.inf and (isinstance(step, SimulatedFit) or step.generations):
            inherited, rows = np.inf, []
        if getattr(step, "penalty", 0) > 0:
            rows = []
        index.append(min([inherited, *((abs(r - directions) + 1) / 2 for r in rows)]))
    return float(index[-1])


def hill(draws):
    """Hill's estimate of the tail index of draws (*grid, trials) from the 2√trials largest, and its relative spread."""
    draws = np.asarray(draws)
    largest = int(2 * np.sqrt(draws.shape[-1]))
    top = np.sort(draws, axis=-1)[..., -largest - 1 :]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(top[..., 1:] / top[..., :1])
        index = 1 / np.mean(ratios, -1)
    return np.where(np.isfinite(index), index, np.inf), 1 / np.sqrt(largest)
