"""Batches on a dask.distributed cluster of two worker processes: the same numbers, and nothing lost with a worker."""

import os
import signal

import numpy as np
import pytest

import modelcollapse as mc

distributed = pytest.importorskip("distributed")

steep = mc.truth(mc.power_law(1.5, 0.5, dim=30))
MODELS = [
    mc.fit(mc.chain(steep, 2, 60, 0.3).label([20, 50], 0.2), ridge=0.01),
    mc.accumulate(steep, 2, 40, 0.3, penalty=0.1),
    mc.chain(steep, 5, 60, 0.3),
]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore")  # dask's own, in its own threads
def test_the_same_numbers_as_in_one_process(client):
    seen = []
    far = mc.crosscheck(MODELS, 120, seed=3, client=client, batch_size=20, progress=lambda *x: seen.append(x))
    near = mc.crosscheck(MODELS, 120, seed=3)
    for there, here in zip(far.estimate, near.estimate, strict=True):
        assert np.array_equal(there.draws, here.draws)
    assert np.array_equal(far.verdicts, near.verdicts)
    assert seen == [(i, 24) for i in range(1, 25)]  # 4 points × 6 batches
    precise = mc.simulate(MODELS[1], seed=3, relative_error=0.02, client=client)
    assert np.array_equal(precise.draws, mc.simulate(MODELS[1], seed=3, relative_error=0.02).draws)


@pytest.mark.filterwarnings("ignore")
def test_a_worker_killed_in_mid_run_loses_nothing(client):
    victims = list(client.run(os.getpid).values())

    def kill_once(done, total):
        if done == 3 and len(victims) == 2:
            os.kill(victims.pop(), signal.SIGKILL)

    far = mc.simulate(MODELS[0], 400, seed=3, client=client, batch_size=10, progress=kill_once)
    assert len(victims) == 1
    assert far.trials == 400
    assert np.array_equal(far.draws, mc.simulate(MODELS[0], 400, seed=3).draws)
