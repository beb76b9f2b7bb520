"""Kernels computed here are scikit-learn's, and asking for them does not wait for its import."""

import numpy as np
import pytest
from fresh_interpreter import loaded
from sklearn.metrics.pairwise import pairwise_kernels

import modelcollapse as mc
from modelcollapse.theory.populations.kernels import kernel_matrix, kernel_values

RNG = np.random.default_rng(0)
X, Z = RNG.standard_normal((60, 4)), RNG.standard_normal((20, 4))


@pytest.mark.parametrize(("kernel", "options"), [("linear", {}), ("rbf", {}), ("rbf", {"gamma": 0.7})])
def test_values_are_those_of_scikit_learn(kernel, options):
    np.testing.assert_allclose(
        kernel_values(X, Z, kernel, options), pairwise_kernels(X, Z, kernel, **options), rtol=1e-12
    )
    found = kernel_matrix(X, kernel, options)
    np.testing.assert_allclose(found, pairwise_kernels(X, metric=kernel, **options), rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_an_offset_costs_no_digits():
    np.testing.assert_allclose(kernel_matrix(X + 1e6, "rbf", {}), kernel_matrix(X, "rbf", {}), rtol=1e-8)
    assert not np.allclose(pairwise_kernels(X + 1e6, metric="rbf"), kernel_matrix(X, "rbf", {}), rtol=1e-5)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"gamma = -1.0 is outside \(0, inf\); give a finite gamma"):
        mc.rows(X, X[:, 0], "rbf", gamma=-1)
    with pytest.raises(TypeError, match=r"kernel = 'rbf' does not take \{'degree': 2\}"):
        mc.rows(X, X[:, 0], "rbf", degree=2)


def test_rows_and_advice_need_no_scikit_learn():
    ask = (
        "import numpy as np, modelcollapse as mc\n"
        "X = np.random.default_rng(0).standard_normal((40, 2))\n"
        "mc.predict(mc.fit(mc.truth(mc.rows(X, X[:, 0])).label(20, 0.1), ridge=0.1))\n"
        "mc.advise(X, X[:, 0] + X[:, 1] ** 2, ['real', 'model'] * 20)"
    )
    asked, imported = loaded(("sklearn", "pandas"), ask, "import sklearn")
    assert asked == []
    assert "sklearn" in imported
