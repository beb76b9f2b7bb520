"""Every sampler has the law of direct designs, and a wrong law is noticed.

Two-sample Kolmogorov-Smirnov tests of trial errors; a family fails by chance with probability BUDGET.
"""

import functools

import numpy as np
import pytest
from scipy import stats

import modelcollapse as mc
from modelcollapse.validation import designs, ridge_solutions, samplers
from modelcollapse.validation.problems import problems_of
from modelcollapse.validation.ridge_solutions import Block, many_solutions, ridge_solution

BUDGET = 1e-3
TRIALS = 2000

iso, steep = mc.truth(mc.isotropic(12)), mc.truth(mc.power_law(1.5, 0.5, dim=12))
teacher = mc.fit(steep.label(30, 0.3))

LAWS = {
    ("student", "least squares"): mc.fit(steep.label(18, 0.5)),
    ("student", "a chain of least squares"): mc.chain(steep, 4, 17, 0.5),
    ("student", "shifted inputs"): mc.fit(steep.label(20, 0.5, weight=2, inputs=np.sqrt)),
    ("bidiagonal", "T > d"): mc.chain(iso, 3, 15, 0.5, ridge=0.1),
    ("bidiagonal", "T = d"): mc.chain(iso, 2, 12, 0.5, ridge=0.1),
    ("bidiagonal", "T < d"): mc.chain(iso, 3, 7, 0.5, ridge=0.1),
    ("bidiagonal", "no ridge, T < d"): mc.chain(iso, 2, 5, 0.5),
    ("bidiagonal", "one row"): mc.fit(iso.label(1, 0.5, weight=3), ridge=0.1),
    ("bidiagonal", "two dimensions"): mc.chain(mc.truth(mc.isotropic(2)), 2, 3, 0.5, ridge=0.1),
    ("bidiagonal", "one dimension"): mc.chain(mc.truth(mc.isotropic(1)), 2, 3, 0.5, ridge=0.1),
    ("bartlett", "T > d"): mc.fit(steep.label(20, 0.5), ridge=0.01),
    ("bartlett", "T < d"): mc.chain(steep, 2, 6, 0.5, ridge=0.01),
    ("bartlett", "no ridge, T < d"): mc.fit(steep.label(6, 0.5)),
    ("bartlett", "several sources"): mc.fit(teacher.label(20, 0.3, weight=2), steep.label(7, 0.5, inputs=np.sqrt)),
    ("bartlett", "accumulated"): mc.accumulate(steep, 3, 7, 0.5, penalty=0.1),
}


@functools.cache
def simulated(sampler, case, direct=False):
    """Trials by a sampler, and other ones by direct designs."""
    if direct:
        return mc.simulate(LAWS[sampler, case], TRIALS, seed=2, sampler="direct")
    return mc.simulate(LAWS[sampler, case], TRIALS, seed=1, sampler="auto" if case == "several sources" else sampler)


@pytest.mark.parametrize(("sampler", "case"), LAWS)
def test_a_sampler_has_the_law_of_direct_designs(sampler, case):
    fast, direct = simulated(sampler, case), simulated(sampler, case, direct=True)
    assert stats.ks_2samp(fast.draws, direct.draws).pvalue > BUDGET / len(LAWS)


def test_wrong_degrees_of_freedom_are_rejected(monkeypatch):
    direct = simulated("student", "least squares", direct=True)
    off_by_one = mc.simulate(mc.fit(steep.label(19, 0.5)), TRIALS, seed=1, sampler="student")  # q has one more
    assert stats.ks_2samp(off_by_one.draws, direct.draws).pvalue < BUDGET / len(LAWS)

    right = designs.trapezoid
    monkeypatch.setattr(samplers, "trapezoid", lambda generator, rows, dim: right(generator, rows + 4, dim))
    direct = simulated("bartlett", "T > d", direct=True)
    wrong = mc.simulate(LAWS["bartlett", "T > d"], TRIALS, seed=1, sampler="bartlett")
    assert stats.ks_2samp(wrong.draws, direct.draws).pvalue < BUDGET / len(LAWS)


def test_models_that_share_a_parent_keep_their_joint_law():
    """A bidiagonal fit gives other models of the pipeline the right angles to it."""
    parent = mc.fit(iso.label(7, 0.5), ridge=0.1)
    child = mc.fit(parent.label(8, 0.3), ridge=0.1)
    model = 0.5 * parent + 0.5 * child
    fast, direct = mc.simulate(model, TRIALS, seed=1), mc.simulate(model, TRIALS, seed=2, sampler="direct")
    assert stats.ks_2samp(fast.draws, direct.draws).pvalue > BUDGET
    independent = 0.5 * mc.fit(iso.label(7, 0.5), ridge=0.1) + 0.5 * child
    assert stats.ks_2samp(mc.simulate(independent, TRIALS, seed=1).draws, direct.draws).pvalue < BUDGET


@pytest.mark.parametrize(("rows", "generations", "noise"), [(1, 1, 0.0), (5, 1, 0.0), (5, 3, 0.0), (5, 1, 0.7)])
def test_bidiagonal_interpolators_have_the_exact_mean(rows, generations, noise):
    """1 − (T/d)^k without noise; T/(d − T − 1) per unit of noise variance. Four cases at 4 standard errors: 2.5e-4."""
    estimate = mc.simulate(mc.chain(iso, generations, rows, noise), 5000, sampler="bidiagonal")
    exact = 1 - (rows / 12) ** generations + noise**2 * rows / (12 - rows - 1)
    assert abs(estimate.mean - exact) < 4 * estimate.standard_error


@pytest.mark.parametrize(("rows", "dim"), [(9, 4), (4, 4), (3, 6), (1, 1)])
def test_bartlett_factor_is_a_wishart_factor(rows, dim):
    generator = np.random.default_rng(0)
    mean = np.mean([(z := designs.trapezoid(generator, rows, dim)).T @ z for _ in range(4000)], 0)
    assert z.shape == (min(rows, dim), dim)
    spread = np.sqrt(rows / 4000) * (1 + np.eye(dim) * (np.sqrt(2) - 1))  # Var W_ij = T (1 + δ_ij)
    # 16 entries at most beyond 5 standard errors: 1e-5
    assert np.all(np.abs(mean - rows * np.eye(dim)) < 5 * spread)


@pytest.mark.parametrize(("rows", "ridge"), [(30, 0.0), (30, 0.1), (6, 0.0), (6, 0.1)])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_a_ridge_solution_solves_the_least_squares_problem(rows, ridge, scale):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((rows, 10)) * np.logspace(0, -3, 10) * scale, rng.standard_normal(rows)
    penalty = ridge * rows * scale**2
    blocks = [Block(x[:4], y[:4]), Block(x[4:], y[4:])]
    augmented = np.concatenate([x, np.sqrt(penalty) * np.eye(10)]), np.concatenate([y, np.zeros(10)])
    expected = np.linalg.lstsq(*augmented)[0]
    np.testing.assert_allclose(x @ ridge_solution(blocks, penalty), x @ expected, rtol=1e-8, atol=1e-10)
    found = many_solutions(np.array([-x, x]), np.array([y, y]), penalty)
    np.testing.assert_allclose(x @ (found * [[-1], [1]]).T, np.transpose([x @ expected] * 2), rtol=1e-8, atol=1e-10)


def test_ill_conditioned_rows_fall_back_on_singular_values(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 6)) @ np.diag([1, 1, 1, 1, 1, 3e-8]) @ rng.standard_normal((6, 6))
    y = rng.standard_normal(30)
    np.testing.assert_allclose(ridge_solution([Block(x, y)], 0.0), np.linalg.lstsq(x, y)[0], rtol=1e-6)
    well, ill = many_solutions(np.array([rng.standard_normal((30, 6)), x]), np.array([y, y]), 0.0)
    np.testing.assert_allclose(ill, np.linalg.lstsq(x, y)[0], rtol=1e-6)
    assert np.all(abs(well) < 1)
    monkeypatch.setattr(ridge_solutions, "_SMALL_PIVOT", -1.0)  # the check itself is what saves it
    assert not np.allclose(ridge_solution([Block(x, y)], 0.0), np.linalg.lstsq(x, y)[0], rtol=1e-6)
    assert not np.allclose(many_solutions(x[None], y[None], 0.0)[0], np.linalg.lstsq(x, y)[0], rtol=1e-6)


def test_directions_without_inputs_and_rows_of_zeros_learn_nothing():
    x, y = np.random.default_rng(0).standard_normal((3, 8, 6)), np.ones((3, 8))
    x[0, :, 2] = x[1, 3] = 0
    for rows in (8, 4):
        found = many_solutions(x[:, :rows], y[:, :rows], 0.0)
        expected = [np.linalg.lstsq(*pair)[0] for pair in zip(x[:, :rows], y[:, :rows], strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


def test_refitting_all_data_is_the_increment_recursion():
    """ŵ_k = ŵ_{k−1} + (A_k + Λ)^{-1} X_kᵀ ε_k, exactly."""
    rng, w, blocks, gram = np.random.default_rng(0), np.ones(5), [], 0.5 * np.eye(5)
    for k in range(4):
        x, noise = rng.standard_normal((4, 5)), rng.standard_normal(4)
        blocks.append(Block(x, x @ w + noise))
        gram = gram + x.T @ x
        increment = np.linalg.solve(gram, x.T @ noise - (0.5 * w if k == 0 else 0))
        w = w + increment
        np.testing.assert_allclose(ridge_solution(blocks, 0.5), w, rtol=1e-10)


def test_a_direct_fit_is_a_fit_of_the_drawn_rows():
    """The walk against a plain NumPy fit on the very same draws."""
    model = mc.fit(steep.label(9, 0.3, weight=2.0, inputs=np.sqrt), steep.label(8, 0.1), ridge=0.05)
    _, (problem,) = problems_of(model)
    estimate = mc.simulate(model, 2, seed=4, sampler="direct")
    ((_, key, _, _),) = estimate.streams
    generator = samplers.Streams(key).at(trial=1, step=1)
    s, w0 = problem.eigenvalues, problem.truth
    normal, moment = 17 * 0.05 * np.eye(12), 0.0
    for rows, noise, weight, inputs in ((9, 0.3, 2.0, np.sqrt(s)), (8, 0.1, 1.0, s)):
        x = generator.standard_normal((rows, 12)) * np.sqrt(inputs)
        y = x @ w0 + noise * generator.standard_normal(rows)
        normal, moment = normal + weight * x.T @ x, moment + weight * x.T @ y
    error = np.sum(s * (np.linalg.solve(normal, moment) - w0) ** 2)
    assert error == pytest.approx(estimate.draws[1], rel=1e-10)


@pytest.mark.parametrize(
    ("sampler", "case"),
    [
        ("student", "least squares"),
        ("student", "a chain of least squares"),
        ("bartlett", "T < d"),
        ("bartlett", "several sources"),
        ("bartlett", "accumulated"),
        ("bidiagonal", "T > d"),
    ],
)
@pytest.mark.parametrize("direct", [False, True])
def test_averaging_over_label_noise_keeps_the_mean_and_lowers_the_spread(sampler, case, direct):
    """The averaged trials draw the designs of plain ones, so their difference says more than their means."""
    plain, seed, wanted = simulated(sampler, case, direct), 1 + direct, "direct" if direct else "auto"
    averaged = mc.simulate(LAWS[sampler, case], TRIALS // 2, seed=seed, sampler=wanted, conditional=True)
    difference = plain.draws[: averaged.trials] - averaged.draws
    # 12 cases at 4.1 standard errors: 5e-4
    assert abs(difference.mean()) < 4.1 * difference.std() / np.sqrt(averaged.trials)
    assert averaged.draws.std() < plain.draws.std() * 1.05


def test_a_sampler_that_is_not_exact_is_refused():
    with pytest.raises(ValueError, match=r"sampler = 'student' is not exact .* 18 rows and ridge 0.1; give 'auto'"):
        mc.simulate(mc.fit(steep.label(18), ridge=0.1), sampler="student")
    with pytest.raises(ValueError, match="sampler = 'bidiagonal' is not exact"):
        mc.simulate(mc.fit(steep.label(18), ridge=0.1), sampler="bidiagonal")
    with pytest.raises(ValueError, match="sampler = 'bartlett' is not exact"):
        mc.simulate(mc.fit(steep.label(18)), sampler="bartlett", distribution="uniform")
    with pytest.raises(ValueError, match="conditional = True, but the last model is not a fit"):
        mc.simulate(0.5 * teacher, conditional=True)


@pytest.mark.parametrize("sampler", ["direct", pytest.param("bartlett", marks=pytest.mark.slow)])
def test_dense_fits_on_jax_have_the_same_law(sampler):
    model = LAWS["bartlett", "T > d"]
    here = simulated("bartlett", "T > d", direct=True)
    device = mc.simulate(model, 500, seed=1, backend="jax", sampler=sampler)
    assert stats.ks_2samp(here.draws, device.draws).pvalue > BUDGET
    pieces = mc.simulate(model, 520, seed=1, backend="jax", sampler=sampler, batch_size=260)  # of one padded shape
    np.testing.assert_allclose(pieces.draws[:500], device.draws, rtol=1e-10)
