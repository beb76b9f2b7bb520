"""`.. command-help:: curve` shows what `modelcollapse curve --help` prints; without a name, the list of commands."""

import os

from docutils import nodes
from docutils.parsers.rst import Directive

from modelcollapse import cli


class CommandHelp(Directive):
    optional_arguments = 1

    def run(self):
        text = help_text(*self.arguments)
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return [block]


def help_text(command=None):
    """What --help prints, in plain text of 84 columns."""
    parser = cli._parser()
    if command:
        parser = parser._subparsers._group_actions[0].choices[command]
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ.update(COLUMNS="84", NO_COLOR="1")
    try:
        return parser.format_help()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def setup(app):
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
