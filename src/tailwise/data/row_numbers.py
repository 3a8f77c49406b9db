"""Columns of whole numbers that identify rows, which a model memorises."""

import numpy as np
import pandas as pd

from tailwise._checks import short, shown
from tailwise.data.cell_values import Kind, numbers_of
from tailwise.data.reading import Reading

_NAMES = frozenset({"id", "uid", "uuid", "key", "index"})
_DIFFERENT = 0.9  # least fraction of the rows with a value of their own
_FEWEST = 20


def numbers_rows(values: pd.Series, name: str) -> bool:
    """Return whether a column of nearly all different whole numbers numbers rows or is named like an identifier.

    Args:
        values: float64 cells.
        name: name of the column.

    Example:
        >>> numbers_rows(pd.Series(np.arange(10_000.0, 10_100.0)), "customer")
        True
    """
    x = values.to_numpy()
    if x.size < _FEWEST or not np.isfinite(x).all() or (x != np.round(x)).any():
        return False
    if np.unique(x).size <= _DIFFERENT * x.size:
        return False
    words = name.lower().replace("-", "_").split("_")
    return bool(np.ptp(x) + 1 <= 2 * x.size) or not _NAMES.isdisjoint(words)


def note_on_identifier(series: pd.Series, kind: Kind, reading: Reading) -> list[str]:
    """Return a note on a feature that seems to identify rows; none on others.

    Args:
        series: the cells.
        kind: the kind of the column.
        reading: how the cells are written.
    """
    if kind != "numeric" or not numbers_rows(numbers_of(series, reading), str(series.name)):
        return []
    return [identifier_note(str(series.name))]


def identifier_note(name: str) -> str:
    """Return the note on a column that seems to identify rows."""
    return f"column {shown(name)} seems to number the rows; if it identifies them, leave it out: `drop={short(name)}`"
