"""Imports run one way, theory ← numerics ← validation, and the package is cheap to import."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_interpreter import loaded

ROOT = Path(__file__).parents[2]
UPPER = ("modelcollapse.numerics", "modelcollapse.validation")
HEAVY = ("jax", "scipy", "sympy", "matplotlib", "sklearn")
parsed = functools.cache(ast.parse)


def top_level_imports(source):
    """Names of the modules that a module imports when it is imported."""
    inside = [parsed(source)]
    found = set()
    while inside:
        node = inside.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        inside += ast.iter_child_nodes(node)
    return found


def anywhere_imports(source):
    """The same, imports inside functions included."""
    return {
        name
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }


def starting_with(names, *prefixes):
    return {name for name in names if any(name == p or name.startswith(f"{p}.") for p in prefixes)}


@functools.cache
def sources(folder):
    return {path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / folder).rglob("*.py"))}


def test_importing_the_package_and_its_help_load_nothing_heavy():
    """The last statement does."""
    show_help = (
        "import contextlib as c, io, modelcollapse.cli as cli\n"
        "with c.redirect_stdout(io.StringIO()), c.suppress(SystemExit): cli.main(['--help'])"
    )
    statements = ("import modelcollapse", show_help, "modelcollapse.predict")
    imported, helped, asked = loaded((*HEAVY, "numpy"), *statements)
    assert imported == helped == []
    assert "numpy" in asked


def test_theory_never_loads_jax():
    """The last statement does."""
    walk = (
        "import importlib, pkgutil, modelcollapse.theory as theory\n"
        "for module in pkgutil.walk_packages(theory.__path__, 'modelcollapse.theory.'):\n"
        "    importlib.import_module(module.name)"
    )
    walked, above = loaded(("jax", *UPPER), walk, "import modelcollapse.numerics.questions.predictions")
    assert walked == []
    assert above == ["jax", UPPER[0]]


def test_theory_imports_no_other_layer_at_the_top():
    for path, source in sources("theory").items():
        above = starting_with(top_level_imports(source), "jax", *UPPER)
        assert not above, f"{path} imports {above}"


def test_numerics_never_imports_validation():
    for path, source in sources("numerics").items():
        above = starting_with(anywhere_imports(source), "modelcollapse.validation")
        assert not above, f"{path} imports {above}"


@pytest.mark.parametrize("line", ["import jax.numpy", "from jax import lax", "import modelcollapse.numerics"])
def test_a_planted_import_would_be_seen(line):
    planted = f"if True:\n    {line}"
    assert starting_with(top_level_imports(planted), "jax", "modelcollapse.numerics")
    assert starting_with(anywhere_imports(f"def f():\n    {line}"), "jax", "modelcollapse")
    assert not top_level_imports(f"def f():\n    {line}")


def test_imports_are_absolute():
    for folder in ("theory", "numerics", "validation", "src/modelcollapse"):
        for path, source in sources(folder).items():
            for node in ast.walk(parsed(source)):
                assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: a relative import"


@pytest.mark.parametrize("folder", ["theory", "numerics", "validation"])
def test_root_folders_refuse_their_bare_names(folder):
    command = [sys.executable, "-c", f"import {folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"import modelcollapse.{folder} instead" in done.stderr
