"""Read the files that the cells of a column name, several at once, and report all unusable ones together."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pandas as pd

from tailwise._checks import InputError

Read = TypeVar("Read")
_SHOWN = 10
_THREADS = 8


class FileError(Exception):
    """The reason why one file cannot be used, in words."""


def read_files(column: str, paths: Sequence[str], read: Callable[[Path], Read]) -> list[Read]:
    """Return the content of each file, in order; several are read at once.

    Args:
        column: column with their paths, for the message.
        paths: the files.
        read: from a file to its content; raises :class:`FileError` with the reason if the file cannot be used.

    Raises:
        InputError: files that cannot be read: their number, and the first ten with the reason.
    """
    contents, problems = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parsers warn about harmless oddities of each file
        for path, content in zip(paths, _each(paths, read), strict=True):
            if isinstance(content, FileError):
                problems.append(f"{path}: {content}")
            else:
                contents.append(content)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise InputError(
            f"{len(problems)} of the {len(paths)} files that column {column!r} names cannot be used:{listed}{more}"
        )
    return contents


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
        while chunk := list(islice(todo, 64 * _THREADS)):  # results of one chunk at a time wait in memory
            yield from pool.map(one, chunk)


def cells(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the cells of a column as text."""
    return [str(cell) for cell in frame[column]]
