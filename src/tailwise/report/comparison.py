"""Another finished run, to show beside a new one."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.run import CONFIG, PREDICTIONS, open_run


@dataclass(frozen=True)
class OtherRun:
    """Method and test predictions of another run on the same test rows."""

    method: str
    y_pred: NDArray[np.float64]


def read_other(run: str | Path, rows: NDArray[np.int64], y_true: NDArray[np.float64]) -> OtherRun:
    """Test predictions of a finished run, in the order of ``rows``.

    Raises:
        InputError: no finished run there, or one with other test rows or targets.
    """
    folder = open_run(run)
    frame = pd.read_parquet(folder / PREDICTIONS)
    test = frame[frame["split"] == "test"].set_index("row")
    if sorted(test.index) != sorted(rows.tolist()) or not np.array_equal(test.loc[rows, "target"].to_numpy(), y_true):
        raise InputError(f"run {str(run)!r} was tested on other rows; --against needs the same data, split and seed")
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return OtherRun(config["method"]["name"], test.loc[rows, "prediction"].to_numpy())
