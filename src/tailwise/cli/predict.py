"""``tailwise predict``: predictions of a finished run for new rows."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailwise.cli import options

if TYPE_CHECKING:
    from tailwise.distributions.decisions import Decision
    from tailwise.modalities.map_model import MapModel

Interval = Annotated[
    float | None,
    typer.Option(
        "--interval",
        metavar="FRACTION",
        help="Also write low and high: ends of intervals that contain this fraction of true values, e.g. 0.9, "
        "calibrated for each region of the prediction.",
        rich_help_panel=options.OUTPUT,
    ),
]
Unseen = Annotated[
    Path | None,
    typer.Option(
        "--unseen",
        metavar="FILE.json",
        help="Also write the fraction of rows with a value that no training row had, for every column that has one.",
        rich_help_panel=options.OUTPUT,
    ),
]
_STDOUT = Path("-")


def predict(
    run: options.Run,
    data: options.Data,
    out: Annotated[
        Path, options.out("File to write: .csv, .tsv or .parquet; - for CSV on standard output; a folder for maps.")
    ],
    keep: options.Keep = None,
    interval: Interval = None,
    balance: options.Balance = None,
    target_balance: options.TargetBalance = None,
    density: options.Density = None,
    loss: options.Loss = None,
    cost: options.Cost = None,
    quantile: options.Quantile = None,
    above: options.Above = None,
    below: options.Below = None,
    unseen: Unseen = None,
    ignore_extra: options.IgnoreExtra = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Predict the target of every row and write row, prediction and region, and std if the model gives one.

    With several targets each has its column: prediction_pitch, prediction_yaw. Decisions about several targets and
    about maps need a run with --method mixture.

    A folder of Parquet or CSV files is one table in parts: the column file names the part, row counts within it. Memory
    does not grow with the number of Parquet files and their rows. --out - writes each piece when it is ready; the exit
    status says whether all of them were.

    Rows keep their order; the region shows how many training rows had a target like the predicted one.

    Intervals are calibrated on held-out rows, apart for each region of the prediction. They are those of the rows'
    distributions, and hold for rows that come as the training rows do; of a model that predicts none they lie around
    the predictions, unless --balance or --density is given. Intervals, quantiles and chances are about labels as they
    come, whatever the run's own balance, unless --balance or --density is given here.

    Example:  tailwise predict runs/demo new.csv --out new-predicted.csv --balance 0.7 --above 200
    """
    from tailwise._checks import InputError
    from tailwise._files import write_json
    from tailwise.cli.decision_options import note_on_means, note_on_spread, parse_decision, parse_questions
    from tailwise.cli.out_file import check_out_file, check_out_table
    from tailwise.cli.predicted_pieces import write_pieces
    from tailwise.cli.show import note_on_all_columns, notes, print_line
    from tailwise.data.growing_table import growing_table, text_lines
    from tailwise.experiment.model import FittedModel
    from tailwise.modalities.map_model import MapModel, is_map_model
    from tailwise.runs.folder import MODEL, open_run
    from tailwise.runs.predicted_table import Asked

    questions = parse_questions(quantile, above, below)
    folder = open_run(run) / MODEL
    if is_map_model(folder):
        if keep or out == _STDOUT:
            raise InputError("--keep and --out - are for tables, and a run on maps writes a folder; leave them out")
        if unseen is not None:
            raise InputError("--unseen is for the columns of tables, and a run on maps has none; leave it out")
        if target_balance:
            raise InputError("--target-balance is for tables, and a run on maps has one dial; pass --balance")
        if questions:
            raise InputError("--quantile, --above and --below add columns to a table, and a run on maps has none")
        maps = MapModel.load(folder)
        wanted = parse_decision(balance, density, loss, cost, targets=maps.schema.targets)
        return _predict_maps(maps, data, out, wanted, overwrite=overwrite, interval=interval)
    if out != _STDOUT:
        check_out_table(out, data, overwrite=overwrite, also=", or be -")
    if out != _STDOUT and Path(data).is_dir() and Path(data).resolve() in out.resolve().parents:
        raise InputError(f"--out {str(out)!r} lies in the folder to predict, whose files are its parts; choose another")
    check_out_file(unseen, "--unseen", ".json", overwrite=overwrite)
    model = FittedModel.load(folder)
    targets = model.schema.targets
    decision = parse_decision(balance, density, loss, cost, targets=targets, of_targets=target_balance or ())
    asked = Asked(decision, questions, interval)
    asked.check(model)
    with growing_table(out) if out != _STDOUT else nullcontext(text_lines(sys.stdout)) as append:
        written = write_pieces(model, data, asked, keep or (), append, ignore_extra=ignore_extra)
    if unseen is not None:
        write_json(unseen, {"rows": written.n, "unseen": written.unseen})
    all_columns = [] if unseen is not None else note_on_all_columns(written.unseen, "--unseen")
    notes([*written.notes, *all_columns, *note_on_means(asked.decision, model.balance), *note_on_spread(asked)])
    if out != _STDOUT:
        print_line(f"{written.n:,} predictions: {out}")


def _predict_maps(
    model: "MapModel", data: str, out: Path, decision: "Decision", *, overwrite: bool, interval: float | None
) -> None:
    """Write a map for each image of a table into a new folder, and a table of their paths."""
    from tailwise._checks import InputError
    from tailwise.cli.show import notes, print_line
    from tailwise.modalities.map_index import load_index
    from tailwise.modalities.map_store import check_map_folder, write_map_folder

    if interval is not None:
        raise InputError("a run on maps has no intervals; leave out --interval")
    if out.suffix.lower() in (".csv", ".tsv", ".parquet"):
        raise InputError(f"the run predicts maps, which go to a folder; --out must name one, got {str(out)!r}")
    check_map_folder(out, overwrite=overwrite)
    frame, rows, told = load_index(model, data, maps=False)
    notes(told)
    write_map_folder(out, frame[[model.schema.image]], model.decided(rows, decision))
    print_line(f"{len(rows):,} maps: {out}")
