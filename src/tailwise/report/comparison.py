"""Another finished run, to show beside a new one."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.prepare import PreparedTable
from tailwise.run import CONFIG, PREDICTIONS, open_run


@dataclass(frozen=True)
class OtherRun:
    """Method and test predictions of another run on the same test rows."""

    method: str
    y_pred: NDArray[np.float64]


def read_other(run: str | Path, table: PreparedTable) -> OtherRun:
    """Test predictions of a finished run, in the order of the table's test rows.

    Raises:
        InputError: no finished run there, or one with another target or other test rows.
    """
    folder = open_run(run)
    rows, (_, y_true) = table.row[table.part == "test"], table.rows_of("test")
    frame = pd.read_parquet(folder / PREDICTIONS)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    test = frame[frame["split"] == "test"].set_index("row")
    same_rows = sorted(test.index) == sorted(rows.tolist())
    if config["target"] != table.schema.target or not same_rows:
        raise InputError(f"run {str(run)!r} was tested on other rows; --against needs the same data, split and seed")
    test = test.loc[rows]
    if not np.array_equal(test["target"].to_numpy(), y_true):
        raise InputError(f"run {str(run)!r} was tested on other rows; --against needs the same data, split and seed")
    return OtherRun(config["method"]["name"], test["prediction"].to_numpy())
