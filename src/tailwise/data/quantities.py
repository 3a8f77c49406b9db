"""Text cells that look like numbers, times or dates but are written in ways that are not read, and a note on them."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import short, shown
from tailwise.data.cell_values import MISSING, TOLD_MISSING, as_text, first_row
from tailwise.data.date_forms import are_dates
from tailwise.data.number_forms import CURRENCIES
from tailwise.data.reading import as_missing

Shape = Literal["number", "marked", "pair", "time", "date", "period", ""]

_SAMPLE, _LEAST_OF_SAMPLE, _LONGEST = 200, 0.3, 60
_FEW_NUMBERS, _MOST_AFFIXES, _SURE, _FEW_MARKED, _MOST_OTHER = 20, 4, 0.8, 0.02, 0.2
_NUMBER = (
    r"(?:(?!0\d)(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?"
    r"|\d{1,3}(?:[ '\u00a0\u2009\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?)|[.,]\d+)"
)
_INDIAN = r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?"
_SIGN = "[+\u2212-]"
_PREFIX = (
    rf"(?:[{CURRENCIES}]|[A-Z]{{1,3}}\$|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|BRL|MXN"
    r"|ZAR|KRW|TRY|SGD|HKD|THB|IDR|MYR|PHP|ILS|AED|SAR|Rs\.?|Fr\.?|kr\.?)"
)
_BOUND = r"(?:(?:[<>~=\u2264\u2265\u2248\u00b1]=?|ca\.?|approx\.?|about)\s*)"
# A letter right after whole numbers is a code (12A), unless it is a common unit.
_LETTER = r"(?:(?<=[.,]\d)|(?<=[.,]\d\d)|(?<=[.,]\d\d\d)|(?=[kKMmgVWhsLlt]))[A-Za-z]"
_WORD = "[A-Za-z\u00b5\u03bc\u03a9\u00b0\u2030]{2,12}"
_POWER = r"\.?(?:[\u00b2\u00b3]|\^?-?[23])?"
_SYMBOL = rf"[%\u00b0\u2030\u00b5\u03bc\u03a9\"'\u2032\u2033{CURRENCIES}]"
_UNIT = rf"(?:(?:\s+[A-Za-z]|\s*{_WORD}|{_LETTER}|\s*{_SYMBOL}){_POWER}(?:\s?[/*\u00b7]\s?[A-Za-z]{{1,8}}{_POWER})?)"
_MARKED = (
    rf"\(?\s*{_BOUND}?{_PREFIX}?\s*{_SIGN}?\s*{_PREFIX}?\s*(?:{_INDIAN}|{_NUMBER})\s*{_SIGN}?"
    rf"{_UNIT}?(?:\s*{_NUMBER}{_UNIT}){{0,2}}\s*\)?"
)
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.?"
_WEEKDAY = r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?"
_CLOCK = r"\d{1,3}:[0-5]\d(?::[0-5]\d)?(?:[.,]\d+)?(?:\s?[ap]\.?m\.?)?"
_SPAN = r"(?:\d+(?:[.,]\d+)?\s?(?:d|h|m|s|hrs?|hours?|mins?|minutes?|secs?|seconds?|days?|weeks?)\s*){2,4}"
_ISO_SPAN = r"P(?=\d|T\d)(?:\d+[YMWD])*(?:T(?:\d+(?:\.\d+)?[HMS])+)?"
_YEAR = r"(?:1[89]|2[01])\d\d"
_WRITTEN: tuple[tuple[Shape, str], ...] = (
    ("number", rf"{_SIGN}?\s*[{CURRENCIES}]?\s*{_NUMBER}\s*[{CURRENCIES}%]?"),
    ("time", rf"{_SIGN}?{_CLOCK}|{_SIGN}?\d+ days?,? (?:{_SIGN}?{_CLOCK})|{_SPAN}|{_ISO_SPAN}"),
    ("period", rf"{_YEAR}[-/.](?:0?[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[-/.]{_YEAR}"),
    ("period", rf"{_YEAR}[-/ ]?(?:Q[1-4]|H[12]|W\d\d?(?:-\d)?)|(?:Q[1-4]|H[12]|W\d\d?)[-/ ]?{_YEAR}"),
    ("period", rf"{_MONTH}[-/ ,]+(?:{_YEAR}|\d\d)|{_YEAR}[-/ ]?{_MONTH}|\d{{1,2}}[-/ .]{_MONTH}[-/ ,]*\d\d"),
    ("period", r"\d{1,2}([-/])\d{1,2}\1\d\d|\d\d\.\d\d\.\d\d"),
    ("period", rf"(?:{_YEAR}([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2\d{{4}})[T _,]+\d\d?[:.h]\d\d.*"),
    ("period", rf"{_WEEKDAY}[.,]* +(?:\d\d?[-/. ]+|{_MONTH}).*\d\d.*|{_YEAR}\d{{4}}[T_ ]\d{{4,6}}Z?"),
    ("pair", rf"\d{{1,3}}\s?/\s?\d{{1,3}}|{_SIGN}?\d+[.,]?\d*(?:\s?[x\u00d7*\u00b1]\s?\d+[.,]?\d*){{1,2}}"),
    ("pair", rf"[(\[]?{_SIGN}?\d+(?:\.\d+)?[,;]\s+{_SIGN}?\d+(?:\.\d+)?[)\]]?"),
    ("pair", rf"[(\[]?{_SIGN}?\d+\.\d+[,;]{_SIGN}?\d+\.\d+[)\]]?"),
    ("marked", rf"{_MARKED}|\d{{1,3}}\s?\u00b0\s?\d.*"),
)
_FORMS = tuple(
    (shape, re.compile(form, re.IGNORECASE if shape in ("time", "period") else 0)) for shape, form in _WRITTEN
)
_FAMILIES: tuple[tuple[Shape, ...], ...] = (("number", "marked"), ("date", "period"), ("time",), ("pair",))
_KINDS = ("numbers", "dates", "times", "several numbers each")


@dataclass(frozen=True)
class Lookalikes:
    """Cells of a text column most of which look like numbers, times or dates.

    Args:
        kind: what they look like, in the plural.
        n: number of such cells.
        filled: number of cells that are not missing.
        example: the first such cell.
        row: its row, counted from 1.
        way_out: how the column is read as a careful person would.
    """

    kind: str
    n: int
    filled: int
    example: str
    row: int
    way_out: str

    def __str__(self) -> str:
        count = f"all its {self.filled:,}" if self.n == self.filled else f"{self.n:,} of its {self.filled:,}"
        return (
            f"{count} filled cells look like {self.kind}, e.g. {shown(self.example)} in row "
            f"{self.row:,}: {self.way_out}"
        )


def shape_of(text: str) -> Shape:
    """Return what a text looks like; nothing for names and codes such as ``A12``. Full dates are left to others.

    >>> [shape_of(text) for text in ("12", "1.23 kg", "10:30", "2020-Q1", "120/80", "A12", "555-1234")]
    ['number', 'marked', 'time', 'period', 'pair', '', '']
    """
    if len(text) > _LONGEST:
        return ""
    return next((shape for shape, form in _FORMS if form.fullmatch(text)), "")


def lookalikes(series: pd.Series) -> Lookalikes | None:
    """Return what most cells of a text column look like; ``None`` of names, codes and few different numbers."""
    text = as_text(series)
    counts = text.dropna().value_counts(sort=False)
    counts = counts[[str(cell).lower() not in MISSING | TOLD_MISSING for cell in counts.index]]
    texts = counts.index.to_numpy(dtype=object)
    sample = texts[:_SAMPLE]
    if not len(texts) or np.mean([_has_shape(cell) for cell in sample] | are_dates(sample)) < _LEAST_OF_SAMPLE:
        return None
    shapes = np.array([shape_of(str(cell)) for cell in texts], dtype=object)
    may_be_date = ~np.isin(shapes, ("number", "marked"))
    shapes[np.flatnonzero(may_be_date)[are_dates(texts[may_be_date])]] = "date"
    n = counts.to_numpy()
    sizes = [int(n[np.isin(shapes, family)].sum()) for family in _FAMILIES]
    best = int(np.argmax(sizes))
    looks = np.isin(shapes, _FAMILIES[best])
    rest = counts[~looks]
    if 2 * sizes[best] <= n.sum() or (best in (0, 3) and not _measures(texts[looks], rest, sizes[best] / n.sum())):
        return None
    has_digit = [re.search(r"\d", str(cell)) is not None for cell in rest.index]
    if best == 1 and rest[has_digit].sum() > _MOST_OTHER * n.sum():
        return None  # 2011-12 beside 2013-14 is no month
    is_like = text.isin(texts[looks])
    example = str(text[is_like].iloc[0])
    is_plain = np.isin(shapes, ("number", "date"))
    mostly_plain = bool(is_plain.any() and n[looks & ~is_plain].sum() <= _FEW_MARKED * n.sum())
    way_out = _way_out(short(series.name), best, rest, mostly_plain=mostly_plain)
    return Lookalikes(_KINDS[best], sizes[best], int(n.sum()), example, first_row(is_like), way_out)


def _has_shape(cell: object) -> bool:
    return shape_of(str(cell)) != ""


def _measures(texts: NDArray[np.object_], rest: "pd.Series[int]", fraction: float) -> bool:
    """Return whether texts with digits are measured values rather than codes: many numbers, few units."""
    affixes = {re.sub(r"[\d.,'\s]+", " ", str(text)).strip() for text in texts}
    numbers = {re.sub(r"\D", "", str(text)) for text in texts}
    if len(affixes - {"", "-", "+", "\u2212"}) > _MOST_AFFIXES:
        return False
    words = [str(cell) for cell in rest.index]
    are_words = all(len(word) > 1 and not re.search(r"\d", word) for word in words)
    return len(numbers) > _FEW_NUMBERS or (bool(words) and are_words and fraction >= _SURE)


def _way_out(column: str, family: int, rest: "pd.Series[int]", *, mostly_plain: bool) -> str:
    """Return how cells of a family are read by the kind that they look like."""
    if mostly_plain and len(rest):
        word = str(rest.idxmax())
        return f"if others, such as {shown(word)}, are missing, pass {as_missing(column, word)}"
    if family == 0:
        return "write them all as plain numbers, such as 1234.5"
    if family == 1:
        return "write them as dates, such as 2022-01-23"
    return "write them as numbers, such as hours" if family == 2 else "split them into one column for each number"
