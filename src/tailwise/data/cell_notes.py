"""Notes on cells that a careful person would ask about."""

from collections.abc import Iterable

import pandas as pd

from tailwise._checks import short, shown
from tailwise.data.cell_values import NA_WORDS, Kind, as_text, first_row, is_identifier, numbers_of
from tailwise.data.date_forms import compact_dates
from tailwise.data.missing_codes import notes_on_codes
from tailwise.data.reading import Reading

_ODD_FRACTION, _FEWEST_FOR_ODD = 0.02, 20


def most_odd(cells: int) -> int:
    """Return how many cells of a column of numbers or dates may be something else."""
    return max(1, int(_ODD_FRACTION * cells)) if cells >= _FEWEST_FOR_ODD else 0


def is_padded(text: pd.Series) -> pd.Series:
    """Return which cells begin with a zero and another digit."""
    return text.astype("string").str.match(r"[+-]?0\d").fillna(False).astype(bool)


def note_on_odd_cells(series: pd.Series, odd: Iterable[object], what: str) -> str:
    """Return the note on cells that count as missing because they are not what the others are."""
    odd = [str(cell) for cell in odd]
    if not odd:
        return ""
    is_odd = series.astype("string").str.strip().isin(odd).fillna(False).astype(bool)
    first = f"e.g. {shown(series[is_odd].iloc[0])} in row {first_row(is_odd)}"
    way_out = f"; correct them, or pass `nominal={short(series.name)}`"
    return (
        f"column {shown(series.name)} holds {what}; {int(is_odd.sum()):,} of {len(series):,} cells are read as "
        f"missing, {first}{way_out}"
    )


def notes_on_cells(series: pd.Series, kind: Kind, reading: Reading) -> list[str]:
    """Return notes on cells that a careful person would ask about: codes with zeros, ``NA`` beside empty cells.

    Args:
        series: the cells.
        kind: the kind of the column.
        reading: how its cells are written.
    """
    name, column = shown(series.name), short(series.name)
    if kind == "numeric" and pd.api.types.is_numeric_dtype(series):
        if pd.api.types.is_integer_dtype(series) and compact_dates(series):
            return [f"column {name} holds numbers such as {series.iloc[0]}: if they are dates, pass `date={column}`"]
        return notes_on_codes(str(series.name), series.mask(reading.is_missing(series)) if reading.missing else series)
    if kind not in ("numeric", "nominal") or isinstance(series.dtype, pd.CategoricalDtype):
        return []
    text = as_text(series)
    if kind == "numeric":
        padded = is_padded(text)
        if padded.any() and reading.form.plain:
            return [
                f"column {name} holds numbers with leading zeros, e.g. {shown(text[padded].iloc[0])} in row "
                f"{first_row(padded)}: if they are codes, pass `nominal={short(series.name)}`"
            ]
        return notes_on_codes(str(series.name), numbers_of(series, reading))
    words = text.isin(NA_WORDS)
    if words.any() and text.isna().any():
        return [
            f"column {name} has {int(words.sum()):,} cells {shown(text[words].iloc[0])} beside "
            f"{int(text.isna().sum()):,} empty ones: the former are a category of their own; if they are missing, pass "
            f"`missing={column}={text[words].iloc[0]}`"
        ]
    numbers = pd.to_numeric(text, errors="coerce")
    is_odd = numbers.isna() & text.notna()
    if is_odd.any() and int(is_odd.sum()) <= most_odd(int(text.notna().sum())) and not is_identifier(text):
        return [
            f"column {name} is read as categories, but only {int(is_odd.sum()):,} of its cells are no numbers, e.g. "
            f"{shown(text[is_odd].iloc[0])} in row {first_row(is_odd)}: if they are errors, pass `numeric={column}`"
        ]
    return []


def note_on_target(series: pd.Series, reading: Reading) -> list[str]:
    """Return a note on how a target is read whose cells are numbers with marks; none for plain numbers.

    Args:
        series: the cells.
        reading: how they are written.
    """
    if reading.form.plain or pd.api.types.is_numeric_dtype(series):
        return []
    read = numbers_of(series, reading).dropna()
    if read.empty:
        return []
    place = read.index[0]
    return [
        f"target {shown(series.name)} is read as numbers, e.g. {shown(series[place])} = {read[place]:,.10g}",
    ]
