"""From a grid of trainings to what can be said: every entry beside a reference, ranks over tables, the trade-off."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.bench.ranks import Ranking, pareto_front, rank_methods
from tailwise.bench.statistics import Compared, Tally, compare_methods, tally

SCORES: dict[str, tuple[str, str]] = {
    "all": ("all", "mae"),
    "many": ("many", "mae"),
    "medium": ("medium", "mae"),
    "few": ("few", "mae"),
    "balanced": ("all", "bmae"),
}

if TYPE_CHECKING:
    from tailwise.bench.grid import Cell


@dataclass(frozen=True)
class TableComparison:
    """Entries beside the reference on one table.

    Args:
        table: its name.
        target: its target column, the unit of the errors.
        scores: by entry and score the errors by cell, NaN where a cell has none.
        compared: each other entry beside the reference, score by score.
        seconds: by entry, of all cells together.
        failed: by entry the first reason for which cells failed.
    """

    table: str
    target: str
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    compared: tuple[Compared, ...]
    seconds: Mapping[str, float]
    failed: Mapping[str, str]

    def mean(self, entry: str, score: str) -> float | None:
        """Mean error over the cells that have one, target units."""
        values = self.scores[entry][score]
        return float(np.nanmean(values)) if np.isfinite(values).any() else None

    def on_front(self) -> dict[str, bool]:
        """By entry with errors in both regions, whether no other is better both where rows are many and where few."""
        known = {}
        for name in self.scores:
            many, few = self.mean(name, "many"), self.mean(name, "few")
            if many is not None and few is not None:
                known[name] = (many, few)
        if not known:
            return {}
        return dict(zip(known, pareto_front(list(known.values())).tolist(), strict=True))


@dataclass(frozen=True)
class GridComparison:
    """Entries beside a reference on one table or several.

    Args:
        reference: name of the entry that the others are compared with.
        entries: names, in the order they were asked for.
        tables: one comparison a table.
        ranking: by score the ranks over tables; none for a single table.
        seeds: how many.
    """

    reference: str
    entries: tuple[str, ...]
    tables: tuple[TableComparison, ...]
    ranking: Mapping[str, Ranking]
    seeds: int

    def tallies(self) -> dict[str, dict[str, Tally]]:
        """By score and entry: wins, ties and losses against the reference over the tables."""
        everything = [one for table in self.tables for one in table.compared]
        return {score: tally(one for one in everything if one.region == score) for score in SCORES}

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "reference": self.reference,
            "entries": list(self.entries),
            "seeds": self.seeds,
            "tables": [
                {
                    "table": table.table,
                    "target": table.target,
                    "errors": {
                        name: {score: _plain(values) for score, values in of_entry.items()}
                        for name, of_entry in table.scores.items()
                    },
                    "compared": [one.to_json() for one in table.compared],
                    "on_front": table.on_front(),
                    "seconds": dict(table.seconds),
                    "failed": dict(table.failed),
                }
                for table in self.tables
            ],
            "tallies": {
                score: {name: asdict(counts) for name, counts in by_entry.items()}
                for score, by_entry in self.tallies().items()
            },
            "ranking": {score: ranking.to_json() for score, ranking in self.ranking.items()},
        }


def compare_grid(results: Sequence[tuple["Cell", Mapping[str, Any]]], reference: str) -> GridComparison:
    """Compare the entries of a grid.

    Cells of a table share its rows, so the tests are corrected for that (see :func:`compare_paired`); over the entries
    and scores of a table, p-values are corrected after Holm.

    Args:
        results: cells and their results, as :func:`tailwise.bench.grid.run_grid` gives them, in any order.
        reference: name of an entry.

    Raises:
        InputError: a reference that is not there, or whose cells all failed on a table; a single entry.
    """
    entries = tuple(dict.fromkeys(cell.entry.name for cell, _ in sorted(results, key=lambda r: r[0].order)))
    tables = tuple(dict.fromkeys(cell.table for cell, _ in results))
    compared = tuple(_one_table([r for r in results if r[0].table == name], entries, reference) for name in tables)
    ranking = {}
    for score in SCORES if len(compared) > 1 else ():
        found = {
            table.table: {name: np.nan if (mean := table.mean(name, score)) is None else mean for name in entries}
            for table in compared
        }
        if any(np.isfinite(list(by_entry.values())).all() for by_entry in found.values()):
            ranking[score] = rank_methods(found)
    return GridComparison(reference, entries, compared, ranking, len({cell.seed for cell, _ in results}))


def _one_table(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], entries: Sequence[str], reference: str
) -> TableComparison:
    splits = sorted({cell.split for cell, _ in results})
    by_cell = {(cell.entry.name, cell.split): result for cell, result in results}
    scores = {
        name: {
            score: np.array(
                [
                    by_cell.get((name, split), {}).get("metrics", {}).get(region, {}).get(metric, np.nan)
                    for split in splits
                ],
                dtype=np.float64,
            )
            for score, (region, metric) in SCORES.items()
        }
        for name in entries
    }
    first = results[0][0]
    if reference not in scores or not np.isfinite(scores[reference]["all"]).any():
        reasons = [r["error"] for c, r in results if c.entry.name == reference and "error" in r]
        raise InputError(
            f"the reference {reference!r} has no result on {first.table!r}" + (f": {reasons[0]}" if reasons else "")
        )
    there = {name: of for name, of in scores.items() if np.isfinite(of["all"]).any()}
    rows = next(result["rows"] for cell, result in results if "rows" in result)
    compared: tuple[Compared, ...] = ()
    if len(there) > 1:
        compared = compare_methods(there, reference, n_train=rows["train"] + rows["val"], n_test=rows["test"])
    return TableComparison(
        first.table,
        first.target,
        there,
        compared,
        {name: sum(r.get("seconds", 0.0) for c, r in results if c.entry.name == name) for name in there},
        {c.entry.name: r["error"] for c, r in reversed(results) if "error" in r},
    )


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
