"""Pages of notebooks show what the notebooks draw: one without a picture is a warning, which fails a strict build.

Notebooks are executed side by side where the build has several processes.
"""

from docutils import nodes
from sphinx.util import logging


def without_picture(docname, doctree):
    """Is this the page of a notebook on which nothing was drawn?"""
    return docname.startswith("notebooks/") and not any(doctree.findall(nodes.image))


def _on_page(app, doctree, docname):
    if without_picture(docname, doctree):
        logging.getLogger(__name__).warning("the notebook's page has no picture", location=docname)


def in_turn(docnames, batches=8):
    """Every batch gets its share of each folder: processes read batches, and notebooks take longest."""
    return [docname for first in range(batches) for docname in docnames[first::batches]]


def _on_pages(app, env, docnames):
    docnames[:] = in_turn(docnames)


def setup(app):
    app.connect("env-before-read-docs", _on_pages)
    app.connect("doctree-resolved", _on_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
