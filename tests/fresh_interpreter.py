"""What a fresh interpreter loads: imports are paid for by every user of a command."""

import subprocess
import sys


def loaded(modules, *statements):
    """Which of the modules a fresh interpreter has loaded after each of the statements, run one after the other."""
    probe = f"print(*[m for m in {modules!r} if m in sys.modules])"
    lines = "\n".join(["import sys", *(f"{statement}\n{probe}" for statement in statements)])
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]
