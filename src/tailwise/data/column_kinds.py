"""Recognise the kind of a column, and how its cells are written."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import shown
from tailwise.data.cell_notes import is_padded, most_odd, note_on_infinite, note_on_odd_cells
from tailwise.data.cell_rules import NO_RULES, CellRules
from tailwise.data.cell_values import MISSING, NA_WORDS, TOLD_MISSING, Kind, as_text, check_cells, is_time
from tailwise.data.date_forms import (
    NO_DATE,
    are_dates,
    are_iso,
    compact_dates,
    date_order,
    example_of,
    iso,
    two_orders,
)
from tailwise.data.number_forms import NumberForm, differ, number_forms, surely_thousands
from tailwise.data.reading import PLAIN, Reading

_PAIRS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_MOST_ODD, _FEW_NUMBERS = 20, 20
_DATE_SAMPLE = 100
_SILENT = frozenset(word.lower() for word in NA_WORDS)


@dataclass(frozen=True)
class Recognised:
    """The kind of a column.

    Args:
        kind: the kind.
        reading: how its cells are written.
        unclear: the reason why the column cannot be read without a choice of the user; empty if it can.
        note: note for the user on cells that are not what the others are.
        example: a cell and the number or date that it is, where it is not written plainly.
    """

    kind: Kind
    reading: Reading = PLAIN
    unclear: str = ""
    note: str = ""
    example: str = ""


def recognise(series: pd.Series, rules: CellRules = NO_RULES, *, forced: Kind | None = None) -> Recognised:
    """Return the kind of a column, and how its cells are written.

    Args:
        series: the cells.
        rules: what the user says about the cells of the table.
        forced: kind that the user gives.
    """
    check_cells(series)
    reading = rules.of_column(str(series.name))
    if forced == "nominal" or forced == "boolean" or isinstance(series.dtype, pd.CategoricalDtype):
        return Recognised(forced or "nominal", reading)
    if pd.api.types.is_bool_dtype(series):
        return Recognised(forced or "boolean", reading)
    if is_time(series):
        return Recognised(forced or ("numeric" if pd.api.types.is_timedelta64_dtype(series) else "date"), reading)
    if pd.api.types.is_numeric_dtype(series):
        if forced == "date":
            return Recognised("date", replace(reading, order="ymd") if _is_compact(series, reading) else reading)
        return Recognised("numeric", reading, note=note_on_infinite(series, reading))
    filled = as_text(series)[~reading.is_missing(series)].dropna()
    counts = filled.value_counts(sort=False)
    if filled.empty:
        return Recognised(forced or "numeric", reading)
    texts = counts.index.to_numpy(dtype=object)
    lower = {str(text).lower() for text in texts}
    words = lower & (MISSING | TOLD_MISSING)
    if forced is None and lower > words and any(lower - words <= pair for pair in _PAIRS):
        told = [text for text in texts if str(text).lower() in words and text not in NA_WORDS]
        return Recognised("boolean", reading, note=note_on_odd_cells(series, told, "true and false"))
    if forced in (None, "numeric"):
        numeric = _as_numeric(series, counts, reading, rules, forced=forced is not None)
        if numeric is not None:
            return numeric
    if forced in (None, "date"):
        dates = _as_date(series, counts, reading, rules, forced=forced is not None)
        if dates is not None:
            return dates
    return Recognised(forced or "nominal", reading)


def _as_numeric(
    series: pd.Series, counts: "pd.Series[int]", reading: Reading, rules: CellRules, *, forced: bool
) -> Recognised | None:
    """Return the reading of a column of numbers; ``None`` if most cells are no numbers."""
    name, every = str(series.name), counts.index.to_numpy(dtype=object)
    is_word = np.array([str(text).lower() in MISSING | TOLD_MISSING for text in every])
    texts, n = every[~is_word], counts.to_numpy()[~is_word]
    if not len(texts):
        return Recognised("numeric", reading) if set(every) <= NA_WORDS else None
    plain = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), dtype=np.float64)
    told = note_on_odd_cells(series, every[is_word & [str(text).lower() in TOLD_MISSING for text in every]], "numbers")
    if np.isfinite(plain).all():
        return Recognised("numeric", reading, note=told)
    allowed = most_odd(int(n.sum()))
    choices: list[tuple[NumberForm, NDArray[np.float64]]] = []
    for form, values in number_forms(texts, rules.decimal, rules.thousands):
        if n[~np.isfinite(values)].sum() <= allowed:
            choices.append((form, values))
    if not choices:
        return None
    fewest = min(int(n[~np.isfinite(values)].sum()) for _, values in choices)
    choices = [(form, values) for form, values in choices if n[~np.isfinite(values)].sum() == fewest]
    form, values = choices[0]
    others = [(other, read) for other, read in choices[1:] if differ(values, read)]
    if others:
        grouped = [(f, v) for f, v in choices if f.thousands and surely_thousands(texts, f.thousands)]
        if len(grouped) != 1:
            text = next(str(t) for t, a, b in zip(texts, values, others[0][1], strict=True) if a != b and a == a)
            return Recognised(
                "numeric",
                reading,
                unclear=f"cells such as {shown(text)} may be {values[texts == text][0]:.10g} or "
                f"{others[0][1][texts == text][0]:.10g}; give `thousands` or `decimal`",
            )
        form, values = grouped[0]
    is_odd = ~np.isfinite(values)
    odd = tuple(str(text) for text in texts[is_odd])
    if odd and not forced and np.unique(values[~is_odd]).size <= _FEW_NUMBERS:
        return None  # a code that mostly has digits
    if len(odd) > _MOST_ODD or (odd and is_padded(pd.Series(texts)).any()):
        return None
    reading = replace(
        reading,
        missing=(*reading.missing, *odd),
        decimal=form.decimal,
        thousands=form.thousands,
        symbol=form.symbol if form.symbol and any(_has(form.symbol, text) for text in texts) else "",
    )
    written = texts[~is_odd][0]
    example = "" if reading.form.plain else f"{shown(name)} ({shown(written)} is {values[~is_odd][0]:.10g})"
    return Recognised("numeric", reading, note=note_on_odd_cells(series, odd, "numbers") or told, example=example)


def _as_date(
    series: pd.Series, counts: "pd.Series[int]", reading: Reading, rules: CellRules, *, forced: bool
) -> Recognised | None:
    """Return the reading of a column of dates; ``None`` if too many cells are no dates."""
    name, every = str(series.name), counts.index.to_numpy(dtype=object)
    sample = every[:_DATE_SAMPLE]
    if not forced and sum(~are_dates(sample) & [not _is_empty_date(str(text)) for text in sample]) > _MOST_ODD:
        return None
    is_empty = np.array([_is_empty_date(str(text)) for text in every])
    texts, n = every[~is_empty], counts.to_numpy()[~is_empty]
    is_odd = ~are_dates(texts)
    dates, odd = texts[~is_odd], tuple(str(text) for text in texts[is_odd])
    if len(odd) > _MOST_ODD or n[is_odd].sum() > most_odd(int(n.sum())):
        if not forced:
            return None
        odd = ()  # reading them as dates raises
    if not len(dates):
        return None
    reading = replace(reading, missing=(*reading.missing, *odd))
    empty = (str(text) for text in every[is_empty] if str(text).lower() not in _SILENT)
    note = note_on_odd_cells(series, (*odd, *empty), "dates")
    if are_iso(dates).all():
        return Recognised("date", reading, note=note)
    orders = date_order(dates)
    if rules.date_order in orders:
        orders = (rules.date_order,)
    if not orders:
        both = two_orders(dates)
        if both is None:
            return None
        begin = f"dates such as {shown(both[0])} begin with the day, others such as {shown(both[1])} with the month"
        return Recognised("date", reading, unclear=f"{begin}; write them alike, or as 2022-01-23")
    if len(orders) > 1:
        return Recognised(
            "date",
            reading,
            unclear=f"dates such as {shown(example_of(dates))} may begin with the day or the month; give `date_order`",
        )
    told = example_of(dates)
    example = f"{shown(name)} ({shown(told)} is {iso(np.array([told], dtype=object), orders[0])[0]:%Y-%m-%d})"
    return Recognised("date", replace(reading, order=orders[0]), note=note, example=example)


def _is_compact(series: pd.Series, reading: Reading) -> bool:
    return compact_dates(series.mask(reading.is_missing(series)) if reading.missing else series)


def _is_empty_date(text: str) -> bool:
    return text.lower() in MISSING | TOLD_MISSING or NO_DATE.fullmatch(text) is not None


def _has(symbols: str, text: object) -> bool:
    return any(symbol in str(text) for symbol in symbols)
