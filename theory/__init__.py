"""What is true: the formulas as SymPy records, and the plain descriptions that every other part speaks of.

    from modelcollapse.theory import catalogue
    catalogue["clean_error"]                       the record: expression, domain, source
    catalogue["clean_error"].evaluate(...)         30 digits
    catalogue["clean_error"].function()            the same in JAX

SymPy is imported when the catalogue or one of its modules is first used, JAX never.
"""
if __name__ == "theory":
    raise ImportError("import modelcollapse.theory instead: this folder is a part of the package modelcollapse")

import importlib
import pkgutil

_PUBLIC = {  # public name -> the module that holds it
    "Formula": "modelcollapse.theory.formulas",
    "catalogue": "modelcollapse.theory.records",
    "closed_form": "modelcollapse.theory.closed_forms",
    "effective_ridges": "modelcollapse.theory.closed_forms",
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
