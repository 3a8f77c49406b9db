"""Another finished run, to show beside a new one."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.task import Task
from tailwise.labels.shots import Shots
from tailwise.metrics.errors import mean_absolute_error
from tailwise.metrics.regions import Interval, mae_change, region_rows
from tailwise.runs.folder import CONFIG, PREDICTIONS, open_run, target_columns

FEWEST_TO_SPEAK = 10


@dataclass(frozen=True)
class OtherRun:
    """Test predictions of another run on the same test rows.

    Args:
        method: its method string, after the model where that is not the usual one.
        y_pred: its test predictions, ``(n,)`` or ``(n, K)``.
        folder: name of its folder.
        masked: whether ranges of the target were removed from its training rows.
    """

    method: str
    y_pred: NDArray[np.float64]
    folder: str = "the other run"
    masked: bool = False

    def names(self, method: str, *, masked: bool) -> tuple[str, str]:
        """What to call a run of a method and this one beside each other, so that the two can be told apart.

        >>> OtherRun("lds", np.zeros(1), "first").names("lds", masked=True)
        ('lds (this run)', 'lds (first, without `mask_target`)')
        """
        ours, theirs = (["this run"], [self.folder]) if method == self.method else ([], [])
        if masked != self.masked:
            (theirs if masked else ours).append("without `mask_target`")
        return _with(method, ours), _with(self.method, theirs)


def _with(method: str, remarks: list[str]) -> str:
    return method + (f" ({', '.join(remarks)})" if remarks else "")


@dataclass(frozen=True)
class Comparison:
    """Change of the MAE of a region against another run on the same rows.

    Args:
        ours: MAE of this run.
        theirs: MAE of the other.
        change: difference with its paired bootstrap interval, target units.
    """

    ours: float
    theirs: float
    change: Interval

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        low, high = self.change.low, self.change.high
        return low is not None and high is not None and (low > 0 or high < 0)

    @property
    def text(self) -> str:
        """The change in percent, and whether it is one."""
        percent = f"{100 * self.change.value / max(self.theirs, 1e-300):+.0f} %"
        return percent if self.differs else f"no difference ({percent}, inside the noise of these rows)"


def compare(
    y_true: NDArray[np.float64], y_pred: NDArray[np.float64], y_other: NDArray[np.float64], shots: Shots
) -> dict[str, Comparison]:
    """Paired comparison of two runs over all rows and over each region that has rows."""
    return {
        name: Comparison(
            mean_absolute_error(y_true[here], y_pred[here]),
            mean_absolute_error(y_true[here], y_other[here]),
            mae_change(y_true[here], y_pred[here], y_other[here]),
        )
        for name, here in region_rows(y_true, shots).items()
        if here.any()
    }


def read_other(run: str | Path, table: Task) -> OtherRun:
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
    targets = table.schema.targets
    if config["target"] != (targets[0] if len(targets) == 1 else list(targets)) or not same_rows:
        raise InputError(f"run {str(run)!r} was tested on other rows; `against` needs the same data, split and seed")
    test = test.loc[rows]
    theirs, pred = (test[target_columns(kind, targets)].to_numpy() for kind in ("target", "prediction"))
    if not np.array_equal(theirs.reshape(y_true.shape), y_true):
        raise InputError(f"run {str(run)!r} was tested on other rows; `against` needs the same data, split and seed")
    masked = bool(config["table"].get("mask_target"))
    return OtherRun(config["label"], pred.reshape(y_true.shape), folder.resolve().name, masked)
