"""Where batches of trials run: here, on threads of this machine, or on the workers of a dask.distributed cluster.

A batch is a pure function of its arguments, so the numbers are the same wherever it runs, and a batch that was lost
with its worker is simply run again.
"""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from modelcollapse.validation.trials import run_trials

__all__ = ["finished_batches"]

_RETRIES = 5  # of one batch, should several workers die under it


def finished_batches(batches, workers=1, client=None):
    """Yield (i, draws) as the batches finish, each the arguments of `run_trials` (problem first).

    `client` is a dask.distributed Client, `workers` a number of threads.
    """
    if client is not None:
        yield from _on_cluster(batches, client)
    elif workers > 1:
        yield from _on_threads(batches, workers)
    else:
        for i, batch in enumerate(batches):
            yield i, run_trials(*batch)


def _on_threads(batches, workers):
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(run_trials, *batch): i for i, batch in enumerate(batches)}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()


def _on_cluster(batches, client):
    try:
        from distributed import as_completed
    except ImportError as error:
        raise ImportError(
            "client= needs dask.distributed; install it with: pip install 'modelcollapse[distributed]'"
        ) from error
    # a problem travels once, as the result of a task: scattered data would be lost with the worker that holds it
    problems = {id(batch[0]): batch[0] for batch in batches}
    sent = {key: client.submit(_itself, problem, pure=False, retries=_RETRIES) for key, problem in problems.items()}
    running = {
        client.submit(run_trials, sent[id(batch[0])], *batch[1:], pure=False, retries=_RETRIES): i
        for i, batch in enumerate(batches)
    }
    try:
        for future, draws in as_completed(list(running), with_results=True):
            yield running.pop(future), draws
    finally:
        client.cancel(list(running))


def _itself(problem):
    return problem
