"""Test and validation rows that a user keeps in tables of their own."""

from collections.abc import Mapping

import pandas as pd

from tailwise._checks import InputError, quoted
from tailwise.data.rows import FrameRows, Rows
from tailwise.data.splits import SPLIT_COLUMN

_NAMES = {"test": "test", "valid": "val"}  # of the parts, by parameter


def with_own_parts(
    rows: Rows, tables: Mapping[str, pd.DataFrame], *, column: str | None = None
) -> tuple[FrameRows, list[str]]:
    """Return the rows of all tables, with a column that says train, val or test, and notes.

    Args:
        rows: the training rows; where no table of validation rows is given, these are taken from them.
        tables: by parameter, ``"test"`` or ``"valid"``.
        column: column that the user named for the split, which contradicts tables of parts.

    Raises:
        InputError: a split that is named too, rows that are not in memory, a table that lacks columns or has no rows.

    Example:
        >>> rows, notes = with_own_parts(
        ...     FrameRows(pd.DataFrame({"x": [1, 2], "y": [1.0, 2.0]})),
        ...     {"test": pd.DataFrame({"x": [3], "y": [3.0], "z": [0]})},
        ... )
        >>> rows.frame()["split"].tolist(), notes
        (['train', 'train', 'test'], ["column 'z' of the `test` table is left out: the training table lacks it"])
    """
    names = rows.columns
    if column is not None or SPLIT_COLUMN in names:
        raise InputError(
            f"column {column or SPLIT_COLUMN!r} splits the table, and so do `test` and `valid`; leave one of them out"
        )
    if not isinstance(rows, FrameRows):
        raise InputError("`test` and `valid` are for tables in memory; add a column `split` to the folder's files")
    frames, notes = [rows.frame().assign(**{SPLIT_COLUMN: "train"})], []
    for parameter, table in tables.items():
        frame = table.set_axis([str(name) for name in table.columns], axis=1)
        lacking = [name for name in names if name not in frame.columns]
        if lacking:
            raise InputError(f"the `{parameter}` table lacks {_columns(lacking)}, which the training table has")
        if frame.empty:
            raise InputError(f"the `{parameter}` table has no rows")
        extra = [name for name in frame.columns if name not in names]
        if extra:
            verb = "is" if len(extra) == 1 else "are"
            notes.append(
                f"{_columns(extra)} of the `{parameter}` table {verb} left out: the training table lacks "
                f"{'it' if len(extra) == 1 else 'them'}"
            )
        frames.append(frame[names].assign(**{SPLIT_COLUMN: _NAMES[parameter]}))
    return FrameRows(pd.concat(frames, ignore_index=True)), notes


def text_columns(rows: Rows) -> list[str]:
    """Return the columns of training rows that hold text, which other tables are read as, too."""
    if not isinstance(rows, FrameRows):
        return []
    frame = rows.frame()
    return [str(name) for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]


def _columns(names: list[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {quoted(names)}"
