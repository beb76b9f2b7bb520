r"""What the labels of synthetic origins are wrong by, with an interval.

The rows of origin g say $u_g = \rho_g w + \delta_g$ where the truth is w. The error that their labels carry beside
noise is

$$ e_g = \| u_g - w \|_\Sigma^2 , \qquad E\, e_g = \| E (u_g - w) \|_\Sigma^2 + tr\, \Sigma\, Cov (u_g - w) , $$

both moments from the posteriors of `modelcollapse.numerics.mixes.evidence`, which take the hyperparameters θ (the sizes
of signal, noise and errors) for known. They are not: about its maximum the posterior of θ is nearly $N(\hat\theta,
H^{-1})$, H the Hessian of the negative log evidence. Points are drawn from a somewhat wider Gaussian and weighed by the
evidence over it, to the power $\beta \leq 1$ that leaves a quarter of the points some weight (with many origins a few
points would have nearly all of it); the spread of $\log E e_g$ over them is what not knowing the sizes adds.

Nor is Σ known: of n Gaussian rows the mean of squares has the relative variance 2/n, and Σ here is $(n \Sigma_{real} +
r \Sigma_{all}) / (n + r)$, with r directions and N rows in all, so that $2 (n + r^2/N) / (n + r)^2$ comes on top.
"""

import numpy as np

from modelcollapse.numerics.mixes.evidence import bounds, negative, posterior, problem_of
from modelcollapse.theory.populations.threads import pinned

DRAWS = 1000
MIDDLE = (0.05, 0.95)
_POINTS, _WIDER, _FEWEST = 64, 1.2, 16
_STEP = 0.1  # of differences, in logarithms
_FLATTEST = 1 / 25  # of curvatures: the widest prior has 1/16


def mean_label_error(belief, code, unit=1.0):
    """E e_g of origin `code` under Beliefs, in the unit squared; unit: of the labels."""
    means = [_mean(one, belief, code) for one in belief.posteriors]
    return float(belief.weights @ means) * unit**2


def label_errors(rows, belief, unit=1.0):
    """code -> (E e_g, and the limits of its middle 90 %) of every synthetic origin; DRAWS draws.

    Labels of a model that is wrong by 0.3 in each of five columns:

    >>> from modelcollapse.numerics.mixes.choice import beliefs
    >>> from modelcollapse.numerics.mixes.moments import rows_of
    >>> rng = np.random.default_rng(0)
    >>> X, origin = rng.standard_normal((140, 5)), np.repeat([0, 1], [40, 100])
    >>> wrong, noise = 0.3 * X.sum(axis=1), 0.5 * rng.standard_normal(140)
    >>> y = X.sum(axis=1) + np.where(origin, wrong, noise)
    >>> rows = rows_of(X, y[:, None], origin)
    >>> mean, low, high = label_errors(rows, beliefs(rows))[1]
    >>> bool(low < 5 * 0.3**2 < high)
    True
    """
    rng, found = np.random.default_rng(0), {}
    take = rng.choice(len(belief.weights), DRAWS, p=belief.weights)
    with pinned(len(rows.variances)):
        widths = _widths(rows, belief)
    for g in range(1, len(rows.moments)):
        draws = []
        for place, count in zip(*np.unique(take, return_counts=True), strict=True):
            gap, V = belief.posteriors[place].errors[g - 1]
            root = np.linalg.cholesky(V + 1e-12 * np.trace(V) * np.eye(len(V)))
            metric = np.linalg.cholesky(belief.metric[: len(V), : len(V)] + 1e-12 * np.eye(len(V)))
            around = np.einsum("ij,njk->nik", root, rng.standard_normal((count, *gap.shape)), optimize=True)
            seen = np.einsum("ij,nik->njk", metric, gap + belief.unit * around, optimize=True)
            draws.append(np.mean(np.sum(seen**2, axis=1), axis=1))
        draws = np.concatenate(draws) * np.exp(widths[g - 1] * rng.standard_normal(DRAWS))
        limits = (float(q) * unit**2 for q in np.quantile(draws, MIDDLE))
        found[g] = (mean_label_error(belief, g, unit), *limits)
    return found


def _mean(post, belief, code):
    gap, V = post.errors[code - 1]
    metric = belief.metric[: len(V), : len(V)]
    return np.sum(gap * (metric @ gap)) / gap.shape[1] + np.mean(belief.unit**2) * np.sum(metric * V)


def _widths(rows, belief):
    """Standard deviations of log e_g beside those under the posteriors, (origins - 1,)."""
    real, every, dim = rows.moments[0].rows, sum(m.rows for m in rows.moments), len(rows.variances)
    return np.sqrt(_of_sizes(rows, belief) + 2 * (real + dim**2 / every) / (real + dim) ** 2)


def _of_sizes(rows, belief):
    """Variances of log E e_g from those of θ, about the largest maximum of the evidence, (origins - 1,)."""
    at = int(np.argmax(belief.weights))
    theta, problem = belief.posteriors[at].theta, problem_of(rows, belief.shapes[at], belief.known)
    lower, upper = np.transpose(bounds(len(rows.moments) - 1))
    free = np.flatnonzero((theta > lower + _STEP) & (theta < upper - _STEP))  # the others lie at a limit
    steps = _STEP * np.eye(len(theta))[free]
    slopes = [(negative(problem, theta + step)[1] - negative(problem, theta - step)[1])[free] for step in steps]
    values, vectors = np.linalg.eigh(np.add(slopes, np.transpose(slopes)) / (4 * _STEP))
    z = np.random.default_rng(0).standard_normal((_POINTS // 2, len(free)))
    z, places = np.concatenate([z, -z]), np.tile(theta, (_POINTS, 1))
    places[:, free] += _WIDER * z @ (vectors / np.sqrt(np.maximum(values, _FLATTEST))).T
    found = [posterior(problem, place) for place in np.clip(places, lower, upper)]
    logs = np.array([one.log_evidence for one in found]) + np.sum(z**2, axis=1) / 2
    shares = weights_of(logs)
    found = [one._replace(errors=[(gap * belief.unit, V) for gap, V in one.errors]) for one in found]
    errors = np.log([[_mean(one, belief, g) for g in range(1, len(rows.moments))] for one in found])
    return shares @ (errors - shares @ errors) ** 2


def weights_of(logs):
    """Weights of points from the logarithms of their ratios, (n,), as even as _FEWEST equal points at least."""

    def tempered(power):
        weights = np.exp(power * (logs - logs.max()))
        return weights / weights.sum()

    found = map(tempered, np.linspace(1, 0, 21))
    return next(weights for weights in found if 1 / np.sum(weights**2) >= _FEWEST)
