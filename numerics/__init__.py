"""How it is computed: pure JAX kernels, and the public functions that evaluate them in double precision.

`lower` turns a pipeline with symbols into a pure function of arrays for jit, grad and vmap. `predict`, `gradient`,
`test_error`, `delta`, `effective_ridge` and `degrees_of_freedom` are exported by `modelcollapse` itself.

>>> import modelcollapse as mc
>>> model = mc.fit(mc.truth(mc.isotropic(100)).label(200, noise=0.5), ridge=0.1)
>>> round(float(mc.numerics.predict(model).test_error), 4)
0.1768
"""

if __name__ == "numerics":
    raise ImportError("import modelcollapse.numerics instead: this folder is a part of the package modelcollapse")

import pkgutil

from modelcollapse._lazy import attach

_PUBLIC = {
    "lower": "modelcollapse.numerics.questions.derivatives",
    "gradient": "modelcollapse.numerics.questions.derivatives",
    "predict": "modelcollapse.numerics.questions.predictions",
    "Prediction": "modelcollapse.numerics.questions.predictions",
}
_MODULES = {module.name: f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)}

__getattr__, __dir__, __all__ = attach(__name__, _PUBLIC, _MODULES)
