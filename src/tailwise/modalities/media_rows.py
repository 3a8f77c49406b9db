"""Columns of a table that are media: recognised by their keywords, and their cells as paths or texts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tailwise._checks import InputError, did_you_mean
from tailwise._numbers import counted
from tailwise.data.cell_values import first_row
from tailwise.data.columns import Medium, Schema
from tailwise.data.rows import FrameRows, Rows
from tailwise.modalities.kinds import column_options, modality_named, plurals


def media_columns(named: Mapping[str, Any], *, parameters: Iterable[str] = ()) -> list[Medium]:
    """Return the media that keywords such as ``image=["photo"]`` and ``text_pair=("question", "answer")`` name.

    Single columns come first, in the order of the modalities, then those that are read together.

    Args:
        named: columns by keyword; empty or ``None`` for none.
        parameters: further keywords of the calling function, suggested for an unknown keyword.

    Raises:
        InputError: an unknown keyword, another number of columns than are read together.

    Example:
        >>> [(medium.kind, medium.columns) for medium in media_columns({"text_pair": ["a", "b"], "image": ["c"]})]
        [('image', ('c',)), ('text', ('a', 'b'))]
    """
    options = column_options()
    known = [option.name for _, option in options]
    for name in named:
        if name not in known:
            raise InputError(f"there is no keyword {name!r}{did_you_mean(name, [*known, *parameters])}")
    single, together = [], []
    for modality, option in options:
        columns = named.get(option.name)
        if columns is None:
            continue
        if option.together == 1:
            single += [Medium(modality.name, (column,), modality.plural) for column in columns]
        elif len(columns) != option.together:
            number = {2: "two"}.get(option.together, option.together)
            raise InputError(f"`{option.name}` takes {number} columns, got {len(columns)}")
        else:
            together.append(Medium(modality.name, tuple(columns), modality.plural))
    return single + together


def with_full_paths(rows: Rows, schema: Schema, folder: Path) -> Rows:
    """Return rows whose cells name files from anywhere: relative paths start at a folder, that of the table.

    Cells that are no paths become text: whole numbers without a fraction, an empty cell a text without words.

    Args:
        rows: rows of a table, in memory.
        schema: its columns.
        folder: where relative paths start.

    Raises:
        InputError: rows that are not in memory, cells that are empty or numbers where they should name files.
    """
    if not schema.media:
        return rows
    if not rows.in_memory:
        raise InputError(f"columns of {plurals('and')} need the table in one file, not in a folder")
    frame = rows.frame()
    replaced = {}
    for medium in schema.media:
        holds_paths = modality_named(medium.kind).holds_paths
        for name in medium.columns:
            replaced[name] = _paths(frame[name], medium.kind, folder) if holds_paths else _texts(frame[name])
    return FrameRows(frame.assign(**replaced))


def _paths(cells: pd.Series, kind: str, folder: Path) -> pd.Series:
    empty = cells.isna() | (cells.astype("string").str.strip() == "").fillna(True).astype(bool)
    if empty.any():
        raise InputError(
            f"column {cells.name!r} ({kind}) has {counted(int(empty.sum()), 'empty cell')}, the first in row "
            f"{first_row(empty)}; remove those rows"
        )
    if len(cells) and pd.api.types.is_numeric_dtype(cells):
        raise InputError(
            f"`{kind}` names {cells.name!r}, which holds numbers such as {cells.iloc[0]}, not names of files"
        )
    return cells.map(lambda cell: str(folder / str(cell)))


def _texts(cells: pd.Series) -> pd.Series:
    text = cells.astype("string").fillna("")
    return (text.str.removesuffix(".0") if pd.api.types.is_float_dtype(cells) else text).astype(object)
