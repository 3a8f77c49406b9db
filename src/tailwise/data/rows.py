"""Rows of a table, in memory or memory-mapped, behind one interface: select, iterate, take whole."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, quoted
from tailwise.data.arrow_files import valid
from tailwise.data.parquet import parquet_files
from tailwise.data.read_errors import as_arrow

TableLike = pd.DataFrame | ArrayLike
"""Rows ``(n, p)``: a data frame of pandas or of another library, or an array."""

_AT_ONCE = 65_536
_FOOTER = 8


class Rows(Protocol):
    """Rows of a table.

    Attributes:
        in_memory: whether the rows are in memory; others are read from disk on request.
        columns: names of the columns.
    """

    in_memory: bool

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def select(self, index: NDArray[np.int64]) -> "Rows":
        """Return some of the rows, by position."""

    def frame(self, columns: list[str] | None = None) -> pd.DataFrame:
        """Return all rows as a data frame, with all columns or some."""

    def pieces(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield data frames of at most ``rows`` rows, in order."""


class FrameRows:
    """Rows of a data frame."""

    in_memory = True

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self._frame.columns]

    def __len__(self) -> int:
        return len(self._frame)

    def select(self, index: NDArray[np.int64]) -> "FrameRows":
        """Return some of the rows, by position."""
        return FrameRows(self._frame.iloc[index].reset_index(drop=True))

    def frame(self, columns: list[str] | None = None) -> pd.DataFrame:
        """Return the data frame, with all columns or some."""
        return self._frame if columns is None else self._frame[columns]

    def pieces(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield data frames of at most ``rows`` rows, in order."""
        for start in range(0, len(self), rows):
            yield self._frame.iloc[start : start + rows]


class MappedRows:
    """Rows of a memory-mapped Arrow table, read from disk on request.

    Args:
        table: the table.
        index: positions of the rows in the table; all by default.
    """

    in_memory = False

    def __init__(self, table: Any, index: NDArray[np.int64] | None = None) -> None:
        self._table, self._index = table, index

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._table.column_names)

    def __len__(self) -> int:
        return self._table.num_rows if self._index is None else len(self._index)

    def select(self, index: NDArray[np.int64]) -> "MappedRows":
        """Return some of the rows, by position."""
        return MappedRows(self._table, index if self._index is None else self._index[index])

    def frame(self, columns: list[str] | None = None) -> pd.DataFrame:
        """Return all rows as a data frame; text of columns that are named comes as categories."""
        if columns is None:
            parts = list(self.pieces(_AT_ONCE))
            return pd.concat(parts, ignore_index=True) if parts else self._frame(np.empty(0, np.int64))
        import pyarrow as pa

        values = {}
        for name in columns:
            column = self._table.column(name)
            text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            column = column.dictionary_encode() if text else column
            values[name] = column.to_pandas().iloc[slice(None) if self._index is None else self._index]
        return pd.DataFrame(values).reset_index(drop=True)

    def pieces(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield data frames of at most ``rows`` rows, in order."""
        for start in range(0, len(self), rows):
            frame = self._frame(np.arange(start, min(start + rows, len(self))))
            yield frame.set_axis(pd.RangeIndex(start, start + len(frame)))

    def _frame(self, index: NDArray[np.int64]) -> pd.DataFrame:
        index = index if self._index is None else self._index[index]
        # Rows are read in the order of the disk.
        order = np.argsort(index, kind="stable")
        frame: pd.DataFrame = self._table.take(index[order]).to_pandas()
        return frame.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def as_frame(table: Any) -> Any:
    """Return a frame of polars or another library with ``to_pandas`` as a data frame; anything else unchanged."""
    return table.to_pandas() if not isinstance(table, pd.DataFrame) and hasattr(table, "to_pandas") else table


def as_rows(table: "pd.DataFrame | Rows") -> Rows:
    """Return the rows of a data frame, of pandas or polars; other rows unchanged."""
    frame = as_frame(table)
    return FrameRows(frame) if isinstance(frame, pd.DataFrame) else frame


def open_folder(folder: str | Path, cache: Path) -> tuple[MappedRows, str]:
    """Return the memory-mapped rows of all Parquet files below a folder, and a digest of the files.

    Hugging Face ``datasets`` converts the files once, to Arrow files in ``cache``; later calls reuse them.

    Raises:
        InputError: no Parquet file, files that cannot be read or have different columns, no package ``datasets``.
    """
    files = parquet_files(folder)
    try:
        from datasets import Dataset, Features, disable_progress_bars
        from datasets.exceptions import DatasetGenerationError
        from datasets.utils.logging import CRITICAL, get_logger, get_verbosity
    except ImportError as error:
        raise InputError("a folder of Parquet files needs datasets: pip install 'tailwise[large]'") from error
    import pyarrow as pa

    files, schema = _one_schema(files, Path(folder))
    disable_progress_bars()
    logger, level = get_logger("datasets"), get_verbosity()
    logger.setLevel(CRITICAL)  # the error has the same message as the log
    try:
        mapped = Dataset.from_parquet(
            [str(file) for file in files],
            features=Features.from_arrow_schema(schema),
            cache_dir=str(cache),
            keep_in_memory=False,
        )
    except (DatasetGenerationError, ValueError, OSError) as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise InputError(f"the Parquet files of {str(folder)!r} cannot be read as one table: {cause}") from error
    finally:
        logger.setLevel(level)
    table = mapped.data.table
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise InputError(f"{str(folder)!r} has several columns named {twice[0]!r}; rename them")
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if kind in (pa.string(), pa.large_string()):
            with as_arrow(folder):
                valid(table[name])
    return MappedRows(table), _digest(files, Path(folder))


def _one_schema(files: list[Path], folder: Path) -> tuple[list[Path], Any]:
    """Return the files that have rows, and a schema with types for the columns of all files.

    Raises:
        InputError: a file that cannot be read, or has other columns, by name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with_rows, schema, names = [], None, set()
    for path in files:
        try:
            of_file = pq.read_schema(path).remove_metadata()
            if schema is None:
                schema, names = of_file, set(of_file.names)
            if set(of_file.names) != names:
                other = sorted(names ^ set(of_file.names))
                raise InputError(
                    f"the Parquet files of {str(folder)!r} cannot be read as one table: {path.name!r} does not have "
                    f"the columns of {files[0].name!r}; they differ in {quoted(other)}"
                )
            schema = pa.unify_schemas([schema, of_file], promote_options="permissive")
            if pq.read_metadata(path).num_rows:
                with_rows.append(path)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"the Parquet files of {str(folder)!r} cannot be read as one table: {path.name!r}: {reason}"
            ) from error
    if not with_rows:
        raise InputError(f"the Parquet files of {str(folder)!r} have no rows")
    return with_rows, schema


def _digest(files: list[Path], folder: Path) -> str:
    """Return the SHA-256 of the files' names, sizes and footers; footers have counts and ranges of all columns."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - _FOOTER))
            length = int.from_bytes(file.read(4), "little")
            file.seek(max(0, size - _FOOTER - length))
            name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
            digest.update(f"{name} {size} ".encode() + file.read())
    return digest.hexdigest()


SAMPLE = 200_000


def sample(rows: Rows, seed: int) -> pd.DataFrame:
    """Return all rows if they are in memory or few, otherwise a random sample."""
    if rows.in_memory or len(rows) <= SAMPLE:
        return rows.frame()
    return rows.select(sample_of(len(rows), seed)).frame()


def sample_of(n: int, seed: int) -> NDArray[np.int64]:
    """Return the positions of a uniform sample of n rows, in order."""
    drawn = np.random.default_rng(seed).choice(n, min(n, SAMPLE), replace=False)
    drawn.sort()
    return drawn.astype(np.int64)
