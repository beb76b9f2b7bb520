"""A mathematics font beside the pages, STIX Two Math, so that MathML looks the same in every browser.

Browsers draw MathML with a font that has a table of mathematics, and few systems have one. The font comes with the
package ziamath (SIL Open Font License, its notice stays in the file); letters that no formula can contain are left out.
"""

import logging
from importlib.metadata import distribution
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

NAME = "formulas.woff"  # as _static/site.css calls it
_RANGES = (
    (0x20, 0x17F),  # Latin
    (0x2C6, 0x2DD),  # accents that stand alone
    (0x300, 0x36F),  # accents that combine
    (0x370, 0x3FF),  # Greek
    (0x2000, 0x22FF),  # punctuation, double-struck and script letters, arrows, operators
    (0x2308, 0x230B),  # floor and ceiling
    (0x239B, 0x23B3),  # parts of tall brackets
    (0x27C2, 0x27C2),  # perpendicular
    (0x27E6, 0x27EF),  # brackets
    (0x1D434, 0x1D467),  # italics: what browsers make of single letters
    (0x1D538, 0x1D56B),  # double-struck
    (0x1D6A4, 0x1D6A5),  # dotless letters
    (0x1D6E2, 0x1D71B),  # Greek italics
)


def write_font(path):
    """The font's letters for formulas, at `path`."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every glyph
    font = TTFont(distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf"))
    options = subset.Options()
    options.name_IDs = [0, 13, 14]  # copyright and licence
    options.layout_features = [*options.layout_features, "dtls", "flac", "ssty"]
    cut = subset.Subsetter(options)
    cut.populate(unicodes=[letter for first, last in _RANGES for letter in range(first, last + 1)])
    cut.subset(font)
    font.flavor = "woff"
    path.parent.mkdir(parents=True, exist_ok=True)
    font.save(path)


def _on_finish(app, failure):
    if failure is None and app.builder.format == "html":
        write_font(Path(app.outdir) / "_static" / NAME)


def setup(app):
    app.connect("build-finished", _on_finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
