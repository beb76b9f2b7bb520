r"""The correction for generators that shrink the signal: eigenvalues and a family of signals from the rows at
hand.

Setting and symbols of `modelcollapse.numerics.provenance.corrected_risk`. Ridge and under-determined generators have
$m < 1$, and the correction needs the eigenvalues and the signal of the truth.

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
"""

from typing import Any

import numpy as np

from modelcollapse.numerics.provenance.corrected_risk import EXPONENTS, Correction

CUTS = 4  # values of c beside 0
ENOUGH = 10  # residual dimensions: σ² to within 45 %
AMPLITUDE = 4.0  # signal variance beyond this many label variances is implausible


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
    from scipy.optimize import nnls

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
    from scipy.optimize import brentq

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

    >>> from modelcollapse.numerics.provenance.corrected_risk import Provenance
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


def source_conditions(s, mu, smallest):
    """Signals of unit variance over atoms (A, Q): s^q below no cut, and with a cut at CUTS places above the
    smallest κ."""
    cuts = np.append(0.0, np.geomspace(smallest, s.max(), CUTS + 2)[1:-1])
    shapes = [mu * (s / s.max()) ** q / (1 + (c / s) ** 4) for c in cuts for q in EXPONENTS]
    return np.array([shape / (s @ shape) for shape in shapes]).T


def label_noise_variance(path, s, mu):
    """Variance of the label noise of the rows at hand: the residuals of least squares where at least ENOUGH
    dimensions are left for them, and where not, the noise level of the source conditions that fit the GCV
    curve.

    Never the smallest GCV, which holds the error of the fit as well, most of all where the signal is slow.
    """
    if path.exhausted and path.null >= ENOUGH:
        return path.rest / path.null
    _, kappa, gcv, _ = path.curve()
    shapes = source_conditions(s, mu, kappa[0])
    shrink = s / (s + kappa[:, None])
    room = 1 - shrink**2 @ mu / path.samples
    curve = (1 - shrink) ** 2 * s @ np.column_stack([shapes, np.zeros((len(s), 2))]) / room[:, None]
    weights, fitted, _ = _fit(curve, 1 / room, gcv, path.samples, None, None)
    return max(weights @ fitted[:, 1], 1e-3 * gcv.min())


def plug_in_correction(path, s, mu, dim, origins, clean=None):
    """The correction for generators that shrink the signal, averaged over source conditions (module
    docstring).

    path: RidgePath of the pooled rows; s, mu: population atoms (A,) of `dim` directions; origins: pairs
    (share, Provenance), shares summing to one; clean: CleanRows, needed where a Provenance has noise None.
    """
    _, kappa, gcv, _ = path.curve()
    shapes = source_conditions(s, mu, kappa[0])
    count, atoms = shapes.shape[1], len(s)
    signal = np.column_stack([shapes, np.zeros((atoms, 2))])  # unit signals | known noise | unknown noise of variance 1
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
    disagreement = (labels - s @ (excess + mean[:, None] * signal)) @ mixture
    excess, constant = excess @ mixture, (s @ signal - labels) @ mixture
    return Correction(
        lambda kappa, df: 2 * (s**2 / (s + kappa[:, None])) @ excess,
        float(constant),
        None if clean is None else float(np.sqrt(mixture[-1])),
        float(error @ mixture / synthetic),
        float(error[count:] @ mixture[count:] / synthetic),
        float(misfits.min()),
        disagreement=float(disagreement),
    )


def _fit(curve, level, gcv, samples, contrast, clean):
    """Posterior weights (Q,), (amplitude, label noise variance, σ0²) (Q, 3) and misfits (Q,) of all source
    conditions."""
    from scipy.optimize import nnls

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
            goal = np.append(target, (clean.contrast - contrast[count]) * unit / clean.standard_error)
            found = nnls(np.vstack(rows), goal)[0][2]
            spread = clean.spread(found, abs(clean.standard_error / contrast[-1]))
            rows += [[[0, 0, unit / spread]]]
            goal = np.append(goal, unit * clean.label_noise_variance / spread)
        matrix = np.vstack(rows)
        solutions[q], _ = nnls(matrix, goal)
        residual = matrix @ solutions[q] - goal
        losses[q], misfits[q] = residual @ residual, np.sqrt(np.mean(residual[:points] ** 2))
    weights = np.exp(-(losses - losses.min()) * samples / (4 * points))
    return weights / weights.sum(), solutions, misfits
