"""The documentation site: `sphinx-build -W -n --keep-going docs docs/_build/html`.

Nothing is fetched, neither by the build nor by the reader's browser: formulas are MathML, their font lies beside the
pages. Notebooks are executed, at small size; with `-t full` at full size, with `-t unexecuted` not at all.
"""

import os
import shutil
import sys
from pathlib import Path

import modelcollapse

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "modelcollapse"
author = copyright = "The modelcollapse developers"
version = release = modelcollapse.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "mathml", "math_font", "plain_docstrings", "command_help"]
exclude_patterns = ["_build", "extensions"]

html_theme = "furo"
html_title = f"modelcollapse {release}"
html_math_renderer = "mathml"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 1800
nb_execution_show_tb = True
if tags.has("unexecuted"):  # noqa: F821 (Sphinx defines tags)
    nb_execution_mode = "off"
else:
    extensions.append("notebook_pages")

default_role = "literal"
autodoc_typehints = "none"  # shapes and domains stand in the docstrings
autodoc_member_order = "bysource"

os.environ["FAST"] = "0" if tags.has("full") else "1"  # noqa: F821
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # whatever the shell says: figures go on pages
notebooks, shown = HERE.parent / "notebooks", HERE / "notebooks"  # Sphinx reads nothing above docs/
shutil.copytree(notebooks, shown, dirs_exist_ok=True)
for gone in {path.name for path in shown.glob("*.ipynb")} - {path.name for path in notebooks.iterdir()}:
    (shown / gone).unlink()
