"""`simulate`: addressed random numbers, stopping, merging, honest uncertainty, clear refusals."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import sympy
from scipy import stats

import modelcollapse as mc
from modelcollapse.validation import Estimate
from modelcollapse.validation.problems import problems_of
from modelcollapse.validation.tails import hill, tail_index

steep = mc.truth(mc.power_law(1.5, 0.5, dim=12))
iso = mc.truth(mc.isotropic(12))
teacher = mc.chain(steep, 2, 20, 0.3)
MODELS = {
    "student": mc.chain(steep, 3, 20, 0.3),
    "bidiagonal": mc.chain(iso, 2, 8, 0.3, ridge=0.1),
    "bartlett": mc.fit(teacher.label(20, 0.3), steep.label(6, 0.2, weight=2), ridge=0.1),
    "accumulated": mc.accumulate(teacher, 3, 8, 0.3, penalty=0.1),
    "mixture": 0.5 * teacher + 0.5 * mc.fit(teacher.label(5, 0.1)),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 7}, {"workers": 2, "batch_size": 5}], ids=str)
def test_a_seed_gives_the_same_numbers_however_the_work_is_cut(model, options):
    assert np.array_equal(mc.simulate(model, 30, seed=5).draws, mc.simulate(model, 30, seed=5, **options).draws)


def test_seeds_of_any_kind_and_size():
    draws = [
        mc.simulate(MODELS["student"], 3, seed=seed).draws
        for seed in (1, 2**32 + 1, 2**64 + 1, 2**200, np.random.SeedSequence(1, spawn_key=(3,)))
    ]
    assert len({d.tobytes() for d in draws}) == len(draws)
    again = mc.simulate(MODELS["student"], 3, seed=np.random.SeedSequence(1))
    assert np.array_equal(again.draws, draws[0])
    generator = np.random.default_rng(1)
    first, second = (mc.simulate(MODELS["student"], 3, seed=generator) for _ in range(2))
    assert not np.array_equal(first.draws, second.draws)


def test_one_model_object_is_one_random_fit():
    noisy = mc.fit(iso.label(20, 1.0))
    same = mc.simulate(noisy - noisy, 5)
    assert np.allclose(same.draws, 1.0)  # exactly the null model: the label variance
    twin = mc.fit(iso.label(20, 1.0))
    assert np.std(mc.simulate(noisy - twin, 5).draws) > 0.1


def test_a_grid_has_its_shape_and_independent_points():
    T, lam = sympy.symbols("T lambda")
    model = mc.fit(steep.label(T, 0.3), ridge=lam)
    grid = mc.simulate(model, 20, values={T: [[20], [6]], lam: [0.0, 0.1, np.inf]})
    assert grid.shape == (2, 3)
    assert grid.draws.shape == (2, 3, 20)
    assert grid.to_dict()["quantile_0.5"].shape == (2, 3)
    alone = mc.simulate(model.subs({T: 20, lam: 0.0}), 20)
    assert np.array_equal(grid.draws[0, 0], alone.draws)
    assert np.allclose(grid.mean[:, 2], steep.spectrum.label_variance)  # the null model
    assert np.all(grid.draws[0, 0] != grid.draws[1, 0])
    sizes = mc.simulate(mc.chain(mc.truth(mc.isotropic(3)), [0, 1, 2], 9, 0.1), 10)
    assert sizes.mean[0] == 0 < sizes.mean[1]


def test_shifted_inputs_over_atoms_are_those_of_their_directions():
    w0 = mc.truth(mc.Spectrum([2.0, 1.0], [1.0, 3.0], [2, 3]))
    by_atom = mc.fit(w0.label(9, 0.3, inputs=[1.0, 4.0]), ridge=0.1)
    by_rule = mc.fit(w0.label(9, 0.3, inputs=lambda s: np.where(s == 2, 1.0, 4.0)), ridge=0.1)
    assert np.array_equal(
        mc.simulate(by_atom, 5, inputs=[3.0, 1.0]).draws,
        mc.simulate(by_rule, 5, inputs=lambda s: np.where(s == 2, 3.0, 1.0)).draws,
    )


def test_dropped_sources_change_nothing_but_the_number_of_rows():
    kept = mc.fit(steep.label(20, 0.3), ridge=0.1)
    assert np.array_equal(
        mc.simulate(kept, 5).draws, mc.simulate(mc.fit(steep.label(20, 0.3), steep.label(0), ridge=0.1), 5).draws
    )
    unused = mc.fit(steep.label(20, 0.3), steep.label(20, weight=0), ridge=0.05)
    assert np.allclose(mc.simulate(kept, 5).draws, mc.simulate(unused, 5).draws)


@pytest.mark.parametrize("distribution", ["rademacher", "uniform", ("student", 6), "rows"])
def test_universality_of_the_inputs(distribution):
    """Other inputs with the same covariance: the same error up to order 1/d (5 %) and sampling error (4 σ, 6e-5)."""
    w0 = mc.truth(mc.power_law(1.2, 0.5, dim=60))
    model = mc.fit(mc.chain(w0, 1, 90, 0.5, ridge=0.01).label(40, 0.5), ridge=0.05)
    options = {"distribution": distribution}
    if distribution == "rows":
        rng = np.random.default_rng(0)
        options = {"distribution": rng.uniform(size=(5000, 60)) @ rng.standard_normal((60, 60))}
    elif not isinstance(distribution, str):
        options = {"distribution": "student", "df": 6}
    gaussian, other = mc.simulate(model, 300, seed=1), mc.simulate(model, 300, seed=2, **options)
    slack = 4 * np.hypot(gaussian.standard_error, other.standard_error) + 0.05 * gaussian.mean
    assert abs(gaussian.mean - other.mean) < slack


def test_stopping_by_precision():
    rough = mc.simulate(MODELS["bidiagonal"], relative_error=0.03)
    fine = mc.simulate(MODELS["bidiagonal"], relative_error=0.005)
    assert rough.trials < fine.trials
    assert fine.standard_error <= 0.005 * fine.mean
    capped = mc.simulate(MODELS["bidiagonal"], relative_error=1e-6, max_trials=300)
    assert capped.trials == 300
    assert mc.simulate(MODELS["student"], relative_error=0.02).conditional  # free, so it is done
    assert not fine.conditional


def test_interrupted_runs_return_what_they_have():
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    part = mc.simulate(MODELS["student"], 100, seed=5, batch_size=10, progress=interrupt)
    assert part.interrupted
    assert part.trials == 30
    assert "interrupted" in repr(part)
    assert np.array_equal(part.draws, mc.simulate(MODELS["student"], 30, seed=5).draws)
    with pytest.raises(KeyboardInterrupt):  # nothing to return
        mc.simulate(mc.fit(steep.label([20, 30]), ridge=[0.1, 0.1]), 100, batch_size=100, progress=_stop)


def _stop(done, total):
    raise KeyboardInterrupt


def test_merging():
    model = MODELS["student"]
    whole, first = mc.simulate(model, 50, seed=5), mc.simulate(model, 20, seed=5)
    second, other = mc.simulate(model, 30, seed=5, first_trial=20), mc.simulate(model, 30, seed=6)
    assert np.array_equal(first.merge(second).draws, whole.draws)
    assert first.merge(second).standard_error == whole.standard_error
    assert first.merge(other).trials == 50
    with pytest.raises(ValueError, match=r"both estimates hold the trials 0\.\.19 of one seed"):
        whole.merge(first)
    with pytest.raises(ValueError, match=r"trials 20\.\.49"):
        first.merge(second).merge(mc.simulate(model, 50, seed=5, first_trial=20))
    with pytest.raises(ValueError, match="different problems"):
        first.merge(mc.simulate(MODELS["bidiagonal"], 20, seed=6))
    with pytest.raises(TypeError, match="merge two estimates"):
        first.merge(3)


def test_an_estimate_prints_and_pickles():
    estimate = mc.simulate(MODELS["bidiagonal"], 20)
    assert repr(estimate).startswith("Estimate(mean=0.")
    assert pickle.loads(pickle.dumps(estimate)).mean == estimate.mean
    with pytest.raises(AttributeError):
        estimate.mean = 0
    with pytest.raises(ValueError, match="read-only"):
        estimate.draws[0] = 0


# heavy tails


@pytest.mark.parametrize(
    ("model", "index"),
    [
        (mc.fit(iso.label(12, 0.1)), 0.5),
        (mc.fit(iso.label(14, 0.1)), 1.5),
        (mc.fit(iso.label(10, 0.1)), 1.5),
        (mc.fit(iso.label(14)), np.inf),  # no noise: exact
        (mc.fit(iso.label(14, 0.1), ridge=1e-3), np.inf),
        (mc.fit(mc.fit(iso.label(15, 0.1)).label(30, 0.1), ridge=1.0), 2.0),  # inherited
        (mc.fit(mc.fit(iso.label(15, 0.1)).label(30, 0.1), ridge=np.inf), np.inf),
        (mc.fit(iso.label(7, 0.1), iso.label(8, 0.1)), 2.0),
        (mc.fit(iso.label(7), mc.fit(iso.label(40, 0.1)).label(8)), 2.0),  # labels that contradict each other
        (mc.accumulate(iso, 2, 7, 0.1), 1.5),
        (0.5 * mc.fit(iso.label(13, 0.1)) + 0.5 * iso, 1.0),
    ],
)
def test_which_moments_exist(model, index):
    _, (problem,) = problems_of(model)
    assert tail_index(problem) == index


def test_the_tail_index_is_the_tail_of_the_draws():
    """Hill's estimate from the 316 largest of 25 000 draws: standard error 6 %, its bias there up to 5 %."""
    for rows, index in ((13, 1.0), (14, 1.5), (10, 1.5)):
        estimate = mc.simulate(mc.fit(iso.label(rows, 1.0)), 25_000)
        assert hill(estimate.draws)[0] == pytest.approx(index, rel=0.25)
        assert estimate.tail_index == index


def test_no_confident_interval_where_the_variance_does_not_exist():
    heavy = mc.simulate(mc.fit(iso.label([14, 40], 1.0)), 200)
    assert heavy.heavy_tailed.tolist() == [True, False]
    low, high = heavy.interval()
    assert (low[0], high[0]) == (0, np.inf)
    assert high[1] < np.inf
    text = repr(mc.simulate(mc.fit(iso.label(14, 1.0)), 200))
    assert "no standard error" in text
    assert "tail index 1.5" in text


def test_draws_without_variance_are_noticed_whatever_the_pipeline_says():
    rng = np.random.default_rng(0)
    flagged = [Estimate.from_draws(1 / rng.chisquare(2.4, size=1000)).heavy_tailed for _ in range(50)]  # α = 1.2
    assert np.mean(flagged) > 0.9
    light = [Estimate.from_draws(rng.exponential(size=1000)).heavy_tailed for _ in range(50)]
    assert not np.any(light)


@pytest.mark.parametrize(("rows", "level", "lowest"), [(40, 0.95, 0.925), (16, 0.95, 0.90), (40, 0.999, 0.994)])
def test_coverage_of_the_interval(rows, level, lowest):
    """2000 intervals from 100 trials each of least squares, d = 12, whose law is χ²_d / χ²_{T−d+1}.

    That simulated trials have it fails by chance with probability 1e-3. The standard error of a coverage is 0.5 %
    (0.07 % at 0.999); T = 16 has tail index 2.5.
    """
    law = stats.f(12, rows - 11, scale=12 / (rows - 11))
    assert stats.kstest(mc.simulate(mc.fit(iso.label(rows, 1.0)), 2000).draws, law.cdf).pvalue > 1e-3
    draws = law.rvs((2000, 100), random_state=0)
    low, high = Estimate.from_draws(draws).interval(level)
    truth = law.mean()
    assert lowest < np.mean((low < truth) & (truth < high)) < 1
    plain = 1.96 * draws.std(1, ddof=1) / 10
    if level == 0.95:  # the interval without the correction for skewness misses more often, on one side
        assert np.mean(high < truth) < np.mean(draws.mean(1) + plain < truth)


# refusals


def test_clear_refusals():
    model = MODELS["student"]
    with pytest.raises(ValueError, match=r"samples = 20\.5 is not whole"):
        mc.simulate(mc.fit(steep.label(20.5)))
    with pytest.raises(ValueError, match="infinitely many directions; give it a finite dim"):
        mc.simulate(mc.fit(mc.truth(mc.power_law(1.5, 0.5)).label(20), ridge=0.1))
    with pytest.raises(TypeError, match="symbol T is free"):
        mc.simulate(mc.fit(steep.label(sympy.Symbol("T"))))
    with pytest.raises(ValueError, match="samples = 0 in all sources"):
        mc.simulate(mc.fit(steep.label([20, 0], 0.1)))
    with pytest.raises(ValueError, match=r"trials = 1 is outside \[2, inf\)"):
        mc.simulate(model, 1)
    with pytest.raises(TypeError, match=r"trials = 10\.0 is a float"):
        mc.simulate(model, 10.0)
    with pytest.raises(ValueError, match="seed = -1"):
        mc.simulate(model, seed=-1)
    with pytest.raises(TypeError, match="seed = 'a'"):
        mc.simulate(model, seed="a")
    with pytest.raises(ValueError, match="relative_error = 0"):
        mc.simulate(model, relative_error=0)
    with pytest.raises(ValueError, match="sampler = 'fast' is unknown"):
        mc.simulate(model, sampler="fast")
    with pytest.raises(ValueError, match="distribution = 'cauchy' is unknown"):
        mc.simulate(model, distribution="cauchy")
    with pytest.raises(ValueError, match=r"df = 3 .* outside \(4, inf\)"):
        mc.simulate(model, distribution="student", df=3)
    with pytest.raises(ValueError, match="at least 12 rows of 12 numbers"):
        mc.simulate(model, distribution=np.ones((5, 12)))
    with pytest.raises(ValueError, match="rank below 12"):
        mc.simulate(model, distribution=np.ones((50, 12)))
    with pytest.raises(TypeError, match="model is a int"):
        mc.simulate(3)


def test_importing_and_simulating_needs_no_jax_and_no_hypothesis():
    code = (
        "import sys, modelcollapse as mc\n"
        "mc.simulate(mc.fit(mc.truth(mc.isotropic(4)).label(9, 0.1), ridge=0.1), 5)\n"
        "assert not {'jax', 'hypothesis', 'dask', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_number_of_devices():
    code = (
        "import modelcollapse as mc\n"
        "w0 = mc.truth(mc.power_law(1.5, 0.5, dim=12))\n"
        "for m in (mc.fit(w0.label(20, 0.3), ridge=0.1), mc.accumulate(w0, 2, 8, 0.3, 0.1)):\n"
        "    print(mc.simulate(m, 30, backend='jax', sampler='bartlett').draws.tolist())"
    )
    outputs = []
    for devices in (1, 2):
        environment = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, capture_output=True, env=environment, timeout=300)
        outputs.append(np.array([eval(line) for line in done.stdout.decode().splitlines()]))
    np.testing.assert_allclose(*outputs, rtol=1e-10)
