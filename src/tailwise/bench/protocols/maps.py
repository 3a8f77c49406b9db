"""Train cells whose target is a dense map: as :mod:`tailwise.compare.grid` does those of tables."""

from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.compare.cell import Cell
from tailwise.compare.grid import run_with
from tailwise.modalities.map_schema import DEPTH, MapSettings


def run_map_cell(cell: Cell, folder: Path) -> tuple[Cell, dict[str, Any]]:
    """Train one cell and write its result: metrics alone, because predicted maps would fill the disk."""
    return run_with(_trained, cell, folder)


def _trained(cell: Cell) -> dict[str, Any]:
    from tailwise.data.source import load_source
    from tailwise.experiment.evaluate import evaluate
    from tailwise.experiment.fit import fit
    from tailwise.modalities.map_task import prepare_maps

    source = load_source(cell.data)
    if cell.sha256 != source.sha256:
        raise InputError(f"{cell.data!r} has changed since the run began; run it again")
    choices = dict(cell.choices)
    settings = MapSettings.of(choices.pop(DEPTH))
    (image,) = choices.pop("image")
    folder = Path(choices.pop("folder"))
    task = prepare_maps(source.rows.frame(), folder, image, cell.target, settings=settings, seed=cell.seed, **choices)
    epochs: list[Any] = []
    model = fit(task, cell.entry.with_recipe(seed=cell.seed), on_epoch=epochs.append)
    regions = evaluate(model, task).regions(resamples=0)
    return {
        "metrics": {
            name: {"n": region.n, **{key: value.value for key, value in region.metrics.items()}}
            for name, region in regions.items()
        },
        "rows": task.sizes(),
        "epochs": len(epochs),
    }
