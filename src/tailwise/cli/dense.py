"""``tailwise train --depth``: a network of images with a dense map each."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tailwise._checks import InputError

if TYPE_CHECKING:
    import pandas as pd

    from tailwise.data.source import Source
    from tailwise.modalities.dense_training import MapTraining

_TAKEN = frozenset(
    {
        *("data", "depth", "image", "method", "settings", "encoder", "out", "overwrite", "resume", "bin_width", "bins"),
        *("shots", "split", "split_column", "group", "epochs", "batch_size", "lr", "patience", "criterion", "seed"),
        *("device", "precision"),
    }
)


def train_maps(context: typer.Context) -> None:
    """Train on maps with what was given to ``tailwise train``."""
    from tailwise.cli.dense_tables import index_table
    from tailwise.cli.launch import several, told_how_to_resume
    from tailwise.cli.settings import parse_set, parse_shots
    from tailwise.cli.show import notes, warnings_as_notes, warnings_told
    from tailwise.cli.train import restore, run_epochs
    from tailwise.modalities.dense import MapSettings, prepare_maps
    from tailwise.modalities.dense_training import map_method, map_training
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
    settings = MapSettings.of(params.pop("depth", {}))
    with warnings_as_notes() as warned:
        method, params = map_method(given["method"], params)
    label = method.name if given["encoder"] == "auto" else f"{Path(given['encoder']).name} {method.name}"
    stem = Path(given["data"]).name.split(".")[0]
    folder: Path = given["out"] or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{recipe.seed}"
    check_out(folder, overwrite=given["overwrite"], resume=given["resume"])
    source, frame = index_table(given["data"])
    choices = {name: given[name] for name in ("bin_width", "split", "split_column", "group")}
    choices |= {"n_bins": given["bins"], "shots": parse_shots(given["shots"]), "seed": recipe.seed}
    (image,) = given["image"]
    maps = prepare_maps(frame, source.folder, image, given["depth"], settings=settings, **choices)
    with warnings_as_notes() as also:
        setup = map_training(maps, method, recipe, given["encoder"], augment=settings.augment)
    maps.notes.extend(dict.fromkeys(warned + also))
    config = {
        "kind": "maps",
        "data": {"name": source.name, "sha256": maps.rows.digest(source.sha256)},
        "target": given["depth"],
        "image": image,
        "table": choices,
        "depth": asdict(settings),
        "method": {"name": method.name, "parameters": params},
        "model": {"name": given["encoder"], "encoder": setup.network.shape},
        "label": label,
        "recipe": asdict(recipe),
        "versions": versions(),
    }
    if given["resume"]:
        check_same(folder, config)
    done = restore(setup, folder) if given["resume"] else 0
    notes(source.notes + maps.notes)
    if not given["resume"]:
        start_run(folder, config)
    trim_history(folder, done)
    with told_how_to_resume(folder):
        try:
            with warnings_told(maps.notes):
                run_epochs(setup, folder, done)
                _finish(source, frame, setup, settings, image, given["depth"], folder, label)
        except (InputError, OSError):
            if not given["resume"]:
                abandon_run(folder)
            raise


def _check_options(context: typer.Context) -> None:
    """Raise for options that mean nothing for maps, and for an index that does not name its images."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _TAKEN and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"--{name.replace('_', '-')} and --depth do not go together: leave one out")
    if len(context.params["image"] or []) != 1:
        raise InputError("--depth needs one --image COLUMN: images, of which the maps are to be predicted")


def _finish(
    source: "Source",
    frame: "pd.DataFrame",
    setup: "MapTraining",
    settings: Any,
    image: str,
    depth: str,
    folder: Path,
    label: str,
) -> None:
    """Evaluate on the test images and write what a finished run holds."""
    import numpy as np
    import pandas as pd

    from tailwise.cli.dense_tables import region_table
    from tailwise.cli.show import out as console
    from tailwise.metrics.depth import DepthErrors
    from tailwise.modalities.dense_model import MapModel
    from tailwise.modalities.map_files import MapFile, read_image
    from tailwise.report.dense_page import Example, dense_page
    from tailwise.runs import folder as run

    maps = setup.maps
    model = MapModel(image, depth, settings, setup.network, maps.shots).sized(maps.rows.size)
    lines = []
    errors = DepthErrors(maps.shots)
    with MapFile(folder / run.MAPS) as file:
        for part in ("val", "test"):
            places = maps.places(part)
            for place, pred in zip(places, model.predict(maps.rows, places), strict=True):
                truth = maps.rows.truths([place], masked=part == "test")[0]
                if part == "test":
                    errors.add(truth, pred)
                    file.add(f"row{place}", pred)
                known = ~np.isnan(truth)
                error = (pred[known] - truth[known]).astype(np.float64)
                lines.append(
                    {
                        "row": place,
                        "split": part,
                        "image": str(frame[image].iloc[place]),
                        "pixels": int(known.sum()),
                        "mae": np.abs(error).mean() if known.any() else np.nan,
                        "rmse": np.sqrt(np.square(error).mean()) if known.any() else np.nan,
                        "bias": error.mean() if known.any() else np.nan,
                    }
                )
    (folder / run.MODEL).mkdir(exist_ok=True)
    model.save(folder / run.MODEL)
    table = pd.DataFrame(lines)
    table.to_parquet(folder / run.PREDICTIONS, index=False)
    regions = errors.metrics(seed=setup.recipe.seed)
    run.write_json(folder / run.METRICS, {name: region.to_json() for name, region in regions.items()})
    ranked = table[(table["split"] == "test") & (table["pixels"] > 0)].sort_values("mae", kind="stable")
    shown = ranked.iloc[sorted({0, len(ranked) // 2, len(ranked) - 1})]
    with np.load(folder / run.MAPS) as predicted:
        examples = [
            Example(
                str(name),
                read_image(Path(maps.rows.images[place])),
                maps.rows.truths([place], masked=True)[0],
                predicted[f"row{place}"],
            )
            for name, place in zip(shown["image"], shown["row"], strict=True)
        ]
    page = dense_page(
        title=f"{depth} of {source.name}",
        target=depth,
        method=label,
        data=source.name,
        rows={part: len(maps.places(part)) for part in ("train", "val", "test")},
        split=maps.split,
        shots=maps.shots,
        regions=regions,
        examples=examples,
        history=run.read_history(folder),
        notes=source.notes + maps.notes,
    )
    (folder / run.REPORT).write_text(page, encoding="utf-8")
    run.finish_run(folder)
    title = f"{label}: errors on {len(maps.places('test')):,} test images"
    console.print(region_table(regions, title=title, unit=depth))
    console.print(f"report: {folder / run.REPORT}", highlight=False, markup=False, soft_wrap=True)
