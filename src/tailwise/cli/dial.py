"""``tailwise dial``: the dial for anybody's predictions, from held-out rows with their true values."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tailwise.cli import dial_options, options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from tailwise.cli.given_predictions import HeldOut
    from tailwise.distributions.decisions import Decision, Dial
    from tailwise.distributions.predictive import Predictive
    from tailwise.runs.questions import Questions


def dial(
    data: dial_options.Data,
    target: options.Target,
    prediction: dial_options.Prediction,
    labels: dial_options.Labels = None,
    shots: options.Shots = None,
    weight: dial_options.Weight = None,
    group: dial_options.Group = None,
    reference: dial_options.Reference = None,
    apply: dial_options.Apply = None,
    out: Annotated[
        Path | None, options.out("File to write for the rows of --apply, or else of DATA: .csv, .tsv or .parquet.")
    ] = None,
    keep: options.Keep = None,
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
    cross-fitted: no row is judged by a distribution that has seen its true value. So are the rows of DATA that --out
    writes without --apply.

    Example:  tailwise dial held-out.csv --target price --prediction pred --apply new.csv --out new-dialed.csv
    """
    import numpy as np

    from tailwise._checks import InputError
    from tailwise.cli import show
    from tailwise.cli.decision_options import parse_decision, parse_questions
    from tailwise.cli.given_predictions import held_out_rows, new_rows, training_labels
    from tailwise.cli.out_file import check_out_table
    from tailwise.cli.settings import parse_shots
    from tailwise.cli.show_trade_off import trade_off_table
    from tailwise.data.table_files import write_table
    from tailwise.distributions.conditional import ConditionalDensity
    from tailwise.distributions.decisions import Dial
    from tailwise.distributions.dialed import cross_fitted
    from tailwise.experiment.trade_off import trade_off
    from tailwise.labels.shots import Shots

    decision = parse_decision(balance, density, loss, cost, targets=(target,))
    questions = parse_questions(quantile, above, below)
    if apply is not None and out is None:
        raise InputError("give --apply, the new rows, together with --out, the file to write, or neither")
    if out is None and (questions or decision.given or keep):
        raise InputError("decisions are for rows that are written: give --out, or leave out --keep and these options")
    if out is not None:
        check_out_table(out, *filter(None, [data, apply]), overwrite=overwrite)
    own_keep = keep or () if apply is None else ()
    rows = held_out_rows(data, target, prediction, weight=weight, group=group, reference=reference, keep=own_keep)
    new = None if apply is None else new_rows(apply, prediction, keep or ())
    fits, counts = rows.fits, rows.weight
    y, pred = rows.y[fits], rows.pred[fits]
    own_labels = (y, counts, list[str]())
    y_train, of_train, remarks = own_labels if labels is None else training_labels(labels, target, weight)
    thresholds = parse_shots(shots) or (None, None)
    regions = Shots.from_labels(y_train, many=thresholds[0], few=thresholds[1]).weighted(y_train, of_train)
    of_labels = Dial.from_labels(y_train, regions.scalar_bins, sample_weight=of_train)
    conditional = ConditionalDensity.fit(y, pred, sample_weight=counts)
    own = cross_fitted(
        rows.y,
        rows.pred,
        sample_weight=None if rows.counts is None else np.where(fits, rows.counts, 1.0),
        group=rows.group,
        reference=fits,
    )
    curve = trade_off(y, own.select(fits), of_labels, regions, weight=counts)
    given, cells, of_new = (rows.pred, rows.kept, list[str]()) if new is None else new
    predictive = own if new is None else conditional.predictive(given)
    frame = None if out is None else _decided(predictive, of_labels, given, decision, questions, cells)
    show.notes(rows.notes + remarks + of_new)
    where = f"{data}: MAE on {len(y):,} rows" + ("" if reference is None else f" with {reference}")
    show.out.print(trade_off_table(curve, title=where, as_given=(y, pred, regions), weight=counts))
    if out is not None and frame is not None:
        write_table(frame, out)
        show.print_line(f"{len(frame):,} predictions: {out}")
        if new is None and reference is not None:
            show.print_line(_gaps(rows, frame["prediction"].to_numpy(), reference))


def _decided(
    predictive: "Predictive",
    dial: "Dial",
    given: "NDArray[np.float64]",
    decision: "Decision",
    questions: "Questions",
    kept: "Mapping[str, Any]",
) -> Any:
    """Return a table of decisions about rows with predictions, and the cells that are passed through."""
    import pandas as pd

    from tailwise._checks import InputError

    columns = {"given": given, "prediction": decision.of(predictive, dial)}
    columns |= questions.columns(decision.for_questions().tilted(predictive, dial), ("given",))
    taken = next((name for name in kept if name in ("row", *columns)), None)
    if taken is not None:
        raise InputError(f"--keep {taken!r} has the name of a column of the predictions; rename it in the table")
    return pd.DataFrame({"row": range(len(given)), **kept, **columns})


def _gaps(rows: "HeldOut", decided: "NDArray[np.float64]", reference: str) -> str:
    """Return the mean of decided minus true value, of the reference group and of the other rows."""
    import numpy as np

    from tailwise._numbers import number

    parts = []
    for chosen, words in ((rows.reference, f"rows with {reference}"), (~rows.reference, "others")):
        weight = None if rows.counts is None else rows.counts[chosen]
        if chosen.any() and (weight is None or weight.any()):
            mean = float(np.average((decided - rows.y)[chosen], weights=weight))
            parts.append(f"{number(mean)} in {int(chosen.sum()):,} {words}")
    return "mean of prediction minus true value: " + ", ".join(parts)
