"""The training that the options of ``tailwise train`` describe: experiment, data and folder, of a table or of maps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS, load_backend
from tailwise.cli import automatic
from tailwise.cli.launch import several
from tailwise.cli.quality_choice import by_quality, is_given
from tailwise.cli.table_choices import table_choices
from tailwise.experiment.quality import DEFAULT_METHOD
from tailwise.experiment.spec import AUTO_METHOD, Experiment
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.modalities.kinds import kinds
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.data.source import Source

_OF_NETWORKS = ("encoder", "epochs", "batch_size", "lr", "patience", "device", "precision")
_OF_RECIPE = ("epochs", "batch_size", "lr", "criterion", "seed", "device", "precision")
_OF_TABLES = (
    *("bin_width", "bins", "shots", "split", "split_column", "group", "drop_missing_target", "mask_target", "seed"),
    *("drop", "nominal", "numeric", "date"),
)
_TAKEN = frozenset(
    {
        *("data", "depth", "image", "method", "settings", "encoder", "out", "overwrite", "resume", "bin_width", "bins"),
        *("shots", "split", "split_column", "group", "epochs", "batch_size", "lr", "patience", "criterion", "seed"),
        *("device", "precision"),
    }
)


@dataclass(frozen=True)
class Wanted:
    """A training as the options describe it.

    Args:
        experiment: what is trained.
        label: how the run is called.
        folder: the run folder.
        prepare: from the source to a task.
    """

    experiment: Experiment
    label: str
    folder: Path
    prepare: "Callable[[Source], Any]"


def table_wanted(context: typer.Context, media: Mapping[str, Any]) -> Wanted:
    """Return the training on a table that the options describe.

    Raises:
        InputError: options that do not work or do not belong together.
    """
    from tailwise.cli.launch import start_processes
    from tailwise.experiment.prepare import prepare

    given, target = context.params, context.params["target"]
    if not target:
        raise InputError("Missing option '--target' / '-t': the column to predict")
    recipe = _recipe(given)
    start_processes(recipe)
    experiment = by_quality(context, recipe, media) or _by_method(context, recipe)
    label = experiment.label(AUTO_METHOD if experiment.method == AUTO_METHOD else experiment.compose().name)
    stem = given["data"].removeprefix("example:").rsplit("/", 1)[-1].split(".")[0]
    choices = table_choices(**{name: given[name] for name in _OF_TABLES}) | dict(media)
    return Wanted(experiment, label, _folder(given, stem, label), lambda source: prepare(source, target, **choices))


def _by_method(context: typer.Context, recipe: Recipe) -> Experiment:
    """Return the training of one model, by a method.

    Raises:
        InputError: options that do not work or do not belong together.
    """
    from tailwise.cli.settings import parse_set

    given = context.params
    model, encoder = given["model"], given["encoder"]
    method = given["method"] or ("vanilla" if model == "stack" else DEFAULT_METHOD)
    load_backend(one_of(model, "`model`", MODELS)).silence()  # what it has to report comes as an error
    params = parse_set(given["settings"] or [])
    of_model = {name: params.pop(name, {}) for name in ("model", "encoder", *kinds())}
    _check_model(context, model, encoder, of_model)
    model_params = of_model["encoder" if model == "network" else "model"]
    model_params = model_params | {kind: of_model[kind] for kind in kinds() if of_model[kind]}
    experiment = Experiment(method, model, encoder, params, model_params, recipe, given["balance"] or 0.0)
    if method == AUTO_METHOD:
        automatic.check(experiment, given["target"])
    return experiment


def maps_wanted(context: typer.Context) -> Wanted:
    """Return the training on maps that the options describe.

    Raises:
        InputError: options that do not work or mean nothing for maps.
    """
    from tailwise.cli.settings import parse_set, parse_shots
    from tailwise.modalities.map_method import map_method
    from tailwise.modalities.map_schema import DEPTH, MapSettings
    from tailwise.modalities.map_task import prepare_map_table

    given = context.params
    _check_options(context)
    if several():
        raise InputError("--depth trains in one process; start it without torchrun")
    recipe, params = _recipe(given), parse_set(given["settings"] or [])
    settings = MapSettings.of(params.pop(DEPTH, {}))
    method = given["method"] or DEFAULT_METHOD
    name = map_method(method, params)[0].name
    label = name if given["encoder"] == AUTO else f"{Path(given['encoder']).name} {name}"
    experiment = Experiment(method, encoder=given["encoder"], method_params=params, recipe=recipe)
    choices = {name: given[name] for name in ("bin_width", "split", "split_column", "group")}
    choices |= {"n_bins": given["bins"], "shots": parse_shots(given["shots"]), "seed": recipe.seed}
    (image,) = given["image"]

    def prepare(source: "Source") -> Any:
        return prepare_map_table(source, image, given["depth"], settings=settings, **choices)

    return Wanted(experiment, label, _folder(given, Path(given["data"]).name.split(".")[0], label), prepare)


def _recipe(given: Mapping[str, Any]) -> Recipe:
    return Recipe(patience=given["patience"] or None, **{name: given[name] for name in _OF_RECIPE})


def _folder(given: Mapping[str, Any], stem: str, label: str) -> Path:
    folder: Path = given["out"] or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{given['seed']}"
    return folder


def _check_model(context: typer.Context, model: str, encoder: str, params: dict[str, dict[str, Any]]) -> None:
    """Raise unless model and encoder exist, and what is given belongs to them."""
    one_of(model, "--model", tuple(MODELS))
    one_of(encoder, "--encoder", (AUTO, *ENCODERS))
    if model == "network":
        if params["model"]:
            raise InputError("--set model... is for models that are not networks; use --set encoder.NAME=VALUE")
        return
    for name in _OF_NETWORKS:
        if is_given(context, name):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for networks; --model {model} takes --set model.NAME=VALUE")
    for kind in ("encoder", *kinds()):
        if params[kind]:
            raise InputError(f"--model {model} has no encoder; use --set model.NAME=VALUE")
    if several():
        raise InputError(f"--model {model} trains in one process; start it without torchrun")


def _check_options(context: typer.Context) -> None:
    """Raise for options that mean nothing for maps, and for an index that does not name its images."""
    for name in context.params:
        if name not in _TAKEN and is_given(context, name):
            raise InputError(f"--{name.replace('_', '-')} and --depth do not go together: leave one out")
    if len(context.params["image"] or []) != 1:
        raise InputError("--depth needs one --image COLUMN: a column with the image files of the maps")
