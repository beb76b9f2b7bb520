r"""One generation whose fit is a spectral filter: how training that is stopped moves the moments of the predictors.

ŵ = g(S)(S w + Xᵀε/T) on labels of w with noise σ keeps 1 − r(S) of w and adds g(S)Xᵀε/T. With E w_j and E w_j² as in
`steps`, the nodes x_a, weights W_a and complex roots κ_a of `contour`, Q_a = (Σ + κ_a)^{-1} and sums over both halves
of the contour, let

    c_a = W_a r(x_a) κ_a/x_a,         r̄_j = Σ_a c_a Q_{a,j},
    u_ab = (Σ_j s_j E w_j² Q_{a,j} Q_{b,j} / T) / (1 − D_ab),      D_ab = Σ_j s_j² Q_{a,j} Q_{b,j} / T,
    U_j = Σ_ab c_a c_b u_ab Q_{a,j} Q_{b,j},
    N_j = −Σ_a W_a ((1−r(x_a))² − 1)/x_a · s_j Q_{a,j} Q_{0,j} / (1 − D_{a0}),      Q_0 = (Σ + κ_0)^{-1},  κ_0 = κ(0).

Then

    E w_j ← (1 − r̄_j) E w_j,        E w_j² ← (1 − r̄_j)² E w_j² + s_j U_j + (σ²/T) N_j .

Derived here from the two-point equivalent E R(z) B R(z') ≃ R̄(B + uΣ)R̄' (as in Velikanov, Panov and Yarotsky 2023); for
r = λ/(x + λ) it is the generation map of `steps`. Two rearrangements keep the digits: with
R̄ = (κ/z)Q the two-point factor 1 − ηη'tr(ΣR̄ΣR̄')/T is 1 − D_ab, formed as T − df_1 is in `functionals`; and in N
the pole of R̄ at x = 0 (T < d), which (1 − r)²/x integrates to nothing, is taken out:
(κQ − κ_0Q_0)/z = sQQ_0/(1 − D_{a0}). So long training is as accurate as short, on both sides of T = d.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from modelcollapse.numerics.contour import complex_ridge, contour, quadrature_error
from modelcollapse.numerics.functionals import shares
from modelcollapse.numerics.ridge_equation import solve
from modelcollapse.numerics.steps import Moments

__all__ = ["Equivalent", "Filtered", "equivalent", "filtered", "filtered_step", "tolerance_of"]

TOLERANCE = 1e-9


class Equivalent(NamedTuple):
    """What a contour needs of a spectrum, whatever the filter: κ/x (n,), Q (n, A), sQQ_0/(1 − D_{a0}) (n, A), 1 − D for
    pairs of nodes and for nodes with conjugates (2, n, n), convergence ()."""

    ratio: jax.Array
    resolvent: jax.Array
    noise: jax.Array
    left: jax.Array
    converged: jax.Array


class Filtered(NamedTuple):
    """What a filter does to direction j, each (A,): 1 − r̄, r̄, and the variance s U + (σ²/T) N that it adds."""

    learned: jax.Array
    null: jax.Array
    variance: jax.Array


def equivalent(eigenvalues, multiplicity, samples, nodes):
    """The equivalent of the resolvent on a contour: eigenvalues, multiplicity (A,), samples (), nodes (n,)."""
    kappa, converged = complex_ridge(eigenvalues, multiplicity, samples, -nodes)
    floor, fine = solve(eigenvalues[None], multiplicity[None], samples[None], jnp.zeros_like(samples)[None])
    resolvent = 1 / (eigenvalues + kappa[:, None])
    learned, null = eigenvalues * resolvent, kappa[:, None] * resolvent
    learned_0, null_0 = shares(eigenvalues, floor[0])
    large = eigenvalues > jnp.max(jnp.abs(kappa))
    whole = jnp.sum(jnp.where(large, multiplicity, 0))
    kept = jnp.where(large, null, learned)
    kept_0 = jnp.where(large, null_0, learned_0)
    alone = jnp.sum(jnp.where(large, multiplicity * null, 0), -1)
    alone_0 = jnp.sum(jnp.where(large, multiplicity * null_0, 0))
    weighted = -multiplicity * kept

    def left(mirror):
        return ((samples - whole) + alone[:, None] + mirror(alone) + weighted @ mirror(kept).T) / samples

    base = ((samples - whole) + alone + alone_0 + weighted @ kept_0) / samples
    pairs = jnp.stack([left(lambda x: x), left(jnp.conj)])
    return Equivalent(kappa / nodes, resolvent, resolvent * learned_0 / base[:, None], pairs,
                      jnp.all(converged) & fine[0])


def filtered(here, path, eigenvalues, energy, samples, doubt):
    """What the filter on a contour does to labels with E w_j² = energy (A,), counting multiplicity.

    here: Equivalent; path: Contour; eigenvalues (A,); samples, noise variance `doubt` (). The added
    variance is per direction.
    """
    coefficient = path.weights * path.residual * here.ratio
    terms = coefficient[:, None] * here.resolvent
    null = 2 * jnp.sum(terms, 0).real
    weighted = here.resolvent * (eigenvalues * energy)
    pulled = sum(
        jnp.sum(terms * ((weighted @ mirror(here.resolvent).T / samples / left) @ mirror(terms)), 0)
        for mirror, left in zip((lambda x: x, jnp.conj), here.left, strict=True)
    )
    rest = path.residual * (path.residual - 2) * path.weights / path.nodes
    gained = -2 * (rest @ here.noise).real
    variance = 2 * eigenvalues * pulled.real + doubt / samples * gained
    return Filtered(1 - null, null, jnp.maximum(variance, 0))


def filtered_step(kind, atoms, inputs, samples, doubt, parameters, start):
    """One generation map of a filter, a fit on one source.

    Parameters
    ----------
    kind : str (static)
        One of the kinds of `theory.filters`.
    atoms : Atoms
    inputs : (P or 1, A), eigenvalues of the inputs
    samples, doubt : (P,), rows and variance of the label noise
    parameters : tuple of (P,), the filter's numbers
    start : Moments (P, A) of the label model

    Returns
    -------
    Moments, the projection 1 − r̄ (P, A) by which covariances with other predictors follow, converged (P,): κ was
    found on every node, and the quadrature is accurate to TOLERANCE. Training too short to move anything (t s_1
    below the dtype's resolution) is the null model; labels of infinite variance give infinite variance. Points are
    worked on one after the other: memory is that of one.
    """
    points, size = start.ratio.shape
    rows = [jnp.broadcast_to(x, (points, size)) for x in (inputs, atoms.signal, atoms.multiplicity, atoms.scale)]

    def one(lane):
        (s, signal, multiplicity, scale), samples, doubt, parameters, start = lane
        path, fine, idle = _safe_contour(kind, parameters, s, multiplicity, samples)
        here = equivalent(s, multiplicity, samples, path.nodes)
        endless = jnp.any(jnp.isinf(start.variance) & (s > 0))
        known = jnp.where(jnp.isinf(start.variance), 0, start.variance)
        spread = jnp.where(scale > 0, multiplicity / jnp.where(scale > 0, scale, 1), 0) * known
        out = filtered(here, path, s, start.ratio**2 * signal + spread, samples, doubt)
        learned, null = jnp.where(idle, 0, out.learned), jnp.where(idle, 1, out.null)
        variance = learned**2 * known + jnp.where(idle, 0, scale * out.variance)
        variance = jnp.where(endless & (s > 0) & ~idle, jnp.inf, variance)
        moments = Moments(learned * start.ratio, start.deficit + null * start.ratio, variance)
        return moments, learned, idle | (fine & here.converged)

    return jax.lax.map(one, (tuple(rows), samples, doubt, tuple(parameters), start))


def _safe_contour(kind, parameters, eigenvalues, multiplicity, samples):
    """The contour of a filter, whether it is accurate, and whether the filter does nothing (any contour will do)."""
    limits = jnp.finfo(eigenvalues.dtype)
    largest = jnp.max(eigenvalues)
    least = limits.eps / jnp.where(largest > 0, largest, 1) / 16
    if kind == "gradient-flow":
        idle = parameters[0] < least
        parameters = (jnp.where(idle, least, parameters[0]),)
    elif kind == "gradient-descent":
        idle = parameters[0] * parameters[1] < least
        parameters = (jnp.where(idle, least, parameters[0]), parameters[1])
    else:
        idle = jnp.zeros((), bool)
    path = contour(kind, parameters)
    count = parameters[-1] if kind == "gradient-descent" else 1
    error = quadrature_error(kind, jax.lax.stop_gradient(parameters), jax.lax.stop_gradient(path))
    return path, error < tolerance_of(eigenvalues, count), idle


def tolerance_of(eigenvalues, count):
    """The largest error of a quadrature in the dtype of the eigenvalues; many steps cost digits."""
    eps = jnp.finfo(eigenvalues.dtype).eps
    return jnp.maximum(TOLERANCE, eps * 1e5) + 8 * eps * count
