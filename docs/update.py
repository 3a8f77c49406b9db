"""Write the table of parts and their snippets into docs/methods.md: ``make docs``."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from tailwise.cli.main import run
from tailwise.methods.catalog import PARTS

PAGE = Path(__file__).with_name("methods.md")


def updated() -> str:
    """The page with the table as ``tailwise methods --markdown`` prints it, and a snippet for each part."""
    out = io.StringIO()
    with redirect_stdout(out):
        run(["methods", "--markdown"])
    snippets = "\n".join(f"`{name}`\n\n```python\n{_spaced(part.use)}\n```\n" for name, part in PARTS.items())
    page = PAGE.read_text(encoding="utf-8")
    for name, text in (("table", out.getvalue()), ("snippets", snippets)):
        start, end = f"<!-- {name} made by `make docs` -->\n", f"<!-- end of {name} -->"
        page = re.sub(f"{start}.*?{end}", lambda _, text=text, s=start, e=end: f"{s}{text}{e}", page, flags=re.S)
    return page


def _spaced(code: str) -> str:
    """A blank line after the import, as the formatter wants it."""
    return code.replace("\n", "\n\n", 1) if code.startswith("from ") else code


if __name__ == "__main__":
    PAGE.write_text(updated(), encoding="utf-8")
