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

import numpy as np
from jaxtyping import Bool, Complex, Float

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.numerics.equivalents.contour import complex_ridge, contour, quadrature_error
from modelcollapse.numerics.equivalents.ridge_equation import solve
from modelcollapse.numerics.equivalents.shares import divide, not_negative, shares
from modelcollapse.numerics.steps.moments import Moments

__all__ = ["Equivalent", "Filtered", "equivalent", "filtered", "filtered_step", "tolerance_of"]

TOLERANCE = 1e-9
MOST_ADDED = 1e6  # times what labels hold and the fit adds to it: more leaves sums no digits


class Equivalent(NamedTuple):
    """What a contour needs of a spectrum, whatever the filter: κ/x (n,), Q (n, A), sQQ_0/(1 − D_{a0}) (n, A), 1 − D for
    pairs of nodes and for nodes with conjugates (2, n, n), convergence ()."""

    ratio: Complex[Array, " n"]
    resolvent: Complex[Array, "n A"]
    noise: Complex[Array, "n A"]
    left: Complex[Array, "2 n n"]
    converged: Bool[Array, ""]


class Filtered(NamedTuple):
    """What a filter does to direction j, each (A,): 1 − r̄, r̄, the variance s U + (σ²/T) N that it adds, and the
    magnitudes of all that it is added up from."""

    learned: Float[Array, " A"]
    null: Float[Array, " A"]
    variance: Float[Array, " A"]
    added: Float[Array, " A"]


def equivalent(eigenvalues, multiplicity, samples, nodes):
    """The equivalent of the resolvent on a contour: eigenvalues, multiplicity (A,), samples (), nodes (n,)."""
    xp = namespace(eigenvalues, multiplicity, samples, nodes)
    kappa, converged = complex_ridge(eigenvalues, multiplicity, samples, -nodes)
    floor, fine = solve(eigenvalues[None], multiplicity[None], samples[None], xp.zeros_like(samples)[None])
    resolvent = 1 / (eigenvalues + kappa[:, None])
    learned, null = eigenvalues * resolvent, kappa[:, None] * resolvent
    learned_0, null_0 = shares(eigenvalues, floor[0])
    large = eigenvalues > xp.max(xp.abs(xp.stop_gradient(kappa)), 0)
    whole = xp.where(large, multiplicity, 0).sum(-1)
    kept = xp.where(large, null, learned)
    kept_0 = xp.where(large, null_0, learned_0)
    alone = xp.where(large, multiplicity * null, 0).sum(-1)
    alone_0 = xp.where(large, multiplicity * null_0, 0).sum(-1)
    weighted = -multiplicity * kept

    def left(mirror):
        return ((samples - whole) + alone[:, None] + mirror(alone) + weighted @ mirror(kept).T) / samples

    base = ((samples - whole) + alone + alone_0 + weighted @ kept_0) / samples
    pairs = xp.stack([left(lambda x: x), left(xp.conj)])
    noise = resolvent * learned_0 / base[:, None]
    return Equivalent(kappa / nodes, resolvent, noise, pairs, xp.all(converged) & fine[0])


def filtered(here, path, eigenvalues, energy, samples, noise_variance):
    """What the filter on a contour does to labels with E w_j² = energy (A,), counting multiplicity.

    here: Equivalent; path: Contour; eigenvalues (A,); samples, noise variance `noise_variance` (). The added
    variance is per direction.
    """
    xp = namespace(here, path, eigenvalues, energy, samples, noise_variance)
    coefficient = path.weights * path.residual * here.ratio
    terms = coefficient[:, None] * here.resolvent
    null = 2 * terms.sum(0).real
    weighted = here.resolvent * (eigenvalues * energy)
    pulled = sum(
        (terms * ((weighted @ mirror(here.resolvent).T / samples / left) @ mirror(terms))).sum(0)
        for mirror, left in ((lambda x: x, here.left[0]), (xp.conj, here.left[1]))
    )
    rest = path.residual * (path.residual - 2) * path.weights / path.nodes
    gained = -2 * (rest @ here.noise).real
    variance = 2 * eigenvalues * pulled.real + noise_variance / samples * gained
    added = _added_up(here, terms, rest, weighted, eigenvalues, samples, noise_variance)
    return Filtered(1 - null, null, not_negative(variance, added), added)


def _added_up(here, terms, rest, weighted, eigenvalues, samples, noise_variance):
    """The magnitudes of all that the variance is added up from, by direction (A,)."""
    xp = namespace(here, terms)
    terms, rest, weighted, resolvent, left, noise = (
        xp.abs(xp.stop_gradient(x)) for x in (terms, rest, weighted, here.resolvent, here.left, here.noise)
    )
    between = (weighted @ resolvent.T) * (1 / left).sum(0) / samples
    return 2 * eigenvalues * (terms * (between @ terms)).sum(0) + 2 * noise_variance / samples * (rest @ noise)


@quiet()
def filtered_step(kind, atoms, inputs, samples, noise_variance, parameters, start):
    """One generation map of a filter, a fit on one source.

    Parameters
    ----------
    kind : str (static)
        One of the kinds of `theory.filters`.
    atoms : Atoms
    inputs : (P or 1, A), eigenvalues of the inputs
    samples, noise_variance : (P,), rows and variance of the label noise
    parameters : tuple of (P,), the filter's numbers
    start : Moments (P, A) of the label model

    Returns
    -------
    Moments, the projection 1 − r̄ (P, A) by which covariances with other predictors follow, converged (P,): κ was
    found on every node, and the quadrature is accurate to TOLERANCE. Training too short to move anything (t s_1
    below the dtype's resolution) is the null model; labels of infinite variance give infinite variance. Points are
    worked on one after the other: memory is that of one.
    """
    xp = namespace(atoms, inputs, samples, noise_variance, parameters, start)
    rows = [xp.broadcast_to(x, start.ratio.shape) for x in (inputs, atoms.signal, atoms.multiplicity, atoms.scale)]

    def one(lane):
        (s, signal, multiplicity, scale), samples, noise_variance, parameters, start = lane
        s, parameters, unit = _in_units(kind, s, parameters)
        if kind == "self-distillation":
            parameters = (*parameters, _end(s, multiplicity, samples))
        path, error, idle = _safe_contour(kind, parameters, s)
        here = equivalent(s, multiplicity, samples, path.nodes)
        endless = xp.any(xp.isinf(start.variance) & (s > 0))
        known = xp.where(xp.isinf(start.variance), 0, start.variance)
        energy = start.ratio**2 * signal + divide(multiplicity, scale, 0.0) * known
        out = filtered(here, path, s, energy, samples, noise_variance / unit)
        void = idle | (s == 0)
        learned, null = xp.where(void, 0, out.learned), xp.where(void, 1, out.null)
        variance = learned**2 * known + xp.where(idle, 0, scale * out.variance)
        variance = xp.where(endless & (s > 0) & ~idle, np.inf, variance)
        moments = Moments(learned * start.ratio, start.deficit + null * start.ratio, variance)
        allowed = xp.maximum(1, xp.max(xp.abs(xp.stop_gradient(null)), 0)) ** 2  # refits may enlarge what they learn
        held = xp.sum(scale * energy, -1) + noise_variance + xp.sum(multiplicity * scale * out.variance, -1)
        sure = here.converged & (xp.sum(multiplicity * scale * out.added, -1) <= MOST_ADDED * allowed * held)
        return moments, learned, idle | ((error < allowed) & sure)

    return xp.over_lanes(one, (tuple(rows), samples, noise_variance, tuple(parameters), start))


def _in_units(kind, eigenvalues, parameters):
    """Eigenvalues and a filter's numbers in units of the largest eigenvalue, and that unit.

    Products of four resolvents stay in range whatever the unit of the data is.
    """
    xp = namespace(eigenvalues, *parameters)
    largest = xp.stop_gradient(eigenvalues).max(0)
    unit = xp.where(largest > 0, largest, 1)
    first, *rest = parameters
    first = first * unit if kind.startswith("gradient") else first / unit
    endless = float(np.finfo(eigenvalues.dtype).max) ** 0.9  # of times and ridges: more changes nothing
    return eigenvalues / unit, (xp.minimum(first, endless), *rest), unit


def _end(eigenvalues, multiplicity, samples):
    """A bound (1 + √(d_eff/T))² of the eigenvalues of S, those of the inputs being at most 1, and a tenth more."""
    xp = namespace(eigenvalues, multiplicity, samples)
    trace = xp.sum(xp.where(multiplicity > 0, multiplicity * eigenvalues, 0), 0)
    return 1.1 * xp.stop_gradient(1 + xp.sqrt(trace / samples)) ** 2


def _safe_contour(kind, parameters, eigenvalues):
    """The contour of a filter, its error in units of the tolerance, whether the filter does nothing (any will do).

    Eigenvalues in units of the largest.
    """
    xp = namespace(*parameters)
    least = np.finfo(eigenvalues.dtype).eps / 16
    idle = np.zeros((), bool)
    if kind == "gradient-flow":
        idle = parameters[0] < least
        parameters = (xp.where(idle, least, parameters[0]),)
    elif kind == "gradient-descent":
        idle = parameters[0] * parameters[1] < least
        parameters = (xp.where(idle, least, parameters[0]), parameters[1])
    path = contour(kind, parameters)
    count = parameters[-1] if kind == "gradient-descent" else 1
    numbers = tuple(map(xp.stop_gradient, parameters)), type(path)(*map(xp.stop_gradient, path))
    return path, quadrature_error(kind, *numbers) / tolerance_of(eigenvalues, xp.stop_gradient(count)), idle


def tolerance_of(eigenvalues, count):
    """The largest error of a quadrature in the dtype of the eigenvalues; many steps cost digits."""
    eps = np.finfo(eigenvalues.dtype).eps
    return max(TOLERANCE, eps * 1e5) + 8 * eps * count
