"""What a route is, and what several routes share."""

from dataclasses import dataclass, field

import mpmath
import numpy as np
from formula_draws import seeded
from formula_references import MarchenkoPastur
from mpmath import mpf

from modelcollapse.theory import catalogue

DIGITS = 30
LOG10 = np.log(10)


@dataclass(frozen=True)
class Route:
    """`value(**arguments)`; points are drawn from the domain, narrowed by `ranges`, unless they are given."""

    value: object
    tolerance: float = 1e-10
    ranges: dict = field(default_factory=dict)
    points: tuple = ()
    unknown: str = ""
    count: int = 6

    def points_of(self, name, seed=0, count=None):
        """Where the route is taken: its stated points, or some of the domain."""
        return self.points or seeded(catalogue[name], seed, count or self.count, self.ranges)

    def at(self, name, seed=0, count=None):
        """Points and values: [(arguments, value)]."""
        return [solved(self, point) for point in self.points_of(name, seed, count)]


def solved(route, point):
    """(arguments, value) of a route; for an equation the arguments with its solution and the value 0."""
    given = {k: v for k, v in point.items() if k != route.unknown}
    with mpmath.workdps(DIGITS):
        numbers = {k: [mpf(float(x)) for x in v] if np.ndim(v) else mpf(float(v)) for k, v in given.items()}
        value = route.value(**numbers)
    return (given | {route.unknown: value}, mpf(0)) if route.unknown else (given, value)


ROUTES = {}


def route(*names, **options):
    """Register the decorated function as the route of some records."""

    def register(function):
        ROUTES.update({name: Route(function, **options) for name in names})
        return function

    return register


def dot(*arrays):
    """Σ_j of products."""
    return mpmath.fsum(mpmath.fprod(row) for row in zip(*arrays, strict=True))


DENSITY = {"effective_ridge": (0.1, 10.0), "aspect": (0.05, 5.0), "samples": (50.0, 5000.0)}
MODERATE = {"ridge": (1e-2, 10.0), "dimension": (10.0, 1000.0), "samples": (10.0, 1000.0)}


NEAR = {"generator_aspect": (0.02, 0.95)}


BEST = {
    "signal_energy": (0.5, 5.0),
    "noise": (0.3, 2.0),
    "samples": (100.0, 1000.0),
    "dimension": (100.0, 1000.0),
    "generator_noise": (0.1, 1.0),
}


def least_squares_noise(aspect):
    """φ E 1/x for φ < 1: the error of least squares per unit of noise."""
    return MarchenkoPastur(aspect).mean(lambda x: 1 / x) * float(aspect)


def price(fit, share, offset):
    variance = dot(fit.s, offset)
    return share**2 * fit.spread(offset) + share * (1 - share) * variance * fit.noise_gain()
