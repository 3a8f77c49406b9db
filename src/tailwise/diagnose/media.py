"""Columns left out as identifiers that look like media, and the option that trains on them."""

from collections.abc import Iterator

import pandas as pd

from tailwise.data.columns import Schema
from tailwise.modalities import kinds as catalog
from tailwise.modalities.modality import Modality

_CELLS = 200


def media_hints(table: pd.DataFrame, schema: Schema) -> Iterator[str]:
    """Return a line for each column that is left out as an identifier, but may be an input.

    Args:
        table: the rows.
        schema: kinds of their columns.
    """
    for name, reason in schema.unused.items():
        modality = _looks_like(table[name]) if reason.startswith("identifier") else None
        if modality is not None:
            holds = "names files" if modality.holds_paths else f"holds {modality.plural}"
            yield f"column {name!r} {holds}: to train on them, pass `{modality.options[0].name}` {name}"


def _looks_like(cells: pd.Series) -> Modality | None:
    """Return the modality of a column, tried for paths first: the name of a file may have several words."""
    words = cells.dropna().astype(str).head(_CELLS).str.strip()
    ordered = sorted(catalog.MODALITIES, key=lambda modality: not modality.holds_paths)
    return next((one for one in ordered if one.looks_like is not None and one.looks_like(words)), None)
