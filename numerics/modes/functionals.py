r"""Missing mass and modes after B draws of a law, B random with known mean and variance (its founders).

With log_miss of `founders`, ln E(1-p)^B,

    U = Σ q_i E(1-p_i)^B,        D = Σ [1 - E(1-p_i)^B],

and where lineages end in the law p (B of them) or in the truth or uniform draws u (R of them), E(1-u)^R (1-p)^B: as if
each of the N = R + B chose by itself, which makes them draws of the mean law of both; what the variances and the
covariance are beyond that (δ) is a factor exp[(δ_RR u² + 2 δ_RB u p + δ_BB p²)/2]. Atoms and tails: see `atoms`.
"""

from typing import Any

import numpy as np

from modelcollapse.numerics.arrays import namespace, quiet
from modelcollapse.numerics.modes.atoms import Atoms, atoms_of, loop_atoms
from modelcollapse.numerics.modes.founders import Founders, founders_of, log_miss, occupied

__all__ = ["law_missing_mass", "law_modes", "loop_missing_mass", "loop_modes", "missing_mass", "modes"]

_BLOCK = 1 << 20  # numbers in memory at once


def law_modes(law, samples):
    return modes(atoms_of(law), _fixed(samples), law.own_truth)


def law_missing_mass(law, samples, real_share, generator_samples):
    """The draws are split exactly; a generator's own draws are hit as in `founders`."""
    xp = namespace(samples, real_share, generator_samples)
    real, synthetic = real_share * samples, (1 - real_share) * samples
    if not np.all(np.isinf(generator_samples)):
        finite = np.isfinite(generator_samples)
        hit = occupied(synthetic, 0.0, np.where(finite, generator_samples, 2.0))
        start, variance = xp.where(finite, hit.mean, synthetic), xp.where(finite, hit.variance, 0.0)
    else:
        start, variance = synthetic, 0.0 * synthetic
    return missing_mass(atoms_of(law), Founders(start, variance, real + 0.0 * start), law.own_truth)


def loop_modes(loop, samples):
    return modes(loop_atoms(loop), founders_of(loop, samples), loop.own_truth)


def loop_missing_mass(loop, samples):
    return missing_mass(loop_atoms(loop), founders_of(loop, samples), loop.own_truth)


def _fixed(samples):
    return Founders(samples, 0.0 * np.asarray(samples) if not hasattr(samples, "aval") else 0.0 * samples)


def modes(atoms: Atoms, founders: Founders, own_truth=True) -> Any:
    """D for founders of any shape that broadcasts with the law's."""

    def beyond(tail, start, start_variance, real, real_variance, covariance):
        pairs = (start**2 + start_variance - start) * tail.law_law + (real**2 + real_variance - real) * tail.truth_truth
        return start * tail.law + real * tail.truth - pairs / 2 - (start * real + covariance) * tail.truth_law

    return _summed(atoms, founders, own_truth, lambda truth, log: -namespace(log).expm1(log), beyond)


def missing_mass(atoms: Atoms, founders: Founders, own_truth=True) -> Any:
    """U likewise."""

    def beyond(tail, start, start_variance, real, real_variance, covariance):
        return tail.truth - start * tail.truth_law - real * tail.truth_truth

    return _summed(atoms, founders, own_truth, lambda truth, log: truth * namespace(log).exp(log), beyond)


@quiet()
def _summed(atoms, founders, own_truth, term, beyond):
    """Σ_a w_a term(q_a, ln E(1-q_a)^R (1-p_a)^B) + beyond(...), block by block in NumPy."""
    if own_truth:
        parts = (founders.mean, founders.variance, 0.0, 0.0, 0.0, founders.least)
    else:
        parts = (founders.start, founders.start_variance, founders.real, founders.real_variance, founders.covariance)
        parts = (*parts, founders.least)
    xp = namespace(*parts, *atoms.tail)
    parts = xp.broadcast_arrays(*(xp.asarray(part) for part in parts))
    if xp is not namespace(0.0):
        return _block(atoms, parts, own_truth, term) + beyond(atoms.tail, *parts[:5])
    shape = np.broadcast_shapes(parts[0].shape, atoms.truth.shape[:-1])
    flat = [np.broadcast_to(part, shape).ravel() for part in parts]
    width = atoms.truth.shape[-1]
    place = np.broadcast_to(np.arange(int(np.prod(atoms.truth.shape[:-1]))).reshape(atoms.truth.shape[:-1]), shape)
    place, many = place.ravel(), atoms.truth.ndim > 1
    tables = [np.broadcast_to(x, atoms.truth.shape).reshape(-1, width) for x in atoms[:4]]
    found = np.empty(flat[0].size)
    step = max(1, _BLOCK // width)
    for first in range(0, found.size, step):
        here = slice(first, first + step)
        truth, drawn, fresh, weight = (table[place[here]] if many else table[0] for table in tables)
        block = Atoms(truth, drawn, fresh, weight, atoms.tail)
        found[here] = _block(block, [part[here] for part in flat], own_truth, term)
    return (found.reshape(shape) + beyond(atoms.tail, *parts[:5]))[()]


def _block(atoms, parts, own_truth, term):
    start, start_variance, real, real_variance, covariance, least = (part[..., None] for part in parts)
    if own_truth:
        log = log_miss(start, start_variance, atoms.law, least)
    else:
        xp, founders = namespace(start, real), start + real
        variance = start_variance + real_variance + 2 * covariance
        share = real / xp.where(founders > 0, founders, 1.0)
        law, fresh, alone = atoms.law, atoms.fresh, share * (1 - share) * (founders - variance)
        log = log_miss(founders, xp.maximum(variance, 0.0), (1 - share) * law + share * fresh, least)
        log = log + (real_variance - share * variance - alone) * fresh**2 / 2 + (covariance + alone) * fresh * law
        log = log + (start_variance - (1 - share) * variance - alone) * law**2 / 2
    return (term(atoms.truth, log) * atoms.weight).sum(-1)
