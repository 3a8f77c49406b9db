"""The test rows of a finished run, read again from its table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.data.source import load_source
from tailwise.data.task import Task
from tailwise.experiment.prepare import prepare


def task_of_run(config: Mapping[str, Any], folder: str | Path) -> Task:
    """Return the task of a run, prepared again from the table that it was trained on.

    Args:
        config: settings of the run, see :func:`tailwise.runs.folder.read_settings`.
        folder: the run folder, for messages.

    Raises:
        InputError: a table that is not there any more, is not a file, or has changed.
    """
    name, choices = str(config["data"]["name"]), dict(config["table"])
    if not config["data"]["sha256"] or Path(name).is_dir():
        raise InputError(f"run {str(folder)!r} was not trained on a file; name a table with the target")
    task = prepare(load_source(name, text=choices.get("nominal", ())), config["target"], **choices)
    if task.source is None or task.source.sha256 != config["data"]["sha256"]:
        raise InputError(f"{name!r} has changed since run {str(folder)!r}; name a table with the target")
    return task
