"""Routes of the power laws of classifiers: slopes of the error by A_n, products of cosines."""

import mpmath
import numpy as np
from formula_references import best, power_law, slope
from formula_route import route


def class_error(log_T, law, ell, a, b, f):
    """log of the 0-1 error of a ridge on labels of least-squares classifiers, by A_n."""
    h, log_phi = np.pi / 2 - 1, -f * log_T
    log_n = a * log_T
    log_lost = log_n + np.log(h) + log_phi - np.log1p(-np.exp(log_phi) / 2)  # log log A_n, at small h φ_0
    log_added = log_lost if log_lost < -30 else np.log(np.expm1(np.exp(log_lost)))
    bias, noise, collapse = law.terms(
        log_T, -ell * log_T, np.log(h) + np.exp(log_lost), (0.0, b * log_T, log_phi, log_added - log_phi)
    )
    tangent = np.logaddexp.reduce([bias, noise, collapse]) / 2
    return np.log(np.arctan(np.exp(tangent)) / np.pi) if tangent > -30 else tangent - np.log(np.pi)


PROVED = (  # capacity, source, ridge_exponent, a, b, f
    (1.5, 0.4, 0.3, 0.2, 0.9, 0.3),
    (2.0, 0.6, 0.5, 0.1, 1.4, 0.3),
    (2.0, 1.5, 0.1, 0.3, 0.8, 0.5),
    (1.4, 0.3, 0.9, 0.2, 1.5, 0.4),
    (1.5, 0.6, 0.9, 0.2, 0.9, 0.25),
)
NAMED = (
    "capacity",
    "source",
    "ridge_exponent",
    "generations_exponent",
    "generator_samples_exponent",
    "aspect_exponent",
)
LAWS = tuple(dict(zip(NAMED, row, strict=True)) for row in PROVED)


@route("class_error_exponent", tolerance=0.01, points=LAWS)
def _(capacity, source, ridge_exponent, **provenance):
    a, b, f = map(float, provenance.values())
    ell = float(ridge_exponent)
    return slope(
        lambda log_T: class_error(log_T, power_law(float(capacity), float(source), (b - f) * log_T), ell, a, b, f)
    )


@route(
    "class_rate",
    tolerance=0.01,
    points=tuple(
        dict(zip((*NAMED[:2], *NAMED[3:]), row, strict=True))
        for row in (
            (1.5, 0.4, 0.2, 0.9, 0.3),
            (2.0, 0.6, 0.1, 1.4, 0.2),
            (2.5, 1.5, 0.3, 0.8, 0.4),
            (1.8, 0.8, 0.1, 1.3, 0.3),
        )
    ),
)
def _(capacity, source, **provenance):
    a, b, f = map(float, provenance.values())
    beta, r = float(capacity), float(source)

    def log_best(log_T):
        law = power_law(beta, r, (b - f) * log_T)
        return best(lambda ell: class_error(log_T, law, ell, a, b, f), beta)[1]

    return -slope(log_best)


@route(
    "class_chain_error_early",
    tolerance=1e-3,
    points=tuple(
        {"samples": T, "dimension": d, "generator_aspect": phi, "generations": n, "noise_ratio": h}
        for T, d, phi, n, h in ((1e6, 30.0, 1e-5, 3, 0.6), (3e5, 50.0, 1e-4, 1, 1.2), (1e6, 400.0, 3e-5, 8, 0.3))
    ),
)
def _(samples, dimension, generator_aspect, generations, noise_ratio):
    """The angle of a product of cosines."""
    steps = [noise_ratio * generator_aspect / (1 - generator_aspect)] * int(generations)
    steps += [noise_ratio * dimension / (samples - dimension)]
    return mpmath.acos(mpmath.fprod(1 / mpmath.sqrt(1 + x) for x in steps)) / mpmath.pi
