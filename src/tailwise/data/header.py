"""Column names of a table, from the first row or the schema of its file; its rows are not read."""

import json
from pathlib import Path
from typing import IO

import pandas as pd

from tailwise.data.examples import PREFIX, load_example
from tailwise.data.parquet import parquet_files
from tailwise.data.read_errors import as_arrow, as_table
from tailwise.data.table_files import TEXT, TableFile, with_index, workbook_rows
from tailwise.data.text_tables import column_names, header_names


def header(name: str, *, lines: int | None = None) -> list[str]:
    """Return the column names of a table.

    Args:
        name: path of a file or of a folder of Parquet files, or ``example:NAME``.
        lines: number of JSON lines to read, each of which may have names of its own; by default all.

    Raises:
        InputError: as :func:`tailwise.data.table_files.read_with_notes`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Path(folder, "houses.csv")
        ...     _ = table.write_text("area,price\\n70,300000\\n")
        ...     header(str(table))
        ['area', 'price']
    """
    if name.startswith(PREFIX):
        return [str(column) for column in load_example(name)[0].columns]
    if Path(name).is_dir():
        name = str(parquet_files(name)[0])
    file = TableFile.of(name)
    with as_table(name):
        if file.suffix in TEXT:
            return header_names(file.open_text, name, separator=TEXT[file.suffix])
        if file.suffix in (".jsonl", ".ndjson"):
            return _of_lines(file, lines)
        if file.suffix == ".xlsx":
            (first,) = workbook_rows(file, most=1)[1]
            return column_names(["" if cell is None else str(cell) for cell in first], name)
        with file.open() as content, as_arrow(name):
            frame = _without_rows(content, feather=file.suffix == ".feather")
    return [str(column) for column in with_index(frame, name)[0].columns]


def _of_lines(file: TableFile, lines: int | None) -> list[str]:
    """Return the names in JSON lines, in the order in which they appear."""
    names: dict[str, None] = {}
    with file.open_text() as content:
        for number, line in enumerate(content, 1):
            if lines is not None and number > lines:
                break
            row = json.loads(line) if line.strip() else {}
            names |= dict.fromkeys(str(name) for name in row)
    return list(names)


def _without_rows(content: IO[bytes], *, feather: bool) -> pd.DataFrame:
    """Return the table of a Parquet or Feather file without its rows, but with its index."""
    import pyarrow.parquet as pq
    from pyarrow.feather import read_table

    schema = read_table(content).schema if feather else pq.read_schema(content)
    frame: pd.DataFrame = schema.empty_table().to_pandas()
    index = (schema.pandas_metadata or {}).get("index_columns") or []
    for one in index:  # an index of consecutive numbers has no column, and none is made of a table without rows
        if isinstance(one, dict) and one.get("name") is not None:
            frame.index.name = one["name"]
    return frame
