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

_ARRAY_LIKE = re.compile(
    r"_Buffer \| _SupportsArray\[.*?\] \| .*?complex \| bytes \| str \| _NestedSequence\[complex \| bytes \| str\]"
)


_LITERAL = re.compile(r"(``.+?``|`.+?`)")


def _short_signature(app, what, name, obj, options, signature, returned):  # noqa: ARG001
    """Write ``ArrayLike`` for what NumPy expands it to."""
    return signature and _ARRAY_LIKE.sub("ArrayLike", signature), returned


def _plain_text(app, what, name, obj, options, lines):  # noqa: ARG001
    """Show indented formulas as they are written, and ``|x|`` as no substitution."""
    shown: list[str] = []
    formula = False
    for number, line in enumerate(lines):
        before = lines[number - 1] if number else "no line"
        if line.startswith("    ") and not before and _is_text(shown):
            formula = True
            shown += ["::", ""]
        elif line and not line.startswith(" "):
            formula = False
        shown.append(line if formula or ">>>" in line else _escaped(line))
    lines[:] = shown


def _is_text(lines: list[str]) -> bool:
    """Whether the last line that is not empty is one of a paragraph, not in a section."""
    written = [line for line in lines if line]
    return bool(written) and not written[-1].startswith(" ") and written[-1] != "::"


def _escaped(line: str) -> str:
    return "".join(piece if piece.startswith("`") else piece.replace("|", "\\|") for piece in _LITERAL.split(line))


def _skipped(app, what, name, obj, skip, options):  # noqa: ARG001
    """Leave out what scikit-learn adds to every estimator."""
    return True if name == "get_metadata_routing" or re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    """Register the changes of docstrings; the scripts of the gallery lie beside the pages, see ``stage``."""
    if tags.has("gallery"):  # noqa: F821
        sphinx_gallery_conf["examples_dirs"] = str(Path(app.srcdir).parent / "gallery")
    app.connect("autodoc-process-signature", _short_signature)
    app.connect("autodoc-process-docstring", _plain_text, priority=400)
    app.connect("autodoc-skip-member", _skipped)
