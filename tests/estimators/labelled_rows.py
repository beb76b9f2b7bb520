"""Rows whose labels chains of generators wrote, of a truth that is known."""

import numpy as np

DIM, SIGMA, ROWS = 80, 0.3, 120
POWER = np.arange(1.0, DIM + 1) ** -1.2
SIGNAL = POWER**0.3


def draws(s, truth, provenance, rows, sigma, rng, shares=(1.0,)):
    """Rows of Gaussian inputs labelled by chains of the given provenances, in blocks of the given shares."""
    X = rng.standard_normal((rows, len(s))) * np.sqrt(s)
    blocks = np.split(np.arange(rows), np.cumsum([int(rows * p) for p in shares])[:-1])
    y = np.empty(rows)
    for block, origin in zip(blocks, provenance, strict=True):
        w = truth
        for _ in range(origin.generations):
            A = rng.standard_normal((origin.samples, len(s))) * np.sqrt(s)
            b = A @ w + origin.noise * rng.standard_normal(origin.samples)
            if origin.samples < len(s):
                w = A.T @ np.linalg.solve(A @ A.T + origin.samples * origin.ridge * np.eye(origin.samples), b)
            else:
                w = np.linalg.solve(A.T @ A + origin.samples * origin.ridge * np.eye(len(s)), A.T @ b)
        y[block] = X[block] @ w
    return X, y + sigma * rng.standard_normal(rows)
