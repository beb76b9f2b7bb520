"""`CollapseAwareRidge`, `CollapseAwareClassifier` and `Provenance`, under their public path."""

from modelcollapse.estimators.classifier import CollapseAwareClassifier
from modelcollapse.estimators.ridge import CollapseAwareRidge
from modelcollapse.numerics.provenance.corrected_risk import Provenance

__all__ = ["CollapseAwareClassifier", "CollapseAwareRidge", "Provenance"]
