"""From a grid of trainings to what can be said: every entry beside a reference, ranks over tables, the trade-off."""

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
from tailwise.metrics.confidence import Interval

SWEEP = "reweight+lds"
_POWER = "reweight"

SCORES: dict[str, tuple[str, str]] = {
    "all": ("all", "mae"),
    "many": ("many", "mae"),
    "medium": ("medium", "mae"),
    "few": ("few", "mae"),
    "balanced": ("all", "bmae"),
}

if TYPE_CHECKING:
    from tailwise.compare.grid import Cell


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
        n_failed: by entry with failed cells, how many.
        rows: by entry and score the mean difference with its interval over test rows (see
            :func:`tailwise.metrics.paired_bootstrap.paired_bootstrap`), where the predictions were read.
        sweep: entries whose weights have a rising power, the plain method first: the backbone of the trade-off.
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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        compared = [
            one.to_json() | {"wilcoxon_adjusted_p": p, "rows": None if rows is None else rows.to_json()}
            for one, p in zip(self.compared, wilcoxon_after_holm(self.compared), strict=True)
            for rows in [self.rows.get((one.method, one.region))]
        ]
        errors = {
            name: {score: _plain(values) for score, values in of_entry.items()}
            for name, of_entry in self.scores.items()
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
    """Entries beside a reference on one table or several.

    Args:
        reference: name of the entry that the others are compared with.
        entries: names, in the order they were asked for.
        tables: one comparison a table.
        ranking: by score the ranks over tables; none for a single table.
        seeds: how many.
        splits: how many splits of each table: seeds, times the folds where there are some. One tells nothing.
        left_out: tables on which the reference has no result, each with the reason.
    """

    reference: str
    entries: tuple[str, ...]
    tables: tuple[TableComparison, ...]
    ranking: Mapping[str, Ranking]
    seeds: int
    splits: int
    left_out: Mapping[str, str] = field(default_factory=dict)

    def seconds(self) -> dict[str, float]:
        """By entry, what its finished trainings took, over all tables."""
        return {name: sum(table.seconds.get(name, 0.0) for table in self.tables) for name in self.entries}

    def changes(self) -> dict[str, dict[str, float]]:
        """By entry and score the change in percent, the geometric mean over the tables that have both errors."""
        found: dict[str, dict[str, list[float]]] = {}
        for one in (one for table in self.tables for one in table.compared):
            ours, base = one.paired.ours, one.paired.base
            if ours is not None and base is not None and min(ours, base) > 0:
                found.setdefault(one.method, {}).setdefault(one.region, []).append(np.log(ours / base))
        return {
            name: {score: 100 * float(np.expm1(np.mean(logs))) for score, logs in by_score.items()}
            for name, by_score in found.items()
        }

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
    """Compare the entries of a grid.

    Cells of a table share its rows, so the tests are corrected for that (see :func:`compare_paired`), each by the share
    of its rows that a split tests: of the balanced split a third where rows are few, far less of the crowd. Over the
    entries and scores of a table, p-values are corrected after Holm.

    Args:
        results: cells and their results, as :func:`tailwise.compare.grid.run_grid` gives them, in any order.
        reference: name of an entry.
        folder: where :func:`tailwise.compare.grid.run_grid` wrote them; with it the predictions are read, and each
            difference also gets its interval over test rows.

    Raises:
        InputError: a reference that is not there, or whose cells all failed on every table; results of an earlier
            version, which do not say what share they tested; predictions that cannot be
            read, or of cells of one split that were tested on different rows.
    """
    entries = tuple(dict.fromkeys(cell.entry.name for cell, _ in sorted(results, key=lambda r: r[0].order)))
    by_table = {
        name: [r for r in results if r[0].table == name] for name in dict.fromkeys(cell.table for cell, _ in results)
    }
    left_out = {
        name: reason for name, of in by_table.items() if (reason := _no_reference(of, entries, reference)) is not None
    }
    if len(left_out) == len(by_table):
        raise InputError(next(iter(left_out.values())))
    compared = tuple(
        _one_table(of, entries, reference, folder) for name, of in by_table.items() if name not in left_out
    )
    ranking = {}
    for score in SCORES if len(compared) > 1 else ():
        found = {table.table: {name: table.mean(name, score) for name in table.scores} for table in compared}
        there = [name for name in entries if any(of.get(name) is not None for of in found.values())]
        errors = {
            table: {name: np.nan if (mean := of.get(name)) is None else mean for name in there}
            for table, of in found.items()
        }
        if len(there) > 1 and any(np.isfinite(list(of.values())).all() for of in errors.values()):
            ranking[score] = rank_methods(errors)
    seeds, splits = len({cell.seed for cell, _ in results}), len({cell.split for cell, _ in results})
    return GridComparison(reference, entries, compared, ranking, seeds, splits, left_out)


def _no_reference(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], entries: Sequence[str], reference: str
) -> str | None:
    """Why nothing can be compared on a table, if its reference has no result there."""
    of_it = [result for cell, result in results if cell.entry.name == reference]
    if any(result.get("metrics", {}).get("all", {}).get("mae") is not None for result in of_it):
        return None
    reasons = [result["error"] for result in of_it if "error" in result]
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
    there = {name: of for name, of in scores.items() if np.isfinite(of["all"]).any()}
    compared: tuple[Compared, ...] = ()
    if len(there) > 1:
        tested = _shares(results)
        rest = {score: 1 - share for score, share in tested.items()}
        compared = compare_methods(there, reference, n_train=rest, n_test=tested)
    finished = [cell for cell, result in results if "metrics" in result]
    failures = [cell.entry.name for cell, result in results if "error" in result]
    return TableComparison(
        first.table,
        first.target,
        there,
        compared,
        {name: sum(r.get("seconds", 0.0) for c, r in results if c.entry.name == name) for name in there},
        {c.entry.name: r["error"] for c, r in reversed(results) if "error" in r},
        {name: failures.count(name) for name in dict.fromkeys(failures)},
        {} if folder is None else over_rows(finished, reference, folder, SCORES),
        _sweep(finished),
    )


def _shares(results: Sequence[tuple["Cell", Mapping[str, Any]]]) -> dict[str, float]:
    """By score the mean share of its rows that a cell tests; where no cell has test rows, nothing is compared."""
    finished = [result for _, result in results if "metrics" in result]
    if not all("tested" in result for result in finished):
        raise InputError(
            f"results of {results[0][0].table!r} are of an earlier version; remove them, or choose another --out"
        )
    shares = [result["tested"] for result in finished]
    return {
        score: float(np.mean([of[score] for of in shares if score in of] or [of["all"] for of in shares]))
        for score in SCORES
    }


def _sweep(cells: Sequence["Cell"]) -> tuple[str, ...]:
    """Names of the swept entries by power, after the plain method on the same model, which is power 0."""
    swept = [cell.entry for cell in cells if cell.entry.method == SWEEP and _POWER in cell.entry.method_params]
    powers = {entry.name: float(entry.method_params[_POWER].get("power", np.nan)) for entry in swept}
    if not powers:
        return ()
    plain = [
        cell.entry.name
        for cell in cells
        if cell.entry.method == "vanilla"
        and (cell.entry.model, cell.entry.encoder) == (swept[0].model, swept[0].encoder)
    ]
    return (*dict.fromkeys(plain), *sorted(powers, key=lambda name: powers[name]))


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
