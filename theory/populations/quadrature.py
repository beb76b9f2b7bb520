r"""Sums over a power law at a cost that does not depend on its length.

A functional of s_j = j^-β, j = 1..d, is a sum Σ_j f(j) of a function that is analytic in j. The first few
dozen integers are taken one by one. The others are cut into panels [a, a + N) that grow geometrically, and
each panel is replaced by the m-point Gauss rule of *its own discrete sum*: N equal masses at 0, …, N − 1 are
orthogonalised by Gram's polynomials, whose Jacobi matrix is known in closed form,

$$ \alpha_k = \frac{N-1}{2}, \qquad b_k^2 = \frac{k^2 (N^2 - k^2)}{4 (4 k^2 - 1)}, $$

so nodes and weights are eigenvalues and squared first eigenvector components of an m × m matrix (Golub and
Welsch 1969). The rule is exact for polynomials of degree 2m − 1, its weights are positive, and its relative
error for an analytic f is about 2ρ^-2m, with ρ the largest Bernstein ellipse of the panel that f is analytic
in. The functions at hand have poles where j^-β = −κ, at the angles ±π/β: with ⌈β/4⌉ panels per octave ρ ≥
4.3.

For d = ∞ the panels end at a J with J^-β far below every κ served, and the tail j > J becomes two atoms: one
that carries the tail of Σ s_j and of Σ s_j², one that carries that of Σ s_j w_j² and Σ s_j² w_j². Both are
in closed form, smooth in β and r, and leave an error of relative order (J^-β/κ)².

>>> nodes, weights = panels(10**15)
>>> bool(abs(weights.sum() / 1e15 - 1) < 1e-13), nodes.size < 700
(True, True)
"""

import functools
import math

import numpy as np

ORDER = 12
LARGEST_CAPACITY = 8.0
"""The largest β for which the nodes chosen without knowing β are accurate."""

SMALLEST_RIDGE = 1e-14
MOST_SAMPLES = 1e15
"""The tail of an infinite power law serves effective ridges down to min(SMALLEST_RIDGE, MOST_SAMPLES^-β)."""


def gram_rules(lengths, order=ORDER):
    """Gauss rules of the sums over 0, …, N − 1 for lengths N ≥ order: nodes and weights, (panels, order)."""
    lengths = np.asarray(lengths, dtype=float)[:, None]
    k = np.arange(1, order)
    off = k * np.sqrt((1 - (k / lengths) ** 2) / (4 * (4.0 * k**2 - 1)))
    jacobi = np.zeros((lengths.size, order, order))
    jacobi[:, k, k - 1] = off
    nodes, vectors = np.linalg.eigh(jacobi)
    return (lengths - 1) / 2 + lengths * nodes, lengths * vectors[:, 0, :] ** 2


@functools.lru_cache(maxsize=256)
def panels(dim, per_octave=1):
    """Nodes j and weights, each (atoms,), of the sum over j = 1..dim; read-only."""
    head = max(64, 35 * per_octave)
    if dim <= 2 * head:
        nodes = np.arange(1.0, dim + 1)
        weights = np.ones_like(nodes)
    else:
        octaves = math.log2((dim + 1) / (head + 1))
        edges = np.rint(np.geomspace(head + 1, dim + 1, math.ceil(per_octave * octaves) + 1))
        inner, masses = gram_rules(np.diff(edges))
        nodes = np.concatenate([np.arange(1.0, head + 1), (edges[:-1, None] + inner).ravel()])
        weights = np.concatenate([np.ones(head), masses.ravel()])
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def _resolution(beta):
    """Panels per octave and the last exact index of an infinite power law; beta None when it is not known."""
    low, high = (1.0, LARGEST_CAPACITY) if beta is None else (float(np.min(beta)), float(np.max(beta)))
    low, high = max(low, 1.0), max(high, 1.0)  # less has a last index of its own
    served = max(SMALLEST_RIDGE ** (-1 / low), MOST_SAMPLES)
    last = min(4 * served * 10 ** (6.5 / low), 10 ** (280 / high))
    return math.ceil(high / 4), float(2 ** math.ceil(math.log2(last)))


def power_law_atoms(beta, r, dim, xp=np):
    """Eigenvalues, signal energies and multiplicities of s_j = j^-β, s_j w_j² = j^-(1 + 2rβ), j = 1..dim.

    `beta` and `r` are numbers, arrays or traced by JAX (`xp` is then jax.numpy); `dim` is a concrete number,
    inf, or an array. All broadcast; atoms are on the last axis. Rows of a smaller dim are padded by (0, 0,
    0).
    """
    try:
        known = np.asarray(beta, dtype=float)
    except TypeError:
        known = None
    per_octave, last = _resolution(known)
    try:
        dim = np.asarray(dim, dtype=float)
    except TypeError:
        raise TypeError("the dim of a power law is traced; give a number: the nodes depend on it") from None
    log_nodes, log_weights = _nodes(dim, per_octave, last)
    beta, r = xp.asarray(beta)[..., None] * 1.0, xp.asarray(r)[..., None] * 1.0
    log_s = _floored(-beta * log_nodes, xp)
    log_signal = log_weights - (1 + 2 * r * beta) * log_nodes - log_s
    atoms = xp.exp(log_s) * (log_weights > -np.inf), xp.exp(log_signal), np.exp(log_weights)
    if np.isinf(dim).any():
        atoms = zip(atoms, _tail(beta, r, math.log(last + 0.5), np.isinf(dim)[..., None], xp), strict=True)
        return tuple(_join(parts, xp) for parts in atoms)
    return tuple(xp.broadcast_arrays(*atoms))


def _tail(beta, r, log_cut, infinite, xp):
    """The two atoms of the indices beyond J, from Σ_{j>J} j^-a = (J + ½)^(1-a)/(a - 1) (1 + O(a²/J²))."""
    log_s = _floored(xp.log((beta - 1) / (2 * beta - 1)) - beta * log_cut, xp)
    log_mass = (1 - beta) * log_cut - xp.log(beta - 1) - log_s
    log_signal_s = _floored(xp.log(2 * r / (2 * r + 1)) - beta * log_cut, xp)
    log_signal = -2 * r * beta * log_cut - xp.log(2 * r * beta) - log_signal_s
    eigenvalues = _join((xp.exp(log_s), xp.exp(log_signal_s)), xp) * infinite
    first, second = infinite * np.array([1.0, 0.0]), infinite * np.array([0.0, 1.0])
    return eigenvalues, xp.exp(log_signal) * second, xp.exp(log_mass) * first


def _floored(log_s, xp):
    """Logarithms of eigenvalues, cut where the numbers would underflow (1e-280 in double precision)."""
    return xp.maximum(log_s, 0.91 * math.log(np.finfo(log_s.dtype).tiny))


def _join(parts, xp):
    shape = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return xp.concatenate([xp.broadcast_to(part, (*shape, part.shape[-1])) for part in parts], axis=-1)


def _nodes(dim, per_octave, last):
    """Logarithms of nodes and weights, each (*dim.shape, atoms), padded by the node 1 with weight zero."""
    rows = [panels(last if math.isinf(d) else d, per_octave) for d in dim.ravel().tolist()]
    width = max(nodes.size for nodes, _ in rows)
    log_nodes, log_weights = np.zeros((len(rows), width)), np.full((len(rows), width), -np.inf)
    for row, (nodes, weights) in enumerate(rows):
        log_nodes[row, : nodes.size], log_weights[row, : nodes.size] = np.log(nodes), np.log(weights)
    return log_nodes.reshape(*dim.shape, width), log_weights.reshape(*dim.shape, width)
