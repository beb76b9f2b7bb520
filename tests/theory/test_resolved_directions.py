"""Ranks: what was computed from large numbers, in single precision, from repeated rows or in mixed units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel

import modelcollapse as mc
from modelcollapse.numerics.provenance.ridge_path import RidgePath
from modelcollapse.numerics.provenance.source_conditions import label_noise_variance, population_spectrum
from modelcollapse.theory.populations import resolved_directions
from modelcollapse.theory.populations.resolved_directions import of_features, of_gram, precision

RNG = np.random.default_rng


def shown(rows, columns, seed=0):
    Z = RNG(seed).standard_normal((rows, columns))
    return Z, Z.sum(axis=1) + 0.3 * RNG(seed + 1).standard_normal(rows)


@given(
    seed=st.integers(0, 999),
    columns=st.integers(1, 8),
    extra=st.integers(5, 60),
    offset=st.sampled_from([0.0, 5.0, 50.0, 1e3, 1e6]),
    scale=st.sampled_from([1e-7, 1e-3, 1.0, 1e7]),
    repeated=st.integers(0, 20),
    constant=st.booleans(),
    copied=st.booleans(),
)
def test_rank_and_dimension_are_those_of_the_data_before_it_was_disguised(
    seed, columns, extra, offset, scale, repeated, constant, copied
):
    """Offsets, units, constant and copied columns, repeated rows: as features and, where units are one, as a matrix."""
    Z = RNG(seed).standard_normal((columns + extra, columns))
    X = scale * (np.vstack([Z, Z[:repeated]]) + offset)
    if copied:
        X = np.column_stack([X, 2.5 * X[:, 0]])
    if constant:
        X = np.column_stack([X, np.full(len(X), scale * 0.1)])
    found = of_features(X)
    assert (len(found.values), found.dim, found.null) == (columns, columns, len(X) - 1 - columns)
    if offset <= 1e3:
        matrix = of_gram(X @ X.T)
        assert (len(matrix.values), matrix.dim) == (columns, columns)
        np.testing.assert_allclose(matrix.values, found.values, rtol=1e-5)


@given(
    seed=st.integers(0, 999),
    rows=st.integers(6, 30),
    more=st.integers(1, 30),
    repeated=st.integers(0, 20),
    offset=st.sampled_from([0.0, 50.0, 1e4]),
)
def test_repeated_rows_do_not_end_a_feature_space(seed, rows, more, repeated, offset):
    """Fewer distinct rows than columns show nothing of the end, as features, as a matrix, or under another kernel."""
    Z = RNG(seed).standard_normal((rows, rows + more)) + offset
    X = np.vstack([Z, Z[:repeated]])
    found, matrix, other = of_features(X), of_gram(X @ X.T), of_gram(rbf_kernel(X - offset, gamma=0.02))
    assert (len(found.values), found.dim) == (rows - 1, rows + more)
    assert (len(matrix.values), matrix.dim) == (rows - 1, np.inf)
    assert (len(other.values), other.dim) == (rows - 1, np.inf)


@pytest.mark.parametrize("offset", [0.0, 5.0, 300.0])
def test_single_precision_is_told_from_data(offset):
    X = (shown(200, 4)[0] + offset).astype("float32")
    X = np.column_stack([X, X[:, 0] + X[:, 1]]).astype("float32")  # the sum is off by its rounding
    assert len(of_features(X.astype(float), eps=precision(X)).values) == 4
    K = X @ X.T
    assert len(of_gram(K.astype(float), eps=precision(K)).values) == 4
    assert len(of_gram(K.astype(float)).values) > 4  # the control: rounding of single precision taken for data


@pytest.mark.parametrize(("gamma", "dim"), [(0.01, 1), (0.1, 1), (1.0, 1), (0.1, 2), (1.0, 2)])
@pytest.mark.parametrize("repeated", [0, 30])
def test_eigenvalues_that_fade_have_no_end_and_a_polynomial_has(gamma, dim, repeated):
    X = RNG(3).standard_normal((100, dim))
    X = np.vstack([X, X[:repeated]])
    assert of_gram(rbf_kernel(X, gamma=gamma)).dim == np.inf
    polynomial = of_gram((X @ X.T + 1) ** 3)
    assert polynomial.dim == len(polynomial.values) == {1: 3, 2: 9}[dim]


@pytest.mark.parametrize("units", [(1e7, 1.0), (1e7, 1e-7), (1.0, 1e12)])
@pytest.mark.parametrize("rows", [60, 12])
def test_small_columns_are_fitted_as_scikit_learn_fits_them(units, rows):
    """Two columns on 60 rows; on 12 rows, ten more columns of the larger unit."""
    Z = RNG(0).standard_normal((rows, 2 if rows == 60 else 12))
    X = Z * np.append(np.full(Z.shape[1] - 1, units[0]), units[1])
    y, ridge = 3 * Z[:, -1], 1e-6 * units[1] ** 2
    for intercept in (True, False):
        model = mc.CollapseAwareRidge(ridges=[ridge], fit_intercept=intercept).fit(X, y)
        reference = Ridge(alpha=model.alpha_, solver="svd", fit_intercept=intercept).fit(X, y)
        if rows == 60:
            np.testing.assert_allclose(model.coef_ * units, reference.coef_ * units, rtol=1e-8, atol=1e-8)
            assert model.score(X, y) > 0.99
        else:  # as accurate as quadruple precision, in which scikit-learn does not work
            exact = exact_ridge(X, y, model.alpha_, intercept)
            np.testing.assert_allclose(model.predict(X), exact, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e7, 1e-7), (1e-9, 1e9)])
def test_eigenvalues_of_columns_in_any_units_are_relatively_accurate(units):
    """Their product is that of the lengths of one column and of what is left of the other, to twelve digits."""
    Z = RNG(4).standard_normal((40, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]])
    values = of_features(Z * units, centre=False).values
    rest = Z[:, 1] - Z[:, 0] * (Z[:, 0] @ Z[:, 1]) / (Z[:, 0] @ Z[:, 0])
    assert np.prod(values) == pytest.approx((Z[:, 0] @ Z[:, 0]) * (rest @ rest) * np.prod(units) ** 2, rel=1e-12)


def test_six_correlated_columns_in_units_across_sixteen_decades():
    """Eigenvalues against 60 digits; an ordinary decomposition is 0.5 % off in the smallest."""
    import mpmath as mp

    rng = RNG(0)
    X = rng.standard_normal((40, 6)) @ rng.standard_normal((6, 6)) * [1e-7, 1e-4, 1, 1e3, 1e6, 1e9]
    with mp.workdps(60):
        A = mp.matrix(X.tolist())
        exact = np.array([float(value) for value in mp.eigsy(A.T * A, eigvals_only=True)])[::-1]
    np.testing.assert_allclose(of_features(X, centre=False).values, exact, rtol=1e-11)


def test_a_column_that_varies_by_its_last_digit_is_constant():
    Z, _ = shown(60, 3)
    last = 1e6 * (1 + resolved_directions.EPS * (np.arange(60) % 2))
    assert np.ptp(last) > 0
    found = of_features(np.column_stack([Z, last]))
    assert (len(found.values), found.dim) == (3, 3)


def test_a_gaussian_kernel_forgets_where_the_data_are():
    """Distances of rows 1e6 from the origin, by scalar products, are off by 1e-4."""
    Z, y = shown(60, 3)
    new = RNG(9).standard_normal((7, 3))
    near, far = (mc.CollapseAwareRidge(kernel="rbf", ridges=[1e-4]).fit(Z + shift, y) for shift in (0.0, 1e6))
    np.testing.assert_allclose(far.predict(new + 1e6), near.predict(new), rtol=1e-5, atol=1e-5)


def test_a_kernel_far_from_zero_predicts_as_its_features_do():
    Z, y = shown(80, 5)
    X, new = Z + 1e4, RNG(2).standard_normal((9, 5)) + 1e4
    features = mc.CollapseAwareRidge(ridges=[1e-3]).fit(X, y)
    matrix = mc.CollapseAwareRidge(ridges=[1e-3], kernel="precomputed").fit(X @ X.T, y)
    np.testing.assert_allclose(matrix.predict(new @ X.T), features.predict(new), atol=1e-6)


def exact_ridge(X, y, alpha, intercept):
    """Predictions by 60 digits."""
    import mpmath as mp

    with mp.workdps(60):
        rows = len(X)
        A, b = mp.matrix(X.tolist()), mp.matrix(y.tolist())
        mean = sum(b) / rows if intercept else mp.mpf(0)
        if intercept:
            centre = mp.eye(rows) - mp.ones(rows) / rows
            A, b = centre * A, centre * b
        K = A * A.T
        weights = mp.lu_solve(K + mp.mpf(float(alpha)) * mp.eye(rows), b)
        return np.array([float(mean + value) for value in K * weights])


@pytest.mark.parametrize("offset", [0.0, 5.0, 50.0, 1e3, 1e6])
@pytest.mark.parametrize("model", [mc.CollapseAwareRidge, mc.CollapseAwareGradientFlow])
def test_a_gram_matrix_of_features_far_from_zero_chooses_as_the_features_do(model, offset):
    """Twice: least-squares generators, whose noise term counts directions, and one that shrinks the signal."""
    Z, y = shown(80, 5)
    X = Z + offset
    for provenance in ((3, 40, 0.3), (3, 40, 0.3, 0.05)):
        features, matrix = model(*provenance).fit(X, y), model(*provenance, kernel="precomputed").fit(X @ X.T, y)
        assert matrix.criterion_ == features.criterion_
        strength = "ridge_" if model is mc.CollapseAwareRidge else "time_"
        if offset <= 1e3 or len(provenance) == 3:  # on a plateau, the last digits decide
            assert getattr(matrix, strength) == pytest.approx(getattr(features, strength), rel=1e-4)
        np.testing.assert_allclose(matrix.path_["corrected_risk"], features.path_["corrected_risk"], rtol=1e-3)
        assert matrix.generator_error_ == pytest.approx(features.generator_error_, rel=1e-3)
        assert features.generator_error_ == pytest.approx(model(*provenance).fit(Z, y).generator_error_, rel=1e-6)
        np.testing.assert_allclose(matrix.path_["degrees_of_freedom"], features.path_["degrees_of_freedom"], rtol=1e-4)


def test_a_monitor_counts_the_directions_of_a_matrix_far_from_zero():
    Z, y = shown(80, 5)
    X, fake = Z + 50, mc.Provenance(3, 40, 0.3)
    features = mc.StoppingMonitor(X, y, fake, fit_intercept=True)
    matrix = mc.StoppingMonitor(X @ X.T, y, fake, kernel="precomputed", fit_intercept=True)
    assert matrix.best_time == pytest.approx(features.best_time, rel=1e-9)


@pytest.mark.parametrize("repeat", ["one row", "bootstrap", "unlabelled"])
def test_repeated_rows_leave_the_error_of_generators_alone(repeat):
    """d = 100 directions on fewer rows, generators on 200 with one lost to the intercept: 3·0.09·100/98 whatever is
    repeated; counting distinct rows as directions gave 0.11."""
    X = RNG(0).standard_normal((60, 100))
    y, more = 0.1 * X.sum(axis=1) + 0.3 * RNG(1).standard_normal(60), None
    if repeat == "one row":
        X[1] = X[0]
    elif repeat == "bootstrap":
        pick = RNG(2).integers(0, 60, 60)
        X, y = X[pick], y[pick]
    else:
        more = np.vstack([X, X])
    found = mc.CollapseAwareRidge(3, 200, 0.3).fit(X, y, unlabelled=more).generator_error_
    assert found == pytest.approx(3 * 0.09 * 100 / 98, rel=1e-9)


def test_a_bootstrap_sample_does_not_look_free_of_noise():
    """Replicates of rows and labels have no residual between them; it is no residual of the model."""
    X = RNG(0).standard_normal((80, 100)) * np.arange(1, 101) ** -0.8
    y = X @ np.ones(100) + RNG(1).standard_normal(80)
    pick = RNG(2).integers(0, 80, 120)
    path = resolved_path(X[pick], y[pick])
    assert path.null > 20
    assert not path.exhausted
    assert path.rest < 1e-20
    _, kappa, gcv, df = path.curve()
    assert label_noise_variance(path, *population_spectrum(kappa, df, path.dim)) >= 1e-3 * gcv.min() > 1e-12
    assert resolved_path(X[:, :20], y).exhausted


def resolved_path(X, y):
    return RidgePath.of(of_features(X), (y - y.mean())[:, None])


def test_spectra_of_data_share_the_cut():
    Z, y = shown(80, 5)
    X = np.column_stack([1e7 * Z[:, :2], Z[:, 2:], 1e7 * Z[:, 0]])
    assert mc.from_samples(X, y).dim == 5
    X = Z.astype("float32") + np.float32(20)
    assert mc.from_gram(X @ X.T, y).dim == 5
    units = np.array([1e9, 1.0, 1e-9])
    correlation = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.0]])
    spectrum = mc.from_covariance(units * correlation * units[:, None], 1 / units)
    assert spectrum.dim == 3
    assert spectrum.label_variance == pytest.approx(correlation.sum())


def test_a_cut_on_squares_would_be_seen(monkeypatch):
    """Negative control: the old rule, eigenvalues against rows·ε times the largest, loses the small column."""
    exact = resolved_directions._singular

    def squared(Z, lengths):
        U, values, V = exact(Z, lengths)
        return U, np.where(values**2 > len(Z) * resolved_directions.EPS * values[0] ** 2, values, 0.0), V

    Z = RNG(0).standard_normal((60, 2))
    X, y = Z * [1e7, 1], 3 * Z[:, 1]
    monkeypatch.setattr(resolved_directions, "_singular", squared)
    with pytest.raises(AssertionError):
        assert mc.CollapseAwareRidge(ridges=[1e-6]).fit(X, y).score(X, y) > 0.99
