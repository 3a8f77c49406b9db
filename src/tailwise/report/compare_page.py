"""The page of a comparison: one self-contained page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tailwise._numbers import number
from tailwise.compare.compared_scores import HEADINGS, where
from tailwise.compare.open_questions import open_questions
from tailwise.report.compare_charts import change_chart, heat_chart, signed, trade_chart
from tailwise.report.critical import critical_chart
from tailwise.report.rendering import render

if TYPE_CHECKING:
    from tailwise.compare.comparison import GridComparison
    from tailwise.compare.open_questions import OpenQuestion
    from tailwise.compare.table_comparison import TableComparison

_FEWEST_FOR_WILCOXON = 6
_SUMMARY = ("come", "many", "few")


def compare_page(
    comparison: "GridComparison",
    title: str,
    *,
    conclusions: Sequence[str],
    of_tables: Mapping[str, Sequence[str]],
    scores: Mapping[str, str],
    notes: Sequence[str] = (),
) -> str:
    """Return the page of a comparison as HTML text.

    Args:
        comparison: comparison of entries with a reference.
        title: title of the page.
        conclusions: sentences for the top of the page.
        of_tables: sentences on single tables, by table.
        scores: scores that are compared, each with words such as ``"over all test rows"``.
        notes: notes for the user on the tables.
    """
    seconds = comparison.seconds()
    tables = [_of_table(table, comparison, of_tables.get(table.table, ()), list(scores)) for table in comparison.tables]
    if len(tables) > 1:
        overview = change_chart(comparison.changes(), comparison.reference)
        trade = None if overview is None else Markup(overview)
    else:
        trade = tables[0]["trade"]
    return render(
        "compare.html",
        title=title,
        comparison=comparison,
        tables=tables,
        trade=trade,
        summary=[score for score in _SUMMARY if score in scores],
        tallies=comparison.tallies(),
        undecided=_undecided(comparison),
        in_words=where,
        over=_over_tables(comparison, list(scores)) if len(comparison.tables) > 1 else None,
        scores=list(scores),
        headings=HEADINGS,
        where=scores,
        verdict=conclusions,
        notes=notes,
        seconds=seconds,
        total=sum(seconds.values()),
        fewest_for_wilcoxon=_FEWEST_FOR_WILCOXON,
        signed=signed,
        three_digits=_three_digits,
    )


def _undecided(comparison: "GridComparison") -> list[tuple[str, "OpenQuestion"]]:
    """Return what more seeds would decide, with the table that it is about."""
    if comparison.splits == 1:
        return []
    folds = comparison.splits // comparison.seeds
    return [
        (table.table, question)
        for table in comparison.tables
        for question in open_questions(table, comparison.reference, folds=folds)
    ]


def _of_table(
    table: "TableComparison", comparison: "GridComparison", sentences: Sequence[str], scores: Sequence[str]
) -> dict[str, Any]:
    """Return the values of the template for one table."""
    changes: dict[str, dict[str, float]] = {}
    for one in table.compared:
        if one.paired.percent is not None:
            changes.setdefault(one.method, {})[one.region] = one.paired.percent
    front = table.on_front()
    verdicts = {(one.method, one.region): one.verdict for one in table.compared}
    return {
        "results": table,
        "sentences": sentences,
        "compared": {(one.method, one.region): one for one in table.compared},
        "front": front,
        "smallest": table.smallest_found(),
        "heat": _heat(changes, verdicts, comparison.reference, scores),
        "trade": Markup(trade_chart(table, comparison.reference)) if len(front) > 1 else None,
        "tests": [
            (one, wilcoxon, table.rows.get((one.method, one.region)))
            for one, wilcoxon in zip(table.compared, table.wilcoxon(), strict=True)
            if one.paired.n
        ],
        "most_splits": max((one.paired.n for one in table.compared), default=0),
    }


def _over_tables(comparison: "GridComparison", scores: Sequence[str]) -> dict[str, Any]:
    """Return the values of the template for several tables together."""
    return {
        "heat": _heat(comparison.changes(), {}, comparison.reference, scores),
        "tallies": comparison.tallies(),
        "diagrams": [
            (score, ranking, Markup(critical_chart(ranking))) for score, ranking in comparison.ranking.items()
        ],
    }


def _heat(
    changes: Mapping[str, Mapping[str, float]],
    verdicts: Mapping[tuple[str, str], str],
    reference: str,
    scores: Sequence[str],
) -> Markup | None:
    # matplotlib escapes the names in its SVG.
    return Markup(heat_chart(changes, verdicts, reference, scores, HEADINGS)) if changes else None


def _three_digits(value: float) -> str:
    return number(float(f"{value:.3g}"))
