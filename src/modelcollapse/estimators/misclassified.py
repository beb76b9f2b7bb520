"""0-1 errors of a fit of classes, on the real rows it leaves out, which overrule its squares where they are sure."""

import numpy as np

from modelcollapse.numerics.mixes.choice import SURE, standard_error
from modelcollapse.numerics.mixes.leave_one_out import left_out


def overruled(mix, labels, free=True):
    """The Mix, and its 0-1 errors for the report; where weights are free, those of the smallest 0-1 error if it is so
    beyond doubt."""
    chosen, level = mix.chosen, labels.level / labels.unit
    if chosen is None:
        return mix, {}
    wrong = [_wrong(mix.rows, one, level) for one in chosen.every]
    share = mix.rows.counts / mix.rows.counts.sum()
    best = int(np.argmin([share @ one for one in wrong]))
    gap = _wrong(mix.rows, mix.best, level) - wrong[best]
    if free and share @ gap > SURE * standard_error(mix.rows, gap):
        better = chosen.every[best]
        mix = mix._replace(best=better, risk=better.score, criterion=f"{mix.criterion}, 0-1 error", notes=[])
    rates = [_wrong(mix.rows, one, level) for one in (chosen.alone, chosen.pooled, mix.best)]
    return mix, {
        "error_rate": np.array([share @ rate for rate in rates]),
        "error_rate_error": np.array([standard_error(mix.rows, rate) for rate in rates]),
    }


def _wrong(rows, scored, level):
    """Whether the fit without it misses a real row's class, (n,); level: of the targets before centring, (k,)."""
    scores = left_out(rows, scored.weights, float(scored.path.alphas[scored.at])) + level
    given = rows.targets + level
    if scores.shape[1] == 1:
        return ((scores[:, 0] > 0) != (given[:, 0] > 0)).astype(float)
    return (scores.argmax(axis=1) != given.argmax(axis=1)).astype(float)
