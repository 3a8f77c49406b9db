"""Options of ``tailwise compare`` that other commands lack."""

from typing import Annotated

import typer

from tailwise.cli.column_completion import complete_column, complete_table
from tailwise.cli.completion import complete_choice
from tailwise.cli.options import METHOD, ROWS, TRAINING
from tailwise.compare.presets import PRESETS
from tailwise.modalities.encoder_names import AUTO

Tables = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="One or several tables, or example:NAME; DATA@TARGET for a table with a different target.",
        autocompletion=complete_table,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="Column to predict, for tables without @TARGET.",
        autocompletion=complete_column,
        rich_help_panel=ROWS,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Encoders and models, one or more: --model mlp tabm lightgbm.",
        show_default=AUTO,
        rich_help_panel=METHOD,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="Entry that the others are compared with, as 'MODEL METHOD'.",
        show_default="first model with first method",
        rich_help_panel=METHOD,
    ),
]
Sweep = Annotated[
    bool,
    typer.Option(
        "--sweep",
        help="Also vary the power of the weights from 0 to 1 (reweight+lds) on the first model: the trade-off between "
        "many and few.",
        rich_help_panel=METHOD,
    ),
]
PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="|".join(PRESETS),
        autocompletion=complete_choice(PRESETS),
        help="quick: 3 seeds, at most 5,000 rows, 40 epochs. standard: 5 seeds, at most 20,000 rows. thorough: 10 "
        "seeds, all rows, 120 epochs.",
        rich_help_panel=TRAINING,
    ),
]
