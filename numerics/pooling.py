r"""Sources with equal inputs and weights, pooled into one.

Rows of several sources with one input covariance and one weight are rows of a single source whose label model
switches from row to row. With p_g the share of source g in the rows, w̄ = Σ_g p_g w_g and

    y_i = x_i·w̄ + x_i·(w_{g(i)} − w̄) + noise,

the second term has mean zero over the rows of any one input, and to leading order acts like label noise: the pooled
source is labelled by w̄ with the noise variance

    Σ_g p_g σ_g² + Σ_g p_g E‖w_g − w̄‖²_Σ .

For ridge this is what `sources` says for equal weights (derived here); it serves fits by filters and over random
features, for which it is checked by simulation.
"""

import jax.numpy as jnp

from modelcollapse.numerics import steps

__all__ = ["pooled", "shares"]


def shares(rows, weights):
    """Share of each source (G, P), rows that count (P,), what multiplies S of these rows (P,); rows, weights (G, P).

    S = Σ_g weight_g X_gᵀX_g/T with T all rows, also those of weight zero.
    """
    counted = jnp.where(weights > 0, rows, 0)
    samples = counted.sum(0)
    return counted / samples, samples, weights.max(0) * samples / rows.sum(0)


def pooled(atoms, inputs, parts, noise, models, joint):
    """The label model of the pooled source and its noise variance.

    Parameters
    ----------
    atoms : Atoms
    inputs : (P or 1, A), eigenvalues of the inputs of all sources
    parts, noise : (G, P)
    models : tuple of G Moments (P, A)
    joint : dict (g, h), g > h, of scaled covariances (P, A) of the label models; missing ones are zero

    Returns
    -------
    Moments of w̄, noise variance (P,). A label model of infinite variance makes that of w̄ infinite.
    """
    if len(models) == 1:
        return models[0], noise[0] ** 2
    moments, _ = steps.mixture(parts, models, joint)
    count = len(models)
    scatter = jnp.zeros_like(parts[0])
    for g in range(count):
        apart = [(h == g) - parts[h][:, None] for h in range(count)]
        mean = sum(parts[h][:, None] * (models[h].deficit - models[g].deficit) for h in range(count) if h != g)
        scatter += parts[g] * steps.energy(atoms, inputs, mean, steps.variance_of(apart, models, joint))
    bounded = jnp.where(jnp.isinf(moments.variance).any(-1), 0, scatter)
    return moments, (parts * noise**2).sum(0) + bounded
