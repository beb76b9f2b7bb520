r"""A ridge fit on rows of which some were kept, where covariances are any matrices: `judged` with traces for sums.

With Q = (Σ+κ)^{-1} of the kept rows, π = QΣ, and models of mean w and covariances C,

    G = w_gᵀ Σ w_h + tr ΣC_gh,    H: Σπ for Σ,    κH_2: Σ(1−π)π for Σ,    Cov ŵ = Σ_gh β_g β_h π C_gh πᵀ + v QΣQ .
"""

from modelcollapse.numerics import duals
from modelcollapse.numerics.duals import value_of
from modelcollapse.numerics.equivalents.dense import dense_sources
from modelcollapse.numerics.steps.dense import combined, endless
from modelcollapse.numerics.steps.judged import read, solved, total

__all__ = ["fit_kept_dense", "parts_dense"]


def _moments(matrix, means, parts):
    """E w_gᵀ M w_h, (k, k, 1)."""
    lines = []
    for g, left in enumerate(means):
        pulled = matrix @ left
        entries = [(pulled * right).sum() for right in means]
        entries = [
            x if part is None else x + (matrix * part.T).sum() for x, part in zip(entries, parts[g], strict=True)
        ]
        lines.append(duals.stack([duals.stack([duals.asarray(x, float)]) for x in entries]))
    return duals.stack(lines)


def parts_dense(covariance, means, parts, sources, link_values, keep_values):
    """The Part of each source; means: of all labellers and judges; parts[g][h]: their covariances or None."""
    gram = _moments(covariance, means, parts)
    numbers = [
        [tuple(duals.stack([duals.asarray(x, float)]) for x in one) for one in values]
        for values in (link_values, keep_values)
    ]
    return [read(source, links, keeps, gram) for source, links, keeps in zip(sources, *numbers, strict=True)]


def fit_kept_dense(covariance, rows, noise, weights, ridge, means, parts, sources, link_values, keep_values):
    """Mean (d,) and covariance (d, d) of a fit on sources of one covariance and weight, of which some rows are kept.

    rows, noise, weights: lists, rows before the filters; the rest as for `parts_dense`. Also the maps (d, d) by which
    covariances with other predictors follow, and whether the root was found.
    """
    read_parts = parts_dense(covariance, means, parts, sources, link_values, keep_values)
    used = [count if value_of(weight) > 0 else 0 * count for count, weight in zip(rows, weights, strict=True)]
    left = [part.share[0] * count for part, count in zip(read_parts, used, strict=True)]
    samples, weight = total(left), max(weights, key=value_of)
    resolvent, _, _, (learned,), converged, exact = dense_sources(
        [covariance], [samples], [weight], ridge * (total(rows) / total(used))
    )
    fitted = covariance @ learned
    lost = fitted - fitted @ learned
    shares = [duals.stack([count / samples]) for count in left]
    blurs = [duals.stack([duals.asarray(x, float)]) for x in noise]
    solution, noise_left = solved(
        read_parts, shares, _moments(fitted, means, parts), _moments(lost, means, parts), blurs
    )
    maps = tuple(learned * solution[i, 0] for i in range(len(means)))
    mean = total(m @ w for m, w in zip(maps, means, strict=True))
    spread = combined(maps, parts)
    if exact:
        return mean, endless(len(mean)) if value_of(noise_left[0]) > 0 else spread, maps, converged
    spare = samples - (learned * learned.T).sum()
    fresh = (resolvent @ covariance @ resolvent) * (noise_left[0] / spare)
    return mean, fresh if spread is None else spread + fresh, maps, converged
