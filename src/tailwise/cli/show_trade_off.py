"""Print what a dial offers: errors by region at several balances."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.metrics.region_errors import error_as_rows_come, region_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwise.experiment.trade_off import TradeOff
    from tailwise.labels.shots import Shots


def trade_off_table(
    curve: "TradeOff",
    *,
    title: str,
    as_given: "tuple[NDArray[np.float64], NDArray[np.float64], Shots] | None" = None,
    weight: "NDArray[np.float64] | None" = None,
) -> Table:
    """Return a table of the MAE by region at several balances.

    Args:
        curve: the errors.
        title: of the table.
        as_given: labels, predictions and regions for a first line without a decision.
        weight: ``(n,)`` how much each row of that line counts.
    """
    shown = list(curve.points[0].shown)
    caption = Text(
        "balance 0: labels as they come; 1: every value equally likely; as rows come: bins count by their training "
        "rows; bMAE: mean over bins of the target"
    )
    table = Table(title=Text(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("balance", style="bold")
    for heading in (*(name.capitalize() for name in shown), "bMAE"):
        table.add_column(heading, justify="right")
    if as_given is not None:
        errors = region_errors(*as_given, sample_weight=weight)
        values = {name: region["mae"] for name, region in errors.items()}
        values["as rows come"] = error_as_rows_come(*as_given, sample_weight=weight)
        table.add_row("as given", *(number(values[name]) for name in shown), number(errors["all"]["bmae"]))
    for point in curve.points:
        mark = " *" if point.balance == curve.balance and as_given is None else ""
        values_at = [number(error.value) for error in point.shown.values()]
        table.add_row(f"{point.balance:g}{mark}", *values_at, number(point.bmae))
    return table
