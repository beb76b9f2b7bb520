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

Evidence. `modelcollapse.numerics.mixes.likelihood` has it, with its gradient, from matrices of the size of the inputs,
or of the number of real rows where these are few, whatever the number of the others.

Risk. Whatever fit $\hat w$ is proposed, its posterior expected error is $\|\hat w - m\|_\Sigma^2 + tr\, \Sigma V$.
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.mixes.likelihood import Covariance, label_error, moved, origin_of, samples, truth
from modelcollapse.numerics.mixes.moments import pooled

_PAIRS = [(u, v) for u in (0.0, 0.5, 1.0, -1.0) for v in (0.0, -1.0)]  # u = -1: whatever the units of columns
SHAPES = [(*pair, "") for pair in _PAIRS] + [(u, v, "fine") for u, v in _PAIRS if u != v]
SHAPES += [(u, v, "missed") for u, v in _PAIRS if u]
QUICK = 200  # directions that decide about the hyperparameters: all if there are no more, the first if few rows are
FEW = 30  # at most beside those of the largest origin
LEADING = 100  # directions that decide where there are more of both
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
    """samples: of the directions seen, labels in units of their spread; variances: s_j over their mean, (p,), inf for
    the intercept; signal (p,), second (p,), own (p,): shapes of the two terms of A and of B_g / ρ²; known: what
    provenance says, for every origin; missed: whether teachers miss the second term."""

    samples: list
    variances: np.ndarray
    signal: np.ndarray
    second: np.ndarray
    own: np.ndarray
    known: list
    missed: bool


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
    every, deciding = _seen(rows, MOST), _deciding(rows)
    decide = every if deciding == len(every.variances) else _seen(rows, deciding)
    thetas = [_start(count, known, ridge) for ridge in STARTS[: 1 if len(known) == count else None]]
    shapes = [shape for shape in SHAPES if not shape[-1] or (len(known) < count and _distinct(decide.variances, shape))]
    tried = []
    for shape, places in (near or dict.fromkeys(shapes)).items():
        problem = _problem(decide, decide, shape, known)
        found = [_best(problem, theta) for theta in places or thetas]
        thetas = [theta for theta, _ in found]
        tried += [(shape, *one) for one in _apart(found)]
    logs = np.array([log_evidence for *_, log_evidence in tried])
    weights = np.exp(logs - logs.max())
    kept = np.flatnonzero(weights > _DOUBT * weights.sum())
    each, shapes, unit = [], [], every.unit
    for shape, theta, _ in (tried[i] for i in kept):
        one = posterior(_problem(every, decide, shape, known), theta)
        each.append(one._replace(mean=one.mean * unit, errors=[(gap * unit, V) for gap, V in one.errors]))
        shapes.append(shape)
    return Posteriors(each, weights[kept] / weights[kept].sum(), shapes, unit, float(logs.max()))


def problem_of(rows, shape, known=None):
    """The Problem of rows under a shape (u, v, "", "fine" or "missed"), on the directions that decide."""
    decide = _seen(rows, _deciding(rows))
    return _problem(decide, decide, shape, known or {})


class _Seen(NamedTuple):
    """Samples of the first p directions, labels in units of their spread; variances (p,); the units (k,)."""

    samples: list
    variances: np.ndarray
    unit: np.ndarray


def _seen(rows, most):
    size, every = min(most, _directions(rows)), pooled(rows)
    part = slice(0, size + 1)
    unit = np.sqrt(every.squares / every.rows)
    unit = np.where(unit > 0, unit, 1.0)
    moments = [
        moment._replace(gram=moment.gram[part, part], cross=moment.cross[part] / unit, squares=moment.squares / unit**2)
        for moment in rows.moments
    ]
    return _Seen(samples(moments, _few(rows, size)), rows.variances[:size], unit)


def _others(rows):
    """How many rows there are beside those of the largest origin."""
    counts = [moment.rows for moment in rows.moments]
    return sum(counts) - max(counts)


def _few(rows, directions):
    """Whether they are so few that matrices of their number do, and the directions are uncorrelated."""
    return 2 * _others(rows) <= directions <= rows.uncorrelated


def _directions(rows):
    """How many directions the posterior sees."""
    return min(MOST, rows.uncorrelated if _few(rows, rows.uncorrelated) else len(rows.variances))


def _deciding(rows):
    """How many of them decide about the hyperparameters."""
    directions = _directions(rows)
    few = _others(rows) <= FEW and _few(rows, directions)
    return min(directions, QUICK) if few or directions <= QUICK else LEADING


def _distinct(s, shape):
    """Whether a part that teachers miss lies in other directions than what they hold: the total variation between
    them."""
    u, _, second = shape
    held = s ** (u + 1)
    return second != "missed" or np.abs(held / held.sum() - s / s.sum()).sum() / 2 > DISTINCT


def _problem(seen, decide, shape, known):
    """Of the directions seen; sizes are of those that decide."""
    (u, v, second), s, first = shape, seen.variances, decide.variances
    signal = np.append(_VAGUE, s**u / np.sum(first ** (u + 1)))
    plain = np.append(1 / len(first), s**v / np.sum(first ** (v + 1)))
    terms = {"": 0 * s, "fine": plain[1:], "missed": np.full(len(s), 1 / np.sum(first))}
    told = [known.get(g) for g in range(1, len(seen.samples))]
    told = [k and k._replace(factors=k.factors[: len(signal)], variances=k.variances[: len(signal)]) for k in told]
    scaled = np.append(np.inf, s / first.mean())
    return Problem(seen.samples, scaled, signal, np.append(0.0, terms[second]), plain, told, second == "missed")


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
    from scipy.optimize import minimize

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
    found = _explained(problem, theta)
    penalty, slope = _prior(problem, theta)
    return penalty + found.lost / 2, slope - _slopes(problem, theta, found)


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
    found = _explained(problem, theta)
    mean, V, origins = found.mean, found.covariance.dense(), found.origins
    errors, informations = [label_error(one, V, mean) for one in origins[1:]], [one.information() for one in origins]
    log_evidence = -found.lost / 2 - _prior(problem, theta)[0]
    return Posterior(log_evidence, theta, mean, V, informations, found.prior, origins[0].noise, errors)


class _Explained(NamedTuple):
    """lost: -2 log likelihood; prior: A (p,); second: the share of its second term, (p,), which is 1 - R where that is
    missed; origins: an Origin of each, real rows first; mean (p, k) and covariance of the truth."""

    lost: float
    prior: np.ndarray
    second: np.ndarray
    origins: list
    mean: np.ndarray
    covariance: Covariance


def _explained(problem, theta):
    """Truth and teachers under the hyperparameters θ."""
    first, second = np.exp(theta[0]) * problem.signal, np.exp(theta[-1]) * problem.second
    first[0] = _VAGUE
    A = first + second
    second = second / A
    origins = [origin_of(problem.samples[0], np.zeros_like(A), None, float(np.exp(theta[1])), np.ones_like(A))]
    origins += [_teacher(problem, theta, g, A, second) for g in range(len(problem.known))]
    V, mean, lost = truth(A, origins)
    return _Explained(lost, A, second, origins, mean, V)


def _teacher(problem, theta, g, A, second):
    """The Origin of synthetic rows of a truth of variances A, whose `second` shares (p,) their teacher may miss."""
    amplitude, noise, ridge, power = np.exp(theta[2 + 4 * g : 6 + 4 * g])
    known = problem.known[g]
    if known is not None:
        own, factors, missed = amplitude * known.variances, known.factors, None
    else:
        x = 1 + ridge / problem.variances
        own, factors, missed = amplitude * problem.own / x**2, x**-power, None
        if problem.missed:
            apart = factors**2 * A * second * (1 - second)
            own = own + apart
            factors, missed = factors * (1 - second), apart / own
    return origin_of(problem.samples[1 + g], own, missed, noise, factors)


def _slopes(problem, theta, found):
    """∂ log likelihood / ∂ θ."""
    _, A, second, origins, mean, V = found
    gradient, diagonal = np.zeros_like(theta), V.diagonal()
    uneven = (((mean**2).sum(axis=1) + mean.shape[1] * diagonal) / A - mean.shape[1])[1:] / 2
    gradient[0], gradient[-1] = uneven @ (1 - second[1:]), uneven @ second[1:]
    real, *teachers = (moved(*pair, V, mean, diagonal) for pair in zip(problem.samples, origins, strict=True))
    gradient[1] = real.noise
    for g, by in enumerate(teachers):
        told, missed = problem.known[g] is not None, origins[1 + g].missed
        ridge, power = (0.0, 0.0) if told else np.exp(theta[4 + 4 * g : 6 + 4 * g])
        x = ridge / problem.variances
        part, by_power = x / (1 + x), -power * np.log1p(x)
        gradient[2 + 4 * g : 6 + 4 * g] = (
            by.own.sum(),
            by.noise,
            -(power * by.factors + 2 * by.own) @ part,
            by.factors @ by_power,
        )
        if problem.missed and not told:
            held = by.own * missed
            gradient[2 + 4 * g] -= held.sum()
            gradient[4 + 4 * g] += 2 * (1 - power) * held @ part
            gradient[5 + 4 * g] += 2 * held @ by_power
            gradient[0] += (by.factors + held) @ second
            gradient[-1] += held @ (1 - second) - by.factors @ second
    return gradient
