r"""Docstrings written as plain text, made into reStructuredText.

What the docstrings of this package mean by their layout, and nothing else:

    Title                             underlined by dashes: a section
    name : rest                       an entry, its text indented below (in Parameters and Attributes also without text)
    an indented block after an empty line: shown as it stands
    >>> ...                           an example, to the next empty line
    $$ ... $$, $...$                  formulas
    `word`                            code, with a link where the word is a public name
    - item                            a list
    *words*                           emphasis

Everything else is text: a star, a bar or an underscore at the end of a word means itself.
"""

import re
from itertools import takewhile
from textwrap import dedent

ENTRIES = ("Parameters", "Attributes")
_SPAN = re.compile(r"(`+[^`]+`+|\$[^$]+\$|(?<![\w*])\*\w(?:[^*]*\w)?\*(?![\w*]))")
_SPECIAL = re.compile(r"([\\*|]|_(?!\w))")


def converted(lines, links):
    """The lines of a docstring as lines of reStructuredText."""
    out, section, rest = [], "", list(lines)
    while rest:
        if len(rest) > 1 and re.fullmatch("-{3,}", rest[1]):
            section, taken, shown = rest[0], 2, [f".. rubric:: {rest[0]}"]
        elif rest[0].startswith("$$"):
            block = _formula(rest)
            formula = "\n".join(block).strip("$ \n")
            taken, shown = len(block), [".. math::", "", *(f"    {row}" for row in formula.splitlines())]
        elif _is_entry(section, rest):
            block = _indented(rest[1:])
            taken = 1 + len(block)
            shown = [_entry(rest[0], links), *(f"    {row}" for row in _paragraphs(dedent("\n".join(block)), links))]
        elif rest[0].startswith(" "):
            block = _indented(rest)
            taken, shown = len(block), ["::", "", *block]
        else:
            example = rest[0].startswith(">>>")
            block = list(takewhile(lambda line: line.strip() and (example or not line.startswith("    ")), rest))
            taken = max(len(block), 1)
            shown = block if example else _paragraphs("\n".join(block), links)
        out += [*shown, ""]
        rest = rest[taken:]
    return out


def _is_entry(section, rest):
    if not re.match(r"(?!>>>|- )\S", rest[0]):
        return False
    return section in ENTRIES or (len(rest) > 1 and rest[1].startswith("    ") and bool(rest[1].strip()))


def _entry(line, links):
    name, colon, meaning = line.partition(" : ")
    return f"``{name}``{colon}{_text(meaning, links)}" if colon else _text(line, links)


def _formula(rest):
    end = next(i for i, line in enumerate(rest) if line.rstrip().endswith("$$") and (i or len(line) > 2))
    return rest[: end + 1]


def _indented(rest):
    """The indented block at the head of the lines, empty lines inside it included."""
    block = list(takewhile(lambda line: not line.strip() or line.startswith(" "), rest))
    while block and not block[-1].strip():
        block.pop()
    return block


def _paragraphs(text, links):
    """Lines of running text; a list stands apart from what it follows."""
    text = re.sub(r"^(?!- )(\S.*)\n- ", r"\1\n\n- ", _text(text, links), flags=re.M)
    return text.splitlines()


def _text(text, links):
    """Text with its spans of code and formulas, everything else escaped."""
    parts = _SPAN.split(text)
    parts[::2] = [_SPECIAL.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [_span(" ".join(part.split()), links) for part in parts[1::2]]
    return "".join(parts)


def _span(span, links):
    if span.startswith("*"):
        return f"\\ {span}\\ "
    if span.startswith("$"):
        return f"\\ :math:`{span.strip('$')}`\\ "
    code = span.strip("`")
    return f"\\ :py:obj:`{code} <{links[code]}>`\\ " if code in links else f"\\ ``{code}``\\ "


def public_names():
    """Public name, bare or in full -> full name of the object that is documented."""
    import modelcollapse as mc

    links = {name: f"modelcollapse.{name}" for name in mc.__all__ if not name.startswith("_")}
    for part in ("validation", "numerics", "theory"):
        links |= {name: f"modelcollapse.{part}.{name}" for name in getattr(mc, part).__all__ if name not in links}
    return links | {full: full for full in links.values()}


def setup(app):
    links = public_names()

    def on_docstring(app, what, name, obj, options, lines):
        lines[:] = converted(lines, links)

    app.connect("autodoc-process-docstring", on_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
