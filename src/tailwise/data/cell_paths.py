"""Files named by the cells of a table: where they are, and reading many of them."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pandas as pd

from tailwise._checks import InputError
from tailwise.data.columns import PATHS, Schema
from tailwise.data.rows import FrameRows, Rows

Read = TypeVar("Read")
_SHOWN = 10
_THREADS = 8


class FileError(Exception):
    """Why one file cannot be used, in words."""


def with_full_paths(rows: Rows, schema: Schema, folder: Path) -> Rows:
    """Rows whose cells name files from anywhere: relative paths belong to a folder, that of the table.

    Cells of texts become text: whole numbers without a fraction, an empty cell a text without words.

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
        raise InputError("columns of images, texts and signals need the table in one file, not in a folder")
    frame = rows.frame()
    made = {}
    for medium in schema.media:
        for name in medium.columns:
            made[name] = _paths(frame[name], medium.kind, folder) if medium.kind in PATHS else _texts(frame[name])
    return FrameRows(frame.assign(**made))


def _paths(cells: pd.Series, kind: str, folder: Path) -> pd.Series:
    empty = cells.isna() | (cells.astype("string").str.strip() == "").fillna(True).astype(bool)
    if empty.any():
        raise InputError(
            f"column {cells.name!r} ({kind}) has {int(empty.sum())} empty cells, the first in row "
            f"{int(empty.to_numpy().argmax()) + 1}; remove those rows"
        )
    if len(cells) and pd.api.types.is_numeric_dtype(cells):
        raise InputError(
            f"`{kind}` names {cells.name!r}, which holds numbers such as {cells.iloc[0]}, not names of files"
        )
    return cells.map(lambda cell: str(folder / str(cell)))


def _texts(cells: pd.Series) -> pd.Series:
    text = cells.astype("string").fillna("")
    return (text.str.removesuffix(".0") if pd.api.types.is_float_dtype(cells) else text).astype(object)


def read_files(column: str, paths: Sequence[str], read: Callable[[Path], Read]) -> list[Read]:
    """What each file holds, in order; several are read at once.

    Args:
        column: the column that names them, for the message.
        paths: the files.
        read: from a file to what it holds; a :class:`FileError` says why it cannot.

    Raises:
        InputError: files that cannot be read: how many, and the first ten with the reason.
    """
    found, problems = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parsers warn of what does not matter here, for each file
        for path, content in zip(paths, _each(paths, read), strict=True):
            if isinstance(content, FileError):
                problems.append(f"{path}: {content}")
            else:
                found.append(content)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise InputError(
            f"{len(problems)} of the {len(paths)} files that column {column!r} names cannot be used:{listed}{more}"
        )
    return found


def _each(paths: Sequence[str], read: Callable[[Path], Read]) -> Iterator[Read | FileError]:
    def one(path: str) -> Read | FileError:
        try:
            return read(Path(path))
        except FileNotFoundError:
            return FileError("there is no such file")
        except FileError as problem:
            return problem
        except OSError as error:
            return FileError(error.strerror or str(error))

    todo = iter(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        while chunk := list(islice(todo, 64 * _THREADS)):  # results of one chunk wait in memory, not of all
            yield from pool.map(one, chunk)


def cells(frame: pd.DataFrame, column: str) -> list[str]:
    """Cells of a column as text."""
    return [str(cell) for cell in frame[column]]
