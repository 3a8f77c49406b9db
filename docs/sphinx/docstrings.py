"""Docstrings as the site shows them: short signatures, formulas as they are written."""

import re

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
    """Register the changes of docstrings."""
    app.connect("autodoc-process-signature", _short_signature)
    app.connect("autodoc-process-docstring", _plain_text, priority=400)
    app.connect("autodoc-skip-member", _skipped)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
