"""BLAS on one thread where matrices are too small to be shared among several, which then wait for one another."""

import contextlib
import functools

__all__ = ["PIN_BELOW", "on_one_thread", "pinned"]

PIN_BELOW = 1000  # rows of a matrix


def pinned(size):
    """A context in which BLAS has one thread if matrices have fewer than PIN_BELOW rows.

    Without threadpoolctl, which scikit-learn brings, threads are as the environment says.
    """
    if size >= PIN_BELOW:
        return contextlib.nullcontext()
    try:
        return _libraries().limit(limits=1, user_api="blas")
    except ImportError:
        return contextlib.nullcontext()


def on_one_thread(method):
    """A method of a question whose population has a `size`, in that context."""

    @functools.wraps(method)
    def run(question, *arguments):
        with pinned(question.population.size):
            return method(question, *arguments)

    return run


@functools.cache
def _libraries():
    """Those that share work among threads, looked for once: it takes as long as fifty small fits."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
