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

*Least squares* ($T_0 > d + 1$, no ridge): $m = 1$ and $\Xi = v \Sigma^{-1}$ with $v = n \sigma_0^2 / (T_0 - d
- 1)$, the inverse Wishart mean. The correction is $\sum_g (2 p_g^2 v_g\, df_1 - p_g v_g d)$: nothing has to
be estimated.

*Ridge or under-determined generators*: $m < 1$, and the correction needs the eigenvalues and the signal of
the truth.

- Eigenvalues: $\kappa(\lambda) = 1 / tr(K + T\lambda)^{-1}$ and $df_1 = tr\,K(K + T\lambda)^{-1}$ are known
  from the kernel matrix $K$, and the population obeys $\sum_a \mu_a s_a / (s_a + \kappa) = df_1$ along the
  whole path: linear in the multiplicities $\mu \ge 0$ on a grid of eigenvalues, hence non-negative least
  squares. This removes the spread of sample eigenvalues.
- Signal: the labels only show $\bar w$. The map of one generation is linear in ($w_0^2$, $\sigma_0^2$), and
  along the path $GCV = [\kappa^2 \sum_j s_j E\bar w_j^2 / (s_j + \kappa)^2 + const] / (1 - df_2 / T)$. A free
  signal per eigenvalue is not recoverable: the generators shrank it by $m_j$, and undoing that amplifies
  noise by $1/m_j^2$. So the signal is taken from the source conditions $w_0^2(s) \propto s^q / (1 +
  (c/s)^4)$, one amplitude and one noise level fitted per $(q, c)$ by non-negative least squares, and the
  correction is averaged over all of them with weights $\exp(-T\,\overline{\rho^2}/4)$, $\rho$ the relative
  misfit of the GCV curve: the likelihood of one observation of relative variance $2/T$, which is what a mean
  of $T$ squares has. An amplitude far above the variance of the labels is discounted the same way: a signal
  that the chain has erased stays unknown.

*Unknown $\sigma_0$, some real rows.* With leave-one-out predictions $\hat f_i$ at two ridges and residuals
$r_i$ of the second, the mean of $r_i (\hat f_i' - \hat f_i)$ over synthetic rows minus the mean over real
rows has expectation $\langle w_{syn} - w_0, \hat w' - \hat w \rangle_\Sigma = \sum_j s_j (P'_j - P_j)
E[(w_{syn} - w_0)_j \bar w_j]$, whatever the label noise of either kind: one more equation, linear in
$\sigma_0^2$, solved together with the vague one that $\sigma_0^2$ is the label noise variance give or take as
much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq, nnls

from modelcollapse.theory.domains import GENERATIONS, NOISE, RIDGE, SAMPLES
from modelcollapse.theory.leaves import leaf

EXPONENTS = np.linspace(-1.0, 3.0, 9)  # q
CUTS = 4  # values of c beside 0
AMPLITUDE = 4.0  # signal variance beyond this many label variances is implausible
_POINTS = 40


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
class RidgePath:
    """Kernel matrix and labels in the kernel's eigenbasis, after centring.

    values: positive eigenvalues of the T x T kernel matrix, (r,); coordinates: labels along them, (r,
    outputs); rest: mean over the outputs of the squared length of the labels outside; rows: T; null:
    dimension outside (T - r, one less with an intercept).
    """

    values: np.ndarray
    coordinates: np.ndarray
    rest: float
    rows: int
    null: int

    def __call__(self, ridge):
        """κ, GCV and df_1 at ridges λ (L,), three arrays (L,).

        GCV is mean((y - ŷ)²) / (1 - tr H / T)², averaged over the outputs, in a form that is finite at λ = 0
        for T < d.

        >>> path = RidgePath(np.array([2.0, 1.0]), np.ones((2, 1)), 1.0, rows=3, null=1)
        >>> kappa, gcv, df = path(np.array([0.0, 1e-9]))
        >>> np.allclose(gcv[0], gcv[1]) and np.allclose(df, 2)
        True
        """
        alpha = self.rows * np.asarray(ridge, dtype=float)[:, None]
        if self.null:  # multiplied through by alpha
            inside = np.where(alpha > 0, alpha / (self.values + alpha), 0.0)
            trace, scale, rest = inside.sum(axis=1) + self.null, alpha[:, 0], self.rest
        else:
            inside = 1 / (self.values + alpha)
            trace, scale, rest = inside.sum(axis=1), 1.0, 0.0
        squares = inside**2 @ np.mean(self.coordinates**2, axis=1) + rest
        return (
            scale / trace,
            self.rows * squares / trace**2,
            np.sum(self.values / (self.values + alpha), axis=1),
        )

    @property
    def samples(self):
        """Dimension that the labels live in: T, or T - 1 with an intercept."""
        return len(self.values) + self.null

    def curve(self):
        """About forty points (λ, κ, GCV, df_1), even in log κ, from the edge of interpolation to the null
        model."""
        ridge = np.geomspace(1e-9, 1e3, 241) * self.values.sum() / self.rows
        kappa, gcv, df = self(ridge)
        first = np.flatnonzero(df >= 0.995 * df[0])[-1]
        even = np.linspace(np.log(kappa[first]), np.log(kappa[-1]), _POINTS)
        pick = np.unique(np.argmin(np.abs(np.log(kappa) - even[:, None]), axis=1))
        return ridge[pick], kappa[pick], gcv[pick], df[pick]


def population_spectrum(kappa, degrees_of_freedom, dim=np.inf):
    """Eigenvalues s (A,) and multiplicities μ (A,) that reproduce df_1 along a path of effective ridges κ
    (L,), ascending.

    Derived here (module docstring). Below the smallest κ the path is continued by its own power law, up to
    df_1 = 0.95 dim, three decades at most: only generators that saw more rows than are at hand look there.

    >>> kappa = np.geomspace(1e-3, 10, 40)
    >>> s, mu = population_spectrum(kappa, 30 * 1 / (1 + kappa), dim=30)
    >>> bool(abs(mu @ s - 30) < 0.3)
    True
    """
    near = slice(0, 8)
    slope = np.clip(-np.polyfit(np.log(kappa[near]), np.log(degrees_of_freedom[near]), 1)[0], 0.0, 1.0)
    below = kappa[0] * np.geomspace(1e-3, 0.8, 15)
    df_below = degrees_of_freedom[0] * (below / kappa[0]) ** -slope
    keep = df_below < 0.95 * dim
    kappa, df = np.append(below[keep], kappa), np.append(df_below[keep], degrees_of_freedom)
    grid = np.geomspace(1e-1 * kappa[0], kappa[-1], 72)
    weight = 1 / np.sqrt(df)
    mu, _ = nnls(weight[:, None] * grid / (grid + kappa[:, None]), weight * df, maxiter=20000)
    return grid[mu > 1e-9], mu[mu > 1e-9]


def effective_ridge(ridge, samples, s, mu, dim):
    """The largest root κ of κ - λ = κ df_1(κ) / T for atoms s, μ of a spectrum with `dim` directions;
    scalars."""
    if ridge == 0 and samples >= dim:
        return 0.0
    if ridge == 0 and samples >= mu.sum():  # beyond what the atoms resolve
        return float(s.min())
    top = np.log(ridge + mu @ s / samples)
    bottom = np.log(ridge) if ridge > 0 else top - 60

    def gap(log_kappa):
        kappa = np.exp(log_kappa)
        return 1 - mu @ (s / (s + kappa)) / samples - ridge / kappa

    root: Any = bottom if gap(bottom) >= 0 else brentq(gap, bottom, top + 1e-9, xtol=1e-13)
    return float(np.exp(root))


def chain_moments(s, mu, dim, signal, noise_variance, provenance):
    r"""Mean factor m (A,) and variance Ξ per direction (A, Q) of a chain of fits, for Q columns of truth and
    label noise.

    signal: energies per atom (A, Q); noise_variance: (Q,). One generation is $m \leftarrow pm$,
    $\Xi \leftarrow p^2 \Xi + v s/(s+\kappa)^2$, $v = [\kappa^2 \sum c s/(s+\kappa)^2 + \sigma_0^2]/(T_0 -
    df_2)$: Ξ is linear in (signal, noise variance). Least squares uses the exact inverse-Wishart mean, $T_0 -
    d - 1$.

    >>> s, mu = np.ones(1), np.array([10.0])
    >>> m, xi = chain_moments(s, mu, 10, np.ones((1, 1)), np.ones(1), Provenance(3, samples=21))
    >>> bool(m[0] == 1 and np.isclose(xi[0, 0], 3 / (21 - 10 - 1)))
    True
    """
    mean, variance = np.ones_like(s), np.zeros_like(signal)
    if not provenance.generations:
        return mean, variance
    kappa = effective_ridge(provenance.ridge, provenance.samples, s, mu, dim)
    shrink, gain = s / (s + kappa), s / (s + kappa) ** 2
    room = provenance.samples - (mu @ shrink**2 if kappa else dim + 1)
    for _ in range(provenance.generations):
        v = (kappa**2 * ((mean**2 * gain) @ signal + (mu * gain) @ variance) + noise_variance) / room
        mean, variance = shrink * mean, shrink[:, None] ** 2 * variance + gain[:, None] * v
    return mean, variance


@dataclass(frozen=True)
class CleanRows:
    """What real rows say about σ0: the contrast of the module docstring and its standard error, the variance
    of the label noise (σ0² is taken to be that, give or take as much, before the contrast is seen), and the
    effective ridges of ŵ' and ŵ.
    """

    contrast: float
    standard_error: float
    label_noise_variance: float
    kappa: tuple[float, float]


@dataclass(frozen=True)
class Correction:
    """What to add to GCV to estimate the error on clean labels of the same noise.

    slope(κ, df_1) -> the part that varies; constant: the rest; noise: the σ0 that was used (None where every
    origin states its own); generator_error: E‖w_g - w0‖²_Σ averaged over synthetic rows; generator_variance:
    the part of it that label noise made; misfit: root mean square relative misfit of the GCV curve.
    """

    slope: Callable
    constant: float
    noise: float | None
    generator_error: float
    generator_variance: float
    misfit: float = 0.0

    def __call__(self, kappa, degrees_of_freedom):
        """The correction at effective ridges κ (L,) with their df_1 (L,)."""
        return self.slope(kappa, degrees_of_freedom) + self.constant


def is_least_squares(origins, dim):
    """Whether every generator is a least-squares fit whose error has a finite mean, T_0 > d + 1."""
    return all(not o.generations or (o.ridge == 0 and o.samples > dim + 1) for _, o in origins)


def least_squares_correction(origins, dim, clean: Any = None, clean_df: Any = None):
    """The exact correction 2 Σ p_g² v_g df_1 - d Σ p_g v_g.

    origins: pairs (share p_g, Provenance), shares summing to one; clean, clean_df: CleanRows and df_1 at its
    two ridges, for unknown noise.
    """
    per_unit = [(p, o, o.generations / (o.samples - dim - 1) if o.generations else 0.0) for p, o in origins]
    synthetic = sum(p for p, o, _ in per_unit if o.generations)
    noise = None
    if clean is not None:
        known = sum(p**2 * u * o.noise**2 for p, o, u in per_unit if o.noise is not None)
        unknown = sum(p**2 * u for p, o, u in per_unit if o.noise is None)
        per_variance = unknown * (clean_df[0] - clean_df[1]) / synthetic
        rest = clean.contrast - known * (clean_df[0] - clean_df[1]) / synthetic
        sharp, vague = (per_variance / clean.standard_error) ** 2, clean.label_noise_variance**-2
        noise = float(
            np.sqrt(
                max(0.0, sharp * rest / per_variance + vague * clean.label_noise_variance) / (sharp + vague)
            )
        )
    sigmas = [(noise if o.noise is None else o.noise) or 0.0 for _, o, _ in per_unit]
    priced = [(p, u * sigma**2) for (p, _, u), sigma in zip(per_unit, sigmas, strict=True)]
    price, level = sum(p**2 * v for p, v in priced), dim * sum(p * v for p, v in priced)
    return Correction(lambda kappa, df: 2 * price * df, -level, noise, level / synthetic, level / synthetic)


def source_conditions(s, mu, smallest):
    """Signals of unit variance over atoms (A, Q): s^q below no cut, and with a cut at CUTS places above the
    smallest κ."""
    cuts = np.append(0.0, np.geomspace(smallest, s.max(), CUTS + 2)[1:-1])
    shapes = [mu * (s / s.max()) ** q / (1 + (c / s) ** 4) for c in cuts for q in EXPONENTS]
    return np.array([shape / (s @ shape) for shape in shapes]).T


def plug_in_correction(path, s, mu, dim, origins, clean=None):
    """The correction for generators that shrink the signal, averaged over source conditions (module
    docstring).

    path: RidgePath of the pooled rows; s, mu: population atoms (A,) of `dim` directions; origins: pairs
    (share, Provenance), shares summing to one; clean: CleanRows, needed where a Provenance has noise None.
    """
    _, kappa, gcv, _ = path.curve()
    shapes = source_conditions(s, mu, kappa[0])
    count, atoms = shapes.shape[1], len(s)
    signal = np.column_stack(
        [shapes, np.zeros((atoms, 2))]
    )  # unit signals | known noise | unknown noise of variance 1
    mean, price = np.zeros(atoms), np.zeros_like(signal)
    labels, error = np.zeros(count + 2), np.zeros(count + 2)
    for share, origin in origins:
        noise = np.zeros(count + 2)
        noise[count + (origin.noise is None)] = 1.0 if origin.noise is None else origin.noise**2
        m, xi = chain_moments(s, mu, dim, signal, noise, origin)
        mean, price = mean + share * m, price + share**2 * xi
        labels += share * (s @ ((m**2)[:, None] * signal + mu[:, None] * xi))
        error += share * (s @ (((1 - m) ** 2)[:, None] * signal + mu[:, None] * xi))
    synthetic = sum(share for share, origin in origins if origin.generations)
    excess = mu[:, None] * price + (mean * (mean - 1))[:, None] * signal
    shrink = s / (s + kappa[:, None])
    room = 1 - shrink**2 @ mu / path.samples
    curve = (1 - shrink) ** 2 * s @ (excess + mean[:, None] * signal) / room[:, None]
    contrast = None
    if clean is not None:
        first, second = (s**2 / (s + k) for k in clean.kappa)
        contrast = (first - second) @ excess / synthetic
    weights, amplitudes, misfits = _fit(curve, 1 / room, gcv, path.samples, contrast, clean)
    mixture = np.append((weights * amplitudes[:, 0]), [1.0, weights @ amplitudes[:, 2]])
    excess, constant = excess @ mixture, (s @ signal - labels) @ mixture
    return Correction(
        lambda kappa, df: 2 * (s**2 / (s + kappa[:, None])) @ excess,
        float(constant),
        None if clean is None else float(np.sqrt(mixture[-1])),
        float(error @ mixture / synthetic),
        float(error[count:] @ mixture[count:] / synthetic),
        float(misfits.min()),
    )


def _fit(curve, level, gcv, samples, contrast, clean):
    """Posterior weights (Q,), (amplitude, label noise variance, σ0²) (Q, 3) and misfits (Q,) of all source
    conditions."""
    points, count = len(gcv), curve.shape[1] - 2
    unit = np.sqrt(2 * points / samples)
    target = np.append(1 - curve[:, count] / gcv, 0.0)
    prior = unit / (AMPLITUDE * gcv[-1])
    solutions, losses, misfits = np.zeros((count, 3)), np.zeros(count), np.zeros(count)
    for q in range(count):
        rows = [np.column_stack([curve[:, q], level, curve[:, -1]]) / gcv[:, None], [[prior, 0, 0]]]
        goal = target
        if clean is None:
            rows[0][:, 2] = 0.0
        else:
            rows += [np.array([[contrast[q], 0, contrast[-1]]]) * unit / clean.standard_error]
            rows += [[[0, 0, unit / clean.label_noise_variance]]]
            goal = np.append(target, [(clean.contrast - contrast[count]) * unit / clean.standard_error, unit])
        matrix = np.vstack(rows)
        solutions[q], _ = nnls(matrix, goal)
        residual = matrix @ solutions[q] - goal
        losses[q], misfits[q] = residual @ residual, np.sqrt(np.mean(residual[:points] ** 2))
    weights = np.exp(-(losses - losses.min()) * samples / (4 * points))
    return weights / weights.sum(), solutions, misfits
