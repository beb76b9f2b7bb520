"""The site reads well anywhere: formulas have a font of their own, notebook pages their pictures, pages their numbers."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def extension(monkeypatch):
    """An extension of the site's build, by name."""
    for needed in ("sphinx", "myst_nb", "fontTools"):
        pytest.importorskip(needed)
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    return lambda name: __import__(name)


def letters_of(texts, mathml):
    """Letters, other than ASCII, that the formulas of pages need."""
    formulas = [part for text in texts for pair in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.S) for part in pair]
    return {letter for formula in formulas if formula for letter in mathml(formula) if ord(letter) > 127}


def test_the_built_font_has_a_table_of_mathematics_and_every_letter(extension, tmp_path):
    pytest.importorskip("ziamath", exc_type=ImportError)
    from fontTools.ttLib import TTFont

    extension("math_font").write_font(tmp_path / "formulas.woff")
    font = TTFont(tmp_path / "formulas.woff")
    assert "MATH" in font
    has = set(map(chr, font.getBestCmap()))
    mathml = extension("mathml").mathml
    texts = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    assert letters_of(texts, mathml) - has == set()
    assert letters_of(["$x$"], lambda formula: mathml(formula) + "☃") - has == {"☃"}
    italics = {chr(0x1D44E + i) for i in range(26)} - {chr(0x1D455)}  # h is ℎ, which is older
    assert italics < has
    assert "licensed under the SIL Open Font License" in font["name"].getDebugName(13)


def test_the_built_pages_call_the_font_by_its_name(extension):
    style = (DOCS / "_static" / "site.css").read_text(encoding="utf-8")
    assert f'url("{extension("math_font").NAME}")' in style


def test_a_built_notebook_page_without_a_picture_is_seen(extension):
    from docutils import nodes

    without_picture = extension("notebook_pages").without_picture
    empty, drawn = nodes.section("", nodes.paragraph()), nodes.section("", nodes.paragraph("", "", nodes.image()))
    assert without_picture("notebooks/01_quick_tour", empty)
    assert not without_picture("notebooks/01_quick_tour", drawn)
    assert not without_picture("tutorial", empty)
