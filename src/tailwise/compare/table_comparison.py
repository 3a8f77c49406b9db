"""Compare the entries of a grid with a reference on one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.compare.compared_scores import SCORES
from tailwise.compare.over_rows import OverRows, over_rows
from tailwise.compare.ranks import pareto_front
from tailwise.compare.statistics import Compared, compare_methods, wilcoxon_after_holm
from tailwise.compare.sweep import sweep_of

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
        rows: difference over test rows by entry and score, if predictions were read.
        sweep: entries with weights of rising power, vanilla first: the backbone of the trade-off.
        constant: mean error of the median of the training labels, by score; empty of several targets.
        notes: notes for the user on the table.
    """

    table: str
    target: str
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    compared: tuple[Compared, ...]
    seconds: Mapping[str, float]
    failed: Mapping[str, str]
    n_failed: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[tuple[str, str], OverRows] = field(default_factory=dict)
    sweep: tuple[str, ...] = ()
    constant: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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

    def smallest_found(self) -> dict[str, float]:
        """Return, by score, the median over entries of the change that 80 % of such comparisons would find, percent."""
        by_score: dict[str, list[float]] = {}
        for one in self.compared:
            if one.smallest is not None and one.paired.base:
                by_score.setdefault(one.region, []).append(100 * one.smallest / abs(one.paired.base))
        return {score: float(np.median(values)) for score, values in by_score.items()}

    def wilcoxon(self) -> tuple[float | None, ...]:
        """Return the p-value of Wilcoxon's signed-rank test of each comparison, after Holm's correction."""
        return wilcoxon_after_holm(self.compared)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        compared = [
            one.to_json() | {"wilcoxon_adjusted_p": p, "rows": None if rows is None else rows.interval.to_json()}
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
            "constant": dict(self.constant),
            "smallest_found": self.smallest_found(),
            "on_front": self.on_front(),
            "sweep": list(self.sweep),
            "seconds": dict(self.seconds),
            "failed": dict(self.failed),
            "n_failed": dict(self.n_failed),
            "notes": list(self.notes),
        }


def compare_table(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], entries: Sequence[str], reference: str, folder: Path | None
) -> TableComparison:
    """Compare entries with a reference on one table; see :func:`tailwise.compare.comparison.compare_grid`.

    Args:
        results: cells of the table and their results.
        entries: names of the entries.
        reference: one of the entries, with a result on the table.
        folder: folder of the results, if the predictions are to be read.

    Raises:
        InputError: results of an earlier version, predictions that cannot be read.
    """
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
    with_result = {name: by_score for name, by_score in scores.items() if np.isfinite(by_score["come"]).any()}
    finished = [cell for cell, result in results if "metrics" in result]
    tested = _fractions_tested(results)
    rows = {} if folder is None else over_rows(finished, reference, folder, SCORES)
    compared: tuple[Compared, ...] = ()
    if len(with_result) > 1:
        rest = {score: 1 - fraction for score, fraction in tested.items()}
        variance = {pair: [one.variance.get(split, np.nan) for split in splits] for pair, one in rows.items()}
        compared = compare_methods(with_result, reference, n_train=rest, n_test=tested, row_variance=variance)
    failures = [cell.entry.name for cell, result in results if "error" in result]
    return TableComparison(
        first.table,
        first.target,
        with_result,
        compared,
        {name: sum(r.get("seconds", 0.0) for c, r in results if c.entry.name == name) for name in with_result},
        {c.entry.name: r["error"] for c, r in reversed(results) if "error" in r},
        {name: failures.count(name) for name in dict.fromkeys(failures)},
        rows,
        sweep_of(cell.entry for cell in finished),
        _constant({cell.split: result["constant"] for cell, result in results if "constant" in result}),
        first.notes,
    )


def _constant(by_split: Mapping[Any, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over splits of each score that some split has."""
    values = {score: [one[score] for one in by_split.values() if score in one] for score in SCORES}
    return {score: float(np.mean(errors)) for score, errors in values.items() if errors}


def missing_reference(
    results: Sequence[tuple["Cell", Mapping[str, Any]]], entries: Sequence[str], reference: str
) -> str | None:
    """Return why nothing can be compared on a table, if its reference has no result."""
    of_reference = [result for cell, result in results if cell.entry.name == reference]
    if any(result.get("metrics", {}).get("all", {}).get("as_rows_come") is not None for result in of_reference):
        return None
    reasons = [result["error"] for result in of_reference if "error" in result]
    return f"the reference {reference!r} has no result on {results[0][0].table!r}" + (
        f": {reasons[0]}" if reasons else f"; it must be one of {', '.join(entries)}"
    )


def _fractions_tested(results: Sequence[tuple["Cell", Mapping[str, Any]]]) -> dict[str, float]:
    """Return, by score, the mean fraction of its rows that a cell tests; that of all rows where no cell tests any."""
    finished = [result for _, result in results if "metrics" in result]
    if not all("come" in result.get("tested", ()) for result in finished):
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
