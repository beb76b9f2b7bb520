"""Routes of classes as labels and of verification: integrals over the scores, spectral densities, recursions."""

import itertools

import mpmath
import numpy as np
from formula_references import MarchenkoPastur, inverse_chi_square
from formula_route import NEAR, least_squares_noise, route
from mpmath import mpf
from scipy import special
from scipy.optimize import minimize_scalar

RATIO = {"noise_ratio": (0.05, 3.0)}


X, W = np.polynomial.legendre.leggauss(64)


def normal(z):
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def normal_mean(f, *bounds):
    """∫ f φ between bounds, cut where something bends: 64 Gauss-Legendre nodes a piece, in double precision."""
    cuts = [float(x) for x in bounds]
    total = 0.0
    for low, high in itertools.pairwise(cuts):
        z = (low + high + (high - low) * X) / 2
        total += (high - low) / 2 * W @ (f(z) * normal(z))
    return mpf(total)


def half_line(f):
    return 2 * normal_mean(f, 0, 0.3, 1, 3, 7, 14)


def ratio_of(slope, square=1):
    return (square - slope**2) / slope**2


@route("sign_noise_ratio")
def _(flips):
    return ratio_of(half_line(lambda z: z * float((1 - flips) - flips)))


@route("probit_noise_ratio", ranges={"temperature": (0.3, 20.0)})
def _(temperature):
    return ratio_of(half_line(lambda z: z * special.erf(z / float(temperature) / np.sqrt(2))))


@route("soft_probit_noise_ratio", ranges={"temperature": (0.3, 3.0)})
def _(temperature):
    return ratio_of(*soft_labels(1 / temperature))


def soft_labels(slope):
    """E y z and E y² of y = 2Φ(slope z) − 1."""

    def labels(z):
        return special.erf(z * float(slope) / np.sqrt(2))

    return half_line(lambda z: z * labels(z)), half_line(lambda z: labels(z) ** 2)


@route("clipped_noise_ratio", ranges={"clip": (0.1, 3.0)})
def _(clip):
    cut = float(clip)
    means = [
        2 * normal_mean(lambda z: np.minimum(z, cut) * other(z), 0, cut / 2, cut, cut + 2, cut + 6, 14)
        for other in (lambda z: z, lambda z: np.minimum(z, cut))
    ]
    return ratio_of(*means)


@route("soft_chain_map", ranges={"score_deviation": (0.05, 2.0), "score_temperature": (0.1, 2.0)} | NEAR)
def _(score_deviation, score_temperature, generator_aspect):
    gain, square = soft_labels(score_deviation / score_temperature)
    return mpmath.sqrt(gain**2 + (square - gain**2) * least_squares_noise(generator_aspect))


@route("probit_error_rate", ranges={"temperature": (0.3, 20.0)})
def _(overlap, temperature):
    width = mpmath.sqrt(1 - overlap**2 + temperature**2)
    return half_line(lambda z: special.ndtr(-z * float(overlap / width)))


@route(
    "mean_angle_gap",
    points=tuple({"samples": T, "dimension": d} for T, d in ((3e5, 2e5), (1e6, 1e5), (4e5, 3e5), (9e5, 4e5))),
    tolerance=1e-4,
)
def _(samples, dimension):
    def mean(degrees, power):
        """E (χ²)^power."""
        return 2**power * mpmath.gammaprod([degrees / 2 + power], [degrees / 2])

    across, left = dimension - 1, samples - dimension + 1
    half = mpf(1) / 2
    return mean(across, half) * mean(left, -half) / mpmath.sqrt(mean(across, 1) * mean(left, -1)) - 1


@route("soft_chain_temperature", tolerance=1e-9)  # a slope by differences
def _():
    return mpmath.findroot(lambda g: mpmath.diff(lambda u: mpmath.erf(u / g / mpmath.sqrt(2)), 0) - 1, 0.7)


def turned(aspect, ridge, noise_ratio):
    """tan² of the angle of a ridge fit, by the density of eigenvalues of isotropic data."""
    density = MarchenkoPastur(aspect)
    kept = density.mean(lambda x: x / (x + ridge))
    square = density.mean(lambda x: (x / (x + ridge)) ** 2)
    return (square + noise_ratio * float(aspect) * density.mean(lambda x: x / (x + ridge) ** 2)) / kept**2 - 1


@route("angle_isotropic", ranges=RATIO | {"effective_ridge": (0.1, 10.0), "aspect": (0.05, 0.95)})
def _(aspect, effective_ridge, noise_ratio):
    return turned(aspect, float(effective_ridge * (1 - aspect / (1 + effective_ridge))), float(noise_ratio))


@route("best_angle_isotropic", ranges={"noise_ratio": (0.3, 3.0), "aspect": (0.05, 0.7)}, count=3)
def _(aspect, noise_ratio):
    found = minimize_scalar(
        lambda u: turned(aspect, np.exp(u), float(noise_ratio)), bounds=(-5, 2), options={"xatol": 1e-9}
    )
    return mpf(found.fun)


@route(
    "class_chain_error", ranges=RATIO | {"generator_aspect": (0.05, 0.9), "aspect": (0.05, 0.9), "generations": (0, 8)}
)
def _(aspect, generator_aspect, generations, noise_ratio):
    lost = mpmath.log1p(noise_ratio * least_squares_noise(aspect))
    lost += generations * mpmath.log1p(noise_ratio * least_squares_noise(generator_aspect))
    return mpmath.atan(mpmath.sqrt(mpmath.expm1(lost))) / mpmath.pi


@route("sign_error_perpendicular", ranges={"samples": (10.0, 1000.0), "dimension": (2.0, 300.0)})
def _(samples, dimension, flips):
    slope = half_line(lambda z: z * float((1 - flips) - flips))
    across = samples - 1 - (samples - 1) * slope**2  # of the labels, E y² − E (u·y)²/‖u‖²
    return across / (samples - 1) * (dimension - 1) * inverse_chi_square(samples - dimension + 1)


def balanced(b, noise):
    """b' of labels sign(z + b), the noise of least squares given."""
    mean = normal_mean(lambda z: z**0, -b, 0, 1, 3, 14) - normal_mean(lambda z: z**0, -14, -3, -b)
    slope = normal_mean(lambda z: z, -b, 0, 1, 3, 14) - normal_mean(lambda z: z, -14, -3, -b)
    return mean / slope / mpmath.sqrt(1 + (1 - mean**2 - slope**2) / slope**2 * noise)


@route("class_balance_map", ranges={"imbalance": (0.05, 2.0), "generator_aspect": (0.02, 0.9)})
def _(imbalance, generator_aspect):
    return balanced(imbalance, least_squares_noise(generator_aspect))


SMALL = tuple({"generator_aspect": aspect} for aspect in (1e-5, 3e-5, 1e-4, 3e-4))


@route("class_balance_threshold", points=SMALL, tolerance=1e-3)  # the next order is about φ_0, relatively
def _(generator_aspect):
    noise = least_squares_noise(generator_aspect)
    start = mpmath.sqrt(generator_aspect)
    return mpmath.findroot(
        lambda b: balanced(b, noise) / b - 1, (0.6 * start, 1.4 * start), solver="anderson", tol=1e-20
    )


def selected(angle, right, wrong):
    """(share, A, b) of kept rows on sign labels, along the labeller and across it, z over a half line."""
    cot, right, wrong = float(mpmath.cot(angle)), float(right), float(wrong)

    def moment(z_power, across):
        def integrand(z):
            t = z * cot
            inside = (special.ndtr(t), normal(t), special.ndtr(t) - t * normal(t))[across]
            whole = (1, 0, 1)[across]
            return z**z_power * (right * inside + wrong * (whole - inside))

        return half_line(integrand)

    share = moment(0, 0)
    matrix = mpmath.matrix([[moment(2, 0), moment(1, 1)], [moment(1, 1), moment(0, 2)]]) / share
    return share, matrix, mpmath.matrix([moment(1, 0), moment(0, 1)]) / share


ANGLES = {"angle": (0.1, 2.5)}


@route("verified_share", ranges=ANGLES, count=3)
def _(angle, right, wrong):
    return selected(angle, right, wrong)[0]


@route("verified_angle", ranges=ANGLES, count=3)
def _(angle, right, wrong):
    _, matrix, b = selected(angle, right, wrong)
    learned = mpmath.lu_solve(matrix, b)
    return angle - mpmath.atan2(learned[1], learned[0])


def taught(angle, right, wrong):
    """Share, what rows teach in the coordinates of `selected`, its squared length and noise."""
    share, matrix, b = selected(angle, right, wrong)
    learned = mpmath.lu_solve(matrix, b)
    return share, learned, (learned.T * learned)[0], 1 - (b.T * learned)[0]


@route("verified_strength", ranges=ANGLES, count=3)
def _(angle, right, wrong):
    return taught(angle, right, wrong)[2]


@route("verified_noise", ranges=ANGLES, count=3)
def _(angle, right, wrong):
    return taught(angle, right, wrong)[3]


@route("verified_error", ranges=ANGLES | {"dimension": (10.0, 100.0), "samples": (300.0, 3000.0)}, count=3)
def _(samples, dimension, angle, right, wrong):
    share, learned, strength, noise = taught(angle, right, wrong)
    along = learned[0] * mpmath.cos(angle) + learned[1] * mpmath.sin(angle)
    spread = noise * dimension / (share * samples - dimension)
    return mpmath.atan2(mpmath.sqrt(strength + spread - along**2), along) / mpmath.pi


@route("independent_verifier_angle", ranges={"labeller_angle": (0.2, 1.2)}, count=3)
def _(labeller_angle):
    a = mpmath.cos(labeller_angle)

    def gained(angle):
        b = mpmath.cos(angle)
        between = mpmath.acos(a * b)
        _, learned, strength, _ = taught(between, mpf(1), mpf(0))
        along = learned[0] * a + learned[1] * (b - a * mpmath.cos(between)) / mpmath.sin(between)
        return along / mpmath.sqrt(strength) - a

    return mpmath.findroot(gained, (labeller_angle, 1.55), solver="anderson", tol=1e-20)


@route("verified_noise_ratio", ranges=ANGLES, count=3)
def _(angle):
    _, matrix, b = selected(angle, mpf(1), mpf(0))
    learned = mpmath.lu_solve(matrix, b)
    return (1 - (b.T * learned)[0]) / (learned.T * learned)[0]


KEPT = {"samples": (300.0, 3000.0), "dimension": (10.0, 100.0), "right": (0.5, 1.0), "wrong": (0.0, 0.45)}


@route("verified_chain_angle", ranges=KEPT)
def _(samples, dimension, right, wrong):
    added = ratio_of(half_line(lambda z: z)) * dimension / (right * samples - dimension)
    square = mpf(0)
    for _ in range(1000):
        square = (mpmath.sqrt(square) * (right + wrong) / (2 * right)) ** 2 + added
    return square


def _truncated(threshold):
    """The share of standard normal residuals below a threshold, and the slope of their mean in the centre."""

    def moment(centre, power):
        return mpmath.quad(lambda z: z**power * mpmath.npdf(z, centre), [-threshold, 0, threshold])

    with mpmath.workdps(15):
        return moment(0, 0), mpmath.diff(lambda centre: moment(centre, 1) / moment(centre, 0), 0)


@route("verified_regression_pull", count=3)
def _(threshold):
    return _truncated(threshold)[1]


@route("verified_regression_error", ranges={"threshold": (0.1, 4.0)}, count=3)
def _(samples, dimension, noise, threshold, offset_variance):
    share, slope = _truncated(threshold)
    distance, decay = slope * noise**2 * dimension / (share * samples - dimension - 1), slope**2
    for _ in range(40):  # 2, 4, 8, … generations
        distance, decay = distance * (1 + decay), decay**2
    return offset_variance + distance


@route("margin_noise_ratio")
def _(threshold):
    return own_margin(threshold)[1]


def own_margin(threshold):
    """Share kept below a margin, and the noise-to-signal ratio there."""
    cuts = [mpf(x) * threshold / 4 for x in range(5)]
    share, size, square = (normal_mean(lambda z, p=p: z**p, *cuts) for p in range(3))
    size, square = size / share, square / share
    slope = size / square
    return 2 * share, (1 - slope * size) / slope**2


MANY = {
    "points": tuple({"samples": T, "dimension": d} for T, d in ((1e5, 50), (3e5, 40), (2e5, 20))),
    "tolerance": 1e-3,
}


def best_margin(samples, dimension):
    def turned(log_t):
        share, ratio = own_margin(mpmath.exp(log_t))
        return float(ratio * dimension / (share * samples - dimension))

    low = float(mpmath.log(1.3 * dimension / samples))
    return minimize_scalar(turned, bounds=(low, low + 3), options={"xatol": 1e-7})


@route("best_margin", **MANY)
def _(samples, dimension):
    return mpmath.exp(best_margin(samples, dimension).x)


@route("best_margin_angle", **MANY)
def _(samples, dimension):
    return mpf(best_margin(samples, dimension).fun)
