"""Weights of rows that a column of the table has: exposure, survey weights."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, shown
from tailwise.data.cell_values import first_row
from tailwise.data.reading import Reading
from tailwise.data.targets import named_target, require_column, target_values

if TYPE_CHECKING:
    from tailwise.data.columns import Schema

ROLE = "weight"
_COLUMN = "`weight` column"


def check_weight_column(
    name: str, columns: list[str], targets: tuple[str, ...], others: Collection[str | None]
) -> None:
    """Raise unless a column can hold weights: it is there, and is neither a target nor the group or split column."""
    require_column(name, columns, "`weight`")
    if name in targets:
        raise InputError(f"`weight` names {shown(name)}, which is {named_target(targets)}")
    if name in others:
        raise InputError(f"`weight` names {shown(name)}, which is the group or the split column; name another column")


def read_weights(frame: pd.DataFrame, name: str, reading: Reading | None = None) -> NDArray[np.float64]:
    """Return the ``(n,)`` weights that a column has, at least 0 and not all 0.

    Args:
        frame: a table with the column.
        name: of the column.
        reading: how its cells are written; recognised if not given.

    Raises:
        InputError: an empty cell, one that is not a number, a weight below 0, no weight above 0.
    """
    values = target_values(frame, name, reading, role=_COLUMN)
    empty = values.isna()
    if empty.any():
        raise InputError(
            f"{_COLUMN} {shown(name)} has {int(empty.sum())} empty cells, the first in row {first_row(empty)}; fill "
            "them, or remove these rows"
        )
    below = values < 0
    if below.any():
        raise InputError(
            f"{_COLUMN} {shown(name)} has {int(below.sum())} weights below 0, the first {values[below].iloc[0]:g} in "
            f"row {first_row(below)}; weights are at least 0"
        )
    if not (values > 0).any():
        raise InputError(f"{_COLUMN} {shown(name)} is 0 in every row; give some rows a weight above 0")
    return values.to_numpy(dtype=np.float64)


def unequal(weight: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the weights of rows; ``None`` where all are equal, as they then change nothing."""
    return weight if (weight != weight[0]).any() else None


def note_on_weights(name: str, weight: NDArray[np.float64] | None, n: int) -> str:
    """Return what the weights of n rows do, with their effective number.

    >>> note_on_weights("w", np.array([1.0, 1.0, 4.0]), 3)
    "rows count by column 'w': effective sample size 2 of 3 rows; regions follow the number of rows"
    """
    if weight is None:
        return f"all weights in column {shown(name)} are equal, so they change nothing"
    effective = weight.sum() ** 2 / (weight**2).sum()
    return (
        f"rows count by column {shown(name)}: effective sample size {effective:,.0f} of {n:,} rows; regions follow the "
        "number of rows"
    )


def weights_to_evaluate(
    frame: pd.DataFrame, schema: "Schema", labelled: NDArray[np.bool_]
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_], list[str]]:
    """Return the weights of the labelled rows of a new table, by the column used in training, and which rows count.

    Args:
        frame: the table.
        schema: of the model.
        labelled: ``(n,)`` rows with a target.

    Returns:
        Weights of the rows that are labelled and count, ``None`` where all count alike; ``(n,)`` rows that count; notes
        for the user: a column that the table lacks.

    Raises:
        InputError: what :func:`read_weights` refuses.
    """
    name, all_rows = schema.weight, np.ones(len(frame), dtype=bool)
    if name is None:
        return None, all_rows, []
    if name not in frame:
        return None, all_rows, [f"the table lacks the column {shown(name)} of the weights: its rows count alike"]
    weight = read_weights(frame, name, schema.readings.get(name))
    counted = weight > 0
    notes = [] if counted.all() else [f"{int((~counted).sum()):,} rows left out: their weight is 0"]
    chosen = weight[labelled & counted]
    return (unequal(chosen) if len(chosen) else None), counted, notes
