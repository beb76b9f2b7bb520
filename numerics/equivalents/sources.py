r"""One ridge fit on several sources that share their inputs: its deterministic equivalent is one scalar root.

Source g has T_g rows, weight ω_g and share p_g = T_g/T of all T rows; all inputs have eigenvalues s_j. The fit is
(Σ_g ω_g S_g + λ)^{-1} Σ_g ω_g X_gᵀ y_g / T, and its resolvent has the equivalent R = (λ + hΣ)^{-1} with

    h = Σ_g η_g,    η_g = p_g ω_g c_g,    c_g = 1/(1 + ω_g e),    e = tr(ΣR)/T .                            (1)

With κ = λ/h, R = Q/h with Q = (Σ + κ)^{-1}, q_g = η_g/h and y_g = 1 − c_g = ω_g e c_g, this says h e = df_1(κ)/T, and
as h e = Σ p_g y_g

    df_1(κ) = Σ_g T_g y_g,    κ h = λ .                                                                     (2)

Both sides of the first depend on e alone: one increasing function of v = log e has to vanish,

    F(v) = (Σ_{S} T_g − Σ_L μ) − Σ_{S} T_g c + Σ_{not S} T_g y + Σ_L μ κ/(s+κ) − Σ_{not L} μ s/(s+κ),       (3)

S = {y_g > 1/2}, L = {s_j > κ}, without cancellation whichever sources are interpolated (cf. `shares`). Its slope is

    N = ρ Σ μ s κ/(s+κ)² + (1 − ρ) df_1,    ρ = Σ q_g y_g = d log κ/dv,    1 − ρ = h Σ q_g²/(p_g ω_g),      (4)

and |F''| ≤ F' (the y_g are between 0 and 1, so ρ − ρ² ≥ Var_q y), so the root of `ridge_equation` serves. Equal
weights are one source of weight ω: there κ is its effective ridge at λ/ω and h = λ/κ. So are all weights for λ = 0 and
T ≤ d, where e = ∞, h = 0 and q_g = p_g: the weights drop out. λ = 0 and T > d has κ = 0 and h > 0.

**Gains.** With one covariance tr Σ_g Q Σ_h Q is df_2 for all pairs, H of `steps.fit` is diagonal plus rank one, and all
that is asked of its inverse is (Sherman and Morrison)

    Σ_g v_g = Σ_g (q_g²/p_g) ρ_g / (T − df_2 Σ_g q_g²/p_g),    T − df_2 Σ_g q_g²/p_g = T N/df_1 > 0 .       (5)

**Derivatives.** Differentiating (2), with E = Σ p_j dμ_j + Σ μ κ/(s+κ)² ds the change of df_1 at fixed κ,
C = Σ_g y_g dT_g + df_1 Σ_g q_g c_g d log ω_g, B = Σ_g q_g (d log p_g + c_g d log ω_g), W = Σ_g q_g²/(p_g ω_g) and
D = Σ μ s κ/(s+κ)²:

    N dκ   = df_1 W (dλ − λB) + ρκ (E − C),        N h dv = h (E − C + DB) − (D/κ) dλ,                      (6)
    dh     = hB − ρ h dv,       dq_g = q_g (d log p_g + c_g d log ω_g − B + (q_g/(p_g ω_g) − W) h dv).

All of it is regular at κ = 0 and at h = 0. Derived here; sources of different inputs are in `shifted_sources`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from modelcollapse.numerics.arrays import Array, differentiable, namespace, quiet
from modelcollapse.numerics.equivalents.ridge_equation import Balance, bracketed_root, extent, flat, ridge_balance
from modelcollapse.numerics.equivalents.shares import atom_sums, divide, in_range, shares

__all__ = ["RidgeEquivalent", "one_source", "projections", "rows_left", "shared_sources"]


class RidgeEquivalent(NamedTuple):
    """κ, the shares q, the scale h of the equivalent of a fit, and whether it converged."""

    kappa: Float[Array, " P"]
    shares: Float[Array, "G P"]
    scale: Float[Array, " P"]
    converged: Bool[Array, " P"]


def _given(rows, weights):
    """Rows, their sum T, shares p and weights of the sources that count; the others have p = 0 and weight 1."""
    xp = namespace(rows, weights)
    used = (rows > 0) & (weights > 0)
    rows = xp.where(used, rows, 0)
    samples = rows.sum(0)
    return rows, samples, rows / samples, xp.where(used, weights, 1), used


def _sources_rule(arguments, results, tangents):
    eigenvalues, multiplicity, rows, weights, ridge = arguments
    d_eigenvalues, d_multiplicity, d_rows, d_weights, d_ridge = tangents
    kappa, q, h, _ = results
    xp = namespace(*arguments, *tangents)
    _, samples, p, weight, used = _given(rows, weights)
    null = xp.isinf(kappa)
    kappa, ridge = xp.where(null, 1, kappa), xp.where(null, 1, ridge)
    eigenvalues, finite = in_range(eigenvalues), in_range(kappa)[:, None]
    fitted, lost = shares(eigenvalues, finite)
    per_kappa = divide(fitted, eigenvalues + finite, 0)
    df_1, spread, steep = atom_sums(multiplicity * fitted, multiplicity * fitted * lost, multiplicity * per_kappa)
    gathered = xp.sum(
        fitted * d_multiplicity + multiplicity * divide(lost, eigenvalues + finite, 0) * d_eigenvalues, -1
    )
    moved = xp.sum(lost * (eigenvalues * d_multiplicity + multiplicity * lost * d_eigenvalues), -1)  # κE

    gain = divide(q, p, 0)
    c, y = h * gain / weight, gain * (df_1 / samples)
    by_rows = xp.where(used, d_rows, 0)
    by_weights = xp.where(used, c * d_weights / weight, 0)
    own = divide(by_rows, p * samples, 0) - by_rows.sum(0) / samples + by_weights
    W, rho, B = (q * gain / weight).sum(0), (q * y).sum(0), (q * own).sum(0)
    C = (y * by_rows).sum(0) + df_1 * (q * by_weights).sum(0)
    slope = rho * spread + h * W * df_1  # (4)

    d_kappa = divide(df_1, slope, 1.0) * W * (d_ridge - ridge * B)  # (6)
    d_kappa = d_kappa + divide(rho * (moved - kappa * C), slope, 0.0)
    turn = divide(h * (gathered - C + spread * B) - steep * d_ridge, slope, 0.0)
    d_scale = h * B - rho * turn
    d_shares = q * (own - B + (gain / weight - W) * turn)
    return xp.where(null, d_ridge, d_kappa), xp.where(null, 0, d_shares), xp.where(null, 0, d_scale), None


@quiet()
@differentiable(_sources_rule)
def _fixed_point(eigenvalues, multiplicity, rows, weights, ridge):
    xp = namespace(eigenvalues, multiplicity, rows, weights, ridge)
    limits = np.finfo(ridge.dtype)
    eigenvalues, finite = in_range(eigenvalues), in_range(ridge)
    rows, samples, p, weight, used = _given(rows, weights)
    top = xp.max(xp.where(used, weight, 0), 0)
    bottom = xp.min(xp.where(used, weight, np.inf), 0)
    d, mean, smallest, _ = extent(eigenvalues, multiplicity)

    one = (top == bottom) | ((finite == 0) & (samples <= d))  # as one source
    vanishes, null = (finite == 0) & (samples >= d), ridge > limits.max / 16
    known = null | (d == 0) | (one & vanishes)
    at_top = finite / top
    low = xp.maximum(flat(smallest, d, samples, at_top), xp.maximum(at_top, 4 * limits.tiny))
    high = xp.maximum(flat(mean, d, samples, at_top), low)

    def balance(position):
        return ridge_balance(position, samples, at_top)

    if len(rows) == 1:
        position, converged, _ = bracketed_root(balance, eigenvalues, multiplicity, samples, low, high, known)
    else:
        low = xp.where(one, low, xp.maximum(_flat_trace(smallest, d, samples, finite, top), 4 * limits.tiny))
        high = xp.where(one, high, xp.maximum(_flat_trace(mean, d, samples, finite, bottom), low))

        def either(position):
            several = _balance(position, rows, p, weight, finite)
            return Balance(*(xp.where(one, x, y) for x, y in zip(balance(position), several, strict=True)))

        position, converged, _ = bracketed_root(either, eigenvalues, multiplicity, samples, low, high, known)
    e = xp.where(d == 0, 0, xp.where(one, 1, position))
    pull = p * weight / (1 + weight * e)
    single = xp.where(vanishes, top * (xp.maximum(samples - d, 0) / samples), finite / position)
    h = xp.where(one, single, pull.sum(0))
    h = xp.where(d == 0, (p * weight).sum(0), h)
    kappa = xp.where(one & (d > 0), position, finite / h)
    kappa = xp.where(null, np.inf, xp.where(vanishes, 0, kappa))
    return kappa, xp.where(one | null, p, pull / pull.sum(0)), xp.where(null, 1, h), converged


def _flat_trace(eigenvalue, dimension, samples, ridge, weight):
    """e of one source with d equal eigenvalues: a bound, as e grows with eigenvalues and falls with weights."""
    xp = namespace(eigenvalue, dimension, samples, ridge, weight)
    kappa = flat(eigenvalue, dimension, samples, ridge / weight)
    h = xp.where(kappa > 0, ridge / xp.where(kappa > 0, kappa, 1), weight * ((samples - dimension) / samples))
    return divide(dimension * eigenvalue, samples * (ridge + h * eigenvalue), 0)


def _balance(e, rows, p, weight, ridge):
    """The Balance of (3) at e."""
    xp = namespace(e, rows, p, weight, ridge)
    c = 1 / (1 + weight * e)
    y = weight * e * c
    eta = p * weight * c
    h = eta.sum(0)
    q, both = eta / h, rows * y * c
    rho = (q * y).sum(0)
    mostly = y > 0.5
    return Balance(
        ridge / h,
        rho,
        (q * y * c).sum(0) - (q * (y - rho) ** 2).sum(0),
        xp.where(mostly, rows, 0).sum(0),
        xp.where(mostly, -rows * c, rows * y).sum(0),
        both.sum(0),
        (both * (c - y)).sum(0),
    )


def shared_sources(
    eigenvalues: Float[Array, "#P A"],
    multiplicity: Float[Array, "#P A"],
    rows: Float[Array, "G P"],
    weights: Float[Array, "G P"],
    ridge: Float[Array, " P"],
) -> RidgeEquivalent:
    """κ, q and h of a fit on G sources of the same inputs, at the ridge λ ≥ 0 relative to the T rows that count.

    Sources without rows or weight are dropped (q_g = 0). Derivatives of every order are exact; zero stands where one is
    infinite (λ = 0, T = d).

    >>> s, one = np.array([[1.0, 0.5, 0.1]]), np.ones((1, 3))
    >>> rows, weights, ridge = np.array([[3.0], [4.0]]), np.array([[1.0], [0.2]]), np.array([0.1])
    >>> kappa, q, h, _ = shared_sources(s, one, rows, weights, ridge)
    >>> e = (s / (kappa + s)).sum() / h / 7
    >>> bool(np.isclose((rows / 7 * weights / (1 + weights * e)).sum(), h, rtol=1e-14).all())
    True
    """
    return RidgeEquivalent(*_fixed_point(eigenvalues, multiplicity, rows, weights, ridge))


def one_source(eigenvalues, multiplicity, samples, weight, ridge):
    """κ of a fit on one source, the effective ridge at λ/ω: eigenvalues and multiplicity (P or 1, A), the rest (P,)."""
    return shared_sources(eigenvalues, multiplicity, samples[None], weight[None], ridge)


@quiet()
def rows_left(eigenvalues, multiplicity, rows, weights, equivalent):
    """The denominator T − df_2 Σ q²/p of (5) and the factors q_g²/p_g, (P,) and (G, P); T where nothing is fitted."""
    xp = namespace(eigenvalues, multiplicity, rows, weights, *equivalent)
    _, samples, p, weight, _ = _given(rows, weights)
    kappa, q, h, _ = equivalent
    null = xp.isinf(kappa)
    fitted, lost = shares(in_range(eigenvalues), in_range(xp.where(null, 1, kappa))[:, None])
    df_1, df_2, spread = atom_sums(multiplicity * fitted, multiplicity * fitted**2, multiplicity * fitted * lost)
    factors = q * divide(q, p, 0)
    left = spread + xp.where(null, 0, h) * (factors / weight).sum(0) * df_2
    return samples * divide(left, df_1, 1.0), factors


def projections(inputs, mixed, shares, kappa):
    """π_g = q_g s_g Q, (G, P, A), and κQ = 1 − Σ_g π_g, (P, A), without a division by zero.

    inputs: (G or 1, P or 1, A), eigenvalues of the sources; mixed: (P, A), Σ_g q_g s_g; shares: (G, P); kappa: (P,).
    """
    xp = namespace(inputs, mixed, shares, kappa)
    infinite = xp.isinf(kappa)[:, None]
    finite = xp.where(infinite, 1, kappa[:, None])
    total = finite + mixed
    dead = infinite | (total == 0)
    safe = xp.where(dead, 1, total)
    return xp.where(dead, 0, shares[:, :, None] * inputs / safe), xp.where(dead, 1, finite / safe)
