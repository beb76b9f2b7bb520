r"""A ridge fit on rows of which some were kept for their labels or scores, direction by direction of a spectrum.

`judged` has the equations. Here G, H and κH_2 are sums over atoms, with p = s/(s+κ),

    H = Σ_j s_j p_j E w_g w_h,    κH_2 = Σ_j s_j p_j (1 − p_j) E w_g w_h .

It is compiled in two pieces: only the first, `_parts`, depends on the kinds of links and filters.
"""

import functools

from modelcollapse.numerics.arrays import compiled, namespace, quiet
from modelcollapse.numerics.equivalents.shares import divide, times
from modelcollapse.numerics.equivalents.sources import one_source, projections, rows_left
from modelcollapse.numerics.steps.judged import read, solved, total
from modelcollapse.numerics.steps.moments import Moments, covariances, variance_of

__all__ = ["fit_kept", "shares_kept"]


def _sums(atoms, models, covariance, *factors):
    """Σ_j factor_j E w_g w_h, (k, k, P), for each factor (P or 1, A)."""
    xp = namespace(atoms, models, covariance, factors)
    ratios = xp.stack([model.ratio for model in models])
    means = ratios[:, None] * ratios
    per_direction = atoms.multiplicity * divide(1.0, atoms.scale, 0.0)
    return [(factor * (atoms.signal * means) + times(factor * per_direction, covariance)).sum(-1) for factor in factors]


def _all_covariances(models, joint):
    """Scaled covariances (k, k, P, A) from those below the diagonal, row by row."""
    places = [(g, h) for g in range(len(models)) for h in range(g)]
    return covariances(models, dict(zip(places, joint, strict=True)))


@functools.partial(compiled, static="sources")
@quiet()
def _parts(atoms, inputs, models, joint, link_values, keep_values, *, sources):
    """The Part of each source; arguments as for `fit_kept`."""
    (gram,) = _sums(atoms, models, _all_covariances(models, joint), inputs)
    return tuple(read(*part, gram) for part in zip(sources, link_values, keep_values, strict=True))


def shares_kept(atoms, inputs, **known):
    """The share of rows that each source keeps, a tuple of (P,); arguments as for `fit_kept`, by name."""
    return tuple(part.share for part in _parts(atoms, inputs, **known))


def fit_kept(atoms, inputs, rows, noise, weights, ridge, models, joint, link_values, keep_values, *, sources):
    """A fit on sources of equal inputs and weights, of which some rows are kept.

    Parameters
    ----------
    inputs : (P or 1, A), eigenvalues of the inputs of all sources
    rows, noise, weights : tuples of (P,), one for each source; rows before the filters
    models : tuple of Moments (P, A), of all labellers and judges; joint : covariances of pairs, g > h, row by row
    link_values, keep_values : tuples of tuples of (P,), () where there is no link or filter
    sources : tuple of Judged (static)

    Returns
    -------
    Moments, a projection (P, A) for each model by which covariances with other predictors follow, converged (P,).
    """
    parts = _parts(atoms, inputs, models, joint, link_values, keep_values, sources=sources)
    return _fitted(atoms, inputs, rows, noise, weights, ridge, models, joint, parts)


@compiled
@quiet()
def _fitted(atoms, inputs, rows, noise, weights, ridge, models, joint, parts):
    xp = namespace(atoms, inputs, rows, noise, weights, ridge, models, joint, parts)
    covariance = _all_covariances(models, joint)
    used = [xp.where(weight > 0, count, 0) for weight, count in zip(weights, rows, strict=True)]
    left = [part.share * count for part, count in zip(parts, used, strict=True)]
    samples, weight = total(left), xp.max(xp.stack(weights), 0)
    here = one_source(inputs, atoms.multiplicity, samples, weight, ridge * total(rows) / total(used))
    spare, _ = rows_left(inputs, atoms.multiplicity, samples[None], weight[None], here)
    null_model = xp.isinf(here.kappa)
    spread = xp.broadcast_to(inputs, models[0].ratio.shape)
    (learned,), null = projections(inputs[None], spread, xp.ones_like(samples)[None], here.kappa)
    kernel = divide(1.0, xp.where(null_model, 1, here.kappa)[:, None] + spread, 0.0)

    shares = [count / samples for count in left]
    fitted, lost = _sums(atoms, models, covariance, inputs * learned, inputs * learned * null)  # H, κH_2
    solution, noise_left = solved(parts, shares, fitted, lost, noise)
    gain = xp.where(null_model, 0, divide(noise_left, spare))  # (2)
    fresh = times((spread * kernel) * (atoms.scale * kernel), gain[:, None])
    pushes = learned * solution[:, :, None]
    ratios, deficits = (xp.stack([model[k] for model in models]) for k in (0, 1))
    mean = (pushes * ratios).sum(0), (1 - pushes.sum(0)) + (pushes * deficits).sum(0)
    moments = Moments(*mean, variance_of(pushes, covariance) + fresh)
    return moments, tuple(pushes[i] for i in range(len(models))), here.converged
