"""``tailwise predict`` and ``tailwise evaluate`` of a run on maps."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tailwise._checks import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from tailwise.modalities.dense_model import MapModel

_INDEX = "predictions.csv"


def predict_maps(model: "MapModel", data: str, out: Path, *, overwrite: bool, interval: float | None) -> None:
    """Write a map for each image of a table into a new folder, and a table of their paths."""
    import numpy as np

    from tailwise.cli.dense_tables import index_table
    from tailwise.cli.show import out as console
    from tailwise.modalities.dense import open_rows

    if interval is not None:
        raise InputError("a run on maps has no intervals; leave out --interval")
    if out.suffix.lower() in (".csv", ".tsv", ".parquet"):
        raise InputError(f"the run predicts maps, which go to a folder; --out must name one, got {str(out)!r}")
    if not out.absolute().parent.is_dir():
        raise InputError(f"no folder {str(out.parent)!r} to write {out.name!r} into")
    if out.exists() and not overwrite:
        raise InputError(f"{str(out)!r} exists already; choose another --out, or pass --overwrite")
    if out.exists() and not _holds_predictions(out):
        raise InputError(
            f"{str(out)!r} holds something else than predicted maps, so it is not replaced; choose another --out"
        )
    source, frame = index_table(data)
    _require(frame, model.image)
    rows = open_rows(frame, source.folder, model.image, None, model.settings)
    fresh = out.with_name(out.name + ".new")
    if fresh.exists():
        raise InputError(f"{str(fresh)!r} is in the way; remove it")
    fresh.mkdir()
    try:
        names = [f"{i:06d}.npy" for i in range(len(rows))]
        for name, pred in zip(names, model.predict(rows), strict=True):
            np.save(fresh / name, pred)
        frame[[model.image]].assign(row=range(len(names)), prediction=names).to_csv(fresh / _INDEX, index=False)
        if out.exists():
            shutil.rmtree(out)
        fresh.rename(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    console.print(f"{len(rows):,} maps: {out}", highlight=False, markup=False, soft_wrap=True)


def evaluate_maps(model: "MapModel", data: str, out: Path | None, *, seed: int) -> None:
    """Show errors by region on a table of images with maps; masks count where the run had some."""
    from tailwise._files import write_json
    from tailwise.cli.dense_tables import index_table, region_table
    from tailwise.cli.show import out as console
    from tailwise.metrics.depth import DepthErrors
    from tailwise.modalities.dense import open_rows

    source, frame = index_table(data)
    for column in (model.image, model.depth, model.settings.mask):
        if column is not None:
            _require(frame, column)
    rows = open_rows(frame, source.folder, model.image, model.depth, model.settings)
    errors = DepthErrors(model.shots)
    for i, pred in enumerate(model.predict(rows)):
        errors.add(rows.truths([i], masked=True)[0], pred)
    regions = errors.metrics(seed=seed)
    if out is not None:
        write_json(out, {name: region.to_json() for name, region in regions.items()})
    console.print(region_table(regions, title=f"errors on {len(rows):,} images", unit=model.depth))


def _holds_predictions(folder: Path) -> bool:
    """Whether there is nothing in a folder but what this command writes."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return _INDEX in names and all(re.fullmatch(r"\d{6,}\.npy", name) for name in names - {_INDEX})


def _require(frame: "pd.DataFrame", column: str) -> None:
    if column not in frame:
        raise InputError(
            f"the table lacks the column {column!r} the model was trained on{did_you_mean(column, map(str, frame))}"
        )
