"""Make a notebook of each start page, from the page itself: its code in cells, its commands with ``!`` before them."""

import re
from pathlib import Path

import jupytext
from stage import ROOT

_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:)[^)]*\)")


def write(source: Path) -> None:
    """Write a notebook beside each start page below ``source``, and link to it from the page."""
    for page in sorted((ROOT / "docs" / "start").glob("*.md")):
        staged = source / page.relative_to(ROOT)
        notebook = staged.with_suffix(".ipynb")
        jupytext.write(jupytext.reads(as_cells(page.read_text(encoding="utf-8")), fmt="md"), notebook)
        text = staged.read_text(encoding="utf-8")
        staged.write_text(f"{text}- The page as a notebook: [{notebook.name}]({notebook.name})\n", encoding="utf-8")


def as_cells(text: str) -> str:
    """The page with its commands as lines of Python cells, and links, which lead nowhere from a notebook, as text."""
    text = re.sub(r"^```sh\n(.*?)^```$", _commands, text, flags=re.M | re.S)
    return _LINK.sub(r"\1", text)


def _commands(block: re.Match[str]) -> str:
    lines = "".join(f"!{line}\n" for line in block.group(1).splitlines())
    return f"```python\n{lines}```"
