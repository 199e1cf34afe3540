"""Settings of the documentation; `make docs` builds it."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))

from saved_tables import make_table

project = "xraykit"
version = release = installed_version("xraykit")
language = "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_click",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nb_execution_mode = "off"
myst_heading_anchors = 3  # links to headings work as on code hosts
myst_enable_extensions = ["deflist"]
autodoc_typehints = "none"  # numpydoc's sections say what the types are
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
default_role = "literal"  # docstrings write `name` as Markdown does

html_theme = "pydata_sphinx_theme"
html_title = f"xraykit {release}"
html_theme_options = {
    "navigation_with_keys": False,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_toc_level": 2,
}
html_static_path = ["_static"]
html_js_files = ["names.js"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
copyright = "2026, the xraykit developers"


class SavedTable(SphinxDirective):
    """Insert a table made from saved files."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table, or the sections, as parsed Markdown."""
        container = nodes.container(classes=["saved"])
        lines = make_table(self.arguments[0]).splitlines()
        self.state.nested_parse(StringList(lines), self.content_offset, container, match_titles=1)
        return container.children


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("saved", SavedTable)
