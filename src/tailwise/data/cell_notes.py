"""Notes on cells that a careful person would ask about."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tailwise._checks import short, shown
from tailwise._numbers import counted
from tailwise.data.cell_values import (
    NA_WORDS,
    Kind,
    as_text,
    first_row,
    is_identifier,
    is_time,
    moments,
    numbers_of,
    to_floats,
)
from tailwise.data.date_forms import compact_dates
from tailwise.data.missing_codes import notes_on_codes, notes_on_date_codes
from tailwise.data.number_forms import CURRENCIES
from tailwise.data.quantities import lookalikes
from tailwise.data.reading import Reading, as_missing

_ODD_FRACTION, _FEWEST_FOR_ODD = 0.02, 20
_TOTALS = frozenset(
    [
        "total",
        "totals",
        "subtotal",
        "sub-total",
        "overall",
        "sum",
        "sums",
        "summe",
        "gesamt",
        "gesamtsumme",
        "insgesamt",
        "zwischensumme",
        "somme",
        "ensemble",
        "suma",
        "totale",
        "somma",
        "totaal",
        "soma",
        "average",
        "mean",
        "mittelwert",
        "durchschnitt",
        "moyenne",
        "promedio",
        "media",
    ]
) | {"grand total", "sub total", "total general", "total général", "sum total", "итого", "合计", "总计", "合計", "总和"}


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
    """Return notes on cells that a careful person would ask about: codes with zeros, categories that look like numbers.

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
    if kind == "date":
        return notes_on_date_codes(str(series.name), moments(series, reading), series)
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
        return note_on_currencies(text, reading) + notes_on_codes(str(series.name), numbers_of(series, reading))
    numbers = pd.to_numeric(text, errors="coerce")
    is_odd = numbers.isna() & text.notna()
    if is_odd.any() and int(is_odd.sum()) <= most_odd(int(text.notna().sum())) and not is_identifier(text):
        return [
            f"column {name} is read as categories, but only {int(is_odd.sum()):,} of its cells are no numbers, e.g. "
            f"{shown(text[is_odd].iloc[0])} in row {first_row(is_odd)}: if they are errors, pass `numeric={column}`"
        ]
    looks = lookalikes(series)
    if looks is not None:
        return [f"column {name} is read as categories, but {looks}; if they are categories, pass `nominal={column}`"]
    words = text.isin(NA_WORDS)
    if words.any() and text.isna().any():
        return [
            f"column {name} has {int(words.sum()):,} cells {shown(text[words].iloc[0])} beside "
            f"{int(text.isna().sum()):,} empty ones: the former are a category of their own; if they are missing, pass "
            f"{as_missing(column, text[words].iloc[0])}"
        ]
    return _note_on_spellings(text)


def _note_on_spellings(text: pd.Series) -> list[str]:
    """Return a note on categories that differ in capitals or inner spaces alone; none if all are different words."""
    counts = text.value_counts()
    alike = counts.groupby([" ".join(str(cell).lower().split()) for cell in counts.index], sort=False)
    several = [list(cells.index) for _, cells in alike if len(cells) > 1] if alike.ngroups < len(counts) else []
    if not several:
        return []
    first, second = several[0][:2]
    others = f", and {len(several) - 1:,} more in several spellings" if several[1:] else ""
    return [
        f"column {shown(text.name)} has category {shown(first)} ({counts[first]:,} rows) also as {shown(second)} "
        f"({counts[second]:,}){others}: if they are the same, write them alike"
    ]


def reason_of_identifier(series: pd.Series) -> str:
    """Return the reason why a text column is left out in which nearly every value occurs once, with an example."""
    looks = lookalikes(series)
    if looks is not None:
        return f"identifier: nearly every value occurs once, but {looks}"
    return f"identifier: nearly every value occurs once, e.g. {shown(series.dropna().iloc[0])}"


def note_on_currencies(text: pd.Series, reading: Reading) -> list[str]:
    """Return a note on amounts in several currencies, of which only the numbers are read.

    Args:
        text: the cells as stripped text.
        reading: how they are written.
    """
    signs = [sign for sign in CURRENCIES if sign in reading.symbol]
    cells = {sign: text[text.str.contains(sign, regex=False).fillna(False).astype(bool)] for sign in signs}
    used = sorted((sign for sign in signs if len(cells[sign])), key=lambda sign: -len(cells[sign]))
    if len(used) < 2:
        return []
    few = used[-1]
    return [
        f"column {shown(text.name)} has amounts in {' and '.join(used)} ({len(cells[few]):,} in {few}, e.g. "
        f"{shown(cells[few].iloc[0])}), read as numbers without conversion: convert them to one currency"
    ]


def note_on_infinite(series: pd.Series, reading: Reading) -> str:
    """Return the note on infinite cells of a column of numbers, which count as missing; empty if there are none."""
    if not pd.api.types.is_float_dtype(series):
        return ""
    is_infinite = np.isinf(to_floats(series)) & ~reading.is_missing(series)
    if not is_infinite.any():
        return ""
    return (
        f"column {shown(series.name)} has {counted(int(is_infinite.sum()), 'infinite cell')}, read as missing, the "
        f"first in row {first_row(is_infinite):,}"
    )


def note_on_total(frame: pd.DataFrame) -> list[str]:
    """Return a note on a last row that may be the sum of the others: its first cell, and no other, is ``Total``."""
    if frame.empty or pd.api.types.is_numeric_dtype(frame.iloc[:, 0]) or is_time(frame.iloc[:, 0]):
        return []
    cell = str(frame.iloc[-1, 0]).strip()
    word = cell.rstrip(":").rstrip().lower()
    if word not in _TOTALS or (frame.iloc[:, 0].astype("string").str.strip() == cell).sum() > 1:
        return []
    is_last = pd.Series(np.arange(len(frame)) == len(frame) - 1, index=frame.index)
    return [f"the last row, {first_row(is_last):,}, begins with {shown(cell)}: if it summarises the others, remove it"]


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
        *note_on_currencies(as_text(series), reading),
    ]
