"""Self-distillation from data: leave-one-out against refits without each row, the choice, the model, refusals."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

import modelcollapse as mc
from modelcollapse.estimator import CollapseAwareRidge

RNG = np.random.default_rng(1)
X = RNG.standard_normal((30, 8)) * np.arange(1, 9) ** -0.7
Y = X @ RNG.standard_normal((8, 2)) + 0.5 * RNG.standard_normal((30, 2)) + 3


def refitted(X, Y, alpha, weight, intercept, kernel="linear"):
    """Two scikit-learn fits, the second on a blend of the labels and of the first one's predictions."""

    def once(labels):
        if kernel == "linear":
            return Ridge(alpha=alpha, fit_intercept=intercept).fit(X, labels)
        return KernelRidge(alpha=alpha, kernel=kernel, gamma=0.3).fit(X, labels)

    return once((1 - weight) * Y + weight * once(Y).predict(X))


def left_out(X, Y, ridge, weight, intercept, kernel="linear"):
    """The mean square of residuals of rows that neither fit has seen; the penalty stays ridge × all rows."""
    errors = []
    for i in range(len(X)):
        kept = np.arange(len(X)) != i
        model = refitted(X[kept], Y[kept], ridge * len(X), weight, intercept, kernel)
        errors.append(Y[i] - model.predict(X[[i]])[0])
    return np.mean(np.square(errors))


@pytest.mark.parametrize("ridge", [0.01, 0.5])
@pytest.mark.parametrize(("kernel", "intercept"), [("linear", True), ("linear", False), ("rbf", False)])
def test_the_weight_is_the_best_by_leaving_rows_out_of_both_fits(kernel, intercept, ridge):
    """Exact to rounding. Control: the shortcut that keeps the row in the first fit has another weight."""
    options = {"kernel": kernel, "gamma": 0.3, "fit_intercept": intercept, "ridges": [ridge]}
    found = CollapseAwareRidge(distill="auto", **options).fit(X, Y)
    weight = found.distill_weight_
    errors = [left_out(X, Y, ridge, weight + move, intercept, kernel) for move in (-0.1, 0, 0.1)]
    assert found.path_["gcv"][0] == pytest.approx(errors[1], rel=1e-9)
    assert errors[0] == pytest.approx(errors[2], rel=1e-9)  # the vertex of a parabola
    assert errors[0] > errors[1]
    want = refitted(X, Y, ridge * len(X), weight, intercept, kernel).predict(X)
    assert np.allclose(found.predict(X), want, rtol=1e-9)
    assert found.criterion_ == "leave-one-out"

    centred = X - intercept * X.mean(0)
    gram = centred @ centred.T if kernel == "linear" else KernelRidge(kernel=kernel, gamma=0.3)._get_kernel(X)
    H = gram @ np.linalg.inv(gram + ridge * len(X) * np.eye(len(X))) + intercept / len(X)
    rest = np.diag(np.eye(len(X)) - H)[:, None]
    plain, moved = (Y - H @ Y) / rest, H @ (H @ Y - Y) / rest
    assert abs(np.sum(plain * moved) / np.sum(moved**2) - weight) > 0.01


def test_one_output_a_given_weight_and_none_at_all():
    one = CollapseAwareRidge(ridges=[0.2], distill=-1.5).fit(X, Y[:, 0])
    want = refitted(X, Y[:, 0], 0.2 * 30, -1.5, True)
    assert np.allclose(one.coef_, want.coef_, rtol=1e-10)
    assert one.intercept_ == pytest.approx(float(want.intercept_))
    assert one.distill_weight_ == -1.5
    plain, none = CollapseAwareRidge(ridges=[0.2]).fit(X, Y), CollapseAwareRidge(ridges=[0.2], distill=0).fit(X, Y)
    assert plain.distill_weight_ == none.distill_weight_ == 0
    assert np.allclose(plain.coef_, none.coef_, rtol=1e-12)
    assert clone(one).get_params()["distill"] == -1.5
    assert plain.fit(X, Y, origin=["real"] * 30).distill_weight_ == 0


def test_kernel_matrix_and_rows_are_one():
    rows = CollapseAwareRidge(distill="auto", ridges=[0.1, 1.0]).fit(X, Y)
    matrix = CollapseAwareRidge(distill="auto", ridges=[0.1, 1.0], kernel="precomputed").fit(X @ X.T, Y)
    assert matrix.distill_weight_ == pytest.approx(rows.distill_weight_, rel=1e-6, abs=1e-9)
    assert np.allclose(matrix.predict(X @ X.T), rows.predict(X))


def test_interpolation_constant_labels_and_few_rows_are_ordinary_points():
    wide = np.random.default_rng(0).standard_normal((6, 20))
    for ridge in (0.0, 1e-9):
        options = {"ridges": [ridge], "fit_intercept": False}
        best, plain = (CollapseAwareRidge(distill=x, **options).fit(wide, Y[:6]) for x in ("auto", 0.0))
        assert np.allclose(plain.predict(wide), Y[:6], atol=1e-6)
        gain = plain.path_["gcv"][0] / best.path_["gcv"][0]
        assert gain == pytest.approx(1, rel=1e-9) if ridge == 0 else gain > 1.001
    flat = CollapseAwareRidge(distill="auto").fit(X, np.full(30, 2.0))
    assert np.allclose(flat.predict(X), 2)


def test_it_is_used_where_it_helps_and_not_for_nothing():
    """Ten directions of signal above ninety of nothing: theory says that one refit halves the error of the best ridge.
    Isotropic inputs: that it gains nothing. Budget: paired gains over 8 data sets beyond 5 standard errors (t of seven
    degrees of freedom, 8e-4). The isotropic inputs are the control."""
    two_levels = np.r_[np.ones(10), np.full(90, 0.05)], np.r_[np.full(10, 0.1), np.zeros(90)]
    laws = {"two levels": two_levels, "isotropic": (np.ones(100), np.full(100, 0.01))}
    gains, promised, used = {}, {}, {}
    for name, (eigenvalues, signal) in laws.items():
        source = mc.truth(mc.Spectrum(eigenvalues, signal)).label(200, 0.3)
        ridges = np.geomspace(1e-4, 10, 60)
        both = mc.optimal_self_distillation(mc.fit(source, ridge=ridges)).test_error.min()
        promised[name] = 1 - both / mc.optimal_ridge(mc.fit(source)).test_error
        gains[name], used[name] = [], 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            inputs = rng.standard_normal((200, 100)) * np.sqrt(eigenvalues)
            labels = inputs @ np.sqrt(signal) + 0.3 * rng.standard_normal(200)
            fits = [CollapseAwareRidge(fit_intercept=False, distill=x).fit(inputs, labels) for x in (None, "auto")]
            errors = [np.sum(eigenvalues * (fit.coef_ - np.sqrt(signal)) ** 2) for fit in fits]
            gains[name].append(1 - errors[1] / errors[0])
            used[name] += fits[1].distill_weight_ != 0
    assert promised["two levels"] > 0.5 > 0.001 > promised["isotropic"]
    two, none = (np.array(gains[name]) for name in laws)
    assert two.mean() > 5 * two.std(ddof=1) / np.sqrt(8)
    assert two.mean() > 0.7 * promised["two levels"]
    assert abs(none.mean()) < 0.02
    assert used == {"two levels": 8, "isotropic": used["isotropic"]}
    assert used["isotropic"] < 4


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ({"generations": 2, "generator_samples": 50}, {}, "distill = 'auto' with generations is not supported: leave"),
        ({"generations": {"a": mc.Provenance(0)}}, {}, "with generations"),
        ({"weights": "auto"}, {}, "distill = 'auto' with weights is not supported"),
        ({}, {"origin": ["real"] * 30}, "with origin"),
        ({}, {"sample_weight": np.ones(30)}, "with sample_weight"),
        ({"distill": "always"}, {}, "distill"),
        ({"distill": np.inf}, {}, r'distill = inf .*give a finite number, or "auto"'),
        ({"distill": [0.1, 0.2]}, {}, "distill has 2 entries"),
    ],
)
def test_what_makes_no_sense_is_refused(options, more, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, TypeError), match=words):
            CollapseAwareRidge(**{"distill": "auto", **options}).fit(X, Y, **more)
