"""The README's examples run, and what it names is there."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from modelcollapse import cli

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in block.splitlines()]


def test_the_examples_run():
    found = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert found.attempted > 20
    assert found.failed == 0


def test_there_are_six_examples():
    assert re.findall(r"^\*\*(\d)\. ", TEXT, re.M) == list("123456")
    assert len(re.findall(r"```python\n", TEXT)) == 6


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert target.startswith("https://") or (ROOT / target).is_file(), target


def test_the_two_commands_are_one_line_each():
    setup = [line for line in SHELL if line.startswith("python3 -m venv")]
    assert len(setup) == 2
    assert [line.rsplit("&&", 1)[-1].split()[-1] for line in setup] == ["demo", "pytest"]


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("modelcollapse")])
def test_its_command_lines_parse(line):
    assert cli._parser().parse_args(shlex.split(line)[1:]).command in cli.COMMANDS
