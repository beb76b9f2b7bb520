from modelcollapse import numerics as numerics
from modelcollapse import plot as plot
from modelcollapse import theory as theory
from modelcollapse import validation as validation
from modelcollapse.estimator import CollapseAwareRidge as CollapseAwareRidge
from modelcollapse.numerics.lowering import gradient as gradient
from modelcollapse.numerics.predictions import predict as predict
from modelcollapse.numerics.shortcuts import FakeData as FakeData
from modelcollapse.numerics.shortcuts import degrees_of_freedom as degrees_of_freedom
from modelcollapse.numerics.shortcuts import delta as delta
from modelcollapse.numerics.shortcuts import effective_ridge as effective_ridge
from modelcollapse.numerics.shortcuts import test_error as test_error
from modelcollapse.theory.pipelines import accumulate as accumulate
from modelcollapse.theory.pipelines import chain as chain
from modelcollapse.theory.pipelines import fit as fit
from modelcollapse.theory.pipelines import truth as truth
from modelcollapse.theory.scaling import optimal_exponent as optimal_exponent
from modelcollapse.theory.scaling import scaling_exponents as scaling_exponents
from modelcollapse.theory.spectra import Spectrum as Spectrum
from modelcollapse.theory.spectra import from_covariance as from_covariance
from modelcollapse.theory.spectra import from_gram as from_gram
from modelcollapse.theory.spectra import from_samples as from_samples
from modelcollapse.theory.spectra import isotropic as isotropic
from modelcollapse.theory.spectra import power_law as power_law
from modelcollapse.validation.agreement import crosscheck as crosscheck
from modelcollapse.validation.simulation import simulate as simulate

__version__: str
