"""The time of rows: read from a column, and the split that trains on the earliest rows and tests on the latest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, short, shown
from tailwise.data.cell_rules import NO_RULES, CellRules
from tailwise.data.cell_values import as_numbers, first_row, moments
from tailwise.data.column_kinds import recognise
from tailwise.data.columns import Schema
from tailwise.data.lags import Lags
from tailwise.data.reading import PLAIN, Reading
from tailwise.data.row_numbers import identifier_note
from tailwise.data.rows import FrameRows, Rows
from tailwise.data.targets import named_target, require_column, target_values

ROLE = "time"
_MANY_DATES = 10


def check_time_column(name: str, columns: list[str], targets: tuple[str, ...], others: Collection[str | None]) -> None:
    """Raise unless a column can be the time of rows: it is there, and has no other role."""
    require_column(name, columns, "`time`")
    if name in targets:
        raise InputError(f"`time` names {shown(name)}, which is {named_target(targets)}")
    if name in others:
        raise InputError(f"`time` names {shown(name)}, which has another role; name another column")


def time_reading(series: pd.Series, rules: CellRules = NO_RULES) -> tuple[bool, Reading]:
    """Return whether the cells of a column are dates (or else numbers), and how they are written.

    Raises:
        InputError: cells that are neither dates nor numbers, or that could be read in two ways.
    """
    known = recognise(series, rules)
    if known.unclear:
        raise InputError(f"`time` column {shown(series.name)} cannot be read: {known.unclear}")
    if known.kind not in ("date", "numeric"):
        filled = series.dropna()
        cell = shown(filled.iloc[0]) if len(filled) else "no cell"
        raise InputError(
            f"`time` column {shown(series.name)} must hold dates or numbers, but has {cell}; correct its cells, or "
            "name another column"
        )
    return known.kind == "date", known.reading


def read_times(series: pd.Series, reading: Reading, *, dates: bool) -> NDArray[np.float64]:
    """Return the ``(n,)`` times of rows, seconds since 1970 of dates.

    Raises:
        InputError: an empty cell, or one that is not a date or number.
    """
    if dates:
        when = moments(series, reading)
        values = when.astype("int64").astype(np.float64).where(when.notna())
    else:
        values = pd.Series(as_numbers(series, reading), index=series.index)
    empty = values.isna()
    if empty.any():
        cell = series[empty].iloc[0]
        raise InputError(
            f"`time` column {shown(series.name)} has {int(empty.sum())} empty cells, the first in row "
            f"{first_row(empty)}{'' if pd.isna(cell) else f' ({shown(cell)})'}; fill them, or remove these rows"
        )
    return np.asarray(values, dtype=np.float64)


def seasons_alone(schema: Schema, name: str) -> Schema:
    """Return a schema in which the column of the time gives no feature that only grows.

    Rows to predict come later than all training rows, so that the day itself is beyond what was learnt. Of dates the
    phases of year, week and day stay; numbers are no feature.
    """
    kinds = {column.name: column.kind for column in schema.columns}
    if kinds.get(name) == "date":
        columns = tuple(replace(one, kind="season") if one.name == name else one for one in schema.columns)
        return replace(schema, columns=columns)
    columns = tuple(one for one in schema.columns if one.name != name)
    notes = tuple(note for note in schema.notes if note != identifier_note(name))
    return replace(schema, columns=columns, unused={**schema.unused, name: ROLE}, notes=notes)


def dated_columns(schema: Schema, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of dates that have many different values."""
    dates = (one.name for one in schema.columns if one.kind == "date")
    return tuple(name for name in dates if frame[name].nunique() >= _MANY_DATES)


def note_on_dates(schema: Schema, frame: pd.DataFrame, split: str) -> list[str]:
    """Return a note where rows with dates are split at random, so that later rows help to predict earlier ones."""
    if split not in ("balanced", "random"):
        return []
    dated = dated_columns(schema, frame)
    if not dated:
        return []
    return [
        f"column {shown(dated[0])} has dates, and rows are split at random: if the rows to predict are later ones, "
        f"the errors here are too low; split by time with `time={short(dated[0])}`"
    ]


@dataclass(frozen=True)
class TimeOrder:
    """The time of the rows of a table, and its rows with the features of earlier labels.

    Args:
        column: name of the column of the time.
        times: ``(n,)`` times.
        rows: the rows.
        lags: lags and means of each target, if there are some.
        notes: notes for the user.
    """

    column: str
    times: NDArray[np.float64]
    rows: Rows
    lags: tuple[Lags, ...]
    notes: tuple[str, ...]


def time_order(
    rows: Rows,
    time: str,
    targets: Sequence[str],
    readings: Mapping[str, Reading],
    *,
    group: str | None,
    lags: Sequence[int],
    rolling: Sequence[int],
    rules: CellRules,
) -> TimeOrder:
    """Read the time of all rows, and add the features of earlier labels.

    Args:
        rows: the table, rows without a label among them.
        time: column of the time.
        targets: columns of the target.
        readings: how the cells of the targets are written.
        group: column of the series, if there are several.
        lags: rows back.
        rolling: rows of trailing means.
        rules: what the user says about cells.

    Raises:
        InputError: rows that are not in memory, what the columns have.
    """
    if not rows.in_memory:
        raise InputError("`time` needs the rows in memory; give a file, not a folder")
    frame = rows.frame()
    dates, reading = time_reading(frame[time], rules)
    times = read_times(frame[time], reading, dates=dates)
    if not lags and not rolling:
        return TimeOrder(time, times, rows, (), ())
    if group is not None:
        require_column(group, rows.columns, "`group`")
    of_targets: list[Lags] = []
    added: dict[str, NDArray[np.float64]] = {}
    notes: list[str] = []
    for target in targets:
        made = Lags(target, time, group, tuple(lags), tuple(rolling), dates)
        made.check_names(rows.columns)
        y, series = target_values(frame, target, readings[target]).to_numpy(), made.series(frame)
        found = made.values(series, times, y)
        added |= found
        notes += made.note_on_unknown(found)
        of_targets.append(made.with_tails(series, times, y))
    return TimeOrder(time, times, FrameRows(frame.assign(**added)), tuple(of_targets), tuple(notes))


def new_times(frame: pd.DataFrame, lags: Lags, readings: Mapping[str, Reading]) -> NDArray[np.float64]:
    """Return the ``(n,)`` times of new rows, read as those of the training table."""
    return read_times(frame[lags.time], readings.get(lags.time, PLAIN), dates=lags.dates)


def new_labels(frame: pd.DataFrame, lags: Lags, readings: Mapping[str, Reading]) -> NDArray[np.float64]:
    """Return the ``(n,)`` labels of new rows where their table has them, NaN elsewhere."""
    if lags.target not in frame:
        return np.full(len(frame), np.nan)
    return target_values(frame, lags.target, readings.get(lags.target, PLAIN)).to_numpy()
