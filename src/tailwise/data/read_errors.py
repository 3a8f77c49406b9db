"""Whatever libraries raise at files that are no tables, as one line that names the file."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailwise._checks import InputError, shown

UNREADABLE = (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)


@contextmanager
def as_table(path: str | Path) -> Iterator[None]:
    """Turn errors of reading a file into one that names it.

    Raises:
        InputError: a file that cannot be read as a table.
    """
    try:
        yield
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(path)} cannot be read as a table: it is not UTF-8; save it as UTF-8") from error
    except UNREADABLE as error:
        raise unreadable(path, error) from error


@contextmanager
def as_arrow(path: str | Path) -> Iterator[None]:
    """Turn whatever Arrow and pandas raise at a damaged Parquet or Feather file into an error that names it.

    Raises:
        InputError: a file that cannot be read.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # damaged metadata, types and pages each raise what they will
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: BaseException) -> InputError:
    """Return the error of a file that cannot be read as a table, with the first line of the reason."""
    lines = str(error).strip().splitlines()
    reason = lines[0][:120] if lines else type(error).__name__
    if isinstance(error, EOFError | zlib.error):
        reason = "the compressed file is cut off or damaged"
    elif isinstance(error, KeyError | TypeError | UnicodeDecodeError | MemoryError):  # metadata, texts, sizes
        reason = "it is damaged"
    return InputError(f"{shown(path)} cannot be read as a table: {reason}")
