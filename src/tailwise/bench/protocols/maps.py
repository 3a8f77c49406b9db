"""Train cells whose target is a dense map: as :mod:`tailwise.bench.grid` does those of tables."""

import json
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.bench.grid import Cell, plain_cell
from tailwise.run import write_json

DEPTH = "depth"


def run_maps(
    cells: Iterable[Cell], folder: Path, *, jobs: int = 1, backend: str = "loky"
) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Run the cells that are missing and give every cell's result; see :func:`tailwise.bench.grid.run_grid`.

    Pixels are predicted anew by who wants them: a result holds metrics alone.

    Args:
        cells: what to train.
        folder: where results are; a cell whose settings are those of the file there is not run again.
        jobs: trainings at once, each with one thread if there are several.
        backend: of joblib.
    """
    from joblib import Parallel, delayed, parallel_config

    missing = []
    for cell in cells:
        known = read_map_cell(cell, folder)
        if known is None:
            missing.append(cell)
        else:
            yield cell, known
    threads = {"inner_max_num_threads": 1} if backend == "loky" and jobs > 1 else {}
    with parallel_config(backend=backend, n_jobs=jobs, **threads):
        yield from Parallel(return_as="generator_unordered")(delayed(_run)(cell, folder) for cell in missing)


def read_map_cell(cell: Cell, folder: Path) -> dict[str, Any] | None:
    """The result of a cell that was run with the same settings, if there is one."""
    try:
        known: dict[str, Any] = json.loads(cell.file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if known.get("cell") == plain_cell(cell) else None


def _run(cell: Cell, folder: Path) -> tuple[Cell, dict[str, Any]]:
    """Train one cell and write its result; of a failure only say it, so that the other cells go on."""
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = _trained(cell)
    except InputError as error:
        return cell, {"cell": plain_cell(cell), "error": str(error)}
    except Exception as error:  # a defect of one cell must not lose the hours of the others
        return cell, {"cell": plain_cell(cell), "error": f"{type(error).__name__}: {error}"}
    cell.file(folder).parent.mkdir(parents=True, exist_ok=True)
    result = {"cell": plain_cell(cell), **result, "seconds": time.perf_counter() - started}
    write_json(cell.file(folder), result)
    return cell, result


def _trained(cell: Cell) -> dict[str, Any]:
    from tailwise.data.dense import MapSettings, prepare_maps
    from tailwise.data.prepare import load_source
    from tailwise.metrics.depth import DepthErrors
    from tailwise.training.dense import map_method, map_training, predicted_maps
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
