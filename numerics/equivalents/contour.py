r"""Contours around the spectrum of S = XᵀX/T, and the effective ridge on them.

For a residual filter r that is analytic around the spectrum of S,

    r(S) = ∮ r(x) (x − S)^{-1} dx/(2πi) ≃ Σ_a W_a r(x_a) (x_a − S)^{-1},

and (x − S)^{-1} = −(S + z)^{-1} at z = −x has the deterministic equivalent −(κ/z)(Σ + κ)^{-1}, κ = κ(z) the effective
ridge continued to complex z. Nodes come in conjugate pairs; we keep the one with Im x < 0 and take twice real parts.

**Nodes.** All filters but those of few steps decay like e^{−Z} in a variable Z that is 0 at x = 0 and grows
along the spectrum:

    gradient flow      x = Z/t
    gradient descent   1 − hx = e^{−Z/k},  and its mirror image 1 − hx = −e^{−Z/k} for the eigenvalues near 2/h
    iterated ridge     1 + x/λ = e^{Z/m}

so one Hankel contour in Z, the hyperbola −μ(1 − sin(α + iu)) open towards +∞, serves every t, k, m and every
spectrum with the same few nodes (Weideman and Trefethen 2007; α, μ and spacing were fitted here to r and to the noise
filter together). A closed contour would need of the order of √(s_max t) nodes instead. For at most FEW steps (rounds)
the filter is a power of v = 1 − hx (v = λ/(x + λ)) and the contour a circle |v| = e^{RISE/k}, on which the
trapezoid rule converges geometrically. Refits on own predictions are a polynomial in h = x/(x + λ), for any weight,
and the contour an ellipse in h whose foci are the ends of the spectrum: growth on it is far milder than on a circle.

**Certificate.** On real x the quadrature is itself a filter, r_N(x) = Σ_a W_a r(x_a)/(x_a − x), and whatever it
computes is the exact equivalent of a fit with that filter. The expectations at hand integrate r and r ⊗ r against
measures of bounded variation on the spectrum, hence sup |r_N − r| over the spectrum bounds the error of every one of
them, whatever Σ is: `quadrature_error` measures it.

**The complex root.** For Im z > 0 exactly one root of κ − z = κ df_1(κ)/T has Im κ > 0 (Silverstein and Bai 1995, for
1/κ), and it has Im κ ≥ Im z: whatever root with that property is found is the right one. Newton steps in log κ start
from the real root at |z|, moved by its slope in log z: three or four do nearly always. Where AT_ONCE do not,
z is turned from |z| to its place, a step for each small part of the turn.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.numerics.equivalents.ridge_equation import solve
from modelcollapse.theory.pipelines.filters import MOST_REFITS

__all__ = ["FEW", "Contour", "complex_ridge", "contour", "hankel", "quadrature_error", "residuals", "samples_left"]

NODES = 20
FEW = 12
RISE = 5.0
AT_ONCE = 10  # more are needed on 6 of 1520 contours: eight kinds of spectra, T/d from 0.02 to 100
TURNS = 24
ELLIPSE = 2.0  # sum of its semi-axes over half the distance of its foci: 30 refits lose three digits
_SHAPES = {20: (0.9258, 2.0106, 0.7027), 32: (1.0665, 2.5205, 0.3948)}  # α, u_max, μ/n


class Contour(NamedTuple):
    """Nodes with Im x < 0, weights dx/(2πi), and r there, each (n,); sums over it are twice real parts."""

    nodes: Complex[Array, " n"]
    weights: Complex[Array, " n"]
    residual: Complex[Array, " n"]


@functools.lru_cache
def hankel(nodes=NODES):
    """Z and dZ/(2πi) of the lower half of the hyperbola, NumPy (n,).

    20 nodes integrate e^{−Z} and e^{−2Z} to 1e-14, 32 nodes e^{−τZ} for all τ in [1/2, 2].

    >>> Z, weights = hankel()
    >>> bool(abs(2 * (weights * np.exp(-Z) / (Z - 0.7)).sum().real - np.exp(-0.7)) < 1e-13)
    True
    """
    angle, reach, size = _SHAPES[nodes]
    at = angle - 1j * (np.arange(nodes) + 0.5) * reach / nodes
    scale = size * nodes
    return -scale * (1 - np.sin(at)), -scale * np.cos(at) * (reach / nodes) / (2 * np.pi)


def contour(kind, parameters, nodes=NODES):
    """The contour of a filter of one of the kinds of `theory.filters`; parameters: its numbers, scalars.

    Self-distillation has one parameter more, a bound of the eigenvalues of S.
    """
    xp = namespace(*parameters)
    complex_dtype = np.result_type(xp.result_type(*parameters), np.complex64)
    Z, dZ = (xp.asarray(x, complex_dtype) for x in hankel(nodes))
    decay = xp.exp(-Z)
    if kind == "gradient-flow":
        (time,) = parameters
        return Contour(Z / time, dZ / time, decay)
    if kind == "ridge":
        return contour("iterated-ridge", (*parameters, xp.ones_like(parameters[0])), nodes)
    if kind == "self-distillation":
        ridge, weight, rounds, end = parameters
        turn = ELLIPSE * np.exp(-1j * np.pi * (np.arange(2 * nodes) + 0.5) / (2 * nodes))
        last = end / (end + ridge)
        h = last * xp.asarray(0.5 + (turn + 1 / turn) / 4, complex_dtype)
        weights = last * xp.asarray((turn - 1 / turn) / (16 * nodes), complex_dtype) / (1 - h) ** 2
        return Contour(ridge * (h / (1 - h)), ridge * weights, _refitted(h, weight, rounds))
    scale, count = parameters
    many = xp.maximum(count, FEW + 1)
    v, half = _circle(count, complex_dtype, nodes)
    if kind == "gradient-descent":
        circle = Contour((1 - v) / scale, -half * v / scale, v**count)
        x, W = -xp.expm1(-Z / many) / scale, xp.exp(-Z / many) * dZ / (scale * many)
        open_ = Contour(_join(x, 2 / scale - x.conj()), _join(W, -W.conj()), _mirrored(kind, decay, count))
    elif kind == "iterated-ridge":
        circle = Contour(scale * (1 / v - 1), -half * scale / v, v**count)
        x, W = scale * xp.expm1(Z / many), scale * xp.exp(Z / many) * dZ / many
        open_ = Contour(_join(x, x), _join(W, 0 * W), _mirrored(kind, decay, count))
    else:
        raise ValueError(f"kind = {kind!r} is no filter; the kinds are those of modelcollapse.theory.filters")
    return Contour(*(xp.where(count <= FEW, few, more) for few, more in zip(circle, open_, strict=True)))


def _refitted(h, weight, rounds):
    """r of `rounds` refits at h = x/(x + λ): (1 − h) Σ_{i ≤ rounds} (weight h)^i."""
    xp = namespace(h, weight, rounds)

    def add(i, carry):
        term, total = carry
        term = xp.where(i + 1 <= rounds, term * (weight * h), 0)
        return term, total + term

    first = 1 - h + 0 * (weight * h)
    return xp.repeat(MOST_REFITS, add, (first, first), MOST_REFITS)[1]


def residuals(kind, centre, durations, nodes=NODES):
    """r of other durations (times, steps, rounds) (n,) on the contour of `centre`: (n, nodes of it).

    With 32 nodes one contour serves durations from half to twice its own, and that of FEW all up to FEW.

    >>> near = residuals("gradient-descent", np.float64(25), np.array([20.0, 25.0]))
    >>> itself = contour("gradient-descent", (np.float64(0.1), np.float64(25)))
    >>> bool(np.allclose(near[1], itself.residual))
    True
    """
    xp, dtype = namespace(centre, durations), np.result_type(durations.dtype, np.complex64)
    decay = xp.exp(-xp.asarray(hankel(nodes)[0], dtype) * durations[:, None] / centre)
    if kind == "gradient-flow":
        return decay
    v, _ = _circle(centre, dtype, nodes)
    return xp.where(centre <= FEW, v ** durations[:, None], _mirrored(kind, decay, durations[:, None]))


def _mirrored(kind, decay, count):
    """r on a contour and on its mirror image at the far end of [0, 2/h], which iterated ridge does not have."""
    far = (1 - 2 * namespace(count, decay).mod(count, 2)) * decay.conj() if kind == "gradient-descent" else decay
    return _join(decay, far)


def _join(left, right):
    return namespace(left, right).concatenate([left, right], -1)


def _circle(count, dtype, nodes):
    """2·nodes points of the upper half of |v| = e^{RISE/count} and the weight of each, dv/(2πi v)."""
    size = 2 * nodes
    turn = np.exp(1j * np.pi * (np.arange(size) + 0.5) / size)
    xp = namespace(count)
    return xp.exp(RISE / xp.maximum(count, 1)) * xp.asarray(turn, dtype), 0.5 / size


def quadrature_error(kind, parameters, path):
    r"""The largest error of r_N on the spectrum, and that of the noise filter (1 − r)²/x relative to its largest value,
    for refits to 1/x.

    The spectrum is [0, ∞), for gradient descent [0, 2/h], for refits up to its bound, sampled evenly in log Z. Sees a
    contour with too few nodes and one whose growth costs too many digits.

    >>> parameters = (np.float64(3.0),)
    >>> bool(quadrature_error("gradient-flow", parameters, contour("gradient-flow", parameters)) < 1e-12)
    True
    """
    xp = namespace(*parameters, *path)
    at, exact, learned = _on_spectrum(xp, kind, parameters)
    reciprocal = 1 / (path.nodes[:, None] - at)
    found = 2 * ((path.weights * path.residual)[:, None] * reciprocal).sum(0).real
    rest = path.residual * (path.residual - 2) / path.nodes
    noise = 2 * ((path.weights * rest)[:, None] * reciprocal).sum(0).real
    wanted = xp.where(at > 0, learned**2 / xp.where(at > 0, at, 1), 0)
    peak = wanted.max(0)
    peak = xp.where(peak > 0, peak, 1 / xp.min(xp.abs(path.nodes), 0))
    if kind == "self-distillation":  # whose largest values may lie far from the eigenvalues
        noise, wanted, peak = noise * at, wanted * at, 1
    return xp.maximum(xp.max(xp.abs(found - exact), 0), xp.max(xp.abs(noise - wanted), 0) / peak)


def _on_spectrum(xp, kind, parameters):
    """Points of the spectrum (m,), r there and 1 − r."""
    if kind == "ridge":
        return _on_spectrum(xp, "iterated-ridge", (*parameters, xp.ones_like(parameters[0])))
    Z = xp.asarray(np.concatenate([[0], np.geomspace(1e-4, 1e4, 97)]), parameters[0].dtype)
    if kind == "gradient-flow":
        return Z / parameters[0], xp.exp(-Z), -xp.expm1(-Z)
    if kind == "self-distillation":
        ridge, weight, rounds, end = parameters
        at = xp.minimum(ridge * Z, end)
        decay = _refitted(at / (at + ridge), weight, rounds)
        return at, decay, 1 - decay
    scale, count = parameters
    each = xp.minimum(Z / xp.maximum(count, 1), 40)
    decay, learned = xp.exp(-each * count), -xp.expm1(-each * count)
    if kind == "iterated-ridge":
        return scale * xp.expm1(each), decay, learned
    near, far = -xp.expm1(-each) / scale, (1 + xp.exp(-each)) / scale
    mirrored = (1 - 2 * xp.mod(count, 2)) * decay
    return _join(near, far), _join(decay, mirrored), _join(learned, 1 - mirrored)


def samples_left(eigenvalues, multiplicity, samples, kappa):
    """T − df_1 at complex κ (n,), and Σ μ p q = κ ∂(T − df_1)/∂κ; eigenvalues, multiplicity (A,), samples ().

    As in `shares.samples_left`, without cancellation where T is near the number of directions.
    """
    xp = namespace(eigenvalues, multiplicity, samples, kappa)
    total = eigenvalues + kappa[:, None]
    reciprocal = 1 / xp.where(total == 0, 1, total)
    fitted, lost = eigenvalues * reciprocal, kappa[:, None] * reciprocal
    large = eigenvalues > xp.abs(xp.stop_gradient(kappa))[:, None]
    whole = xp.where(large, multiplicity, 0).sum(-1)
    return (samples - whole) + xp.where(large, lost, -fitted) @ multiplicity, (fitted * lost) @ multiplicity


@quiet()
def complex_ridge(eigenvalues, multiplicity, samples, z):
    """κ at complex z, Im z > 0: (kappa (n,), converged (n,) bool); eigenvalues, multiplicity (A,), samples ().

    Derivatives of first and second order are exact: two Newton steps are taken with differentiation on.

    >>> s, one, z = np.array([1.0, 0.5]), np.ones(2), np.array([0.1 + 0.2j, -0.3 + 0.1j])
    >>> kappa, converged = complex_ridge(s, one, np.float64(3), z)
    >>> bool(np.all(np.abs(kappa - z - kappa * (1 / (1 + kappa) + 0.5 / (0.5 + kappa)) / 3) < 1e-14))
    True
    """
    xp = namespace(eigenvalues, multiplicity, samples, z)
    problem = tuple(map(xp.stop_gradient, (eigenvalues, multiplicity, samples, z)))
    still = namespace(*problem)
    length, angle = still.abs(problem[3]), np.pi / 2 - still.arctan2(problem[3].real, problem[3].imag)
    real, ok = solve(problem[0][None], problem[1][None], still.broadcast_to(problem[2], length.shape), length)

    def newton(problem, u):
        eigenvalues, multiplicity, samples, z = problem
        kappa = namespace(u).exp(u)
        left, slope = samples_left(eigenvalues, multiplicity, samples, kappa)
        penalty = samples * z / kappa
        return (penalty - left) / (slope + penalty), penalty / (slope + penalty)

    start = still.log(real).astype(problem[3].dtype)
    tolerance = np.finfo(real.dtype).eps ** 0.25

    def advance(state):
        k, u, found = state
        u = still.where((k == AT_ONCE) & ~found, start, u)
        share = still.where(k < AT_ONCE, 1, still.minimum((k + 1 - AT_ONCE) / TURNS, 1))
        step, _ = newton((*problem[:3], length * still.exp(1j * angle * share)), u)
        new = u + step / still.maximum(1, 2 * still.abs(step))
        right = still.exp(new).imag >= (1 - tolerance) * problem[3].imag
        return k + 1, still.where(found, u, new), found | ((share == 1) & (still.abs(step) < tolerance) & right)

    def unfinished(state):
        return (state[0] < AT_ONCE + TURNS + 5) & ~still.all(state[2])

    _, slope = newton((*problem[:3], length.astype(start.dtype)), start)
    state = (still.zeros_like(problem[2], dtype=np.int32), start + 1j * angle * slope, still.zeros_like(ok))
    u = still.stop_gradient(still.while_loop(unfinished, advance, state)[1])
    u = u + newton((eigenvalues, multiplicity, samples, z), u)[0]
    step, _ = newton((eigenvalues, multiplicity, samples, z), u)
    u = u + step
    kappa, last = xp.exp(u), xp.abs(xp.stop_gradient(step))
    right = xp.stop_gradient(kappa).imag >= (1 - tolerance) * problem[3].imag
    return kappa, (last < tolerance**2) & right
