"""Compare the entries of a grid with a reference: tests by region, ranks over tables, the trade-off."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.compare.over_rows import over_rows
from tailwise.compare.ranks import Ranking, pareto_front, rank_methods
from tailwise.compare.statistics import Compared, Tally, compare_methods, tally, wilcoxon_after_holm
from tailwise.compare.sweep import sweep_of
from tailwise.metrics.confidence import Interval

SCORES: dict[str, tuple[str, str]] = {
    "all": ("all", "mae"),
    "many": ("many", "mae"),
    "medium": ("medium", "mae"),
    "few": ("few", "mae"),
    "balanced": ("all", "bmae"),
}

if TYPE_CHECKING:
    from tailwise.compare.cell import Cell


@dataclass(frozen=True)
class TableComparison:
    """Comparison of entries with the reference on one table.

    Args:
        table: name of the table.
        target: target column, the unit of the errors.
        scores: errors by entry and score, ``(cells,)``, NaN where a cell has none.
        compared: comparison of every other entry with the reference, by score.
        seconds: total time of all cells, by entry.
        failed: first error of the failed cells, by entry.
        n_failed: number of failed cells, by entry that has any.
        rows: mean difference with its interval over test rows (see
            :func:`tailwise.metrics.paired_bootstrap.paired_bootstrap`), by entry and score, if predictions were read.
        sweep: entries with weights of rising power, vanilla first: the backbone of the trade-off.
    """

    table: str
    target: str
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    compared: tuple[Compared, ...]
    seconds: Mapping[str, float]
    failed: Mapping[str, str]
    n_failed: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[tuple[str, str], Interval] = field(default_factory=dict)
    sweep: tuple[str, ...] = ()

    def mean(self, entry: str, score: str) -> float | None:
        """Return the mean error over the cells that have one, target units."""
        values = self.scores[entry][score]
        return float(np.nanmean(values)) if np.isfinite(values).any() else None

    def on_front(self) -> dict[str, bool]:
        """Return, by entry with errors in both regions, whether no other has smaller many-shot and few-shot errors."""
        errors = {}
        for name in self.scores:
            many, few = self.mean(name, "many"), self.mean(name, "few")
            if many is not None and few is not None:
                errors[name] = (many, few)
        if not errors:
            return {}
        return dict(zip(errors, pareto_front(list(errors.values())).tolist(), strict=True))

    def wilcoxon(self) -> tuple[float | None, ...]:
        """Return the p-value of Wilcoxon's signed-rank test of each comparison, after Holm's correction."""
        return wilcoxon_after_holm(self.compared)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        compared = [
            one.to_json() | {"wilcoxon_adjusted_p": p, "rows": None if rows is None else rows.to_json()}
            for one, p in zip(self.compared, self.wilcoxon(), strict=True)
            for rows in [self.rows.get((one.method, one.region))]
        ]
        errors = {
            name: {score: _plain(values) for score, values in by_score.items()}
            for name, by_score in self.scores.items()
        }
        return {
            "table": self.table,
            "target": self.target,
            "errors": errors,
            "compared": compared,
            "on_front": self.on_front(),
            "sweep": list(self.sweep),
            "seconds": dict(self.seconds),
            "failed": dict(self.failed),
            "n_failed": dict(self.n_failed),
        }


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


def compare_grid(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], reference: str, *, folder: Path | None = None
) -> GridComparison:
    """Compare the entries of a grid with a reference.

    Cells of a table share its rows, so each test is corrected for the fraction of its rows that a split tests (see
    :func:`tailwise.compare.statistics.compare_paired`): a balanced split tests a third of the rows of rare bins, and a
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
        if (reason := _no_reference(of_table, entries, reference)) is not None
    }
    if len(left_out) == len(by_table):
        raise InputError(next(iter(left_out.values())))
    compared = tuple(
        _one_table(of_table, entries, reference, folder) for name, of_table in by_table.items() if name not in left_out
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


def _no_reference(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], entries: Sequence[str], reference: str
) -> str | None:
    """Return why nothing can be compared on a table, if its reference has no result."""
    of_reference = [result for cell, result in results if cell.entry.name == reference]
    if any(result.get("metrics", {}).get("all", {}).get("mae") is not None for result in of_reference):
        return None
    reasons = [result["error"] for result in of_reference if "error" in result]
    return f"the reference {reference!r} has no result on {results[0][0].table!r}" + (
        f": {reasons[0]}" if reasons else f"; it must be one of {', '.join(entries)}"
    )


def _one_table(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], entries: Sequence[str], reference: str, folder: Path | None
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
    with_result = {name: by_score for name, by_score in scores.items() if np.isfinite(by_score["all"]).any()}
    compared: tuple[Compared, ...] = ()
    if len(with_result) > 1:
        tested = _fractions_tested(results)
        rest = {score: 1 - fraction for score, fraction in tested.items()}
        compared = compare_methods(with_result, reference, n_train=rest, n_test=tested)
    finished = [cell for cell, result in results if "metrics" in result]
    failures = [cell.entry.name for cell, result in results if "error" in result]
    return TableComparison(
        first.table,
        first.target,
        with_result,
        compared,
        {name: sum(r.get("seconds", 0.0) for c, r in results if c.entry.name == name) for name in with_result},
        {c.entry.name: r["error"] for c, r in reversed(results) if "error" in r},
        {name: failures.count(name) for name in dict.fromkeys(failures)},
        {} if folder is None else over_rows(finished, reference, folder, SCORES),
        sweep_of(cell.entry for cell in finished),
    )


def _fractions_tested(results: Sequence[tuple["Cell", Mapping[str, Any]]]) -> dict[str, float]:
    """Return, by score, the mean fraction of its rows that a cell tests; that of all rows where no cell tests any."""
    finished = [result for _, result in results if "metrics" in result]
    if not all("tested" in result for result in finished):
        raise InputError(
            f"results of {results[0][0].table!r} are of an earlier version; remove them, or choose another `out`"
        )
    tested = [result["tested"] for result in finished]
    return {
        score: float(np.mean([one[score] for one in tested if score in one] or [one["all"] for one in tested]))
        for score in SCORES
    }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
