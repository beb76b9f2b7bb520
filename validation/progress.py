"""A progress bar for long work: rich's, if it is installed and there is a terminal; nothing otherwise."""

import time

__all__ = ["Progress"]

_LONG = 2.0  # seconds


class Progress:
    """A context that `report(done, total)` is called in. `wanted`: True, False or a function of (done, total)."""

    def __init__(self, wanted=True, title="simulating"):
        self._wanted, self._title = wanted, title
        self._started, self._bar, self._task = time.monotonic(), None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def report(self, done, total):
        if callable(self._wanted):
            self._wanted(done, total)
        elif self._wanted and self._bar is None and time.monotonic() - self._started > _LONG:
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
