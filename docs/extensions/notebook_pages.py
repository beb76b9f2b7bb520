"""Pages of notebooks show what the notebooks draw: one without a picture is a warning, which fails a strict build."""

from docutils import nodes
from sphinx.util import logging


def without_picture(docname, doctree):
    """Is this the page of a notebook on which nothing was drawn?"""
    return docname.startswith("notebooks/") and not any(doctree.findall(nodes.image))


def _on_page(app, doctree, docname):
    if without_picture(docname, doctree):
        logging.getLogger(__name__).warning("the notebook's page has no picture", location=docname)


def setup(app):
    app.connect("doctree-resolved", _on_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
