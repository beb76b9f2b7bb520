"""What a fresh interpreter loads: imports are paid for by every user of a command."""

import subprocess
import sys


def loaded(statement, modules):
    """Which of the modules a fresh interpreter has loaded after a statement."""
    probe = f"{statement}\nimport sys\nprint(*[m for m in {modules!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.split()
