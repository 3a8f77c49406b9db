"""Files named by the cells of a table: where they are, and reading many of them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pandas as pd

from tailwise._checks import InputError
from tailwise.data.rows import FrameRows, Rows
from tailwise.data.schema import PATHS, Schema

Read = TypeVar("Read")
_SHOWN = 10
_THREADS = 8


class FileError(Exception):
    """Why one file cannot be used, in words."""


def with_full_paths(rows: Rows, schema: Schema, folder: Path) -> Rows:
    """Rows whose cells name files from anywhere: relative paths belong to a folder, that of the table.

    Args:
        rows: rows of a table, in memory.
        schema: its columns.
        folder: where relative paths start.

    Raises:
        InputError: rows that are not in memory, empty cells.
    """
    if not schema.media:
        return rows
    if not rows.in_memory:
        raise InputError("columns of images, texts and signals need the table in one file, not in a folder")
    frame = rows.frame()
    made = {}
    for medium in schema.media:
        for name in medium.columns:
            empty = frame[name].isna()
            if empty.any():
                raise InputError(
                    f"column {name!r} ({medium.kind}) has {int(empty.sum())} empty cells, the first in row "
                    f"{int(empty.to_numpy().argmax()) + 1}; remove those rows"
                )
            if medium.kind in PATHS:
                made[name] = frame[name].map(lambda cell: str(folder / str(cell)))
    return FrameRows(frame.assign(**made)) if made else rows


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
