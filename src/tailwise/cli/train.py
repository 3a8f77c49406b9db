"""``tailwise train``: from a table to a finished run folder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, one_of
from tailwise.backends.names import AUTO, ENCODERS, MEDIA, MODELS
from tailwise.cli import automatic, media_options
from tailwise.cli.launch import several
from tailwise.training.recipe import CRITERIA, PRECISIONS, Recipe

if TYPE_CHECKING:
    from tailwise.data.task import Task
    from tailwise.experiment.evaluate import Evaluation
    from tailwise.report.against import OtherRun

_DEFAULT = Recipe()
_OF_NETWORKS = ("encoder", "epochs", "batch_size", "lr", "patience", "device", "precision")
_METHOD, _ROWS, _COLUMNS, _TRAINING, _OUTPUT = "Method", "Target and rows", "Columns", "Training", "Output"


def _complete_method(incomplete: str) -> list[str]:
    from tailwise.methods.parts import PARTS

    given, plus, start = incomplete.rpartition("+")
    used = given.split("+") if plus else []
    names = [*PARTS, *(["vanilla", "auto"] if not plus else [])]
    return [given + plus + name for name in names if name.startswith(start) and name not in used]


def _complete(choices: Sequence[str]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _complete_data(incomplete: str) -> list[str]:
    from tailwise.data.examples import EXAMPLES, PREFIX

    return [PREFIX + name for name in EXAMPLES if (PREFIX + name).startswith(incomplete)]


def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A CSV, TSV or Parquet file, a folder of Parquet files, or example:NAME (see `tailwise examples`).",
            autocompletion=_complete_data,
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            help="Column to predict. Repeatable: two or three numbers of one unit, such as pitch and yaw, are "
            "predicted together.",
            show_default=False,
            rich_help_panel=_ROWS,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="Parts joined by +, or vanilla (see `tailwise methods`); auto chooses by cross-validation.",
            autocompletion=_complete_method,
            rich_help_panel=_METHOD,
        ),
    ] = "sqinv+lds",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PART.NAME=VALUE",
            help="Parameter of a part, e.g. conr.window=2.0; of the model or encoder, e.g. model.num_leaves=63, "
            "encoder.dropout=0.2. Repeatable.",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            autocompletion=_complete(tuple(MODELS)),
            metavar="|".join(MODELS),
            help="What is trained. All but the network take weights, l1, sera, resamplers and corrections.",
            rich_help_panel=_METHOD,
        ),
    ] = "network",
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            autocompletion=_complete((AUTO, *ENCODERS)),
            metavar="|".join((AUTO, *ENCODERS)),
            help="The network's encoder: a perceptron or TabM, with embeddings (-ple, -plr) of numbers or without. "
            "auto: mlp-ple, but mlp below 500 training rows or above 200 numbers.",
            rich_help_panel=_METHOD,
        ),
    ] = AUTO,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Run folder to write; by default runs/DATA-METHOD-SEED.", rich_help_panel=_OUTPUT
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="A finished run on the same data and split, to show beside this one in the report.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in --out.", rich_help_panel=_OUTPUT)
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the unfinished run in --out.", rich_help_panel=_OUTPUT)
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
            help="Training rows a bin above which it is many-shot, below which few-shot.",
            show_default="n/122,n/610, at least 10,2",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            autocompletion=_complete(("auto", "column", "balanced", "random")),
            metavar="auto|column|balanced|random",
            help="balanced: per bin an equal, capped share to validation and test. column: the column 'split' says. "
            "auto: that column if there is one, else balanced.",
            rich_help_panel=_ROWS,
        ),
    ] = "auto",
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Column that says train, val or test.", rich_help_panel=_ROWS)
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="Column whose groups (patients, engines) are never split.", rich_help_panel=_ROWS),
    ] = None,
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
    image: media_options.Image = None,
    text: media_options.Text = None,
    text_pair: media_options.TextPair = None,
    signal: media_options.Signal = None,
    depth: Annotated[
        str | None,
        typer.Option(
            "--depth",
            metavar="COLUMN",
            help="In place of --target: column that names a map (PNG of 16 bits, NPY) for each --image, of which every "
            "pixel is predicted. --set depth.scale=0.001, depth.size=[228,304], depth.mask=COLUMN, ...",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    mask_target: Annotated[
        list[str] | None,
        typer.Option(
            "--mask-target",
            metavar="LOW,HIGH",
            help="Remove rows with such a target from training and validation, to measure interpolation and "
            "extrapolation. Repeatable.",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    drop_missing_target: Annotated[
        bool,
        typer.Option(
            "--drop-missing-target",
            help="Drop rows whose target is empty instead of refusing them.",
            rich_help_panel=_ROWS,
        ),
    ] = False,
    epochs: Annotated[
        int,
        typer.Option("--epochs", help="Most epochs of a stage (rrt: rrt.epochs).", rich_help_panel=_TRAINING),
    ] = _DEFAULT.epochs,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Rows a batch.", show_default="n/50, 32 to 256", rich_help_panel=_TRAINING),
    ] = _DEFAULT.batch_size,
    lr: Annotated[
        float, typer.Option("--lr", help="Learning rate at the start of the cosine.", rich_help_panel=_TRAINING)
    ] = _DEFAULT.lr,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            help="Epochs without a better validation score before stopping; 0 never stops.",
            rich_help_panel=_TRAINING,
        ),
    ] = _DEFAULT.patience,
    criterion: Annotated[
        str,
        typer.Option(
            "--criterion",
            autocompletion=_complete(CRITERIA),
            metavar="|".join(CRITERIA),
            help="Validation score that chooses the epoch to keep.",
            rich_help_panel=_TRAINING,
        ),
    ] = _DEFAULT.criterion,
    seed: Annotated[
        int, typer.Option("--seed", help="Of everything random.", rich_help_panel=_TRAINING)
    ] = _DEFAULT.seed,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            autocompletion=_complete(("auto", "cpu", "cuda", "mps")),
            metavar="auto|cpu|cuda|mps",
            help="Where to train.",
            rich_help_panel=_TRAINING,
        ),
    ] = _DEFAULT.device,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            autocompletion=_complete(PRECISIONS),
            metavar="|".join(PRECISIONS),
            help="Mixed precision.",
            rich_help_panel=_TRAINING,
        ),
    ] = _DEFAULT.precision,
) -> None:
    """Train a model on a table and write a run folder with errors by region and a report.

    The target's rows are counted by bin: where a bin has many training rows, few, or none, errors are reported apart.

    Example:  tailwise train houses.csv --target price --method sqinv+lds+conr --set conr.window=50000
    """
    from tailwise.cli.dense import train_maps
    from tailwise.cli.flags import with_flags
    from tailwise.cli.launch import is_main, start_processes, told_how_to_resume
    from tailwise.cli.settings import parse_ranges, parse_set, parse_shots
    from tailwise.cli.show import epoch_bar, notes, warnings_as_notes, warnings_told
    from tailwise.data.source import load_source
    from tailwise.distributed import main_first, on_main
    from tailwise.experiment.fit import chosen, start
    from tailwise.experiment.prepare import prepare
    from tailwise.experiment.spec import AUTO_METHOD, Experiment
    from tailwise.report.against import read_other
    from tailwise.runs.folder import CACHE, check_out, remove_cache
    from tailwise.runs.training import RunInProgress

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
    params = parse_set(settings or [])
    of_model = {name: params.pop(name, {}) for name in ("model", "encoder", *MEDIA)}
    _check_model(context, model, encoder, of_model)
    model_params = of_model["encoder" if model == "network" else "model"]
    model_params = model_params | {kind: of_model[kind] for kind in MEDIA if of_model[kind]}
    experiment = Experiment(method, model, encoder, params, model_params, recipe)
    if method == AUTO_METHOD:
        automatic.check(experiment, target)
    with warnings_as_notes() as warned:
        name = AUTO_METHOD if method == AUTO_METHOD else experiment.compose().name
    stem = data.removeprefix("example:").rsplit("/", 1)[-1].split(".")[0]
    label = experiment.label(name)
    folder = out or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{seed}"
    on_main(lambda: check_out(folder, overwrite=overwrite, resume=resume))
    choices: dict[str, Any] = {
        "bin_width": bin_width,
        "n_bins": bins,
        "shots": parse_shots(shots),
        "split": split,
        "split_column": split_column,
        "group": group,
        "drop_missing_target": drop_missing_target,
        "mask_target": parse_ranges(mask_target or []),
        "seed": seed,
        "drop": drop or [],
        "nominal": nominal or [],
        "numeric": numeric or [],
        "date": date or [],
        **media_options.media_choices(image, text, text_pair, signal),
    }
    try:
        source = main_first(lambda: load_source(data, folder / CACHE))
        task = prepare(source, target, **choices)
        task = replace(task, notes=[with_flags(note) for note in task.notes])  # the page shows them too
        other = None if against is None else read_other(against, task)
        choice = None
        if method == AUTO_METHOD:
            choice = automatic.recorded(folder) if resume else automatic.choose_with_note(task, experiment)
            experiment = chosen(experiment, choice)
            label += f" ({choice.candidate.name})"
            task.notes.append(with_flags(f"auto chose {choice.reason}"))
        with warnings_as_notes() as also:
            running = start(task, experiment)
    except InputError:
        if is_main() and not resume:
            remove_cache(folder)
        raise
    task.notes.extend(dict.fromkeys(warned + also))
    run = RunInProgress(
        folder,
        running,
        label=label,
        choice=None if choice is None else choice.record,
        other=other,
        resume=resume,
        overwrite=overwrite,
    )
    notes(source.notes + task.notes)
    with run, told_how_to_resume(folder), warnings_told(task.notes), epoch_bar() as bar:
        evaluation = run.train(bar.show)
    if is_main():
        _tell(evaluation, task, label, folder, other)


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
    for kind in ("encoder", *MEDIA):
        if params[kind]:
            raise InputError(f"--model {model} has no encoder; use --set model.NAME=VALUE")
    if several():
        raise InputError(f"--model {model} trains in one process; start it without torchrun")


def _tell(evaluation: "Evaluation", task: "Task", label: str, folder: Path, other: "OtherRun | None") -> None:
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
