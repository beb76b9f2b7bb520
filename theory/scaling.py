r"""Power laws: how the test error and the best ridge scale with the number of samples.

Capacity and source condition [CLKZ]: $s_j = j^{-\beta}$, $s_j w_{0,j}^2 = j^{-(1 + 2 r \beta)}$, and $\bar r
= \min(r, 1)$. With $\lambda = T^{-\ell}$, n = T^a generations of least squares on T_0 = T^b samples, d =
T^{b-f} directions ($\phi_0 = d / T_0$), label noise $\sigma^2 = T^{-s}$ and generator noise $\sigma_0^2 =
T^{-s_0}$, the test error is the sum of

$$ \text{bias} \asymp T^{-2 \bar r \ell}, \quad \text{label noise} \asymp T^{-(1 + s - \ell / \beta)}, \quad
   \text{generator noise} \asymp T^{-(\nu_0 - \ell / \beta)}, \quad \nu_0 = \min(b - a, 1 - a + f) + s_0 , $$

the last two being $\sigma^2 df_2 / T$ and $n \sigma_0^2 \max(T / T_0, \phi_0)\, df_2 / T$ with $df_2 \asymp
T^{\ell / \beta}$. A maximum of lines in ℓ is smallest where they cross: with $\nu = \min(1 + s, \nu_0)$ and
$\ell_{crit} = \beta / (1 + 2 \bar r \beta)$,

$$ \ell_\star = \min(\nu\, \ell_{crit}, \beta), \qquad E \asymp T^{-2 \bar r \ell_\star} \qquad (\nu > 0). $$

[DFK] Dohmatob, Feng, Kempe, *Model Collapse Demystified*, arXiv 2402.07712, state $\nu = b - a$, which holds
for $0 \le a < b \le 1$; the general ν is derived here. [CLKZ] Cui, Loureiro, Krzakala, Zdeborová, NeurIPS
2021, is the case of clean data. Also derived here:

- d that the optimum outgrows, $D = b - f < \min(\nu / (1 + 2 \bar r \beta), 1)$: df_2 saturates at d, the
  bias falls like $\kappa^2 d^{2 \beta (1 - \bar r)}$ below $s_d$, and $E \asymp T^{-(\nu - D)}$ for every ℓ
  from $(\nu - D) / 2 + \beta (1 - \bar r) D$ on.
- $\nu \le 0$: nothing vanishes. At ν = 0, fixed T_0 among its cases, the error tends to a positive floor at a
  fixed ridge; for ν < 0 the ridge has to grow, $\ell_\star = \nu$, and the error tends to that of the null
  model, Σ_j s_j w_{0,j}^2.
- for d of order T or more, $\kappa \gtrsim T^{-\beta}$ whatever the ridge: nothing improves past ℓ = β.

At r = 1 the bias carries a logarithm. Without generators (a = -inf) d is infinite.
"""

import math
from dataclasses import dataclass

import numpy as np

from modelcollapse.theory.numbers.domains import CAPACITY, REAL, SOURCE_EXPONENT, Domain
from modelcollapse.theory.numbers.leaves import leaf, show

__all__ = ["OptimalExponent", "ScalingExponents", "optimal_exponent", "scaling_exponents"]

_GENERATIONS = Domain(high_open=True, remedy="n = T^a grows or is constant: a >= 0, or -inf for clean data")
_GROWTH = Domain(low=0, high_open=True, remedy="give an exponent of zero or more")
_NOISE = Domain(low_open=True, remedy="give a finite exponent, or inf for no noise")
_TIE = 1e-12
_BOUNDS = ("label noise", "generator samples", "generator aspect")


class _Readable:
    def __repr__(self):
        values = ", ".join(f"{name}={_text(value)}" for name, value in vars(self).items())
        return f"{type(self).__name__}({values})"


@dataclass(frozen=True, repr=False)
class OptimalExponent(_Readable):
    """The best ridge T^-ell, the test error T^-rate it reaches, and the bound that is active.

    binding: "label noise", "generator samples" (T_0 against n), "generator aspect" (φ_0 against n), the tied
    ones joined by " and "; "capacity" (ell = β, no bound of noise); "dimension" (d saturates; every larger
    ell does as well); "floor: ..." where nothing vanishes.
    """

    ell: float | np.ndarray
    rate: float | np.ndarray
    binding: str | np.ndarray


@dataclass(frozen=True, repr=False)
class ScalingExponents(_Readable):
    """Exponents of T of the three parts of the test error at λ = T^-ell (-inf: absent), of their sum, and the
    part that dominates."""

    bias: float | np.ndarray
    label_noise: float | np.ndarray
    generator_noise: float | np.ndarray
    test_error: float | np.ndarray
    dominant: str | np.ndarray


def optimal_exponent(
    beta,
    r,
    *,
    generations_exponent=0.0,
    generator_samples_exponent=1.0,
    aspect_exponent=0.0,
    noise_exponent=0.0,
    generator_noise_exponent=0.0,
):
    """The exponent of the ridge that minimises the test error, and the rate it reaches; see the module
    docstring.

    beta > 1 and r > 0 are capacity and source; n = T^a, T_0 = T^b, φ_0 = T^-f, σ² = T^-s, σ0² = T^-s0 in the
    order of the arguments; a = -inf is clean data, a noise exponent of inf is no noise. Numbers or arrays,
    broadcast together. Raises ValueError outside the domains, among them b >= f (else d = T^(b-f) would
    shrink).

    Clean data reproduce ℓ_crit; generations that multiply as fast as the generators' samples leave nothing to
    gain:

    >>> optimal_exponent(1.5, 0.5, generations_exponent=-float("inf"))
    OptimalExponent(ell=0.6, rate=0.6, binding='label noise')
    >>> optimal_exponent(1.5, 0.5, generations_exponent=0.25, generator_samples_exponent=0.75)
    OptimalExponent(ell=0.3, rate=0.3, binding='generator samples')
    >>> optimal_exponent(1.5, 0.5, generations_exponent=1).binding
    'floor: generator samples and generator aspect'
    """
    x = _exponents(
        beta,
        r,
        0.0,
        generations_exponent,
        generator_samples_exponent,
        aspect_exponent,
        noise_exponent,
        generator_noise_exponent,
    )
    nu = np.minimum(x.bounds.min(axis=0), np.inf)
    slope = 1 + 2 * x.source * x.beta
    floor, dimension = nu <= _TIE, x.dimension < np.minimum(nu / slope, 1.0) - _TIE
    capacity = nu > slope
    with np.errstate(invalid="ignore"):
        ell = np.where(capacity, x.beta, nu * x.beta / slope)
        spread = np.where(dimension, x.dimension, 0.0)
        ell = np.where(dimension, (nu - spread) / 2 + x.beta * (1 - x.source) * spread, ell)
        rate = np.where(dimension, nu - spread, 2 * x.source * ell)
    ell, rate = np.where(floor, np.where(nu < -_TIE, nu, 0.0), ell), np.where(floor, 0.0, rate)
    tied = _joined(_BOUNDS, x.bounds <= nu + _TIE)
    binding = np.select([floor, dimension, capacity], [np.char.add("floor: ", tied), "dimension", "capacity"], tied)
    return OptimalExponent(*map(_plain, (ell, rate, binding)))


def scaling_exponents(
    beta,
    r,
    ell,
    *,
    generations_exponent=0.0,
    generator_samples_exponent=1.0,
    aspect_exponent=0.0,
    noise_exponent=0.0,
    generator_noise_exponent=0.0,
):
    """Exponents of T of bias, label noise and generator noise at the ridge λ = T^-ell; arguments as in
    `optimal_exponent`.

    ell may be any finite number: a ridge that grows (ell < 0) leaves the bias at T^0 and df_2 ~ T^(2 ell).

    At the optimum the bias and the active bound are equal:

    >>> setting = dict(generations_exponent=0.3, generator_samples_exponent=0.8)
    >>> best = optimal_exponent(2.0, 0.3, **setting)
    >>> at_best = scaling_exponents(2.0, 0.3, best.ell, **setting)
    >>> at_best.dominant, round(-at_best.test_error, 3), round(best.rate, 3)
    ('bias and generator noise', 0.273, 0.273)
    """
    x = _exponents(
        beta,
        r,
        ell,
        generations_exponent,
        generator_samples_exponent,
        aspect_exponent,
        noise_exponent,
        generator_noise_exponent,
    )
    ell = np.where(x.dimension >= 1, np.minimum(x.ell, x.beta), x.ell)
    saturated = ell > x.beta * x.dimension
    spread = np.where(saturated, x.dimension, 0.0)
    freedom = np.select([ell < 0, saturated], [2 * ell, spread], ell / x.beta)
    bias = np.where(saturated, 2 * x.beta * (1 - x.source) * spread - 2 * ell, -2 * x.source * np.maximum(ell, 0.0))
    parts = np.stack([bias, freedom - x.bounds[0], freedom - x.bounds[1:].min(axis=0)])
    top = parts.max(axis=0)
    dominant = _joined(("bias", "label noise", "generator noise"), parts >= top - _TIE)
    return ScalingExponents(*map(_plain, (*parts, top, dominant)))


@dataclass(frozen=True)
class _Exponents:
    """Checked and broadcast: β, r̄, ℓ, the three bounds on ν (3, ...) and log_T d."""

    beta: np.ndarray
    source: np.ndarray
    ell: np.ndarray
    bounds: np.ndarray
    dimension: np.ndarray


def _exponents(beta, r, ell, generations, samples, aspect, noise, generator_noise):
    named = {
        "beta": (beta, CAPACITY),
        "r": (r, SOURCE_EXPONENT),
        "ell": (ell, REAL),
        "generations_exponent": (generations, _GENERATIONS),
        "generator_samples_exponent": (samples, _GROWTH),
        "aspect_exponent": (aspect, _GROWTH),
        "noise_exponent": (noise, _NOISE),
        "generator_noise_exponent": (generator_noise, _NOISE),
    }
    arrays = [np.asarray(leaf(name, value, domain), dtype=float) for name, (value, domain) in named.items()]
    beta, r, ell, a, b, f, s, s0 = np.broadcast_arrays(*arrays)
    wrong = np.isfinite(a) & (a < 0)
    if np.any(wrong):
        raise ValueError(f"generations_exponent = {a[wrong].flat[0]} is negative; {_GENERATIONS.remedy}")
    clean = np.isneginf(a)
    if np.any((f > b) & ~clean):
        raise ValueError(
            f"aspect_exponent = {f[(f > b) & ~clean].flat[0]} exceeds generator_samples_exponent: "
            "the dimension T^(b-f) would shrink; give 0 <= aspect_exponent <= generator_samples_exponent"
        )
    bounds = np.stack([1 + s, b - a + s0, 1 - a + f + s0])
    return _Exponents(beta, np.minimum(r, 1.0), ell, bounds, np.where(clean, math.inf, b - f))


def _joined(names, mask):
    """The names whose mask is true, joined by " and "."""
    text = np.full(mask.shape[1:], "", dtype=object)
    for name, here in zip(names, mask, strict=True):
        text = np.where(here, np.where(text == "", name, text + " and " + name), text)
    return text.astype(str)


def _plain(value):
    value = np.asarray(value)
    if value.ndim == 0:
        return value.item()
    value = value.copy()
    value.flags.writeable = False
    return value


def _text(value):
    return repr(value) if isinstance(value, str) else show(value)
