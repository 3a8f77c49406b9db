"""Compare entries with a reference over the test rows that their cells stored."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tailwise._checks import InputError
from tailwise.compare.predictions import Predictions
from tailwise.metrics.confidence import Interval
from tailwise.metrics.paired_bootstrap import paired_bootstrap

if TYPE_CHECKING:
    from tailwise.compare.cell import Cell

_RESAMPLES = 1000


def over_rows(
    cells: Sequence["Cell"], reference: str, folder: Path, scores: Mapping[str, tuple[str, str]]
) -> dict[tuple[str, str], Interval]:
    """Return the mean difference from the reference with its interval over test rows, by entry and score.

    Cells of one split are paired; a split is left out if one of the two is missing or has no rows of a region.

    Args:
        cells: finished cells of one table.
        reference: name of an entry.
        folder: folder of the results of :func:`tailwise.compare.grid.run_grid`.
        scores: region and metric, ``"mae"`` or ``"bmae"``, by name.

    Raises:
        InputError: predictions that cannot be read, or that are for different rows in cells of one split.
    """
    base = {
        cell.split: Predictions.read(cell.predictions_file(folder)) for cell in cells if cell.entry.name == reference
    }
    intervals = {}
    for name in dict.fromkeys(cell.entry.name for cell in cells if cell.entry.name != reference):
        pairs = [
            (_paired(cell, base[cell.split], folder), base[cell.split])
            for cell in cells
            if cell.entry.name == name and cell.split in base
        ]
        for score, (region, metric) in scores.items():
            with_rows = [(ours, theirs, rows) for ours, theirs in pairs if (rows := ours.within(region)).any()]
            if with_rows:
                intervals[name, score] = paired_bootstrap(
                    [ours.error[rows] for ours, _, rows in with_rows],
                    [theirs.error[rows] for _, theirs, rows in with_rows],
                    rows=[ours.row[rows] for ours, _, rows in with_rows],
                    bins=[ours.bin[rows] for ours, _, rows in with_rows] if metric == "bmae" else None,
                    resamples=_RESAMPLES,
                )
    return intervals


def _paired(cell: "Cell", base: Predictions, folder: Path) -> Predictions:
    path = cell.predictions_file(folder)
    ours = Predictions.read(path)
    if not ours.same_rows(base):
        raise InputError(
            f"predictions {str(path)!r} and those of the reference are of different rows; remove the file and run the "
            "comparison again"
        )
    return ours
