"""Tables in text files: separators, rows with too many or too few fields, and cells that must stay text."""

import csv
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

import numpy as np
import pandas as pd

from tailwise._checks import InputError, quoted, shown
from tailwise._numbers import counted
from tailwise.data.frame_blocks import MOST_BLOCKS

SEPARATORS = (",", ";", "\t", "|")
PIECE_ROWS, PIECE_CELLS = 50_000, 2_000_000  # rows and cells that are parsed together, the larger number of rows
Opener = Callable[[], TextIO]


@dataclass(frozen=True)
class Fields:
    """Numbers of fields in the rows of a file.

    Args:
        header: names of the columns, as the file has them.
        longest: most fields of a row.
        shortest: fewest fields of a row.
        first_long: first row with more fields than the header, counted from 1 after it; 0 if there is none.
        first_short: first row with fewer fields than the header; 0 if there is none.
        n_short: number of rows with fewer fields.
        extra_filled: first row with a cell that is not empty beyond the header's fields; 0 if there is none.
        has_row_names: whether every row has one more field than the header, the first and the last field of every row
            are filled, and no two first fields are equal.
        first_cell: the first field of the first row.
        padded: whether a cell begins with a zero and another digit.
    """

    header: list[str]
    longest: int
    shortest: int
    first_long: int
    first_short: int
    n_short: int
    extra_filled: int
    has_row_names: bool
    first_cell: str
    padded: bool


def read_text_table(
    opened: Opener, name: str, *, separator: str | None = None, text: Collection[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of a text file, and notes on rows that do not fit the header.

    Columns of numbers are numbers. All other columns, and numbers with leading zeros, are text as the file has it, with
    NaN for empty cells only: ``NA`` stays text.

    Args:
        opened: opens the file anew.
        name: of the file, for messages.
        separator: between the fields; by default the one of ``, ; tab |`` that splits the header into most fields.
        text: columns whose cells stay text.

    Raises:
        InputError: two columns of one name, a row with more cells than the header has names.
    """
    separator = _separator(opened) if separator is None else separator
    fields = _fields(opened, separator, name)
    names = column_names(fields.header, name)
    notes = []
    shift = fields.has_row_names
    if fields.first_long and fields.extra_filled and not shift:
        row = fields.extra_filled
        raise InputError(
            f"{shown(name)} cannot be read as a table: it has {len(names)} columns, but row {row:,} has more cells; "
            f"put quotes around cells that contain {separator!r}, name the cells in the header, or remove them"
        )
    if shift:
        notes.append(
            "rows have one more cell than the header has names; the first cell of each, e.g. "
            f"{shown(fields.first_cell)} in row 1, is taken for a row name and left out; otherwise, correct the header"
        )
    elif fields.first_long:
        notes.append(f"rows end in a stray {separator!r}, the first is row {fields.first_long:,}; it is left out")
    if fields.n_short:
        notes.append(
            f"{counted(fields.n_short, 'row')} {'has' if fields.n_short == 1 else 'have'} fewer cells than there are "
            f"columns, the first is row {fields.first_short:,}; the last cells are empty"
        )
    source = opened if not (fields.first_long or shift) else _trimmed(opened, separator, len(names), int(shift))
    return _typed(source, separator, names, set(text), padded=fields.padded), notes


def _typed(source: Opener, separator: str, names: list[str], text: set[str], *, padded: bool) -> pd.DataFrame:
    """Return columns of numbers as numbers, all others as text; at its peak it takes 1.5 times its memory."""
    options = {"sep": separator, "header": 0, "names": names, "index_col": False}
    numbers = _numbers(source, options, [name for name in names if name not in text])
    columns: dict[str, object] = {name: numbers.get(name) for name in names}
    kept = [name for name in names if name not in numbers or padded]
    if kept:
        with source() as file:
            cells = pd.read_csv(file, usecols=kept, dtype=str, keep_default_na=False, **options)  # type: ignore[call-overload]
        for name in kept:
            column = cells.pop(name).replace("", np.nan)
            if name not in numbers or _is_padded(column):
                columns[name] = column
    return pd.DataFrame(columns, columns=names, copy=len(names) > MOST_BLOCKS)


def _numbers(source: Opener, options: dict[str, object], names: list[str]) -> dict[str, np.ndarray]:
    """Return the columns that hold nothing but numbers, or nothing but truth values."""
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in names}
    rows = max(PIECE_ROWS, PIECE_CELLS // max(len(names), 1))
    with source() as file:
        read = pd.read_csv(file, usecols=names, chunksize=rows, low_memory=False, **options)  # type: ignore[call-overload]
        for piece in read if names else ():
            for name in list(pieces):
                if pd.api.types.is_numeric_dtype(piece[name]):
                    pieces[name].append(piece[name].to_numpy())
                else:
                    del pieces[name]
    numbers = {}
    for name in list(pieces):
        parts = pieces.pop(name)
        if parts and len({part.dtype.kind == "b" for part in parts}) == 1:
            numbers[name] = np.concatenate(parts)
    return numbers


def _is_padded(cells: pd.Series) -> bool:
    """Return whether a cell begins with a zero and another digit."""
    return bool(cells.str.match(r"\s*[+-]?0\d").fillna(False).any())


def _separator(opened: Opener) -> str:
    """Return the separator that splits the header into most fields; the comma if none does."""
    with opened() as file:
        header = next((line for line in file if line.strip()), "")
    return max(SEPARATORS, key=re.sub(r'"[^"]*"', "", header).count)


def header_names(opened: Opener, name: str, *, separator: str | None = None) -> list[str]:
    """Return the names of the columns of a text file, read from its first row alone.

    Args:
        opened: opens the file anew.
        name: of the file, for messages.
        separator: between the fields; recognised by default, as in :func:`read_text_table`.

    Raises:
        InputError: an empty file, two columns of one name.
    """
    separator = _separator(opened) if separator is None else separator
    with opened() as file, _long_cells():
        try:
            header = next((row for row in csv.reader(file, delimiter=separator) if _holds_cells(row)), None)
        except csv.Error as error:
            raise InputError(f"{shown(name)} cannot be read as a table: {error}") from error
    if header is None:
        raise InputError(f"{shown(name)} cannot be read as a table: it is empty")
    return column_names(header, name)


def column_names(header: list[str], name: str) -> list[str]:
    """Return the names of the columns; those without a name are called as pandas calls them."""
    names = [cell or f"Unnamed: {i}" for i, cell in enumerate(header)]
    repeated = sorted({cell for cell in names if names.count(cell) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise InputError(f"{shown(name)} has several columns named {quoted(repeated, most=3)}; rename them")
    return names


def _fields(opened: Opener, separator: str, name: str) -> Fields:
    """Count the fields of each row."""
    first, later = re.compile(r"0\d"), re.compile(rf'["{re.escape(separator)}]0\d')
    has_padded = False

    def lines(file: TextIO) -> Iterator[str]:
        nonlocal has_padded
        for line in file:
            has_padded = has_padded or first.match(line) is not None or later.search(line) is not None
            yield line

    with opened() as file, _long_cells():
        try:
            rows = (row for row in csv.reader(lines(file), delimiter=separator) if _holds_cells(row))
            header = next(rows, None)
            if header is None:
                raise InputError(f"{shown(name)} cannot be read as a table: it is empty")
            width, number = len(header), 0
            longest, shortest, first_long, first_short, n_short, extra = 0, sys.maxsize, 0, 0, 0, 0
            row_names: set[str] | None = set()  # None once a row has none
            first_cell = ""
            for number, row in enumerate(rows, 1):
                n = len(row)
                first_cell = row[0] if number == 1 else first_cell
                if row_names is not None:
                    row_names = _with_row_name(row_names, row, width)
                longest, shortest = max(longest, n), min(shortest, n)
                if n > width:
                    first_long = first_long or number
                    extra = extra or (number if any(cell.strip() for cell in row[width:]) else 0)
                elif n < width:
                    first_short, n_short = first_short or number, n_short + 1
        except csv.Error as error:
            raise InputError(f"{shown(name)} cannot be read as a table: {error}") from error
    has_row_names = bool(row_names)
    return Fields(
        header, longest, shortest, first_long, first_short, n_short, extra, has_row_names, first_cell, has_padded
    )


def _with_row_name(names: set[str], row: list[str], width: int) -> set[str] | None:
    """Add the row name of a row to those before it; ``None`` if its first field cannot be one."""
    name = row[0].strip()
    if len(row) != width + 1 or not name or not row[-1].strip() or name in names:
        return None
    names.add(name)
    return names


def _holds_cells(row: list[str]) -> bool:
    """Return whether a line is a row; pandas skips lines that are empty or hold only spaces."""
    return len(row) > 1 or (len(row) == 1 and bool(row[0].strip()))


def _trimmed(opened: Opener, separator: str, width: int, start: int) -> Opener:
    """Return an opener of the same rows with ``width`` cells each, after the first ``start`` cells of a row."""
    lines = StringIO(newline="")
    writer = csv.writer(lines, delimiter=separator)
    with opened() as file, _long_cells():
        rows = (row for row in csv.reader(file, delimiter=separator) if _holds_cells(row))
        writer.writerow(next(rows))
        writer.writerows(row[start : start + width] for row in rows)
    return lambda: StringIO(lines.getvalue(), newline="")


@contextmanager
def _long_cells() -> Iterator[None]:
    """Allow cells of any length, which the csv module limits for the whole process."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
