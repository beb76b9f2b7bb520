"""Test functions of computer experiments: smooth truths in two to eight variables, nearly linear or not at all.

Each is a function of inputs (rows, d) between the bounds of `BOUNDS`. Formulas as collected by Surjanovic and Bingham,
Virtual Library of Simulation Experiments (Simon Fraser University, 2013).
"""

import numpy as np

__all__ = ["BOUNDS", "FUNCTIONS"]


def ishigami(a, b, c):
    r"""$\sin a + 7 \sin^2 b + 0.1\, c^4 \sin a$; Ishigami and Homma (1990)."""
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


def curved(a, b, c):
    r"""$4 (a - 2 + 8b - 8b^2)^2 + (3 - 4b)^2 + 16 \sqrt{c + 1}\, (2c - 1)^2$; Dette and Pepelyshev (2010)."""
    return 4 * (a - 2 + 8 * b - 8 * b**2) ** 2 + (3 - 4 * b) ** 2 + 16 * np.sqrt(c + 1) * (2 * c - 1) ** 2


def currin(a, b):
    r"""$(1 - e^{-1/2b}) (2300 a^3 + 1900 a^2 + 2092 a + 60) / (100 a^3 + 500 a^2 + 4a + 20)$; Currin et al. (1988)."""
    return -np.expm1(-0.5 / b) * np.polyval([2300, 1900, 2092, 60], a) / np.polyval([100, 500, 4, 20], a)


def circuit(b1, b2, f, c1, c2, gain):
    """Midpoint voltage of a push-pull circuit without an output transformer; Ben-Ari and Steinberg (2007)."""
    base, amplified = 12 * b2 / (b1 + b2), gain * (c2 + 9)
    whole = amplified + f
    return (base + 0.74) * amplified / whole + 11.35 * f / whole + 0.74 * f * amplified / (whole * c1)


def piston(mass, surface, volume, spring, pressure, ambient, filling):
    """Cycle time of a piston in a cylinder, s; Kenett and Zacks (1998)."""
    force = pressure * surface + 19.62 * mass - spring * volume / surface
    gas = pressure * volume * ambient / filling
    reached = surface / (2 * spring) * (np.sqrt(force**2 + 4 * spring * gas) - force)
    return 2 * np.pi * np.sqrt(mass / (spring + surface**2 * gas / reached**2))


def borehole(radius, reach, upper, upper_head, lower, lower_head, length, conductivity):
    """Flow of water through a borehole between two aquifers, m³ a year; Harper and Gupta (1983)."""
    ratio = np.log(reach / radius)
    slope = 2 * length * upper / (ratio * radius**2 * conductivity)
    return 2 * np.pi * upper * (upper_head - lower_head) / (ratio * (1 + slope + upper / lower))


FUNCTIONS = {one.__name__: one for one in (ishigami, curved, currin, circuit, piston, borehole)}
BOUNDS = {
    "ishigami": [(-np.pi, np.pi)] * 3,
    "curved": [(0, 1)] * 3,
    "currin": [(0, 1)] * 2,
    "circuit": [(50, 150), (25, 70), (0.5, 3), (1.2, 2.5), (0.25, 1.2), (50, 300)],
    "piston": [(30, 60), (0.005, 0.02), (0.002, 0.01), (1000, 5000), (9e4, 1.1e5), (290, 296), (340, 360)],
    "borehole": [(0.05, 0.15), (100, 5e4), (63070, 115600), (990, 1110), (63.1, 116), (700, 820), (1120, 1680),
                 (9855, 12045)],
}  # fmt: skip
