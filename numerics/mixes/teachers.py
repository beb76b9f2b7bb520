r"""What provenance says of synthetic labels, along the directions of the rows at hand.

A chain of n fits on T_0 rows each, with ridge λ_0 and label noise σ_0, has the mean $m \cdot w$ and the variance Ξ per
direction that `modelcollapse.numerics.provenance.source_conditions.chain_moments` gives for a truth of prior variance A
(its shape and size, and σ_0 where it is not told, are those that the rows say without provenance). The two take the
place of ρ and B in `modelcollapse.numerics.mixes.evidence`; how far Ξ may be wrong is left to the rows. So is whether
it is true: provenance is refused where the evidence with it is smaller by more than the factor exp(STRONG), "very
strong" in the words of Kass and Raftery, J. Am. Stat. Assoc. 90 (1995).
"""

import numpy as np

from modelcollapse.numerics.mixes.choice import beliefs
from modelcollapse.numerics.mixes.evidence import Known
from modelcollapse.numerics.provenance.source_conditions import chain_moments

STRONG = 5.0


def informed(rows, plain, provenance):
    """Beliefs, whether provenance (dict from origin to Provenance) is in them, and whether the rows contradict it.

    plain: Beliefs without it.
    """
    known = known_teachers(rows, plain, provenance)
    if not known:
        return plain, False, False
    told = beliefs(rows, known)
    refused = plain.log_evidence - told.log_evidence > STRONG
    return (plain if refused else told), not refused, refused


def known_teachers(rows, belief, provenance):
    """dict from origin to Known; provenance: dict from origin (1, 2, ...) to Provenance, belief: Beliefs without it.

    More generations, larger errors; least squares shrinks nothing:

    >>> from modelcollapse.numerics.mixes.choice import beliefs
    >>> from modelcollapse.numerics.mixes.moments import rows_of
    >>> from modelcollapse.numerics.provenance.corrected_risk import Provenance
    >>> rng = np.random.default_rng(0)
    >>> X, y, origin = rng.standard_normal((60, 4)), rng.standard_normal((60, 1)), np.repeat([0, 1], 30)
    >>> rows = rows_of(X, y, origin)
    >>> found = [known_teachers(rows, beliefs(rows), {1: Provenance(n, 20, 0.5)})[1] for n in (1, 4)]
    >>> bool(np.all(found[0].variances < found[1].variances)), found[0].factors.tolist()
    (True, [1.0, 1.0, 1.0, 1.0, 1.0])
    """
    seen = len(belief.posteriors[0].prior) - 1
    s = rows.variances[:seen]
    prior = belief.weights @ [one.prior[1:] for one in belief.posteriors]
    noise = belief.weights @ [one.noise for one in belief.posteriors]
    found = {}
    for g, teacher in provenance.items():
        dim = len(rows.variances)
        if teacher.ridge == 0 and abs(teacher.samples - dim) <= 1:
            continue  # at its interpolation threshold nothing finite is known
        variance = noise if teacher.noise is None else teacher.noise**2 / float(np.mean(belief.unit**2))
        m, xi = chain_moments(s, np.ones(seen), dim, prior[:, None], np.full(1, variance), teacher)
        level = teacher.generations * variance / teacher.samples
        found[g] = Known(np.append(1.0, m), np.maximum(np.append(level, xi[:, 0]), 1e-12))
    return found
