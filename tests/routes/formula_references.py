"""The independent mathematics behind the routes: none of it uses the closed forms of the catalogue.

- `resolvent` and `Fit`: only first-order equivalents of random resolvents, solved as coupled fixed points. Test errors
  are quadratic in the resolvent and come from numerical derivatives of the first order (in a perturbation t of S).
- `MarchenkoPastur`: integrals over the spectral density of isotropic data.
- moments of beta and chi-square laws by quadrature; moment recursions; transition matrices of the resampling chains.
- `power_law`: sums over s_j = j^-beta by the logarithm, for T up to 1e80.
"""

import functools

import mpmath
import numpy as np
from mpmath import mpf
from scipy.optimize import minimize_scalar
from scipy.stats import binom


def resolvent(ridge, samples, eigenvalues, copies, features=mpmath.inf, shift=0, start=None):
    """(η, η') with η + shift the weight of Σ: random features B (E B = 1, m rows) and S from T samples."""

    def gap(eta, eta_features):
        weight = eta + shift
        shares = [eta_features * weight * s / (eta_features * weight * s + ridge) for s in eigenvalues]
        e = mpmath.fsum(n * share for n, share in zip(copies, shares, strict=True)) / (weight * samples)
        kept = [1 / (eta_features + ridge / (weight * s)) for s in eigenvalues]
        e_features = mpmath.fsum(n * k for n, k in zip(copies, kept, strict=True)) / features
        return eta * (1 + e) - 1, eta_features * (1 + e_features) - 1

    if mpmath.isinf(features):
        return mpmath.findroot(lambda eta: gap(eta, mpf(1))[0], start[0]), mpf(1)
    return tuple(mpmath.findroot(gap, start))


class Fit:
    """One fit on T samples with effective ridge κ: what it does, from first-order equivalents only."""

    def __init__(self, kappa, samples, eigenvalues, copies=None, features=mpmath.inf):
        self.s = [mpf(s) for s in eigenvalues]
        self.copies = copies or [mpf(1)] * len(self.s)
        self.samples, self.features = mpf(samples), mpf(features)
        df = mpmath.fsum(n * s / (s + kappa) for n, s in zip(self.copies, self.s, strict=True))
        self.start = (1 - df / self.samples, 1 - df / self.features)
        self.ridge = kappa * self.start[0] * self.start[1]

    def _solve(self, ridge=None, shift=0):
        ridge = self.ridge if ridge is None else ridge
        return resolvent(ridge, self.samples, self.s, self.copies, self.features, shift, self.start)

    def kappa(self, ridge):
        """κ at another ridge."""
        eta, eta_features = self._solve(ridge)
        return ridge / (eta * eta_features)

    def kept(self):
        """κ/(s+κ): the share of each direction that the mean predictor misses."""
        eta, eta_features = self._solve()
        return [self.ridge / (self.ridge + eta * eta_features * s) for s in self.s]

    def missed(self, energy):
        """E|w - E[ŵ|w]|² under Σ over the data, noise-free labels of energy per direction."""

        def form(shift):
            eta, eta_features = self._solve(shift=shift)
            weight = eta + shift
            return mpmath.fsum(
                c / (eta_features / self.ridge + 1 / (weight * s)) for c, s in zip(energy, self.s, strict=True)
            )

        return mpmath.diff(form, 0)

    def noise_gain(self):
        """The error per unit of label noise variance: d(λe)/dλ."""
        return mpmath.diff(lambda ridge: ridge * (1 / self._solve(ridge)[0] - 1), self.ridge)

    def spread(self, energy):
        """E|ŵ|² under Σ for noise-free labels of that energy and mean zero against the truth."""
        return mpmath.fsum(
            s * c * (1 - 2 * k) for s, c, k in zip(self.s, energy, self.kept(), strict=True)
        ) + self.missed(energy)

    def error(self, energy, aligned, signal, variance):
        """Test error on labels with second moment `energy`, E w w_0 = `aligned`, and noise variance."""
        rest = zip(self.s, energy, aligned, signal, self.kept(), strict=True)
        return (
            self.missed(energy)
            + variance * self.noise_gain()
            + mpmath.fsum(s * (c - 2 * a + t) - 2 * s * k * (c - a) for s, c, a, t, k in rest)
        )


class MarchenkoPastur:
    """Expectations over the spectrum of S, isotropic, φ = d/T: (2/π)∫ sin²θ f(x)/x dθ and the zeros for φ > 1."""

    def __init__(self, aspect):
        self.aspect = float(aspect)

    def mean(self, f, zero=0.0):
        """E f(x) per direction; `zero` is f(0)."""
        nodes, last = 256, np.inf
        while nodes <= 2**22:
            theta = (np.arange(nodes) + 0.5) * np.pi / nodes
            x = (1 - np.sqrt(self.aspect)) ** 2 + 4 * np.sqrt(self.aspect) * np.cos(theta / 2) ** 2
            value = 2 / nodes * np.sum(np.sin(theta) ** 2 * f(x) / x)
            if abs(value - last) <= 1e-13 * abs(value):
                break
            nodes, last = 2 * nodes, value
        return value + max(0.0, 1 - 1 / self.aspect) * zero

    def kappa(self, ridge):
        """κ from the mean of 1/(x+λ)."""
        ridge = float(ridge)
        m = self.mean(lambda x: ridge / (x + ridge), 1.0)
        return m / (1 - m)

    def ridge(self, kappa):
        """λ = κη, η = 1/(1+e) with e = φ η^{-1}/(1+κ)."""
        return float(kappa * (1 - mpf(self.aspect) / (1 + mpf(kappa))))

    def fitted(self, ridge):
        """(E x/(x+λ), E x²/(x+λ)², φ E x/(x+λ)²): mean kept, second moment kept, noise gain."""
        ridge = float(ridge)
        return (
            self.mean(lambda x: x / (x + ridge)),
            self.mean(lambda x: (x / (x + ridge)) ** 2),
            self.aspect * self.mean(lambda x: x / (x + ridge) ** 2),
        )


def inverse_chi_square(degrees):
    """E 1/χ²_m by quadrature."""
    return mpf(chi_square_mean(degrees, power=-1) / float(degrees))


def chi_square_mean(degrees, power=0, f=np.ones_like):
    """E (χ²_m/m)^power f(log χ²_m/m) by quadrature over s = log χ²_m/m.

    Equal steps are exact to rounding for a law that falls like this, and its norm is the sum for f = 1.
    """
    m = float(degrees)
    width = 1 / np.sqrt(m)
    s = np.arange(-160 / (m + min(2 * power, 0)) - 16 * width, min(16 * width, 8), min(width / 3, 0.2))
    log_weight = m / 2 * (s - np.expm1(s))
    return np.sum(f(s) * np.exp(log_weight + power * s)) / np.sum(np.exp(log_weight))


def projected(rank, dimension):
    """E |P e|² of a uniform projection: the mean of Beta(rank/2, (d-rank)/2), by quadrature in log x/(1-x)."""
    a, b = float(rank) / 2, float(dimension - rank) / 2
    width = np.sqrt(1 / a + 1 / b)
    s = np.arange(-60 / a - 12 * width, 60 / b + 12 * width, min(width / 4, 0.3))  # from the peak, a/(a+b)
    share = a / (a + b)
    total = np.logaddexp(np.log(share) + s, np.log(1 - share))
    log_x = np.log(share) + s - total
    weight = np.exp(a * (s - total) - b * total)
    return mpf(np.sum(np.exp(log_x) * weight) / np.sum(weight))


def wright_fisher(draws, frequency, steps, real=0.0, accumulate=False):
    """Mean diversity of two categories after some generations, by transition matrices."""
    if accumulate:
        law = binom.pmf(np.arange(draws + 1), draws, frequency)
        for _ in range(steps - 1):
            total, new = len(law) - 1, np.zeros(len(law) + draws)
            for count, chance in enumerate(law):
                new[count : count + draws + 1] += chance * binom.pmf(np.arange(draws + 1), draws, count / total)
            law = new
        states = np.arange(len(law)) / (len(law) - 1)
        return float(law @ (2 * states * (1 - states)))
    states = np.arange(draws + 1) / draws
    law = binom.pmf(np.arange(draws + 1), draws, frequency)
    step = np.array([binom.pmf(np.arange(draws + 1), draws, real * frequency + (1 - real) * x) for x in states])
    law = law @ np.linalg.matrix_power(step, steps - 1)
    return float(law @ (2 * states * (1 - states)))


def log_sum(logs):
    """log Σ e^x: what SciPy's does besides, for signs and infinities, takes several times as long."""
    top = logs.max()
    return top + np.log(np.exp(logs - top).sum())


class power_law:
    """Logarithms of the sums over s_j = j^-β, s_j w_0j² = j^-(1+2rβ) at log κ, up to j = e^{log_dim}."""

    def __init__(self, beta, r, log_dim=np.inf):
        self.beta, self.r, self.log_dim = beta, r, log_dim

    @functools.lru_cache(maxsize=4096)  # noqa: B019
    def sums(self, log_kappa):
        """log of: bias, df_2, κ² Σ (s+κ)^-2 (with d finite)."""
        end = self.log_dim if np.isfinite(self.log_dim) else max(-log_kappa / self.beta, 10) + 60
        head = np.log(np.arange(1, 65))
        steps = np.linspace(np.log(64.5), max(end, np.log(65)), 3000)
        u = np.concatenate([head, (steps[1:] + steps[:-1]) / 2])
        weight = np.concatenate([np.zeros(64), (steps[1:] + steps[:-1]) / 2 + np.log(steps[1] - steps[0])])
        unresolved = log_kappa + self.beta * u
        log_one_plus = np.logaddexp(0, unresolved)
        bias = log_sum(weight + (-1 - 2 * self.r * self.beta) * u + 2 * (unresolved - log_one_plus))
        df_2 = log_sum(weight - 2 * log_one_plus)
        rest = log_sum(weight + 2 * (unresolved - log_one_plus)) if np.isfinite(self.log_dim) else np.inf
        return bias, df_2, rest

    def terms(self, log_T, log_kappa, log_noise=0.0, generators=None):
        """log of bias, noise and nΔ; generators = (log n, log T_0, log φ_0, log σ_0²)."""
        bias, df_2, rest = self.sums(log_kappa)
        used = np.log1p(-min(np.exp(df_2 - log_T), 1 - 1e-12))
        out = [bias - used, log_noise + df_2 - log_T - used]
        if generators:
            log_n, log_T0, log_phi0, log_noise0 = generators
            scale = log_n + log_noise0 - log_T0 - np.log1p(-0.5 * np.exp(log_phi0))
            out.append(scale + df_2 + np.logaddexp(0, rest - log_T - used))
        return np.array(out)


def slope(f, low=40.0, high=80.0):
    """d f/d log T between T = 10^low and 10^high."""
    low, high = low * np.log(10), high * np.log(10)
    return (f(high) - f(low)) / (high - low)


def best(log_error, beta):
    """(ℓ, log error) at the minimum over 0 ≤ ℓ ≤ β of a function of ℓ."""
    grid = np.linspace(0, beta, 41)
    i = int(np.argmin([log_error(x) for x in grid]))
    found = minimize_scalar(
        log_error, bounds=(grid[max(i - 1, 0)], grid[min(i + 1, 40)]), method="bounded", options={"xatol": 1e-5}
    )
    return found.x, found.fun
