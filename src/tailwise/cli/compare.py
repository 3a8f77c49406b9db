"""``tailwise compare``: methods and models on the same splits, and which differences are real."""

from pathlib import Path
from typing import Annotated

import typer

from tailwise._checks import one_of, whole
from tailwise.cli import media_options, options
from tailwise.cli.column_completion import complete_column, complete_table
from tailwise.cli.completion import complete_choice
from tailwise.cli.settings import parse_set, parse_targets
from tailwise.cli.table_choices import table_choices
from tailwise.compare.presets import PRESETS
from tailwise.modalities.encoder_names import AUTO

Tables = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="One or several tables, or example:NAME; DATA@TARGET for a table with a different target.",
        autocompletion=complete_table,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="Column to predict, for tables without @TARGET.",
        autocompletion=complete_column,
        rich_help_panel=options.ROWS,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Encoders and models, one or more: --model mlp tabm lightgbm.",
        show_default=AUTO,
        rich_help_panel=options.METHOD,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="Entry that the others are compared with, as 'MODEL METHOD'.",
        show_default="first model with first method",
        rich_help_panel=options.METHOD,
    ),
]
Sweep = Annotated[
    bool,
    typer.Option(
        "--sweep",
        help="Also vary the power of the weights from 0 to 1 (reweight+lds) on the first model: the trade-off between "
        "many and few.",
        rich_help_panel=options.METHOD,
    ),
]
PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="|".join(PRESETS),
        autocompletion=complete_choice(PRESETS),
        help="quick: 3 seeds, at most 5,000 rows, 40 epochs. standard: 5 seeds, at most 20,000 rows. thorough: 10 "
        "seeds, all rows, 120 epochs.",
        rich_help_panel=options.TRAINING,
    ),
]


@media_options.with_media_options
def compare(
    data: Tables,
    target: Target = None,
    method: Annotated[
        list[str] | None,
        options.methods(
            "Methods, one or more: -m vanilla sqinv+lds.", "vanilla, sqinv+lds; of networks, LightGBM and the stack"
        ),
    ] = None,
    model: Models = None,
    reference: Reference = None,
    sweep: Sweep = False,
    settings: Annotated[list[str] | None, options.settings("Parameter of a part, e.g. conr.window=2.0.")] = None,
    preset: PresetName = "quick",
    seeds: Annotated[int | None, options.seeds("Number of splits of each table.", "by preset")] = None,
    folds: options.Folds = None,
    epochs: Annotated[int | None, options.epochs("by preset")] = None,
    jobs: options.Jobs = 1,
    backend: options.Backend = "loky",
    out: Annotated[
        Path | None,
        options.out("Folder to write; by default runs/compare-DATA. Finished trainings in it are not run again."),
    ] = None,
    bin_width: options.BinWidth = None,
    group: options.Group = None,
    weight: options.Weight = None,
    time: options.Time = None,
    lags: options.Lags = None,
    rolling: options.Rolling = None,
    transform: options.TargetTransform = None,
    drop: options.Drop = None,
    nominal: options.Nominal = None,
    missing: options.Missing = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    date_order: options.DateOrder = None,
    media: media_options.Media | None = None,
    drop_missing_target: options.DropMissingTarget = False,
) -> None:
    """Train methods and models on the same splits, and report by region which differences are real.

    A difference is real if it is significant in a paired t test over the seeds, corrected for seeds that share rows
    and, by Holm's method, for the number of comparisons; otherwise the verdict is no difference. With --time the seeds
    test the last 15 % of the rows, the 15 % before these, and so on, always with models of earlier rows.

    Example:  tailwise compare houses.csv -t price -m vanilla sqinv+lds rrt+lds --model mlp-ple lightgbm
    """
    from tailwise._files import write_text
    from tailwise._parallel import check_parallel
    from tailwise.cli.show_comparison import print_comparison
    from tailwise.cli.show_progress import follow
    from tailwise.compare.compared_scores import WHERE
    from tailwise.compare.comparison import compare_grid
    from tailwise.compare.comparison_folder import PAGE, open_comparison, write_comparison
    from tailwise.compare.conclusions import conclusions, of_tables
    from tailwise.compare.entries import DEFAULT_METHODS, DEFAULT_MODELS, entries_of
    from tailwise.compare.grid import read_cell, run_grid
    from tailwise.compare.plan import plan_cells
    from tailwise.report.compare_page import compare_page
    from tailwise.runs.lock import locked

    cost = PRESETS[one_of(preset, "--preset", PRESETS)]
    check_parallel(jobs, backend)
    recipe = {**cost.recipe, **({} if epochs is None else {"epochs": whole(epochs, "--epochs", least=1)})}
    in_columns = not any((media or {}).values())
    models = model or ([AUTO] if method or settings or not in_columns else DEFAULT_MODELS)
    entries = entries_of(
        method or DEFAULT_METHODS,
        models,
        settings=parse_set(settings or []),
        recipe=recipe,
        sweep=sweep,
        lightgbm=in_columns,
        transform=transform,
    )
    names = [entry.name for entry in entries]
    base = names[0] if reference is None else one_of(reference, "--reference", names)
    choices = table_choices(
        bin_width=bin_width,
        group=group,
        weight=weight,
        time=time,
        lags=lags,
        rolling=rolling,
        drop=drop,
        nominal=nominal,
        missing=missing,
        decimal=decimal,
        thousands=thousands,
        date_order=date_order,
        drop_missing_target=drop_missing_target,
    )
    choices |= media or {}
    n_seeds = cost.seeds if seeds is None else seeds
    tables = parse_targets(data, target)
    cells = plan_cells(tables, entries, choices=choices, seeds=n_seeds, folds=folds, rows=cost.rows)
    folder = out or Path("runs") / f"compare-{cells[0].table}"
    with locked(folder):
        results_folder = open_comparison(folder)
        known = sum(read_cell(cell, results_folder) is not None for cell in cells)
        results = follow(run_grid(cells, results_folder, jobs=jobs, backend=backend), cells, jobs=jobs, known=known)
        comparison = compare_grid(results, base, folder=results_folder)
        write_comparison(comparison, folder)
        page = compare_page(
            comparison,
            comparison.title,
            conclusions=conclusions(comparison, undecided=False),
            of_tables=of_tables(comparison, undecided=False),
            scores=WHERE,
        )
        write_text(folder / PAGE, page)
    print_comparison(comparison, trainings=len(results), page=folder / PAGE)
