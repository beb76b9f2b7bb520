r"""What the rows themselves say about the truth and about the errors that synthetic labels share.

Model. Along the directions of `modelcollapse.numerics.mixes.moments`, with variances $s_j$ of the inputs,

$$ y = z \cdot w + \varepsilon \ \text{(real)}, \quad y = z \cdot (\rho_g w + \delta_g) + \varepsilon_g \ \text{(origin
g)}, \quad \rho_{g,j} = (1 + \kappa_g / s_j)^{-h_g} , $$
$$ w \sim N(0, A), \ A_j = a s_j^u / \textstyle\sum s^{u+1} , \quad \delta_g \sim N(0, B_g), \ B_{g,j} = b_g
(1 + \kappa_g / s_j)^{-2} s_j^v / \textstyle\sum s^{v+1} , $$

$\delta_g$ one draw for all rows of the origin, which is what makes synthetic rows worth less than their number: however
many they are, $B_g$ stays. A ridge fit with the effective ridge $\kappa$ has this $\rho$ with $h = 1$, and $v = -1$,
exactly; a chain of h of them about that; least squares is $\kappa = 0$. What is known of the generators
(`modelcollapse.numerics.provenance`) takes the place of the shapes $\rho$ and $B_g$.

Evidence. With $S = G_g / \sigma_g^2$ the information of an origin, $\delta_g$ integrated out leaves $N_g = (B_g^{-1} +
S)^{-1} B_g^{-1} S$ (symmetric) about $\rho w$, so that $w$ has the posterior covariance $V = (A^{-1} + \sum_g \rho_g
N_g \rho_g)^{-1}$ and mean $m$: matrices of the size of the inputs, whatever the number of rows. The gradient of the
log evidence is, by Fisher's identity, the posterior mean of that of the complete likelihood, such as $\frac12 \sum_j
(E w_j^2 / A_j - 1)$ for $\log a$. Derived here.

The hyperparameters are found along the LEADING directions. What the others carry, $\sum_j s_j (\rho_j^2 A_j + B_j)$ of
the variance, is noise to these, beside $\sigma_g^2$: left out, noise would pass for what it is not.

Risk. Whatever fit $\hat w$ is proposed, its posterior expected error is $\|\hat w - m\|_\Sigma^2 + tr\, \Sigma V$.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from modelcollapse.numerics.mixes.moments import pooled

SHAPES = [(u, v) for u in (0.0, 0.5, 1.0, -1.0) for v in (0.0, -1.0)]  # u = -1: whatever the units of the columns
LEADING = 200  # directions that decide about the hyperparameters
MOST = 600  # directions that the posterior sees
_VAGUE = 100.0  # prior variance of the intercept, in units of the labels' variance
# prior medians and widths of logarithms, variances in units of the labels', κ in that of the mean variance of inputs
_CENTRES = {
    "signal": (0.5, 2.0),
    "noise": (0.3, 1.5),
    "own": (0.1, 2.5),
    "spread": (0.1, 4.0),
    "ridge": (0.01, 3.0),
    "power": (1.0, 0.7),
}
_FLOOR = np.log(1e-7)
_DOUBT = 0.02  # share of the evidence below which a pair of shapes is left out


class Known(NamedTuple):
    """What provenance says of an origin: mean factors m (p,), variances Ξ (p,) of its errors along the directions, and
    how far (in logarithm) the variances may be wrong."""

    factors: np.ndarray
    variances: np.ndarray
    doubt: float = 0.5


class Posterior(NamedTuple):
    """Under one pair of shapes: log evidence and hyperparameters θ; mean m (p, k) and covariance V (p, p) of the truth;
    informations ρNρ of the origins, list of (p, p), the real one first; prior A (p,); noise σ² of real labels; errors:
    of every synthetic origin's labels, u - w with u = ρw + δ, pairs of mean (p, k) and covariance (p, p)."""

    log_evidence: float
    theta: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    informations: list
    prior: np.ndarray
    noise: float
    errors: list


class Problem(NamedTuple):
    """moments: of the directions seen, labels in units of their spread; inputs: s_j, (p,), 1 for the intercept;
    variances: s_j over their mean, (p,), inf for the intercept; signal (p,), own (p,): shapes of A and B_g / ρ²; known:
    what provenance says, for every origin; tail: the Problem of the directions that are not seen."""

    moments: list
    inputs: np.ndarray
    variances: np.ndarray
    signal: np.ndarray
    own: np.ndarray
    known: list
    tail: Any = None

    def leading(self, size):
        """The first directions, the others in the tail."""
        return self._part(slice(0, size))._replace(tail=self._part(slice(size, None)))

    def _part(self, which):
        moments = [m._replace(gram=m.gram[which, which], cross=m.cross[which]) for m in self.moments]
        known = [k and k._replace(factors=k.factors[which], variances=k.variances[which]) for k in self.known]
        return Problem(moments, *(of[which] for of in (self.inputs, self.variances, self.signal, self.own)), known)


def posteriors(rows, known=None, shapes=SHAPES):
    """Posteriors under all shapes that matter, their weights, and the unit of the labels (k,).

    Means are in the labels' own unit, covariances, priors and noises in that of `unit` squared.

    known: dict from origin (1, 2, ...) to Known.
    """
    seen = slice(0, min(MOST, len(rows.variances)) + 1)
    every = pooled(rows)
    unit = np.sqrt(every.squares / every.rows)
    unit = np.where(unit > 0, unit, 1.0)
    moments = [
        moment._replace(gram=moment.gram[seen, seen], cross=moment.cross[seen] / unit, squares=moment.squares / unit**2)
        for moment in rows.moments
    ]
    s = rows.variances[: seen.stop - 1]
    problems, thetas, logs = [_problem(moments, s, u, v, known or {}) for u, v in shapes], [None], []
    for problem in problems:
        theta, log_evidence = _best(problem.leading(LEADING + 1), thetas[-1])
        thetas.append(theta)
        logs.append(log_evidence)
    weights = np.exp(np.array(logs) - max(logs))
    kept = np.flatnonzero(weights > _DOUBT * weights.sum())
    found = [posterior(problems[i], thetas[i + 1]) for i in kept]
    found = [one._replace(mean=one.mean * unit, errors=[(gap * unit, V) for gap, V in one.errors]) for one in found]
    return found, weights[kept] / weights[kept].sum(), unit


def _problem(moments, s, u, v, known):
    first = s[:LEADING]
    signal = np.append(_VAGUE, s**u / np.sum(first ** (u + 1)))
    plain = np.append(1 / len(first), s**v / np.sum(first ** (v + 1)))
    told = [known.get(g) for g in range(1, len(moments))]
    every = Problem(moments, np.append(1.0, s), np.append(np.inf, s / first.mean()), signal, plain, told)
    return every.leading(len(s) + 1)


def _best(problem, theta):
    count = len(problem.known)
    if theta is None:
        theta = np.log([0.5, 0.3] + [0.1, 0.1, 0.01, 1.0] * count)
        theta[[2 + 4 * g for g, known in enumerate(problem.known) if known is not None]] = 0.0
    bounds = [(_FLOOR, 6.0)] * 2 + [(_FLOOR, 6.0), (_FLOOR, 6.0), (_FLOOR, 5.0), (-2.0, 2.5)] * count
    found = minimize(
        lambda t: _negative(problem, t), theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
    )
    return found.x, -float(found.fun)


def _negative(problem, theta):
    post, gradient = _evidence(problem, theta, slopes=True)
    penalty, slope = _prior(problem, theta)
    return penalty - post.log_evidence, slope - gradient


def _prior(problem, theta):
    """-log of the prior of θ, and its gradient."""
    names = ["signal", "noise"] + ["own", "spread", "ridge", "power"] * len(problem.known)
    centre, width = np.array([_CENTRES[name] for name in names]).T
    for g, known in enumerate(problem.known):
        if known is not None:
            centre[2 + 4 * g], width[2 + 4 * g] = 1.0, known.doubt
    gap = (theta - np.log(centre)) / width
    return gap @ gap / 2, gap / width


def posterior(problem, theta):
    """The Posterior at hyperparameters θ = (log a, log σ², and log b_g, log σ_g², log κ_g, log h_g for every g)."""
    post, _ = _evidence(problem, theta)
    penalty, _ = _prior(problem, theta)
    return post._replace(log_evidence=post.log_evidence - penalty)


def _evidence(problem, theta, slopes=False):
    """The Posterior without the prior of θ; with slopes, the gradient of its log evidence in place of the errors."""
    count, outputs = len(problem.known), problem.moments[0].cross.shape[1]
    A = np.exp(theta[0]) * problem.signal
    A[0] = _VAGUE
    unseen = np.exp(theta[0]) * problem.tail.inputs @ problem.tail.signal
    noise = np.exp(theta[1]) + unseen
    real = problem.moments[0]
    informations, told = [real.gram / noise], real.cross / noise
    lost = outputs * real.rows * np.log(noise) + real.squares.sum() / noise
    parts = []
    for g in range(count):
        part = _origin(problem, theta, g)
        parts.append(part)
        informations.append(part.factors[:, None] * part.information * part.factors)
        told = told + part.factors[:, None] * part.told
        lost += part.lost
    root = np.sqrt(A)
    P = np.eye(len(A)) + root[:, None] * sum(informations) * root
    factor = cho_factor(P, lower=True)
    V = root[:, None] * cho_solve(factor, np.diag(root))
    mean = V @ told
    lost += 2 * outputs * np.sum(np.log(np.diag(factor[0]))) - np.sum(told * mean)
    gradient = np.zeros_like(theta)
    squares = np.sum(mean**2, axis=1) + outputs * np.diag(V)
    gradient[0] = np.sum(squares[1:] / A[1:] - outputs) / 2
    uneven = (_residual(real, mean, V) / noise - outputs * real.rows) / 2 / noise
    gradient[:2] += uneven * np.array([unseen, np.exp(theta[1])])
    errors = []
    for g, part in enumerate(parts):
        if slopes:
            slope, *own = _slopes(problem, theta, g, part, mean, V)
            gradient[0] += slope
            gradient[2 + 4 * g : 6 + 4 * g] = own
        else:
            errors.append(_label_error(problem, g, part, mean, V))
    return Posterior(-lost / 2, theta, mean, V, informations, A, noise, errors), gradient


class _Origin(NamedTuple):
    """own: B (p,); noise: σ_g² and what is not seen; factors: ρ (p,); information: N (p, p); told: N's right-hand side
    (p, k); lost: -2 log likelihood; spread: D (p, p), posterior covariance of δ given w."""

    own: np.ndarray
    noise: float
    factors: np.ndarray
    information: np.ndarray
    told: np.ndarray
    lost: float
    spread: np.ndarray


def _shrunk(problem, theta, g):
    """ρ and B of an origin along the directions of a problem."""
    amplitude, _, ridge, power = np.exp(theta[2 + 4 * g : 6 + 4 * g])
    known, lost = problem.known[g], ridge / problem.variances
    if known is not None:
        return known.factors, amplitude * known.variances
    return (1 + lost) ** -power, amplitude * problem.own * (1 + lost) ** -2


def _unseen(tail, theta, g):
    """Variances (p,) of the labels along the directions of the tail: from the truth, and the origin's own."""
    factors, B = _shrunk(tail, theta, g)
    return np.exp(theta[0]) * tail.inputs * tail.signal * factors**2, tail.inputs * B


def _origin(problem, theta, g):
    moment, outputs = problem.moments[1 + g], problem.moments[0].cross.shape[1]
    factors, B = _shrunk(problem, theta, g)
    noise = np.exp(theta[3 + 4 * g]) + np.sum(_unseen(problem.tail, theta, g))
    root = np.sqrt(B)
    S, c = moment.gram / noise, moment.cross / noise
    T = np.eye(len(B)) + root[:, None] * S * root
    factor = cho_factor(T, lower=True)
    inverse = cho_solve(factor, np.eye(len(B)))
    spread = root[:, None] * inverse * root
    information = (inverse / root[:, None] * root) @ S
    told = c - S @ (spread @ c)
    lost = outputs * (moment.rows * np.log(noise) + 2 * np.sum(np.log(np.diag(factor[0]))))
    lost += moment.squares.sum() / noise - np.sum(c * (spread @ c))
    return _Origin(B, noise, factors, (information + information.T) / 2, told, lost, spread)


def _slopes(problem, theta, g, part, mean, V):
    """∂ log evidence / ∂ (log a, as far as the tail is noise, log b, log σ_g², log κ, log h)."""
    moment, outputs = problem.moments[1 + g], mean.shape[1]
    E = part.own[:, None] * part.information
    own = part.spread @ (moment.cross / part.noise) - E @ (part.factors[:, None] * mean)
    scaled = part.factors[:, None] * V
    lost = E @ scaled
    spread = np.diag(part.spread) + np.einsum("ij,j,ij->i", lost, part.factors, E)
    own_squares = np.sum(own**2, axis=1) + outputs * spread
    sees = part.factors[:, None] * mean + own
    through = scaled - lost  # covariance of ρw + δ with w
    kept = np.eye(len(E)) - E
    covariance = part.spread + (through * part.factors) @ kept.T
    uneven = own_squares / part.own - outputs
    residual = moment.cross - moment.gram @ sees

    def along(change):
        """∂ log evidence where log ρ changes by `change` (p,)."""
        base = part.factors * change
        slope = np.sum(residual * (base[:, None] * mean)) - outputs * np.sum(moment.gram * (through * base))
        return slope / part.noise

    ridge, power = (0.0, 0.0) if problem.known[g] is not None else np.exp(theta[4 + 4 * g : 6 + 4 * g])
    x, beyond = ridge / problem.variances, ridge / problem.tail.variances
    loud = (_residual(moment, sees, covariance) / part.noise - outputs * moment.rows) / 2 / part.noise
    signal, errors = _unseen(problem.tail, theta, g)
    return (
        loud * np.sum(signal),
        np.sum(uneven) / 2 + loud * np.sum(errors),
        loud * np.exp(theta[3 + 4 * g]),
        along(-power * x / (1 + x))
        - uneven @ (x / (1 + x))
        - 2 * loud * (power * signal + errors) @ (beyond / (1 + beyond)),
        along(-power * np.log1p(x)) - 2 * loud * power * signal @ np.log1p(beyond),
    )


def _label_error(problem, g, part, mean, V):
    """Mean and covariance of ρw + δ - w."""
    E = part.own[:, None] * part.information
    own = part.spread @ (problem.moments[1 + g].cross / part.noise) - E @ (part.factors[:, None] * mean)
    through = np.diag(part.factors - 1) - E * part.factors
    return (part.factors - 1)[:, None] * mean + own, part.spread + through @ V @ through.T


def _residual(moment, mean, covariance):
    """Posterior mean of Σ f (y - z·w)² over the rows of an origin and the outputs."""
    fitted = moment.squares.sum() - 2 * np.sum(moment.cross * mean) + np.sum(mean * (moment.gram @ mean))
    return fitted + mean.shape[1] * np.sum(moment.gram * covariance)
