"""Print the leaderboard of a stack."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.experiment.leaderboard import STACK, Leaderboard


def leaderboard_table(leaderboard: Leaderboard, *, unit: str, balance: float) -> Table:
    """Return a table of out-of-fold errors, a line a model.

    Args:
        leaderboard: the errors.
        unit: of the target.
        balance: of the stack.
    """
    regions = list(leaderboard.standings[0].mae)
    caption = Text(
        f"MAE in units of {unit}; as rows come: bins count by their training rows; evenly: every bin counts the same"
    )
    table = Table(
        title=Text("Out of fold, no model judged on rows it was trained on"), caption=caption, box=SIMPLE_HEAD
    )
    table.add_column("model", style="bold")
    for heading in ("as rows come", "evenly", *regions, f"bias {regions[-1]}"):
        table.add_column(heading, justify="right")
    for one in leaderboard.standings:
        name = f"{STACK} at balance {balance:g}" if one.name == STACK else one.name
        errors = [one.as_rows_come, one.evenly, *(one.mae[region] for region in regions), one.bias[regions[-1]]]
        table.add_row(name, *(number(error) for error in errors))
    return table
