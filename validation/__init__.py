"""Why to believe it: simulations that are exact in law, cross-checks against the closed forms, Hypothesis strategies.

    from modelcollapse.validation import simulate, crosscheck      run pipelines; compare with the closed forms
    from modelcollapse.validation import assert_agrees, strategies  test formulas of your own (needs Hypothesis)
    from modelcollapse.validation import kernel_chain, datasets     train kernel-ridge chains on real data

Nothing is imported before it is used.
"""

if __name__ == "validation":
    raise ImportError("import modelcollapse.validation instead: this folder is a part of the package modelcollapse")

import importlib
import pkgutil

_PUBLIC = {  # public name -> the module that holds it
    "Agreement": "modelcollapse.validation.agreement",
    "Estimate": "modelcollapse.validation.estimates",
    "KernelChain": "modelcollapse.validation.kernel_chains",
    "assert_agrees": "modelcollapse.validation.assertions",
    "crosscheck": "modelcollapse.validation.agreement",
    "kernel_chain": "modelcollapse.validation.kernel_chains",
    "simulate": "modelcollapse.validation.simulation",
}
_MODULES = frozenset(module.name for module in pkgutil.iter_modules(__path__))

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*__all__, *_MODULES})
