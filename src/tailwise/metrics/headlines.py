"""The headline of an evaluation: the error to expect on rows as they come, and its change from another model's."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    share = _shares(true, shots, of_row)
    if share is None:
        return Interval(value)
    half = _half(share, error_sizes(*in_units(true, pred, shots.bins)), value)
    return Interval(value, max(value - half, 0.0), value + half)


def headline_change(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    y_other: ArrayLike,
    shots: Shots,
    *,
    evenly: bool = False,
    sample_weight: ArrayLike | None = None,
) -> Interval:
    """Return the change of a headline from one prediction to another of the same rows, with a 95 % interval.

    The interval is made as that of :func:`as_rows_come`, from the differences of both errors of each row.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of that shape.
        y_other: the predictions to compare them with.
        shots: bins and the training rows in each.
        evenly: every bin counts the same, in place of rows as they come.
        sample_weight: ``(n,)`` how much each row counts within its bin.

    Raises:
        InputError: shapes that differ, values that are not finite.

    Example:
        >>> shots = Shots.from_labels([1.0] * 90 + [2.0] * 10)
        >>> change = headline_change([1.0, 1.0, 2.0], [2.0, 1.5, 5.0], [1.0, 1.0, 2.0], shots)
        >>> round(change.value, 3), change.excludes_zero
        (0.975, True)
    """
    true, pred = label_pair(y_true, y_pred)
    _, other = label_pair(y_true, y_other)
    ours, theirs = (error_sizes(*in_units(true, one, shots.bins)) for one in (pred, other))
    gain, of_row = ours - theirs, row_weights(sample_weight, len(true))
    share = _shares(true, shots, of_row, evenly=evenly)
    if share is None:
        return Interval(float(np.average(gain, weights=of_row)))
    value = float(share @ gain)
    half = _half(share, gain, value)
    return Interval(value, value - half, value + half)


def _shares(
    y_true: NDArray[np.float64], shots: Shots, of_row: NDArray[np.float64] | None, *, evenly: bool = False
) -> NDArray[np.float64] | None:
    """Return the weight of each row in a headline, ``(n,)``; ``None`` of a single row, or of bins without weight."""
    index = shots.bins.index(y_true)
    rows = np.bincount(index, weights=of_row, minlength=shots.bins.n_bins)
    of_bin = np.ones(shots.bins.n_bins) if evenly else shots.population
    weight = weighted((of_bin / np.where(rows > 0, rows, 1))[index], of_row)
    return weight / weight.sum() if len(y_true) > 1 and weight.any() else None


def _half(share: NDArray[np.float64], values: NDArray[np.float64], mean: float) -> float:
    """Return half the width of the interval of a weighted mean of independent values."""
    return _NORMAL_95 * float(np.sqrt(np.sum((share * (values - mean)) ** 2)))
