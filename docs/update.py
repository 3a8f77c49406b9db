"""Write the table of parts into docs/methods.md: ``make docs``."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from tailwise.cli.main import run

PAGE = Path(__file__).with_name("methods.md")


def updated() -> str:
    """The page with the table as ``tailwise methods --markdown`` prints it."""
    out = io.StringIO()
    with redirect_stdout(out):
        run(["methods", "--markdown"])
    start, end = "<!-- made by `make docs` -->\n", "<!-- end -->"
    table = out.getvalue()
    return re.sub(f"{start}.*?{end}", lambda _: f"{start}{table}{end}", PAGE.read_text(encoding="utf-8"), flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(updated(), encoding="utf-8")
