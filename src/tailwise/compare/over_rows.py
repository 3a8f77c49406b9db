"""Entries beside a reference over the test rows that their cells kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tailwise._checks import InputError
from tailwise.compare.predictions import Predictions
from tailwise.metrics.confidence import Interval
from tailwise.metrics.paired_bootstrap import paired_bootstrap

if TYPE_CHECKING:
    from tailwise.compare.grid import Cell

_RESAMPLES = 1000


def over_rows(
    cells: Sequence["Cell"], reference: str, folder: Path, scores: Mapping[str, tuple[str, str]]
) -> dict[tuple[str, str], Interval]:
    """By entry and score the mean difference with its interval over test rows.

    Cells of one split are paired; splits in which one of the two is missing, or has no rows of a region, are left out.

    Args:
        cells: finished cells of one table.
        reference: name of an entry.
        folder: where :func:`tailwise.compare.grid.run_grid` wrote them.
        scores: by name region and metric, ``"mae"`` or ``"bmae"``.

    Raises:
        InputError: predictions that cannot be read, or of cells of one split that were tested on different rows.
    """
    base = {
        cell.split: Predictions.read(cell.predictions_file(folder)) for cell in cells if cell.entry.name == reference
    }
    found = {}
    for name in dict.fromkeys(cell.entry.name for cell in cells if cell.entry.name != reference):
        pairs = [
            (_paired(cell, base[cell.split], folder), base[cell.split])
            for cell in cells
            if cell.entry.name == name and cell.split in base
        ]
        for score, (region, metric) in scores.items():
            here = [(ours, theirs, rows) for ours, theirs in pairs if (rows := ours.within(region)).any()]
            if here:
                found[name, score] = paired_bootstrap(
                    [ours.error[rows] for ours, _, rows in here],
                    [theirs.error[rows] for _, theirs, rows in here],
                    rows=[ours.row[rows] for ours, _, rows in here],
                    bins=[ours.bin[rows] for ours, _, rows in here] if metric == "bmae" else None,
                    resamples=_RESAMPLES,
                )
    return found


def _paired(cell: "Cell", base: Predictions, folder: Path) -> Predictions:
    path = cell.predictions_file(folder)
    ours = Predictions.read(path)
    if not ours.same_rows(base):
        raise InputError(
            f"predictions {str(path)!r} and those of the reference are of different rows; remove the file and run the "
            "comparison again"
        )
    return ours
