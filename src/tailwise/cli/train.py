"""``tailwise train``: from a table to a finished run folder."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS
from tailwise.cli import automatic, media_options
from tailwise.cli.launch import several
from tailwise.modalities.catalog import kinds
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.training.recipe import CRITERIA, PRECISIONS, Recipe

if TYPE_CHECKING:
    from tailwise.data.source import Source
    from tailwise.data.task import Task
    from tailwise.methods.method import Method

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


@media_options.with_media_options
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
    media: media_options.Media | None = None,
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
    from tailwise.cli.launch import is_main, start_processes, told_how_to_resume
    from tailwise.cli.settings import parse_ranges, parse_set, parse_shots
    from tailwise.cli.show import notes, warnings_as_notes, warnings_told
    from tailwise.data.source import load_source
    from tailwise.distributed import main_first, on_main
    from tailwise.experiment.prepare import prepare_table
    from tailwise.experiment.start import start_training
    from tailwise.methods.method import compose
    from tailwise.report.against import read_other
    from tailwise.runs.folder import (
        CACHE,
        abandon_run,
        check_out,
        check_same,
        remove_cache,
        start_run,
        trim_history,
        versions,
    )

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
    if model == "lightgbm":
        import lightgbm

        lightgbm.register_logger(_Silent())  # what it has to say comes as an error
    params = parse_set(settings or [])
    of_model = {name: params.pop(name, {}) for name in ("model", "encoder", *kinds())}
    _check_model(context, model, encoder, of_model)
    thresholds = parse_shots(shots)
    if method == automatic.METHOD and len(target) > 1:
        raise InputError(f"--method auto chooses for one --target, got {len(target)}; name a method")
    auto = automatic.auto_settings(params, model) if method == automatic.METHOD else None
    with warnings_as_notes() as warned:
        composed = compose("vanilla") if auto else compose(method, **params)
    name = automatic.METHOD if auto else composed.name
    stem = data.removeprefix("example:").rsplit("/", 1)[-1].split(".")[0]
    label = name if (model, encoder) == ("network", AUTO) else f"{_shown(model, encoder)} {name}"
    folder = out or Path("runs") / f"{stem}-{label.replace(' ', '-')}-{seed}"
    on_main(lambda: check_out(folder, overwrite=overwrite, resume=resume))
    choices: dict[str, Any] = {
        "bin_width": bin_width,
        "n_bins": bins,
        "shots": thresholds,
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
        **(media or {}),
    }
    try:
        source = main_first(lambda: load_source(data, folder / CACHE))
        table = prepare_table(source.rows, target, folder=source.folder, **choices)
        other = None if against is None else read_other(against, table)
        of_it = of_model["encoder" if model == "network" else "model"]
        of_it = of_it | {kind: of_model[kind] for kind in kinds() if of_model[kind]}
        chosen = None
        if auto is not None:
            chosen = automatic.choose_for_run(
                table,
                auto,
                recipe,
                model=model,
                encoder=encoder,
                params=of_it,
                group=group,
                resumed=folder if resume else None,
            )
            composed, params = chosen.candidate.compose(), chosen.record["chosen"]["parameters"]
            label += f" ({chosen.candidate.name})"
            table.notes.append(f"auto chose {chosen.reason}")
        with warnings_as_notes() as also:
            setup = start_training(table, composed, recipe, model=model, encoder=encoder, params=of_it)
    except InputError:
        if is_main() and not resume:
            remove_cache(folder)
        raise
    table.notes.extend(dict.fromkeys(warned + also))
    trained = setup.predictor.encoder["encoder"] if model == "network" else None
    config = {
        "data": {"name": source.name, "sha256": source.sha256},
        "target": target[0] if len(target) == 1 else target,
        "table": choices,
        "columns": table.schema.to_json(),
        "method": {"name": composed.name, "parameters": params, **({"auto": chosen.record} if chosen else {})},
        "model": {
            "name": model,
            "encoder": trained,
            "parameters": {k: v for k, v in of_model.items() if v or k not in kinds()},
        },
        "label": label,
        "recipe": asdict(recipe),
        "versions": versions(),
    }
    on_main(lambda: check_same(folder, config) if resume else None)
    done = restore(setup, folder) if resume and model == "network" else 0
    notes(source.notes + table.notes)
    on_main(lambda: None if resume else start_run(folder, config))
    on_main(lambda: trim_history(folder, done))
    with told_how_to_resume(folder):
        try:
            with warnings_told(table.notes):
                run_epochs(setup, folder, done)
                _finish(source, table, composed, setup, folder, other, label)
        except (InputError, OSError):
            if is_main() and not resume:
                abandon_run(folder)
            raise


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


class _Silent:
    """A logger that says nothing."""

    def info(self, message: str) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""


def _shown(model: str, encoder: str) -> str:
    return encoder if model == "network" else model


def restore(setup: Any, folder: Path) -> int:
    """Go on from the last checkpoint, if there is one; the number of epochs it has."""
    from tailwise.runs.folder import CHECKPOINT
    from tailwise.training.checkpoint import has_checkpoint, load_checkpoint

    if not has_checkpoint(folder / CHECKPOINT):
        return 0
    tensors, numbers = load_checkpoint(folder / CHECKPOINT)
    setup.training.restore(tensors, numbers)
    return int(numbers["epochs_done"])


def run_epochs(setup: Any, folder: Path, done: int) -> None:
    """Train, and after each epoch write its line of history and, of a network, a checkpoint."""
    from tailwise.cli.launch import is_main
    from tailwise.cli.show import epoch_bar
    from tailwise.runs import folder as run
    from tailwise.training.checkpoint import save_checkpoint

    resumable = hasattr(setup, "training")  # a network; other models are trained in one go
    with epoch_bar() as bar:
        for count, epoch in enumerate(setup.epochs(), start=done + 1):
            bar.show(epoch)
            if not is_main():
                continue
            run.append_history(folder, asdict(epoch))
            if not resumable:
                continue
            tensors, numbers = setup.training.state()
            save_checkpoint(folder / run.CHECKPOINT, tensors, {**numbers, "epochs_done": count})


def _finish(
    source: "Source", table: "Task", method: "Method", setup: Any, folder: Path, other: Any, label: str
) -> None:
    """Evaluate on the test rows and write what a finished run holds."""
    import numpy as np
    import pandas as pd

    from tailwise.cli import show
    from tailwise.cli.launch import is_main
    from tailwise.distributed import gather_objects, piece
    from tailwise.experiment.model import TableModel
    from tailwise.metrics.coverage import CONFIDENCE, coverage_by_region
    from tailwise.metrics.regions import region_metrics
    from tailwise.report.against import compare
    from tailwise.report.features import FeatureMap, feature_rows
    from tailwise.report.page import run_page
    from tailwise.report.trust_charts import coverage_by_level
    from tailwise.runs import folder as run

    fitted = TableModel(table.schema, setup.preprocessor, setup.predictor, table.shots, table.relevance)
    model = fitted.calibrated(table, method.correction)
    targets = table.schema.targets
    predictions, predicted = [], {}
    for part in ("val", "test"):
        rows, y = table.rows_of(part)
        own = rows.select(np.arange(len(rows))[piece(len(rows))])
        predicted[part] = pred = np.concatenate(gather_objects(model.predict(own)))
        std = model.predict_std(own)
        frame: dict[str, Any] = {"row": table.row[table.part == part], "split": part}
        frame |= run.by_target("target", y, targets) | run.by_target("prediction", pred, targets)
        frame |= {} if std is None else {"std": np.concatenate(gather_objects(std))}
        if model.intervals is not None:
            ends = model.intervals_of(pred, CONFIDENCE)
            frame |= {"low": ends[:, 0], "high": ends[:, 1]}
        predictions.append(pd.DataFrame(frame).assign(region=table.shots.names(y)))
    if not is_main():
        return
    (folder / run.MODEL).mkdir(exist_ok=True)
    model.save(folder / run.MODEL)
    everything = pd.concat(predictions, ignore_index=True)
    everything.to_parquet(folder / run.PREDICTIONS, index=False)
    test = everything[everything["split"] == "test"]
    (rows, y_true), y_pred = table.rows_of("test"), predicted["test"]
    regions = region_metrics(y_true, y_pred, table.shots, relevance=table.relevance, seed=setup.recipe.seed)
    run.write_json(folder / run.METRICS, {name: region.to_json() for name, region in regions.items()})
    coverage = features = None
    if model.intervals is not None:
        coverage = coverage_by_region(y_true, y_pred, test["low"], test["high"], table.shots)
        run.write_json(folder / run.INTERVALS, {name: found.to_json() for name, found in coverage.items()})
    changes = None if other is None else compare(y_true, y_pred, other.y_pred, table.shots)
    if len(targets) == 1:
        seen = feature_rows(y_true, table.shots)
        found = model.features(rows.select(seen))
        features = None if found is None else FeatureMap.of(found, y_true[seen], table.shots)
    page = run_page(
        title=f"{table.schema.target} of {source.name}",
        target=table.schema.target,
        method=label,
        data=source.name,
        rows={part: int((table.part == part).sum()) for part in ("train", "val", "test")},
        split=table.split,
        shots=table.shots,
        regions=regions,
        y_true=y_true,
        y_pred=y_pred,
        history=run.read_history(folder),
        notes=source.notes + table.notes + method.remarks,
        other=other,
        changes=changes,
        coverage=coverage,
        shared=() if model.intervals is None else model.intervals.shared,
        levels=None if model.intervals is None else coverage_by_level(model.intervals, y_true, y_pred),
        features=features,
        targets=targets,
    )
    (folder / run.REPORT).write_text(page, encoding="utf-8")
    run.finish_run(folder)
    title = f"{label}: errors on {len(test):,} test rows"
    show.out.print(show.region_table(regions, title=title, unit=table.schema.target, several=len(targets) > 1))
    if changes is not None:
        names = other.names(label, masked=table.shots.gaps is not None)
        show.out.print(show.beside_table(changes, *names, several=len(targets) > 1))
    show.out.print(f"report: {folder / run.REPORT}", highlight=False, markup=False, soft_wrap=True)
