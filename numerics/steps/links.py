r"""Labels that are a function of the score: the gain and the noise level of a link.

With u = τz, z normal, φ and Φ its density and law, a label y of the score u has

    g = E[y u]/τ²,     ν = E y² − g²τ²,

and a linear fit learns from it what it learns from g·u and noise of variance ν (`theory.pipelines.links`). Closed
forms, t = offset/τ, q the flips, a = τ/scale, x = a²/(1 + a²), B' = bound/τ:

    Sign        g τ = 2(1−2q) φ(t)                     E y² = 1
    Probit      g τ = √(2x/π)                          E y² = 1,  soft: (2/π) arcsin x
    Logistic    g τ = (a/2) E sech²(az/2)              E y² = 1,  soft: E tanh²(az/2)
    Clip        g   = erf(B'/√2)                       E y² = τ²(g − 2B'φ(B')) + bound² erfc(B'/√2)
    Quantised   g τ = Σ_i (L_{i+1} − L_i) φ(t_i/τ)     E y² = Σ L_i² (Φ(t_i/τ) − Φ(t_{i−1}/τ))

The logistic integrals are trapezoidal sums on the half line with step min(0.7, 0.5/a): 85 nodes serve every
temperature to 1e-12. Differences that cancel at high temperature are expanded: arcsin x − x by its series, and
1 − E sech² − … as the integral of the square (tanh(az/2) − g τ z)². A function of the score is integrated by 4001
trapezoids: smooth ones to rounding, jumps to about 1e-3 of their size. A score that is zero throughout (τ = 0) has
g = 0. Labels of a model with infinite variance have no limit of their own: NaN, which readers refuse.
"""

import functools

import numpy as np

from modelcollapse.numerics.arrays import compiled, differentiable, namespace, on_device, quiet
from modelcollapse.numerics.equivalents.shares import not_negative, times
from modelcollapse.numerics.steps.moments import Moments, energy
from modelcollapse.theory.pipelines.links import Clip, Logistic, OfScore, Probit, Quantised, Sign

__all__ = ["gain_and_noise", "label_model", "linked"]

_NODES = np.arange(85.0)
_SERIES = 1 / 6, 3 / 40, 15 / 336, 105 / 3456, 945 / 42240, 10395 / 599040, 135135 / 9676800
_REACH, _FINE = 10.0, 4001


@quiet()
def gain_and_noise(form, values, score_variance):
    """(g, ν), both (P,), of a link.

    form, values : the link's class and options, and its numbers (P,)
    score_variance : τ² (P,) ≥ 0

    >>> tau2 = np.array([0.25, 1.0])
    >>> hard = gain_and_noise((Logistic, False), (1 + 0 * tau2,), tau2)
    >>> soft = gain_and_noise((Logistic, True), (1 + 0 * tau2,), tau2)
    >>> bool(np.all(hard[0] == soft[0])), bool(np.all(hard[1] > soft[1]))    # soft labels: the same gain, less noise
    (True, True)
    """
    xp = namespace(values, score_variance)
    some = score_variance > 0
    deviation = xp.sqrt(xp.where(some, score_variance, 1))
    slope, noise, at_zero = _SLOPES[form[0]](xp, deviation, *form[1:], *values)
    gain = xp.where(some, slope / deviation, 0)
    noise = not_negative(xp.where(some, noise, at_zero), slope**2 + xp.abs(noise))
    lost = xp.isinf(score_variance)
    return xp.where(lost, np.nan, gain), xp.where(lost, np.nan, noise)


def _density(xp, x):
    return xp.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _sign(xp, deviation, flips, offset):
    slope = (1 - 2 * flips) * 2 * _density(xp, offset / deviation)
    return slope, 1 - slope**2, 1 + 0 * slope


def _probit(xp, deviation, soft, scale):
    x = 1 / (1 + (scale / deviation) ** 2)
    slope = xp.sqrt(2 * x / np.pi)
    if not soft:
        return slope, 1 - 2 * x / np.pi, 1 + 0 * x
    small = x < 0.1
    y = x * x
    series = sum(term * y**k for k, term in enumerate(_SERIES)) * x * y
    return slope, 2 / np.pi * xp.where(small, series, xp.arcsin(x) - x), 0 * x


def _logistic(xp, deviation, soft, scale):
    a = (deviation / scale)[:, None]
    step = xp.minimum(0.7, 0.5 / a)
    nodes = _NODES.astype(a.dtype)  # made anew: JAX remembers constants in the precision that it first met them in
    z = step * nodes
    weight = 2 * step * _density(xp, z) * np.where(nodes, 1, 0.5).astype(a.dtype)
    falling = xp.exp(-a * z)
    mean_slope = (weight * 4 * falling / (1 + falling) ** 2).sum(-1)  # E sech²(az/2)
    slope = mean_slope * a[:, 0] / 2
    if not soft:
        return slope, 1 - slope**2, 1 + 0 * slope
    rest = -xp.expm1(-a * z) / (1 + falling) - slope[:, None] * z
    return slope, xp.where(a[:, 0] < 1, (weight * rest**2).sum(-1), 1 - mean_slope - slope**2), 0 * slope


def _clip(xp, deviation, bound):
    ratio = bound / deviation
    gain = xp.erf(ratio / np.sqrt(2))
    square = gain - 2 * ratio * _density(xp, ratio) + ratio**2 * xp.erfc(ratio / np.sqrt(2))
    return gain * deviation, deviation**2 * (square - gain**2), 0 * gain


def _quantised(xp, deviation, edges, *levels):
    slope, square = 0 * deviation, levels[-1] ** 2 + 0 * deviation
    for edge, low, high in zip(edges, levels[:-1], levels[1:], strict=True):
        slope = slope + (high - low) * _density(xp, edge / deviation)
        square = square + (low**2 - high**2) * xp.ndtr(edge / deviation)
    zero = levels[int(np.searchsorted(edges, 0.0))]
    return slope, square - slope**2, zero**2 + 0 * deviation


def _of_score(xp, deviation, function):
    slope, noise = _integrals(function)(deviation)
    zero = float(np.asarray(function(np.zeros(1)))[0])
    return slope, noise, zero**2 + 0 * deviation


_SLOPES = {
    Sign: _sign,
    Probit: _probit,
    Logistic: _logistic,
    Clip: _clip,
    Quantised: _quantised,
    OfScore: _of_score,
}


def _integrals(function):
    """s = E f(τz) z and E (f(τz) − s z)² as a differentiable function of τ (P,).

    The density carries the derivative, τ ∂_τ E h(τz) = E h(τz)(z² − 1), so f may jump.
    """
    z = np.linspace(-_REACH, _REACH, _FINE)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])

    def values(deviation):
        labels = np.asarray(function(deviation * z), float)
        slope = density @ (labels * z)
        return slope, density @ (labels - slope * z) ** 2

    def slopes(deviation):
        labels = np.asarray(function(deviation * z), float)
        slope = density @ (labels * z)
        bend = density @ (labels * z * (z * z - 2)) / deviation
        return bend, density @ (labels**2 * (z * z - 1)) / deviation - 2 * slope * bend

    @differentiable(lambda arguments, results, tangents: tuple(x * tangents[0] for x in each(slopes, *arguments)))
    def integrals(deviation):
        return each(values, deviation)

    def each(found, deviation):
        def rows(x):
            columns = np.array([found(float(scale)) for scale in np.asarray(x)]).reshape(-1, 2).T
            return tuple(column.astype(x.dtype) for column in columns)

        if not on_device(deviation):
            return rows(deviation)
        import jax

        shape = jax.ShapeDtypeStruct(deviation.shape, deviation.dtype)
        return jax.pure_callback(rows, (shape, shape), deviation)

    return integrals


def label_model(moments, gain):
    """Moments (P, A) of g·w."""
    g = gain[:, None]
    return Moments(g * moments.ratio, (1 - g) + g * moments.deficit, times(g * g, moments.variance))


@functools.partial(compiled, static="form")
@quiet()
def linked(atoms, inputs, moments, noise, values, *, form):
    """Moments of the label model g·w of a linked source, its noise (P,) with that of the link, and g (P,).

    inputs : (P or 1, A), eigenvalues of the source's inputs; noise : (P,), standard deviation of what is added
    """
    xp = namespace(moments, noise, values)
    gain, left = gain_and_noise(form, values, energy(atoms, inputs, moments.ratio, moments.variance))
    total = noise**2 + left
    return label_model(moments, gain), xp.where(total > 0, xp.sqrt(xp.where(total > 0, total, 1)), total), gain
