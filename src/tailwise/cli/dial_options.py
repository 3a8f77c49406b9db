"""Options of ``tailwise dial``: the rows it learns from, and those it writes."""

from typing import Annotated

import typer

from tailwise.cli.column_completion import complete_column, complete_missing
from tailwise.cli.completion import complete_data
from tailwise.cli.options import EXAMPLE, FILES, OUTPUT, ROWS

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=f"Rows the model was not trained on. {FILES}, {EXAMPLE}.",
        autocompletion=complete_data,
    ),
]
Prediction = Annotated[
    str,
    typer.Option(
        "--prediction",
        "-p",
        help="Column with the model's predictions.",
        autocompletion=complete_column,
        rich_help_panel=ROWS,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Training rows, whose target column says which values are rare.",
        show_default="DATA",
        rich_help_panel=ROWS,
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(
        "--weight",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column with the weights of rows, such as survey weights: distributions and errors count by it.",
        rich_help_panel=ROWS,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column with the group of a row, such as the person: no row is judged by another row of its group.",
        rich_help_panel=ROWS,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="COLUMN=VALUE",
        autocompletion=complete_missing,
        help="Fit to these rows of DATA alone, such as diagnosis=healthy; --out has all rows.",
        show_default="all rows",
        rich_help_panel=ROWS,
    ),
]
Apply = Annotated[
    str | None,
    typer.Option("--apply", metavar="FILE", help="New rows with predictions, for --out.", rich_help_panel=OUTPUT),
]
