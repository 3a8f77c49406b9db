"""Train cells whose target is a dense map: as :mod:`tailwise.compare.grid` does those of tables."""

from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.compare.cell import Cell
from tailwise.compare.grid import run_with

DEPTH = "depth"


def run_map_cell(cell: Cell, folder: Path) -> tuple[Cell, dict[str, Any]]:
    """Train one cell and write its result, metrics alone: pixels are predicted anew by who wants them."""
    return run_with(_trained, cell, folder)


def _trained(cell: Cell) -> dict[str, Any]:
    from tailwise.data.source import load_source
    from tailwise.metrics.depth import DepthErrors
    from tailwise.modalities.dense import MapSettings, prepare_maps
    from tailwise.modalities.dense_training import map_method, map_training, predicted_maps
    from tailwise.training.recipe import Recipe

    source = load_source(cell.data)
    if cell.sha256 != source.sha256:
        raise InputError(f"{cell.data!r} has changed since the run began; run it again")
    choices = dict(cell.choices)
    settings = MapSettings.of(choices.pop(DEPTH))
    (image,) = choices.pop("image")
    folder = Path(choices.pop("folder"))
    frame = source.rows.frame()
    maps = prepare_maps(frame, folder, image, cell.target, settings=settings, seed=cell.seed, **choices)
    method, _ = map_method(cell.entry.method, cell.entry.method_params)
    recipe = Recipe(seed=cell.seed, **cell.entry.recipe)
    setup = map_training(maps, method, recipe, cell.entry.encoder, augment=settings.augment)
    epochs = sum(1 for _ in setup.epochs())
    errors, places = DepthErrors(maps.shots), maps.places("test")
    setup.network.eval()
    for place, pred in zip(places, predicted_maps(setup.network, maps.rows, places), strict=True):
        errors.add(maps.rows.truths([place], masked=True)[0], pred)
    return {
        "metrics": {
            name: {"n": region.n, **{key: value.value for key, value in region.metrics.items()}}
            for name, region in errors.metrics(resamples=0).items()
        },
        "rows": {part: len(maps.places(part)) for part in ("train", "val", "test")},
        "epochs": epochs,
    }
