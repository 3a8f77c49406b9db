"""The level of quality of ``tailwise train``, where its options name neither a method nor a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from tailwise._checks import InputError
from tailwise.cli.launch import several
from tailwise.experiment.quality import DEFAULT_QUALITY, experiment_for
from tailwise.experiment.spec import AUTO_BALANCE, Experiment
from tailwise.training.recipe import Recipe

_OF_ONE_MODEL = ("method", "model", "encoder", "settings", "criterion", "precision")


def by_quality(context: typer.Context, recipe: Recipe, media: Mapping[str, Any]) -> Experiment | None:
    """Return the default for a table, a stack or one network; ``None`` if the options name or need something else.

    Raises:
        InputError: options that do not belong together.
    """
    given = context.params
    named = next((name for name in _OF_ONE_MODEL if is_given(context, name)), None)
    if named is None and any(media.values()):
        named = "media"
    if named is None and (len(given["target"]) > 1 or several()):
        named = "target"
    if named is None and Path(given["data"]).is_dir():
        named = "folder"
    if named is not None:
        for name in ("quality", "within", "jobs", "time_limit"):
            if is_given(context, name):
                raise InputError(_apart(name, named))
        return None
    quality = given["quality"] or DEFAULT_QUALITY
    params = {"jobs": given["jobs"], "seconds": given["time_limit"]}
    params = {name: value for name, value in params.items() if value is not None}
    if quality == "fast" and params:
        raise InputError("--jobs and --time-limit are for --quality good and best, which train several models")
    balance: Any = AUTO_BALANCE if given["balance"] is None else given["balance"]
    return experiment_for(quality, recipe, balance=balance, within=given["within"], params=params)


def _apart(name: str, named: str) -> str:
    """Return what to say of an option of the default beside something that needs one network."""
    flag = "--" + name.replace("_", "-")
    if named == "media":
        return f"{flag} is for tables alone, not for images, texts and signals; leave it out"
    if named == "folder":
        return f"{flag} is for a file, whose rows are in memory, not for a folder of Parquet files; leave it out"
    if named == "target":
        return f"{flag} is for one --target and one process; leave it out"
    other = {"settings": "--set"}.get(named, f"--{named}")
    return f"{flag} and {other} do not go together: {other} trains one model; leave one of them out"


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
