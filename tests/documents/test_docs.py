"""The documents say what the package says: examples run, what is named exists, every export has its entry."""

import doctest
import importlib.util
import inspect
import io
import os
import re
import sys
import warnings
import zlib
from operator import attrgetter
from pathlib import Path
from types import FunctionType

import pytest

import modelcollapse as mc
from modelcollapse import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {"_build", "notebooks"} & set(page.parts))
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
TEXTS |= {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CONTRIBUTING.md")}


def module_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_formulas_page_is_the_catalogue():
    module = module_at(DOCS / "formulas_page.py")
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/formulas_page.py"


# examples: every block of a page, in order, in one folder and one namespace, as a reader would run them

blocks = module_at(DOCS / "blocks.py")
BLOCK, run_blocks = blocks.BLOCK, blocks.run_blocks


def pages_with_blocks():
    texts = TEXTS | {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
    slow = {"README.md"}  # chains trained on all digits
    for name, text in texts.items():
        if any(language in ("python", "bash") for language, _ in BLOCK.findall(text)):
            yield pytest.param(text, name, marks=[pytest.mark.slow] if name in slow else [], id=name)


@pytest.mark.parametrize(("text", "name"), list(pages_with_blocks()))
def test_every_block_of_a_page_runs(text, name, tmp_path, monkeypatch):
    for extra in ("sklearn", "matplotlib", "distributed"):
        pytest.importorskip(extra)
    import distributed
    import matplotlib

    class Here(distributed.Client):
        """The cores of this machine stand in for a scheduler that only the reader has."""

        def __init__(self, address):
            super().__init__(processes=False, n_workers=1, dashboard_address=":0")

    monkeypatch.setattr(distributed, "Client", Here)
    monkeypatch.setitem(matplotlib.rcParams, "savefig.dpi", 40)  # nobody looks at these
    monkeypatch.chdir(tmp_path)
    blocks.write_readers_files(tmp_path)
    run_blocks(text, name)


def test_a_block_that_fails_is_seen(capsys):
    for planted in ("```python\n>>> 1 + 1\n3\n```\n", "```python\ndef test_it():\n    assert 0\n```\n",
                    "```text\nfrom nothing import x\n```\n", "```bash\nmodelcollapse formulas nonsense\n```\n",
                    "```bash\nrm nothing\n```\n"):  # fmt: skip
        with pytest.raises(AssertionError):
            run_blocks(planted, "planted")


# what is named exists


def missing_tests(text):
    """Test files and tests that a page names and that are not there."""
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text)
    return {
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or (test and f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8"))
    }


def test_the_tests_that_pages_name_are_there():
    assert {test for text in TEXTS.values() for test in missing_tests(text)} == set()
    assert missing_tests("`tests/documents/test_docs.py::test_nothing`") == {
        "tests/documents/test_docs.py::test_nothing"
    }


def test_every_record_is_explained_on_a_page_of_theory():
    theory = "".join(text for name, text in TEXTS.items() if name.startswith("docs/theory"))
    assert set(mc.theory.catalogue) == set(re.findall(r"formulas\.md#(\w+)\)", theory))


CARD = ("**Setting", "| there | here |", "## Beside the published numbers", "## Where print and", "```python\n>>>")


def missing_parts(card):
    """What a paper's page must have and has not: setting, notation, published numbers, differences, lines that run."""
    return {part for part in CARD if part not in card}


def test_the_page_of_every_paper_has_all_parts():
    index = "docs/papers/index.md"
    cards = {name: text for name, text in TEXTS.items() if name.startswith("docs/papers/") and name != index}
    assert {name: missing_parts(text) for name, text in cards.items() if missing_parts(text)} == {}
    assert set(re.findall(r"\]\((\w+\.md)\)", TEXTS[index])) == {Path(name).name for name in cards}
    planted = cards["docs/papers/demystified.md"].replace("| there |", "| planted |")
    assert missing_parts(planted) == {"| there | here |"}


# the reference


def exports():
    """Full names of all public objects."""
    parts = {"modelcollapse": mc.__all__} | {
        f"modelcollapse.{name}": getattr(mc, name).__all__
        for name in ("modes", "theory", "numerics", "validation", "plot")
    }
    return {f"{part}.{name}" for part, names in parts.items() for name in names if not name.startswith("_")}


def documented(texts):
    """Full names of the objects that pages of the reference ask for."""
    return set(re.findall(r"^\.\. (?:auto)?(?:function|class|data|module):: ([\w.]+)", "\n".join(texts), re.M))


REFERENCE = [text for name, text in TEXTS.items() if name.startswith("docs/api")]


def test_every_export_has_an_entry_in_the_reference():
    assert exports() - documented(REFERENCE) == set()
    without = [text.replace("autofunction:: modelcollapse.predict\n", "planted\n") for text in REFERENCE]
    assert exports() - documented(without) == {"modelcollapse.predict"}


def test_every_command_has_its_help_in_the_reference():
    assert set(re.findall(r"command-help:: (\w+)", "".join(REFERENCE))) == set(cli.COMMANDS)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """Names in the objects.inv of the site that $SITE names, or of the reference, built alone."""
    for needed in ("sphinx", "myst_nb", "furo", "fontTools", "ziamath"):
        pytest.importorskip(needed)
    if "SITE" in os.environ:
        return _listed(Path(os.environ["SITE"]), "api/")
    if "CI" in os.environ:
        pytest.skip("continuous integration reads the inventory of the site that it builds")
    built = tmp_path_factory.mktemp("site")
    _build(DOCS / "api", built)
    return _listed(built)


def _build(pages, built):
    """Build pages of the site in this process, which has imported what they show; its surroundings stay as they are."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as here, warnings.catch_warnings(action="ignore"):
        here.setattr(sys, "path", [*sys.path])
        here.setattr(os, "environ", os.environ.copy())
        with patch_docutils(DOCS), docutils_namespace():
            site = Sphinx(pages, DOCS, built, built / ".doctrees", "html", status=None, warning=said)
            site.build(filenames=[pages / "command_line.md"])  # all are read, one is written
    assert site.statuscode == 0, said.getvalue()


def _listed(built, folder=""):
    *_, listed = (built / "objects.inv").read_bytes().split(b"\n", 4)  # four lines of text, the rest compressed
    rows = [line.split() for line in zlib.decompress(listed).decode().splitlines()]
    names = {row[0] for row in rows if row[1].startswith("py:")}
    return names, (built / f"{folder}command_line.html").read_text(encoding="utf-8")


def test_the_built_inventory_has_every_export(inventory):
    names, _ = inventory
    assert exports() - names == set()
    assert (exports() | {"modelcollapse.planted"}) - names == {"modelcollapse.planted"}


def test_the_built_pages_show_the_help_of_commands(inventory):
    _, page = inventory
    assert all(f"usage: modelcollapse {command} " in page for command in cli.COMMANDS)


# docstrings

SHOWN_IN = {"modelcollapse.theory.catalogue": mc.theory.records, "modelcollapse.plot.COLOURS": mc.plot}  # data


def without_number(objects):
    """Names of objects whose docstrings, those of their methods included, have no example that shows a number."""
    return {name for name, thing in objects.items() if not any(map(_shows_number, _docstrings(thing)))}


def _docstrings(thing):
    yield thing.__doc__ or ""
    if inspect.isclass(thing):
        methods = [part for part in vars(thing).values() if isinstance(part, FunctionType | property)]
        yield from (part.__doc__ or "" for part in methods)


def _shows_number(docstring):
    examples = doctest.DocTestParser().get_examples(docstring)
    return any(re.search(r"\d", re.sub(r"(?:float|int|uint)\d+", "", example.want)) for example in examples)


def test_every_public_name_has_an_example_that_shows_a_number():
    objects = {full: SHOWN_IN.get(full, attrgetter(full.partition(".")[2])(mc)) for full in exports()}
    assert without_number(objects) == set()

    def planted():
        """No number.

        >>> 1 == 1
        True
        """

    assert without_number(objects | {"planted": planted}) == {"planted"}


def test_docstrings_are_shown_as_they_are_meant():
    converted = module_at(DOCS / "extensions" / "plain_docstrings.py").converted
    docstring = """A title with coef_ and 2*x*y.

    Given `predict`, $a_b$ and *these*:
    - one | two

        shown = as it *stands*

    Parameters
    ----------
    x : array (P,), of *anything*
        Text_ with `code`.

    >>> 1 / 0
    Traceback (most recent call last):
        ...
    ZeroDivisionError: division by zero
    """
    lines = converted(inspect.cleandoc(docstring).splitlines(), {"predict": "modelcollapse.predict"})
    shown = [line for line in lines if line]
    assert shown == [
        r"A title with coef\_ and 2\*x\*y.",
        r"Given \ :py:obj:`predict <modelcollapse.predict>`\ , \ :math:`a_b`\  and \ *these*\ :",
        r"- one \| two",
        "::",
        "    shown = as it *stands*",
        ".. rubric:: Parameters",
        r"``x`` : array (P,), of \ *anything*\ ",
        r"    Text\_ with \ ``code``\ .",
        ">>> 1 / 0",
        "Traceback (most recent call last):",
        "    ...",
        "ZeroDivisionError: division by zero",
    ]
