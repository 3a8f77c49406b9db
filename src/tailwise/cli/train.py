"""``tailwise train``: from a table to a finished run folder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS, load_backend
from tailwise.cli import automatic, media_options, options
from tailwise.cli.launch import several
from tailwise.cli.table_choices import table_choices
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.modalities.kinds import kinds
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.data.task import Task
    from tailwise.experiment.evaluate import Evaluation
    from tailwise.report.against import OtherRun

_DEFAULT = Recipe()
_OF_NETWORKS = ("encoder", "epochs", "batch_size", "lr", "patience", "device", "precision")
_SETTINGS = (
    "Parameter of a part, e.g. conr.window=2.0; of the model or encoder, e.g. model.num_leaves=63, encoder.dropout=0.2."
)


@media_options.with_media_options
def train(
    context: typer.Context,
    data: options.DataOrFolder,
    target: options.Targets = None,
    method: options.Method = "sqinv+lds",
    settings: Annotated[list[str] | None, options.settings(_SETTINGS)] = None,
    model: options.Model = "network",
    encoder: options.Encoder = AUTO,
    out: Annotated[Path | None, options.out("Run folder to write; by default runs/DATA-METHOD-SEED.")] = None,
    against: options.Against = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    bin_width: options.BinWidth = None,
    bins: options.Bins = None,
    shots: options.Shots = None,
    split: options.Split = "auto",
    split_column: options.SplitColumn = None,
    group: options.Group = None,
    drop: options.Drop = None,
    nominal: options.Nominal = None,
    numeric: options.Numeric = None,
    date: options.Date = None,
    media: media_options.Media | None = None,
    depth: options.Depth = None,
    mask_target: options.MaskTarget = None,
    drop_missing_target: options.DropMissingTarget = False,
    epochs: Annotated[int, options.epochs()] = _DEFAULT.epochs,
    batch_size: options.BatchSize = _DEFAULT.batch_size,
    lr: options.LearningRate = _DEFAULT.lr,
    patience: options.Patience = _DEFAULT.patience,
    criterion: options.Criterion = _DEFAULT.criterion,
    balance: options.Balance = None,
    seed: options.Seed = _DEFAULT.seed,
    device: options.Device = _DEFAULT.device,
    precision: options.Precision = _DEFAULT.precision,
) -> None:
    """Train a model on a table and write a run folder with errors by region and a report.

    The target's rows are counted by bin: where a bin has many training rows, few, or none, errors are reported apart.

    Example:  tailwise train houses.csv --target price --method sqinv+lds+conr --set conr.window=50000
    """
    from tailwise.cli.dense import train_maps
    from tailwise.cli.flags import with_flags
    from tailwise.cli.launch import hint_at_resume, is_main, start_processes
    from tailwise.cli.settings import parse_set
    from tailwise.cli.show import epoch_bar, notes, warnings_as_notes, warnings_shown
    from tailwise.data.source import load_source
    from tailwise.distributed import main_first, on_main
    from tailwise.experiment.fit import chosen, start
    from tailwise.experiment.prepare import prepare
    from tailwise.experiment.spec import AUTO_METHOD, Experiment
    from tailwise.runs.folder import CACHE, check_out, remove_cache
    from tailwise.runs.other_run import read_other
    from tailwise.runs.training import RunInProgress, table_plan

    if depth is not None:
        return train_maps(context)
    if not target:
        raise InputError("Missing option '--target' / '-t': the column to predict")
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        patience=patience or None,
        criterion=criterion,  # type: ignore[arg-type]
        seed=seed,
        device=device,
        precision=precision,
    )
    start_processes(recipe)
    load_backend(one_of(model, "`model`", MODELS)).silence()  # what it has to report comes as an error
    params = parse_set(settings or [])
    of_model = {name: params.pop(name, {}) for name in ("model", "encoder", *kinds())}
    _check_model(context, model, encoder, of_model)
    model_params = of_model["encoder" if model == "network" else "model"]
    model_params = model_params | {kind: of_model[kind] for kind in kinds() if of_model[kind]}
    experiment = Experiment(method, model, encoder, params, model_params, recipe, balance or 0.0)
    if method == AUTO_METHOD:
        automatic.check(experiment, target)
    with warnings_as_notes() as warned:
        name = AUTO_METHOD if method == AUTO_METHOD else experiment.compose().name
    stem = data.removeprefix("example:").rsplit("/", 1)[-1].split(".")[0]
    label = experiment.label(name)
    folder = out or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{seed}"
    on_main(lambda: check_out(folder, overwrite=overwrite, resume=resume))
    choices = table_choices(
        bin_width=bin_width,
        bins=bins,
        shots=shots,
        split=split,
        split_column=split_column,
        group=group,
        drop_missing_target=drop_missing_target,
        mask_target=mask_target,
        seed=seed,
        drop=drop,
        nominal=nominal,
        numeric=numeric,
        date=date,
    )
    choices |= media or {}
    try:
        source = main_first(lambda: load_source(data, folder / CACHE))
        task = prepare(source, target, **choices)
        task = replace(task, notes=[with_flags(note) for note in task.notes])  # the page shows them too
        other = None if against is None else read_other(against, task)
        choice = None
        if method == AUTO_METHOD:
            choice = automatic.recorded(folder) if resume else automatic.choose_with_note(task, experiment)
            experiment = chosen(experiment, choice)
            label += f" ({choice.candidate.method_name})"
            task.notes.append(with_flags(f"auto chose {choice.reason}"))
        with warnings_as_notes() as also:
            running = start(task, experiment)
    except InputError:
        if is_main() and not resume:
            remove_cache(folder)
        raise
    task.notes.extend(dict.fromkeys(warned + also))
    plan = table_plan(running, label=label, choice=None if choice is None else choice.record, other=other)
    run = RunInProgress(folder, plan, resume=resume, overwrite=overwrite)
    notes(source.notes + task.notes)
    with run, hint_at_resume(folder), warnings_shown(task.notes), epoch_bar() as bar:
        evaluation = run.train(bar.show)
    if is_main():
        _show_errors(evaluation, task, label, folder, other)


def _check_model(context: typer.Context, model: str, encoder: str, params: dict[str, dict[str, Any]]) -> None:
    """Raise unless model and encoder exist, and what is given belongs to them."""
    one_of(model, "--model", tuple(MODELS))
    one_of(encoder, "--encoder", (AUTO, *ENCODERS))
    if model == "network":
        if params["model"]:
            raise InputError("--set model... is for models that are not networks; use --set encoder.NAME=VALUE")
        return
    for name in _OF_NETWORKS:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for networks; --model {model} takes --set model.NAME=VALUE")
    for kind in ("encoder", *kinds()):
        if params[kind]:
            raise InputError(f"--model {model} has no encoder; use --set model.NAME=VALUE")
    if several():
        raise InputError(f"--model {model} trains in one process; start it without torchrun")


def _show_errors(evaluation: "Evaluation", task: "Task", label: str, folder: Path, other: "OtherRun | None") -> None:
    """Print the errors by region, beside those of another run, and where the page is."""
    from tailwise.cli import show
    from tailwise.report.against import compare
    from tailwise.runs.folder import REPORT

    predicted, target = evaluation.predicted, task.schema.target
    several_targets = len(task.schema.targets) > 1
    title = f"{label}: errors on {len(predicted.y):,} test rows"
    show.out.print(show.region_table(evaluation.regions, title=title, unit=target, several=several_targets))
    if other is not None:
        names = other.names(label, masked=task.shots.gaps is not None)
        changes = compare(predicted.y, predicted.pred, other.y_pred, task.shots)
        show.out.print(show.beside_table(changes, *names, several=several_targets))
    show.out.print(f"report: {folder / REPORT}", highlight=False, markup=False, soft_wrap=True)
