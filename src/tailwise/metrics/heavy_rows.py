"""Rows that carry much of an error by themselves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.metrics.errors import weighted

_HEAVY, _FEWEST_ROWS = 0.1, 50


def notes_on_heavy_row(
    y: NDArray[np.float64],
    pred: NDArray[np.float64],
    row: Sequence[int] | NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
    unit: NDArray[np.float64] | None = None,
) -> list[str]:
    """Return a note if one row carries more than a tenth of the absolute or of the squared error of 50 or more rows.

    Args:
        y: ``(n,)`` or ``(n, K)`` labels.
        pred: predictions, same shape.
        row: ``(n,)`` position of each row in the table, from 0.
        weight: ``(n,)`` how much each row counts.
        unit: ``(K,)`` what the errors of K targets are divided by, if they have weights.

    Example:
        >>> y = np.zeros(100)
        >>> pred = np.where(np.arange(100) == 3, 50.0, 1.0)
        >>> notes_on_heavy_row(y, pred, range(100))
        ['row 4 carries 34% of the absolute and 96% of the squared error: true value 0, prediction 50']
    """
    if len(y) < _FEWEST_ROWS:
        return []
    error = np.abs(pred - y) if y.ndim == 1 else np.linalg.norm((pred - y) / (1.0 if unit is None else unit), axis=1)
    worst = int(weighted(error, weight).argmax())
    largest = float(error[worst])
    if not np.isfinite(largest) or largest <= 0:
        return []
    relative = error / largest
    counts = 1.0 if weight is None else weight / weight[worst]
    absolute, squared = 1 / (counts * relative).sum(), 1 / (counts * np.square(relative)).sum()
    if max(absolute, squared) <= _HEAVY:
        return []
    true, predicted = (", ".join(number(v) for v in np.atleast_1d(values[worst])) for values in (y, pred))
    return [
        f"row {int(row[worst]) + 1:,} carries {absolute:.0%} of the absolute and {squared:.0%} of the squared error: "
        f"true value {true}, prediction {predicted}"
    ]
