"""``tailwise explain``: which rows a run predicts wrongly, and which columns it needs where values are rare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise.cli import options
from tailwise.cli.completion import complete_data
from tailwise.cli.show_shap import Shap, ShapOut, ShapPredictions, ShapRows, check_shap

if TYPE_CHECKING:
    from rich.table import Table

    from tailwise.data.rows import Rows
    from tailwise.experiment.importance import Explanation
    from tailwise.experiment.worst_rows import WorstRows
    from tailwise.runs.labelled_rows import LabelledRows

_MOST_COLUMNS, _MOST_ROWS, _MOST_CELLS = 15, 10, 3
Data = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help="A table, or a folder of its parts, with the target that the run was not trained on; by default the test "
        "rows of the run.",
        autocompletion=complete_data,
        show_default=False,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", help="Also write a page with charts to this file.", rich_help_panel=options.OUTPUT),
]
Repeats = Annotated[
    int, typer.Option("--repeats", help="Number of shuffles of each column.", rich_help_panel=options.TRAINING)
]


def explain(
    run: options.Run,
    data: Data = None,
    out: Annotated[Path | None, options.out("Also write everything to this JSON file.")] = None,
    html: Html = None,
    overwrite: options.Overwrite = False,
    repeats: Repeats = 5,
    shap: Shap = False,
    shap_rows: ShapRows = None,
    shap_predictions: ShapPredictions = None,
    shap_out: ShapOut = None,
    drop_missing_target: options.DropMissingTarget = False,
    seed: options.Seed = 0,
) -> None:
    """Show the rows with the largest errors, and which columns a run needs where values are common and where rare.

    A column is shuffled among the rows, and the rise of the MAE is shown by region of the true value. Columns that say
    the same share their importance. With --shap it also shows how far each column moves the predictions.

    Example:  tailwise explain runs/price --html explained.html
    """
    from tailwise._checks import InputError, whole
    from tailwise._files import write_json, write_text
    from tailwise.cli.out_file import check_out_file
    from tailwise.cli.show import err, notes, print_line
    from tailwise.cli.show import out as console
    from tailwise.cli.show_shap import computed_shap, shap_line, shap_table
    from tailwise.data.table_files import write_table
    from tailwise.experiment.importance import explain as explained
    from tailwise.experiment.model import FittedModel
    from tailwise.experiment.shap_estimate import require_shap
    from tailwise.experiment.shap_values import check_explainable
    from tailwise.modalities.map_model import is_map_model
    from tailwise.report.explained_page import answer, explained_page, shap_answer
    from tailwise.runs.folder import MODEL, open_run

    whole(seed, "--seed", least=0)
    whole(repeats, "--repeats", least=1)
    check_out_file(out, "--out", ".json", overwrite=overwrite)
    check_out_file(html, "--html", ".html", overwrite=overwrite)
    limits = check_shap(shap, shap_rows, shap_predictions, shap_out, overwrite=overwrite)
    folder = open_run(run)
    if is_map_model(folder / MODEL):
        raise InputError(f"run {str(run)!r} predicts maps; tailwise explain is for tables")
    model = FittedModel.load(folder / MODEL)
    if shap:
        check_explainable(model)
        require_shap()
    rows, train = _rows(model, run, folder, data, drop=drop_missing_target)
    background = "rows of the table" if train is None else "training rows"
    given: dict[str, Any] = {"seed": seed, "sample_weight": rows.weight, "row": rows.row}
    with err.status("shuffling columns"):
        found = explained(model, rows.frame, rows.y, repeats=repeats, **given)
    values = computed_shap(model, rows.frame, rows.y, background=train, **limits, **given) if shap else None
    notes(rows.notes)
    if values is not None and shap_out is not None:
        write_table(values.frame(), shap_out)
    if out is not None:
        write_json(out, found.to_json() | ({} if values is None else {"shap": values.to_json()}))
    if html is not None:
        about = f"the test rows of run {run.name!r}" if data is None else f"the rows of {Path(data).name}"
        title = f"{found.target}: which rows are wrong"
        write_text(html, explained_page(found, title=title, rows=about, shap=values, background=background))
    for sentence in answer(found) + ([] if values is None else [shap_answer(values)]):
        print_line(sentence)
    console.print(importance_table(found))
    if values is not None:
        console.print(shap_table(values))
        print_line(shap_line(values, background))
    if found.worst is not None:
        console.print(worst_table(found.worst, found.target, len(found.columns)))
    if out is not None:
        print_line(f"everything: {out}")
    if html is not None:
        print_line(f"page: {html}")
    if shap_out is not None:
        print_line(f"SHAP values by row: {shap_out}")


def _rows(model: Any, run: Path, folder: Path, data: str | None, *, drop: bool) -> "tuple[LabelledRows, Rows | None]":
    """Return the rows of a table; or the test rows of the run, and its training rows."""
    from dataclasses import replace

    from tailwise.runs.folder import read_settings
    from tailwise.runs.labelled_rows import LabelledRows, labelled_rows
    from tailwise.runs.tested_rows import task_of_run

    if data is None:
        task = task_of_run(read_settings(folder), run)
        rows, y = task.rows_of("test")
        tested = LabelledRows(rows.frame(), y, task.weight_of("test"), task.row[task.part == "test"], task.notes)
        return tested, task.rows_of("train")[0]
    new = labelled_rows(model, data, drop=drop)
    told = [*new.notes, *new.note_on_trained(read_settings(folder))]
    return replace(new, frame=new.frame.reset_index(drop=True), notes=told), None


def importance_table(found: "Explanation") -> "Table":
    """Return the rises of the MAE by column and region, the 15 largest where values are rarest."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from tailwise._numbers import number
    from tailwise.experiment.importance import COME

    left_out = max(len(found.columns) - _MOST_COLUMNS, 0)
    more = f"; {left_out} more columns are in the file of --out" if left_out else ""
    caption = Text(
        f"in units of {found.target}, ordered by {found.by}; the interval is a 95 % one of the rise there{more}"
    )
    title = Text("Rise of the MAE without a column: its cells are shuffled")
    regions = [COME, *found.n]
    shown = Table("column", title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for region in regions:
        shown.add_column(region if region == COME else f"{region} (n {found.n[region]:,})", justify="right")
    shown.add_column(f"interval {found.by}", justify="right")
    shown.add_row(Text("(MAE now)"), *(number(found.mae[region]) for region in regions), "")
    for one in found.columns[:_MOST_COLUMNS]:
        low, high = one.rise[found.by].low, one.rise[found.by].high
        ends = "" if low is None or high is None else f"{number(_short(low))} .. {number(_short(high))}"
        shown.add_row(Text(one.column), *(number(_short(one.rise[region].value)) for region in regions), ends)
    return shown


def worst_table(worst: "WorstRows", target: str, n_columns: int) -> "Table":
    """Return the ten rows with the largest errors.

    Args:
        worst: the rows.
        target: name of the target.
        n_columns: number of columns of the table; three are shown.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from tailwise._numbers import counted, number

    names = worst.columns[:_MOST_CELLS]
    left_out = n_columns - len(names)
    more = f"; {counted(left_out, 'column')} not shown" if left_out > 0 else ""
    title, caption = Text("Rows with the largest errors"), Text(f"in units of {target}; row: position, from 0{more}")
    shown = Table("row", "region", title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("true", "predicted"):
        shown.add_column(heading, justify="right")
    for name in names:
        shown.add_column(Text(name))
    for one in worst.rows[:_MOST_ROWS]:
        cells = (Text(cell[:20]) for cell in one.cells[:_MOST_CELLS])
        shown.add_row(str(one.row), one.region, number(one.true), number(one.predicted), *cells)
    return shown


def _short(value: float) -> float:
    return float(f"{value:.3g}")
