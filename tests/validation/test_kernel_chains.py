"""Really trained chains against the theory, and the statements that the theory must lose."""

import numpy as np
import pytest
from scipy.linalg import expm
from sklearn.kernel_ridge import KernelRidge

import modelcollapse as mc
from modelcollapse.validation import datasets, kernel_chains
from modelcollapse.validation.kernel_chains import kernel_chain, predict_chain

FEATURES, ROWS = 40, 1500


@pytest.fixture(scope="module")
def gaussian():
    """A data set of the theory's own kind: Gaussian rows, linear targets, noise that no weights explain."""
    rng = np.random.default_rng(5)
    inputs = rng.standard_normal((ROWS, FEATURES)) * np.arange(1, FEATURES + 1) ** -0.5
    return inputs, inputs @ np.ones(FEATURES) + 0.6 * rng.standard_normal(ROWS)


@pytest.fixture(scope="module")
def trained(gaussian):
    return kernel_chain(
        *gaussian, "linear", generations=[[0], [1], [4]], samples=[80, 160, 320], ridge=0.01, noise=0.2,
        generator_samples=120, generator_noise=0.8, runs=60, held_out=False,
    )  # fmt: skip


def z_scores(trained, predicted):
    """Distances in standard errors beyond the 3 % of a finite size (1/d = 2.5 %)."""
    difference = np.abs(trained.mean - predicted) - 0.03 * predicted
    return difference / trained.standard_error


def test_trained_chains_agree_with_the_theory(trained):
    """Nine cells at 4 standard errors: a false alarm in fewer than one of 1700 seeds."""
    assert trained.mean.shape == (3, 3)
    assert np.max(z_scores(trained, trained.prediction.test_error)) < 4


@pytest.mark.parametrize("wrong", ["one generation fewer", "no generator noise", "unexplained dropped"])
def test_wrong_theories_are_rejected(trained, wrong):
    spectrum = trained.spectrum
    generations, noise = np.array([[0], [1], [4]]), 0.8
    if wrong == "one generation fewer":
        generations = np.maximum(generations - 1, 0)
    elif wrong == "no generator noise":
        noise = 0.0
    else:
        spectrum = mc.Spectrum(spectrum.eigenvalues, spectrum.signal, spectrum.multiplicity)
    predicted = predict_chain(spectrum, generations, [80, 160, 320], 0.01, 0.2, 120, 0.01, noise)
    assert np.max(z_scores(trained, predicted.test_error)) > 4


def test_unexplained_targets_are_label_noise_of_the_data_only(gaussian):
    spectrum = mc.from_samples(*gaussian)
    assert spectrum.unexplained == pytest.approx(0.36, rel=0.1)
    clean = predict_chain(spectrum, 0, 100, 0.1, 0.2, 100, 0.1, 0.2)
    same = mc.test_error(spectrum, 100, 0.1, np.hypot(0.2, np.sqrt(spectrum.unexplained)))
    assert clean.test_error == pytest.approx(same.test_error, rel=1e-12)
    teacher = mc.fit(mc.truth(spectrum).label(150, np.hypot(0.3, np.sqrt(spectrum.unexplained))), ridge=0.2)
    student = mc.fit(teacher.label(100, 0.2), ridge=0.1)
    one = predict_chain(spectrum, 1, 100, 0.1, 0.2, 150, 0.2, 0.3)
    assert one.test_error == pytest.approx(mc.predict(student).test_error, rel=1e-9)
    assert one.clean == pytest.approx(clean.test_error, rel=1e-12)
    assert one.collapse == pytest.approx(one.test_error - one.clean)


def test_one_run_is_scikit_learns_kernel_ridge(gaussian):
    """No noise, all rows but one in the fit: the error is that of KernelRidge on the row left."""
    inputs, targets = gaussian[0][:60], gaussian[0][:60] @ np.ones(FEATURES)
    found = kernel_chain(inputs, targets, "rbf", gamma=0.1, samples=59, ridge=0.01, runs=20, seed=3)
    errors = []
    for left in range(60):
        rest = np.delete(np.arange(60), left)
        model = KernelRidge(kernel="rbf", gamma=0.1, alpha=59 * 0.01).fit(inputs[rest], targets[rest])
        errors.append((model.predict(inputs[[left]])[0] - targets[left]) ** 2)
    assert all(np.isclose(draw, errors, rtol=1e-7).any() for draw in found.draws)


def test_one_stopped_run_is_gradient_flow(gaussian):
    """Dual weights follow a' = (y − K a)/T, so K a(t) = (1 − e^{−tK/T}) y: by a matrix exponential, no eigenpairs."""
    inputs, targets = gaussian[0][:60], gaussian[0][:60] @ np.ones(FEATURES)
    found = kernel_chain(inputs, targets, "rbf", gamma=0.1, samples=59, time=30.0, runs=20, seed=3)
    gram, errors = np.exp(-0.1 * np.sum((inputs[:, None] - inputs) ** 2, -1)), []
    for left in range(60):
        rest = np.delete(np.arange(60), left)
        inside = gram[np.ix_(rest, rest)]
        weights = np.linalg.solve(inside, targets[rest] - expm(-30 / 59 * inside) @ targets[rest])
        errors.append((gram[left, rest] @ weights - targets[left]) ** 2)
    assert all(np.isclose(draw, errors, rtol=1e-7).any() for draw in found.draws)


@pytest.fixture(scope="module")
def stopped():
    """Training on the digits that is stopped, the data set taken for the population."""
    data = datasets.digits().first(900)
    return kernel_chain(
        data.inputs, data.targets, gamma=0.05, generations=[[0], [3]], samples=200, time=[30, 1000], noise=0.5,
        generator_samples=300, generator_ridge=1e-3, runs=20, held_out=False,
    )  # fmt: skip


def stopped_z(stopped, **wrong):
    right = {"generations": [[0], [3]], "time": [30, 1000], "ridge": None} | wrong
    predicted = predict_chain(
        stopped.spectrum, samples=200, noise=0.5, generator_samples=300, generator_ridge=1e-3, generator_noise=0.5,
        **right,
    )  # fmt: skip
    return z_scores(stopped, predicted.test_error)


def test_training_on_digits_that_is_stopped_stays_within_the_theory(stopped):
    """Four cells at 5 standard errors of 20 runs (Student-t: 8e-5 each) beyond 3 %: one false alarm in 3000 seeds."""
    assert stopped_z(stopped).shape == (2, 2)
    assert np.max(stopped_z(stopped)) < 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"ridge": [1 / 30, 1 / 1000], "time": None},  # the heuristic λ = 1/t
        {"generations": [[1], [3]]},
        {"generations": [[0], [1]]},
        {"time": [60, 2000]},  # a loss without its factor 1/2
    ],
    ids=["heuristic", "a generation more", "generations fewer", "twice the time"],
)
def test_wrong_theories_of_stopping_are_rejected(stopped, wrong):
    assert np.max(stopped_z(stopped, **wrong)) > 5


def test_a_stopped_cell_draws_what_a_ridge_cell_draws(gaussian):
    """Rows and noise do not depend on how the last fit is trained: endless training is λ = 0, none is λ = ∞."""
    options = {"kernel": "rbf", "samples": 40, "noise": 0.1, "runs": 2, "gamma": 0.3}
    inputs, targets = gaussian[0][:100], gaussian[1][:100]
    for time, ridge in ((1e9, 0.0), (0.0, np.inf)):
        found, same = (kernel_chain(inputs, targets, **how, **options) for how in ({"time": time}, {"ridge": ridge}))
        np.testing.assert_allclose(found.draws, same.draws, rtol=1e-5)


def test_a_cell_draws_the_same_whatever_the_others_are(gaussian):
    options = {"kernel": "linear", "ridge": 0.1, "noise": 0.1, "generator_samples": 50, "runs": 3, "seed": 11}
    inputs, targets = gaussian[0][:200], gaussian[1][:200]
    many = kernel_chain(inputs, targets, generations=[[0], [2]], samples=[30, 60], **options)
    one = kernel_chain(inputs, targets, generations=2, samples=60, **options)
    np.testing.assert_allclose(one.draws, many.draws[:, 1, 1], rtol=1e-12)
    seed = np.random.SeedSequence(11)
    for _ in range(2):
        again = kernel_chain(inputs, targets, generations=2, samples=60, **(options | {"seed": seed}))
        np.testing.assert_array_equal(again.draws, one.draws)


def test_an_infinite_ridge_is_the_null_model(gaussian):
    inputs, targets = gaussian[0][:300], gaussian[1][:300]
    found = kernel_chain(inputs, targets, "linear", samples=100, ridge=np.inf, runs=2, held_out=False)
    assert found.mean == pytest.approx(found.spectrum.label_variance)
    assert found.prediction.test_error == pytest.approx(found.spectrum.label_variance)


def test_a_precomputed_kernel_is_the_kernel(gaussian):
    inputs, targets = gaussian[0][:100], gaussian[1][:100]
    by_name = kernel_chain(inputs, targets, "linear", samples=30, ridge=0.1, runs=2)
    by_gram = kernel_chain(inputs @ inputs.T, targets, "precomputed", samples=30, ridge=0.1, runs=2)
    np.testing.assert_allclose(by_name.draws, by_gram.draws, rtol=1e-9)


def test_progress_is_reported(gaussian):
    seen = []
    kernel_chain(gaussian[0][:50], gaussian[1][:50], samples=10, ridge=0.1, runs=3,
                 progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"samples": 50}, "samples = 50 is too many: the data set has 50 rows"),
        ({"samples": 10.5}, "whole number of rows"),
        ({"ridge": -1}, "ridge = -1"),
        ({"ridge": None}, "neither ridge nor time; give one of the two"),
        ({"time": 3.0}, "the last fit got ridge = 0.1 and time = 3.0; give one of the two"),
        ({"ridge": None, "time": -1}, "time = -1.0 is outside"),
        ({"ridge": None, "time": 3.0, "generations": 1}, "give generator_ridge"),
        ({"ridge": 0.0, "kernel": "linear"}, "singular"),
        ({"noise": [0.1, 0.2]}, "noise has shape"),
        ({"generations": 1, "generator_samples": 70}, "generator_samples = 70 is too many"),
        ({"generations": 1, "samples": [10, 20]}, "generator_samples has shape"),
        ({"kernel": "fourier"}, "kernel = 'fourier' is unknown"),
        ({"runs": 1}, "at least two runs"),
    ],
)
def test_bad_settings_are_named(gaussian, settings, sentence):
    settings = {"samples": 45, "ridge": 0.1, "runs": 2} | settings
    with pytest.raises(ValueError, match=sentence):
        kernel_chain(gaussian[0][:50], gaussian[1][:50], **settings)
    with pytest.raises(TypeError, match="does not take"):
        kernel_chain(gaussian[0][:50], gaussian[1][:50], samples=10, ridge=0.1, colour="blue")


def test_many_ridges_are_one_eigendecomposition(gaussian):
    """Eight ridges go by Cholesky factors, more by eigenpairs: the same fits."""
    options = {"kernel": "rbf", "gamma": 0.3, "samples": 40, "noise": 0.1, "runs": 2, "generations": [[0], [2]],
               "generator_samples": 50, "generator_ridge": 0.01}  # fmt: skip
    inputs, targets = gaussian[0][:100], gaussian[1][:100]
    grid = np.array([*np.geomspace(1e-6, 1e3, 11), np.inf])
    many = kernel_chain(inputs, targets, ridge=grid, **options)
    for part in (slice(0, 4), slice(4, 12)):
        few = kernel_chain(inputs, targets, ridge=grid[part], **options)
        np.testing.assert_allclose(many.draws[:, :, part], few.draws, rtol=1e-8)
    with pytest.raises(ValueError, match="ridge = 0: the kernel matrix of 45 rows is singular"):
        kernel_chain(inputs, targets, "linear", samples=45, ridge=np.linspace(0, 1, 12), runs=2)


def test_a_known_spectrum_is_not_computed_again(gaussian, monkeypatch):
    inputs, targets = gaussian[0][:100], gaussian[1][:100]
    options = {"kernel": "rbf", "gamma": 0.3, "samples": 40, "ridge": 0.1, "runs": 2}
    first = kernel_chain(inputs, targets, **options)
    known = mc.from_samples(inputs, targets, "rbf", gamma=0.3)
    for spectrum in (first.spectrum, known):
        with monkeypatch.context() as patch:
            patch.setattr(kernel_chains, "from_gram", None)
            again = kernel_chain(inputs, targets, spectrum=spectrum, **options)
        np.testing.assert_array_equal(again.draws, first.draws)
        assert again.prediction.test_error == pytest.approx(first.prediction.test_error, rel=1e-9)
    for wrong in ((inputs, targets, 0.1), (inputs, 2 * targets, 0.3), (inputs[:90], targets[:90], 0.3)):
        other = mc.from_samples(*wrong[:2], "rbf", gamma=wrong[2])
        with pytest.raises(ValueError, match="give the one of these rows and this kernel"):
            kernel_chain(inputs, targets, spectrum=other, **options)


def test_too_many_rows_are_refused_before_memory_is_taken(monkeypatch):
    """A third of a million rows would be 8 TB; the refusal names what to do, and a failed allocation does too."""
    with pytest.raises(ValueError, match=r"330000 rows takes about 7841 GB, .* give at most \d+ rows, drawn at random"):
        kernel_chain(np.zeros((330_000, 1)), np.zeros(330_000), samples=10, ridge=0.1)
    with pytest.raises(ValueError, match="give at most"):
        mc.from_samples(np.zeros((330_000, 1)), np.zeros(330_000), "rbf")

    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr("sklearn.metrics.pairwise.pairwise_kernels", exhausted)
    with pytest.raises(MemoryError, match="no memory for the kernel matrix of 50 rows; give fewer"):
        kernel_chain(np.eye(50), np.ones(50), kernel="laplacian", samples=10, ridge=0.1)


def test_generators_that_are_not_there_need_no_settings(gaussian):
    inputs, targets = gaussian[0][:50], gaussian[1][:50]
    found = kernel_chain(inputs, targets, samples=[10, 20], ridge=[[0.1], [1.0]], runs=2)
    assert found.mean.shape == (2, 2)
    with pytest.raises(ValueError, match="generator_noise = -1"):
        kernel_chain(inputs, targets, samples=10, ridge=0.1, generator_noise=-1)
