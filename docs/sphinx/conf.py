"""Settings of the site; ``docs/sphinx/build.py`` builds it."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "tailwise"
copyright = "the authors of tailwise, Apache-2.0"  # Sphinx asks for this name
version = release = version_of("tailwise")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings", "mathml"]
root_doc = "index"

# Markdown: the same files are read on the repository's page.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

# The gallery: each script is run while the site is built.
if tags.has("gallery"):  # noqa: F821  Sphinx defines it
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "gallery_dirs": "docs/gallery",
        "filename_pattern": r"plot_",
        "within_subsection_order": "FileNameSortKey",
        "show_memory": False,
        "min_reported_time": 1e9,
        "download_all_examples": False,
        "abort_on_example_error": True,
        "remove_config_comments": True,
        "write_computation_times": False,
    }

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


def setup(app):
    """Tell sphinx-gallery where the scripts lie: beside the pages, see ``stage``."""
    if tags.has("gallery"):  # noqa: F821
        sphinx_gallery_conf["examples_dirs"] = str(Path(app.srcdir).parent / "gallery")
