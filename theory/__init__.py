"""What is true: the formulas as SymPy records, and the plain descriptions that every other part speaks of.

    from modelcollapse.theory import catalogue
    catalogue["clean_error"]                       the record: expression, domain, source
    catalogue["clean_error"].evaluate(...)         30 digits
    catalogue["clean_error"].function()            the same in JAX

>>> from modelcollapse.theory import catalogue
>>> round(float(catalogue["least_squares_chain"].evaluate(T=301, T0=301, d=100, sigma=1, sigma0=1, n=3)), 3)
2.0

SymPy is imported when the catalogue or one of its modules is first used, JAX never.
"""

if __name__ == "theory":
    raise ImportError("import modelcollapse.theory instead: this folder is a part of the package modelcollapse")

import pkgutil

from modelcollapse._lazy import attach

_PUBLIC = {  # public name -> the module that holds it
    "Formula": "modelcollapse.theory.formulas",
    "catalogue": "modelcollapse.theory.records",
    "closed_form": "modelcollapse.theory.closed_forms",
    "effective_ridges": "modelcollapse.theory.closed_forms",
    "equations": "modelcollapse.theory.named_equations",
}
_MODULES = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}

__getattr__, __dir__, __all__ = attach(__name__, _PUBLIC, _MODULES)
