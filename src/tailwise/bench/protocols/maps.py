"""Train cells whose target is a dense map: as :mod:`tailwise.compare.grid` does those of tables."""

from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.compare.grid import Cell, run_with
from tailwise.modalities.map_schema import DEPTH, MapSettings


def run_map_cell(cell: Cell, folder: Path) -> tuple[Cell, dict[str, Any]]:
    """Train one cell and write its result: metrics alone, because predicted maps would fill the disk."""
    return run_with(_trained, cell, folder)


def _trained(cell: Cell) -> dict[str, Any]:
    from tailwise.data.source import load_source
    from tailwise.modalities.map_evaluation import evaluate_part
    from tailwise.modalities.map_method import map_method
    from tailwise.modalities.map_model import MapModel
    from tailwise.modalities.map_task import prepare_maps
    from tailwise.modalities.map_training import start
    from tailwise.training.recipe import Recipe

    source = load_source(cell.data)
    if cell.sha256 != source.sha256:
        raise InputError(f"{cell.data!r} has changed since the run began; run it again")
    choices = dict(cell.choices)
    settings = MapSettings.of(choices.pop(DEPTH))
    (image,) = choices.pop("image")
    folder = Path(choices.pop("folder"))
    task = prepare_maps(source.rows.frame(), folder, image, cell.target, settings=settings, seed=cell.seed, **choices)
    method, _ = map_method(cell.entry.method, cell.entry.method_params)
    fitting = start(task, method, Recipe(seed=cell.seed, **cell.entry.recipe), encoder=cell.entry.encoder)
    epochs = sum(1 for _ in fitting.epochs())
    regions = evaluate_part(MapModel.of(task, fitting.predictor), task, "test").regions(resamples=0)
    return {
        "metrics": {
            name: {"n": region.n, **{key: value.value for key, value in region.metrics.items()}}
            for name, region in regions.items()
        },
        "rows": task.sizes(),
        "epochs": epochs,
    }
