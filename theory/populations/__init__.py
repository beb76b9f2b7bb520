"""What a truth lives on: a spectrum, and the families of problems that have one."""

from modelcollapse.theory.populations.families import (
    Spectrum,
    from_covariance,
    from_gram,
    from_samples,
    isotropic,
    power_law,
)

__all__ = ["Spectrum", "from_covariance", "from_gram", "from_samples", "isotropic", "power_law"]
