"""Results as tables for notebooks: an evaluation, a leaderboard, a model."""

from typing import TYPE_CHECKING

from tailwise._html import html_table
from tailwise._numbers import number
from tailwise.metrics.region_metrics import DISTANCE_METRICS, METRICS

if TYPE_CHECKING:
    from tailwise.experiment.evaluate import Evaluation
    from tailwise.experiment.leaderboard import Leaderboard
    from tailwise.experiment.model import FittedModel
    from tailwise.metrics.confidence import Interval

_SHOWN = ("mae", "rmse", "bias")


def evaluation_html(evaluation: "Evaluation") -> str:
    """Return the two headlines of an evaluation and its errors by region."""
    predicted = evaluation.predicted
    metrics = METRICS if predicted.y.ndim == 1 else DISTANCE_METRICS
    shown = [name for name in _SHOWN if name in metrics]
    rows: list[list[object]] = []
    if evaluation.as_rows_come is not None:
        rows.append(_headline("As rows come", evaluation.as_rows_come, len(shown)))
        rows.append(_headline("Evenly", evaluation.regions["all"].metrics["bmae"], len(shown)))
    for name, region in evaluation.regions.items():
        values = [region.metrics.get(metric) for metric in shown]
        numbers = [None if value is None else number(value.value) for value in values]
        rows.append([name.capitalize(), f"{region.n:,}", numbers[0], _range(values[0]), *numbers[1:]])
    heads = [metrics[name][0] for name in shown]
    title = f"Errors on {len(predicted.y):,} {predicted.part} rows"
    note = "target units; a bias below 0 is too low" if "bias" in shown else "target units"
    return html_table(title, ["region", "n", heads[0], "95 % interval", *heads[1:]], rows, note)


def leaderboard_html(leaderboard: "Leaderboard") -> str:
    """Return the out-of-fold errors of a stack, its experts and a constant."""
    regions = list(dict.fromkeys(region for one in leaderboard.standings for region in one.mae))
    rows: list[list[str | None]] = [
        [
            *(one.name, number(one.as_rows_come), number(one.evenly)),
            *(number(one.mae[region]) if region in one.mae else None for region in regions),
        ]
        for one in leaderboard.standings
    ]
    columns = ["model", "as rows come", "evenly", *(region.capitalize() for region in regions)]
    return html_table("Out-of-fold errors (MAE)", columns, rows, "target units")


def model_html(model: "FittedModel") -> str:
    """Return what a model predicts, from what, and its leaderboard if it has one."""
    schema = model.schema
    kinds = [column.kind for column in schema.columns] + [medium.kind for medium in schema.media]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    name = model.encoder or type(model.model).__name__
    rows: list[list[str | None]] = [
        ["target", schema.target],
        ["columns", counted],
        ["model", name],
        ["balance", f"{model.balance:g}"],
        ["distributions", "yes" if model.dial is not None else "no"],
        ["intervals", "yes" if model.intervals is not None else "no"],
    ]
    board = "" if model.leaderboard is None else leaderboard_html(model.leaderboard)
    return html_table(f"Model of {schema.target}", ["", ""], rows) + board


def _headline(name: str, error: "Interval", n_shown: int) -> list[object]:
    return [name, None, number(error.value), _range(error), *[None] * (n_shown - 1)]


def _range(interval: "Interval | None") -> str | None:
    if interval is None or interval.low is None or interval.high is None:
        return None
    return f"{number(interval.low)} to {number(interval.high)}"
