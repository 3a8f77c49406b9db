"""Write a table a piece at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from tailwise._checks import InputError
from tailwise._files import replacing
from tailwise.data.table_files import SUFFIXES

Append = Callable[[pd.DataFrame], None]


@contextmanager
def growing_table(path: Path) -> Iterator[Append]:
    """Provide a function that appends rows to a CSV, TSV or Parquet file: the whole file is written, or none.

    Raises:
        InputError: a file that cannot be written; rows of other types than the first ones in a Parquet file.
    """
    try:
        with replacing(path) as fresh:
            if path.suffix.lower() == ".parquet":
                with _parquet(fresh) as append:
                    yield append
            else:
                with fresh.open("w", encoding="utf-8", newline="") as file:
                    yield text_lines(file, SUFFIXES[path.suffix.lower()] or ",")
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def text_lines(file: TextIO, separator: str = ",") -> Append:
    """Return a function that appends rows to an open text file, after a line with the names."""
    header = True

    def append(frame: pd.DataFrame) -> None:
        nonlocal header
        frame.to_csv(file, index=False, sep=separator, header=header)
        header = False

    return append


@contextmanager
def _parquet(path: Path) -> Iterator[Append]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def append(frame: pd.DataFrame) -> None:
        nonlocal writer
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema)
        try:
            writer.write_table(table.cast(writer.schema))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
            reason = str(error).splitlines()[0][:120]
            raise InputError(
                f"rows of different types do not fit into one Parquet file: {reason}; write .csv, or give the column "
                "one type in every file"
            ) from error

    try:
        yield append
    finally:
        if writer is not None:
            writer.close()
