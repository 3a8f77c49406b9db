"""Times of rows for estimators: dates or numbers beside the features, by which the latest rows are held out."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d

from tailwise._checks import InputError
from tailwise.data.time_order import read_times, time_reading


def times_of(time: ArrayLike, *, groups: object = None, eval_set: object = None) -> NDArray[np.float64]:
    """Return ``(n,)`` times as numbers, seconds since 1970 of dates.

    Args:
        time: ``(n,)`` dates, also as text, or numbers.
        groups: must not be given, since rows of a group would have to stay together.
        eval_set: must not be given, since its rows would need times.

    Raises:
        InputError: groups or validation rows beside the times, another shape, times that cannot be read.

    Example:
        >>> times_of(["2024-01-02", "2024-01-01"]).argsort().tolist()
        [1, 0]
    """
    for name, given in (("groups", groups), ("eval_set", eval_set)):
        if given is not None:
            raise InputError(f"`time` holds out the latest rows, and `{name}` others; leave one of them out")
    series = pd.Series(column_or_1d(np.asarray(time)), name="time")
    dates, reading = time_reading(series)
    return read_times(series, reading, dates=dates)


def latest(times: NDArray[np.float64], fraction: float) -> NDArray[np.bool_]:
    """Return ``(n,)`` whether a row is among the latest, about a fraction of all; rows of one time stay together.

    Raises:
        InputError: one time in all rows.

    Example:
        >>> latest(np.array([1.0, 4.0, 2.0, 3.0]), 0.25).tolist()
        [False, True, False, False]
    """
    different, counts = np.unique(times, return_counts=True)
    if len(different) < 2:
        raise InputError("`time` is the same in all rows; leave it out")
    later = counts[::-1].cumsum()[::-1] / counts.sum()  # fraction of the rows from each time on
    first = 1 + int(np.abs(later[1:] - fraction).argmin())
    return np.asarray(times >= different[first])
