r"""The marginal likelihood of rows under `modelcollapse.numerics.mixes.evidence`, its gradient and the posterior.

Origins. The moments of an origin are $G = U U^\top$, U (p, r) with as many columns as there are rows or directions,
whichever are fewer, and of its labels only y (r,) matters, $b = U y$. With $\delta$ integrated out they are a sample of
$\rho w$ with the information

$$ N = (B + \sigma^2 G^{-1})^{-1} = L L^\top , \quad L = \frac1\sigma U C^{-1/2} , \quad C = 1 + U^\top B U / \sigma^2 .
$$

Few rows of others. The directions are uncorrelated over all rows, whose moments are a diagonal D. The origin with the
most rows has what the others leave of it, $G = D - U U^\top$ with the U of all others, and

$$ N = n - L L^\top , \quad n = \frac{D}{\sigma^2 + B D} , \quad L = \frac1\sigma (1 - B n) U C^{-1/2} , \quad C = 1 -
U^\top \frac{B}{\sigma^2 + B D} U . $$

Posterior. $V = (A^{-1} + \sum \rho N \rho)^{-1}$: $\phi = (A^{-1} + \sum \rho n \rho)^{-1}$, then updated by the L of
the largest origin and by those of all others together, such as

$$ V' = V - V Q (1 + Q^\top V Q)^{-1} Q^\top V , \quad m' = m + V Q (1 + Q^\top V Q)^{-1} (z - Q^\top m) , \quad
Q = \rho L , \ z = C^{-1/2} y / \sigma . $$

Twenty real rows beside any number of synthetic ones cost $20^2 p$, not $p^3$. Where Q has more columns than rows, V is
the inverse of a matrix of its size as usual.

Gradient. By Fisher's identity it is the posterior mean of that of the complete likelihood. With $t = (1 - N B) b /
\sigma^2$, $q = t - N \rho m$ and $M = \rho V \rho$: $E \delta = B q$, $b - G E(\rho w + \delta) = \sigma^2 q$, $Cov\,
\delta = B - B (N - N M N) B$, $G\, Cov(\rho w + \delta, w) = \sigma^2 N \rho V$. Derived here.
"""

from typing import Any, NamedTuple

import numpy as np

from modelcollapse.numerics.equivalents.symmetric import definite, lapack
from modelcollapse.theory.populations.factors import pivoted

_CUT = 1e-14  # of a column's square over all rows: what is left below is rounding


class Sample(NamedTuple):
    """Rows of an origin: their number; cross (p, k), squares (sum over outputs) as in Moments; root U (p, r) of their
    moments, UUᵀ, and labels y (r, k), cross = Uy; or where `total` D (p,) is given root of all others, the moments
    being D - UUᵀ, and no labels; squares_left: what labels have that no direction explains."""

    rows: float
    cross: np.ndarray
    squares: float
    root: np.ndarray
    labels: np.ndarray
    total: np.ndarray | None
    squares_left: float = 0.0


class Origin(NamedTuple):
    """N = plain + sign LLᵀ.

    own: B (p,); missed: the share of B that what is missed adds, (p,), or None; noise: σ²; factors: ρ (p,); plain: n
    (p,); half: L (p, r); left: 1 - B n, (p,); both None where the sign is 1; scaled: z (r, k), or t (p, k) where the
    sign is -1; lost: -2 log likelihood, without zᵀz, or at w = 0 where the sign is -1.
    """

    own: np.ndarray
    missed: np.ndarray | None
    noise: float
    factors: np.ndarray
    plain: np.ndarray | None
    half: np.ndarray
    sign: float
    left: np.ndarray | None
    scaled: np.ndarray
    lost: float

    def information(self):
        """ρNρ, (p, p)."""
        half = self.factors[:, None] * self.half
        return half @ half.T if self.plain is None else np.diag(self.factors**2 * self.plain) - half @ half.T

    def unexplained(self, taught):
        """q (p, k), where ρm is `taught`."""
        if self.plain is None:
            return self.half @ (self.scaled - self.half.T @ taught)
        return self.scaled - self.plain[:, None] * taught + self.half @ (self.half.T @ taught)


class Covariance(NamedTuple):
    """V = plain + Σ sign TᵀT: plain (p,), parts: pairs (T (R, p), ±1)."""

    plain: np.ndarray
    parts: tuple = ()

    def __matmul__(self, right):
        found = self.plain[:, None] * right
        for part, sign in self.parts:
            found += sign * (part.T @ (part @ right))
        return found

    def diagonal(self):
        return self.plain + sum(sign * np.einsum("ij,ij->j", part, part) for part, sign in self.parts)

    def dense(self):
        return np.diag(self.plain) + sum(sign * part.T @ part for part, sign in self.parts)


def samples(moments, thin):
    """A Sample of each of the Moments; thin: whether the largest is written as what the others leave of the sum, which
    is diagonal."""
    total = np.sum([moment.gram for moment in moments], axis=0).diagonal()
    lengths = np.sqrt(np.where(total > 0, total, 1.0))
    largest = int(np.argmax([moment.rows for moment in moments])) if thin else -1
    found: list[Any] = [None if g == largest else _sample(moment, lengths) for g, moment in enumerate(moments)]
    if thin:
        rows, _, cross, squares = moments[largest]
        others = np.hstack([one.root for one in found if one])
        found[largest] = Sample(rows, cross, float(squares.sum()), others, cross[:0], total)
    return found


def _sample(moment, lengths):
    """The Sample of one of the Moments by the pivoted factor of Cholesky, columns in units of `lengths` (p,)."""
    root, some = pivoted(moment.gram / lengths / lengths[:, None], _CUT)
    labels = _solved(root[some], (moment.cross / lengths[:, None])[some])
    squares = float(moment.squares.sum())
    left = max(squares - np.vdot(labels, labels), 0.0)
    return Sample(moment.rows, moment.cross, squares, lengths[:, None] * root, labels, None, left)


def origin_of(sample, own, missed, noise, factors):
    """The Origin with variances `own` of its errors, shares `missed` of them, noise σ² and factors ρ."""
    given = own, missed, noise, factors
    return _of_rows(sample, *given) if sample.total is None else _of_the_rest(sample, *given)


def _of_rows(sample, own, missed, noise, factors):
    root, deviation = sample.root, np.sqrt(noise)
    half, scaled, log_determinant = root / deviation, sample.labels / deviation, 0.0
    if own.any():
        core = _factor(np.eye(root.shape[1]) + root.T @ ((own / noise)[:, None] * root))
        half, scaled = _solved(core, half.T).T, _solved(core, scaled)
        log_determinant = _log_determinant(core)
    lost = scaled.shape[1] * (sample.rows * np.log(noise) + log_determinant) + sample.squares_left / noise
    return Origin(own, missed, noise, factors, None, half, 1.0, None, scaled, float(lost))


def _of_the_rest(sample, own, missed, noise, factors):
    root, whole, c = sample.root, noise + own * sample.total, sample.cross / noise
    plain, left = sample.total / whole, noise / whole
    half, log_determinant = left[:, None] * root / np.sqrt(noise), -np.log(left).sum()
    if own.any():
        core = _factor(np.eye(root.shape[1]) - root.T @ ((own / whole)[:, None] * root))
        half = _solved(core, half.T).T
        log_determinant += _log_determinant(core)
    scaled = left[:, None] * c + half @ (half.T @ (own[:, None] * c))
    squares = sample.squares / noise - np.vdot(c, own[:, None] * scaled)
    lost = c.shape[1] * (sample.rows * np.log(noise) + log_determinant) + squares
    return Origin(own, missed, noise, factors, plain, half, -1.0, left, scaled, float(lost))


def truth(A, origins):
    """Covariance V, mean m (p, k), and -2 log likelihood of all labels: under the prior variances A (p,)."""
    inverse = 1 / A
    for one in origins:
        if one.plain is not None:
            inverse = inverse + one.factors**2 * one.plain
    outputs = origins[0].scaled.shape[1]
    V, mean, lost = Covariance(1 / inverse), np.zeros((len(A), outputs)), sum(one.lost for one in origins)
    lost += outputs * np.log(A * inverse).sum()
    for one in origins:
        if one.sign < 0:
            V, factor = _updated(V, one.factors[:, None] * one.half, -1.0)
            told = one.factors[:, None] * one.scaled
            mean = V @ told
            lost += outputs * _log_determinant(factor) - np.vdot(told, mean)
    rows = [one for one in origins if one.sign > 0]
    Q = np.concatenate([one.factors[:, None] * one.half for one in rows], axis=1)
    e = np.concatenate([one.scaled for one in rows]) - Q.T @ mean
    if Q.shape[1] < len(A) or V.parts:
        V, factor = _updated(V, Q, 1.0)
        e = _solved(factor, e)
        mean = mean + V.parts[-1][0].T @ e
        lost += np.vdot(e, e)
    else:
        root = np.sqrt(V.plain)
        factor = _factor(np.eye(len(A)) + (root[:, None] * Q) @ (root[:, None] * Q).T)
        V = Covariance(np.zeros_like(A), ((_solved(factor, np.diag(root)), 1.0),))
        mean = V @ (Q @ e)
        lost += np.vdot(e, e - Q.T @ mean)
    return V, mean, float(lost + outputs * _log_determinant(factor))


def _updated(V, Q, sign):
    """The Covariance after the information `sign` QQᵀ, Q (p, R), and the factor of 1 + sign QᵀVQ."""
    across = V @ Q
    factor = _factor(np.eye(Q.shape[1]) + sign * (Q.T @ across))
    return V._replace(parts=(*V.parts, (_solved(factor, across.T), -sign))), factor


class Moved(NamedTuple):
    """∂ log evidence by: noise, log σ²; own (p,), log B; factors (p,), log ρ."""

    noise: float
    own: np.ndarray
    factors: np.ndarray


def moved(sample, one, V, mean, diagonal):
    """Moved of an Origin; diagonal: of V."""
    outputs, L, n = mean.shape[1], one.half, one.plain
    taught = one.factors[:, None] * mean
    q = one.unexplained(taught)
    across = one.factors[:, None] * (V @ (one.factors[:, None] * L))
    through = one.sign * np.einsum("ij,ij->i", L, across)
    informed = twice = 0.0  # diagonals of N and N M N
    if one.own.any():
        informed = one.sign * np.einsum("ij,ij->i", L, L)
        twice = np.einsum("ij,ij->i", L @ (L.T @ across), L)
    if n is not None:
        variances = one.factors**2 * diagonal
        informed, twice = n + informed, n * (n * variances + 2 * through) + twice
        through = through + n * variances
    uncertain = one.own * (informed - twice)
    sees = taught + one.own[:, None] * q
    squares = (sample.squares - np.vdot(sample.cross, sees)) / one.noise - np.vdot(sees, q)
    noise = (squares + outputs * (uncertain.sum() + through.sum() - sample.rows)) / 2
    own = (one.own * (q**2).sum(axis=1) - outputs * uncertain) / 2
    return Moved(float(noise), own, (q * taught).sum(axis=1) - outputs * through)


def label_error(one, V, mean):
    """Mean (p, k) and covariance (p, p) of ρw + δ - w; V dense."""
    taught, own = one.factors[:, None] * mean, one.own[:, None] * one.half
    gap = taught - mean + one.own[:, None] * one.unexplained(taught)
    left = 1.0 if one.left is None else one.left
    through = np.diag(one.factors * left - 1) - one.sign * own @ (one.factors[:, None] * one.half).T
    return gap, np.diag(one.own * left) - one.sign * own @ own.T + through @ V @ through.T


def _factor(matrix):
    found = definite(matrix)
    if found is None:
        raise np.linalg.LinAlgError("moments of the rows are beyond double precision; standardise the inputs")
    return found


def _log_determinant(factor):
    """Of the matrix with this triangular factor."""
    return 2 * np.log(factor.diagonal()).sum()


def _solved(factor, right) -> Any:
    """The solution (n, k) of a lower triangular system."""
    return lapack("trtrs")(factor, right, lower=1)[0] if right.size else right
