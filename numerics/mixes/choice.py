r"""Which weight for synthetic rows, and which ridge.

Two scores for a pair (weights $\omega$, penalty $\alpha$): leave-one-out on the n real rows, which is unbiased and
noisy (`modelcollapse.numerics.mixes.leave_one_out`), and the posterior expected error under a model of the synthetic
labels, steady and only as good as the model (`modelcollapse.numerics.mixes.evidence`). The choice minimises

$$ (1 - q)\, LOO + q\, risk , \quad q = \frac{s^2}{s^2 + \varphi t^2} , $$

each score counting by its precision: about the difference in error between the fit that the one score likes best, $a$,
and the other's, $b$, leave-one-out has the variance $s^2$ and the model of the labels $t^2 = 4 (a - b)^\top \Sigma V
\Sigma (a - b)$, V the posterior covariance of the truth (and what its means differ by between shapes). Leave-one-out
fits share all rows but two, and err together: with S² the variance of the n differences of squares, $s^2 = (1/n +
1/(n-1))\, S^2$, the correction of Nadeau and Bengio, Machine Learning 52 (2003), for one row left out. A model that
does not hold says so: of the fits of other weights, each where its risk is smallest, against the best of them, both
scores give a difference, and $\varphi \geq 1$ is what $t^2$ must grow by for the squares of their disagreement to be
$s^2 + \varphi t^2$ on average (Paule and Mandel, J. Res. Natl. Bur. Stand. 87 (1982)). Leave-one-out chose none of
these fits, so its luck is not taken for a fault of the model.

The error is measured where the real rows are: under $\Sigma = (n \Sigma_{real} + r \Sigma_{all}) / (n + r)$, r the
number of directions. Real rows alone and all rows alike are always among the candidates. Where leave-one-out says that
one of them, at its own penalty, is better than the choice by more than SURE of these standard errors, it is taken.
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.mixes.evidence import posteriors
from modelcollapse.numerics.mixes.leave_one_out import WeightedPath, weighted_path
from modelcollapse.numerics.mixes.moments import pooled

SURE = 2.0
WEIGHTS = np.array([0, 1e-3, 3e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1, 1.7, 3, 6, 12, 25, 100])
_SWEEPS = 3
_ALIKE = 1e-4  # relative: scores that differ by less are one, and the largest penalty is taken


class Scored(NamedTuple):
    """Fits under one vector of weights (origins,), their risks (L,), the noise of real labels that goes with these,
    scores (L,), and the place of the best."""

    weights: np.ndarray
    path: WeightedPath
    risk: np.ndarray
    noise: float
    score: np.ndarray
    at: int

    @property
    def best(self):
        """The smallest score."""
        return float(self.score.min())

    @property
    def fit(self):
        """Intercepts and slopes at the best, (1 + r, k)."""
        return np.concatenate([self.path.intercepts[self.at, None], self.path.slopes[self.at]])

    def judged(self, share):
        """The same fits by another share of their risk in the score; the rest is leave-one-out."""
        score = (1 - share) * self.path.loss + share * (self.risk + self.noise)
        return self._replace(score=score, at=int(np.flatnonzero(score <= score.min() * (1 + _ALIKE))[-1]))


class Beliefs(NamedTuple):
    """Posteriors at all maxima of the evidence, with their weights and shapes; unit: of the labels there, (k,); metric:
    where errors are measured, (r + 1, r + 1); log_evidence: the largest; known: dict from origin to Known."""

    posteriors: list
    weights: np.ndarray
    shapes: list
    unit: np.ndarray
    metric: np.ndarray
    log_evidence: float
    known: dict

    def maxima(self, most):
        """dict from shape to hyperparameters θ, of so many maxima of the evidence, the largest."""
        found: dict = {}
        for place in np.argsort(-self.weights)[:most]:
            found.setdefault(self.shapes[place], []).append(self.posteriors[place].theta)
        return found

    @property
    def noise(self):
        """Variance of the real rows' label noise, (k,)."""
        return self.unit**2 * float(self.weights @ [one.noise for one in self.posteriors])

    def spread(self, covariances=None):
        """tr ΣV, mean over the outputs."""
        covariances = [one.covariance for one in self.posteriors] if covariances is None else covariances
        seen = len(covariances[0])
        metric = self.metric[:seen, :seen]
        traces = sum(w * np.vdot(metric, V) for w, V in zip(self.weights, covariances, strict=True))
        return float(traces * np.mean(self.unit**2))

    def risk(self, path):
        """Posterior expected error against the truth of the fits of a WeightedPath, (L,), mean over the outputs."""
        fits = np.concatenate([path.intercepts[:, None], path.slopes], axis=1)
        seen = len(self.posteriors[0].mean)
        means = np.array([one.mean for one in self.posteriors])
        mean = np.tensordot(self.weights, means, 1)
        gaps = means - mean
        apart = self.weights @ np.sum(gaps * (self.metric[:seen, :seen] @ gaps), axis=(1, 2))
        fits[:, :seen] -= mean
        squares = np.sum(fits * (self.metric @ fits), axis=(1, 2))
        return self.spread() + (apart + squares) / mean.shape[1]

    def doubt(self, one, other):
        """Posterior variance of the difference between the errors of two fits (1 + r, k)."""
        seen, outputs = self.posteriors[0].mean.shape
        along = 2 / outputs * (self.metric @ (one - other))[:seen]
        means = np.array([np.sum(along * post.mean) for post in self.posteriors])
        scaled = along * self.unit
        own = np.array([np.sum(scaled * (post.covariance @ scaled)) for post in self.posteriors])
        return float(self.weights @ (own + (means - self.weights @ means) ** 2))


def beliefs(rows, known=None, near=None):
    """What the rows say; known: dict from origin to Known; near: maxima of nearly the same rows."""
    found = posteriors(rows, known, near)
    real, every = rows.moments[0], pooled(rows)
    dim = len(rows.variances)
    metric = (real.gram + dim * every.gram / every.rows) / (real.rows + dim)
    return Beliefs(found.each, found.weights, found.shapes, found.unit, metric, found.log_evidence, known or {})


class Chosen(NamedTuple):
    """best: what is used; alone, pooled: the best of real rows alone and of all rows alike; every: all that were tried;
    reason: empty, or why the choice is not the smallest score."""

    best: Scored
    alone: Scored
    pooled: Scored
    every: list
    reason: str


def choose(rows, belief, grid=WEIGHTS, penalties=None):
    """The Chosen weights and penalty; belief: None for leave-one-out by itself; penalties(weights) -> α (L,), or None
    for the default."""
    count = len(rows.moments)
    seen: dict = {}

    def search(share):
        def scored(weights):
            key = tuple(weights)
            if key not in seen:
                seen[key] = score(rows, belief, np.array(weights, dtype=float), penalties)
            return seen[key].judged(share)

        alone, pooled = scored([1.0] + [0.0] * (count - 1)), scored([1.0] * count)
        best = min(alone, pooled, key=lambda one: one.best)
        for _ in range(_SWEEPS if count > 2 else 1):
            before = best.weights
            for g in range(1, count):
                best = min([best, *_line(scored, best.weights, g, grid)], key=lambda one: one.best)
            if best.weights is before:
                break
        return best, alone, pooled

    share = 0.0
    if belief is not None:
        expected, others = search(1.0)[0], [one.judged(1.0) for one in seen.values()]
        share = share_of_risk(rows, belief, expected, search(0.0)[0], others)
    best, alone, pooled = search(share)
    reason = ""
    for other, name in ((alone, "the real rows alone"), (pooled, "all rows, each as heavy,")):
        if worse(rows, best, other):
            best, reason = other, f"{name} have a smaller leave-one-out error by more than {SURE:g} standard errors"
    return Chosen(best, alone, pooled, [one.judged(share) for one in seen.values()], reason)


def share_of_risk(rows, belief, expected, left_out, others=()):
    """Share q of the risk in the score, from the Scored that the risk and that leave-one-out like best.

    others : Scored of other weights, each at its smallest risk, by which the model is checked
    """
    _, error = gap(rows, expected, left_out)
    doubt = belief.doubt(expected.fit, left_out.fit)
    return error**2 / (error**2 + misfit(rows, belief, expected, others) * doubt) if error > 0 else 1.0


def misfit(rows, belief, expected, others):
    """The factor φ ≥ 1 on the model's variances of differences from the expected best; 1 where nothing contradicts."""
    from scipy.optimize import brentq

    found = []
    for one in others:
        mean, error = gap(rows, one, expected)
        found.append(
            (mean - (one.risk[one.at] - expected.risk[expected.at]), error, belief.doubt(one.fit, expected.fit))
        )
    apart, error, doubt = np.array([line for line in found if line[2] > 0]).reshape(-1, 3).T

    def excess(factor):
        return np.mean(apart**2 / (error**2 + factor * doubt)) - 1

    if not len(apart) or excess(1.0) <= 0:
        return 1.0
    root: Any = brentq(excess, 1.0, 1 + np.mean(apart**2 / doubt))
    return float(root)


def _line(scored, weights, g, grid):
    """Scored fits along the weight of origin g: every second of the grid, then the neighbours of the best."""

    def at(i):
        return scored([*weights[:g], grid[i], *weights[g + 1 :]])

    coarse = range(0, len(grid), 2)
    best = min(coarse, key=lambda i: at(i).best)
    return [at(i) for i in (*coarse, *(i for i in (best - 1, best + 1) if 0 <= i < len(grid)))]


def score(rows, belief, weights, penalties=None):
    """Scored fits under weights (origins,), by their risk, or where there are no beliefs by leave-one-out."""
    path = weighted_path(rows, weights, None if penalties is None else penalties(weights))
    if belief is None:
        return Scored(weights, path, np.zeros_like(path.loss), 0.0, path.loss, 0).judged(0.0)
    risk = belief.risk(path)
    return Scored(weights, path, risk, float(np.mean(belief.noise)), risk, 0).judged(1.0)


def standard_error(rows, squares):
    """Of the mean of squares (n,) of the scored rows."""
    n = len(squares)
    return float(np.sqrt(np.cov(squares, aweights=rows.counts) / n)) if n > 1 else np.inf


def worse(rows, best, other):
    """Whether leave-one-out on the real rows finds one Scored worse than another by SURE standard errors."""
    mean, error = gap(rows, best, other)
    return mean > SURE * error


def gap(rows, one, other):
    """By how much leave-one-out on the real rows finds one Scored worse than another, and the standard error, larger
    than that of a mean of independent squares."""
    squares, n = one.path.held_out[one.at] - other.path.held_out[other.at], len(rows.counts)
    return squares @ rows.counts / rows.counts.sum(), standard_error(rows, squares) * np.sqrt(1 + n / max(n - 1, 1))
