"""Dates as people write them: year, day or month first, with dashes, slashes or dots."""

import re
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DateOrder = Literal["ymd", "dmy", "mdy"]
DATE_ORDERS: tuple[DateOrder, ...] = ("ymd", "dmy", "mdy")
RULE = "dates are written 2022-01-23, 23/01/2022, 01/23/2022, 23.01.2022 or 20220123"
_TIME = r"(?:[T ](?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?))?"
_YEAR_FIRST = re.compile(rf"(?P<y>\d{{4}})([-/.])(?P<a>\d{{1,2}})\2(?P<b>\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(?P<a>\d{{1,2}})([-/.])(?P<b>\d{{1,2}})\2(?P<y>\d{{4}}){_TIME}")
_COMPACT = re.compile(r"(?P<y>(?:1[89]|2[01])\d\d)(?P<a>\d\d)(?P<b>\d\d)(?:\.0)?")
NO_DATE = re.compile(r"0+[-/.]0+[-/.]0+(?:[T ]0+:0+(?::0+)?)?")


def date_order(texts: NDArray[np.object_]) -> tuple[DateOrder, ...]:
    """Return the orders of year, month and day in which all these texts are dates, compact ones not among them.

    >>> date_order(np.array(["23/01/2022", "03/04/2022"], dtype=object)), date_order(np.array(["03/04/2022"]))
    (('dmy',), ('dmy', 'mdy'))
    """
    sample = texts[:20]
    if not all(_YEAR_FIRST.fullmatch(str(text)) or _YEAR_LAST.fullmatch(str(text)) for text in sample):
        return ()
    fitting = tuple(order for order in DATE_ORDERS if iso(texts, order).notna().all())
    dotted = all("." in str(text) for text in texts)
    return ("dmy",) if dotted and "dmy" in fitting else fitting


def iso(texts: NDArray[np.object_], order: DateOrder) -> pd.Series:
    """Return the moments of texts in an order, UTC, missing where a text is not a date in it."""
    written = pd.Series([_iso(str(text), order) for text in texts], dtype=object)
    return pd.to_datetime(written, errors="coerce", format="ISO8601", utc=True).dt.as_unit("s")


def _iso(text: str, order: DateOrder) -> str | None:
    text = text.strip()
    match = (_YEAR_FIRST if order == "ymd" else _YEAR_LAST).fullmatch(text)
    if match is None:
        match = _COMPACT.fullmatch(text)
        if match is None:
            return None
        return f"{match['y']}-{match['a']}-{match['b']}"
    first, second = match["a"].zfill(2), match["b"].zfill(2)
    month, day = (second, first) if order == "dmy" else (first, second)
    time = match["time"]
    if time is not None and len(time.split(":")[0]) == 1:
        time = "0" + time
    return f"{match['y']}-{month}-{day}" + ("" if time is None else f"T{time}")


def compact_dates(values: pd.Series) -> bool:
    """Return whether all whole numbers of a column are dates such as 20220123."""
    filled = values.dropna()
    if filled.empty or not filled.between(18_000_101, 21_991_231).all():
        return False
    texts = filled.drop_duplicates().astype("int64").astype(str).to_numpy(dtype=object)
    return bool(iso(texts, "ymd").notna().all())
