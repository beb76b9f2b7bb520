"""A table of 90 rows whose targets are a curved function of the inputs and noise, and three pools of it."""

import numpy as np


def table(count=90, features=4, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_t(5, (count, features))
    return inputs, np.sin(inputs[:, 0]) + 0.3 * inputs[:, 1] ** 2 + 0.2 * rng.standard_normal(count)


INPUTS, TARGETS = table()
POOLS = {"real": np.arange(40), "fake": np.arange(40, 70), "test": np.arange(70, 90)}
