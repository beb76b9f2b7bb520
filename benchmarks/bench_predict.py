"""How long predictions take: `pytest benchmarks/bench_predict.py --benchmark-only`; ratios: benchmarks.table."""

import numpy as np
import pytest
from benchmarks import problems

import modelcollapse as mc

pytestmark = pytest.mark.benchmark(max_time=0.2, min_rounds=3, warmup=True, warmup_iterations=1)

DIM = 10**4
EIGENVALUES, SIGNAL = problems.power_law_arrays(DIM)


@pytest.mark.parametrize("side", [1, 10, 50, 300])
def test_surface(benchmark, side):
    few = mc.Spectrum(EIGENVALUES, SIGNAL).compress()
    errors = benchmark(problems.ours, few, *problems.grid(DIM, side, side), DIM)
    assert errors.shape == (side, side)


@pytest.mark.parametrize("dim", [10**2, 10**4, 10**6])
def test_surface_of_a_plain_array(benchmark, dim):
    fresh = problems.fresh_spectra(*problems.power_law_arrays(dim))
    benchmark(lambda: problems.ours(next(fresh), *problems.grid(dim), dim))


@pytest.mark.parametrize("dim", [10**4, 10**12, np.inf])
def test_surface_of_a_power_law(benchmark, dim):
    benchmark(lambda: problems.ours(mc.power_law(1.5, 0.5, dim=dim), *problems.grid(10**6), 10**12, generations=0))


@pytest.mark.parametrize("generations", [1, 10**3, 10**6])
def test_generations(benchmark, generations):
    few = mc.Spectrum(EIGENVALUES, SIGNAL).compress()
    benchmark(problems.ours, few, *problems.grid(DIM), DIM, generations)


def test_plain_scipy(benchmark):
    """The same surface as `test_surface[10]`."""
    benchmark(problems.plain, EIGENVALUES, SIGNAL, *problems.grid(DIM, 10, 10))


def test_one_point(benchmark):
    model = mc.fit(mc.truth(mc.power_law(1.5, 0.5, dim=10**6)).label(100, 0.1), ridge=1e-3)
    benchmark(mc.predict, model)


def test_fifty_fits_on_a_grid(benchmark):
    ridges, rng = np.geomspace(1e-6, 1, 1000), np.random.default_rng(0)
    models = [mc.truth(mc.power_law(1.5, 0.5, dim=DIM))]
    for _ in range(50):
        other = models[rng.integers(len(models))]
        models.append(mc.fit(models[-1].label(300, 0.1), other.label(200, 0.2), ridge=ridges))
    assert benchmark(mc.predict, models[-1]).test_error.shape == (1000,)
