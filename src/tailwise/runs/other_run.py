"""Read the test predictions of a finished run, to compare a new run with them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.data.task import Task
from tailwise.report.against import OtherRun
from tailwise.runs.folder import CONFIG, PREDICTIONS, open_run, target_columns


def read_other(run: str | Path, task: Task) -> OtherRun:
    """Return the test predictions of a finished run, in the order of the task's test rows.

    Args:
        run: folder of the run.
        task: the new run's task.

    Raises:
        InputError: no finished run there, or one with another target or other test rows.
    """
    folder = open_run(run)
    rows, (_, y_true) = task.row[task.part == "test"], task.rows_of("test")
    frame = pd.read_parquet(folder / PREDICTIONS)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    test = frame[frame["split"] == "test"].set_index("row")
    targets = task.schema.targets
    same_target = config["target"] == (targets[0] if len(targets) == 1 else list(targets))
    if not same_target or sorted(test.index) != sorted(rows.tolist()):
        raise _other_rows(run)
    test = test.loc[rows]
    labels, pred = (test[target_columns(kind, targets)].to_numpy() for kind in ("target", "prediction"))
    if not np.array_equal(labels.reshape(y_true.shape), y_true):
        raise _other_rows(run)
    masked = bool(config["table"].get("mask_target"))
    return OtherRun(config["label"], pred.reshape(y_true.shape), Path(run).resolve().name, masked)


def _other_rows(run: str | Path) -> InputError:
    return InputError(f"run {str(run)!r} was tested on other rows; `against` needs the same data, split and seed")
