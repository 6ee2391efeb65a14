"""The docs site: Sphinx with MyST-NB. ``make docs`` builds it into ``site/``, warnings as errors."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What an earlier build made of names that are gone would be told as pages that nobody lists.
shutil.rmtree(HERE / "reference" / "generated", ignore_errors=True)
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

from calcium_lightning.core.version import __version__  # noqa: E402

project = "Calcium Lightning"
copyright = "the Calcium Lightning authors"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "calcium_lightning_reference",
]
exclude_patterns = ["_build", "README.md"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Notebooks keep no outputs: the site shows what they give now. The suite runs them by itself, so it builds
# with NB_EXECUTION=off.
nb_execution_mode = os.environ.get("NB_EXECUTION", "force")
nb_execution_timeout = 300
nb_execution_raise_on_error = True

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say them, with shapes and units
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_nav_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {"index": []}
copybutton_exclude = ".linenos, .gp, .go"
