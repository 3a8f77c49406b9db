"""Target columns: their names and their values."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, did_you_mean, quoted, shown
from tailwise._numbers import counted
from tailwise.data.cell_rules import NO_RULES, CellRules
from tailwise.data.cell_values import (
    BLANK,
    NA_WORDS,
    are_not,
    as_text,
    check_cells,
    first_row,
    is_time,
    numbers_of,
    unread,
)
from tailwise.data.number_forms import differ, number_forms, surely_thousands
from tailwise.data.quantities import lookalikes
from tailwise.data.reading import Reading, as_missing
from tailwise.labels.output_bins import OutputBins


def require_column(name: str, names: Sequence[str], role: str) -> None:
    """Raise unless ``name`` is a column, with the nearest name in the message."""
    if name not in names:
        raise InputError(f"{role} {shown(name)} is not a column of the table{did_you_mean(name, names)}")


def target_names(target: str | Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the target columns, at most 50, after checking them."""
    targets = (target,) if isinstance(target, str) else tuple(target)
    if not 1 <= len(targets) <= OutputBins.MOST_AXES:
        raise InputError(f"a model has 1 to {OutputBins.MOST_AXES} targets, got {len(targets)}: {quoted(targets)}")
    for name in targets:
        require_column(name, names, "target")
        if targets.count(name) > 1:
            raise InputError(f"target {name!r} is named twice; name it once")
    return targets


def named_target(targets: Sequence[str]) -> str:
    """Return how a message refers to a target."""
    return "the target" if len(targets) == 1 else "one of the targets"


def target_rows(
    frame: pd.DataFrame, targets: Sequence[str], *, drop: bool, readings: Mapping[str, Reading] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the targets of the rows that have them, and which rows these are.

    Args:
        frame: a table with the target columns.
        targets: their names.
        drop: drop rows without a target instead of refusing them.
        readings: how the cells of the targets are written; by default as :func:`target_reading` recognises it.

    Returns:
        ``(m,)`` targets, of K > 1 columns ``(m, K)``, and an ``(n,)`` mask with m rows set.

    Raises:
        InputError: a cell that is not a number, or infinite; empty cells unless rows are to be dropped.
    """
    each = [target_values(frame, name, (readings or {}).get(name)) for name in targets]
    for values in each:
        check_target_cells(values, drop=drop)
    labels = np.stack([values.to_numpy() for values in each], axis=1)
    is_labelled = ~np.isnan(labels).any(axis=1)
    labels = labels if is_labelled.all() else labels[is_labelled]
    return (labels[:, 0].copy() if len(targets) == 1 else labels), is_labelled


_MOST_NUMBERS = 0.9  # of the different cells of a target that is one of numbers
_EMPTY = BLANK | {word.lower() for word in NA_WORDS}


def target_reading(frame: pd.DataFrame, target: str, rules: CellRules = NO_RULES, *, role: str = "target") -> Reading:
    """Return how the cells of a target are written, or of a column with another role.

    Raises:
        InputError: numbers that could be read in two ways.
    """
    require_column(target, [str(name) for name in frame.columns], role)
    series, reading = frame[target], rules.of_column(target)
    if pd.api.types.is_numeric_dtype(series) or is_time(series):
        return reading
    check_cells(series)
    text = as_text(series)
    text = text[text.notna() & ~text.str.lower().isin(_EMPTY) & ~reading.is_missing(series)]
    texts = text.unique().astype(object)
    if not len(texts) or pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").notna().all():
        return reading
    forms = list(number_forms(texts, rules.decimal, rules.thousands))
    choices = [(form, values) for form, values in forms if np.isfinite(values).all()]
    choices = [c for i, c in enumerate(choices) if all(differ(c[1], other) for _, other in choices[:i])]
    if len(choices) > 1:
        choices = [c for c in choices if c[0].thousands and surely_thousands(texts, c[0].thousands)] or choices
    if len(choices) > 1:
        raise InputError(
            f"{role} {shown(target)} has cells such as {shown(texts[0])}, which may be {choices[0][1][0]:.10g} or "
            f"{choices[1][1][0]:.10g}; give `thousands` or `decimal`"
        )
    if not choices:  # a few odd cells are named later, and the others are no fault
        choices = sorted(forms, key=lambda one: -np.isfinite(one[1]).mean())[:1]
        choices = [one for one in choices if np.isfinite(one[1]).mean() >= _MOST_NUMBERS]
    if not choices:
        return reading
    form = choices[0][0]
    return Reading(reading.missing, form.decimal, form.thousands, form.symbol)


def target_values(
    frame: pd.DataFrame, target: str, reading: Reading | None = None, *, role: str = "target"
) -> pd.Series:
    """Return the target as float64, with NaN for empty cells and those that count as missing.

    Args:
        frame: a table with the target column.
        target: its name.
        reading: how its cells are written; by default as :func:`target_reading` recognises it.
        role: of the column, for messages.

    Raises:
        InputError: a cell that is not a number, or infinite.
    """
    require_column(target, [str(name) for name in frame.columns], role)
    series = frame[target]
    if is_time(series) or pd.api.types.is_bool_dtype(series):
        raise InputError(f"{role} {shown(target)} must be numeric, but its values are of type {series.dtype}")
    reading = target_reading(frame, target, role=role) if reading is None else reading
    check_cells(series)
    values = numbers_of(series, reading)
    wrong = unread(series, values, empty=_EMPTY) & ~reading.is_missing(series)
    if wrong.any():
        cell = series[wrong].iloc[0]
        filled = int((series.notna() & ~reading.is_missing(series)).sum())
        if 2 * int(wrong.sum()) > filled:
            raise InputError(
                f"{role} {shown(target)} must be numeric, but {int(wrong.sum()):,} of {filled:,} cells are not, "
                f"e.g. {shown(cell)} in row {first_row(wrong)}; {_way_out_of_text(series)}"
            )
        raise InputError(
            f"{role} {shown(target)} must be numeric, but {are_not(wrong)}, "
            f"e.g. {shown(cell)} in row {first_row(wrong)}; correct them, or pass {as_missing(target, cell)}"
        )
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(
            f"{role} {shown(target)} has {counted(int(infinite.sum()), 'infinite cell')}, the first in row "
            f"{first_row(infinite)}; remove them"
        )
    return values


def _way_out_of_text(series: pd.Series) -> str:
    """Return the way out of a target whose cells are no plain numbers."""
    looks = lookalikes(series)
    if looks is not None and looks.kind in ("numbers", "times"):
        return f"they look like {looks.kind}: {looks.way_out}"
    return "it looks like a column of categories or texts: choose a numeric column"


def check_target_cells(values: pd.Series, *, drop: bool) -> None:
    """Raise if a target has empty cells, unless their rows are dropped."""
    empty = int(values.isna().sum())
    if empty and not drop:
        raise InputError(
            f"column {shown(values.name)} has {counted(empty, 'empty cell')} in the target; drop them with "
            "`drop_missing_target=True`"
        )


FEWEST_ROWS = 30
_LEAST_SPREAD = 1e-12


def check_target(y: NDArray[np.float64], target: str) -> None:
    """Raise unless there are enough labels, of more than one value, in a unit suitable for floats."""
    if len(y) < FEWEST_ROWS:
        raise InputError(f"the table has {counted(len(y), 'row')} with a target; at least {FEWEST_ROWS} are needed")
    if y.min() == y.max():
        raise InputError(f"target {shown(target)} is constant ({y[0]:g} in every row); there is nothing to learn")
    with np.errstate(over="ignore"):
        spread = float(y.std())
    if not _LEAST_SPREAD <= spread <= 1 / _LEAST_SPREAD:
        raise InputError(
            f"target {shown(target)} has a standard deviation of {spread:g}; choose a unit in which it lies between "
            f"{_LEAST_SPREAD:g} and {1 / _LEAST_SPREAD:g}"
        )
