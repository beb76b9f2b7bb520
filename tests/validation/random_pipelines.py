"""Random pipelines whose size can be scaled while their limit stays the same.

Every eigenvalue gets `copies` directions that share its signal, and every number of samples is multiplied by
`copies`: the deterministic equivalent does not change at all, finite-size effects shrink like 1/copies.
"""

import numpy as np

import modelcollapse as mc

ATOMS = 12


def random_pipeline(seed, copies=8, max_fits=4, max_sources=3):
    """Up to `max_fits` fits with 1..`max_sources` sources each, samples above and below d, ridge from 0."""
    rng = np.random.default_rng(seed)
    spectrum = _spectrum(rng, copies)
    dim = ATOMS * copies
    models = [mc.truth(spectrum)]
    for _ in range(rng.integers(1, max_fits + 1)):
        count = rng.integers(1, max_sources + 1)
        sources = [_source(rng, models, copies) for _ in range(count)]
        total = sum(source.samples for source in sources)
        near = 0.7 < total / dim < 1.4
        ridge = 0.0 if rng.random() < 0.3 and not near else float(10 ** rng.uniform(-2.5, 0))
        models.append(mc.fit(*sources, ridge=ridge))
        if rng.random() < 0.3 and len(models) > 2:
            share = float(rng.uniform(0.2, 0.8))
            models.append(share * models[-1] + (1 - share) * models[-2])
    return models[-1]


def _spectrum(rng, copies):
    kind = rng.integers(3)
    if kind == 0:
        return mc.isotropic(ATOMS * copies)
    s = np.arange(1.0, ATOMS + 1) ** -rng.uniform(0.5, 1.5) if kind == 1 else np.repeat([1.0, 0.1], ATOMS // 2)
    return mc.Spectrum(s, rng.dirichlet(np.ones(ATOMS)) / s, copies)


def _source(rng, models, copies):
    model = models[-1] if rng.random() < 0.6 else models[rng.integers(len(models))]
    rows = copies * int(rng.choice([4, 6, 8, 18, 24, 40]))
    weight = 1.0 if rng.random() < 0.7 else float(rng.uniform(0.3, 2))
    shifted = np.sqrt if rng.random() < 0.2 else None
    return model.label(rows, noise=float(rng.uniform(0.1, 0.6)), weight=weight, inputs=shifted)
