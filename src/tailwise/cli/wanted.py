"""The training that the options of ``tailwise train`` describe: experiment, data and folder, of a table or of maps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tailwise._checks import InputError
from tailwise.cli.experiment_wanted import is_given, wanted_experiment
from tailwise.cli.launch import several
from tailwise.cli.table_choices import table_choices
from tailwise.experiment.quality import DEFAULT_METHOD
from tailwise.experiment.spec import Experiment
from tailwise.modalities.encoder_names import AUTO
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.data.source import Source

_OF_RECIPE = ("epochs", "batch_size", "lr", "criterion", "seed", "device", "precision")
_OF_TABLES = (
    *("bin_width", "bins", "shots", "split", "split_column", "split_key", "group", "drop_missing_target"),
    *("mask_target", "seed", "drop", "nominal", "numeric", "date", "missing", "decimal", "thousands", "date_order"),
    *("test", "valid", "weight", "target_weight", "time", "lags", "rolling"),
)
_TAKEN = frozenset(
    {
        *("data", "depth", "image", "method", "settings", "encoder", "out", "overwrite", "resume", "bin_width", "bins"),
        *("shots", "split", "split_column", "group", "epochs", "batch_size", "lr", "patience", "criterion", "seed"),
        *("device", "precision", "balance"),
    }
)


@dataclass(frozen=True)
class Wanted:
    """A training as the options describe it.

    Args:
        experiment: what is trained.
        label: how the run is called.
        targets: target columns, or the column of the maps, after which a run without a folder is named.
        prepare: from the source to a task.
    """

    experiment: Experiment
    label: str
    targets: tuple[str, ...]
    prepare: "Callable[[Source], Any]"

    @contextmanager
    def folder(self, out: Path | None, *, overwrite: bool, resume: bool) -> Iterator[Path]:
        """Lock the run folder: the given one, or in ``runs`` one that is named after the target.

        Raises:
            InputError: a folder where no run may be written.
        """
        from tailwise.runs.folder import locked_run
        from tailwise.runs.numbered import claimed, run_name

        if out is None:
            with claimed(Path("runs"), run_name(self.targets), overwrite=overwrite, resume=resume) as folder:
                yield folder
        else:
            with locked_run(out, overwrite=overwrite, resume=resume):
                yield out


def table_wanted(context: typer.Context, media: Mapping[str, Any]) -> Wanted:
    """Return the training on a table that the options describe.

    Raises:
        InputError: options that do not work or do not belong together.
    """
    from tailwise.cli.launch import start_processes
    from tailwise.data.header import header
    from tailwise.data.targets import target_names

    given, target = context.params, context.params["target"]
    if not target:
        raise InputError("Missing option '--target' / '-t': the column to predict")
    recipe = _recipe(given)
    start_processes(recipe)
    target_names(target, header(given["data"]))  # before slow imports, before a folder is opened or many rows are read
    from tailwise.experiment.prepare import prepare

    experiment = wanted_experiment(context, recipe, media)
    label = experiment.label(experiment.compose().name)
    choices = table_choices(**{name: given[name] for name in _OF_TABLES}) | dict(media)
    return Wanted(experiment, label, tuple(target), lambda source: prepare(source, target, **choices))


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
    method, balance = given["method"] or DEFAULT_METHOD, given["balance"] or 0.0
    name = map_method(method, params)[0].name
    label = name if given["encoder"] == AUTO else f"{Path(given['encoder']).name} {name}"
    label += f" at balance {balance:g}" if balance else ""
    experiment = Experiment(method, encoder=given["encoder"], method_params=params, recipe=recipe, balance=balance)
    choices = {name: given[name] for name in ("bin_width", "split", "split_column", "group")}
    choices |= {"n_bins": given["bins"], "shots": parse_shots(given["shots"]), "seed": recipe.seed}
    (image,) = given["image"]

    def prepare(source: "Source") -> Any:
        return prepare_map_table(source, image, given["depth"], settings=settings, **choices)

    return Wanted(experiment, label, (given["depth"],), prepare)


def _recipe(given: Mapping[str, Any]) -> Recipe:
    return Recipe(patience=given["patience"] or None, **{name: given[name] for name in _OF_RECIPE})


def _check_options(context: typer.Context) -> None:
    """Raise for options that mean nothing for maps, and for an index that does not name its images."""
    for name in context.params:
        if name not in _TAKEN and is_given(context, name):
            raise InputError(f"--{name.replace('_', '-')} and --depth do not go together: leave one out")
    if len(context.params["image"] or []) != 1:
        raise InputError("--depth needs one --image COLUMN: a column with the image files of the maps")
