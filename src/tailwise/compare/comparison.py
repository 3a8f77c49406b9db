"""Compare the entries of a grid with a reference: tests by region, ranks over tables, the trade-off."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tailwise._checks import InputError
from tailwise.compare.compared_scores import SCORES
from tailwise.compare.ranks import Ranking, rank_methods
from tailwise.compare.statistics import Tally, tally
from tailwise.compare.table_comparison import TableComparison, compare_table, missing_reference

if TYPE_CHECKING:
    from tailwise.compare.cell import Cell


@dataclass(frozen=True)
class GridComparison:
    """Comparison of entries with a reference on one or several tables.

    Args:
        reference: name of the entry that the others are compared with.
        entries: names of all entries, in the order given.
        tables: comparison on each table.
        ranking: ranks over tables by score; empty for a single table.
        seeds: number of seeds.
        splits: number of splits of each table: seeds times folds. With one, nothing can be concluded.
        left_out: tables on which the reference has no result, with the reason.
    """

    reference: str
    entries: tuple[str, ...]
    tables: tuple[TableComparison, ...]
    ranking: Mapping[str, Ranking]
    seeds: int
    splits: int
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Names of the tables, and of the target if it is the same on all of them."""
        names = ", ".join(table.table for table in self.tables)
        targets = {table.target for table in self.tables}
        return f"{targets.pop()} of {names}" if len(targets) == 1 else names

    def seconds(self) -> dict[str, float]:
        """Return the total time of the finished trainings over all tables, by entry."""
        return {name: sum(table.seconds.get(name, 0.0) for table in self.tables) for name in self.entries}

    def changes(self) -> dict[str, dict[str, float]]:
        """Return the change in percent by entry and score, the geometric mean over the tables that have both errors."""
        ratios: dict[str, dict[str, list[float]]] = {}
        for one in (one for table in self.tables for one in table.compared):
            ours, base = one.paired.ours, one.paired.base
            if ours is not None and base is not None and min(ours, base) > 0:
                ratios.setdefault(one.method, {}).setdefault(one.region, []).append(np.log(ours / base))
        return {
            name: {score: 100 * float(np.expm1(np.mean(logs))) for score, logs in by_score.items()}
            for name, by_score in ratios.items()
        }

    def tallies(self) -> dict[str, dict[str, Tally]]:
        """Return wins, ties and losses against the reference over the tables, by score and entry."""
        everything = [one for table in self.tables for one in table.compared]
        return {score: tally(one for one in everything if one.region == score) for score in SCORES}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "reference": self.reference,
            "entries": list(self.entries),
            "seeds": self.seeds,
            "splits": self.splits,
            "left_out": dict(self.left_out),
            "tables": [table.to_json() for table in self.tables],
            "seconds": self.seconds(),
            "tallies": {
                score: {name: asdict(counts) for name, counts in by_entry.items()}
                for score, by_entry in self.tallies().items()
            },
            "ranking": {score: ranking.to_json() for score, ranking in self.ranking.items()},
        }

    def _repr_html_(self) -> str:
        """Return tables for a notebook."""
        from tailwise.compare.shown_in_notebooks import comparison_html

        return comparison_html(self)


def compare_grid(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], reference: str, *, folder: Path | None = None
) -> GridComparison:
    """Compare the entries of a grid with a reference.

    Cells of a table share its rows, so each test is corrected for the fraction of its rows that a split tests (see
    :func:`tailwise.compare.paired.compare_paired`): a balanced split tests a third of the rows of rare bins, and a
    much smaller fraction of the crowded ones. The p-values of a table's entries and scores are corrected by Holm's
    method.

    Args:
        results: cells and their results from :func:`tailwise.compare.grid.run_grid`, in any order.
        reference: name of an entry.
        folder: folder of the results; if given, the predictions are read and each difference also has its interval
            over test rows.

    Raises:
        InputError: an unknown reference, or one whose cells all failed on every table; results of an earlier version,
            which lack the fractions tested; predictions that cannot be read, or that are for different rows in cells
            of one split.
    """
    entries = tuple(dict.fromkeys(cell.entry.name for cell, _ in sorted(results, key=lambda r: r[0].order)))
    by_table = {
        name: [r for r in results if r[0].table == name] for name in dict.fromkeys(cell.table for cell, _ in results)
    }
    left_out = {
        name: reason
        for name, of_table in by_table.items()
        if (reason := missing_reference(of_table, entries, reference)) is not None
    }
    if len(left_out) == len(by_table):
        raise InputError(next(iter(left_out.values())))
    compared = tuple(
        compare_table(of_table, entries, reference, folder)
        for name, of_table in by_table.items()
        if name not in left_out
    )
    ranking = {score: ranks for score in SCORES if (ranks := _ranking(compared, entries, score)) is not None}
    seeds, splits = len({cell.seed for cell, _ in results}), len({cell.split for cell, _ in results})
    return GridComparison(reference, entries, compared, ranking, seeds, splits, left_out)


def _ranking(tables: Sequence[TableComparison], entries: Sequence[str], score: str) -> Ranking | None:
    """Return the ranks over tables, if several entries have a mean error and some table has one of each of them."""
    if len(tables) < 2:
        return None
    means = {table.table: {name: table.mean(name, score) for name in table.scores} for table in tables}
    names = [name for name in entries if any(by_entry.get(name) is not None for by_entry in means.values())]
    errors = {
        table: {name: np.nan if (mean := by_entry.get(name)) is None else mean for name in names}
        for table, by_entry in means.items()
    }
    if len(names) < 2 or not any(np.isfinite(list(by_entry.values())).all() for by_entry in errors.values()):
        return None
    return rank_methods(errors)
