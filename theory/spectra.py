"""The spectra by their short name: `from modelcollapse.theory.spectra import isotropic`."""

from modelcollapse.theory.populations import Spectrum, from_covariance, from_gram, from_samples, isotropic, power_law

__all__ = ["Spectrum", "from_covariance", "from_gram", "from_samples", "isotropic", "power_law"]
