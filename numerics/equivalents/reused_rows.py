r"""Fits one after the other that use the rows of earlier rounds again: all of them, some by lot, or none.

Round g = 1..K brings T_g fresh rows with labels x·ŵ_{g−1} + N(0, σ_g²), ŵ_0 = w0. Fit k is a ridge fit on rows of the
rounds g ≤ k, each with the chance π_gk, drawn anew for every fit; N_k = Σ_g π_gk T_g rows in all, κ_k = κ(λ_k, N_k).
Fits share rows, so a row's residual depends on what the row did to earlier fits. Leave one row out: with e_k = ŵ_k − w0
its residual in fit k, in units of λ_k/κ_k, is

    v_k = b_k (u_k − Σ_{g≤l<k} R_kl v_l/N_l),    u_k = x·e_{g−1} + ε − x·e_k,    P(b_k = 1) = π_gk,             (1)

where e_k has not seen the row and R_kl = Σ_j μ_j s_j r_kl(s_j) is how fit k answers to a force on fit l. On average a
field added to x·e_m moves v_k by

    D_km = π_gk ([m = g−1] − [m = k] − Σ_{g≤l<k} R_kl D_lm/N_l),    G_km = Σ_g T_g D^g_km/N_k,    G_kk = −1 .     (2)

Leave one direction out: it feels the answers of all residuals and a Gaussian force z of covariance V,

    (κ_k + s) e_k = √s z_k + s Σ_{1≤m<k} G_km e_m − κ_k w0,    V_kl = Σ_g T_g E v_k v_l/(N_k N_l),                (3)
    C_kl = E x·e_k x·e_l = Σ_j s_j (a_k a_l w0_j² + μ_j s_j Σ_pq r_kp r_lq V_pq),    r the inverse of (3),        (4)

a_k the mean of e_k in units of w0. (1) expresses E v_k v_l by C, linearly; C_kl and V_kl are found together, l by l.
The error of fit k is C_kk. All rows kept (π = 1) give the formula of accumulated data, none (π_gk = [g = k]) that of a
chain. In the proportional limit; derived here.

Shapes: P lanes, K fits, A atoms. Fits count from 0 in arrays of fits, fields from 0 = truth.
"""

from typing import NamedTuple

import numpy as np

from modelcollapse.numerics.arrays import Array, quiet
from modelcollapse.numerics.equivalents import ridge_equation
from modelcollapse.numerics.equivalents.shares import divide, in_range, samples_left, shares

__all__ = ["errors_of_reused_rows"]


class _Answers(NamedTuple):
    """What follows from first moments alone."""

    rows: Array  # (P, K) N_k
    left: Array  # (P, K) 1 − df_2/N_k
    memory: Array  # (P, K, K) R_kl/N_l, l < k
    answer: Array  # (P, K, K, A) s r_kl
    mean: Array  # (P, K, A) a_k


@quiet()
def errors_of_reused_rows(atoms, chance, samples, noise, ridge):
    """Test errors of fits that share rows, as NumPy arrays.

    atoms : eigenvalues, signal (energies) and multiplicity, (A,) each
    chance : (K, K), π[g, k] in [0, 1]: the chance of a row of round g in fit k ≥ g, zero for g > k; positive for g = k
    samples, noise : (P, K) rows and noise of each round;  ridge : (P, K) λ of each fit's mean squared error

    Returns errors (P, K), inf where a fit without ridge has as many rows as directions and noise, and converged (P,).
    """
    found, converged = _answers(atoms, chance, samples, ridge)
    errors = _errors(atoms, chance, samples, noise, found)
    endless = np.cumsum((found.left == 0) & np.any(noise > 0, -1)[:, None], -1) > 0
    return np.where(endless, np.inf, errors), converged


def _answers(atoms, chance, samples, ridge):
    s, mu = atoms.eigenvalues[None], atoms.multiplicity[None]
    lanes, fits = samples.shape
    rows = samples @ chance
    memory, answer = np.zeros((lanes, fits, fits)), np.zeros((lanes, fits, fits, s.size))
    field = np.zeros((lanes, fits, fits, fits))  # D^g_km
    mean, left, converged = np.zeros((lanes, fits, s.size)), np.ones((lanes, fits)), np.ones(lanes, bool)
    for k in range(fits):
        kappa, fine = ridge_equation.solve(s, mu, rows[:, k], ridge[:, k])
        converged &= fine
        left[:, k] = samples_left(s, mu, rows[:, k], kappa)[1] / rows[:, k]
        learned, null = shares(in_range(s), in_range(kappa)[:, None])
        shown = samples * chance[:, k] / rows[:, k, None]  # the rounds' shares of the fit's rows
        # G = direct − R H and R = G B, (2) and (3) for m, l < k
        direct = shown[:, 1 : k + 1]
        H = np.einsum("pg,pglm->plm", shown[:, : k + 1], field[:, : k + 1, :k, :k]) / rows[:, :k, None]
        B = np.einsum("a,pa,pmla->pml", mu[0], learned, answer[:, :k, :k])
        response = np.linalg.solve(np.eye(k) + (H @ B).swapaxes(1, 2), (direct[:, None] @ B).swapaxes(1, 2))[..., 0]
        G = direct - (response[:, None] @ H)[:, 0]
        memory[:, k, :k] = response / rows[:, :k]
        answer[:, k, k] = learned
        answer[:, k, :k] = learned[:, None] * np.einsum("pm,pmla->pla", G, answer[:, :k, :k])
        mean[:, k] = learned * np.einsum("pm,pma->pa", G, mean[:, :k]) - null
        for g in range(k + 1):
            moved = -np.einsum("pl,plm->pm", memory[:, k, :k], field[:, g, :k])
            moved[:, k] -= 1
            if g:
                moved[:, g - 1] += 1
            field[:, g, k] = chance[g, k] * moved
    return _Answers(rows, left, memory, answer, mean), converged


def _errors(atoms, chance, samples, noise, found):
    s, mu = atoms.eigenvalues, atoms.multiplicity
    rows, left, memory, answer, mean = found
    lanes, fits = samples.shape
    C, V = np.zeros((lanes, fits + 1, fits + 1)), np.zeros((lanes, fits, fits))
    vv, uv = np.zeros((2, lanes, fits, fits, fits))  # E v_k v_l and E u_k v_l by round, of (1)
    for k in range(fits):
        old = memory[:, k, :k]
        for l in range(k + 1):
            own = slice(0, l + 1)
            # (1) without the part of C_kl that V_kl is to add, whose factor is `weight`
            labels = np.diagonal(C[:, own, own], axis1=1, axis2=2) + noise[:, own] ** 2
            uu = labels - C[:, own, l + 1] - C[:, own, k + 1]
            fixed = chance[own, l] * (uu - np.einsum("pq,pgq->pg", memory[:, l, :l], uv[:, own, k, :l]))
            if l < k:
                rest = chance[own, k] * (fixed - np.einsum("pq,pgq->pg", old, vv[:, own, :k, l]))
                weight = chance[own, k] * chance[own, l]
            else:
                again = np.einsum("pq,pr,pgqr->pg", old, old, vv[:, :, :k, :k])
                rest = chance[own, k] * (uu - 2 * np.einsum("pq,pgq->pg", old, uv[:, own, k, :k]) + again[:, own])
                weight = chance[own, k]
            pair = rows[:, k] * rows[:, l]
            shared = samples[:, own] @ weight / pair
            bias = np.einsum("a,pa,pa->p", s * atoms.signal, mean[:, k], mean[:, l])
            # (4) without V_kl, which is still zero here
            forced = V[:, : k + 1, own] @ answer[:, l, own]
            known = bias + np.einsum("a,pxa,pxa->p", mu, answer[:, k, : k + 1], forced)
            beta = np.einsum("a,pa,pa->p", mu, answer[:, k, k], answer[:, l, l])
            kept = left[:, k] if l == k else 1 - shared * beta
            V[:, k, l] = V[:, l, k] = divide(np.sum(samples[:, own] * rest, -1) / pair + shared * known, kept)
            C[:, k + 1, l + 1] = C[:, l + 1, k + 1] = known + beta * V[:, k, l]
            vv[:, own, k, l] = vv[:, own, l, k] = rest + weight * C[:, k + 1, l + 1, None]
            uv[:, own, k, l] = fixed + chance[own, l] * C[:, k + 1, l + 1, None]
    return np.diagonal(C, axis1=1, axis2=2)[:, 1:]
