"""Texts: columns of texts, and pairs of columns that are read together."""

from typing import TYPE_CHECKING

from tailwise.modalities.modality import ColumnOption, Modality

if TYPE_CHECKING:
    import pandas as pd

_FEWEST_WORDS = 3


def _has_sentences(cells: "pd.Series") -> bool:
    return bool(cells.map(lambda text: len(text.split())).median() >= _FEWEST_WORDS)


TEXT = Modality(
    name="text",
    plural="texts",
    options=(
        ColumnOption(
            "text",
            "Column of texts. Repeatable. --set text.encoder=FOLDER (of transformers), text.frozen=false, ...",
        ),
        ColumnOption("text_pair", "Two columns of texts to compare.", together=2),
    ),
    parameters=(
        *("encoder", "frozen", "length", "pair", "cache", "vectors", "words", "lr_factor"),
        *("widths", "dropout", "input_dropout", "units", "width"),
    ),
    fit="tailwise.modalities.text:fit_texts",
    reader="tailwise.modalities.text:load_text_reader",
    encoder="tailwise.modalities.text:text_encoder_from",
    holds_paths=False,
    looks_like=_has_sentences,
    one_encoder=True,
)
