"""Cells of a column: recognise its kind, read its values."""

import re
from typing import Any, Literal

import numpy as np
import pandas as pd

from tailwise._checks import InputError

Kind = Literal["numeric", "boolean", "nominal", "date"]

_PAIRS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_TRUE = frozenset({"true", "t", "yes", "y"})
_FALSE = frozenset({"false", "f", "no", "n"})
BLANK = frozenset({""})
_MISSING = frozenset({"", "?", "-", "na", "n/a", "nan", "null", "none"})
_LARGEST = 1e30
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}.*)?$")
_IDENTIFIER_FRACTION = 0.9
_FEWEST_FOR_IDENTIFIER = 20


def first_row(wrong: Any) -> int:
    """Return the number of the first wrong row, counted from 1 after the header."""
    return int(np.asarray(wrong).argmax()) + 1


def is_time(series: pd.Series) -> bool:
    """Return whether values are dates, periods or durations."""
    kinds = (pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    return any(is_kind(series) for is_kind in kinds) or isinstance(series.dtype, pd.PeriodDtype)


def check_cells(series: pd.Series) -> None:
    """Raise if cells hold lists, records or bytes instead of single values."""
    if series.dtype != object:
        return
    odd = series.map(lambda cell: isinstance(cell, bytes) or not (cell is None or pd.api.types.is_scalar(cell)))
    if odd.any():
        kind = type(series[odd].iloc[0]).__name__
        raise InputError(f"column {str(series.name)!r} holds {kind} values, not single ones; unpack or `drop` it")


def counts_rows(series: pd.Series) -> bool:
    """Return whether values count up one by one, as row numbers do."""
    return pd.api.types.is_integer_dtype(series) and bool((series.diff().dropna() == 1).all())


def kind_of(series: pd.Series) -> Kind:
    """Recognise the kind of a column from its values."""
    check_cells(series)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "nominal"
    if pd.api.types.is_bool_dtype(series):
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(series) or isinstance(series.dtype, pd.PeriodDtype):
        return "date"
    if pd.api.types.is_numeric_dtype(series):
        return "numeric"
    filled = as_text(series).dropna()
    if filled.empty:
        return "numeric"
    lower = filled.str.lower()
    if any(set(lower.unique()) <= pair for pair in _PAIRS):
        return "boolean"
    if pd.to_numeric(filled[~lower.isin(_MISSING)], errors="coerce").notna().all():
        return "numeric"
    if (
        filled.str.match(_DATE).all()
        and pd.to_datetime(filled, errors="coerce", format="ISO8601", utc=True).notna().all()
    ):
        return "date"
    return "nominal"


def is_identifier(series: pd.Series) -> bool:
    """Return whether nearly every value occurs once."""
    filled = series.dropna()
    return len(filled) >= _FEWEST_FOR_IDENTIFIER and filled.nunique() > _IDENTIFIER_FRACTION * len(filled)


def _wrong_type(series: pd.Series, wrong: pd.Series, kind: str) -> InputError:
    return InputError(
        f"column {str(series.name)!r} is {kind}, but {int(wrong.sum())} cells are not, "
        f"e.g. {str(series[wrong].iloc[0])!r} in row {first_row(wrong)}"
    )


def unread(series: pd.Series, values: pd.Series, *, empty: frozenset[str]) -> pd.Series:
    """Return which cells are not empty but were not converted; only those become text, which is slow."""
    wrong = values.isna() & series.notna()
    if wrong.any():
        wrong[wrong] = ~series[wrong].astype(str).str.strip().str.lower().isin(empty)
    return wrong


def as_text(series: pd.Series) -> pd.Series:
    """Return values as stripped text, empty cells as NaN; whole numbers have no decimals."""
    text = series.astype("string").str.strip()
    if pd.api.types.is_float_dtype(series):
        text = text.str.removesuffix(".0")
    return text.mask(text == "").astype(object).where(text.notna(), np.nan)


def as_numbers(series: pd.Series) -> pd.Series:
    """Read numbers as float64, NaN where a cell is empty or infinite.

    Raises:
        InputError: a cell that is not a number, or is too large.
    """
    if is_time(series):
        raise InputError(f"column {str(series.name)!r} is numeric, but its values are of type {series.dtype}")
    check_cells(series)
    values = pd.to_numeric(series, errors="coerce").astype(np.float64)
    wrong = unread(series, values, empty=_MISSING)
    if wrong.any():
        raise _wrong_type(series, wrong, "numeric")
    huge = np.isfinite(values) & (values.abs() > _LARGEST)
    if huge.any():
        raise InputError(
            f"column {str(series.name)!r} has {float(values[huge].iloc[0])!r} in row {first_row(huge)}; "
            f"values must not exceed {_LARGEST:g} in size"
        )
    return values.replace([np.inf, -np.inf], np.nan)


def as_booleans(series: pd.Series) -> pd.Series:
    """Read true and false as 1.0 and 0.0, NaN where a cell is empty.

    Raises:
        InputError: a cell that is neither.
    """
    if pd.api.types.is_bool_dtype(series) or pd.api.types.is_numeric_dtype(series):
        values = series.astype("Float64")
        wrong = values.notna() & ~values.isin([0, 1])
    else:
        text = as_text(series).astype("string").str.lower()
        values = pd.Series(pd.NA, index=series.index, dtype="Float64")
        values = values.mask(text.isin(_TRUE | {"1"}), 1.0).mask(text.isin(_FALSE | {"0"}), 0.0)
        wrong = text.notna() & values.isna()
    if wrong.any():
        raise _wrong_type(series, wrong.astype(bool), "boolean")
    return values.astype(np.float64)


def date_parts(series: pd.Series) -> dict[str, Any]:
    """Return days since 1970, and sine and cosine of the phases of year, week and day."""
    name = str(series.name)
    if series.isna().all():
        series = pd.Series(pd.NaT, index=series.index, name=name, dtype="datetime64[s]")
    if pd.api.types.is_numeric_dtype(series):
        raise _wrong_type(series, pd.Series(True, index=series.index), "a date")
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    is_date = pd.api.types.is_datetime64_any_dtype(series)
    when = pd.to_datetime(series, errors="coerce", format=None if is_date else "ISO8601", utc=True).dt.as_unit("s")
    wrong = unread(series, when, empty=BLANK)
    if wrong.any():
        raise _wrong_type(series, wrong, "a date")
    seconds = when.astype("int64").astype(np.float64).where(when.notna())
    day = seconds / 86_400
    phases = {
        "year": (when.dt.day_of_year - 1) / 365.25,
        "week": when.dt.day_of_week / 7 + (day % 1) / 7,
        "day": day % 1,
    }
    parts: dict[str, Any] = {f"{name} (days)": day}
    for cycle, phase in phases.items():
        angle = 2 * np.pi * phase.astype(np.float64)
        parts[f"{name} (sine of {cycle})"] = np.sin(angle)
        parts[f"{name} (cosine of {cycle})"] = np.cos(angle)
    return parts
