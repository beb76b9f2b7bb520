"""Compiled kernels kept on disk, for processes of our own: the command line.

JAX compiles a kernel once per process. A command that runs for a second would spend most of it there, so the command
line keeps what was compiled in the user's cache directory. The library itself never calls this: the JAX configuration
of a program that imports it is that program's own.
"""

import os
import sys
from pathlib import Path

__all__ = ["keep_compiled_kernels"]


def keep_compiled_kernels(folder=None):
    """Let JAX, in this process, read and write compiled kernels in a folder; returns the folder, or None if unused.

    folder : path; by default "modelcollapse/kernels" in the user's cache directory ($XDG_CACHE_HOME, ~/Library/Caches,
    %LOCALAPPDATA% or ~/.cache). A cache that the user configured by JAX_COMPILATION_CACHE_DIR is left alone, and a
    folder that cannot be written is not used. Entries are keyed by JAX on program, version and machine, and several
    processes may share the folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep_compiled_kernels(Path(folder, "missing", "\\0"))     # an impossible path is no error
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return None
    folder = _user_folder() / "modelcollapse" / "kernels" if folder is None else Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError):
        return None
    if not os.access(folder, os.W_OK):
        return None
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def _user_folder():
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    return Path.home() / ".cache"
