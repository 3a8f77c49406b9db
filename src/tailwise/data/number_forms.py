"""Numbers as people write them: decimal commas, thousands separators, currencies, per cent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CURRENCIES = "$€£¥₹₽₩₺"
MARKS = (",", ".", " ", "'")
_SPACES = re.compile("[\u00a0\u2007\u2009\u202f]")
_PAIRS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_SAMPLE, _LEAST_MATCHES = 200, 0.5
_FEWEST_GROUPED = 10


@dataclass(frozen=True)
class NumberForm:
    """How numbers are written.

    Args:
        decimal: the mark before decimals.
        thousands: the mark between groups of three digits; none if empty.
        symbol: currency signs, or ``%``, that are left out.

    Example:
        >>> NumberForm(",", ".").values(np.array(["1.234,5", "7"], dtype=object)).tolist()
        [1234.5, 7.0]
    """

    decimal: str = "."
    thousands: str = ""
    symbol: str = ""

    @property
    def plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return self == NumberForm()

    def values(self, texts: NDArray[np.object_]) -> NDArray[np.float64]:
        """Return the numbers of texts, NaN where a text is not written in this form."""
        values: NDArray[np.float64] = np.asarray(
            pd.to_numeric(pd.Series([self._digits(str(text)) for text in texts], dtype=object), errors="coerce"),
            dtype=np.float64,
        )
        return values

    def _digits(self, text: str) -> str | None:
        text = _SPACES.sub(" ", text).replace("\u2212", "-").strip()
        if self.symbol == "%":
            if not text.endswith("%"):
                return None
            text = text[:-1].rstrip()
        elif self.symbol:
            text = re.sub(rf"^([+-]?)\s*[{CURRENCIES}]\s*|\s*[{CURRENCIES}]$", r"\1", text)
        if not _pattern(self.decimal, self.thousands).fullmatch(text):
            return None
        return (text.replace(self.thousands, "") if self.thousands else text).replace(self.decimal, ".")


_COMPILED: dict[tuple[str, str], re.Pattern[str]] = {}


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    key = decimal, thousands
    if key not in _COMPILED:
        d, t = re.escape(decimal), re.escape(thousands)
        grouped = rf"[1-9]\d{{0,2}}(?:{t}\d{{3}})+|" if thousands else ""
        _COMPILED[key] = re.compile(rf"[+-]?(?:{grouped}\d+)(?:{d}\d*)?(?:[eE][+-]?\d+)?|[+-]?{d}\d+")
    return _COMPILED[key]


def number_forms(
    texts: NDArray[np.object_], decimal: str | None, thousands: str | None
) -> Iterator[tuple[NumberForm, NDArray[np.float64]]]:
    """Yield the forms that some of the texts may be written in, and the numbers that they then are.

    Args:
        texts: different cells of a column that are not empty.
        decimal: the decimal mark, if it is known.
        thousands: the thousands separator, if it is known.
    """
    sample = [_SPACES.sub(" ", str(text)).strip() for text in texts[:_SAMPLE]]
    percent = np.mean([text.endswith("%") for text in sample]) > _LEAST_MATCHES
    currency = any(mark in text for text in sample for mark in CURRENCIES)
    symbol = "%" if percent else CURRENCIES if currency else ""
    for mark, group in _PAIRS:
        if decimal not in (None, mark) or (thousands is not None and group not in ("", thousands)):
            continue
        form = NumberForm(mark, group, symbol)
        if np.isfinite(form.values(np.array(sample, dtype=object))).mean() > _LEAST_MATCHES:
            yield form, form.values(texts)


def differ(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Return whether two readings of the same texts give different numbers."""
    return not np.array_equal(first, second, equal_nan=True)


def surely_thousands(texts: NDArray[np.object_], mark: str) -> bool:
    """Return whether a mark before three digits must be a thousands separator, and not a decimal mark.

    It must be where cells with and without the mark are mixed, and at least ten have it, always before exactly three
    digits: of decimals some would have fewer digits, and whole numbers would show theirs.
    """
    marked = [str(text) for text in texts if mark in str(text)]
    return _FEWEST_GROUPED <= len(marked) < len(texts)
