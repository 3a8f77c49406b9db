"""Dates as people write them: year, day or month first, with dashes, slashes or dots, or with the name of the month."""

import re
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DateOrder = Literal["ymd", "dmy", "mdy"]
DATE_ORDERS: tuple[DateOrder, ...] = ("ymd", "dmy", "mdy")
RULE = "dates are written 2022-01-23, 23/01/2022, 01/23/2022, 23.01.2022, 23 Jan 2022, Jan 23, 2022 or 20220123"
_ISO = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}.*)?$"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?:[T ](?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?))?"
_YEAR_FIRST = re.compile(rf"(?P<y>\d{{4}})([-/.])(?P<a>\d{{1,2}})\2(?P<b>\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(?P<a>\d{{1,2}})([-/.])(?P<b>\d{{1,2}})\2(?P<y>\d{{4}}){_TIME}")
_COMPACT = re.compile(r"(?P<y>(?:1[89]|2[01])\d\d)(?P<a>\d\d)(?P<b>\d\d)(?:\.0)?")
_NAME = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY_NAMED = re.compile(rf"(?P<day>\d{{1,2}})(?:\.? |-){_NAME},?[ -](?P<y>\d{{4}}){_TIME}", re.IGNORECASE)
_MONTH_NAMED = re.compile(rf"{_NAME}[ -](?P<day>\d{{1,2}})(?:,? |-)(?P<y>\d{{4}}){_TIME}", re.IGNORECASE)
NO_DATE = re.compile(r"0+[-/.]0+[-/.]0+(?:[T ]0+:0+(?::0+)?)?")


def date_order(texts: NDArray[np.object_]) -> tuple[DateOrder, ...]:
    """Return the orders of year, month and day in which all these texts are dates; none of compact dates alone.

    A year that comes first is followed by the month in any order, and names of months need none: ``"ymd"`` alone is
    returned where all texts are so.

    >>> date_order(np.array(["23/01/2022", "03/04/2022"], dtype=object)), date_order(np.array(["03/04/2022"]))
    (('dmy',), ('dmy', 'mdy'))
    """
    if not any(_is_written(str(text)) for text in texts[:20]):
        return ()
    if iso(texts, "ymd").notna().all():
        return ("ymd",)
    fitting = tuple(order for order in DATE_ORDERS if iso(texts, order).notna().all())
    dotted = all("." in str(text) for text in texts if _needs_order(str(text)))
    return ("dmy",) if dotted and "dmy" in fitting else fitting


def two_orders(texts: NDArray[np.object_]) -> tuple[str, str] | None:
    """Return a date that only begins with the day and one that only begins with the month, if all texts are dates."""
    if not any(_is_written(str(text)) for text in texts[:20]):
        return None
    day_first, month_first = (iso(texts, order).notna().to_numpy() for order in ("dmy", "mdy"))
    if not (day_first | month_first).all() or day_first.all() or month_first.all():
        return None
    return str(texts[~month_first][0]), str(texts[~day_first][0])


def example_of(texts: NDArray[np.object_]) -> str:
    """Return the text that tells most about the order: the first whose order must be known, else the first."""
    return next((str(text) for text in texts if _needs_order(str(text))), str(texts[0]))


def iso(texts: NDArray[np.object_], order: DateOrder) -> pd.Series:
    """Return the moments of texts in an order, UTC, missing where a text is not a date in it."""
    written = pd.Series([_iso(str(text).strip(), order) for text in texts], dtype=object)
    return pd.to_datetime(written, errors="coerce", format="ISO8601", utc=True).dt.as_unit("s")


def are_iso(texts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which texts are ISO dates, with or without a time."""
    column = pd.Series(texts, dtype=object)
    is_iso = column.str.match(_ISO).fillna(False).to_numpy(dtype=bool)
    return is_iso & pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True).notna().to_numpy()


def are_dates(texts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which texts are dates in some order, compact ones among them."""
    dates = are_iso(texts)
    for order in ("dmy", "mdy"):
        rest = ~dates
        dates[rest] = iso(texts[rest], order).notna().to_numpy()
    return dates


def _is_written(text: str) -> bool:
    return any(form.fullmatch(text) for form in (_YEAR_FIRST, _YEAR_LAST, _DAY_NAMED, _MONTH_NAMED))


def _needs_order(text: str) -> bool:
    return _YEAR_LAST.fullmatch(text) is not None


def _iso(text: str, order: DateOrder) -> str | None:
    match = _COMPACT.fullmatch(text)
    if match is not None:
        return f"{match['y']}-{match['a']}-{match['b']}"
    if (match := _YEAR_FIRST.fullmatch(text)) is not None:
        month, day = match["a"], match["b"]
    elif (match := _DAY_NAMED.fullmatch(text) or _MONTH_NAMED.fullmatch(text)) is not None:
        month, day = str(1 + _MONTHS.index(match["month"][:3].lower())), match["day"]
    elif order != "ymd" and (match := _YEAR_LAST.fullmatch(text)) is not None:
        month, day = (match["b"], match["a"]) if order == "dmy" else (match["a"], match["b"])
    else:
        return None
    time = match["time"]
    if time is not None and len(time.split(":")[0]) == 1:
        time = "0" + time
    return f"{match['y']}-{month.zfill(2)}-{day.zfill(2)}" + ("" if time is None else f"T{time}")


def compact_dates(values: pd.Series) -> bool:
    """Return whether all whole numbers of a column are dates such as 20220123."""
    filled = values.dropna()
    if filled.empty or not filled.between(18_000_101, 21_991_231).all():
        return False
    texts = filled.drop_duplicates().astype("int64").astype(str).to_numpy(dtype=object)
    return bool(iso(texts, "ymd").notna().all())
