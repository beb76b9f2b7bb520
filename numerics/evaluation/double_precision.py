"""How a complete computation of this package runs in JAX, whatever its host has asked of JAX.

A host may forbid rank or dtype promotion, guard transfers, look for NaN or trade precision for speed in its own code;
inside ours these would be raw errors (a masked lane holds a NaN that nobody reads) or other numbers. All are contexts
of this thread, entered around a complete computation: the caller's configuration is untouched.

JAX does not survive a fork: a child of a process that has computed waits for threads which it does not have. The child
is told so instead.
"""

import contextlib
import os

import jax

__all__ = ["double_precision", "ordinary_rules"]

_first_process: int | None = None  # in which JAX was started by a computation of ours


@contextlib.contextmanager
def double_precision():
    """float64 by ordinary rules; RuntimeError in a process that was forked after its parent computed."""
    with (
        jax.enable_x64(True),
        ordinary_rules(),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.default_matmul_precision(None),
    ):
        yield


@contextlib.contextmanager
def ordinary_rules():
    """Ranks and dtypes are promoted as by default, constants moved: for functions in the caller's own precision."""
    _refuse_forked()
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), jax.transfer_guard("allow"):
        yield


def _refuse_forked():
    global _first_process
    if _first_process is None:
        _first_process = os.getpid()
    if _first_process != os.getpid():
        raise RuntimeError(
            f"process {os.getpid()} was forked after process {_first_process} had computed with JAX, which does not "
            "survive a fork; start workers by multiprocessing.get_context('spawn') or 'forkserver'"
        )
