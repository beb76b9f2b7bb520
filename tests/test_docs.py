"""The documents say what the package says."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def formulas_page():
    spec = importlib.util.spec_from_file_location("formulas_page", DOCS / "formulas_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_formulas_page_is_the_catalogue():
    module = formulas_page()
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/formulas_page.py"
