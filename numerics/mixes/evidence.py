r"""What the rows themselves say about the truth and about the errors that synthetic labels share.

Model. Along the directions of `modelcollapse.numerics.mixes.moments`, with variances $s_j$ of the inputs,

$$ y = z \cdot w + \varepsilon \ \text{(real)}, \quad y = z \cdot (\rho_g w + \delta_g) + \varepsilon_g \ \text{(origin
g)}, \quad \rho_{g,j} = (1 + \kappa_g / s_j)^{-h_g} , $$
$$ w \sim N(0, A), \ A_j = a s_j^u / \textstyle\sum s^{u+1} + c t_j , $$
$$ \delta_g \sim N(0, B_g), \ B_{g,j} = b_g (1 + \kappa_g / s_j)^{-2} s_j^v / \textstyle\sum s^{v+1} , $$

$\delta_g$ one draw for all rows of the origin, which is what makes synthetic rows worth less than their number: however
many they are, $B_g$ stays. A ridge fit with the effective ridge $\kappa$ has this $\rho$ with $h = 1$, and $v = -1$,
exactly; a chain of h of them about that; least squares is $\kappa = 0$. What is known of the generators
(`modelcollapse.numerics.provenance`) takes the place of the shapes $\rho$ and $B_g$.

Every pair (u, v) is tried without a second term of A and, unless all origins are known, with one of two. *Fine*: $t_j =
s_j^v / \sum s^{v+1}$, so that the truth has the shape of the errors too: what synthetic labels hold of it may be
either, and only real rows tell. *Missed*: $t_j = 1 / \sum s$, a part of the truth that no teacher can hold, such as
what a linear teacher leaves of a curved truth to a kernel student; tried where it lies in other directions than the
rest (DISTINCT). Of a truth w the rest has the mean $R w$ and the variance $A R (1 - R)$, where $R_j = 1 - c t_j / A_j$;
with $\rho_g$ as above, $\rho_g R$ takes its place and $\rho_g^2 A R (1 - R)$ is added to $B_g$, for every origin by
itself. Derived here.

Maxima. The evidence has more than one: a large truth that the generators shrink, say, or a small one that real labels
hide in noise. It is maximised from each of STARTS, and all maxima under all shapes count by their evidence.

Evidence. With $S = G_g / \sigma_g^2$ the information of an origin, $\delta_g$ integrated out leaves $N_g = (B_g^{-1} +
S)^{-1} B_g^{-1} S$ (symmetric) about $\rho w$, so that $w$ has the posterior covariance $V = (A^{-1} + \sum_g \rho_g
N_g \rho_g)^{-1}$ and mean $m$: matrices of the size of the inputs, whatever the number of rows. The gradient of the
log evidence is, by Fisher's identity, the posterior mean of that of the complete likelihood, such as $\frac12 \sum_j
(E w_j^2 / A_j - 1)$ for $\log a$. Derived here.

Risk. Whatever fit $\hat w$ is proposed, its posterior expected error is $\|\hat w - m\|_\Sigma^2 + tr\, \Sigma V$.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from modelcollapse.numerics.equivalents.symmetric import definite, inverted
from modelcollapse.numerics.mixes.moments import pooled

_PAIRS = [(u, v) for u in (0.0, 0.5, 1.0, -1.0) for v in (0.0, -1.0)]  # u = -1: whatever the units of columns
SHAPES = [(*pair, "") for pair in _PAIRS] + [(u, v, "fine") for u, v in _PAIRS if u != v]
SHAPES += [(u, v, "missed") for u, v in _PAIRS if u]
LEADING = 100  # directions that decide about the hyperparameters where there are more than QUICK; else all do
QUICK = 200
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
STARTS = (0.01, 1.0)  # κ, in units of the mean variance of inputs
DISTINCT = 1 / 8  # share of the function; equal directions have up to 0.1 with 400 rows, kernels and tables 0.14 to 0.9
SETTLED = 1e-6  # relative, of the log evidence: 1e-3 of it is nothing beside what shapes differ by
_APART = 1.0  # in a logarithm: hyperparameters that differ by more are two maxima
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
    """moments: of the directions seen, labels in units of their spread; variances: s_j over their mean, (p,), inf for
    the intercept; signal (p,), second (p,), own (p,): shapes of the two terms of A and of B_g / ρ²; known: what
    provenance says, for every origin; missed: whether teachers miss the second term."""

    moments: list
    variances: np.ndarray
    signal: np.ndarray
    second: np.ndarray
    own: np.ndarray
    known: list
    missed: bool

    def leading(self, size):
        """The same of the first directions."""
        moments = [m._replace(gram=m.gram[:size, :size], cross=m.cross[:size]) for m in self.moments]
        known = [k and k._replace(factors=k.factors[:size], variances=k.variances[:size]) for k in self.known]
        seen = {name: getattr(self, name)[:size] for name in ("variances", "signal", "second", "own")}
        return self._replace(moments=moments, known=known, **seen)


class Posteriors(NamedTuple):
    """Posteriors at all maxima that matter, their weights and shapes, the unit of the labels (k,), and the largest log
    evidence, of the directions that decide.

    Means are in the labels' own unit, covariances, priors and noises in that of `unit` squared.
    """

    each: list
    weights: np.ndarray
    shapes: list
    unit: np.ndarray
    log_evidence: float


def posteriors(rows, known=None, near=None):
    """The Posteriors of rows.

    known: dict from origin (1, 2, ...) to Known; near: maxima of nearly the same rows, next to which to look.
    """
    known, count = known or {}, len(rows.moments) - 1
    moments, s, unit = _in_units(rows)
    thetas = [_start(count, known, ridge) for ridge in STARTS[: 1 if len(known) == count else None]]
    shapes = [shape for shape in SHAPES if not shape[-1] or (len(known) < count and _distinct(s, shape))]
    tried = []
    for shape, places in (near or dict.fromkeys(shapes)).items():
        problem = _problem(moments, s, shape, known)
        found = [_best(problem.leading(_deciding(len(s)) + 1), theta) for theta in places or thetas]
        thetas = [theta for theta, _ in found]
        tried += [(shape, problem, *one) for one in _apart(found)]
    logs = np.array([log_evidence for *_, log_evidence in tried])
    weights = np.exp(logs - logs.max())
    kept = np.flatnonzero(weights > _DOUBT * weights.sum())
    each, shapes = [], []
    for shape, problem, theta, _ in (tried[i] for i in kept):
        one = posterior(problem, theta)
        each.append(one._replace(mean=one.mean * unit, errors=[(gap * unit, V) for gap, V in one.errors]))
        shapes.append(shape)
    return Posteriors(each, weights[kept] / weights[kept].sum(), shapes, unit, float(logs.max()))


def problem_of(rows, shape, known=None):
    """The Problem of rows under a shape (u, v, "", "fine" or "missed"), on the directions that decide."""
    moments, s, _ = _in_units(rows)
    return _problem(moments, s, shape, known or {}).leading(_deciding(len(s)) + 1)


def _in_units(rows):
    """Moments of the directions seen, in units of the labels' spread; variances (p,); the units (k,)."""
    seen = slice(0, min(MOST, len(rows.variances)) + 1)
    every = pooled(rows)
    unit = np.sqrt(every.squares / every.rows)
    unit = np.where(unit > 0, unit, 1.0)
    moments = [
        moment._replace(gram=moment.gram[seen, seen], cross=moment.cross[seen] / unit, squares=moment.squares / unit**2)
        for moment in rows.moments
    ]
    return moments, rows.variances[: seen.stop - 1], unit


def _deciding(directions):
    return directions if directions <= QUICK else LEADING


def _distinct(s, shape):
    """Whether a part that teachers miss lies in other directions than what they hold: the total variation between
    them."""
    u, _, second = shape
    first = s[: _deciding(len(s))]
    held = first ** (u + 1)
    return second != "missed" or np.abs(held / held.sum() - first / first.sum()).sum() / 2 > DISTINCT


def _problem(moments, s, shape, known):
    u, v, second = shape
    first = s[: _deciding(len(s))]
    signal = np.append(_VAGUE, s**u / np.sum(first ** (u + 1)))
    plain = np.append(1 / len(first), s**v / np.sum(first ** (v + 1)))
    terms = {"": 0 * s, "fine": plain[1:], "missed": np.full(len(s), 1 / np.sum(first))}
    told = [known.get(g) for g in range(1, len(moments))]
    scaled = np.append(np.inf, s / first.mean())
    return Problem(moments, scaled, signal, np.append(0.0, terms[second]), plain, told, second == "missed")


def _start(count, known, ridge):
    """The θ that a search starts from, κ the ridge of all origins."""
    theta = np.log([0.5, 0.3] + [0.1, 0.1, ridge, 1.0] * count + [0.1])
    theta[[4 * g - 2 for g in known]] = 0.0
    return theta


def _apart(maxima):
    """Pairs (θ, log evidence), each maximum once."""
    found: list = []
    for theta, log_evidence in sorted(maxima, key=lambda one: -one[1]):
        if all(np.abs(theta - other).max() > _APART for other, _ in found):
            found.append((theta, log_evidence))
    return found


def _best(problem, theta):
    found = minimize(
        lambda t: negative(problem, t),
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds(len(problem.known)),
        options={"maxiter": 60, "ftol": SETTLED},
    )
    return found.x, -float(found.fun)


def bounds(count):
    """Of the hyperparameters θ, for so many synthetic origins."""
    return [(_FLOOR, 6.0)] * 2 + [(_FLOOR, 6.0), (_FLOOR, 6.0), (_FLOOR, 5.0), (-2.0, 2.5)] * count + [(_FLOOR, 6.0)]


def negative(problem, theta):
    """The negative log evidence, prior of θ included, and its gradient."""
    post, gradient = _evidence(problem, theta, slopes=True)
    penalty, slope = _prior(problem, theta)
    return penalty - post.log_evidence, slope - gradient


def _prior(problem, theta):
    """-log of the prior of θ, and its gradient."""
    names = ["signal", "noise"] + ["own", "spread", "ridge", "power"] * len(problem.known) + ["own"]
    centre, width = np.array([_CENTRES[name] for name in names]).T
    for g, known in enumerate(problem.known):
        if known is not None:
            centre[2 + 4 * g], width[2 + 4 * g] = 1.0, known.doubt
    gap = (theta - np.log(centre)) / width
    return gap @ gap / 2, gap / width


def posterior(problem, theta):
    """The Posterior at hyperparameters θ = (log a, log σ², then log b_g, log σ_g², log κ_g, log h_g for every g, and
    log c)."""
    post, _ = _evidence(problem, theta)
    penalty, _ = _prior(problem, theta)
    return post._replace(log_evidence=post.log_evidence - penalty)


def _evidence(problem, theta, slopes=False):
    """The Posterior without the prior of θ; with slopes, the gradient of its log evidence in place of the errors."""
    count, outputs = len(problem.known), problem.moments[0].cross.shape[1]
    second = np.exp(theta[-1]) * problem.second
    A = np.exp(theta[0]) * problem.signal + second
    A[0] = _VAGUE
    noise = np.exp(theta[1])
    real = problem.moments[0]
    informations, told = [real.gram / noise], real.cross / noise
    lost = outputs * real.rows * np.log(noise) + real.squares.sum() / noise
    held = 1 - second / A if problem.missed else np.ones_like(A)
    parts = []
    for g in range(count):
        part = _origin(problem, theta, g, A, held)
        parts.append(part)
        informations.append(part.factors[:, None] * part.information * part.factors)
        told = told + part.factors[:, None] * part.told
        lost += part.lost
    root = np.sqrt(A)
    P = np.eye(len(A)) + root[:, None] * sum(informations) * root
    inverse, log_determinant = _inverse(P)
    V = root[:, None] * inverse * root
    mean = V @ told
    lost += outputs * log_determinant - np.vdot(told, mean)
    gradient = np.zeros_like(theta)
    squares = (mean**2).sum(axis=1) + outputs * V.diagonal()
    uneven, share = (squares[1:] / A[1:] - outputs) / 2, second[1:] / A[1:]
    gradient[0], gradient[-1] = uneven @ (1 - share), uneven @ share
    gradient[1] = ((_residual(real, mean) + outputs * np.vdot(real.gram, V)) / noise - outputs * real.rows) / 2
    errors = []
    for g, part in enumerate(parts):
        if slopes:
            gradient[[*range(2 + 4 * g, 6 + 4 * g), 0, -1]] += _slopes(problem, theta, g, part, mean, V, held)
        else:
            errors.append(_label_error(problem, g, part, mean, V))
    return Posterior(-lost / 2, theta, mean, V, informations, A, noise, errors), gradient


class _Origin(NamedTuple):
    """own: B (p,); missed: the share of B that what is missed adds, (p,); noise: σ_g²; factors: ρ (p,); information: N
    (p, p); told: N's right-hand side (p, k); lost: -2 log likelihood; spread: D (p, p), posterior covariance of δ given
    w."""

    own: np.ndarray
    missed: np.ndarray
    noise: float
    factors: np.ndarray
    information: np.ndarray
    told: np.ndarray
    lost: float
    spread: np.ndarray


def _origin(problem, theta, g, A, held):
    """The _Origin under the variances A (p,) of the truth, of which its teacher can hold the shares R = held (p,)."""
    moment, outputs = problem.moments[1 + g], problem.moments[0].cross.shape[1]
    amplitude, noise, ridge, power = np.exp(theta[2 + 4 * g : 6 + 4 * g])
    known, lost_share = problem.known[g], ridge / problem.variances
    if known is None:
        factors = (1 + lost_share) ** -power
        B, apart = amplitude * problem.own * (1 + lost_share) ** -2, factors**2 * A * held * (1 - held)
        factors, B, apart = factors * held, B + apart, apart / (B + apart)
    else:
        factors, B, apart = known.factors, amplitude * known.variances, np.zeros_like(A)
    root = np.sqrt(B)
    S, c = moment.gram / noise, moment.cross / noise
    T = np.eye(len(B)) + root[:, None] * S * root
    inverse, log_determinant = _inverse(T)
    spread = root[:, None] * inverse * root
    information = (inverse / root[:, None] * root) @ S
    told = c - S @ (spread @ c)
    lost = outputs * (moment.rows * np.log(noise) + log_determinant)
    lost += moment.squares.sum() / noise - np.vdot(c, spread @ c)
    return _Origin(B, apart, noise, factors, (information + information.T) / 2, told, lost, spread)


def _slopes(problem, theta, g, part, mean, V, held):
    """∂ log evidence / ∂ (log b, log σ_g², log κ, log h, log a, log c), of the last two only what the origin adds."""
    moment, outputs = problem.moments[1 + g], mean.shape[1]
    E = part.own[:, None] * part.information
    own = part.spread @ (moment.cross / part.noise) - E @ (part.factors[:, None] * mean)
    scaled = part.factors[:, None] * V
    lost = E @ scaled
    spread = part.spread.diagonal() + (lost * E) @ part.factors
    own_squares = (own**2).sum(axis=1) + outputs * spread
    sees = part.factors[:, None] * mean + own
    through = scaled - lost  # covariance of ρw + δ with w
    uneven = own_squares / part.own - outputs
    # tr S Cov(ρw + δ), as S (1 - BN) = N
    spread_seen = np.vdot(moment.gram, part.spread) / part.noise + np.vdot(part.information, through * part.factors)
    residual = moment.cross - moment.gram @ sees
    moved = (residual * mean).sum(axis=1) - outputs * (moment.gram * through).sum(axis=0)

    def along(change):
        """∂ log evidence where log ρ changes by `change` (p,)."""
        base = part.factors * change
        return base @ moved / part.noise

    told = problem.known[g] is not None
    ridge, power = (0.0, 0.0) if told else np.exp(theta[4 + 4 * g : 6 + 4 * g])
    x, gone = ridge / problem.variances, (1 - held) * (not told)
    by_ridge, by_power = -power * x / (1 + x), -power * np.log1p(x)
    return (
        uneven @ (1 - part.missed) / 2,
        (_residual(moment, sees) / part.noise + outputs * (spread_seen - moment.rows)) / 2,
        along(by_ridge) + uneven @ (part.missed * by_ridge - (1 - part.missed) * x / (1 + x)),
        along(by_power) + uneven @ (part.missed * by_power),
        along(gone) + uneven @ (part.missed * gone) / 2,
        along(-gone) + uneven @ (part.missed * (1 - gone)) / 2,
    )


def _label_error(problem, g, part, mean, V):
    """Mean and covariance of ρw + δ - w."""
    E = part.own[:, None] * part.information
    own = part.spread @ (problem.moments[1 + g].cross / part.noise) - E @ (part.factors[:, None] * mean)
    through = np.diag(part.factors - 1) - E * part.factors
    return (part.factors - 1)[:, None] * mean + own, part.spread + through @ V @ through.T


def _residual(moment, mean):
    """Σ f (y - z·w)² over the rows of an origin and the outputs."""
    return moment.squares.sum() - 2 * np.vdot(moment.cross, mean) + np.vdot(mean, moment.gram @ mean)


def _inverse(matrix):
    """Inverse and log determinant of the identity plus a positive semidefinite matrix (p, p)."""
    factor = definite(matrix)
    if factor is None:
        raise np.linalg.LinAlgError("moments of the rows are beyond double precision; standardise the inputs")
    log_determinant = 2 * np.log(factor.diagonal()).sum()
    return inverted(factor), log_determinant
