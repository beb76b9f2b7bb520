"""One pass of SGD: the closed form against its recursion, exact powers, simulations that run it, and limits."""

import jax
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings

import modelcollapse as mc
from modelcollapse.numerics import lower
from modelcollapse.theory import closed_form
from modelcollapse.theory.pipelines.sgd import largest_step
from modelcollapse.validation import strategies

SGD = mc.OnePassSGD
S, SIGNAL, COPIES = np.array([1.0, 0.4, 0.05]), np.array([0.5, 1.0, 3.0]), np.array([2.0, 5.0, 20.0])
SPECTRUM = mc.Spectrum(S, SIGNAL, COPIES)
W0 = mc.truth(SPECTRUM)


def recursion(sources, step, batch, steps, own=1.0, s=S, copies=COPIES):
    """E(ŵ − w0)²_Σ by stepping; sources: (share, mean ratio, variance per direction, noise), independent labellers."""
    mean = sum(p * a for p, a, _, _ in sources)
    variance = sum(p**2 * v for p, _, v, _ in sources)
    energy = mean**2 * SIGNAL + copies * variance
    apart = [(a - mean) ** 2 * SIGNAL + copies * (v + variance - 2 * p * v) for p, a, v, _ in sources]
    scatter = sum(p * each for (p, *_), each in zip(sources, apart, strict=True))
    noise = sum(p * sigma**2 for p, _, _, sigma in sources) + np.sum(s * scatter)
    c, left = energy.copy(), np.ones(len(s))
    for _ in range(steps):
        shared = step**2 * s * copies / batch * (np.sum(s * c) + noise)
        c = (
            ((1 - step * s) ** 2 + own * (step * s) ** 2 / batch) * c
            + shared
            + 2 * own * (step * s) ** 2 / batch * scatter
        )
        left *= 1 - step * s
    second = c - left**2 * energy + (1 - left) ** 2 * copies * variance
    return np.sum(s * (second + (1 - (1 - left) * mean) ** 2 * SIGNAL))


def error(model, **options):
    return mc.predict(model, **options).test_error


@pytest.mark.parametrize("batch", [1, 3, 50])
@pytest.mark.parametrize("steps", [1, 2, 7, 60])
def test_a_pass_is_its_recursion(batch, steps):
    step = 0.7 * float(largest_step(S, COPIES, batch))
    source = W0.label(steps * batch, noise=0.3)
    expected = recursion([(1.0, 1.0, 0.0, 0.3)], step, batch, steps)
    assert np.isclose(error(mc.fit(source, filter=SGD(step, batch))), expected, rtol=1e-10)
    assert abs(recursion([(1.0, 1.0, 0.0, 0.3)], step, batch, steps, own=0.0) / expected - 1) > 1e-4
    assert abs(recursion([(1.0, 1.0, 0.0, 0.3)], step, 1.1 * batch, steps) / expected - 1) > 1e-4


def test_labellers_that_err_and_differ_are_in_the_recursion():
    one, other = (mc.surrogate(SPECTRUM, correlation=a, error=e) for a, e in ((0.7, 0.2), (0.2, 0.5)))
    spread = [e * SIGNAL / np.sum(S * SIGNAL) / COPIES for e in (0.2, 0.5)]
    model = mc.fit(one.label(60, 0.3), other.label(40, 0.1), filter=SGD(0.1, 2))
    sources = [(0.6, 0.7, spread[0], 0.3), (0.4, 0.2, spread[1], 0.1)]
    expected = recursion(sources, 0.1, 2, 50)
    assert np.isclose(error(model), expected, rtol=1e-10)
    assert abs(recursion(sources, 0.1, 2, 50, own=0.0) / expected - 1) > 1e-3


@pytest.mark.parametrize(("steps", "step", "noise"), [(10**4, 3e-5, 0.3), (10**9, 3e-5, 0.3), (3000, 0.3, 0.0)])
def test_long_passes_are_exact_powers(steps, step, noise):
    batch = 2
    with mpmath.workdps(40):
        step, noise = mpmath.mpf(step), mpmath.mpf(noise)
        matrix = mpmath.zeros(4)  # of c and of a constant
        for i, s in enumerate(S):
            shared = step**2 * s * COPIES[i] / batch
            for k, other in enumerate(S):
                matrix[i, k] = shared * other
            matrix[i, i] += (1 - step * s) ** 2 + (step * s) ** 2 / batch
            matrix[i, 3] = shared * noise**2
        matrix[3, 3] = 1
        found = matrix**steps * mpmath.matrix([*SIGNAL, 1])
        expected = float(mpmath.fsum(s * x for s, x in zip(S, found, strict=False)))
    found = error(mc.fit(W0.label(steps * batch, float(noise)), filter=SGD(float(step), batch)))
    assert np.isclose(found, expected, rtol=1e-10, atol=0)


# limits


def test_small_steps_are_gradient_flow_on_the_population():
    flow = error(mc.fit(W0.label(1e12, 0.3), filter=mc.GradientFlow(3.0)))
    gaps = [error(mc.fit(W0.label(3.0 / step, 0.3), filter=SGD(step))) - flow for step in (1e-4, 1e-5)]
    assert 0 < gaps[1] < 0.11 * gaps[0] < 1e-3


def test_large_batches_are_gradient_descent_on_the_population():
    model = mc.fit(W0.label(7e12, 0.3), filter=SGD(0.9, 1e12))
    assert np.isclose(error(model), np.sum(S * SIGNAL * (1 - 0.9 * S) ** 14), rtol=1e-9)


def test_steps_that_overshoot_alternate():
    first = mc.fit(W0.label(3e12), filter=SGD(1.8, 1e12))
    left = (1 - 1.8 * S) ** 3
    assert np.isclose(
        error(mc.fit(first.label(3e12), filter=SGD(1.8, 1e12))), np.sum(S * SIGNAL * (left * (2 - left)) ** 2)
    )


def test_an_endless_pass_has_the_stationary_error():
    gain = np.sum(COPIES * 0.1 * S / (2 * (2 - 0.1 * S * 1.5)))
    model = mc.fit(W0.label(1e13, 0.3), filter=SGD(0.1, 2))
    assert np.isclose(error(model), 0.09 * gain / (1 - gain), rtol=1e-10)


def test_the_largest_step_is_where_the_matrix_of_a_step_has_the_eigenvalue_one():
    for batch in (1.0, 5.0, 400.0):
        u = largest_step(S, COPIES, batch) * S
        matrix = np.diag((1 - u) ** 2 + u**2 / batch) + np.outer(u * COPIES, u) / batch
        assert np.isclose(np.max(np.linalg.eigvals(matrix).real), 1, atol=1e-12)


# invariances


def test_an_atom_is_so_many_directions():
    both = [mc.Spectrum([1, 1, 0.4], [0.3, 0.2, 1], [0.5, 1.5, 5]), mc.Spectrum([1, 0.4], [0.5, 1], [2, 5])]
    both.append(both[1].expand())
    found = []
    for spectrum in both:
        first = mc.fit(mc.truth(spectrum).label(40, 0.2), filter=SGD(0.1))
        found.append(error(mc.fit(first.label(30, 0.1), filter=SGD(0.2, 3))))
    assert np.allclose(found, found[0], rtol=1e-11)


def test_the_unit_of_inputs_and_the_weight_of_rows_scale_the_step():
    scaled = mc.truth(mc.Spectrum(4e12 * S, SIGNAL / 4e12, COPIES))
    plain = error(mc.fit(W0.label(60, 0.3), filter=SGD(0.1, 2)))
    assert np.isclose(error(mc.fit(scaled.label(60, 0.3), filter=SGD(0.1 / 4e12, 2))), plain, rtol=1e-11)
    assert np.isclose(error(mc.fit(W0.label(60, 0.3, weight=4.0), filter=SGD(0.025, 2))), plain, rtol=1e-12)


def test_directions_without_inputs_are_not_learned():
    shifted = W0.label(400, 0.3, inputs=[1.0, 0.4, 0.0])
    parts = mc.predict(mc.fit(shifted, filter=SGD(0.1))).by_direction()
    assert np.isclose(parts.bias[2], S[2] * SIGNAL[2])
    assert parts.variance[2] == 0


def test_many_atoms_are_worked_on_in_pieces(monkeypatch):
    model = mc.fit(W0.label(60, 0.3), filter=SGD(0.1, 2))
    whole = error(model)
    monkeypatch.setattr("modelcollapse.numerics.steps.sgd.AT_A_TIME", 50)
    assert np.isclose(error(model), whole, rtol=1e-13)


def test_labels_of_infinite_variance_spread():
    endless = mc.fit(mc.truth(mc.isotropic(20)).label(20, 0.1))
    assert np.isinf(error(mc.fit(endless.label(50), filter=SGD(0.05))))


def test_a_power_law_of_any_dimension_costs_the_same():
    found = [
        error(mc.fit(mc.truth(mc.power_law(1.5, 0.5, d)).label(10**5, 0.1), filter=SGD(0.2))) for d in (10**9, np.inf)
    ]
    assert np.isclose(*found, rtol=1e-4)
    s = np.arange(1.0, 3001) ** -1.5
    plain = mc.Spectrum(s, np.arange(1.0, 3001) ** (-2.5) / s)  # too many atoms to pass without compression elsewhere
    both = [error(mc.fit(mc.truth(x).label(2000, 0.1), filter=SGD(0.2))) for x in (plain, mc.power_law(1.5, 0.5, 3000))]
    assert np.isclose(*both, rtol=1e-11)


# curves, derivatives, symbols


def test_a_curve_over_training_is_its_points():
    samples = np.round(np.geomspace(2, 1e6, 30) / 2) * 2
    first = mc.fit(W0.label(50, 0.3), filter=SGD(0.1))
    curve = error(mc.fit(first.label(samples, 0.3), filter=SGD(0.1, 2)))
    few = [error(mc.fit(first.label(samples[k], 0.3), filter=SGD(0.1, 2))) for k in (0, 7, 29)]
    assert np.allclose(curve[[0, 7, 29]], few, rtol=1e-12)


def test_derivatives_are_differences():
    eta, batch, samples, noise = sympy.symbols("eta B T sigma", positive=True)
    first = mc.fit(W0.label(samples, noise), filter=SGD(eta, batch))
    model = mc.fit(first.label(300, 0.2), W0.label(samples, noise), filter=SGD(0.05, batch))
    at = {eta: 0.1, batch: 2.0, samples: 700.0, noise: 0.5}
    found = mc.gradient(model, at)
    for symbol, value in at.items():
        high, low = (error(model, values={**at, symbol: value * (1 + h)}) for h in (1e-5, -1e-5))
        assert np.isclose(found[symbol], (high - low) / (2e-5 * value), rtol=1e-6)


@pytest.mark.slow  # compiles
def test_compiled_passes_and_their_derivatives_are_those_of_numpy():
    eta, samples = sympy.symbols("eta T", positive=True)
    model = mc.fit(W0.label(samples, 0.3), filter=SGD(eta, 2))
    at, function = {eta: 0.1, samples: 700.0}, lower(model, (eta, samples))
    with jax.enable_x64(True):
        assert np.isclose(function(*at.values()), error(model, values=at), rtol=1e-11)
        slopes = jax.grad(function, (0, 1))(*at.values())
    found = mc.gradient(model, at)
    assert np.allclose(slopes, [found[eta], found[samples]], rtol=1e-9)
    samples = np.geomspace(2, 1e6, 300)
    curve = error(mc.fit(W0.label(samples, 0.3), filter=SGD(0.1, 2)))
    assert np.isclose(curve[150], error(mc.fit(W0.label(samples[150], 0.3), filter=SGD(0.1, 2))), rtol=1e-11)


def test_steps_that_overshoot_have_derivatives_by_the_step():
    eta = sympy.Symbol("eta", positive=True)
    model = mc.fit(W0.label(700, 0.3), filter=SGD(eta, 100))
    slope = mc.gradient(model, {eta: 1.3})[eta]
    high, low = (error(model, values={eta: 1.3 + h}) for h in (1e-6, -1e-6))
    assert np.isclose(slope, (high - low) / 2e-6, rtol=1e-6)


def test_the_best_step_is_tuned():
    eta = sympy.Symbol("eta", positive=True)
    model = mc.fit(W0.label(500, 0.5), filter=SGD(eta))
    best = mc.tune(model, {eta: (1e-3, 0.2)})
    grid = error(model, values={eta: best.values[eta] * np.array([0.98, 1.02])})
    assert not best.at_bound
    assert np.all(best.test_error < grid)
    with pytest.raises(ValueError, match=r"the bounds eta: .* leave the domain .* is unstable"):
        mc.tune(model, {eta: (1e-3, 2.0)})


def test_the_closed_form_of_a_chain_is_the_prediction():
    eta, batch, samples, noise, dim = sympy.symbols("eta B T sigma d", positive=True)
    w0 = mc.truth(mc.isotropic(dim))
    first = mc.fit(w0.label(samples, noise), filter=SGD(eta, batch))
    second = mc.fit(first.label(samples / 2, 0.25), w0.label(samples / 2, noise), filter=SGD(eta, batch))
    at = {eta: 0.02, batch: 3, samples: 90, noise: 0.5, dim: 40}
    for model in (first, second, mc.fit((0.5 * first + 0.5 * second).label(samples), ridge=0.5)):
        exact = sympy.lambdify(tuple(at), closed_form(model), "mpmath")(*at.values())
        assert np.isclose(float(exact), error(model, values=at), rtol=1e-11)


@settings(max_examples=8)
@given(strategies.pipelines(mc.isotropic(6), max_fits=2, max_sources=1, max_samples=8, shifts=False, passes=True))
def test_closed_forms_of_random_pipelines_with_passes(model):
    exact, found = float(closed_form(model)), error(model)
    assert np.isclose(exact, found, rtol=1e-9, atol=1e-12) or (np.isinf(exact) and np.isinf(found))


# simulations


PIPELINES = {
    "one row a step": mc.fit(W0.label(40, 0.3), filter=SGD(0.1)),
    "batches": mc.fit(W0.label(60, 0.5), filter=SGD(0.5, 6)),
    "real and synthetic rows": mc.fit(
        mc.fit(W0.label(40, 0.3), filter=SGD(0.1)).label(30, 0.2), W0.label(15, 0.6), filter=SGD(0.25, 3)
    ),
    "shifted rows, then ridge": mc.fit(
        mc.fit(W0.label(48, 0.3, inputs=np.sqrt), filter=SGD(0.2, 4)).label(40, 0.1), ridge=0.3
    ),
}


def test_simulations_that_run_sgd_agree():
    """Failure budget 1 % for the family, at standard errors of about 3 % and no allowance before the ridge fit."""
    agreement = mc.crosscheck(list(PIPELINES.values()), 300, seed=3, progress=False, budget=0.01, resolution=0.5)
    assert agreement.verdict == "agrees", str(agreement)
    assert np.all(agreement.allowance[:3] == 0)


def test_a_prediction_without_the_noise_of_batches_is_rejected():
    """Negative controls at |z| > 6: batches taken for all rows there are, the scatter along own directions left out."""
    estimate = mc.simulate(PIPELINES["batches"], trials=500, seed=4, progress=False)
    wrong = recursion([(1.0, 1.0, 0.0, 0.5)], 0.5, 1e9, 10)
    assert abs(wrong - estimate.mean) > 6 * estimate.standard_error
    alone = mc.Spectrum([1.0, 1e-3, 1e-3], SIGNAL)
    estimate = mc.simulate(mc.fit(mc.truth(alone).label(12, 0.1), filter=SGD(0.4)), trials=3000, seed=5, progress=False)
    s, one = alone.eigenvalues, np.ones(3)
    right, wrong = (recursion([(1.0, 1.0, 0.0, 0.1)], 0.4, 1, 12, own, s, one) for own in (1.0, 0.0))
    assert abs(right - estimate.mean) < 4 * estimate.standard_error
    assert abs(wrong - estimate.mean) > 6 * estimate.standard_error


@pytest.mark.slow
def test_signs_as_labels_agree_at_leading_order():
    w0 = mc.truth(mc.isotropic(60))
    agreement = mc.crosscheck(mc.fit(w0.label(240, link="sign"), filter=SGD(0.05, 4)), trials=2000, progress=False)
    assert agreement.verdict == "agrees", str(agreement)


# what is refused


SOURCE = W0.label(100, 0.3)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: SGD(0.0), "step = 0.0 is outside"),
        (lambda: SGD(0.1, 0), "batch = 0.0 is outside"),
        (lambda: mc.fit(SOURCE, filter=SGD(0.1), ridge=0.1), "give one or the other"),
        (lambda: mc.fit(SOURCE, W0.label(9, inputs=np.sqrt), filter=SGD(0.1)), "sources of different inputs"),
        (
            lambda: error(mc.fit(SOURCE, filter=SGD(1.0))),
            r"step = 1.0 is unstable with batch = 1.0 .* a step below 0\.",
        ),
        (lambda: error(mc.fit(SOURCE, filter=SGD(0.1, 200))), "samples = 100.0 is less than batch = 200.0"),
        (lambda: error(mc.fit(SOURCE, filter=SGD(1.2, 40))), "samples / batch = 2.5 is no whole number"),
        (lambda: error(mc.fit(SOURCE, W0.label(9, weight=2), filter=SGD(0.1))), "weight = 1.0 and weight = 2.0"),
        (lambda: error(mc.fit(SOURCE, W0.label(9, weight=0), filter=SGD(0.1))), "leave the source out"),
        (
            lambda: error(mc.fit(mc.truth(mc.Spectrum([1, 0.5], 1.0, [0, 9])).label(9), filter=SGD(0.1))),
            "multiplicity = 0.0 on an atom with signal",
        ),
        (lambda: mc.simulate(mc.fit(SOURCE, filter=SGD(0.1, 3)), 2), "no multiple of batch = 3"),
        (lambda: mc.simulate(mc.fit(SOURCE, filter=SGD(0.1)), 2, sampler="bartlett"), "sampler = 'bartlett'"),
        (lambda: mc.simulate(mc.fit(SOURCE, filter=SGD(0.1)), 2, backend="jax"), "backend = 'jax' has no fits"),
        (lambda: mc.simulate(mc.fit(SOURCE, filter=SGD(0.1)), 2, conditional=True), "trained by SGD"),
        (lambda: mc.optimal_ridge(mc.fit(SOURCE, filter=SGD(0.1))), "has no ridge"),
        (
            lambda: closed_form(mc.fit(mc.truth(mc.isotropic(9)).label(99), filter=SGD(0.5))),
            "step = 0.5 is unstable with batch = 1",
        ),
        (
            lambda: mc.fit(mc.truth(mc.gaussian(np.eye(2), np.ones(2))).label(9), filter=SGD(0.1)),
            "on a population of",
        ),
    ],
)
def test_what_has_no_formula_is_refused_in_one_sentence(ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask()
