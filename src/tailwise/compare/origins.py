"""Splits by time of a comparison: each seed knows the rows up to another time, and tests the last of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise.data.cell_rules import CellRules
from tailwise.data.targets import require_column
from tailwise.data.time_order import read_times, time_reading

_KEPT = 0.85  # of the rows that the seed before had: what it tests is left out, so that no row is tested twice


def rows_known(
    frame: pd.DataFrame, choices: Mapping[str, Any], *, seed: int, most: int | None = None
) -> NDArray[np.int64]:
    """Return the positions of the rows that a split by time of one seed has, in the order of the table.

    Seed 0 has all rows, and each further seed the earliest 85 % of those before. The split by time tests the last 15 %,
    so that the test rows of the seeds follow each other and none is tested twice, however many seeds there are.

    Args:
        frame: the table.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`, ``time`` among them.
        seed: number of the seed, from 0.
        most: most rows; the latest of them are taken, so that earlier labels stay features.

    Raises:
        InputError: a column of the time that is absent or cannot be read.

    Example:
        >>> table = pd.DataFrame({"hour": [3, 1, 2, 4]})
        >>> rows_known(table, {"time": "hour"}, seed=1).tolist()
        [0, 1, 2]
    """
    time = str(choices["time"])
    require_column(time, list(frame.columns), "`time`")
    dates, reading = time_reading(frame[time], CellRules.from_choices(choices))
    times = read_times(frame[time], reading, dates=dates)
    latest = np.sort(times)[max(round(len(times) * _KEPT**seed), 1) - 1]
    known = np.flatnonzero(times <= latest)
    if most is not None and len(known) > most:
        known = np.sort(known[np.argsort(times[known], kind="stable")[-most:]])
    return known
