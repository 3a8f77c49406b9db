"""``tailwise evaluate``: errors of a finished run on new rows with a target."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A CSV, TSV or Parquet file, or example:NAME.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the metrics to this JSON file.")] = None,
    ignore_extra: Annotated[
        bool, typer.Option("--ignore-extra", help="Allow columns that the model was not trained on.")
    ] = False,
    drop_missing_target: Annotated[
        bool, typer.Option("--drop-missing-target", help="Drop rows whose target is empty instead of refusing them.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
) -> None:
    """Show errors by region on a table that has the target.

    Regions are those of the run's training rows. On rows the run was trained on, errors look smaller than they are.
    """
    from tailwise._checks import InputError
    from tailwise.cli.dense_predict import evaluate_maps
    from tailwise.cli.show import notes, region_table
    from tailwise.cli.show import out as console
    from tailwise.data.source import load_source
    from tailwise.data.targets import target_rows
    from tailwise.experiment.model import TableModel
    from tailwise.metrics.regions import region_metrics
    from tailwise.modalities.map_model import MapModel, is_map_model
    from tailwise.modalities.media_rows import with_full_paths
    from tailwise.runs.folder import MODEL, open_run, write_json

    if seed < 0:
        raise InputError(f"--seed must be at least 0, got {seed}")
    if out is not None and (out.is_dir() or out.suffix.lower() != ".json"):
        raise InputError(f"--out must name a .json file, got {str(out)!r}")
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(f"no folder {str(out.parent)!r} to write {out.name!r} into")
    if is_map_model(open_run(run) / MODEL):
        return evaluate_maps(MapModel.load(run / MODEL), data, out, seed=seed)
    model = TableModel.load(open_run(run) / MODEL)
    source = load_source(data)
    model.schema.check(source.rows.columns, ignore_extra=ignore_extra)
    rows = with_full_paths(source.rows, model.schema, source.folder)
    notes(source.notes)
    target, targets = model.schema.target, model.schema.targets
    y, there = target_rows(rows.frame(), targets, drop=drop_missing_target)
    frame = rows.frame()[there]
    if frame.empty:
        raise InputError(f"the table has no row with a target {target!r}")
    regions = region_metrics(
        y, model.predict(frame, ignore_extra=ignore_extra), model.shots, relevance=model.relevance, seed=seed
    )
    if out is not None:
        write_json(out, {name: region.to_json() for name, region in regions.items()})
    title = f"errors on {len(y):,} rows"
    console.print(region_table(regions, title=title, unit=target, several=len(targets) > 1))
