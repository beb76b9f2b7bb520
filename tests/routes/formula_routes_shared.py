"""Routes of fits that share their rows: matrix-valued first-order equivalents, derivatives in the ridges."""

import mpmath
from formula_references import Fit
from formula_route import route


class Pair:
    """Two fits on one T × d design at ridges a and b, from the first order of a resolvent with 2 × 2 entries.

    The corner of (S⊗1 + diag(a, b) − Σ⊗N)^{-1}, N nilpotent, is R_a Σ R_b, and its equivalent solves the equation of
    `formula_references.resolvent` for an upper triangular η, whose corner enters linearly.
    """

    def __init__(self, effective_ridge, samples, eigenvalues):
        self.fit = Fit(effective_ridge, samples, eigenvalues)

    def eta(self, ridge):
        return ridge / self.fit.kappa(ridge)

    def bias(self, a, b, energy):
        """a b w0ᵀ E[R_a Σ R_b] w0."""
        eta_a, eta_b = self.eta(a), self.eta(b)

        def inverse(corner):
            """The corner of (Σ⊗(η − N) + diag(a, b))^{-1}, direction by direction."""
            return [-s * (corner - 1) / ((s * eta_a + a) * (s * eta_b + b)) for s in self.fit.s]

        def gap(corner):
            e = mpmath.fsum(s * x for s, x in zip(self.fit.s, inverse(corner), strict=True)) / self.fit.samples
            return corner + eta_a * e * eta_b  # of η = (1 + e)^{-1}

        corner = gap(0) / (gap(0) - gap(1))
        return a * b * mpmath.fsum(t * x for t, x in zip(energy, inverse(corner), strict=True))

    def noise(self, a, b):
        """The error per unit of label noise: x/((x+a)(x+b)) = (a/(x+a) − b/(x+b))/(a − b)."""
        return (self.fit.kappa(a) - self.fit.kappa(b)) / (a - b) - 1

    def parts(self, energy, variance):
        """E, λ∂C/∂λ and λ²∂²C/∂λ∂λ'; what the noise adds are the derivatives of divided differences of κ."""
        ridge, kappa = self.fit.ridge, self.fit.kappa
        rises = [mpmath.diff(kappa, ridge, n) * ridge ** (n - 1) / mpmath.factorial(n) for n in (1, 2, 3)]

        def bias(u, v):
            return self.bias(ridge * mpmath.exp(u), ridge * mpmath.exp(v), energy)

        return (
            bias(0, 0) + variance * (rises[0] - 1),
            mpmath.diff(bias, (0, 0), (1, 0)) + variance * rises[1],
            mpmath.diff(bias, (0, 0), (1, 1)) + variance * rises[2],
        )


NEAR = {"effective_ridge": (0.05, 5.0), "samples": (5.0, 100.0)}


@route("cross_risk", ranges=NEAR | {"second_effective_ridge": (0.02, 3.0)})
def _(effective_ridge, second_effective_ridge, samples, noise, eigenvalues, signal):
    pair = Pair(effective_ridge, samples, eigenvalues)
    a, b = pair.fit.ridge, Fit(second_effective_ridge, samples, eigenvalues).ridge
    return pair.bias(a, b, signal) + noise**2 * pair.noise(a, b)


@route("self_distillation_weight", ranges=NEAR)
def _(effective_ridge, samples, noise, eigenvalues, signal):
    _, slope, curve = Pair(effective_ridge, samples, eigenvalues).parts(signal, noise**2)
    return -slope / curve


@route("self_distillation_error", ranges=NEAR)
def _(effective_ridge, samples, noise, eigenvalues, signal):
    error, slope, curve = Pair(effective_ridge, samples, eigenvalues).parts(signal, noise**2)
    return error - slope**2 / curve


@route("one_design_mixing", ranges=NEAR | {"second_effective_ridge": (0.02, 3.0), "real_share": (0.05, 1.0)})
def _(effective_ridge, second_effective_ridge, samples, real_share, noise, eigenvalues, signal):
    pair = Pair(effective_ridge, samples, eigenvalues)
    gain = pair.noise(pair.fit.ridge, Fit(second_effective_ridge, samples, eigenvalues).ridge)
    rounds = mpmath.nsum(lambda i: (1 - real_share) ** (2 * i), [0, mpmath.inf])
    return pair.fit.missed(signal) + noise**2 * (real_share**2 + (1 - real_share) ** 2) * rounds * gain
