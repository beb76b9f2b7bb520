r"""Choosing a ridge from labels that other models wrote.

Setting. $T$ rows carry labels $y = x \cdot w_g + \varepsilon$, where $g$ is the origin of the row: $w_g =
w_0$ for real rows, a fitted model for synthetic ones. With $p_g$ the share of origin $g$ and $\bar w = \sum_g
p_g w_g$, ridge on the pooled rows has mean $P \bar w$, $P = \Sigma(\Sigma + \kappa)^{-1}$, and leave-one-out
or generalised cross-validation estimates the error against the labels, $\sum_g p_g (\|\hat w - w_g\|_\Sigma^2
+ \sigma_g^2)$. Expanding the squares,

$$ \|\hat w - w_0\|_\Sigma^2 = \sum_g p_g \|\hat w - w_g\|_\Sigma^2 + 2 \langle \hat w, \bar w - w_0
\rangle_\Sigma
   + \|w_0\|_\Sigma^2 - \sum_g p_g \|w_g\|_\Sigma^2 , $$

so that the error on clean labels of the same noise is GCV plus a *correction* (derived here)

$$ 2 \sum_j \frac{s_j^2}{s_j + \kappa} E[\bar w_j (\bar w_j - w_{0,j})] + \|w_0\|_\Sigma^2 - \sum_g p_g
E\|w_g\|_\Sigma^2 . $$

Chains of different origins are independent given the truth, rows of one origin share their chain. With mean
$m_g w_0$ and variance $\Xi_g$ per direction of the chain of origin $g$, $\bar m = \sum_g p_g m_g$, $E[\bar
w_j (\bar w_j - w_{0,j})] = \sum_g p_g^2 \Xi_{g,j} + \bar m_j (\bar m_j - 1) w_{0,j}^2$: a noise term and a
bias term.

*Least squares* ($T_0 > d + 1$, no ridge), here: $m = 1$ and $\Xi = v \Sigma^{-1}$ with $v = a\, n \sigma_0^2
/ (T_0 - d - 1)$, the inverse Wishart mean times the relative leverage $a$ of
`modelcollapse.numerics.provenance.leverage`, which is 1 for Gaussian inputs. The correction is
$\sum_g (2 p_g^2 v_g\, df_1 - p_g v_g d)$: nothing has to be estimated. Ridge and under-determined generators:
`modelcollapse.numerics.provenance.source_conditions`.

*Few directions* ($T \ge 4d$). An unbiased estimate of the error fluctuates with the $d$ realised errors of
the generators, by $\sqrt{2/d}$ of their energy, which may exceed the signal's. But then $S \approx \Sigma$,
the directions are separate, $c_j = \theta_j + \tau\,N(0, 1)$ for the labels along eigenvector $j$ of the
kernel matrix, with $\tau^2 = \sigma^2 + T \sum_g p_g^2 v_g$ known, and the ridge can be chosen for the
smallest *posterior* expectation of $\sum_j (h_j(\lambda) c_j - \theta_j)^2 / T$, $h_j = l_j / (l_j + T
\lambda)$: prior $\theta_j \sim N(0, A\, l_j^{1+q})$, every $q$ of EXPONENTS alike, and $A$ log-uniform with a
signal variance between SIGNAL[0] and SIGNAL[1] times $\sigma_0^2$ (more, where labels are larger still).

*Unknown $\sigma_0$, some real rows.* With leave-one-out predictions $\hat f_i$ at two ridges and residuals
$r_i$ of the second, the mean of $r_i (\hat f_i' - \hat f_i)$ over synthetic rows minus the mean over real
rows has expectation $\langle w_{syn} - w_0, \hat w' - \hat w \rangle_\Sigma = \sum_j s_j (P'_j - P_j)
E[(w_{syn} - w_0)_j \bar w_j]$, whatever the label noise of either kind: one more equation, linear in
$\sigma_0^2$, solved together with the vague one that $\sigma_0^2$ is the label noise variance of the rows at
hand, give or take half of it (the contrast of few real rows is noisy, and too large a $\sigma_0$ does harm
where GCV does little), or more where the contrast by itself says so with two standard errors to spare.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelcollapse.theory.numbers.domains import GENERATIONS, NOISE, RIDGE, SAMPLES
from modelcollapse.theory.numbers.leaves import leaf

EXPONENTS = np.linspace(-1.0, 3.0, 9)  # q
SIGNAL = (0.3, 1000.0)  # variance of the truth over σ0²: 23 % to 99.9 % of a real label's variance
FEW = 4  # rows per direction from which on the directions are told apart


@dataclass(frozen=True)
class Provenance:
    """Who wrote the labels of some rows.

    generations: how many models stand between the truth and the labels (0: real rows); samples: rows that
    each of them was fitted on; noise: standard deviation of the label noise that each of them saw (None: to
    be estimated from real rows); ridge: λ of the mean squared error of each fit (scikit-learn's alpha divided
    by `samples`).

    >>> Provenance(generations=5, samples=600, noise=0.1)
    Provenance(generations=5, samples=600, noise=0.1, ridge=0.0)
    >>> Provenance(generations=5)
    Traceback (most recent call last):
        ...
    ValueError: samples = None with generations = 5; give the number of rows that each generator was fitted on
    """

    generations: int = 0
    samples: float | None = None
    noise: float | None = None
    ridge: float = 0.0

    def __post_init__(self):
        _number("generations", self.generations, GENERATIONS)
        _number("ridge", self.ridge, RIDGE)
        if self.noise is not None:
            _number("noise", self.noise, NOISE)
        if self.samples is not None:
            _number("samples", self.samples, SAMPLES)
        elif self.generations:
            raise ValueError(
                f"samples = None with generations = {self.generations}; give the number of rows that each "
                "generator was fitted on"
            )


def _number(name, value, domain):
    if np.ndim(leaf(name, value, domain)):
        raise TypeError(f"{name} is an array; give one number")


@dataclass(frozen=True)
class CleanRows:
    """What real rows say about σ0: the contrast of the module docstring and its standard error, the variance
    of the label noise of the rows at hand, and the effective ridges of ŵ' and ŵ.
    """

    contrast: float
    standard_error: float
    label_noise_variance: float
    kappa: tuple[float, float]

    def spread(self, found, error):
        """How far σ0² may lie from the label noise variance, given what the contrast alone says, `found` with
        its standard error: half of it, or as far as the contrast certainly says.

        >>> rows = CleanRows(0.0, 1.0, label_noise_variance=1.0, kappa=(0.1, 0.2))
        >>> rows.spread(3.0, error=2.0), rows.spread(30.0, error=2.0)
        (0.5, 26.0)
        """
        return max(self.label_noise_variance / 2, found - 2 * error)


@dataclass(frozen=True)
class Correction:
    """What to add to GCV to estimate the error on clean labels of the same noise.

    slope(κ, df_1) -> the part that varies; constant: the rest; noise: the σ0 that was used (None where every
    origin states its own); generator_error: E‖w_g - w0‖²_Σ averaged over synthetic rows; generator_variance:
    the part of it that label noise made; misfit: root mean square relative misfit of the GCV curve; prior: σ0²
    and the variance Σ p_g² v_g per direction that `posterior_risk` needs, for least squares; disagreement: Σ p_g
    E‖w_g - w̄‖²_Σ, what the labels of different origins differ by, which looks like label noise to a fit of them all.
    """

    slope: Callable
    constant: float
    noise: float | None
    generator_error: float
    generator_variance: float
    misfit: float = 0.0
    prior: tuple[float, float] = (0.0, 0.0)
    disagreement: float = 0.0

    def __call__(self, kappa, degrees_of_freedom):
        """The correction at effective ridges κ (L,) with their df_1 (L,)."""
        return self.slope(kappa, degrees_of_freedom) + self.constant


def is_least_squares(origins, dim):
    """Whether every generator is a least-squares fit whose error has a finite mean, T_0 > d + 1."""
    return all(not o.generations or (o.ridge == 0 and o.samples > dim + 1) for _, o in origins)


def least_squares_correction(origins, dim, clean: Any = None, clean_df: Any = None, leverage=None):
    """The exact correction 2 Σ p_g² v_g df_1 - d Σ p_g v_g.

    origins: pairs (share p_g, Provenance), shares summing to one; clean, clean_df: CleanRows and df_1 at its
    two ridges, for unknown noise; leverage: from T_0 to the relative leverage, None for Gaussian inputs.

    >>> fake = Provenance(5, samples=41, noise=2.0)
    >>> kappa, df = np.zeros(1), np.full(1, 20.0)
    >>> bool(least_squares_correction([(1.0, fake)], dim=20)(kappa, df)[0] == 5 * 2.0**2 / (41 - 20 - 1) * 20)
    True
    """
    per_unit = [(p, o, _gain(o, dim, leverage)) for p, o in origins]
    synthetic = sum(p for p, o, _ in per_unit if o.generations)
    noise = None
    if clean is not None:
        known = sum(p**2 * u * o.noise**2 for p, o, u in per_unit if o.noise is not None)
        unknown = sum(p**2 * u for p, o, u in per_unit if o.noise is None)
        per_variance = unknown * (clean_df[0] - clean_df[1]) / synthetic
        rest = clean.contrast - known * (clean_df[0] - clean_df[1]) / synthetic
        found, error = rest / per_variance, abs(clean.standard_error / per_variance)
        sharp, vague = error**-2, clean.spread(found, error) ** -2
        noise = float(np.sqrt(max(0.0, sharp * found + vague * clean.label_noise_variance) / (sharp + vague)))
    sigmas = [(noise if o.noise is None else o.noise) or 0.0 for _, o, _ in per_unit]
    priced = [(p, u * sigma**2) for (p, _, u), sigma in zip(per_unit, sigmas, strict=True)]
    price, level = sum(p**2 * v for p, v in priced), dim * sum(p * v for p, v in priced)
    typical = sum(p * sigma**2 for (p, _, _), sigma in zip(per_unit, sigmas, strict=True)) / synthetic
    return Correction(
        lambda kappa, df: 2 * price * df,
        -level,
        noise,
        level / synthetic,
        level / synthetic,
        prior=(typical, price),
        disagreement=level - dim * price,
    )


def _gain(origin, dim, leverage):
    """v per unit of label noise variance."""
    if not origin.generations:
        return 0.0
    relative = 1.0 if leverage is None else leverage(origin.samples)
    return relative * origin.generations / (origin.samples - dim - 1)


def posterior_risk(path, ridge, generator_noise_variance, price):
    r"""Posterior expectation of the error on clean labels of the same noise, at ridges λ (L,), or (L, r): one per
    eigendirection, as any other spectral filter has.

    path: RidgePath with at least FEW rows per direction; price: Σ p_g² v_g. Derived here (module docstring).

    Where the labels along a direction are mostly the generators' noise, its filter is worth closing:

    >>> from modelcollapse.numerics.provenance.ridge_path import RidgePath
    >>> path = RidgePath(np.full(10, 99.0), np.full((10, 1), 5.0), rest=80.0, rows=100, null=89)
    >>> ridge = np.geomspace(1e-3, 1e3, 61)
    >>> picks = [ridge[np.argmin(posterior_risk(path, ridge, 1.0, price))] for price in (0.01, 0.1, 0.2)]
    >>> bool(picks == sorted(picks) and picks[0] < picks[-1])
    True
    """
    label_noise = path.rest / path.null
    noise = label_noise + path.rows * price
    shapes = path.values ** (1 + EXPONENTS[:, None])
    shapes *= path.rows / shapes.sum(axis=1, keepdims=True)
    signal = _amplitudes(path, generator_noise_variance)[:, None, None] * shapes  # (A, Q, r)
    wiener = signal / (signal + noise)
    keep = path.values / (path.values + path.rows * np.reshape(ridge, (len(ridge), -1)))
    risk = np.zeros(len(keep))
    for squares in path.coordinates.T**2:
        log = -np.sum(squares / (signal + noise) + np.log(signal + noise), axis=-1) / 2
        weights = np.exp(log - log.max())
        weights /= weights.sum()
        mean, second = (np.einsum("aq,aqr->r", weights, power) for power in (wiener, wiener**2))
        risk += (keep**2 - 2 * keep * mean) @ squares + second @ squares + noise * mean.sum()
    return risk / (path.rows * path.coordinates.shape[1]) + label_noise


def _amplitudes(path, generator_noise_variance):
    """Variances of the signal: SIGNAL times σ0², and up to four times what the labels show where generators were
    quieter than that allows."""
    low, high = (generator_noise_variance * factor for factor in SIGNAL)
    high = max(high, 4 * np.sum(path.coordinates**2) / path.rows / path.coordinates.shape[1])
    low = max(low, 1e-9 * high)
    return np.geomspace(low, high, max(25, int(7 * np.log10(high / low))))
