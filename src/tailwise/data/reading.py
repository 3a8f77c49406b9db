"""How the cells of a column are written: values that count as missing, marks of numbers, order of dates."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import pandas as pd

from tailwise.data.number_forms import NumberForm


@dataclass(frozen=True)
class Reading:
    """How the cells of a column are written.

    Args:
        missing: texts that count as missing, besides the usual ones.
        decimal: mark before decimals.
        thousands: mark between groups of three digits.
        symbol: currency signs, or ``%``, that are left out.
        order: order of year, month and day; ISO dates if empty.
    """

    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""
    symbol: str = ""
    order: str = ""

    @property
    def form(self) -> NumberForm:
        """The form of the numbers."""
        return NumberForm(self.decimal, self.thousands, self.symbol)

    @property
    def needs_text(self) -> bool:
        """Whether a file must be read as text for these cells, for other programs would read other numbers."""
        return not self.form.plain or bool(self.order)

    def is_missing(self, series: pd.Series) -> pd.Series:
        """Return which cells hold one of the values that count as missing, as text or as a number."""
        if not self.missing:
            return pd.Series(False, index=series.index)
        if pd.api.types.is_numeric_dtype(series):
            codes = pd.to_numeric(pd.Series(self.missing), errors="coerce").dropna()
            return series.isin(codes)
        text = series.astype("string").str.strip()
        codes = pd.to_numeric(pd.Series(self.missing), errors="coerce").dropna()
        same = text.isin(self.missing)
        if len(codes):
            same |= pd.to_numeric(text, errors="coerce").isin(codes)
        return same.fillna(False).astype(bool)

    def to_json(self) -> dict[str, Any]:
        """Return what is not plain, as JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Return the reading from the values of :meth:`to_json`."""
        return cls(**{**saved, "missing": tuple(str(cell) for cell in saved.get("missing", ()))})


PLAIN = Reading()


_LONGEST = 60


def as_missing(column: object, cell: object) -> str:
    """Return the option that reads a cell as missing, for messages; its name alone for one that nobody could type.

    >>> as_missing("y", " n.a. "), as_missing("y", "a\\nb")
    ('`missing=y=n.a.`', '`missing`')
    """
    told = f"{column}={str(cell).strip()}"
    return f"`missing={told}`" if told.isprintable() and len(told) <= _LONGEST else "`missing`"
