"""Options of ``tailwise tune`` that other commands lack."""

from typing import Annotated

import typer

from tailwise.backends.names import MODELS
from tailwise.cli.completion import complete_choice
from tailwise.cli.options import METHOD, OUTPUT, TRAINING
from tailwise.modalities.encoder_names import ENCODERS
from tailwise.search.aim import OBJECTIVES

_AIM = "Aim"

Minimise = Annotated[
    str,
    typer.Option(
        "--minimise",
        metavar="|".join(OBJECTIVES),
        autocompletion=complete_choice(OBJECTIVES),
        help="Error on the validation rows: MAE of a region, mean over bins, or MAE over all.",
        rich_help_panel=_AIM,
    ),
]
Within = Annotated[
    str,
    typer.Option(
        "--within",
        help="Limit of the overall MAE, as the excess over vanilla's: 2%, 0.02, or none.",
        rich_help_panel=_AIM,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="|".join(MODELS),
        autocompletion=complete_choice(MODELS),
        help="Model to train; of a stack the experts are searched.",
        rich_help_panel=METHOD,
    ),
]
Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        metavar="|".join(ENCODERS),
        autocompletion=complete_choice(ENCODERS),
        help="Encoder to try. Repeatable.",
        show_default="mlp, mlp-ple",
        rich_help_panel=METHOD,
    ),
]
Trials = Annotated[int, typer.Option("--trials", help="Total number of trials of the study.", rich_help_panel=TRAINING)]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", help="Seconds after which no trial is started.", rich_help_panel=TRAINING),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Storage of the study, for several machines at once, each with its own --out: postgresql://..., "
        "sqlite:///FILE, or the path of a journal file.",
        show_default="study.journal in --out",
        rich_help_panel=OUTPUT,
    ),
]
