r"""Pipelines: who labelled what, and who was fitted on it.

A pipeline is plain data. `truth(spectrum)` is the target x·w0; a model *labels* fresh inputs, which makes a
`Source`; `fit` is a ridge fit on one or more sources and is again a model:

    >>> from modelcollapse.theory.spectra import isotropic
    >>> w0 = truth(isotropic(100))
    >>> teacher = fit(w0.label(400, noise=0.1))
    >>> student = fit(teacher.label(300), w0.label(100, noise=0.1), ridge=1e-2)

The ridge estimator on T rows is argmin_w (1/T) Σ_i weight_i (y_i − x_i·w)² + ridge ‖w‖². Instead of a ridge a fit may
have a spectral filter (`theory.filters`): training by gradient descent that is stopped; or it may be a ridge fit of
`features` random features of the inputs, a model of limited size.

**A model object is one random fit.** Labels drawn twice from the same object share its error; two equal fits
that were built separately are two independent fits. Comparison is nevertheless by content:

    >>> fit(w0.label(400)) == fit(w0.label(400))
    True
    >>> twin = fit(w0.label(400, noise=0.1))
    >>> 0.5 * teacher + 0.5 * teacher == 0.5 * teacher + 0.5 * twin     # one fit twice; the mean of two fits
    False
"""

from modelcollapse.theory.pipelines.building import accumulate, chain, fit, truth
from modelcollapse.theory.pipelines.model import Mixture, Model, Source, ancestry
from modelcollapse.theory.pipelines.nodes import Accumulate, Chain, Fit, Truth

__all__ = [
    "Accumulate",
    "Chain",
    "Fit",
    "Mixture",
    "Model",
    "Source",
    "Truth",
    "accumulate",
    "ancestry",
    "chain",
    "fit",
    "truth",
]
