"""``tailwise dial``: the dial for anybody's predictions, from held-out rows with their true values."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwise.distributions.decisions import Decision
    from tailwise.distributions.dialed import DialedModel


def dial(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Rows the model was not trained on: CSV, TSV or Parquet.")
    ],
    target: options.Target,
    prediction: Annotated[
        str,
        typer.Option("--prediction", "-p", help="Column with the model's predictions.", rich_help_panel=options.ROWS),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Training rows, whose target column says which values are rare.",
            show_default="DATA",
            rich_help_panel=options.ROWS,
        ),
    ] = None,
    shots: options.Shots = None,
    apply: Annotated[
        str | None,
        typer.Option("--apply", metavar="FILE", help="New rows with predictions.", rich_help_panel=options.OUTPUT),
    ] = None,
    out: Annotated[Path | None, options.out("File to write for the rows of --apply: .csv, .tsv or .parquet.")] = None,
    balance: options.Balance = None,
    density: options.Density = None,
    loss: options.Loss = None,
    cost: options.Cost = None,
    quantile: options.Quantile = None,
    above: options.Above = None,
    below: options.Below = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Show what a dial between common and rare values does to finished predictions; apply it to new ones.

    The distribution of the true value given a prediction is learnt from the rows of DATA. Errors at each balance are
    cross-fitted: no row is judged by a distribution that has seen its true value.

    Example:  tailwise dial held-out.csv --target price --prediction pred --apply new.csv --out new-dialed.csv
    """
    from tailwise._checks import InputError
    from tailwise.cli import show
    from tailwise.cli.decision_options import parse_decision, parse_questions
    from tailwise.cli.out_file import check_parent
    from tailwise.cli.settings import parse_shots
    from tailwise.cli.show_trade_off import trade_off_table
    from tailwise.data.table_files import SUFFIXES, write_table
    from tailwise.distributions.dialed import cross_fitted
    from tailwise.distributions.dialed import dial as dial_of
    from tailwise.experiment.trade_off import trade_off
    from tailwise.labels.shots import Shots

    decision = parse_decision(balance, density, loss, cost, targets=(target,))
    questions = parse_questions(quantile, above, below)
    if (apply is None) != (out is None):
        raise InputError("give --apply, the new rows, together with --out, the file to write, or neither")
    if out is None and (questions or decision.given):
        raise InputError("decisions are for new rows: give --apply and --out, or leave out the options about decisions")
    if out is not None:
        if out.suffix.lower() not in SUFFIXES:
            raise InputError(f"--out must end in .csv, .tsv or .parquet, got {str(out)!r}")
        check_parent(out)
        if out.exists() and (out.is_dir() or not overwrite or (Path(str(apply)).exists() and out.samefile(str(apply)))):
            raise InputError(f"{str(out)!r} exists or is the table itself; choose another --out, or pass --overwrite")
    y, pred = _columns(data, target, prediction)
    new = None if apply is None else _columns(apply, prediction)[0]
    y_train = y if labels is None else _columns(labels, target)[0]
    thresholds = parse_shots(shots) or (None, None)
    regions = Shots.from_labels(y_train, many=thresholds[0], few=thresholds[1])
    dialed = dial_of(y, pred, balance=0.0, y_train=y_train, bins=regions.scalar_bins)
    curve = trade_off(y, cross_fitted(y, pred), dialed.dial, regions)
    show.out.print(trade_off_table(curve, title=f"{data}: MAE on {len(y):,} rows", as_given=(y, pred, regions)))
    if new is not None and out is not None:
        frame = _decided(dialed, new, decision, questions)
        write_table(frame, out)
        show.print_line(f"{len(frame):,} predictions: {out}")


def _columns(table: str, *names: str) -> list["NDArray[np.float64]"]:
    """Return columns of numbers without empty cells."""
    from tailwise.data.source import load_source
    from tailwise.data.targets import require_column, target_rows

    frame = load_source(table).rows.frame()
    for name in names:
        require_column(name, list(frame.columns), "column")
    return [target_rows(frame, [name], drop=False)[0] for name in names]


def _decided(dialed: "DialedModel", pred: "NDArray[np.float64]", decision: "Decision", questions: Any) -> Any:
    """Return a table of decisions for new predictions."""
    import pandas as pd

    predictive = dialed.predictive(pred)
    decided = decision.of(predictive, dialed.dial, dialed.balance)
    frame = pd.DataFrame({"row": range(len(pred)), "given": pred, "prediction": decided})
    return frame.assign(
        **questions.columns(decision.for_questions().tilted(predictive, dialed.dial, dialed.balance), ("given",))
    )
