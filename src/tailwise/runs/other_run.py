"""Read the test predictions of a finished run, to compare a new run with them."""

from pathlib import Path

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.data.task import Task
from tailwise.report.against import OtherRun
from tailwise.runs.folder import PREDICTIONS, open_run, read_settings, target_columns


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
    config, targets = read_settings(folder), task.schema.targets
    if config["target"] != (targets[0] if len(targets) == 1 else list(targets)):
        raise _other_rows(run)
    try:
        frame = pd.read_parquet(folder / PREDICTIONS)
        test = frame[frame["split"] == "test"].set_index("row")
        if sorted(test.index) != sorted(rows.tolist()):
            raise _other_rows(run)
        test = test.loc[rows]
        labels, pred = (
            test[target_columns(kind, targets)].to_numpy(np.float64).reshape(y_true.shape)
            for kind in ("target", "prediction")
        )
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{str(folder / PREDICTIONS)!r} cannot be read as predictions of a run; train again"
        ) from error
    if not np.array_equal(labels, y_true):
        raise _other_rows(run)
    masked = bool(config["table"].get("mask_target"))
    return OtherRun(config["label"], pred, Path(run).resolve().name, masked)


def _other_rows(run: str | Path) -> InputError:
    return InputError(f"run {str(run)!r} was tested on other rows; `against` needs the same data, split and seed")
