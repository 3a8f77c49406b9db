"""The headline of an evaluation: the error to expect on rows as they come."""

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import row_weights
from tailwise.labels.shots import Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import error_sizes, in_units, label_pair, weighted
from tailwise.metrics.region_errors import error_as_rows_come

_NORMAL_95 = 1.959964


def as_rows_come(
    y_true: ArrayLike, y_pred: ArrayLike, shots: Shots, *, sample_weight: ArrayLike | None = None
) -> Interval:
    """Return the mean absolute error of rows as they come, with a 95 % interval.

    The value is that of :func:`tailwise.metrics.region_errors.error_as_rows_come`. The interval is that of a weighted
    mean of independent rows; it takes no advantage of the strata, so that bins with a single row do not shrink it.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of that shape.
        shots: bins and the training rows in each.
        sample_weight: ``(n,)`` how much each row counts within its bin.

    Raises:
        InputError: shapes that differ, values that are not finite.

    Example:
        >>> shots = Shots.from_labels([1.0] * 90 + [2.0] * 10)
        >>> error = as_rows_come([1.0, 1.0, 2.0], [2.0, 1.5, 5.0], shots)
        >>> round(error.value, 3), error.low < error.value < error.high
        (0.975, True)
    """
    true, pred = label_pair(y_true, y_pred)
    of_row = row_weights(sample_weight, len(true))
    value = error_as_rows_come(true, pred, shots, sample_weight=of_row)
    index = shots.bins.index(true)
    rows = np.bincount(index, weights=of_row, minlength=shots.bins.n_bins)
    weight = weighted((shots.population / np.where(rows > 0, rows, 1))[index], of_row)
    if len(true) < 2 or not weight.any():
        return Interval(value)
    share = weight / weight.sum()
    half = _NORMAL_95 * float(np.sqrt(np.sum((share * (error_sizes(*in_units(true, pred, shots.bins)) - value)) ** 2)))
    return Interval(value, max(value - half, 0.0), value + half)
