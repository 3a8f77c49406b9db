"""The experiment that the options of ``tailwise train`` describe: the default of a level of quality, or one model."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS, load_backend
from tailwise.cli.launch import several
from tailwise.experiment.quality import DEFAULT_QUALITY, experiment_for, method_of_one
from tailwise.experiment.spec import AUTO_BALANCE, AUTO_METHOD, LIMITS, Experiment
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.modalities.kinds import kinds
from tailwise.training.recipe import Recipe

_OF_ONE_MODEL = ("method", "model", "encoder", "settings", "criterion", "precision")
_STACK_SETTINGS = "model"  # of --set
_OF_NETWORKS = ("encoder", "epochs", "batch_size", "lr", "patience", "device", "precision")


def wanted_experiment(context: typer.Context, recipe: Recipe, media: Mapping[str, Any]) -> Experiment:
    """Return what is trained on a table.

    Raises:
        InputError: options that do not work or do not belong together.
    """
    experiment = _by_quality(context, recipe, media) or _by_method(context, recipe)
    given = context.params
    limits = _limits(context)
    if limits and given["balance"] is None:
        experiment = replace(experiment, balance=0.0)  # it would be chosen by a density of censored labels
    return replace(experiment, transform=given["transform"], **limits)


def _limits(context: typer.Context) -> dict[str, Any]:
    """Return the limits of censored labels that were given, by name."""
    return {name: context.params[name] for name in LIMITS if context.params[name] is not None}


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _by_quality(context: typer.Context, recipe: Recipe, media: Mapping[str, Any]) -> Experiment | None:
    """Return a level of quality, a stack or one network; ``None`` if the options name or need something else.

    Of images, texts and signals one network is the default, and a level must be named.

    Raises:
        InputError: options that do not belong together.
    """
    given = context.params
    auto = given["method"] == AUTO_METHOD
    of_level = _of_level(given["settings"] or [], kinds() if any(media.values()) else ())
    named = next(
        (
            name
            for name in _OF_ONE_MODEL
            if is_given(context, name) and not (auto and name == "method") and not (of_level and name == "settings")
        ),
        None,
    )
    if named is None and (len(given["target"]) > 1 or several()):
        named = "target"
    if named is None and Path(given["data"]).is_dir():
        named = "folder"
    if named is None and any(media.values()) and not is_given(context, "quality"):
        named = "media"
    if named is not None:
        for name in ("quality", "within", "jobs", "backend", "time_limit"):
            if is_given(context, name):
                raise InputError(_apart(name, named))
        return None
    quality = given["quality"] or DEFAULT_QUALITY
    params = {"jobs": given["jobs"], "seconds": given["time_limit"]}
    params = {name: value for name, value in params.items() if value is not None}
    if given["backend"] != "loky":
        params["backend"] = given["backend"]
    if quality == "fast" and params:
        raise InputError(
            "--jobs, --backend and --time-limit are for --quality good and best, which train several models"
        )
    if quality == "fast" and _STACK_SETTINGS in of_level:
        raise InputError("--set model.hurdle is for --quality good and best, which train a stack; leave it out")
    balance = AUTO_BALANCE if given["balance"] is None else given["balance"]
    experiment = experiment_for(quality, recipe, balance=balance, within=given["within"], params=params)
    return replace(experiment, params={**experiment.params, **of_level.pop(_STACK_SETTINGS, {}), **of_level})


def _of_level(settings: list[str], media: Iterable[str]) -> dict[str, Any]:
    """Return the settings that a level of quality takes; none if there are others beside them, which name one model.

    Args:
        settings: as they were given.
        media: modalities whose encoders have settings, beside the hurdle of the stack.
    """
    from tailwise.cli.settings import parse_set

    params = parse_set(settings)
    of_stack = set(params.get(_STACK_SETTINGS, {})) <= {"hurdle"}
    return params if of_stack and set(params) <= {_STACK_SETTINGS, *media} else {}


def _apart(name: str, named: str) -> str:
    """Return what to say of an option of the default beside something that needs one network."""
    flag = "--" + name.replace("_", "-")
    if named == "media":
        return f"{flag} is for --quality, which images, texts and signals have none of by default; add --quality good"
    if named == "folder":
        return f"{flag} is for a file, whose rows are in memory, not for a folder of Parquet files; leave it out"
    if named == "target":
        return f"{flag} is for one --target and one process; leave it out"
    other = {"settings": "--set"}.get(named, f"--{named}")
    return f"{flag} and {other} do not go together: {other} trains one model; leave one of them out"


def _by_method(context: typer.Context, recipe: Recipe) -> Experiment:
    """Return the training of one model, by a method.

    Raises:
        InputError: options that do not work or do not belong together.
    """
    from tailwise.cli.settings import parse_set

    given = context.params
    model, encoder = given["model"], given["encoder"]
    default = method_of_one(censored=bool(_limits(context)) and model == "network")
    method = given["method"] or ("vanilla" if model == "stack" else default)
    if method == AUTO_METHOD:
        if any(is_given(context, name) for name in _OF_ONE_MODEL if name != "method"):
            raise InputError("--method auto trains what is trained without options of one model; leave them out, or it")
        method = default
    load_backend(one_of(model, "`model`", MODELS)).silence()  # what it has to report comes as an error
    params = parse_set(given["settings"] or [])
    of_model = {name: params.pop(name, {}) for name in ("model", "encoder", *kinds())}
    _check_model(context, model, encoder, of_model)
    model_params = of_model["encoder" if model == "network" else "model"]
    model_params = model_params | {kind: of_model[kind] for kind in kinds() if of_model[kind]}
    balance = given["balance"] if given["balance"] is not None else AUTO_BALANCE if model == "stack" else 0.0
    experiment = Experiment(method, model, encoder, params, model_params, recipe, balance)
    return experiment


def _check_model(context: typer.Context, model: str, encoder: str, params: dict[str, dict[str, Any]]) -> None:
    """Raise unless model and encoder exist, and what is given belongs to them."""
    one_of(model, "--model", tuple(MODELS))
    one_of(encoder, "--encoder", (AUTO, *ENCODERS))
    if model == "network":
        if params["model"]:
            raise InputError("--set model... is for models that are not networks; use --set encoder.NAME=VALUE")
        return
    for name in _OF_NETWORKS[: 1 if model == "stack" else None]:  # recipe options go to the networks of a stack
        if is_given(context, name):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for networks; --model {model} takes --set model.NAME=VALUE")
    for kind in ("encoder",) if model == "stack" else ("encoder", *kinds()):
        if params[kind]:
            raise InputError(f"--model {model} has no encoder; use --set model.NAME=VALUE")
    if several():
        raise InputError(f"--model {model} trains in one process; start it without torchrun")
