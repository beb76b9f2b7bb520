"""Small matrices are worked on by one BLAS thread, whatever a process has: several wait for one another."""

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.numerics import threads
from modelcollapse.numerics.equivalents import symmetric

threadpoolctl = pytest.importorskip("threadpoolctl")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y, ORIGIN = X.sum(axis=1) + 0.3 * RNG.standard_normal(40), np.repeat(["real", "model"], [20, 20])
ROWS = mc.truth(mc.rows(X, Y, "rbf", gamma=0.1))
DENSE = mc.truth(mc.gaussian(np.cov(X.T), np.ones(3)))
QUESTIONS = {
    "rows": lambda: mc.predict(mc.fit(ROWS.label(20, 0.1), ridge=0.1)),
    "by row": lambda: mc.predict(mc.fit(ROWS.label(20, 0.1), ridge=0.1)).by_row(),
    "the best ridge on rows": lambda: mc.optimal_ridge(mc.fit(ROWS.label(20, 0.1))),
    "a dense Gaussian": lambda: mc.predict(mc.fit(DENSE.label(20, 0.1), ridge=0.1)),
    "weights": lambda: mc.CollapseAwareRidge(weights="auto", generations=MARKS).fit(X, Y, origin=ORIGIN),
}
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
    """Numbers of BLAS threads whenever a matrix is factored, in a process that has two."""
    found, lapack = [], symmetric.lapack

    def watched(name):
        found.append(number_of_threads())
        return lapack(name)

    monkeypatch.setattr(symmetric, "lapack", watched)
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
