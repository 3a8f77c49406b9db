"""Settings of the site; ``docs/sphinx/build.py`` builds it."""

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "tailwise"
copyright = "the authors of tailwise, Apache-2.0"  # Sphinx asks for this name
version = release = version_of("tailwise")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml"]
root_doc = "index"
exclude_patterns = ["docs/gallery/README.md"]

# Markdown: the same files are read on the repository's page.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

# Docstrings.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "training, forward"}
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Shape", "notes_style"), "Warns"]

# The page: nothing is loaded from elsewhere.
html_theme = "furo"
html_title = "tailwise"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
pygments_style = "default"
pygments_dark_style = "monokai"

_ARRAY_LIKE = re.compile(
    r"_Buffer \| _SupportsArray\[.*?\] \| .*?complex \| bytes \| str \| _NestedSequence\[complex \| bytes \| str\]"
)


def _short_signature(app, what, name, obj, options, signature, return_annotation):  # noqa: ARG001
    """Write ``ArrayLike`` for what NumPy expands it to."""
    return signature and _ARRAY_LIKE.sub("ArrayLike", signature), return_annotation


def setup(app):
    """Register the shortening of signatures."""
    app.connect("autodoc-process-signature", _short_signature)
