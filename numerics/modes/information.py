r"""Entropy of what a loop leaves, and its divergence to the truth.

-ln x = Σ_m (1-x)^m/m turns the entropy of an empirical law X into chances that one more draw of it shows a new symbol:

$$ E H(X) = \sum_{m \ge 1} \frac{D(m+1) - D(m)}{m}, $$

with D(m) the modes among m draws of X, from the founders of m draws. Beyond 60 times the size of the sample, X has
shown everything; up to there the sum over m is taken by Gauss rules over octaves. Means of frequencies are kept, so

$$ E\,\mathrm{KL}(X \| q) = -\sum_i E X_i \ln q_i - E H(X). $$
"""

import math

import numpy as np

from modelcollapse.numerics.arrays import namespace, quiet
from modelcollapse.numerics.modes.atoms import LAST, Atoms, atoms_of, loop_atoms
from modelcollapse.numerics.modes.founders import founders_of
from modelcollapse.numerics.modes.functionals import modes
from modelcollapse.theory.modes.laws import Zipf
from modelcollapse.theory.modes.loops import Chain, Graph, Pool
from modelcollapse.theory.populations.quadrature import panels

__all__ = ["law_entropy", "loop_divergence", "loop_entropy"]

_SEEN = 60.0


def law_entropy(law):
    return _cross(law, atoms_of(law), "law", "law")


@quiet()
def _cross(law, atoms: Atoms, drawn, measured):
    """-Σ x_i ln y_i; x and y are the law's p, the truth's q, or what is mixed in."""
    x, y = getattr(atoms, drawn), getattr(atoms, measured)
    xp = namespace(x, y)
    inner = 0.0 - (xp.where(x > 0, x * xp.log(xp.where(x > 0, y, 1.0)), 0.0) * atoms.weight).sum(-1)
    if not isinstance(law, Zipf):
        return inner[()]
    exponent = {"law": law.beta if law.exponent is None else law.exponent, "truth": law.beta, "fresh": law.beta}
    mass = getattr(atoms.tail, drawn.replace("fresh", "truth"))
    log_first = xp.log(y[..., 0])
    middle = math.log(LAST + 0.5) + 1 / xp.where(mass > 0, exponent[drawn] - 1.0, 1.0)
    found = inner + xp.where(mass > 0, mass * (exponent[measured] * middle - log_first), 0.0)
    return found[()] if isinstance(found, np.ndarray) else found


def loop_entropy(loop):
    """E H of the last generation (of the pool)."""
    most = int(2 ** math.ceil(math.log2(_SEEN * float(np.max(_population(loop))))))
    draws, weights = panels(most)
    draws = draws.reshape(-1, *[1] * len(loop.shape))
    atoms, own = loop_atoms(loop), loop.own_truth
    seen = [modes(atoms, founders_of(loop, draws + more), own) for more in (0.0, 1.0)]
    new = (seen[1] - seen[0]) / draws
    found = (new * weights.reshape(draws.shape)).sum(0)
    return found[()] if isinstance(found, np.ndarray) else found


def _population(loop):
    """Items in the last generation, or in the pool."""
    if isinstance(loop, Pool):
        return loop.rounds * loop.samples
    if isinstance(loop, Graph):
        return loop.samples[-1]
    return loop.samples * loop.rate ** (loop.generations - 1.0)


def loop_divergence(loop):
    law, atoms = loop.law, loop_atoms(loop)
    start = _cross(law, atoms, "law", "truth")
    if loop.own_truth:
        return start - loop_entropy(loop)
    fresh = _fresh_share(loop)
    return (1 - fresh) * start + fresh * _cross(law, atoms, "fresh", "truth") - loop_entropy(loop)


def _fresh_share(loop):
    """The share of the last generation whose lineages end in what is mixed in: a mean, so that nothing merges."""
    if isinstance(loop, Chain):
        return 1 - (1 - loop.fresh_share) ** (loop.generations - 1.0)
    if isinstance(loop, Pool):
        return 0.0
    shares: dict = {"real": 1.0, None: 0.0}
    for g, row in enumerate(loop.teachers):
        shares[g] = sum(part * shares[teacher] for teacher, part in row)
    return shares[len(loop.teachers) - 1]
