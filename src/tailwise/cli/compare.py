"""``tailwise compare``: methods and models on the same splits, and which differences are real."""

from pathlib import Path
from typing import Annotated

from tailwise._checks import one_of, whole
from tailwise.cli import compare_options, media_options, options
from tailwise.cli.settings import parse_set, parse_targets
from tailwise.cli.table_choices import if_given, table_choices
from tailwise.compare.presets import PRESETS
from tailwise.modalities.encoder_names import AUTO


@media_options.with_media_options
def compare(
    data: compare_options.Tables,
    target: compare_options.Target = None,
    method: Annotated[
        list[str] | None,
        options.methods(
            "Methods, one or more: -m vanilla sqinv+lds.", "vanilla, sqinv+lds; of networks, LightGBM and the stack"
        ),
    ] = None,
    model: compare_options.Models = None,
    reference: compare_options.Reference = None,
    sweep: compare_options.Sweep = False,
    settings: Annotated[list[str] | None, options.settings("Parameter of a part, e.g. conr.window=2.0.")] = None,
    preset: compare_options.PresetName = "quick",
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
    split: options.Split = "auto",
    test: options.TestFile = None,
    valid: options.ValidFile = None,
    group: options.Group = None,
    weight: options.Weight = None,
    time: options.Time = None,
    lags: options.Lags = None,
    rolling: options.Rolling = None,
    transform: options.TargetTransform = None,
    censored_below: options.CensoredBelow = None,
    censored_above: options.CensoredAbove = None,
    drop: options.Drop = None,
    nominal: options.Nominal = None,
    numeric: options.Numeric = None,
    date: options.Date = None,
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
    test the last 15 % of the rows, the 15 % before these, and so on, always with models of earlier rows. With --test or
    a column that splits all seeds test the same rows.

    Example:  tailwise compare houses.csv -t price -m vanilla sqinv+lds rrt+lds --model mlp-ple lightgbm
    """
    from tailwise._files import write_text
    from tailwise._parallel import check_parallel
    from tailwise.cli.flags import with_flags
    from tailwise.cli.show import notes
    from tailwise.cli.show_comparison import print_comparison
    from tailwise.cli.show_progress import follow
    from tailwise.compare.compared_scores import WHERE
    from tailwise.compare.comparison import compare_grid
    from tailwise.compare.comparison_folder import PAGE, open_comparison, write_comparison
    from tailwise.compare.conclusions import conclusions, of_tables
    from tailwise.compare.entries import default_methods, default_models, entries_of
    from tailwise.compare.grid import read_cell, run_grid
    from tailwise.compare.plan import notes_on_tables, plan_cells
    from tailwise.report.compare_page import compare_page
    from tailwise.runs.lock import locked

    cost = PRESETS[one_of(preset, "--preset", PRESETS)]
    check_parallel(jobs, backend)
    recipe = {**cost.recipe, **({} if epochs is None else {"epochs": whole(epochs, "--epochs", least=1)})}
    in_columns = not any((media or {}).values())
    limits = if_given(censored_below=censored_below, censored_above=censored_above)
    models = model or ([AUTO] if method or settings or not in_columns else default_models(censored=bool(limits)))
    entries = entries_of(
        method or default_methods(censored=bool(limits)),
        models,
        settings=parse_set(settings or []),
        recipe=recipe,
        sweep=sweep,
        lightgbm=in_columns and not limits,
        transform=transform,
        limits=limits,
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
    choices |= table_choices(test=test, valid=valid, **if_given(numeric=numeric, date=date)) | (media or {})
    choices |= {} if split == "auto" else {"split": split}  # a folder from before has the same choices
    n_seeds = cost.seeds if seeds is None else seeds
    tables = parse_targets(data, target)
    cells = plan_cells(tables, entries, choices=choices, seeds=n_seeds, folds=folds, rows=cost.rows)
    folder = out or Path("runs") / f"compare-{cells[0].table}"
    on_tables = notes_on_tables(cells)
    with locked(folder):
        results_folder = open_comparison(folder)
        notes(on_tables)
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
            notes=[with_flags(note) for note in on_tables],
        )
        write_text(folder / PAGE, page)
    print_comparison(comparison, trainings=len(results), page=folder / PAGE)
