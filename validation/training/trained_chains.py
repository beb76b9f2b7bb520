"""One run of a chain of kernel fits, really trained: errors of every cell of the grid."""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

__all__ = ["Streams", "one_run", "ridges", "stopped"]

_FEW = 8  # ridges: a Cholesky factor each is cheaper than one eigendecomposition


class Streams:
    """Random numbers of one run, a stream for every fit: a cell draws the same whatever the others are."""

    def __init__(self, seed, run):
        self.seed, self.run = seed, run

    def generator(self, *fit):
        key = (*self.seed.spawn_key, self.run, *fit)
        return np.random.default_rng(np.random.SeedSequence(self.seed.entropy, spawn_key=key))


def one_run(gram, targets, explained, cells, solve, noise, generator, held_out, streams):
    """Errors of all cells for one chain; `solve` fits for all ridges or times of a number of rows."""
    generations, samples, trained = cells
    T0, ridge0, noise0 = generator
    order = np.unique(generations).astype(int)
    wanted, labels = {}, targets
    for n in range(order[-1] + 1):
        if n in order:
            wanted[n] = labels
        if n < order[-1]:
            rng = streams.generator(0, n)
            rows = _draw(rng, len(gram), T0, held_out)
            given = labels[rows] + noise0 * rng.standard_normal(len(rows))
            (labels,) = ridges(gram, rows, given, [ridge0])
    columns = np.stack([wanted[n] for n in order], axis=1)
    errors = np.empty(generations.shape)
    for T in np.unique(samples):
        rng = streams.generator(1, int(T))
        rows = _draw(rng, len(gram), T, held_out)
        given = columns[rows] + noise * rng.standard_normal((len(rows), 1))
        values = np.unique(trained[samples == T])
        for value, fitted in zip(values, solve(gram, rows, given, values), strict=True):
            squares = (fitted - explained[:, None]) ** 2
            if held_out:
                squares = np.delete(squares, rows, axis=0)
            for n, error in zip(order, squares.mean(axis=0), strict=True):
                errors[(samples == T) & (trained == value) & (generations == n)] = error
    return errors


def _draw(rng, count, rows, held_out):
    return rng.choice(count, int(rows), replace=not held_out)


def ridges(gram, rows, labels, values):
    """Values on all rows of the kernel-ridge fits on some, one for each ridge; labels (T,) or (T, fits)."""
    taken = gram[rows]
    if len(values) > _FEW:
        yield from _many_ridges(taken, rows, labels, values)
        return
    for ridge in values:
        if np.isinf(ridge):
            yield np.zeros((len(gram), *labels.shape[1:]))
            continue
        system = taken[:, rows]
        system[np.diag_indices_from(system)] += len(rows) * ridge
        try:
            weights = cho_solve(cho_factor(system, lower=True, overwrite_a=True, check_finite=False), labels)
        except LinAlgError:
            raise _singular(ridge, len(rows)) from None
        yield taken.T @ weights


def _many_ridges(taken, rows, labels, values):
    """The same by one eigendecomposition."""
    energies, vectors = eigh(taken[:, rows], check_finite=False)
    seen, given = taken.T @ vectors, vectors.T @ labels
    for ridge in values:
        shifted = energies + len(rows) * ridge
        if np.min(shifted) <= len(rows) * np.finfo(float).eps * energies[-1]:
            raise _singular(ridge, len(rows))
        yield (seen / shifted) @ given  # zero for an infinite ridge


def _singular(ridge, rows):
    return ValueError(f"ridge = {ridge:g}: the kernel matrix of {rows} rows is singular to roundoff; raise it")


def stopped(gram, rows, labels, times):
    """Values on all rows of gradient flow on some, one for each time at which it stops; labels (T, fits)."""
    taken = gram[rows]
    values, vectors = eigh(taken[:, rows] / len(rows), check_finite=False)
    known = values > 0
    seen, given = taken.T @ vectors / len(rows), vectors.T @ labels
    for time in times:
        learned = np.divide(-np.expm1(-time * values), values, out=np.full_like(values, time), where=known)
        yield (seen * learned) @ given
