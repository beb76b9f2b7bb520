"""Small matrices are worked on by one BLAS thread, whatever a process has: several wait for one another."""

import numpy as np
import pytest
import sympy

import modelcollapse as mc
from modelcollapse.numerics.equivalents import symmetric
from modelcollapse.numerics.evaluation import training_curves
from modelcollapse.numerics.evaluation.on_spectrum import OnSpectrum
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.theory.populations import threads

threadpoolctl = pytest.importorskip("threadpoolctl")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y, ORIGIN = X.sum(axis=1) + 0.3 * RNG.standard_normal(40), np.repeat(["real", "model"], [20, 20])
ROWS = mc.truth(mc.rows(X, Y, "rbf", gamma=0.1))
LAW, STEP = mc.truth(mc.power_law(1.5, 0.5, dim=30)), sympy.Symbol("step", positive=True)
DENSE = mc.truth(mc.gaussian(np.cov(X.T), np.ones(3)))
QUESTIONS = {
    "rows": lambda: mc.predict(mc.fit(ROWS.label(20, 0.1), ridge=0.1)),
    "by row": lambda: mc.predict(mc.fit(ROWS.label(20, 0.1), ridge=0.1)).by_row(),
    "the best ridge on rows": lambda: mc.optimal_ridge(mc.fit(ROWS.label(20, 0.1))),
    "a dense Gaussian": lambda: mc.predict(mc.fit(DENSE.label(20, 0.1), ridge=0.1)),
    "weights": lambda: mc.CollapseAwareRidge(weights="auto", generations=MARKS).fit(X, Y, origin=ORIGIN),
    "advice": lambda: mc.advise(X, Y, ORIGIN, kernel="rbf"),
    "a kernel fit": lambda: mc.CollapseAwareRidge(kernel="rbf").fit(X, Y),
    "one pass of SGD": lambda: mc.predict(mc.fit(LAW.label(20, 0.1), filter=mc.OnePassSGD(0.1))),
    "refits": lambda: mc.predict(mc.fit(LAW.label(20, 0.1), filter=mc.SelfDistillation(0.1, -1.5))),
    "a curve of training": lambda: mc.predict(mc.fit(LAW.label(20, 0.1), filter=mc.GradientFlow(np.arange(1.0, 9)))),
    "a slope": lambda: mc.gradient(mc.fit(LAW.label(20, 0.1), filter=mc.OnePassSGD(STEP)), {STEP: 0.1}),
    "rows by their spectrum": lambda: mc.predict(mc.fit(mc.truth(mc.rows(X, Y, method="spectrum")).label(20), ridge=1)),
    "the spectrum of a covariance": lambda: mc.from_covariance(np.cov(X.T), np.ones(3)),
    "the spectrum of a kernel": lambda: mc.from_samples(X, Y, "rbf", gamma=0.1),
}
PLACES = [
    *((symmetric, "lapack"), (np.linalg, "eigh"), (np.linalg, "svd")),
    *((OnSpectrum, "advance"), (training_curves, "equivalent"), (RidgePath, "__call__")),
]
MARKS = {"real": mc.Provenance(), "model": None}


@pytest.fixture
def number_of_threads():
    """Of BLAS, whose libraries are looked for once a test: for every matrix that took seconds."""
    symmetric.lapack("potrf")  # SciPy's is loaded
    libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    assert libraries
    return lambda: max(library.num_threads for library in libraries)


@pytest.fixture
def seen(monkeypatch, number_of_threads):
    """Numbers of BLAS threads where matrices are factored or multiplied, in a process that has two."""
    found = []

    def watched(function):
        def watching(*arguments, **options):
            found.append(number_of_threads())
            return function(*arguments, **options)

        return watching

    for place, name in PLACES:
        monkeypatch.setattr(place, name, watched(getattr(place, name)))
    with threadpoolctl.threadpool_limits(2, "blas"):
        yield found


@pytest.mark.parametrize("name", QUESTIONS)
def test_small_matrices_have_one_thread(name, seen, number_of_threads, few_shapes):
    QUESTIONS[name]()
    assert set(seen) == {1}
    assert number_of_threads() == 2


def test_large_matrices_have_all(seen, monkeypatch):
    monkeypatch.setattr(threads, "PIN_BELOW", 10)
    QUESTIONS["rows"]()
    assert set(seen) == {2}
