"""Write docs/howto/flats.csv, the table of the how-to pages: `python docs/flats.py`. A test compares the two.

Made up, so that the truth is known. People named the rents of 50 flats. A model that was trained on 80 other flats
named those of 150 more, and a copy of it, fourth in a chain of models each trained on 80 flats with rents of the one
before, those of the next 150. The last 300 are held out: people named their rents, and no fit sees them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

TABLE = Path(__file__).parent / "howto" / "flats.csv"
LABELLED_BY = {"human": 50, "model": 150, "copy": 150, "held out": 300}
GENERATION = {"model": 1, "copy": 4}
TRAINED_ON = 80


def table(seed=2):
    """The table, rents in coins a month; attrs: the root mean square errors of both models."""
    rng = np.random.default_rng(seed)
    rows = sum(LABELLED_BY.values())
    draw = rows + TRAINED_ON * max(GENERATION.values())
    flats = pd.DataFrame(
        {
            "area": rng.gamma(9, 8, draw).round(),
            "rooms": rng.integers(1, 6, draw),
            "floor": rng.integers(0, 9, draw),
            "built": rng.integers(1890, 2021, draw),
            "minutes_to_tram": rng.gamma(3, 3, draw).round(),
            "balcony": rng.integers(0, 2, draw),
            "noise_level": rng.normal(55, 6, draw).round(),
            "storage": rng.gamma(2, 2, draw).round(1),
            "district": rng.choice(["centre", "harbour", "hills", "mills", "park"], draw),
            "heating": rng.choice(["gas", "district", "pump"], draw),
        }
    )
    features = pd.get_dummies(flats).to_numpy(float)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    truth = 900 + features @ (60 * rng.standard_normal(features.shape[1]))
    labels = truth + 150 * rng.standard_normal(draw)
    labelled_by = np.repeat(list(LABELLED_BY), list(LABELLED_BY.values()))
    named, errors = labels[:rows].copy(), {}
    design = np.column_stack([np.ones(draw), features])
    penalty = np.diag([0.0] + [1.0] * features.shape[1])
    for generation in range(1, max(GENERATION.values()) + 1):
        taught = slice(draw - TRAINED_ON * generation, draw - TRAINED_ON * (generation - 1))
        moments = design[taught].T @ design[taught] + penalty
        model = design @ np.linalg.solve(moments, design[taught].T @ labels[taught])
        labels = model + 150 * rng.standard_normal(draw)
        for mark, its_generation in GENERATION.items():
            if its_generation == generation:
                named[labelled_by == mark] = labels[:rows][labelled_by == mark]
                errors[mark] = round(float(np.sqrt(np.mean((model - truth) ** 2))))
    flats = flats.iloc[:rows].assign(labelled_by=labelled_by, rent=named.round())
    flats.loc[rng.random(rows) < 0.05, "storage"] = np.nan
    flats.attrs["errors of the models"] = errors
    return flats


if __name__ == "__main__":
    made = table()
    made.to_csv(TABLE, index=False)
    print(made.attrs)
