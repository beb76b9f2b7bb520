"""How it is computed: pure JAX kernels, and the public functions that evaluate them in double precision.

`lower` turns a pipeline with symbols into a pure function of arrays for jit, grad and vmap. `predict`, `gradient`,
`test_error`, `delta`, `effective_ridge` and `degrees_of_freedom` are exported by `modelcollapse` itself.
"""

if __name__ == "numerics":
    raise ImportError("import modelcollapse.numerics instead: this folder is a part of the package modelcollapse")

import importlib

_PUBLIC = {
    "lower": "modelcollapse.numerics.questions.derivatives",
    "gradient": "modelcollapse.numerics.questions.derivatives",
    "predict": "modelcollapse.numerics.questions.predictions",
    "Prediction": "modelcollapse.numerics.questions.predictions",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'modelcollapse.numerics' has no attribute {name!r}")


def __dir__():
    return __all__
