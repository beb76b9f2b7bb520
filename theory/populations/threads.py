"""BLAS on one thread where matrices are too small to be shared among several, which then wait for one another."""

import contextlib
import contextvars
import functools
import sys
from typing import Any

__all__ = ["PIN_BELOW", "on_one_thread", "pinned", "pinned_by_matrix"]

PIN_BELOW = 1000  # rows of a matrix
_pinned: Any = contextvars.ContextVar("libraries that have one thread in this context", default=None)


@contextlib.contextmanager
def pinned(size):
    """A context in which BLAS has one thread if matrices have fewer than PIN_BELOW rows.

    Without threadpoolctl, which scikit-learn brings, threads are as the environment says.
    """
    libraries = _libraries("scipy.linalg" in sys.modules)
    if size >= PIN_BELOW or libraries in (None, _pinned.get()):
        yield
        return
    before = _pinned.set(libraries)
    try:
        with libraries.limit(limits=1, user_api="blas"):
            yield
    finally:
        _pinned.reset(before)


def on_one_thread(method):
    """A method of a question whose population has a `size`, in that context."""

    @functools.wraps(method)
    def run(question, *arguments):
        with pinned(question.population.size):
            return method(question, *arguments)

    return run


def pinned_by_matrix(function):
    """A function of a matrix and more, in that context."""

    @functools.wraps(function)
    def run(matrix, *arguments, **options):
        with pinned(len(matrix)):
            return function(matrix, *arguments, **options)

    return run


@functools.cache
def _libraries(scipy):
    """Those that share work among threads, looked for once: it takes as long as a small fit. SciPy brings its own."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
