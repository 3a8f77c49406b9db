"""Cells of a column: read its values, as its kind and its way of writing say."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from tailwise._checks import InputError, shown
from tailwise._numbers import counted
from tailwise.data.date_forms import NO_DATE, RULE, iso
from tailwise.data.reading import PLAIN, Reading

Kind = Literal["numeric", "boolean", "nominal", "date", "season"]

_TRUE = frozenset({"true", "t", "yes", "y"})
_FALSE = frozenset({"false", "f", "no", "n"})
BLANK = frozenset({""})
# Cells of text columns that pandas reads as missing, and those of numbers, in lower case.
NA_WORDS = frozenset({"NA", "N/A", "NULL", "NaN", "None", "n/a", "nan", "null", "<NA>", "#N/A", "#NA", "#N/A N/A"})
MISSING = frozenset({"", "?", "-", "na", "none"}) | {word.lower() for word in NA_WORDS}
# Cells of spreadsheets and SAS that are missing numbers, and are told.
TOLD_MISSING = frozenset({".", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"})
_LARGEST = 1e30
_IDENTIFIER_FRACTION = 0.9
_FEWEST_FOR_IDENTIFIER = 20


def first_row(wrong: Any) -> int:
    """Return the number of the first wrong row, counted from 1 after the header; a piece of a table knows its start."""
    index = wrong.index if isinstance(wrong, pd.Series) else None
    start = index.start if isinstance(index, pd.RangeIndex) and index.step == 1 else 0
    return start + int(np.asarray(wrong).argmax()) + 1


def is_time(series: pd.Series) -> bool:
    """Return whether values are dates, periods or durations."""
    kinds = (pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    return any(is_kind(series) for is_kind in kinds) or isinstance(series.dtype, pd.PeriodDtype)


def check_cells(series: pd.Series) -> None:
    """Raise if cells hold lists, records, bytes or complex numbers instead of single values."""
    if pd.api.types.is_complex_dtype(series):
        raise InputError(f"column {shown(series.name)} holds complex numbers; split them into parts or `drop` it")
    if series.dtype != object:
        return
    odd = series.map(lambda cell: isinstance(cell, bytes) or not (cell is None or pd.api.types.is_scalar(cell)))
    if odd.any():
        kind = type(series[odd].iloc[0]).__name__
        raise InputError(f"column {shown(series.name)} holds {kind} values, not single ones; unpack or `drop` it")


def are_not(wrong: pd.Series) -> str:
    """Return how many cells are not as they must be: ``"2 cells are not"``."""
    return f"{counted(int(wrong.sum()), 'cell')} {'is' if wrong.sum() == 1 else 'are'} not"


def counts_rows(series: pd.Series) -> bool:
    """Return whether values count up one by one, as row numbers do."""
    return pd.api.types.is_integer_dtype(series) and bool((series.diff().dropna() == 1).all())


def is_identifier(series: pd.Series) -> bool:
    """Return whether nearly every value occurs once."""
    filled = series.dropna()
    return len(filled) >= _FEWEST_FOR_IDENTIFIER and filled.nunique() > _IDENTIFIER_FRACTION * len(filled)


def _wrong_type(series: pd.Series, wrong: pd.Series, kind: str, rule: str = "") -> InputError:
    return InputError(
        f"column {shown(series.name)} is {kind}, but {are_not(wrong)}, "
        f"e.g. {shown(series[wrong].iloc[0])} in row {first_row(wrong)}{rule}"
    )


def unread(series: pd.Series, values: pd.Series, *, empty: frozenset[str]) -> pd.Series:
    """Return which cells are not empty but were not converted; only those become text, which is slow."""
    wrong = values.isna() & series.notna()
    if wrong.any():
        wrong[wrong] = ~series[wrong].astype(str).str.strip().str.lower().isin(empty)
    return wrong


def as_text(series: pd.Series) -> pd.Series:
    """Return values as stripped text, empty cells as NaN; whole numbers have no decimals."""
    if isinstance(series.dtype, pd.StringDtype):  # each text once: less memory, and much faster
        codes, different = pd.factorize(series)
        texts = [text.strip() or np.nan for text in different]
        cells = np.array([*texts, np.nan], dtype=object)[codes]
        return pd.Series(cells, index=series.index, name=series.name, dtype=object)
    text = series.astype("string").str.strip()
    if pd.api.types.is_float_dtype(series):
        text = text.str.removesuffix(".0")
    return text.astype(object).where(text.notna() & (text != ""), np.nan)


def as_numbers(series: pd.Series, reading: Reading = PLAIN) -> pd.Series:
    """Read numbers as float64, NaN where a cell is empty or infinite.

    Raises:
        InputError: a cell that is not a number, or is too large.
    """
    if is_time(series):
        raise InputError(f"column {shown(series.name)} is numeric, but its values are of type {series.dtype}")
    check_cells(series)
    values = numbers_of(series, reading)
    if not pd.api.types.is_numeric_dtype(series):
        wrong = unread(series, values, empty=MISSING | TOLD_MISSING) & ~reading.is_missing(series)
        if wrong.any():
            raise _wrong_type(series, wrong, "numeric")
    size = np.abs(values.to_numpy())
    infinite = np.isinf(size)
    huge = pd.Series((size > _LARGEST) & ~infinite, index=values.index)
    if huge.any():
        raise InputError(
            f"column {shown(series.name)} has {float(values[huge].iloc[0])!r} in row {first_row(huge)}; "
            f"values must not exceed {_LARGEST:g} in size"
        )
    return values.mask(infinite) if infinite.any() else values


def numbers_of(series: pd.Series, reading: Reading = PLAIN) -> pd.Series:
    """Return numbers as float64, NaN where a cell is no number or counts as missing."""
    if pd.api.types.is_numeric_dtype(series) or reading.form.plain:
        values = to_floats(series)
    else:
        texts = series.astype("string").str.strip()
        different = texts.dropna().unique().astype(object)
        numbers = dict(zip(different, reading.form.values(different), strict=True))
        values = texts.map(numbers).astype(np.float64)
        if reading.thousands != ".":  # a file that other programs wrote
            values = values.fillna(to_floats(series))
    return values.mask(reading.is_missing(series)) if reading.missing else values


def to_floats(series: pd.Series) -> pd.Series:
    """Return plain numbers as float64, NaN where a cell is no number."""
    if series.dtype == np.float64:
        return series
    values = pd.to_numeric(series, errors="coerce")
    return pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan), index=series.index, name=series.name)


def as_categories(series: pd.Series, reading: Reading = PLAIN, levels: Sequence[str] | None = None) -> pd.Series:
    """Read categories as text, NaN where a cell is missing.

    ``NA`` and similar words are missing where the levels do not have them; without levels, where no cell is empty. A
    number is the level of the same number, however it is written, if there is just one: ``1`` is ``01``.

    Args:
        series: the cells.
        reading: values that count as missing.
        levels: categories of the training rows, if they are known.
    """
    text = as_text(series)
    if reading.missing:
        text = text.mask(reading.is_missing(series))
    different = text.dropna().unique()
    if levels is None:
        missing = frozenset() if text.isna().any() else NA_WORDS
        replaced: dict[str, Any] = {cell: np.nan for cell in different if cell in missing}
    else:
        known, by_number = frozenset(levels), _by_number(levels)
        unknown = [cell for cell in different if cell not in known]
        numbers = zip(unknown, pd.to_numeric(pd.Series(unknown, dtype=object), errors="coerce"), strict=True)
        replaced = {c: by_number.get(number, np.nan if c in NA_WORDS else c) for c, number in numbers}
    return text.replace(replaced) if replaced else text


def _by_number(levels: Sequence[str]) -> dict[float, str]:
    """Return the only level for each number."""
    numbers = pd.to_numeric(pd.Series(list(levels), dtype=object), errors="coerce").astype(np.float64)
    level_of = pd.Series(list(levels), index=numbers.to_numpy())
    level_of = level_of[np.isfinite(numbers.to_numpy()) & ~numbers.duplicated(keep=False).to_numpy()]
    return {float(number): str(level) for number, level in zip(level_of.index, level_of, strict=True)}


def as_booleans(series: pd.Series, reading: Reading = PLAIN) -> pd.Series:
    """Read true and false as 1.0 and 0.0, NaN where a cell is empty.

    Raises:
        InputError: a cell that is neither.
    """
    if pd.api.types.is_bool_dtype(series) or pd.api.types.is_numeric_dtype(series):
        values = series.astype("Float64")
        wrong = values.notna() & ~values.isin([0, 1])
    else:
        text = as_text(series).astype("string").str.lower()
        text = text.mask(text.isin(MISSING | TOLD_MISSING) | reading.is_missing(series))
        values = pd.Series(pd.NA, index=series.index, dtype="Float64")
        values = values.mask(text.isin(_TRUE | {"1"}), 1.0).mask(text.isin(_FALSE | {"0"}), 0.0)
        wrong = text.notna() & values.isna()
    if wrong.any():
        raise _wrong_type(series, wrong.astype(bool), "boolean")
    return values.astype(np.float64)


def date_parts(series: pd.Series, reading: Reading = PLAIN) -> dict[str, Any]:
    """Return days since 1970, and sine and cosine of the phases of year, week and day."""
    name = str(series.name)
    when = moments(series, reading)
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


def moments(series: pd.Series, reading: Reading = PLAIN) -> pd.Series:
    """Read dates as moments in UTC with whole seconds, missing where a cell is empty.

    Raises:
        InputError: a cell that is not a date.
    """
    check_cells(series)
    if series.isna().all():
        series = pd.Series(pd.NaT, index=series.index, name=series.name, dtype="datetime64[s]")
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    if pd.api.types.is_datetime64_any_dtype(series):
        when = pd.to_datetime(series, errors="coerce", utc=True).dt.as_unit("s")
        codes = pd.to_datetime(list(reading.missing), errors="coerce", format="ISO8601", utc=True).dropna()
        return when.mask(when.isin(codes)) if len(codes) else when
    if reading.order or pd.api.types.is_numeric_dtype(series):
        texts = series.astype("string").str.strip()
        different = texts.dropna().unique().astype(object)
        order: Any = reading.order or "ymd"
        when = iso(different, order)
        when = pd.Series(when.array, index=different).reindex(texts).set_axis(series.index)
    else:
        when = pd.to_datetime(series, errors="coerce", format="ISO8601", utc=True).dt.as_unit("s")
    is_missing = reading.is_missing(series)
    when = when.mask(is_missing)
    wrong = unread(series, when, empty=MISSING | TOLD_MISSING) & ~is_missing
    if wrong.any():
        wrong[wrong] = ~series[wrong].astype(str).str.strip().str.fullmatch(NO_DATE)
    if wrong.any():
        raise _wrong_type(series, wrong, "a date", rule=f"; {RULE}")
    return when
