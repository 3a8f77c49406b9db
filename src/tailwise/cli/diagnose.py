"""``tailwise diagnose``: whether a target is imbalanced, where it hurts, and what to do next."""

from pathlib import Path
from typing import Annotated

import typer

from tailwise._checks import InputError
from tailwise.cli import media_options

_ROWS, _COLUMNS, _OUTPUT = "Target and rows", "Columns", "Output"


@media_options.with_media_options
def diagnose(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A CSV, TSV or Parquet file, or example:NAME.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Column to predict.", rich_help_panel=_ROWS)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Also write everything to this JSON file.", rich_help_panel=_OUTPUT),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write a page with charts to this file.", rich_help_panel=_OUTPUT),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files in --out and --html.", rich_help_panel=_OUTPUT)
    ] = False,
    bin_width: Annotated[
        float | None,
        typer.Option(
            "--bin-width",
            help="Width of the target's bins, in its units.",
            show_default="by rule",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    bins: Annotated[
        int | None,
        typer.Option(
            "--bins", help="Number of bins of equal width instead.", show_default="by rule", rich_help_panel=_ROWS
        ),
    ] = None,
    shots: Annotated[
        str | None,
        typer.Option(
            "--shots",
            metavar="MANY,FEW",
            help="Rows a bin above which it is many-shot, below which few-shot.",
            show_default="n/122,n/610, at least 10,2",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="Column whose groups (patients, engines) no fold splits.", rich_help_panel=_ROWS),
    ] = None,
    drop_missing_target: Annotated[
        bool,
        typer.Option(
            "--drop-missing-target",
            help="Drop rows whose target is empty instead of refusing them.",
            rich_help_panel=_ROWS,
        ),
    ] = False,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="COLUMN", help="Leave a column out. Repeatable.", rich_help_panel=_COLUMNS),
    ] = None,
    nominal: Annotated[
        list[str] | None,
        typer.Option(
            "--nominal",
            metavar="COLUMN",
            help="Take a column as categories, e.g. a code. Repeatable.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    numeric: Annotated[
        list[str] | None,
        typer.Option(
            "--numeric", metavar="COLUMN", help="Take a column as numbers. Repeatable.", rich_help_panel=_COLUMNS
        ),
    ] = None,
    date: Annotated[
        list[str] | None,
        typer.Option("--date", metavar="COLUMN", help="Take a column as dates. Repeatable.", rich_help_panel=_COLUMNS),
    ] = None,
    media: media_options.Media | None = None,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Skip the quick cross-validated model that shows where it hurts.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of folds, samples and bootstrap.")] = 0,
) -> None:
    """Show how imbalanced a target is, where a quick model errs, what is odd about the table, and what to do next.

    Nothing is trained but a small boosted model on at most 20,000 rows.

    Example:  tailwise diagnose houses.csv --target price --html diagnosis.html
    """
    from tailwise.cli.diagnosis import print_advice, summary
    from tailwise.cli.settings import parse_shots
    from tailwise.cli.show import notes
    from tailwise.cli.show import out as console
    from tailwise.data.source import load_source
    from tailwise.diagnose import diagnose as diagnose_table
    from tailwise.runs.folder import write_json

    _check_file(out, "--out", ".json", overwrite=overwrite)
    _check_file(html, "--html", ".html", overwrite=overwrite)
    thresholds = parse_shots(shots)
    source = load_source(data)
    found = diagnose_table(
        source.rows.frame(),
        target,
        bin_width=bin_width,
        n_bins=bins,
        shots=thresholds,
        drop=drop or [],
        nominal=nominal or [],
        numeric=numeric or [],
        date=date or [],
        **(media or {}),
        drop_missing_target=drop_missing_target,
        group=group,
        seed=seed,
        quick_model=not no_model,
        data=data,
    )
    notes([*source.notes, *found.notes])
    if out is not None:
        write_json(out, {"data": {"name": source.name, "sha256": source.sha256}, **found.to_json()})
    if html is not None:
        from tailwise.report.diagnosis_page import diagnosis_page

        html.write_text(diagnosis_page(found, source.name), encoding="utf-8")
    console.print(summary(found, source.name, plain=not console.encoding.lower().startswith("utf")))
    print_advice(found, console)
    if out is not None:
        console.print(f"everything: {out}", highlight=False, markup=False, soft_wrap=True)
    if html is not None:
        console.print(f"page: {html}", highlight=False, markup=False, soft_wrap=True)


def _check_file(path: Path | None, option: str, suffix: str, *, overwrite: bool) -> None:
    """Raise unless a file may be written here."""
    if path is None:
        return
    if path.is_dir() or path.suffix.lower() != suffix:
        raise InputError(f"{option} must name a {suffix} file, got {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"no folder {str(path.parent)!r} to write {path.name!r} into")
    if path.exists() and not overwrite:
        raise InputError(f"{str(path)!r} exists; pass --overwrite to replace it")
