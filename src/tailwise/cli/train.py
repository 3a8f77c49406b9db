"""``tailwise train``: from a table to a finished run folder."""

import shlex
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise.cli import media_options, options
from tailwise.cli.wanted import maps_wanted, table_wanted
from tailwise.modalities.encoder_names import AUTO
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tailwise.report.against import OtherRun

_DEFAULT = Recipe()
_SETTINGS = (
    "Parameter of a part, e.g. conr.window=2.0; of the model or encoder, e.g. model.num_leaves=63, encoder.dropout=0.2."
)


@media_options.with_media_options
def train(
    context: typer.Context,
    data: options.DataOrFolder,
    target: options.Targets = None,
    quality: options.Quality = None,
    method: options.Method = None,
    settings: Annotated[list[str] | None, options.settings(_SETTINGS)] = None,
    model: options.Model = "network",
    encoder: options.Encoder = AUTO,
    out: Annotated[
        Path | None, options.out("Run folder to write; by default runs/TARGET, then runs/TARGET-2, ...")
    ] = None,
    against: options.Against = None,
    track: options.Track = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    bin_width: options.BinWidth = None,
    bins: options.Bins = None,
    shots: options.Shots = None,
    split: options.Split = "auto",
    split_column: options.SplitColumn = None,
    test: options.TestFile = None,
    valid: options.ValidFile = None,
    group: options.Group = None,
    split_key: options.SplitKey = None,
    weight: options.Weight = None,
    target_weight: options.TargetWeight = None,
    time: options.Time = None,
    lags: options.Lags = None,
    rolling: options.Rolling = None,
    drop: options.Drop = None,
    nominal: options.Nominal = None,
    numeric: options.Numeric = None,
    date: options.Date = None,
    missing: options.Missing = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    date_order: options.DateOrder = None,
    media: media_options.Media | None = None,
    depth: options.Depth = None,
    mask_target: options.MaskTarget = None,
    drop_missing_target: options.DropMissingTarget = False,
    epochs: Annotated[int | None, options.epochs()] = None,
    batch_size: options.BatchSize = _DEFAULT.batch_size,
    lr: options.LearningRate = None,
    patience: options.Patience = _DEFAULT.patience,
    criterion: options.Criterion = _DEFAULT.criterion,
    balance: options.Balance = None,
    within: options.Within = 0.0,
    transform: options.TargetTransform = None,
    censored_below: options.CensoredBelow = None,
    censored_above: options.CensoredAbove = None,
    jobs: options.Workers = None,
    backend: options.Backend = "loky",
    time_limit: options.TimeLimit = None,
    seed: options.Seed = _DEFAULT.seed,
    device: options.Device = _DEFAULT.device,
    precision: options.Precision = _DEFAULT.precision,
) -> None:
    """Train a model on a table and write a run folder with errors by region and a report.

    The target's rows are counted by bin: where a bin has many training rows, few, or none, errors are reported apart.

    Example:  tailwise train houses.csv --target price --method sqinv+lds+conr --set conr.window=50000
    """
    from tailwise.cli.flags import with_flags
    from tailwise.cli.show import err, notes, warnings_as_notes, warnings_shown
    from tailwise.tracking.tracker import tracker_named

    if track is not None:
        tracker_named(track)
    with warnings_as_notes() as warned:
        wanted = maps_wanted(context) if depth is not None else table_wanted(context, media or {})
    from tailwise.cli.launch import hint_at_resume, is_main  # from here on the mistakes of the command line are known
    from tailwise.data.source import load_source
    from tailwise.distributed import main_first, on_main
    from tailwise.experiment.fit import start
    from tailwise.runs.folder import CACHE
    from tailwise.runs.other_run import read_other
    from tailwise.runs.plans import plan_of
    from tailwise.runs.training import RunInProgress
    from tailwise.training.epoch_bar import epoch_bar

    experiment, label = wanted.experiment, wanted.label
    with ExitStack() as claimed:
        folder = on_main(lambda: claimed.enter_context(wanted.folder(out, overwrite=overwrite, resume=resume)))
        cache = folder / CACHE if depth is None else None
        source = main_first(lambda: load_source(data, cache, text=nominal or ()))
        task = wanted.prepare(source)
        task = replace(task, notes=[with_flags(note) for note in task.notes])  # the page shows them too
        other = None if against is None else read_other(against, task)
        with warnings_as_notes() as also:
            running = start(task, experiment)
        task.notes.extend(dict.fromkeys(warned + also))
        plan = plan_of(running, label=label, other=other)
        run = RunInProgress(folder, plan, resume=resume, overwrite=overwrite)
        notes(task.notes)
        with run, hint_at_resume(folder), warnings_shown(task.notes), epoch_bar(err) as bar:
            evaluation = _trained(run, bar.show, track, str(folder), plan.config)
    if is_main():
        _show_errors(evaluation, task, label, folder, other, seed)


def _trained(run: Any, show: Any, track: str | None, folder: str, config: "Mapping[str, Any]") -> Any:
    """Train in a run folder and return the evaluation; keep epochs and errors in a store too, if one is named."""
    from tailwise.cli.launch import is_main
    from tailwise.tracking.tracker import tracked

    if track is None or not is_main():
        return run.train(show)
    left_out = ("columns", "versions")
    settings = {"run_folder": str(Path(folder).absolute())} | {k: v for k, v in config.items() if k not in left_out}
    with tracked(track, Path(folder).name, settings) as kept:

        def shown(epoch: Any) -> None:
            show(epoch)
            kept.epoch(epoch)

        evaluation = run.train(shown)
        kept.finish(evaluation.metrics())
    return evaluation


def _show_errors(evaluation: Any, task: Any, label: str, folder: Path, other: "OtherRun | None", seed: int) -> None:
    """Print the errors by region, beside those of another run, and where the page is."""
    from tailwise.cli import show
    from tailwise.cli.show_leaderboard import error_unit, leaderboard_table, outputs_table, references_table
    from tailwise.cli.show_maps import map_region_table
    from tailwise.experiment.evaluate import Evaluation
    from tailwise.experiment.references import beaten_by_constant
    from tailwise.report.against import compare
    from tailwise.report.run_answer import too_few
    from tailwise.runs.folder import REPORT

    if isinstance(evaluation, Evaluation):
        predicted, several_targets = evaluation.predicted, len(task.schema.targets) > 1
        title = f"{label}: errors on {len(predicted.y):,} test rows"
        unit = error_unit(task.schema.targets, task.shots.bins)
        show.notes([*evaluation.notes, *filter(None, [beaten_by_constant(task, predicted)])])
        if evaluation.leaderboard is not None:
            balance = evaluation.balance
            show.out.print(leaderboard_table(evaluation.leaderboard, unit=task.schema.target, balance=balance))
            for sentence in evaluation.leaderboard.verdict:
                show.out.print(sentence)
        show.out.print(
            show.region_table(
                evaluation.regions,
                title=title,
                unit=unit,
                several=several_targets,
                as_rows_come=evaluation.as_rows_come,
            )
        )
        for sentence in too_few(evaluation.regions):
            show.print_line(sentence)
        if evaluation.outputs:
            show.out.print(outputs_table(evaluation.outputs, title="Each target"))
        if evaluation.references:
            show.out.print(references_table(evaluation.references, unit=unit))
        if other is not None:
            names = other.names(label, masked=task.shots.gaps is not None)
            both = predicted.counted(), predicted.counted(other.y_pred)
            changes = compare(predicted.y, *both, task.shots, weight=predicted.weight)
            show.out.print(show.beside_table(changes, *names, several=several_targets))
    else:
        title = f"{label}: errors on {len(evaluation.images):,} test images"
        show.out.print(map_region_table(evaluation.regions(seed=seed), title=title, unit=task.schema.target))
    show.print_line(f"report: {folder / REPORT}")
    if isinstance(evaluation, Evaluation):
        predict = shlex.join(["tailwise", "predict", str(folder), "NEW.csv", "--out", "predicted.csv"])
        show.print_line(f"new rows: {predict}")
