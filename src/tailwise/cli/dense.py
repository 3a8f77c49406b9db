"""``tailwise train --depth``: a network of images with a dense map each."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tailwise._checks import InputError

if TYPE_CHECKING:
    from tailwise.data.source import Source
    from tailwise.modalities.map_task import PreparedMaps
    from tailwise.modalities.map_training import MapFitting

_TAKEN = frozenset(
    {
        *("data", "depth", "image", "method", "settings", "encoder", "out", "overwrite", "resume", "bin_width", "bins"),
        *("shots", "split", "split_column", "group", "epochs", "batch_size", "lr", "patience", "criterion", "seed"),
        *("device", "precision"),
    }
)


def train_maps(context: typer.Context) -> None:
    """Train on maps with the options of ``tailwise train``."""
    from tailwise.cli.launch import several, told_how_to_resume
    from tailwise.cli.settings import parse_set, parse_shots
    from tailwise.cli.show import notes, warnings_as_notes, warnings_told
    from tailwise.cli.train import restore, run_epochs
    from tailwise.data.source import load_source
    from tailwise.modalities.map_method import map_method
    from tailwise.modalities.map_schema import DEPTH, MapSettings
    from tailwise.modalities.map_task import prepare_maps
    from tailwise.modalities.map_training import start
    from tailwise.runs.folder import abandon_run, check_out, check_same, start_run, trim_history, versions
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
        method, params = map_method(given["method"], params)
    label = method.name if given["encoder"] == "auto" else f"{Path(given['encoder']).name} {method.name}"
    stem = Path(given["data"]).name.split(".")[0]
    folder: Path = given["out"] or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{recipe.seed}"
    check_out(folder, overwrite=given["overwrite"], resume=given["resume"])
    source = load_source(given["data"])
    choices = {name: given[name] for name in ("bin_width", "split", "split_column", "group")}
    choices |= {"n_bins": given["bins"], "shots": parse_shots(given["shots"]), "seed": recipe.seed}
    (image,) = given["image"]
    task = prepare_maps(source.rows.frame(), source.folder, image, given["depth"], settings=settings, **choices)
    with warnings_as_notes() as also:
        fitting = start(task, method, recipe, encoder=given["encoder"])
    task.notes.extend(dict.fromkeys(warned + also))
    config = {
        **_described(source, task),
        "table": choices,
        "depth": asdict(settings),
        "method": {"name": method.name, "parameters": params},
        "model": {"name": given["encoder"], "encoder": fitting.predictor.model.shape},
        "label": label,
        "recipe": asdict(recipe),
        "versions": versions(),
    }
    if given["resume"]:
        check_same(folder, config)
    done = restore(fitting, folder) if given["resume"] else 0
    notes(source.notes + task.notes)
    if not given["resume"]:
        start_run(folder, config)
    trim_history(folder, done)
    with told_how_to_resume(folder):
        try:
            with warnings_told(task.notes):
                run_epochs(fitting, folder, done)
                _finish(source, task, fitting, folder, label)
        except (InputError, OSError):
            if not given["resume"]:
                abandon_run(folder)
            raise


def _described(source: "Source", task: "PreparedMaps") -> dict[str, Any]:
    """Return the entries of ``config.json`` on the data."""
    return {
        "kind": "maps",
        "data": {"name": source.name, "sha256": task.rows.digest(source.sha256)},
        "target": task.schema.depth,
        "image": task.schema.image,
    }


def _check_options(context: typer.Context) -> None:
    """Raise for options that mean nothing for maps, and for an index that does not name its images."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _TAKEN and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"--{name.replace('_', '-')} and --depth do not go together: leave one out")
    if len(context.params["image"] or []) != 1:
        raise InputError("--depth needs one --image COLUMN: images, of which the maps are to be predicted")


def _finish(source: "Source", task: "PreparedMaps", fitting: "MapFitting", folder: Path, label: str) -> None:
    """Evaluate, write the finished run, and show its errors."""
    from tailwise.cli.dense_tables import region_table
    from tailwise.cli.show import out as console
    from tailwise.modalities.map_evaluation import evaluate_part
    from tailwise.modalities.map_model import MapModel
    from tailwise.modalities.map_store import MapFile
    from tailwise.runs.folder import MAPS, REPORT
    from tailwise.runs.map_run import write_map_run

    model = MapModel.of(task, fitting.predictor)
    validation = evaluate_part(model, task, "val")
    with MapFile(folder / MAPS) as store:
        test = evaluate_part(model, task, "test", store=store)
    regions = test.regions(seed=fitting.recipe.seed)
    write_map_run(
        folder,
        task=task,
        model=model,
        validation=validation,
        test=test,
        regions=regions,
        label=label,
        data=source.name,
        notes=source.notes + task.notes,
    )
    title = f"{label}: errors on {len(test.images):,} test images"
    console.print(region_table(regions, title=title, unit=task.schema.target))
    console.print(f"report: {folder / REPORT}", highlight=False, markup=False, soft_wrap=True)
