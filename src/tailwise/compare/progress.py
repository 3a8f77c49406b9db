"""Progress of a grid: mean errors so far, what is done and failed, and an estimate of the time left."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tailwise.compare.cell import Cell
from tailwise.compare.compared_scores import SCORES

Results = Sequence[Mapping[str, Any]]


class GridProgress:
    """Count the trainings of a grid as they end.

    Args:
        cells: all cells of the grid.
        jobs: number of trainings in parallel.

    Attributes:
        planned: number of trainings by table and entry.
        results: results so far by table and entry.
        table: table of the last training.
    """

    def __init__(self, cells: Sequence[Cell], jobs: int = 1) -> None:
        self.planned: dict[tuple[str, str], int] = {}
        for cell in cells:
            self.planned[_key(cell)] = self.planned.get(_key(cell), 0) + 1
        self.jobs = jobs
        self.results: dict[tuple[str, str], list[Mapping[str, Any]]] = {key: [] for key in self.planned}
        self.table = cells[0].table

    def add(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """Count a finished or failed training."""
        self.results[_key(cell)].append(result)
        self.table = cell.table

    @property
    def total(self) -> int:
        """Number of trainings of the grid."""
        return sum(self.planned.values())

    @property
    def done(self) -> int:
        """Number of trainings that finished or failed."""
        return sum(len(results) for results in self.results.values())

    @property
    def failed(self) -> int:
        """Number of trainings that failed."""
        return sum("error" in result for results in self.results.values() for result in results)

    def seconds_left(self) -> float | None:
        """Estimate the time left: a training takes the mean of its entry, or of all entries if it has none yet."""
        seconds = {
            key: [result["seconds"] for result in results if "seconds" in result]
            for key, results in self.results.items()
        }
        everything = [value for values in seconds.values() for value in values]
        if not everything:
            return None
        left = sum(
            (n - len(self.results[key])) * float(np.mean(seconds[key] or everything)) for key, n in self.planned.items()
        )
        return left / self.jobs


def mean_error(results: Results, score: str) -> float | None:
    """Return the mean of a score, one of the ``SCORES`` of a comparison, over the results that have it."""
    region, metric = SCORES[score]
    errors = [result.get("metrics", {}).get(region, {}).get(metric) for result in results]
    known = [error for error in errors if error is not None]
    return float(np.mean(known)) if known else None


def _key(cell: Cell) -> tuple[str, str]:
    return cell.table, cell.entry.name
