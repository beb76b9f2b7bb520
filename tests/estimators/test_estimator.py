"""CollapseAwareRidge: scikit-learn's contract, GCV where nothing is synthetic, and provenances, read or refused."""

import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from modelcollapse.estimator import CollapseAwareRidge, Provenance
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.numerics.provenance.source_conditions import chain_moments, effective_ridge, population_spectrum
from modelcollapse.theory.populations.resolved_directions import of_features

RNG = np.random.default_rng


@parametrize_with_checks(
    [
        CollapseAwareRidge(),
        CollapseAwareRidge(fit_intercept=False),
        CollapseAwareRidge(kernel="rbf"),
        CollapseAwareRidge(2, 50, 0.1),
    ],
    expected_failed_checks=lambda estimator: (
        {"check_sample_weight_equivalence_on_dense_data": "leverage is measured on random subsets of the rows"}
        if estimator.generations
        else {}
    ),
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def problem(rows, dim, seed=0, outputs=None):
    rng = RNG(seed)
    X = rng.standard_normal((rows, dim)) * np.arange(1, dim + 1) ** -0.6 + 0.3
    shape = (dim,) if outputs is None else (dim, outputs)
    y = X @ rng.standard_normal(shape)
    return X, y + 0.5 * rng.standard_normal(y.shape) + 2.0


def naive_gcv(K, y, ridge, intercept):
    """mean((y - ŷ)²) / (1 - tr H / T)² from the hat matrix itself."""
    T = len(K)
    centre = np.eye(T) - intercept * np.ones((T, T)) / T
    K = centre @ K @ centre
    H = K @ np.linalg.inv(K + T * ridge * np.eye(T)) @ centre + intercept * np.ones((T, T)) / T
    return np.mean((y - H @ y) ** 2) / (1 - np.trace(H) / T) ** 2


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dim", [15, 80])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_real_rows_give_gcv_exactly(kernel, dim, intercept):
    X, y = problem(40, dim)
    ridges = np.geomspace(1e-3, 10, 9)
    model = CollapseAwareRidge(kernel=kernel, gamma=0.1, ridges=ridges, fit_intercept=intercept).fit(X, y)
    K = X @ X.T if kernel == "linear" else rbf_kernel(X, gamma=0.1)
    expected = [naive_gcv(K, y, ridge, intercept) for ridge in ridges]
    np.testing.assert_allclose(model.path_["gcv"], expected, rtol=1e-8)
    np.testing.assert_array_equal(model.path_["corrected_risk"], model.path_["gcv"])
    assert model.criterion_ == "gcv"
    assert model.alpha_ == model.ridge_ * 40


@pytest.mark.parametrize("dim", [15, 80])
def test_chosen_model_is_scikit_learns_at_alpha(dim):
    X, y = problem(40, dim)
    for intercept in (True, False):
        model = CollapseAwareRidge(ridges=[0.02], fit_intercept=intercept).fit(X, y)
        reference = Ridge(alpha=model.alpha_, fit_intercept=intercept).fit(X, y)
        np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.intercept_, reference.intercept_)
    model = CollapseAwareRidge(kernel="rbf", gamma=0.1, ridges=[0.02], fit_intercept=False).fit(X, y)
    reference = KernelRidge(alpha=model.alpha_, kernel="rbf", gamma=0.1).fit(X, y)
    np.testing.assert_allclose(model.predict(X[:5] + 0.1), reference.predict(X[:5] + 0.1))


@pytest.mark.parametrize("dim", [15, 80])
def test_zero_ridge_is_the_limit_on_both_sides(dim):
    """Least squares for T > d, the minimum-norm interpolator for T < d; GCV is continuous there."""
    X, y = problem(40, dim)
    model = CollapseAwareRidge(ridges=[0.0]).fit(X, y)
    tiny = CollapseAwareRidge(ridges=[1e-11]).fit(X, y)
    for name in ("gcv", "degrees_of_freedom"):
        np.testing.assert_allclose(model.path_[name], tiny.path_[name], rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-7)


def test_small_promises_in_infinite_dimension_are_not_acted_on():
    X, y = problem(60, 5)
    model = CollapseAwareRidge(1, 200, 0.1, 1e-3, ridges=np.geomspace(1e-4, 10, 21), kernel="rbf", gamma=0.1)
    with pytest.warns(UserWarning, match=r"promises \d+ % of the smallest gcv, less than the 30 % .* without"):
        model.fit(X, y)
    assert model.criterion_ == "gcv (fallback)"
    np.testing.assert_array_equal(model.path_["corrected_risk"], model.path_["gcv"])


def test_units_cancel():
    """Labels and noise in other units leave the ridge alone; inputs in other units scale it."""
    X, y = problem(60, 30)
    for options in ({}, {"generator_ridge": 0.05}):
        base = CollapseAwareRidge(3, 50, 0.2, **options).fit(X, y).ridge_
        assert CollapseAwareRidge(3, 50, 2.0, **options).fit(X, 10 * y).ridge_ == pytest.approx(base)
        options = {name: 25 * value for name, value in options.items()}
        assert CollapseAwareRidge(3, 50, 0.2, **options).fit(5 * X, y).ridge_ == pytest.approx(25 * base)


def test_a_dict_of_one_origin_is_the_plain_description():
    X, y = problem(60, 30)
    plain = CollapseAwareRidge(3, 50, 0.2).fit(X, y)
    mixed = CollapseAwareRidge({"model": Provenance(3, 50, 0.2)}).fit(X, y, origin=["model"] * 60)
    np.testing.assert_allclose(plain.path_["corrected_risk"], mixed.path_["corrected_risk"])
    halved = CollapseAwareRidge({0: Provenance(), 1: Provenance(3, 50, 0.2)}).fit(X, y, origin=np.arange(60) % 2)
    penalty = [np.ptp(m.path_["corrected_risk"] - m.path_["gcv"]) for m in (plain, halved)]
    assert penalty[1] == pytest.approx(penalty[0] / 4)


def test_outputs_share_one_ridge_and_average_their_risks():
    X, y = problem(60, 30, outputs=2)
    both = CollapseAwareRidge(3, 50, 0.2).fit(X, y)
    each = [CollapseAwareRidge(3, 50, 0.2).fit(X, column).path_["corrected_risk"] for column in y.T]
    np.testing.assert_allclose(both.path_["corrected_risk"], np.mean(each, axis=0))
    assert both.predict(X).shape == (60, 2)
    assert both.coef_.shape == (2, 30)


@pytest.mark.filterwarnings("ignore:the correction promises")
def test_kernels_agree_with_their_precomputed_matrix_and_linear_with_its_features():
    X, y = problem(50, 12)
    Z = problem(7, 12, seed=1)[0]
    for options in (
        {},
        {"generations": 4, "generator_samples": 40, "generator_noise": 0.3, "generator_ridge": 0.1},
    ):
        by_name = CollapseAwareRidge(kernel="rbf", gamma=0.2, **options).fit(X, y)
        matrix = CollapseAwareRidge(kernel="precomputed", **options).fit(rbf_kernel(X, gamma=0.2), y)
        np.testing.assert_allclose(by_name.predict(Z), matrix.predict(rbf_kernel(Z, X, gamma=0.2)))
        linear = CollapseAwareRidge(**options).fit(X, y)
        dual = CollapseAwareRidge(kernel="precomputed", **options).fit(X @ X.T, y)
        np.testing.assert_allclose(linear.predict(Z), dual.predict(Z @ X.T), rtol=1e-6)


def test_lives_in_pipelines_and_searches():
    X, y = problem(60, 10)
    options = {"generator_samples": 40, "generator_noise": 0.3}
    model = make_pipeline(StandardScaler(), CollapseAwareRidge(3, **options)).set_output(transform="default")
    model.fit(X, y, collapseawareridge__origin=["model"] * 60)
    assert clone(model)[-1].get_params()["generations"] == 3
    search = GridSearchCV(CollapseAwareRidge(**options), {"generations": [0, 4]}, cv=3).fit(X, y)
    assert set(search.best_params_) == {"generations"}


def test_unlabelled_inputs_sharpen_what_is_measured_on_inputs():
    """The leverage of Gaussian inputs is 1 within a few per cent on either set; eigenvalues change more."""
    X, y = problem(60, 30)
    more = problem(300, 30, seed=2)[0]
    for ridge, close in ((0.0, True), (0.1, False)):
        model = CollapseAwareRidge(3, 50, 0.2, ridge)
        first, second = model.fit(X, y).path_, clone(model).fit(X, y, unlabelled=more).path_
        np.testing.assert_array_equal(first["gcv"], second["gcv"])
        assert not np.array_equal(first["corrected_risk"], second["corrected_risk"])
        assert np.allclose(first["corrected_risk"], second["corrected_risk"], rtol=0.01) == close


def test_few_directions_are_judged_by_their_posterior():
    X, y = problem(100, 20)
    few, many = CollapseAwareRidge(3, 50, 0.2).fit(X, y), CollapseAwareRidge(3, 50, 0.2).fit(X[:75], y[:75])
    assert (few.criterion_, many.criterion_) == ("noise, posterior", "noise")
    assert CollapseAwareRidge(3, 50, 0.0).fit(X, y).ridge_ == CollapseAwareRidge().fit(X, y).ridge_


def test_population_eigenvalues_come_back_from_sample_ones():
    """T = 150 samples of d = 100: sample eigenvalues spread by a factor of 30, the recovered df_1 is that of
    the population."""
    s = np.repeat([1.0, 0.1], 50)
    X = RNG(0).standard_normal((150, 100)) * np.sqrt(s)
    path = RidgePath.of(of_features(X, centre=False), np.zeros((150, 1)))
    _, kappa, _, df = path.curve()
    atoms, mu = population_spectrum(kappa, df, 100)
    at = np.geomspace(0.01, 3, 9)[:, None]
    np.testing.assert_allclose((atoms / (atoms + at)) @ mu, (s / (s + at)).sum(axis=1), rtol=0.05)
    spread = path.values / 150
    with pytest.raises(AssertionError):  # the sample eigenvalues themselves do not
        np.testing.assert_allclose((spread / (spread + at)).sum(axis=1), (s / (s + at)).sum(axis=1), rtol=0.05)


def test_effective_ridge_solves_its_equation():
    s, mu = np.array([1.0, 0.2]), np.array([30.0, 50.0])
    for ridge, samples in ((0.1, 60), (0.0, 60), (1e-4, 200)):
        kappa = effective_ridge(ridge, samples, s, mu, 80)
        assert kappa - ridge == pytest.approx(kappa * (mu @ (s / (s + kappa))) / samples)
    assert effective_ridge(0.0, 100, s, mu, 80) == 0.0


def test_chain_moments_are_linear_and_shrink():
    s, mu = np.array([1.0, 0.2]), np.array([30.0, 50.0])
    columns = np.eye(2)
    origin = Provenance(3, 60, 0.0, 0.01)
    mean, variance = chain_moments(s, mu, 80, columns, np.array([1.0, 2.0]), origin)
    _, total = chain_moments(s, mu, 80, columns.sum(axis=1, keepdims=True), np.array([3.0]), origin)
    np.testing.assert_allclose(variance.sum(axis=1), total[:, 0])
    assert np.all(mean < chain_moments(s, mu, 80, columns, np.zeros(2), replace(origin, generations=2))[0])


@pytest.mark.parametrize(
    ("options", "origin", "error", "fragment"),
    [
        ({"generations": 3}, None, ValueError, "samples = None"),
        ({"generations": 3, "generator_samples": 50}, None, ValueError, "clean labels through origin"),
        ({"generations": -1}, None, ValueError, "generations = -1"),
        ({"generations": True}, None, TypeError, "bool"),
        ({"generations": 1, "generator_samples": 9, "generator_noise": -1.0}, None, ValueError, "noise = -1"),
        ({"ridges": [-1.0]}, None, ValueError, "ridges"),
        ({"ridges": "fine"}, None, ValueError, "auto"),
        ({"generations": {"a": Provenance()}}, None, ValueError, "mark the rows"),
        ({"generations": {"a": Provenance()}}, ["a"] * 19 + ["b"], ValueError, "'b' is not among"),
        ({"generations": {"a": 3}}, ["a"] * 20, TypeError, "Provenance"),
        ({"generations": {"a": Provenance()}, "generator_noise": 1.0}, ["a"] * 20, ValueError, "generator_"),
        ({}, ["real"] * 3, ValueError, "3 entries for 20 rows"),
        ({"kernel": "precomputed"}, None, ValueError, "square"),
    ],
)
def test_bad_provenance_is_refused(options, origin, error, fragment):
    X, y = problem(20, 5)
    with pytest.raises(error, match=fragment):
        CollapseAwareRidge(**options).fit(X, y, origin=origin)


def test_implausible_provenance_warns():
    X, y = problem(60, 30)
    with pytest.warns(UserWarning, match="generator noise alone"):
        CollapseAwareRidge(20, 50, 10.0).fit(X, y)
    with pytest.warns(UserWarning, match="threshold"):
        model = CollapseAwareRidge(5, 32, 0.1).fit(X, y)
    assert model.criterion_ == "gcv (fallback)"
    np.testing.assert_array_equal(model.path_["corrected_risk"], model.path_["gcv"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CollapseAwareRidge(2, 50, 0.1).fit(X, y)


def test_missing_scikit_learn_is_named_with_its_remedy():
    code = "import sys; sys.modules['sklearn'] = None; import modelcollapse.estimator"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "pip install 'modelcollapse[estimator]'" in done.stderr
