"""What a competent user would write in SciPy for one question at a time: no package, no compiler, one point.

s are the eigenvalues of the inputs, θ the signal energies; a model is its mean m (in multiples of w0) and its second
moments c per direction. One fit moves them by the generation map

    κ − λ = κ df_1(κ)/T,   p = s/(s + κ),   m ← p m,   c ← p² c + v s/(s + κ)²,
    v = (κ² Σ c s/(s + κ)² + σ²)/(T − df_2),

and the several-source theorem gives a mix of rows of two authors on the same inputs.
"""

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar


def power_law(dim=200, beta=1.5, r=0.5):
    """Eigenvalues j^-β and signal energies of a power law of capacity β and source r."""
    j = np.arange(1.0, dim + 1)
    return j**-beta, j ** (beta - 1 - 2 * r * beta)


def kappa(s, T, ridge):
    """The effective ridge."""
    if ridge == 0 and len(s) <= T:
        return 0.0
    low, high = max(ridge, 1e-300), ridge + s.sum() / T
    return brentq(lambda k: k - ridge - k * np.sum(s / (s + k)) / T, low, high, rtol=1e-13)


def fit(s, model, T, ridge, noise):
    """Moments after one fit on labels of a model."""
    (m, c), k = model, kappa(s, T, ridge)
    p = s / (s + k)
    v = (k**2 * np.sum(c * s / (s + k) ** 2) + noise**2) / (T - np.sum(p**2))
    return p * m, p**2 * c + v * s / (s + k) ** 2


def error(s, theta, model):
    """The test error of a model."""
    m, c = model
    return np.sum(s * (c - 2 * m * theta + theta))


def mix(s, theta, teacher, real, synthetic, ridge, noise, weight=1.0):
    """The test error of a fit on real rows and weighted rows that a teacher labelled, all with the same inputs."""
    T = real + synthetic
    share, omega = np.array([real, synthetic]) / T, np.array([1.0, weight])
    eta = lambda e: share * omega / (1 + omega * e)  # noqa: E731
    e = brentq(lambda e: np.sum(s / (ridge + eta(e).sum() * s)) / T - e, 0, s.sum() / ridge / T, rtol=1e-13)
    R, eta = 1 / (ridge + eta(e).sum() * s), eta(e)
    a = R * s * eta[:, None]  # w̄ = a_0 w0 + a_1 w_1
    m, c = teacher
    second = lambda x, y: x**2 * theta + 2 * x * y * m * theta + y**2 * c  # noqa: E731, E‖x w0 + y w_1‖² by direction
    missed = second(a[0] - 1, a[1])
    risks = np.array([missed @ s, second(a[0], a[1] - 1) @ s]) + noise**2
    gain = np.where(share > 0, eta**2 / np.where(share > 0, share, 1), 0)
    D, M = np.diag(gain), np.full((2, 2), np.sum((s * R) ** 2) / T)
    u = np.linalg.solve(np.eye(2) - D @ M, D @ M[:, 0])
    return missed @ s + u @ risks


def best_ridge(function, low=1e-8, high=1e2):
    """The ridge with the lowest error: a grid, then a bounded search."""
    grid = np.linspace(np.log(low), np.log(high), 41)
    errors = [function(np.exp(x)) for x in grid]
    k = int(np.clip(np.argmin(errors), 1, len(grid) - 2))
    found = minimize_scalar(
        lambda x: function(np.exp(x)), bounds=(grid[k - 1], grid[k + 1]), method="bounded", options={"xatol": 1e-9}
    )
    return np.exp(found.x), found.fun


def best_two(function, low, high):
    """The lowest of four bounded descents over the logarithms of two numbers."""
    low, high = np.log(low), np.log(high)
    starts = low + (high - low) * np.array([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]])
    bounds = list(zip(low, high, strict=True))
    found = [minimize(lambda x: function(*np.exp(x)), start, bounds=bounds, method="L-BFGS-B") for start in starts]
    best = min(found, key=lambda result: result.fun)
    return np.exp(best.x), best.fun


def flow(s, theta, T, noise, times, nodes=400):
    """Test errors along gradient flow on clean labels, by the two-point equivalent on a circle around the spectrum."""
    top = s[0] * (1 + np.sqrt(s.sum() / s[0] / T)) ** 2
    left = -min(0.3 * s[0], 2 / np.max(times))
    centre, radius = (top * 1.05 + left) / 2, (top * 1.05 - left) / 2
    angle = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
    x = centre + radius * np.exp(1j * angle)
    weights = radius * np.exp(1j * angle) / nodes  # dx / 2πi
    z = -x
    k = z + s.sum() / T
    for _ in range(200):  # Newton on κ − z = κ df_1(κ)/T
        share = s / (s + k[:, None])
        value, slope = k - z - k * share.sum(1) / T, 1 - np.sum(share**2, 1) / T
        k = k - value / slope
    R, eta = (k / z)[:, None] / (s + k[:, None]), z / k
    pairs = (R * (s * theta)) @ R.T / (1 - np.outer(eta, eta) * ((R * s**2) @ R.T) / T)
    errors = []
    for t in times:
        q = -weights * np.exp(-t * x)
        N = -((weights * (1 - np.exp(-t * x)) ** 2 / x) @ R)
        errors.append((q @ pairs @ q).real + noise**2 / T * np.sum(s * N).real)
    return np.array(errors)
