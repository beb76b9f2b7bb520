"""CollapseAwareRidge with weights: scikit-learn's contract, the fit it says it is, and what it says of a mix."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import modelcollapse as mc
from modelcollapse.estimators.mix import FEWEST, _notes
from modelcollapse.numerics.mixes.choice import beliefs, choose
from modelcollapse.numerics.mixes.moments import rows_of

RNG = np.random.default_rng
TOO_FEW = "ignore:.*too few to tell"
ALONE = "ignore:the real rows alone look best"


@parametrize_with_checks(
    [mc.CollapseAwareRidge(weights="auto"), mc.CollapseAwareRidge(weights="auto", kernel="rbf", fit_intercept=False)]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def mix(real=40, fake=160, dim=8, error=0.2, seed=0, outputs=None):
    """Real rows with noise, synthetic ones of a teacher whose weights are off by `error` each."""
    rng = RNG(seed)
    shape = (dim,) if outputs is None else (dim, outputs)
    X, truth = rng.standard_normal((real + fake, dim)) + 0.5, rng.standard_normal(shape)
    origin = np.repeat(["real", "model"], [real, fake]).astype(object)
    y = X @ truth + 0.5 * rng.standard_normal((real + fake, *shape[1:])) + 2
    y[real:] = X[real:] @ (truth + error * rng.standard_normal(shape)) + 2
    return X, y, origin


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW, "ignore:all rows, each as heavy, have a smaller")
@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dim", [8, 60])
def test_the_fit_is_scikit_learns_at_its_weights_and_alpha(dim, intercept, outputs):
    """Fewer columns than real rows, and more: more than half of all rows."""
    X, y, origin = mix(real=20, fake=60, dim=dim, outputs=outputs)
    model = mc.CollapseAwareRidge(weights="auto", fit_intercept=intercept).fit(X, y, origin=origin)
    weight = np.array([model.weights_[mark] for mark in origin])
    assert weight[0] == 1 > 0 < weight[-1]
    reference = Ridge(alpha=model.alpha_, fit_intercept=intercept, tol=1e-10).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X[:9]), reference.predict(X[:9]), rtol=1e-6)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-5, atol=1e-8)
    other = Ridge(alpha=1.1 * model.alpha_, fit_intercept=intercept).fit(X, y, sample_weight=weight)
    assert np.max(abs(model.coef_ - other.coef_)) > 1e-5  # the control
    assert model.alpha_ == pytest.approx(model.ridge_ * len(X))


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW)
@pytest.mark.parametrize("unit", [1e7, 1e12])
@pytest.mark.parametrize("columns", [2, 40])
def test_small_columns_are_fitted_beside_large_ones(unit, columns):
    """Columns in units of 1e12 and 1, more and fewer than half the rows: none hides another."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, columns))
    X, y = Z * np.append(unit, np.ones(columns - 1)), 3 * Z[:, 1] + 0.1 * rng.standard_normal(60)
    origin = np.repeat(["real", "synthetic"], 30)
    model = mc.CollapseAwareRidge(weights={"synthetic": 0.5}, ridges=[1e-3]).fit(X, y, origin)
    weight = np.repeat([1.0, 0.5], 30)
    centred, labels = (x - weight @ x / weight.sum() for x in (Z, y))
    scale = np.append(unit, np.ones(columns - 1))
    gram = (centred.T * weight) @ centred + model.alpha_ * np.diag(scale**-2)  # one unit for all columns
    wanted = np.linalg.solve(gram, centred.T @ (weight * labels))
    np.testing.assert_allclose(model.coef_ * scale, wanted, rtol=1e-6, atol=1e-8)
    assert model.score(X, y) > 0.99


@pytest.mark.parametrize("unit", [1, 1e5, 1e7, 1e9])
def test_a_signal_in_small_units_is_reached(unit):
    """By the grid, which goes down to the smallest column, and by the model of the labels."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, 2))
    X, y = Z * [unit, 1], 3 * Z[:, 1] + 0.1 * rng.standard_normal(60)
    origin = np.repeat(["real", "model"], 30)
    for model in (mc.CollapseAwareRidge(), mc.CollapseAwareRidge(distill="auto"), mc.CollapseAwareGradientFlow()):
        assert model.fit(X, y).score(X, y) > 0.99
    for given in ({}, {"ridges": [10.0, 1e-6, 0.0]}):
        assert mc.CollapseAwareRidge(weights="auto", **given).fit(X, y, origin).score(X, y) > 0.99


def test_a_penalty_that_leave_one_out_refuses_is_said():
    """A choice moved to the largest penalty; the one that was found needs no word."""
    X, y, origin = mix(error=0.05)
    rows = rows_of(X, y[:, None], (origin == "model").astype(int))
    found = choose(rows, beliefs(rows))
    moved = found._replace(best=found.best._replace(at=len(found.best.score) - 1))
    said, silent = (" ".join(_notes(rows, one)) for one in (moved, found))
    assert f"better than {moved.best.path.alphas[-1]:.2g} by more than 2 standard errors" in said
    assert "standardise" in said
    assert "standardise" not in silent


@pytest.mark.usefixtures("few_shapes")
def test_the_kernel_fit_is_kernel_ridge_at_its_weights_and_alpha():
    X, y, origin = mix(real=20, fake=60, dim=3)
    for kernel in ("rbf", "precomputed"):
        model = mc.CollapseAwareRidge(weights={"model": 0.4}, kernel=kernel, gamma=0.2, fit_intercept=False)
        K = KernelRidge(kernel="rbf", gamma=0.2)._get_kernel(X)
        model.fit(X if kernel == "rbf" else K, y, origin=origin)
        weight = np.where(origin == "real", 1, 0.4)
        reference = KernelRidge(alpha=model.alpha_, kernel="rbf", gamma=0.2).fit(X, y, sample_weight=weight)
        found = model.predict(X[:9] if kernel == "rbf" else K[:9])
        np.testing.assert_allclose(found, reference.predict(X[:9]), rtol=1e-5)


@pytest.mark.filterwarnings(TOO_FEW)
def test_kernel_intercept_is_that_of_the_linear_fit():
    X, y, origin = mix()
    ridges = [0.01]
    linear, kernel = (
        mc.CollapseAwareRidge(weights={"model": 0.4}, kernel=name, ridges=ridges).fit(Z, y, origin=origin)
        for name, Z in (("linear", X), ("precomputed", X @ X.T))
    )
    np.testing.assert_allclose(kernel.predict(X @ X.T), linear.predict(X), rtol=1e-8)


@pytest.mark.filterwarnings(TOO_FEW)
def test_equal_stays_what_it_was_and_weights_of_one_are_the_pooled_fit():
    X, y, origin = mix()
    default, equal = mc.CollapseAwareRidge().fit(X, y), mc.CollapseAwareRidge(weights="equal").fit(X, y, origin=origin)
    assert default.ridge_ == equal.ridge_
    assert (equal.weights_, equal.report_, equal.worth_) == ({"real": 1.0, "model": 1.0}, None, None)
    ones = mc.CollapseAwareRidge(weights={"model": 1.0}, ridges=[default.ridge_]).fit(X, y, origin=origin)
    np.testing.assert_allclose(ones.coef_, default.coef_, rtol=1e-8)


def test_auto_without_real_rows_is_equal():
    X, y, _ = mix()
    assert mc.CollapseAwareRidge(weights="auto").fit(X, y).ridge_ == mc.CollapseAwareRidge().fit(X, y).ridge_
    few = np.array(["real"] * (FEWEST - 1) + ["model"] * (len(X) - FEWEST + 1), dtype=object)
    with pytest.warns(UserWarning, match="3 real rows are too few to choose by, at least 4"):
        model = mc.CollapseAwareRidge(weights="auto").fit(X, y, origin=few)
    assert model.weights_ == {"real": 1.0, "model": 1.0}
    assert model.worth_ is None


def test_bad_teachers_get_no_weight_and_it_is_said():
    X, y, origin = mix(error=5.0, real=60)
    with pytest.warns(UserWarning, match="the real rows alone look best: synthetic rows get the weight 0"):
        model = mc.CollapseAwareRidge(weights="auto").fit(X, y, origin=origin)
    alone = mc.CollapseAwareRidge(ridges=[model.ridge_]).fit(X[:60], y[:60])
    np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-8)
    assert (model.weights_["model"], model.worth_) == (0.0, 0.0)
    estimate, low, high = model.label_errors_["model"]
    true = np.mean((X @ (model.coef_)) ** 2) * 0 + 25 * 8  # 5² per weight, inputs of second moment 1.25
    assert low < estimate < high
    assert 0.3 * true < estimate < 3 * true


@pytest.mark.filterwarnings(TOO_FEW)
def test_report_and_worth():
    X, y, origin = mix(error=0.05)
    model = mc.CollapseAwareRidge(weights="auto").fit(X, y, origin=origin)
    report = model.report_
    assert report["candidate"].tolist() == ["real only", "pooled", "chosen"]
    assert all(
        len(values) == 3 and (name == "candidate" or np.isfinite(values).all()) for name, values in report.items()
    )
    assert report["excess"][2] <= report["excess"][:2].min() * 1.05
    alone = Ridge(alpha=report["alpha"][0]).fit(X[:40], y[:40])
    errors = [
        y[i] - Ridge(alpha=report["alpha"][0]).fit(np.delete(X[:40], i, 0), np.delete(y[:40], i)).predict(X[[i]])[0]
        for i in range(40)
    ]
    assert report["error"][0] == pytest.approx(np.mean(np.square(errors)), rel=1e-6)
    assert report["standard_error"][0] == pytest.approx(np.std(np.square(errors), ddof=1) / np.sqrt(40), rel=1e-6)
    assert np.mean((alone.predict(X[:40]) - y[:40]) ** 2) < report["error"][0]
    worse = mc.CollapseAwareRidge(weights="auto").fit(*mix(error=0.6)[:2], origin=origin)
    assert model.worth_ > 1.5 * worse.worth_ > 0


@pytest.mark.usefixtures("few_shapes")
def test_units_of_labels_and_rows_move_nothing_else():
    X, y, origin = mix()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = (mc.CollapseAwareRidge(weights="auto").fit(X, scale * y, origin=origin) for scale in (1.0, 1e-6))
    assert one.weights_ == other.weights_
    np.testing.assert_allclose(other.predict(X), 1e-6 * one.predict(X), rtol=1e-6)
    np.testing.assert_allclose(other.report_["excess"], 1e-12 * one.report_["excess"], rtol=1e-3)
    assert other.worth_ == pytest.approx(one.worth_, rel=1e-3)


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW, ALONE)
@pytest.mark.parametrize("weights", ["auto", {"model": 0.3}, "equal"])
def test_sample_weights_are_numbers_of_rows(weights):
    X, y, origin = mix()
    counts = RNG(3).integers(1, 3, len(X))
    counts[-20:] = 0
    model = mc.CollapseAwareRidge(weights=weights, ridges=[0.05]).fit(X, y, origin=origin, sample_weight=counts)
    weight = np.array([model.weights_[mark] for mark in origin]) * counts
    reference = Ridge(alpha=model.alpha_).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-8)


def test_provenance_is_heard():
    """Told that the teacher saw almost nothing, the estimator trusts it less than told that it saw a lot."""
    X, y, origin = mix(real=12, error=0.3)
    found = {}
    for rows in (10.5, 5000):
        model = mc.CollapseAwareRidge(1, rows, 0.5, weights="auto")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[rows] = model.fit(X, y, origin=origin)
        assert model.criterion_ == "leave-one-out and evidence with provenance"
    assert found[10.5].label_errors_["model"][0] > found[5000].label_errors_["model"][0]
    assert found[10.5].weights_["model"] < found[5000].weights_["model"]


def test_provenance_that_the_rows_contradict_is_refused_and_it_is_said():
    """Labels that are far off, of a teacher that is said to have seen a hundred thousand rows."""
    X, y, origin = mix(real=60, error=1.0)
    with pytest.warns(UserWarning, match="the rows contradict what is said"):
        model = mc.CollapseAwareRidge(1, 100_000, 0.5, weights="auto").fit(X, y, origin=origin)
    assert model.criterion_ == "leave-one-out and evidence"


def test_several_origins_have_a_weight_each():
    X, y, origin = mix(real=60, error=0.05, fake=300)
    origin[200:] = "worse"
    y[200:] = X[200:] @ RNG(9).standard_normal(8)
    described = {"real": mc.Provenance(), "model": None, "worse": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mc.CollapseAwareRidge(described, weights="auto").fit(X, y, origin=origin)
    assert model.weights_["model"] > 0.05 > 0.01 > model.weights_["worse"]
    assert model.label_errors_["worse"][1] > model.label_errors_["model"][2]


@pytest.mark.parametrize(
    ("weights", "marks", "kind", "words"),
    [
        ("automatic", None, ValueError, 'weights = \'automatic\'; give "auto", "equal"'),
        (0.5, None, (TypeError, ValueError), "weights"),
        ({"model": -1.0}, None, ValueError, r"weights\['model'\] = -1.0 is outside \[0, inf\)"),
        ({"teacher": 1.0}, None, ValueError, "weights has no entry for the origin 'model'"),
        ({"real": 2.0, "model": 1.0}, None, ValueError, r"weights\['real'\] = 2.0 for real rows, whose weight is 1"),
        ("auto", "human", ValueError, "'human' is not among"),
    ],
)
def test_what_is_refused(weights, marks, kind, words):
    X, y, origin = mix()
    origin = origin if marks is None else np.where(origin == "real", marks, origin)
    with pytest.raises(kind, match=words):
        mc.CollapseAwareRidge(weights=weights).fit(X, y, origin=origin)


def test_large_kernels_are_refused_with_the_remedy():
    X, y = np.zeros((4001, 2)), np.zeros(4001)
    origin = np.resize(np.array(["real", "model"], dtype=object), 4001)
    with pytest.raises(ValueError, match=r"at most 4000; use make_pipeline\(sklearn.kernel_approximation.Nystroem"):
        mc.CollapseAwareRidge(weights="auto", kernel="rbf").fit(X, y, origin=origin)


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW, ALONE)
def test_pipelines_searches_and_pickles():
    X, y, origin = mix()
    pipeline = make_pipeline(StandardScaler(), mc.CollapseAwareRidge(weights="auto"))
    pipeline.fit(X, y, collapseawareridge__origin=origin)
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.predict(X), pipeline.predict(X))
    search = GridSearchCV(mc.CollapseAwareRidge(), {"weights": ["auto", "equal", {"model": 0.1}]}, cv=3)
    search.fit(X, y, origin=origin)
    assert search.best_params_["weights"] in ("auto", "equal", {"model": 0.1})
    scores = cross_val_score(clone(pipeline), X, y, params={"collapseawareridge__origin": origin}, cv=3)
    assert np.all(scores > 0.5)


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW, ALONE)
def test_tables_that_a_pipeline_passes_on_change_nothing():
    """set_output(transform="pandas"): the estimator gets a data frame, keeps its names and fits the same."""
    pandas = pytest.importorskip("pandas")
    X, y, origin = mix(seed=7)
    frame = pandas.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])
    plain, framed = (make_pipeline(StandardScaler(), mc.CollapseAwareRidge(weights="auto")) for _ in range(2))
    plain.fit(X, y, collapseawareridge__origin=origin)
    framed.set_output(transform="pandas").fit(frame, y, collapseawareridge__origin=origin)
    assert framed[-1].feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_allclose(framed.predict(frame), plain.predict(X), rtol=1e-6)


@pytest.mark.usefixtures("few_shapes")
def test_metadata_is_routed():
    from sklearn import config_context

    X, y, origin = mix()
    with config_context(enable_metadata_routing=True):
        model = mc.CollapseAwareRidge(weights="auto").set_fit_request(origin=True)
        pipeline = make_pipeline(StandardScaler(), model).fit(X, y, origin=origin)
        assert "model" in pipeline[-1].weights_
        assert len(cross_val_score(pipeline, X, y, params={"origin": origin}, cv=3)) == 3


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW)
def test_single_precision_gives_the_same_choice():
    X, y, origin = mix()
    models = [mc.CollapseAwareRidge(weights="auto").fit(Z, y, origin=origin) for Z in (X, X.astype(np.float32))]
    assert models[0].weights_ == models[1].weights_
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.filterwarnings(TOO_FEW)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    X, y, origin = mix()
    table = frames.DataFrame({f"x{j}": X[:, j] for j in range(X.shape[1])})
    model = mc.CollapseAwareRidge(weights="auto").fit(table, y, origin=frames.Series(origin.tolist()))
    assert model.feature_names_in_.tolist() == list(table.columns)
    assert model.weights_ == mc.CollapseAwareRidge(weights="auto").fit(X, y, origin=origin).weights_
