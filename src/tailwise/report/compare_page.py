"""The page of a comparison: one self-contained page."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from tailwise._numbers import number
from tailwise.compare.comparison import GridComparison
from tailwise.compare.conclusions import WHERE, conclusions, of_table
from tailwise.compare.statistics import wilcoxon_after_holm
from tailwise.compare.table_comparison import SCORES, TableComparison
from tailwise.report.compare_charts import heat_chart, signed, trade_chart
from tailwise.report.critical import critical_chart
from tailwise.report.rendering import render

_FEWEST_FOR_WILCOXON = 6


def compare_page(comparison: GridComparison, title: str) -> str:
    """The page of a comparison as HTML text.

    Args:
        comparison: entries beside a reference.
        title: of the page.
    """
    seconds = comparison.seconds()
    return render(
        "compare.html",
        title=title,
        comparison=comparison,
        tables=[_of_table(table, comparison) for table in comparison.tables],
        over=_over_tables(comparison) if len(comparison.tables) > 1 else None,
        scores=list(SCORES),
        where=WHERE,
        verdict=conclusions(comparison),
        seconds=seconds,
        total=sum(seconds.values()),
        fewest_for_wilcoxon=_FEWEST_FOR_WILCOXON,
        signed=signed,
        three_digits=_three_digits,
    )


def _of_table(table: TableComparison, comparison: GridComparison) -> dict[str, Any]:
    changes: dict[str, dict[str, float]] = {}
    for one in table.compared:
        if one.paired.percent is not None:
            changes.setdefault(one.method, {})[one.region] = one.paired.percent
    front = table.on_front()
    alone = len(comparison.tables) == 1 or comparison.splits == 1
    return {
        "found": table,
        "sentences": [] if alone else of_table(table, comparison.reference),
        "said": {(one.method, one.region): one for one in table.compared},
        "front": front,
        "heat": _heat(changes, {(one.method, one.region): one.verdict for one in table.compared}, comparison.reference),
        "trade": Markup(trade_chart(table, comparison.reference)) if len(front) > 1 else None,
        "tests": [
            (one, after_holm, table.rows.get((one.method, one.region)))
            for one, after_holm in zip(table.compared, wilcoxon_after_holm(table.compared), strict=True)
            if one.paired.n
        ],
        "most_splits": max((one.paired.n for one in table.compared), default=0),
    }


def _over_tables(comparison: GridComparison) -> dict[str, Any]:
    return {
        "heat": _heat(comparison.changes(), {}, comparison.reference),
        "tallies": comparison.tallies(),
        "diagrams": [
            (score, ranking, Markup(critical_chart(ranking))) for score, ranking in comparison.ranking.items()
        ],
    }


def _heat(
    changes: Mapping[str, Mapping[str, float]], verdicts: Mapping[tuple[str, str], str], reference: str
) -> Markup | None:
    # The SVG is made by matplotlib, which escapes the names in it.
    return Markup(heat_chart(changes, verdicts, reference)) if changes else None


def _three_digits(value: float) -> str:
    return number(float(f"{value:.3g}"))
