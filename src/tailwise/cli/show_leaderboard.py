"""Print errors of several models, a line a model: the leaderboard of a stack, or plain models beside one."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.experiment.leaderboard import STACK, Leaderboard, Standing
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.shots import REGIONS


def leaderboard_table(leaderboard: Leaderboard, *, unit: str, balance: float) -> Table:
    """Return a table of out-of-fold errors, a line a model.

    Args:
        leaderboard: the errors.
        unit: of the target.
        balance: of the stack.
    """
    title = "Out of fold, no model judged on rows it was trained on"
    return _table(leaderboard.standings, title, unit, {STACK: f"{STACK} at balance {balance:g}"})


def references_table(references: Sequence[Standing], *, unit: str) -> Table:
    """Return a table of the errors of a model, of plain LightGBM and of a constant on the same test rows.

    Args:
        references: the errors.
        unit: of the target.
    """
    return _table(references, "Beside plain models, on the same test rows", unit, {})


def error_unit(targets: Sequence[str], bins: Bins | BinGrid | OutputBins) -> str:
    """Return the unit of errors of one target or several, in words, with their weights if they have some."""
    weights = None if isinstance(bins, Bins) else bins.weights
    weighed = "" if weights is None else f", weights {', '.join(number(weight) for weight in weights)}"
    if not isinstance(bins, OutputBins):
        return ", ".join(targets) + weighed
    return f"standard deviations of the {len(targets)} targets" + weighed


def outputs_table(outputs: Sequence[Standing], *, title: str) -> Table:
    """Return a table of the errors of several targets, a line a target.

    Args:
        outputs: the errors of each target.
        title: of the table.
    """
    caption = Text(
        "mean absolute error of each target alone, in its own unit and regions; as rows come: bins count by how "
        "many rows they have; evenly: every bin counts the same"
    )
    table = Table(title=Text(title), caption=caption, box=SIMPLE_HEAD)
    table.add_column("target", style="bold")
    regions = [region for region in REGIONS if any(region in one.mae for one in outputs)]
    for heading in ("as rows come", "evenly", *regions):
        table.add_column(heading, justify="right")
    for one in outputs:
        each = [number(one.mae[region]) if region in one.mae else "-" for region in regions]
        table.add_row(Text(one.name), number(one.as_rows_come), number(one.evenly), *each)
    return table


def _table(standings: Sequence[Standing], title: str, unit: str, names: dict[str, str]) -> Table:
    regions = list(standings[0].mae)
    caption = Text(
        f"MAE in units of {unit}; as rows come: bins count by how many rows they have; evenly: every bin counts the "
        "same"
    )
    table = Table(title=Text(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", style="bold")
    for heading in ("as rows come", "evenly", *regions, f"bias {regions[-1]}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in standings:
        name = names.get(one.name, one.name)
        errors = [one.as_rows_come, one.evenly, *(one.mae[region] for region in regions), one.bias[regions[-1]]]
        table.add_row(Text(name), *(number(error) for error in errors))
    return table
