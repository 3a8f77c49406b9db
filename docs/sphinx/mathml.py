"""Formulas as MathML, made while the site is built: browsers draw them without scripts or fonts from elsewhere."""

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator


def _mathml(tex: str, *, block: bool) -> str:
    """Return the formula as MathML.

    Raises:
        ExtensionError: TeX that the converter does not know.
    """
    try:
        return str(latex2mathml.tex2mathml(tex, as_block=block))
    except Exception as error:
        raise ExtensionError(f"formula {tex!r}: {error}") from error


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    formulas = [text for text in node.astext().split("\n\n") if text.strip()]
    lines = "".join(f"<div>{_mathml(text.strip(), block=True)}</div>" for text in formulas)
    writer.body.append(f'<div class="formula">{lines}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
