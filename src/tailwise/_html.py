"""Small tables in HTML for notebooks: text is escaped, colours are those of the notebook, light or dark."""

from collections.abc import Iterable, Sequence
from html import escape

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL = "padding:2px 10px;border-bottom:1px solid rgba(128,128,128,.35)"


def html_table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """Return a table whose first column is text and whose other columns are aligned to the right.

    Args:
        heading: above the table.
        columns: headings of the columns.
        rows: cells by row; ``None`` is an empty cell.
        note: below the table.

    Example:
        >>> "A &amp; B" in html_table("A & B", ["region", "n"], [["Few", 3]])
        True
    """
    head = "".join(_cell("th", place, name) for place, name in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(_cell("td", place, cell) for place, cell in enumerate(row)) + "</tr>" for row in rows
    )
    below = f'<div style="opacity:.75">{escape(note)}</div>' if note else ""
    return (
        f'<div style="margin:4px 0"><div><b>{escape(heading)}</b></div><table style="{_TABLE}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
    )


def html_lines(heading: str, lines: Iterable[str]) -> str:
    """Return a list of sentences under a heading."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div style="margin:4px 0"><div><b>{escape(heading)}</b></div><ul style="margin:2px 0">{items}</ul></div>'


def _cell(tag: str, place: int, value: object) -> str:
    align = "left" if place == 0 else "right"
    text = "" if value is None else escape(str(value))
    return f'<{tag} style="{_CELL};text-align:{align}">{text}</{tag}>'
