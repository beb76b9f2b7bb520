"""modelcollapse: what training on synthetic labels costs, in closed form.

    import modelcollapse as mc
    w0 = mc.truth(mc.power_law(beta=1.5, r=0.5))
    labels = mc.chain(w0, generations=5, samples=2000, noise=0.1, ridge=1e-3)
    print(mc.predict(mc.fit(labels.label(1000, noise=0.1), ridge=1e-2)))

Public names are loaded on first use (SPEC 1), so that importing the package costs milliseconds.
"""

import os

from modelcollapse._lazy import attach

__version__ = "0.2.0"

if not os.path.isdir(os.path.join(os.path.dirname(__file__), "theory")):  # a checkout without symbolic links
    __path__.append(os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "..")))

_PUBLIC = {  # public name -> the module that holds it
    "Spectrum": "modelcollapse.theory.spectra",
    "isotropic": "modelcollapse.theory.spectra",
    "power_law": "modelcollapse.theory.spectra",
    "from_covariance": "modelcollapse.theory.spectra",
    "from_gram": "modelcollapse.theory.spectra",
    "from_samples": "modelcollapse.theory.spectra",
    "gaussian": "modelcollapse.theory.populations.dense_gaussian",
    "rows": "modelcollapse.theory.populations.data_rows",
    "surrogate": "modelcollapse.theory.pipelines.surrogates",
    "truth": "modelcollapse.theory.pipelines",
    "fit": "modelcollapse.theory.pipelines",
    "chain": "modelcollapse.theory.pipelines",
    "Schedule": "modelcollapse.theory.numbers.schedules",
    "accumulate": "modelcollapse.theory.pipelines",
    "GradientFlow": "modelcollapse.theory.pipelines.filters",
    "GradientDescent": "modelcollapse.theory.pipelines.filters",
    "IteratedRidge": "modelcollapse.theory.pipelines.filters",
    "SelfDistillation": "modelcollapse.theory.pipelines.filters",
    "OnePassSGD": "modelcollapse.theory.pipelines.sgd",
    **dict.fromkeys(("Sign", "Probit", "Logistic", "Clip", "Quantised"), "modelcollapse.theory.pipelines.links"),
    "panel": "modelcollapse.theory.pipelines.panels",
    **dict.fromkeys(("Verified", "Margin"), "modelcollapse.theory.pipelines.keeps"),
    "predict": "modelcollapse.numerics.questions.predictions",
    "gradient": "modelcollapse.numerics.questions.derivatives",
    "FakeData": "modelcollapse.numerics.questions.shortcuts",
    "test_error": "modelcollapse.numerics.questions.shortcuts",
    "delta": "modelcollapse.numerics.questions.shortcuts",
    "effective_ridge": "modelcollapse.numerics.questions.shortcuts",
    "degrees_of_freedom": "modelcollapse.numerics.questions.shortcuts",
    "optimal_ridge": "modelcollapse.numerics.questions.best_ridge",
    "optimal_rounds": "modelcollapse.numerics.questions.best_rounds",
    "optimal_stopping": "modelcollapse.numerics.questions.best_time",
    "optimal_teacher": "modelcollapse.numerics.questions.best_teacher",
    "optimal_self_distillation": "modelcollapse.numerics.questions.best_refits",
    "tune": "modelcollapse.numerics.questions.best_values",
    "compare_strategies": "modelcollapse.numerics.questions.strategies_compared",
    "workflow_factor": "modelcollapse.numerics.questions.workflow_factors",
    "largest_synthetic_share": "modelcollapse.numerics.questions.rows_needed",
    "real_rows_worth": "modelcollapse.numerics.questions.rows_needed",
    "optimal_exponent": "modelcollapse.theory.scaling",
    "scaling_exponents": "modelcollapse.theory.scaling",
    "CollapseAwareRidge": "modelcollapse.estimator",
    "CollapseAwareClassifier": "modelcollapse.estimator",
    "advise": "modelcollapse.estimators.advice",
    "CollapseAwareGradientFlow": "modelcollapse.stopping",
    "StoppingMonitor": "modelcollapse.stopping",
    "Provenance": "modelcollapse.estimator",
    "simulate": "modelcollapse.validation.simulation",
    "crosscheck": "modelcollapse.validation.agreement",
}
_SUBMODULES = {name: f"modelcollapse.{name}" for name in ("modes", "numerics", "plot", "theory", "validation")}

__getattr__, _, _ = attach(__name__, _PUBLIC, _SUBMODULES)
__all__ = sorted([*_PUBLIC, *_SUBMODULES, "__version__"])


def __dir__():
    return list(__all__)
