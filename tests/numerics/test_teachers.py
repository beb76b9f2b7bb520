"""The best teacher: nothing near it teaches better, noise does not move it, and simulation agrees."""

import pickle

import numpy as np
import pytest

import modelcollapse as mc
from modelcollapse.numerics.equivalents.shares import samples_left

S = np.arange(1.0, 41) ** -1.3
LISTED = mc.Spectrum(S, np.linspace(0.5, 3.0, 40))
STUDENTS = [(25, 0.0), (25, 0.02), (80, 0.02), (80, 1.0)]


def taught(teacher, samples, ridge, noise=0.2):
    return mc.predict(mc.fit(teacher.label(samples, noise), ridge=ridge)).test_error


def loudness(samples, ridge):
    return mc.optimal_teacher(LISTED, samples, ridge).given.arrays[0](S)


def slopes(correlation, samples, ridge, step=1e-3):
    """The derivative of the student's error by each of the first ρ_j, over its second derivative; central differences
    of a parabola have no error but rounding."""
    here, found = taught(mc.surrogate(LISTED, correlation=correlation), samples, ridge), []
    for j in range(8):
        moved = step * (np.arange(len(S)) == j)
        up, down = (
            taught(mc.surrogate(LISTED, correlation=correlation + sign * moved), samples, ridge) for sign in (1, -1)
        )
        found.append((up - down) / 2 / ((up - 2 * here + down) / step))
    return np.array(found)


@pytest.mark.parametrize(("samples", "ridge"), STUDENTS[:3])
def test_the_error_is_stationary_and_convex_in_every_label(samples, ridge):
    best = loudness(samples, ridge)
    assert np.max(np.abs(slopes(best, samples, ridge))) < 2e-4
    assert np.min(np.abs(slopes(1.01 * best, samples, ridge))) > 5e-3


@pytest.mark.parametrize(("samples", "ridge"), STUDENTS)
def test_it_beats_the_truth_by_no_more_than_the_bound(samples, ridge):
    w0, best = mc.truth(LISTED), mc.optimal_teacher(LISTED, samples, ridge)
    kappa = mc.effective_ridge(LISTED, samples, ridge)
    left = samples_left(S[None], np.ones((1, 40)), np.array([float(samples)]), np.array([kappa]))[1][0]
    share = taught(best, samples, ridge, 0.0) / taught(w0, samples, ridge, 0.0)
    assert min(left / samples, 1 - left / samples) < share < 1
    gain = taught(best, samples, ridge, 0.7) - taught(best, samples, ridge, 0.0)
    assert np.isclose(gain, 0.49 * (samples / left - 1), rtol=1e-9)


def test_noise_does_not_change_it_and_least_squares_wants_the_truth():
    assert mc.optimal_teacher(LISTED, 30, 0.1, noise=2.0) == mc.optimal_teacher(LISTED, 30, 0.1)
    assert mc.optimal_teacher(LISTED, 30, 0.1) != mc.optimal_teacher(LISTED, 30, 0.2)
    assert mc.optimal_teacher(LISTED, 80) == mc.surrogate(LISTED)
    assert mc.optimal_teacher(LISTED, 40) == mc.surrogate(LISTED)


def test_interpolators_below_and_above_the_threshold_join():
    below, above = loudness(40 - 1e-9, 0.0), loudness(40, 1e-16)
    np.testing.assert_allclose([below, above], 1, atol=1e-6)


def test_simulated_students_agree_and_the_best_teacher_is_the_best():
    """One verdict at the level of 1 %. Simulated students of the truth, and of a teacher at 1/p_j, which undoes the
    ridge but not what it costs in noise, are worse by more than both 99.9 % intervals."""
    samples, ridge = 80, 0.2
    kappa = mc.effective_ridge(LISTED, samples, ridge)
    best = mc.fit(mc.optimal_teacher(LISTED, samples, ridge).label(samples, 0.2), ridge=ridge)
    agreement = mc.crosscheck(best, trials=600, progress=False)
    assert agreement.verdict == "agrees", str(agreement)
    _, high = agreement.estimate.interval(0.999)
    for other in (mc.surrogate(LISTED, correlation=lambda s: (s + kappa) / s), mc.truth(LISTED)):
        student = mc.fit(other.label(samples, 0.2), ridge=ridge)
        assert mc.simulate(student, trials=600, progress=False).interval(0.999)[0] > high


def test_a_correlation_may_be_a_function_of_the_eigenvalue():
    shy = mc.surrogate(LISTED, correlation=lambda s: s / (s + 0.1))
    listed = mc.surrogate(LISTED, correlation=S / (S + 0.1))
    assert taught(shy, 25, 0.02) == pytest.approx(taught(listed, 25, 0.02), rel=1e-13)
    grid = mc.predict(mc.fit(shy.label(25, 0.2), ridge=np.geomspace(1e-3, 1, 400)))  # by JAX
    assert grid.test_error[0] == pytest.approx(taught(shy, 25, 1e-3), rel=1e-10)
    assert repr(shy) == "surrogate(correlation=by eigenvalue, error=0)"
    model = mc.fit(mc.optimal_teacher(LISTED, 25, 0.02).label(30), ridge=0.1)
    assert pickle.loads(pickle.dumps(model)) == model
    many = mc.Spectrum(np.arange(1.0, 4001) ** -1.3, np.ones(4000))  # compressed when it is predicted
    assert taught(mc.optimal_teacher(many, 50, 1e-3), 50, 1e-3) < taught(mc.truth(many), 50, 1e-3)


def test_the_closed_form_of_an_isotropic_student():
    spectrum = mc.isotropic(100)
    model = mc.fit(mc.optimal_teacher(spectrum, 50, 0.1).label(50, 0.1), ridge=0.1)
    assert float(mc.theory.closed_form(model)) == pytest.approx(mc.predict(model).test_error, rel=1e-10)


BAD = {
    r"samples = <2 grid> is not one number": lambda: mc.optimal_teacher(LISTED, [20, 30]),
    r"ridge = inf is outside \[0, inf\)": lambda: mc.optimal_teacher(LISTED, 20, np.inf),
    r"ridge = 1e\+200 leaves nothing to learn": lambda: mc.optimal_teacher(LISTED, 20, 1e200),
    r"noise = -1\.0": lambda: mc.optimal_teacher(LISTED, 20, noise=-1),
    "spectrum is a Gaussian": lambda: mc.optimal_teacher(mc.gaussian(np.eye(3), np.ones(3)), 20),
    "no single spectrum": lambda: mc.optimal_teacher(mc.Spectrum([[1.0, 0.5], [1.0, 0.2]], 1.0), 20),
    "correlation has shape ()": lambda: mc.surrogate(LISTED, correlation=lambda s: 1.0),
    r"correlation\[0\] = nan": lambda: mc.surrogate(LISTED, correlation=lambda s: s * np.nan),
}


@pytest.mark.parametrize("message", BAD)
def test_what_has_no_teacher_is_refused(message):
    with pytest.raises((ValueError, TypeError), match=message.replace("()", r"\(\)")):
        BAD[message]()
