"""The target column of Parquet files, read in batches: neither other columns nor all of its rows are in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, whole
from tailwise.data.targets import require_column

_BUFFER = 1 << 20


def parquet_files(path: str | Path) -> list[Path]:
    """Return the path of a Parquet file, or of every ``*.parquet`` file below a folder in sorted order.

    Raises:
        InputError: nothing at that path, another kind of file, or no Parquet file below the folder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"no file or folder {str(path)!r}; give a .parquet file, or a folder of them")
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".parquet" and file.is_file())
        if not files:
            raise InputError(f"folder {str(path)!r} has no file whose name ends in .parquet")
        return files
    if path.suffix.lower() != ".parquet":
        raise InputError(f"{str(path)!r} is not a Parquet file: its name must end in .parquet")
    return [path]


def target_batches(
    path: str | Path, column: str, *, rows: int = 65_536, drop_missing: bool = False
) -> Iterator[NDArray[np.floating[Any]]]:
    """Iterate over one numeric column of Parquet files: arrays ``(at most rows,)``, in the order of the files.

    float32 stays float32; all other numbers come as float64. Memory does not depend on the number of rows or on the
    other columns.

    Args:
        path: a file, or a folder of files; see :func:`parquet_files`.
        column: name of the column.
        rows: maximum number of values in an array.
        drop_missing: drop empty cells (null or NaN) instead of refusing them.

    Raises:
        InputError: no file, a file that cannot be read, no such column, one that is not numeric, infinite cells, empty
            cells unless they are dropped. Rows are counted from 1 in each file.

    Example:
        >>> import pandas as pd, tempfile
        >>> from tailwise.labels.streaming import LabelDensity
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pd.DataFrame({"price": [1.0, 2.0, 9.0], "name": list("abc")}).to_parquet(f"{folder}/part-0.parquet")
        ...     LabelDensity.from_batches(lambda: target_batches(folder, "price")).n
        3
    """
    rows = whole(rows, "rows", least=1)
    files = parquet_files(path)
    return (values for file in files for values in _values(file, column, rows, drop_missing))


def _values(path: Path, column: str, rows: int, drop_missing: bool) -> Iterator[NDArray[np.floating[Any]]]:
    """Yield the values of a column of one file."""
    first = 1
    for cells in _batches(path, column, rows):
        values = cells.to_numpy(zero_copy_only=False)
        infinite, missing = np.isinf(values), np.isnan(values)
        if infinite.any():
            raise InputError(
                f"target {column!r} has infinite cells, the first in row {first + int(infinite.argmax()):,} of "
                f"{str(path)!r}; remove them"
            )
        if missing.any() and not drop_missing:
            raise InputError(
                f"target {column!r} has empty cells, the first in row {first + int(missing.argmax()):,} of "
                f"{str(path)!r}; drop them with `drop_missing=True`"
            )
        first += values.size
        yield values[~missing] if missing.any() else values


def _batches(path: Path, column: str, rows: int) -> Iterator[Any]:
    """Yield a column of one file as Arrow arrays, float32 or float64."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # A small buffer and no read-ahead: otherwise pyarrow keeps all it has read until the file is closed.
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            names = file.schema_arrow.names
            require_column(column, names, "target")
            kind = file.schema_arrow.types[names.index(column)]
            known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
            if not any(is_kind(kind) for is_kind in known):
                raise InputError(
                    f"target {column!r} must be numeric, but its values are of type {kind} in {str(path)!r}; "
                    "store them as numbers"
                )
            number = kind if pa.types.is_float32(kind) else pa.float64()
            for batch in file.iter_batches(rows, columns=[column]):
                yield batch.column(0).cast(number, safe=False)
    except InputError:
        raise
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{str(path)!r} cannot be read as a Parquet file: {reason}") from error
