"""The catalogue against the numerical code: two implementations of one formula, drawn over the records' own domains.

A record takes the effective ridge κ; the numerical code is given the ridge λ = κ (1 − df_1(κ)/T) and must find κ
again. Points where that λ is a small difference (below a hundredth of κ) are left out: there λ, not the formula, has
lost the digits.
"""

import math

import numpy as np
import pytest
from formula_draws import Empty, draw
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import modelcollapse as mc
from modelcollapse.numerics.steps.links import gain_and_noise
from modelcollapse.theory import catalogue
from modelcollapse.theory.pipelines.sgd import largest_step

ROUTES = {}


def route(name):
    def register(function):
        ROUTES[name] = function
        return function

    return register


def ridge_of(effective_ridge, samples, eigenvalues, copies=1):
    fitted = np.sum(copies * np.asarray(eigenvalues) / (np.asarray(eigenvalues) + effective_ridge))
    ridge = effective_ridge * (1 - fitted / samples)
    assume(ridge > 1e-2 * effective_ridge > 0)
    return ridge


def spectrum_of(eigenvalues, signal=0.0):
    return mc.Spectrum(list(map(float, eigenvalues)), signal if np.ndim(signal) == 0 else list(map(float, signal)))


@route("effective_ridge_isotropic")
def _(ridge, samples, dimension):
    return mc.effective_ridge(mc.isotropic(dimension), samples, ridge)


@route("degrees_of_freedom")
def _(effective_ridge, order, eigenvalues):
    return mc.degrees_of_freedom(spectrum_of(eigenvalues), effective_ridge, order)


@route("clean_error")
def _(effective_ridge, samples, noise, eigenvalues, signal):
    ridge = ridge_of(effective_ridge, samples, eigenvalues)
    return mc.test_error(spectrum_of(eigenvalues, signal), samples, ridge, noise).test_error


@route("clean_error_isotropic")
def _(ridge, samples, dimension, noise, signal_energy):
    return mc.test_error(mc.isotropic(dimension, signal_energy), samples, ridge, noise).test_error


def refitted(effective_ridge, samples, noise, eigenvalues, signal):
    ridge = ridge_of(effective_ridge, samples, eigenvalues)
    source = mc.truth(spectrum_of(eigenvalues, signal)).label(samples, noise)
    return mc.optimal_self_distillation(mc.fit(source, ridge=ridge))


@route("self_distillation_weight")
def _(**numbers):
    return refitted(**numbers).weight


@route("self_distillation_error")
def _(**numbers):
    return refitted(**numbers).test_error


@route("one_pass_error_isotropic")
def _(descent_step, batch, samples, dimension, noise, signal_energy):
    assume(samples >= batch and descent_step < 1)  # one step at least, and none that overshoots
    source = mc.truth(mc.isotropic(dimension, signal_energy)).label(samples, noise)
    return mc.predict(mc.fit(source, filter=mc.OnePassSGD(descent_step, batch))).test_error


@route("one_pass_largest_step")
def _(batch, dimension):
    return largest_step(np.ones(1), np.full(1, dimension), batch)


@route("one_pass_stationary_error")
def _(descent_step, batch, eigenvalues, noise):
    assume(descent_step * max(eigenvalues) < 1 and descent_step * min(eigenvalues) > 1e-9)
    source = mc.truth(spectrum_of(eigenvalues)).label(1e12 * batch, noise)
    return mc.predict(mc.fit(source, filter=mc.OnePassSGD(descent_step, batch))).test_error


@route("collapse_rate")
def _(effective_ridge, samples, generator_samples, generator_noise, eigenvalues):
    ridge = ridge_of(effective_ridge, samples, eigenvalues)
    return mc.delta(spectrum_of(eigenvalues), samples, ridge, mc.FakeData(1, generator_samples, generator_noise))


@route("chain_error_isotropic")
def _(effective_ridge, samples, generator_samples, dimension, noise, generator_noise, generations, signal_energy):
    ridge = ridge_of(effective_ridge, samples, [1.0], dimension)
    labels = mc.chain(mc.truth(mc.isotropic(dimension, signal_energy)), generations, generator_samples, generator_noise)
    return mc.predict(mc.fit(labels.label(samples, noise), ridge=ridge)).test_error


@route("least_squares_chain")
def _(samples, generator_samples, dimension, noise, generator_noise, generations):
    labels = mc.chain(mc.truth(mc.isotropic(dimension)), generations, generator_samples, generator_noise)
    return mc.predict(mc.fit(labels.label(samples, noise)), finite_size=True).test_error


@route("interpolating_chain_noise_free")
def _(generator_samples, dimension, rounds, signal_energy):
    return mc.predict(
        mc.chain(mc.truth(mc.isotropic(dimension, signal_energy)), rounds, generator_samples, 0)
    ).test_error


@route("accumulation_equal_rounds")
def _(samples, dimension, noise, rounds):
    return mc.predict(
        mc.accumulate(mc.truth(mc.isotropic(dimension)), rounds, samples, noise), finite_size=True
    ).test_error


@route("optimal_ridge_clean")
def _(samples, dimension, noise, signal_energy):
    model = mc.fit(mc.truth(mc.isotropic(dimension, signal_energy)).label(samples, noise))
    return mc.optimal_ridge(model).ridge


@route("sign_noise_ratio")
def _(flips):
    return noise_ratio(mc.Sign(flips))


@route("probit_noise_ratio")
def _(temperature):
    return noise_ratio(mc.Probit(temperature))


@route("soft_probit_noise_ratio")
def _(temperature):
    return noise_ratio(mc.Probit(temperature, soft=True))


@route("clipped_noise_ratio")
def _(clip):
    return noise_ratio(mc.Clip(clip))


@route("soft_chain_map")
def _(score_deviation, score_temperature, generator_aspect):
    assume(0.01 < generator_aspect < 0.99)
    assume(0.05 < score_deviation / score_temperature < 20)
    w0 = mc.truth(mc.isotropic(100, score_deviation**2))
    parts = mc.predict(mc.fit(w0.label(100 / generator_aspect, link=mc.Probit(score_temperature, soft=True))))
    parts = parts.by_direction()
    return np.sqrt(np.sum(parts.signal * parts.learned**2 + parts.variance))


@route("probit_error_rate")
def _(overlap, temperature):
    assume(0.1 < overlap < 0.9)
    assume(temperature > 1e-3)
    w0 = mc.truth(mc.isotropic(1e12))  # the mean angle is that of the overlap
    fitted = mc.predict(mc.fit(w0.label(2e12, np.sqrt(overlap**-2 - 1))))
    return fitted.error_rate_against(mc.Probit(temperature))


def voting(way, K, r):
    """The noise-to-signal ratio of votes of K teachers of the overlap r, from what a student of theirs is worth."""
    w0, count = mc.truth(mc.isotropic(100)), int(K)
    teachers = [mc.fit(w0.label(200, np.sqrt(1 / r - 1))) for _ in range(count)]
    if way == "random":
        sources = [teacher.label(1000 / count, link="sign") for teacher in teachers]
    else:
        sources = [mc.panel(*teachers).label(1000, soft=way == "shares")]
    mean = 1 / count + (1 - 1 / count) * r
    return (r / mean / mc.predict(mc.fit(*sources)).overlap ** 2 - 1) * 9


@route("vote_share_noise_ratio")
def _(teachers, teacher_overlap):
    return voting("shares", teachers, teacher_overlap)


@route("majority_noise_ratio")
def _(teacher_overlap):
    return voting("majority", 3, teacher_overlap)


@route("random_teacher_noise_ratio")
def _(teachers, teacher_overlap):
    return voting("random", teachers, teacher_overlap)


def noise_ratio(link):
    gain, noise = gain_and_noise(link.form, [np.array([float(x)]) for _, x, _ in link.numbers], np.ones(1))
    return float(noise[0] / gain[0] ** 2)


@route("angle_isotropic")
def _(aspect, effective_ridge, noise_ratio):
    assume(1 - aspect / (1 + effective_ridge) > 1e-2)
    ridge = effective_ridge * (1 - aspect / (1 + effective_ridge))
    found = mc.predict(mc.fit(mc.truth(mc.isotropic(100)).label(100 / aspect, np.sqrt(noise_ratio)), ridge=ridge))
    return found.overlap**-2 - 1


@route("class_chain_error")
def _(aspect, generator_aspect, generations, noise_ratio):
    labels = mc.truth(mc.isotropic(100))
    flips = (1 - np.sqrt(np.pi / 2 / (1 + noise_ratio))) / 2
    assume(flips >= 0)
    assume(generations < 9)
    for _ in range(int(generations)):
        labels = mc.fit(labels.label(100 / generator_aspect, link=mc.Sign(flips)))
    return np.arccos(mc.predict(mc.fit(labels.label(100 / aspect, link=mc.Sign(flips)))).overlap) / np.pi


def verified(angle, right, wrong, samples):
    """Signs of a noisy copy of the truth, judged by the truth; samples of each."""
    w0 = mc.truth(mc.isotropic(100))
    labeller = mc.fit(w0.label(200, np.tan(angle)))  # one row for each direction is left: tan² of the angle is σ²
    return labeller.label(samples, link="sign", keep=mc.Verified(w0, right, wrong))


@route("verified_share")
def _(angle, right, wrong):
    assume(0.001 < angle < 1.5)  # nearer than 1e-4 labeller and judge are not told apart
    return verified(angle, right, wrong, 1000).kept


@route("verified_angle")
def _(angle, right, wrong):
    assume(0.01 < angle < 1.5)
    assume(right + wrong > 0.1)
    return np.arccos(mc.predict(mc.fit(verified(angle, right, wrong, 1e14))).overlap)


@route("verified_error")
def _(samples, dimension, angle, right, wrong):
    assume(0.01 < angle < 1.5)
    assume(right + wrong > 0.1)
    source = verified(angle, right, wrong, 100 / dimension * samples)
    assume(100 / dimension * samples * source.kept > 110)
    return np.arccos(mc.predict(mc.fit(source)).overlap) / np.pi


@route("margin_noise_ratio")
def _(threshold):
    w0 = mc.truth(mc.isotropic(100))
    source = w0.label(1e5, link="sign", keep=mc.Margin(w0, below=threshold))
    return (mc.predict(mc.fit(source)).overlap ** -2 - 1) * (1e5 * source.kept - 100) / 100


@route("optimal_teacher_error")
def _(effective_ridge, noise_gain, noise, eigenvalues, signal):
    second = np.sum((eigenvalues / (eigenvalues + effective_ridge)) ** 2)
    samples = second * (1 + noise_gain) / noise_gain
    ridge, spectrum = ridge_of(effective_ridge, samples, eigenvalues), spectrum_of(eigenvalues, signal)
    teacher = mc.optimal_teacher(spectrum, samples, ridge)
    return mc.predict(mc.fit(teacher.label(samples, noise), ridge=ridge)).test_error


@route("growing_chain")
def _(round_samples, round_noise, dimension):
    w0, rounds = mc.truth(mc.isotropic(dimension)), len(round_samples)
    model = mc.chain(w0, rounds, mc.Schedule(round_samples), mc.Schedule(round_noise))
    return mc.predict(model, finite_size=True).test_error


TOLERANCES = {
    "optimal_ridge_clean": 1e-8,  # an optimum is known to the root of the precision
    "verified_angle": 1e-6,  # by the arc cosine
    "angle_isotropic": 1e-8,
    "class_chain_error": 1e-8,
    "soft_probit_noise_ratio": 1e-9,
    "clipped_noise_ratio": 1e-7,  # differences that cancel
    "probit_error_rate": 1e-6,
    "verified_error": 1e-6,
    "vote_share_noise_ratio": 1e-8,
    "majority_noise_ratio": 1e-8,
    "random_teacher_noise_ratio": 1e-8,
    "margin_noise_ratio": 1e-6,  # differences of the overlap from one
}


VOTES = {"teachers": (2, 7), "teacher_overlap": (0.1, 0.9)}
RANGES = {
    "vote_share_noise_ratio": VOTES,
    "random_teacher_noise_ratio": VOTES,
    "majority_noise_ratio": {"teacher_overlap": (0.1, 0.9)},
}


@pytest.mark.parametrize("name", ROUTES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_numerics_are_the_catalogue(name, data):
    formula = catalogue[name]
    try:
        point = draw(
            formula,
            lambda low, high: data.draw(st.floats(low, high, allow_subnormal=False)),
            RANGES.get(name, {}),
            {"d": 4, "K": 3},
        )
    except Empty:
        assume(False)
    exact = float(formula.evaluate(**point))
    assume(math.isfinite(exact))
    found = ROUTES[name](**point)
    assert found == pytest.approx(exact, rel=TOLERANCES.get(name, 1e-10), abs=1e-290)
