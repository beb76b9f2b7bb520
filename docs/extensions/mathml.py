r"""Formulas as MathML, which browsers draw by themselves: no script, no network, no TeX.

The translation is that of docutils, mended in four places: it knows no commands that size a bracket (`\big`,
`\middle`), it sets the index of a letter with an accent (`\hat w_k`) below the letter, it lets a norm's bars grow, and
it calls bars and dots accents, which browsers draw on the letter (`\bar w` becomes one with the w).
"""

import re

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

_SIZES = re.compile(r"\\(?:middle|[bB]igg?[lrm]?)(?![a-zA-Z])")
_NORM = re.compile(r'<mo(?: class="math\w+")?>‖</mo>')
_BARRED = re.compile(r'<mover accent="true">(\s*<m[a-z]+>[^<]*</m[a-z]+>\s*<mo stretchy="false">[ˉ˙]</mo>)')
_ACCENTED = re.compile(r"\\(bar|hat|tilde) ?([a-zA-Z])_")


def mathml(formula, **options):
    """LaTeX, without dollar signs, as MathML. Raises MathError where a command is not known."""
    formula = _ACCENTED.sub(r"{\\\1 \2{}}_", _SIZES.sub("", formula))
    translated = _NORM.sub('<mo stretchy="false">‖</mo>', tex2mathml(formula, **options))
    return _BARRED.sub(r"<mover>\1", translated)


def _inline(writer, node):
    _write(writer, node, "{}")


def _display(writer, node):
    _write(writer, node, '<div class="math">{}</div>', as_block=True)


def _write(writer, node, around, **options):
    try:
        writer.body.append(around.format(mathml(node.astext(), **options)))
    except MathError as error:
        logging.getLogger(__name__).warning("%s in the formula %s", error, node.astext(), location=node)
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_display, None))
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
