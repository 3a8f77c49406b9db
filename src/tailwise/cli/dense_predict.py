"""``tailwise predict`` and ``tailwise evaluate`` of a run on maps."""

from pathlib import Path
from typing import TYPE_CHECKING

from tailwise._checks import InputError

if TYPE_CHECKING:
    from tailwise.modalities.map_model import MapModel


def predict_maps(model: "MapModel", data: str, out: Path, *, overwrite: bool, interval: float | None) -> None:
    """Write a map for each image of a table into a new folder, and a table of their paths."""
    from tailwise.cli.show import out as console
    from tailwise.data.source import load_source
    from tailwise.modalities.map_store import check_map_folder, write_map_folder

    if interval is not None:
        raise InputError("a run on maps has no intervals; leave out --interval")
    if out.suffix.lower() in (".csv", ".tsv", ".parquet"):
        raise InputError(f"the run predicts maps, which go to a folder; --out must name one, got {str(out)!r}")
    check_map_folder(out, overwrite=overwrite)
    source = load_source(data)
    frame = source.rows.frame()
    rows = model.rows(frame, source.folder, maps=False)
    write_map_folder(out, frame[[model.schema.image]], model.predict(rows))
    console.print(f"{len(rows):,} maps: {out}", highlight=False, markup=False, soft_wrap=True)


def evaluate_maps(model: "MapModel", data: str, out: Path | None, *, seed: int) -> None:
    """Show errors by region on a table of images with maps; masks count if the run had masks."""
    from tailwise._files import write_json
    from tailwise.cli.dense_tables import region_table
    from tailwise.cli.show import out as console
    from tailwise.data.source import load_source
    from tailwise.modalities.map_evaluation import evaluate_maps as evaluate

    source = load_source(data)
    rows = model.rows(source.rows.frame(), source.folder, maps=True)
    regions = evaluate(model, rows).regions(seed=seed)
    if out is not None:
        write_json(out, {name: region.to_json() for name, region in regions.items()})
    console.print(region_table(regions, title=f"errors on {len(rows):,} images", unit=model.schema.target))
