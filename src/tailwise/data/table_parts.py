"""Tables that are read a piece at a time: the files of a folder, and the rows of Parquet files."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from tailwise._checks import InputError, shown
from tailwise.data.arrow_files import valid
from tailwise.data.read_errors import as_arrow
from tailwise.data.table_files import read_with_notes, with_index

ROWS_AT_ONCE = 65_536
_PARQUET = (".parquet",)
_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_HIDDEN = (".", "_")
_BUFFER = 1 << 20


def part_files(folder: str | Path) -> list[Path]:
    """Return the files of a table in parts, sorted: all Parquet files below a folder, or all CSV and TSV files.

    Files and folders whose names begin with ``.`` or ``_`` are left out.

    Raises:
        InputError: no such file, or files of both kinds.
    """
    folder = Path(folder)
    seen = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(_HIDDEN) for part in path.relative_to(folder).parts)
    ]
    parquet, text = ([path for path in seen if path.name.lower().endswith(kind)] for kind in (_PARQUET, _TEXT))
    if parquet and text:
        raise InputError(
            f"folder {shown(folder)} has Parquet files and text files, such as {shown(parquet[0].name)} and "
            f"{shown(text[0].name)}; keep the parts of one table there"
        )
    if not parquet and not text:
        raise InputError(f"folder {shown(folder)} has no file whose name ends in .parquet, .csv or .tsv")
    return parquet or text


def is_parquet(path: str | Path) -> bool:
    """Return whether a path is that of a Parquet file, which is read in batches."""
    return Path(path).suffix.lower() in _PARQUET and Path(path).is_file()


def pieces_of_file(path: Path, *, text: Collection[str] = ()) -> Iterator[tuple[pd.DataFrame, list[str]]]:
    """Yield at most 65,536 rows of a file at a time, with notes for the user on it.

    A Parquet file is read in batches, a text file at once. A file without rows is one empty piece.

    Args:
        path: the file.
        text: columns of a text file whose cells stay text.

    Raises:
        InputError: a file that cannot be read as a table.
    """
    if is_parquet(path):
        yield from (with_index(frame, path) for frame in _batches(path))
        return
    frame, notes = read_with_notes(path, text=text)
    for start in range(0, max(len(frame), 1), ROWS_AT_ONCE):
        yield frame.iloc[start : start + ROWS_AT_ONCE], notes


def _batches(path: Path) -> Iterator[pd.DataFrame]:
    """Yield batches of a Parquet file; memory does not depend on the number of its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with as_arrow(path), pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
        empty = True
        for batch in file.iter_batches(ROWS_AT_ONCE):
            empty = False
            yield valid(pa.Table.from_batches([batch])).to_pandas()
        if empty:
            yield file.schema_arrow.empty_table().to_pandas()
