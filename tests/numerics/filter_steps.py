"""Spectra, and single fits by a filter on the atoms of one."""

import numpy as np

import modelcollapse as mc
from modelcollapse.numerics import steps
from modelcollapse.numerics.steps.filtered import filtered_step
from modelcollapse.numerics.steps.fit import fit_one

SPECTRA = {
    "isotropic": mc.isotropic(100),
    "power law": mc.power_law(1.5, 0.5, 200),
    "infinite": mc.power_law(1.3, 0.3),
    "steep": mc.power_law(4.0, 0.5, 50),
}


def lanes(*values):
    return [np.asarray(x, float) for x in np.broadcast_arrays(*(np.atleast_1d(v) for v in values))]


def atoms_of(spectrum, multiple=256):
    s, signal, multiplicity = (
        np.pad(x, (0, -len(x) % multiple))[None] for x in (spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity)
    )
    return steps.Atoms(s, signal, multiplicity, s)


def truth_moments(atoms, points):
    one = np.ones((points, atoms.eigenvalues.shape[-1]))
    return steps.Moments(one, 0 * one, 0 * one)


def ridge_step(atoms, samples, noise, ridge, start):
    return fit_one(atoms, samples, noise, ridge, False, start)[0]


def flow(atoms, samples, noise, times, start):
    return trained("gradient-flow", atoms, samples, noise, (times,), start)


def trained(kind, atoms, samples, noise, parameters, start):
    moments, _, fine = filtered_step(kind, atoms, atoms.eigenvalues, samples, noise**2, parameters, start)
    assert np.all(fine)
    return moments


def parts(atoms, moments):
    return np.array(steps.readout(atoms, atoms.eigenvalues, moments))
