"""Kernels of fits on random features, compiled, and what they are given."""

import jax
import numpy as np

from modelcollapse.numerics import steps
from modelcollapse.numerics.equivalents.features import effective_ridge, root
from modelcollapse.numerics.steps import Atoms, Moments
from modelcollapse.numerics.steps import pooled as pooling
from modelcollapse.numerics.steps.features import feature_step

NUMBERS = np.arange(1.0, 61)


stepped, rooted, ridged = jax.jit(feature_step), jax.jit(root), jax.jit(effective_ridge)
pooled, readout = jax.jit(lambda *x: pooling.pooled(*x)), jax.jit(steps.readout)


def row(values):
    """(1, 64): zero atoms count for nothing, and one shape is compiled once."""
    return np.pad(np.asarray(values, np.float64).reshape(1, -1), ((0, 0), (0, 64 - np.size(values))))


def one(value):
    return np.array([value], np.float64)


def truth_of(atoms):
    still = np.zeros(atoms.eigenvalues.shape)
    return Moments(still + 1, still, still)


def atoms_of(eigenvalues, signal, multiplicity=None, tested=None):
    widest = eigenvalues if tested is None else np.maximum(eigenvalues, tested)
    multiplicity = np.ones(len(eigenvalues)) if multiplicity is None else multiplicity
    return Atoms(*(row(x) for x in (eigenvalues, signal, multiplicity, widest)))


def kappa_of(eigenvalues, samples, features, ridge):
    return ridged(row(eigenvalues), row(np.ones(len(eigenvalues))), one(samples), one(features), one(ridge))[0]
