"""A search as a table for notebooks."""

from typing import TYPE_CHECKING

from tailwise._html import html_table
from tailwise._numbers import number

if TYPE_CHECKING:
    from tailwise.search.study import Search

_MOST = 10


def search_html(search: "Search") -> str:
    """Return the best trials of a search, and how many there are of each kind."""
    trials = search.trials()
    complete = sorted((one for one in trials if one.value is not None and one.allowed), key=lambda one: one.value or 0)
    rows = [
        [f"{one.number}", number(one.value or 0.0), ", ".join(f"{k}={v}" for k, v in (one.drawn or {}).items())]
        for one in complete[:_MOST]
    ]
    states = {state: sum(one.state == state for one in trials) for state in ("complete", "pruned", "failed")}
    note = ", ".join(f"{count} {state}" for state, count in states.items())
    return html_table(f"Best of {len(trials)} trials", ["trial", "score", "settings"], rows, note)
