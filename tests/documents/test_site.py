"""The site reads well anywhere: formulas have a font of their own, pages the pictures that their blocks draw.

The checks are of what a browser is given; what it makes of it is in test_browser.py.
"""

import re

import pytest
from test_docs import DOCS, TEXTS, blocks, module_at


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
    pytest.importorskip("ziamath")
    from fontTools.ttLib import TTFont

    extension("math_font").write_font(tmp_path / "formulas.woff")
    font = TTFont(tmp_path / "formulas.woff")
    assert "MATH" in font
    has = set(map(chr, font.getBestCmap()))
    mathml = extension("mathml").mathml
    assert letters_of(TEXTS.values(), mathml) - has == set()
    assert letters_of(["$x$"], lambda formula: mathml(formula) + "☃") - has == {"☃"}
    italics = {chr(0x1D44E + i) for i in range(26)} - {chr(0x1D455)}  # h is ℎ, which is older
    assert italics < has
    assert "licensed under the SIL Open Font License" in font["name"].getDebugName(13)


def test_a_built_bar_stands_above_its_letter(extension):
    """Browsers draw accents on the letter: a hat may be one, a bar or a dot may not."""
    mathml = extension("mathml").mathml
    assert "accent" not in mathml(r"\bar w_k + \dot\kappa")
    assert "accent" in mathml(r"\hat w_k")


def test_the_bars_of_a_built_norm_are_as_tall_as_its_letters(extension):
    mathml = extension("mathml").mathml
    for norm in (r"\|x\|^2", r"\lVert x \rVert^2"):
        assert mathml(norm).count('<mo stretchy="false">‖</mo>') == 2, norm


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


def test_every_batch_of_built_pages_has_its_share_of_notebooks(extension):
    pages = [f"api/{i}" for i in range(40)] + [f"notebooks/{i}" for i in range(15)] + [f"papers/{i}" for i in range(30)]
    dealt = extension("notebook_pages").in_turn(pages)
    assert sorted(dealt) == sorted(pages)
    assert [sum(page.startswith("notebooks/") for page in order[:42]) for order in (pages, dealt)] == [2, 8]


def mismatched(texts):
    """Pictures that lie in docs/images and that no page shows, or the other way round."""
    shown = {name for text in texts for name in re.findall(r"images/([\w-]+\.png)", text)}
    return {path.name for path in (DOCS / "images").glob("*.png")} ^ shown


def test_pictures_are_there_and_shown():
    assert mismatched(TEXTS.values()) == set()
    assert mismatched([*TEXTS.values(), "![planted](images/planted.png)"]) == {"planted.png"}


def test_a_picture_is_drawn_by_the_page_that_shows_it():
    page = '```python\n>>> picture.figure.savefig("a.png")\n```\n![a](../images/a.png) ![b](images/b.png)'
    assert blocks.drawn(page) == {"a.png"}
    drawn = [name for text in TEXTS.values() for name in blocks.drawn(text)]
    assert len(drawn) == len(set(drawn)) > 10


def test_the_table_of_the_how_to_pages_is_that_of_its_script():
    pandas = pytest.importorskip("pandas")
    flats = module_at(DOCS / "flats.py")
    stored, made = pandas.read_csv(flats.TABLE), flats.table()
    pandas.testing.assert_frame_equal(stored, made, check_dtype=False, atol=1)  # rents are rounded
    assert made.attrs["errors of the models"] == {"model": 51, "copy": 129}  # as is_it_collapsing.md says
    with pytest.raises(AssertionError):
        pandas.testing.assert_frame_equal(stored, flats.table(seed=0), check_dtype=False, atol=1)
