"""``tailwise train --method auto``: choose a method, and show what is being done."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tailwise._checks import InputError

if TYPE_CHECKING:
    from tailwise.data.task import Task
    from tailwise.experiment.auto_choice import Choice
    from tailwise.experiment.spec import Experiment


def check(experiment: "Experiment", targets: Sequence[str]) -> None:
    """Raise unless a method can be chosen for these targets, with these settings, in this process.

    Raises:
        InputError: several targets, several processes, settings that do not exist.
    """
    from tailwise.cli.launch import several
    from tailwise.experiment.auto_choice import AutoSettings

    if len(targets) > 1:
        raise InputError(f"--method auto chooses for one --target, got {len(targets)}; name a method")
    if several():
        raise InputError("--method auto chooses in one process; run it without torchrun, then name what it chose")
    AutoSettings.from_params(experiment.method_params, experiment.model)


def recorded(folder: Path) -> "Choice":
    """Return what was chosen when the run in a folder began.

    Raises:
        InputError: a run that began with a method that was named.
    """
    from tailwise.experiment.auto_choice import Choice
    from tailwise.runs.folder import read_settings

    config = read_settings(folder)
    if "auto" not in config["method"]:
        raise InputError(f"{str(folder)!r} was started with another method; resume with the same settings")
    return Choice.from_record(config["method"]["auto"])


def choose_with_note(task: "Task", experiment: "Experiment") -> "Choice":
    """Print what will be tried, then choose."""
    from tailwise.cli.show import notes
    from tailwise.experiment.auto_candidates import candidates_for
    from tailwise.experiment.auto_choice import AutoSettings
    from tailwise.experiment.fit import choose

    settings = AutoSettings.from_params(experiment.method_params, experiment.model)
    limit = "" if settings.budget is None else f", for at most {settings.budget:g} s"
    count = len(candidates_for(experiment.model))
    notes([f"auto: choosing among {count} methods by {settings.folds}-fold cross-validation{limit}"])
    return choose(task, experiment)
