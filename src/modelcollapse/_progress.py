"""Progress of long work, told in one way: a function of (done, total).

It is the caller's own, or moves a bar of rich on stderr where rich is installed and a terminal listens.
"""

import time
from collections.abc import Callable

__all__ = ["Progress"]

_LONG = 2.0  # seconds


class Progress:
    """A context whose `report(done, total)` is called during the work.

    wanted : True, False, None (as False) or a function of (done, total)
    title : beside the bar
    patience : seconds before a bar appears

    >>> seen = []
    >>> with Progress(lambda done, total: seen.append((done, total))) as progress:
    ...     progress.report(1, 2)
    >>> seen
    [(1, 2)]
    """

    def __init__(self, wanted: bool | Callable[[int, int], object] | None = True, title="simulating", patience=_LONG):
        self._wanted, self._title, self._patience = wanted, title, patience
        self._started, self._bar, self._task = time.monotonic(), None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def report(self, done, total):
        if callable(self._wanted):
            self._wanted(done, total)
        elif self._wanted and self._bar is None and time.monotonic() - self._started >= self._patience:
            self._open()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def _open(self):
        try:
            from rich.console import Console
            from rich.progress import Progress as Bar
        except ImportError:
            self._wanted = False
            return
        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Bar(console=console, transient=True)
            self._task = self._bar.add_task(self._title, total=None)
            self._bar.start()
        else:
            self._wanted = False
