"""``tailwise train --method auto``: choose, and say what is being done and why."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailwise._checks import InputError

if TYPE_CHECKING:
    from tailwise.auto.choose import AutoSettings, Choice
    from tailwise.data.task import Task
    from tailwise.training.recipe import Recipe

METHOD = "auto"


def auto_settings(params: Mapping[str, Mapping[str, Any]], model: str) -> "AutoSettings":
    """What auto may spend, from ``--set auto.NAME=VALUE``.

    Raises:
        InputError: other parameters, several processes.
    """
    from tailwise.auto.choose import AutoSettings
    from tailwise.cli.launch import several

    if several():
        raise InputError("--method auto chooses in one process; run it without torchrun, then name what it chose")
    return AutoSettings.from_params(params, model)


def choose_for_run(
    table: "Task",
    settings: "AutoSettings",
    recipe: "Recipe",
    *,
    model: str,
    encoder: str,
    params: Mapping[str, Any],
    group: str | None,
    resumed: Path | None,
) -> "Choice":
    """Choose a method for the table of a run; of a run that is resumed, what was chosen when it began.

    Raises:
        InputError: too few rows or groups, a run that began with a method that was named.
    """
    from tailwise.auto.candidates import candidates_for
    from tailwise.auto.choose import Choice, choose_method, trainer
    from tailwise.cli.show import notes
    from tailwise.runs.folder import CONFIG

    if resumed is not None:
        config = json.loads((resumed / CONFIG).read_text(encoding="utf-8"))
        if "auto" not in config["method"]:
            raise InputError(f"{str(resumed)!r} was started with another method; resume with the same settings")
        return Choice.from_record(config["method"]["auto"])
    count = len(candidates_for(model))
    limit = "" if settings.budget is None else f", for at most {settings.budget:g} s"
    notes([f"auto: choosing among {count} methods by {settings.folds}-fold cross-validation{limit}"])
    train = trainer(settings.recipe(recipe), model=model, encoder=encoder, params=params)
    groups = None if group is None else table.rows.frame([group])[group].astype(str).to_numpy()
    return choose_method(table, train, settings, model=model, groups=groups, seed=recipe.seed)
