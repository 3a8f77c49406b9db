"""Options that name columns of images, texts and signals, the same for every command that trains."""

from typing import Annotated, Any

import typer

_PANEL = "Columns"
Image = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="COLUMN",
        help="Column that names image files. Repeatable. --set image.encoder=resnet18, image.size=64, ...",
        rich_help_panel=_PANEL,
    ),
]
Text = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="COLUMN",
        help="Column of texts. Repeatable. --set text.encoder=FOLDER (of transformers), text.frozen=false, ...",
        rich_help_panel=_PANEL,
    ),
]
TextPair = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--text-pair", metavar="COLUMN COLUMN", help="Two columns of texts to compare.", rich_help_panel=_PANEL
    ),
]
Signal = Annotated[
    list[str] | None,
    typer.Option(
        "--signal",
        metavar="COLUMN",
        help="Column that names files of signals (NPY, WAV, CSV, EDF). Repeatable.",
        rich_help_panel=_PANEL,
    ),
]


def media_choices(
    image: list[str] | None, text: list[str] | None, text_pair: tuple[str, str] | None, signal: list[str] | None
) -> dict[str, Any]:
    """What :func:`tailwise.experiment.prepare.prepare` is told of them."""
    return {"image": image or [], "text": text or [], "text_pair": text_pair, "signal": signal or []}
