"""`CollapseAwareGradientFlow` and `StoppingMonitor`, under their public path."""

from modelcollapse.estimators.flow import CollapseAwareGradientFlow
from modelcollapse.estimators.monitor import StoppingMonitor

__all__ = ["CollapseAwareGradientFlow", "StoppingMonitor"]
