"""How long simulations take: `pytest benchmarks/bench_simulation.py --benchmark-only`.

BLAS runs on one thread for everybody. Each benchmark reports the time of TRIALS trials; divide to compare.

The plain simulations draw every design: by the normal equations and Cholesky, the best that does so, and
by `numpy.linalg.lstsq`, which is what most scripts do.
"""

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

import modelcollapse as mc

DIM, ROWS, GENERATIONS, NOISE, RIDGE, TRIALS = 300, 600, 10, 0.1, 0.01, 200
w0 = mc.truth(mc.power_law(1.5, 0.5, dim=DIM))

pytestmark = pytest.mark.benchmark(max_time=0.1, min_rounds=3, warmup=False)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1, "blas"):
        yield


def _cholesky(x, y, ridge):
    rows, dim = x.shape
    normal = x.T @ x
    normal.flat[:: dim + 1] += ridge * rows
    return cho_solve(cho_factor(normal, overwrite_a=True, check_finite=False), x.T @ y, check_finite=False)


def _lstsq(x, y, ridge):
    if ridge:
        rows, dim = x.shape
        x, y = np.concatenate([x, np.sqrt(ridge * rows) * np.eye(dim)]), np.concatenate([y, np.zeros(dim)])
    return np.linalg.lstsq(x, y)[0]


def plain(solve, trials, last_fit=True):
    """Draw designs and labels, fit, measure."""
    rng, s, truth = np.random.default_rng(0), w0.spectrum.expand().eigenvalues, np.sqrt(w0.spectrum.expand().signal)
    errors = []
    for _ in range(trials):
        w = truth
        for generation in range(GENERATIONS + last_fit):
            x = rng.standard_normal((ROWS, DIM)) * np.sqrt(s)
            w = solve(x, x @ w + NOISE * rng.standard_normal(ROWS), RIDGE if generation == GENERATIONS else 0.0)
        errors.append(np.sum(s * (w - truth) ** 2))
    return np.array(errors)


def chain(rows=ROWS):
    return mc.chain(w0, GENERATIONS, rows, NOISE)


def fitted(rows=ROWS):
    return mc.fit(chain(rows).label(ROWS, NOISE), ridge=RIDGE)


def test_plain_cholesky(benchmark):
    benchmark.pedantic(plain, (_cholesky, TRIALS), rounds=1)


def test_plain_lstsq(benchmark):
    benchmark.extra_info["trials"] = 20
    benchmark.pedantic(plain, (_lstsq, 20), rounds=1)


def test_chain_and_ridge_fit(benchmark):
    benchmark(mc.simulate, fitted(), TRIALS)


def test_chain_and_ridge_fit_on_a_million_rows(benchmark):
    benchmark(mc.simulate, fitted(10**6), TRIALS)


def test_plain_chain_alone(benchmark):
    benchmark.extra_info["trials"] = 50
    benchmark.pedantic(plain, (_cholesky, 50, False), rounds=1)


def test_chain_alone(benchmark):
    benchmark.extra_info["trials"] = 2000
    benchmark(mc.simulate, chain(), 2000)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("dim", [100, 300, 1000])
def test_backends(benchmark, backend, dim):
    """A ridge fit on T = 2d rows by its Bartlett factor: which backend serves which size."""
    model = mc.fit(mc.truth(mc.power_law(1.5, 0.5, dim=dim)).label(2 * dim, NOISE), ridge=RIDGE)
    options = {"backend": backend, "sampler": "bartlett"}
    mc.simulate(model, 16, **options)  # compile
    benchmark.extra_info["trials"] = 16
    benchmark(mc.simulate, model, 16, **options)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("rows", [150, 600])
def test_averaging_over_label_noise(benchmark, conditional, rows):
    """Is the trace worth it? `precision` is 1/variance per trial; compare precision per second."""
    model = mc.fit(w0.label(rows, NOISE), ridge=RIDGE)
    estimate = mc.simulate(model, TRIALS, conditional=conditional)
    benchmark.extra_info["precision"] = float(1 / np.var(estimate.draws))
    benchmark(mc.simulate, model, 20, conditional=conditional)
