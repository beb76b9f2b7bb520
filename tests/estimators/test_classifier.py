"""CollapseAwareClassifier: scikit-learn's contract, classes of any name and number, weights chosen on real rows."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import modelcollapse as mc
from modelcollapse.estimators.misclassified import _wrong

RNG = np.random.default_rng
pytestmark = pytest.mark.filterwarnings("ignore:.*too few to tell", "ignore:the real rows alone look best")


@parametrize_with_checks([mc.CollapseAwareClassifier(), mc.CollapseAwareClassifier(kernel="rbf")])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def mix(classes=3, real=90, fake=300, dim=6, error=0.3, seed=0):
    """Rows whose class is the largest of linear scores; labels of synthetic rows are a teacher's, off by `error`."""
    rng = RNG(seed)
    X, truth = rng.standard_normal((real + fake, dim)) + 0.3, rng.standard_normal((dim, classes))
    names = np.array(["ash", "birch", "cedar", "date"])[:classes]
    origin = np.repeat(["real", "model"], [real, fake])
    weights = np.where((origin == "real")[:, None, None], truth, truth + error * rng.standard_normal((dim, classes)))
    scores = np.einsum("id,idc->ic", X, weights) + (origin == "real")[:, None] * rng.standard_normal((len(X), classes))
    clean = names[(X @ truth).argmax(axis=1)]
    return X, names[scores.argmax(axis=1)], origin, clean


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_it_is_the_ridge_classifier_at_its_weights_and_alpha(classes):
    X, y, origin, _ = mix(classes)
    model = mc.CollapseAwareClassifier().fit(X, y, origin=origin)
    weight = np.array([model.weights_[mark] for mark in origin])
    reference = RidgeClassifier(alpha=model.alpha_).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.decision_function(X[:20]), reference.decision_function(X[:20]), rtol=1e-7)
    assert model.predict(X).tolist() == reference.predict(X).tolist()
    assert model.classes_.tolist() == reference.classes_.tolist()
    np.testing.assert_allclose(model.coef_, np.atleast_2d(reference.coef_), rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.parametrize("classes", [2, 3])
def test_error_rates_are_those_of_leaving_out(classes):
    X, y, origin, _ = mix(classes, real=24, fake=48)
    model = mc.CollapseAwareClassifier().fit(X, y, origin=origin)
    for place, weight in ((0, 0.0), (1, 1.0), (2, model.weights_["model"])):
        weights, misses = np.where(origin == "real", 1.0, weight), []
        for i in range(24):
            kept = np.arange(len(X)) != i
            fit = RidgeClassifier(alpha=model.report_["alpha"][place])
            fit.fit(X[kept], y[kept], sample_weight=weights[kept])
            misses.append(fit.predict(X[[i]])[0] != y[i])
        assert model.report_["error_rate"][place] == pytest.approx(np.mean(misses))
        expected = np.std(misses, ddof=1) / np.sqrt(24)
        assert model.report_["error_rate_error"][place] == pytest.approx(expected)


def test_synthetic_rows_help_and_bad_ones_do_no_harm():
    """Mean error on the clean classes over six data sets of 20 real rows: with a good teacher below the real rows' own,
    with a useless one within 0.03 of it, where pooling costs 0.1 or more."""
    errors = {}
    for error in (0.1, 30.0):
        found = []
        for seed in range(6):
            X, y, origin, clean = mix(2, 20, 200, 6, error, seed)
            model = mc.CollapseAwareClassifier().fit(X, y, origin=origin)
            alphas = model.report_["alpha"]
            fits = [model, RidgeClassifier(alphas[0]).fit(X[:20], y[:20]), RidgeClassifier(alphas[1]).fit(X, y)]
            found.append([np.mean(fit.predict(X) != clean) for fit in fits])
        errors[error] = np.mean(found, axis=0)
    ours, alone, _ = errors[0.1]
    assert ours < alone - 0.03
    ours, alone, pooled = errors[30.0]
    assert ours < alone + 0.03 < pooled - 0.07


@pytest.mark.usefixtures("few_shapes")
def test_zero_one_error_overrules_squares_only_where_it_is_sure(monkeypatch):
    X, y, origin, _ = mix(2)
    usual = mc.CollapseAwareClassifier().fit(X, y, origin=origin)
    assert usual.criterion_ == "leave-one-out and evidence"

    def planted(rows, scored, level):
        return _wrong(rows, scored, level) if scored.weights[1] else np.zeros(len(rows.counts))

    monkeypatch.setattr("modelcollapse.estimators.misclassified._wrong", planted)
    ruled = mc.CollapseAwareClassifier().fit(X, y, origin=origin)
    assert ruled.weights_["model"] == 0 < usual.weights_["model"]
    assert ruled.criterion_.endswith("0-1 error")


@pytest.mark.usefixtures("few_shapes")
def test_probabilities_searches_scores_pickles():
    X, y, origin, _ = mix(3)
    kind = np.where(origin == "real", "real", "model")
    calibrated = CalibratedClassifierCV(mc.CollapseAwareClassifier(), cv=3).fit(X, y, origin=kind)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.score(X, y) > 0.6
    pipeline = make_pipeline(StandardScaler(), mc.CollapseAwareClassifier())
    scores = cross_val_score(pipeline, X, y, params={"collapseawareclassifier__origin": kind}, cv=3)
    assert np.all(scores > 0.6)
    search = GridSearchCV(mc.CollapseAwareClassifier(), {"weights": ["auto", "equal"]}, cv=3).fit(X, y, origin=kind)
    again = pickle.loads(pickle.dumps(search))
    assert again.predict(X).tolist() == search.predict(X).tolist()


@pytest.mark.usefixtures("few_shapes")
def test_metadata_is_routed():
    from sklearn import config_context

    X, y, origin, _ = mix(3)
    with config_context(enable_metadata_routing=True):
        model = mc.CollapseAwareClassifier().set_fit_request(origin=True, sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipeline.fit(X, y, origin=origin, sample_weight=np.ones(len(X)))
        assert pipeline[-1].weights_.keys() == {"real", "model"}


@pytest.mark.usefixtures("few_shapes")
def test_kernels_and_single_precision():
    X, y, origin, clean = mix(3, real=30, fake=70)
    model = mc.CollapseAwareClassifier(kernel="rbf", gamma=0.1).fit(X.astype(np.float32), y, origin=origin)
    assert np.mean(model.predict(X.astype(np.float32)) == clean) > 0.7
    assert model.dual_coef_.shape == (len(X), 3)


def test_what_is_refused():
    X, y, origin, _ = mix(2)
    with pytest.raises(ValueError, match=r"y has one class, .*'ash'.*; a classifier needs rows of at least two"):
        mc.CollapseAwareClassifier().fit(X, np.full(len(X), "ash"))
    with pytest.raises(ValueError, match="'human' is not among"):
        mc.CollapseAwareClassifier().fit(X, y, origin=np.where(origin == "real", "human", "model"))
    few = np.where(np.arange(len(X)) < 2, "real", "model")
    with pytest.warns(UserWarning, match="2 real rows are too few to choose by"):
        mc.CollapseAwareClassifier().fit(X, y, origin=few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mc.CollapseAwareClassifier().fit(X, y).weights_ == {}
