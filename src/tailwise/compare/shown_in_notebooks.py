"""A comparison as tables for notebooks."""

from typing import TYPE_CHECKING

from tailwise._html import html_table
from tailwise._numbers import number
from tailwise.compare.compared_scores import HEADINGS, SCORES

if TYPE_CHECKING:
    from tailwise.compare.comparison import GridComparison


def comparison_html(comparison: "GridComparison") -> str:
    """Return mean errors by score for each table of a comparison, with the verdicts against the reference."""
    marks = {"better": " better", "worse": " worse"}
    tables = []
    for table in comparison.tables:
        verdicts = {(one.method, one.region): marks.get(one.verdict, "") for one in table.compared}
        scores = [score for score in SCORES if any(score in by_score for by_score in table.scores.values())]
        rows: list[list[str | None]] = []
        for name in table.scores:
            means = [(score, table.mean(name, score) if score in table.scores[name] else None) for score in scores]
            cells = [None if mean is None else number(mean) + verdicts.get((name, of), "") for of, mean in means]
            rows.append([name, *cells])
        columns = ["", *(HEADINGS[score] for score in scores)]
        note = f"mean absolute error, in units of {table.target}; {comparison.splits} splits"
        tables.append(html_table(f"{table.table}: against {comparison.reference}", columns, rows, note))
    return "".join(tables)
