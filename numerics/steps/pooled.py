r"""Sources with equal inputs and weights, pooled into one.

Rows of several sources with one input covariance and one weight are rows of a single source whose label model
switches from row to row. With p_g the share of source g in the rows, w̄ = Σ_g p_g w_g and

    y_i = x_i·w̄ + x_i·(w_{g(i)} − w̄) + noise,                                                               (1)

the second term has mean zero over the rows of any one input, and to leading order acts like label noise: the pooled
source is labelled by w̄ with the noise variance

    Σ_g p_g σ_g² + Σ_g p_g E‖w_g − w̄‖²_Σ .                                                                  (2)

For ridge this is what `sources` says for equal weights (derived here); it serves fits by filters and over random
features, for which it is checked by simulation.
"""

import numpy as np
from jaxtyping import Float

from modelcollapse.numerics.arrays import Array, namespace, quiet
from modelcollapse.numerics.equivalents.shares import times
from modelcollapse.numerics.steps.moments import Atoms, Moments, covariances, energy_by_atom, mixture, variance_of

__all__ = ["pooled", "shares"]


@quiet()
def shares(rows: Float[Array, "G P"], weights: Float[Array, "G P"]):
    """Share of each source (G, P), rows that count (P,), what multiplies S of these rows (P,).

    S = Σ_g weight_g X_gᵀX_g/T with T all rows, also those of weight zero.
    """
    counted = namespace(rows, weights).where(weights > 0, rows, 0)
    samples = counted.sum(0)
    return counted / samples, samples, weights.max(0) * samples / rows.sum(0)


@quiet()
def pooled(
    atoms: Atoms,
    inputs: Float[Array, "#P A"],
    parts: Float[Array, "G P"],
    noise: Float[Array, "G P"],
    models: tuple[Moments, ...],
    joint: dict,
):
    """The label model of the pooled source and its noise variance.

    Parameters
    ----------
    inputs : eigenvalues of the inputs of all sources
    parts : shares p_g of the sources in the rows
    joint : dict (g, h), g > h, of scaled covariances (P, A) of the label models; missing ones are zero

    Returns
    -------
    Moments of w̄, noise variance (P,), and by atom the scatter of the labellers that it counts, the Σ_g of (2) (P, A). A
    label model of infinite variance makes that of w̄ infinite.
    """
    if len(models) == 1:
        return models[0], noise[0] ** 2, namespace(models[0]).zeros_like(models[0].variance)
    xp = namespace(atoms, inputs, parts, noise, models, joint)
    moments, weights = mixture(parts, models, joint)
    deficits = xp.stack([model.deficit for model in models])
    own = np.eye(len(models), dtype=bool)[:, :, None, None]
    apart = xp.where(own, 1 - weights, -weights)  # w_g − w̄
    means = (weights * (deficits - deficits[:, None])).sum(1)
    spread = variance_of(apart, covariances(models, joint))
    scatter = times(parts[:, :, None], energy_by_atom(atoms, inputs, means, spread)).sum(0)  # (2)
    scatter = xp.where(xp.any(xp.isinf(moments.variance), -1)[:, None], 0, scatter)
    return moments, (parts * noise**2).sum(0) + scatter.sum(-1), scatter
