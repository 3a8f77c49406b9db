"""``tailwise diagnose``: how imbalanced a target is, where a quick model errs, and what to do next."""

from pathlib import Path
from typing import Annotated

import typer

from tailwise.cli import media_options, options
from tailwise.cli.table_choices import table_choices

Html = Annotated[
    Path | None,
    typer.Option("--html", help="Also write a page with charts to this file.", rich_help_panel=options.OUTPUT),
]
NoModel = Annotated[
    bool,
    typer.Option(
        "--no-model",
        help="Skip the quick cross-validated model that shows where errors are large.",
        rich_help_panel=options.TRAINING,
    ),
]


@media_options.with_media_options
def diagnose(
    data: options.DataOrParts,
    target: options.Target,
    out: Annotated[Path | None, options.out("Also write everything to this JSON file.")] = None,
    html: Html = None,
    overwrite: options.Overwrite = False,
    bin_width: options.BinWidth = None,
    bins: options.Bins = None,
    shots: options.Shots = None,
    group: options.Group = None,
    weight: options.Weight = None,
    drop_missing_target: options.DropMissingTarget = False,
    drop: options.Drop = None,
    nominal: options.Nominal = None,
    numeric: options.Numeric = None,
    date: options.Date = None,
    missing: options.Missing = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    date_order: options.DateOrder = None,
    media: media_options.Media | None = None,
    no_model: NoModel = False,
    seed: options.Seed = 0,
) -> None:
    """Show how imbalanced a target is, where a quick model errs, problems of the table, and what to do next.

    Only a small boosted model is trained, on at most 20,000 rows.

    Example:  tailwise diagnose houses.csv --target price --html diagnosis.html
    """
    from dataclasses import replace

    from tailwise._files import write_json, write_text
    from tailwise.cli.out_file import check_out_file
    from tailwise.cli.show import notes, print_line
    from tailwise.cli.show import out as console
    from tailwise.cli.show_diagnosis import print_advice, summary
    from tailwise.data.source_parts import load_whole
    from tailwise.diagnose import diagnose as diagnose_table

    check_out_file(out, "--out", ".json", overwrite=overwrite)
    check_out_file(html, "--html", ".html", overwrite=overwrite)
    choices = table_choices(
        bin_width=bin_width,
        bins=bins,
        shots=shots,
        drop=drop,
        nominal=nominal,
        numeric=numeric,
        date=date,
        missing=missing,
        decimal=decimal,
        thousands=thousands,
        date_order=date_order,
        drop_missing_target=drop_missing_target,
        group=group,
        weight=weight,
        seed=seed,
    )
    choices |= media or {}
    source = load_whole(data, text=nominal or ())
    diagnosis = diagnose_table(source.rows.frame(), target, **choices, quick_model=not no_model, data=data)
    diagnosis = replace(diagnosis, notes=(*source.notes, *diagnosis.notes))
    notes(list(diagnosis.notes))
    if out is not None:
        write_json(out, {"data": {"name": source.name, "sha256": source.sha256}, **diagnosis.to_json()})
    if html is not None:
        from tailwise.report.diagnosis_page import diagnosis_page

        write_text(html, diagnosis_page(diagnosis, source.name))
    console.print(summary(diagnosis, source.name, plain=not console.encoding.lower().startswith("utf")))
    print_advice(diagnosis, console)
    if out is not None:
        print_line(f"everything: {out}")
    if html is not None:
        print_line(f"page: {html}")
