"""``tailwise export``: the network of a finished run as a file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from tailwise.cli import options


def export(
    run: options.Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write, .onnx or .pt2 (torch.export).")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Rows to compare the file's predictions with those of the run on.",
            show_default="drawn from the training ranges",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write the network of a run, with the preprocessing of its columns, for programs without tailwise.

    The file takes numbers, missing ones as NaN, and codes of categories, whose lists it holds. Its predictions are
    compared with those of the run before it is written. Stacks and trees are no networks: serve them.

    Example:  tailwise export runs/demo demo.onnx
    """
    from tailwise._checks import InputError
    from tailwise.cli.out_file import check_parent
    from tailwise.cli.show import notes, print_line
    from tailwise.data.source import load_source
    from tailwise.deploy.export import SUFFIXES
    from tailwise.deploy.export import export as write
    from tailwise.experiment.model import FittedModel
    from tailwise.modalities.map_model import is_map_model
    from tailwise.runs.folder import MODEL, open_run

    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"FILE must end in .onnx or .pt2, got {str(file)!r}")
    check_parent(file)
    if file.is_dir() or (file.exists() and not overwrite):
        raise InputError(f"{str(file)!r} exists; pass --overwrite to replace it, or choose another name")
    folder = open_run(run) / MODEL
    if is_map_model(folder):
        raise InputError("a run on maps cannot be exported; predict with it")
    model = FittedModel.load(folder)
    source = None if data is None else load_source(data, text=model.schema.text_columns)
    notes([] if source is None else source.notes)
    exported = write(model, file, rows=None if source is None else source.rows.frame())
    print_line(
        f"{file}: predictions on {exported.rows:,} rows differ from the run's by at most {exported.difference:.2g}"
    )
