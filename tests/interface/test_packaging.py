"""What the wheel holds, and the table of public names."""

import ast
import tomllib
from pathlib import Path

import pytest

import modelcollapse as mc

ROOT = Path(__file__).parents[2]
FACADE = ROOT / "src/modelcollapse"
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
LINKED = ("theory", "numerics", "validation")


def missing_from(listed):
    """Files of the package that a list of paths would leave out."""
    listed = [ROOT / entry for entry in listed]
    wanted = [path for path in FACADE.iterdir() if path.name not in {"__pycache__", *LINKED}]
    wanted += [ROOT / folder for folder in LINKED]
    return sorted(str(path.relative_to(ROOT)) for path in wanted if path not in listed)


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_every_file_of_the_package_is_shipped(target):
    assert missing_from(BUILD[target]["only-include"]) == []
    for entry in BUILD[target]["only-include"]:
        assert (ROOT / entry).exists(), f"{entry} is listed and not there"


def test_a_forgotten_file_would_be_seen():
    listed = [entry for entry in BUILD["wheel"]["only-include"] if not entry.endswith("plot.py")]
    assert missing_from(listed) == ["src/modelcollapse/plot.py"]


def test_the_wheel_puts_the_root_folders_under_one_name():
    assert BUILD["wheel"]["sources"] == {"src/modelcollapse": "modelcollapse"} | {
        folder: f"modelcollapse/{folder}" for folder in LINKED
    }


def stub_names(text):
    """Public names that a stub declares."""
    names = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name == alias.asname for alias in node.names), "a stub re-exports with `as`"
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
    return names


def stub_modules(text):
    """Public name -> module, as the stub has it."""
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in nodes for alias in node.names if node.module != mc.__name__}


def test_table_stub_and_all_are_one():
    stub = (FACADE / "__init__.pyi").read_text()
    assert stub_names(stub) == set(mc.__all__) == set(dir(mc))
    assert stub_modules(stub) == mc._PUBLIC


@pytest.mark.parametrize("name", sorted(mc.__all__))
def test_every_public_name_resolves_twice_to_the_same(name):
    assert getattr(mc, name) is getattr(mc, name)


def test_no_module_hides_a_public_object():
    for name, module in mc._PUBLIC.items():
        assert module.rsplit(".", 1)[-1] != name


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean predict"):
        mc.predikt  # noqa: B018
    assert not hasattr(mc, "_repr_html_")


def test_version_is_a_string():
    assert isinstance(mc.__version__, str)
