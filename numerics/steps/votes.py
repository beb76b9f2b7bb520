r"""Labels by the votes of several teachers: their linear part, and the noise that is left (`theory.pipelines.panels`).

y = x·Σ_k g_k w_k + r with g_k = √(2/π) p/τ_k: shares of votes have p = 1/K; a majority of an odd number of teachers
that are alike has for p the chance that the others are split evenly,

    p = E_z C(K−1, (K−1)/2) (P(1−P))^{(K−1)/2},     P = Φ(z √r),

r the overlap of two teachers. The noise is E y² less the variance of the linear part, E y² = 1 for a majority and
K^{-2} Σ_kl (2/π) arcsin r_kl for shares.
"""

import functools
import math

import numpy as np

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, not_negative, times
from modelcollapse.numerics.steps.moments import covariances, mixture

__all__ = ["voted", "votes"]

_Z = np.linspace(-9, 9, 73)
_WEIGHTS = np.exp(-_Z * _Z / 2) / np.sqrt(2 * np.pi) * (_Z[1] - _Z[0])


@functools.partial(compiled, static="soft")
@quiet()
def voted(atoms, inputs, models, joint, noise, *, soft):
    """Moments of Σ g_k w_k, the noise (P,) with that of the votes, and the g_k, a tuple of (P,).

    inputs : (P or 1, A), eigenvalues of the source's inputs; models : tuple of K Moments (P, A); joint : scaled
    covariances of pairs, row by row; noise : (P,), standard deviation of what is added to labels
    """
    xp, count = namespace(atoms, inputs, models, joint, noise), len(models)
    pairs = dict(zip([(g, h) for g in range(count) for h in range(g)], joint, strict=True))
    ratios = xp.stack([model.ratio for model in models])
    factors = xp.broadcast_to(inputs * atoms.signal, models[0].ratio.shape)
    relative = inputs * atoms.multiplicity * divide(1.0, atoms.scale, 0.0)
    gram = xp.einsum("pa,gpa,hpa->ghp", factors, ratios, ratios) + times(relative, covariances(models, pairs)).sum(-1)

    gains, square = votes(gram, soft=soft)
    label_model, _ = mixture(gains, models, pairs)
    left = square - (gram * gains[:, None] * gains[None]).sum(0).sum(0)
    total = noise**2 + not_negative(left, square + 0 * left)
    deviation = xp.where(total > 0, xp.sqrt(xp.where(total > 0, total, 1)), total)
    return label_model, deviation, tuple(gains[k] for k in range(count))


@quiet()
def votes(gram, *, soft):
    """The g_k (K, P) and E y² of the votes of K teachers, gram (K, K, P) the second moments of their scores."""
    xp, count = namespace(gram), len(gram)
    inverse = [xp.where(gram[k, k] > 0, 1 / xp.sqrt(xp.where(gram[k, k] > 0, gram[k, k], 1)), 0) for k in range(count)]
    overlaps = [gram[g, h] * inverse[g] * inverse[h] for g in range(count) for h in range(g)]
    if soft:
        alone = 1 / count
        square = (count + 2 * sum(2 / np.pi * _arcsin(xp, r) for r in overlaps)) / count**2
    else:
        alone, square = _even_split(xp, sum(overlaps) / len(overlaps), count), 1.0
    return xp.stack([np.sqrt(2 / np.pi) * alone * x for x in inverse]), square


def _arcsin(xp, r):
    """arcsin r, without a slope where two teachers are one."""
    same = r >= 1 - 1e-15
    return xp.where(same, np.pi / 2, xp.arcsin(xp.where(same, 0, xp.maximum(r, -1))))


def _even_split(xp, overlap, count):
    half = (count - 1) // 2
    z, weights = _Z.astype(overlap.dtype), _WEIGHTS.astype(overlap.dtype)
    chance = xp.ndtr(xp.sqrt(xp.clip(overlap, np.finfo(overlap.dtype).tiny, 1))[:, None] * z)
    return math.comb(count - 1, half) * (weights * (chance * (1 - chance)) ** half).sum(-1)
