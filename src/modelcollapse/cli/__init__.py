"""The command line: `modelcollapse COMMAND ...`.

Each command is a module with HELP, EXAMPLE, `options(parser)` and `run(arguments)`. Their imports at the top
are light, so that --help answers at once; the numerical libraries load when a command runs.
"""

import argparse
import functools
import sys
from importlib.util import find_spec

import modelcollapse
from modelcollapse.cli import _output, crosscheck, curve, demo, exponent, formulas, mix, modes, ridge

__all__ = ["main"]

COMMANDS = {
    "curve": curve,
    "ridge": ridge,
    "mix": mix,
    "exponent": exponent,
    "crosscheck": crosscheck,
    "modes": modes,
    "formulas": formulas,
    "demo": demo,
}

_WITHOUT_RICH = "For tables in colour and progress bars: pip install 'modelcollapse[cli]'"
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError, MemoryError)


class _Parser(argparse.ArgumentParser):
    """Wrong usage is answered by one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser():
    return _parser_ending("" if find_spec("rich") else _WITHOUT_RICH)


@functools.cache  # for those who call `main` again
def _parser_ending(words):
    parser = _Parser(
        prog="modelcollapse",
        description="What training on labels that other models wrote costs: the test error in closed form.",
        epilog=words,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"modelcollapse {modelcollapse.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.HELP,
            description=command.__doc__,
            epilog=f"example:\n{command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.options(one)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 with one line on stderr for what the user can mend."""
    _output.readable_anywhere()
    try:
        try:
            status = _run(_parser().parse_args(argv))
        finally:  # --help ends by SystemExit
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        _output.discard_output()
        return 0
    except OSError as error:
        _output.discard_output()
        print(f"modelcollapse: cannot write to standard output: {error.strerror or error}", file=sys.stderr)
        return 2
    return status


def _run(arguments):
    try:
        if arguments.command not in ("formulas", "exponent", "modes"):
            from modelcollapse.numerics.compilation_cache import keep_compiled_kernels

            keep_compiled_kernels()
        COMMANDS[arguments.command].run(arguments)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except _USER_ERRORS as error:
        sentence = " ".join(str(error).split()) or type(error).__name__
        print(f"modelcollapse {arguments.command}: {sentence}", file=sys.stderr)
        return 2
    return 0
