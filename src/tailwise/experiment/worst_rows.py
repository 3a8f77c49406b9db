"""Test rows with the largest errors, and what rare rows that are predicted too low have in common."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._numbers import cell_number
from tailwise.data.columns import Schema
from tailwise.data.rows import Rows
from tailwise.data.task import Task
from tailwise.experiment.evaluate import PredictedPart
from tailwise.labels.shots import REGIONS, Shots

SHOWN = 20
_COLUMNS = 6
_FEWEST, _MOST_TRAITS = 8, 3
_LEAST_SHIFT, _LEAST_SHARE = 0.5, 0.2  # of a robust standard deviation, and of the rows
_MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class WorstRow:
    """A test row with a large error.

    Args:
        row: position in the source.
        region: of the true value.
        true: target units.
        predicted: target units.
        cells: its first columns, as text.
    """

    row: int
    region: str
    true: float
    predicted: float
    cells: tuple[str, ...]


@dataclass(frozen=True)
class WorstRows:
    """Rows with the largest errors.

    Args:
        columns: the columns whose cells are shown.
        rows: the rows, the largest error first.
        too_low: what the rare rows that are predicted too low have in common, a sentence a column.
        n_too_low: number of these rows.
    """

    columns: tuple[str, ...]
    rows: tuple[WorstRow, ...]
    too_low: tuple[str, ...]
    n_too_low: int


def worst_rows(task: Task, predicted: PredictedPart) -> WorstRows | None:
    """Return the 20 rows of a part with the largest absolute errors; ``None`` of several targets or no ordinary column.

    Args:
        task: the data.
        predicted: predictions of one of its parts.
    """
    return worst_of(task.rows_of(predicted.part)[0], task.schema, task.shots, predicted)


def worst_of(rows: Rows, schema: Schema, shots: Shots, predicted: PredictedPart) -> WorstRows | None:
    """Return the 20 rows with the largest absolute errors; ``None`` of several targets, no row or no ordinary column.

    Args:
        rows: the rows.
        schema: their columns.
        shots: regions of the target.
        predicted: predictions of these rows.
    """
    names = [column.name for column in schema.columns]
    if predicted.y.ndim > 1 or not names or not len(predicted.y):
        return None
    error = predicted.counted() - predicted.y
    codes = shots.codes(predicted.y)
    worst = np.argsort(-np.abs(error), kind="stable")[:SHOWN]
    shown = rows.select(worst).frame(names[:_COLUMNS])
    listed = tuple(
        WorstRow(
            int(predicted.row[i]),
            REGIONS[codes[i]],
            float(predicted.y[i]),
            float(predicted.pred[i]),
            tuple(_cell(value) for value in cells),
        )
        for i, cells in zip(worst.tolist(), shown.itertuples(index=False), strict=True)
    )
    too_low = (codes == REGIONS.index("few")) & (error < 0)
    traits: tuple[str, ...] = ()
    if too_low.sum() >= _FEWEST and (~too_low).any() and rows.in_memory:
        features = schema.features(rows.frame())
        traits = tuple(in_common(features, too_low))
    return WorstRows(tuple(names[:_COLUMNS]), listed, traits, int(too_low.sum()))


def in_common(features: pd.DataFrame, chosen: NDArray[np.bool_]) -> list[str]:
    """Return how some rows differ from all rows, in the three columns in which they differ most.

    Numbers are compared by medians, in robust standard deviations of all rows; categories by the share of the category
    that is most over-represented.

    Args:
        features: as :meth:`tailwise.data.columns.Schema.features` gives them.
        chosen: ``(n,)`` the rows.

    Example:
        >>> table = pd.DataFrame({"kind": ["a"] * 90 + ["b"] * 10, "size": [*range(90), *range(200, 210)]})
        >>> in_common(table, np.arange(100) >= 90)
        ['size: 204.5 in the median, of all rows 49.5', "kind is 'b' in 100 %, of all rows in 10 %"]
    """
    traits = []
    for name in features:
        column = features[name]
        trait = _of_numbers(column, chosen) if pd.api.types.is_numeric_dtype(column) else _of_levels(column, chosen)
        if trait is not None:
            traits.append(trait)
    return [sentence for _, sentence in sorted(traits, reverse=True)[:_MOST_TRAITS]]


def _of_numbers(column: pd.Series, chosen: NDArray[np.bool_]) -> tuple[float, str] | None:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    known, ours = values[np.isfinite(values)], values[chosen & np.isfinite(values)]
    if not ours.size:
        return None
    middle = float(np.median(known))
    spread = _MAD_TO_STD * float(np.median(np.abs(known - middle))) or float(known.std())
    shift = abs(float(np.median(ours)) - middle) / spread if spread > 0 else 0.0
    if shift < _LEAST_SHIFT:
        return None
    median = cell_number(float(np.median(ours)))
    return shift, f"{column.name}: {median} in the median, of all rows {cell_number(middle)}"


def _of_levels(column: pd.Series, chosen: NDArray[np.bool_]) -> tuple[float, str] | None:
    text = column.astype(object).where(column.notna(), "(missing)").astype(str)
    of_all = text.value_counts(normalize=True)
    excess = text[chosen].value_counts(normalize=True).sub(of_all, fill_value=0.0)
    level = str(excess.idxmax())
    share, every = float((text[chosen] == level).mean()), float((text == level).mean())
    if share - every < _LEAST_SHARE:
        return None
    strength = (share - every) / float(np.sqrt(every * (1 - every)) or 1.0)
    return strength, f"{column.name} is {level!r} in {share:.0%}, of all rows in {every:.0%}".replace("%", " %")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else cell_number(value)
    return "" if value is None else str(value)
