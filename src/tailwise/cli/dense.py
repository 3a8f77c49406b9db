"""``tailwise train --depth``: a network of images with a dense map each."""

from pathlib import Path
from typing import Any

import typer

from tailwise._checks import InputError

_TAKEN = frozenset(
    {
        *("data", "depth", "image", "method", "settings", "encoder", "out", "overwrite", "resume", "bin_width", "bins"),
        *("shots", "split", "split_column", "group", "epochs", "batch_size", "lr", "patience", "criterion", "seed"),
        *("device", "precision"),
    }
)


def train_maps(context: typer.Context) -> None:
    """Train on maps with the options of ``tailwise train``."""
    from tailwise.cli.dense_tables import region_table
    from tailwise.cli.launch import hint_at_resume, several
    from tailwise.cli.settings import parse_set, parse_shots
    from tailwise.cli.show import epoch_bar, notes, out, print_line, warnings_as_notes, warnings_shown
    from tailwise.data.source import load_source
    from tailwise.experiment.fit import start
    from tailwise.experiment.spec import Experiment
    from tailwise.modalities.map_method import map_method
    from tailwise.modalities.map_schema import DEPTH, MapSettings
    from tailwise.modalities.map_task import prepare_maps
    from tailwise.runs.folder import REPORT, check_out
    from tailwise.runs.map_run import map_plan
    from tailwise.runs.training import RunInProgress
    from tailwise.training.recipe import Recipe

    given: dict[str, Any] = context.params
    _check_options(context)
    if several():
        raise InputError("--depth trains in one process; start it without torchrun")
    recipe = Recipe(
        patience=given["patience"] or None,
        **{name: given[name] for name in ("epochs", "batch_size", "lr", "criterion", "seed", "device", "precision")},
    )
    params = parse_set(given["settings"] or [])
    settings = MapSettings.of(params.pop(DEPTH, {}))
    with warnings_as_notes() as warned:
        name = map_method(given["method"], params)[0].name
    label = name if given["encoder"] == "auto" else f"{Path(given['encoder']).name} {name}"
    stem = Path(given["data"]).name.split(".")[0]
    folder: Path = given["out"] or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{recipe.seed}"
    check_out(folder, overwrite=given["overwrite"], resume=given["resume"])
    source = load_source(given["data"])
    choices = {name: given[name] for name in ("bin_width", "split", "split_column", "group")}
    choices |= {"n_bins": given["bins"], "shots": parse_shots(given["shots"]), "seed": recipe.seed}
    (image,) = given["image"]
    task = prepare_maps(source.rows.frame(), source.folder, image, given["depth"], settings=settings, **choices)
    with warnings_as_notes() as also:
        experiment = Experiment(given["method"], encoder=given["encoder"], method_params=params, recipe=recipe)
        running = start(task, experiment)
    task.notes.extend(dict.fromkeys(warned + also))
    plan = map_plan(running, source, choices=choices, label=label)
    run = RunInProgress(folder, plan, resume=given["resume"], overwrite=given["overwrite"])
    notes(source.notes + task.notes)
    with run, hint_at_resume(folder), warnings_shown(task.notes), epoch_bar() as bar:
        evaluation = run.train(bar.show)
    title = f"{label}: errors on {len(evaluation.images):,} test images"
    out.print(region_table(evaluation.regions(seed=recipe.seed), title=title, unit=task.schema.target))
    print_line(f"report: {folder / REPORT}")


def _check_options(context: typer.Context) -> None:
    """Raise for options that mean nothing for maps, and for an index that does not name its images."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _TAKEN and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"--{name.replace('_', '-')} and --depth do not go together: leave one out")
    if len(context.params["image"] or []) != 1:
        raise InputError("--depth needs one --image COLUMN: a column with the image files of the maps")
