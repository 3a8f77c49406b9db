"""Compare entries with a reference over the test rows that their cells stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tailwise._checks import InputError
from tailwise.compare.predictions import Predictions
from tailwise.compare.row_variance import variance_over_rows
from tailwise.metrics.confidence import Interval
from tailwise.metrics.paired_bootstrap import paired_bootstrap

if TYPE_CHECKING:
    from tailwise.compare.cell import Cell

_RESAMPLES = 1000
_OVER_BINS = ("bmae", "as_rows_come")  # metrics that are means over bins, of equal weight or by how many rows they have


@dataclass(frozen=True)
class OverRows:
    """Difference of an entry from the reference in one score, over test rows.

    Args:
        interval: the mean difference over cells with its interval, see
            :func:`tailwise.metrics.paired_bootstrap.paired_bootstrap`.
        variance: by split, variance of its difference over its test rows.
    """

    interval: Interval
    variance: Mapping[tuple[int, int], float] = field(default_factory=dict)


def over_rows(
    cells: Sequence["Cell"], reference: str, folder: Path, scores: Mapping[str, tuple[str, str]]
) -> dict[tuple[str, str], OverRows]:
    """Return the difference from the reference over test rows, by entry and score.

    Cells of one split are paired; a split is left out if one of the two is missing or has no rows of a region.

    Args:
        cells: finished cells of one table.
        reference: name of an entry.
        folder: folder of the results of :func:`tailwise.compare.grid.run_grid`.
        scores: region and metric, ``"mae"``, ``"bmae"`` or ``"as_rows_come"``, by name.

    Raises:
        InputError: predictions that cannot be read, or that are for different rows in cells of one split.
    """
    base = {
        cell.split: Predictions.read(cell.predictions_file(folder)) for cell in cells if cell.entry.name == reference
    }
    compared = {}
    for name in dict.fromkeys(cell.entry.name for cell in cells if cell.entry.name != reference):
        pairs = [
            (cell.split, _paired(cell, base[cell.split], folder), base[cell.split])
            for cell in cells
            if cell.entry.name == name and cell.split in base
        ]
        for score, (region, metric) in scores.items():
            cells_with_rows = [
                (split, ours, theirs, rows)
                for split, ours, theirs in pairs
                if (rows := _rows(ours, region, metric)).any()
            ]
            if cells_with_rows:
                compared[name, score] = _compared(cells_with_rows, metric)
    return compared


def _rows(predictions: Predictions, region: str, metric: str) -> Any:
    """Return the mask of the rows that count in a score; bins without training rows do not count as rows come."""
    rows = predictions.within(region)
    return rows & (predictions.share > 0) if metric == "as_rows_come" else rows


def _compared(cells: Sequence[tuple[tuple[int, int], Predictions, Predictions, Any]], metric: str) -> OverRows:
    ours = [one.error[rows] for _, one, _, rows in cells]
    base = [other.error[rows] for _, _, other, rows in cells]
    bins = [one.bin[rows] for _, one, _, rows in cells] if metric in _OVER_BINS else None
    shares = [one.share[rows] for _, one, _, rows in cells] if metric == "as_rows_come" else None
    numbers = [one.row[rows] for _, one, _, rows in cells]
    weights = None
    if any(one.weight is not None for _, one, _, _ in cells):
        weights = [np.ones(rows.sum()) if one.weight is None else one.weight[rows] for _, one, _, rows in cells]
    interval = paired_bootstrap(
        ours, base, rows=numbers, bins=bins, shares=shares, weights=weights, resamples=_RESAMPLES
    )
    variance = {
        split: variance_over_rows(
            ours[i] - base[i],
            None if bins is None else bins[i],
            None if shares is None else shares[i],
            None if weights is None else weights[i],
        )
        for i, (split, *_) in enumerate(cells)
    }
    return OverRows(interval, variance)


def _paired(cell: "Cell", base: Predictions, folder: Path) -> Predictions:
    path = cell.predictions_file(folder)
    ours = Predictions.read(path)
    if not ours.same_rows(base):
        raise InputError(
            f"predictions {str(path)!r} and those of the reference are of different rows; remove the file and run the "
            "comparison again"
        )
    return ours
