"""Options of ``tailwise explain`` for SHAP values, and what it prints of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, whole

if TYPE_CHECKING:
    from rich.table import Table

    from tailwise.experiment.shap_values import ShapValues

_PANEL = "SHAP values"
_MOST_COLUMNS = 15
ROWS, PREDICTIONS = 50, 500_000  # defaults of the library, which `--help` does not load

Shap = Annotated[
    bool,
    typer.Option(
        "--shap",
        help="Also show how far each column moves the predictions: mean absolute SHAP values by region, against "
        "training rows, or rows of DATA.",
        rich_help_panel=_PANEL,
    ),
]
ShapRows = Annotated[
    int | None,
    typer.Option(
        "--shap-rows",
        help="Most rows of a region to explain, a random sample.",
        show_default=str(ROWS),
        rich_help_panel=_PANEL,
    ),
]
ShapPredictions = Annotated[
    int | None,
    typer.Option(
        "--shap-predictions",
        help="Most predictions to make. With fewer, fewer rows are explained; with more, values are more precise.",
        show_default=f"{PREDICTIONS:,}",
        rich_help_panel=_PANEL,
    ),
]
ShapOut = Annotated[
    Path | None,
    typer.Option(
        "--shap-out",
        help="Also write the SHAP values of each explained row to this .csv, .tsv or .parquet file.",
        rich_help_panel=_PANEL,
    ),
]


def check_shap(
    shap: bool, rows: int | None, predictions: int | None, out: Path | None, *, overwrite: bool
) -> dict[str, int]:
    """Return the arguments of :func:`tailwise.experiment.shap_values.shap_values` that options give.

    Raises:
        InputError: options without ``--shap``, numbers below 1, a file that may not be written.
    """
    from tailwise.cli.out_file import check_out_file
    from tailwise.data.table_files import SUFFIXES
    from tailwise.experiment.shap_values import MOST_OF_REGION

    for option, given in (("--shap-rows", rows), ("--shap-predictions", predictions), ("--shap-out", out)):
        if given is not None and not shap:
            raise InputError(f"{option} is for SHAP values; add --shap, or leave it out")
    check_out_file(out, "--shap-out", *SUFFIXES, overwrite=overwrite)
    limits = {}
    if rows is not None:
        limits["most"] = whole(rows, "--shap-rows", least=1, most=MOST_OF_REGION)
    if predictions is not None:
        limits["predictions"] = whole(predictions, "--shap-predictions", least=1)
    return limits


def computed_shap(model: Any, frame: Any, y: Any, **given: Any) -> "ShapValues":
    """Return SHAP values, with the number of explained rows on stderr while they are computed."""
    from tailwise.cli.show import err
    from tailwise.experiment.shap_values import shap_values

    with err.status("computing SHAP values") as status:
        return shap_values(
            model,
            frame,
            y,
            on_rows=lambda n, rows: status.update(f"computing SHAP values: {n} of {rows} rows"),
            **given,
        )


def shap_table(shap: "ShapValues") -> "Table":
    """Return the mean absolute SHAP values by column and region, the 15 largest where values are rarest."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from tailwise._numbers import number
    from tailwise.experiment.importance import COME

    def short(value: float) -> str:
        return number(float(f"{value:.3g}"))

    left_out = max(len(shap.columns) - _MOST_COLUMNS, 0)
    more = f"; {left_out} more columns are in the file of --out" if left_out else ""
    title = Text("Mean absolute SHAP value: how far a column moves predictions, up or down")
    caption = Text(
        f"in units of {shap.target}, ordered by {shap.by}; the interval is a 95 % one of the mean there{more}"
    )
    regions = [COME, *shap.n]
    table = Table("column", title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for region in regions:
        table.add_column(region if region == COME else f"{region} (n {shap.n[region]:,})", justify="right")
    table.add_column(f"interval {shap.by}", justify="right")
    for one in shap.columns[:_MOST_COLUMNS]:
        low, high = one.size[shap.by].low, one.size[shap.by].high
        ends = "" if low is None or high is None else f"{short(low)} .. {short(high)}"
        table.add_row(Text(one.column), *(short(one.size[region].value) for region in regions), ends)
    return table


def shap_line(shap: "ShapValues", background: str) -> str:
    """Return how SHAP values were computed, in a line.

    Args:
        shap: the values.
        background: what the background rows are, such as ``"training rows"``.
    """
    from tailwise._numbers import counted, number

    return (
        f"SHAP values of {counted(len(shap.row), 'row')} against {shap.background} {background}, whose mean prediction "
        f"is {number(float(f'{shap.base:.4g}'))}; {counted(shap.orders, 'order')} of the columns, at most "
        f"{shap.predictions:,} predictions"
    )
