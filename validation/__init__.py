"""Why to believe it: simulations that are exact in law, cross-checks against the closed forms, Hypothesis strategies.

    from modelcollapse.validation import simulate, crosscheck      run pipelines; compare with the closed forms
    from modelcollapse.validation import assert_agrees, strategies  test formulas of your own (needs Hypothesis)
    from modelcollapse.validation import kernel_chain, datasets     train kernel-ridge chains on real data

>>> import modelcollapse as mc
>>> model = mc.fit(mc.truth(mc.isotropic(100)).label(200, noise=0.5), ridge=0.1)
>>> mc.validation.crosscheck(model, trials=50).verdict, mc.validation.simulate(model, trials=50).trials
('agrees', 50)

Nothing is imported before it is used.
"""

if __name__ == "validation":
    raise ImportError("import modelcollapse.validation instead: this folder is a part of the package modelcollapse")

import pkgutil

from modelcollapse._lazy import attach

_PUBLIC = {  # public name -> the module that holds it
    "Agreement": "modelcollapse.validation.agreement",
    "Estimate": "modelcollapse.validation.estimates",
    "KernelChain": "modelcollapse.validation.kernel_chains",
    "assert_agrees": "modelcollapse.validation.assertions",
    "crosscheck": "modelcollapse.validation.agreement",
    "kernel_chain": "modelcollapse.validation.kernel_chains",
    "simulate": "modelcollapse.validation.simulation",
}
_MODULES = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}

__getattr__, __dir__, __all__ = attach(__name__, _PUBLIC, _MODULES)
