"""Columns left out that look like images, texts or signals, and the option that makes inputs of them."""

from collections.abc import Iterator

import pandas as pd

from tailwise.data.columns import Schema
from tailwise.modalities.signal_files import SUFFIXES as SIGNALS

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_LOOKED_AT, _FEWEST_WORDS = 200, 3


def media_hints(table: pd.DataFrame, schema: Schema) -> Iterator[str]:
    """A line a column that is left out as an identifier, but may be an input.

    Args:
        table: the rows.
        schema: what their columns are.
    """
    for name, reason in schema.unused.items():
        option = _option(table[name]) if reason.startswith("identifier") else None
        if option is not None:
            what = "holds texts" if option == "text" else "names files"
            yield f"column {name!r} {what}: to train on them, pass `{option}` {name}"


def _option(cells: pd.Series) -> str | None:
    words = cells.dropna().astype(str).head(_LOOKED_AT).str.strip()
    ends = words.str.lower()
    if ends.str.endswith(_IMAGES).all():
        return "image"
    if ends.str.endswith(SIGNALS).all():
        return "signal"
    return "text" if words.map(lambda text: len(text.split())).median() >= _FEWEST_WORDS else None
