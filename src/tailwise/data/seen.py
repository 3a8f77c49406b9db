"""Ranges of numbers and levels of categories in the training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from tailwise._checks import shown
from tailwise._numbers import counted, number

_MOST_LEVELS = 20_000
_NEARLY_CONSTANT = 1e-9
COLUMNS_SHOWN = 4
_DAYS = " (days)"  # ends the name of the feature that has the range of a date


@dataclass(frozen=True)
class Seen:
    """Values of a feature in the training rows.

    Args:
        low: lowest number.
        high: highest number.
        levels: categories, in order; ``None`` of numbers, and where there are too many.
    """

    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] | None = None

    @classmethod
    def of(cls, values: pd.Series) -> Self:
        """Return the range of numbers, or the levels of text."""
        filled = values.dropna()
        if pd.api.types.is_float_dtype(values):
            return cls() if filled.empty else cls(float(filled.min()), float(filled.max()))
        levels = sorted(str(level) for level in filled.unique())
        return cls(levels=tuple(levels) if len(levels) <= _MOST_LEVELS else None)

    def unseen(self, values: pd.Series) -> "pd.Series[bool]":
        """Return which cells are outside the range, or no level; missing ones are not."""
        if self.levels is not None:
            return values.notna() & ~values.isin(self.levels)
        if self.low is None or not pd.api.types.is_float_dtype(values):
            return pd.Series(False, index=values.index)
        return (values < self.low) | (values > self.high)

    def excess(self, values: pd.Series) -> "pd.Series[float]":
        """Return how far numbers are outside, as a fraction of the range; infinite where it is empty."""
        if self.low is None or self.high is None:
            return pd.Series(0.0, index=values.index)
        numbers = values.to_numpy(dtype=np.float64)
        beyond = np.nan_to_num(np.maximum(np.maximum(self.low - numbers, numbers - self.high), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            return pd.Series(np.nan_to_num(beyond / (self.high - self.low), posinf=np.inf), index=values.index)

    def near(self, cell: str) -> str | None:
        """Return the level that differs from a cell in case and spaces alone."""
        folded = " ".join(cell.split()).casefold()
        return next((level for level in self.levels or () if " ".join(level.split()).casefold() == folded), None)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that :meth:`from_json` reads."""
        if self.levels is not None:
            return {"levels": list(self.levels)}
        return {} if self.low is None else {"low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Return what :meth:`to_json` gave."""
        if "levels" in saved:
            return cls(levels=tuple(str(level) for level in saved["levels"]))
        return cls(float(saved["low"]), float(saved["high"])) if "low" in saved else cls()


def useless(values: pd.Series) -> str | None:
    """Return the reason why a column of training rows has nothing to learn from; ``None`` if it may have.

    Args:
        values: a feature, as :meth:`tailwise.data.columns.Schema.features` gives it.
    """
    filled = values.dropna()
    if filled.empty:
        return "empty in every training row"
    if len(filled) < len(values):
        return None
    if filled.nunique() == 1:
        return f"{shown(_plain(filled.iloc[0]))} in every training row"
    if pd.api.types.is_float_dtype(values):
        largest = float(filled.abs().max())
        if float(np.ptp(filled)) <= _NEARLY_CONSTANT * largest:
            return f"nearly constant: numbers near {largest:.4g} differ by {np.ptp(filled):.2g}; subtract a constant"
    return None


def _plain(cell: object) -> str:
    return f"{cell:.10g}" if isinstance(cell, float) else str(cell)


class UnseenValues:
    """Counts, by column, of values that no training row had, over the pieces of a table.

    Args:
        seen: by feature, what training had.
    """

    def __init__(self, seen: Mapping[str, Seen]) -> None:
        self._seen = seen
        self._n_rows = 0
        self._counts: dict[str, int] = {}
        self._examples: dict[str, Any] = {}

    def add(self, features: pd.DataFrame) -> None:
        """Count the values of some rows.

        Args:
            features: as :meth:`tailwise.data.columns.Schema.features` gives them.
        """
        self._n_rows += len(features)
        for name, before in self._seen.items():
            if name not in features:
                continue
            outside = before.unseen(features[name])
            if outside.any():
                self._counts[name] = self._counts.get(name, 0) + int(outside.sum())
                self._examples.setdefault(name, features[name][outside].iloc[0])

    @property
    def fractions(self) -> dict[str, float]:
        """Fraction of the rows with such a value, by column, the highest first."""
        return {name.removesuffix(_DAYS): share for name, share in self._shares()}

    def _shares(self) -> list[tuple[str, float]]:
        """Return the features with such values, the most frequent first, with the fraction of the rows."""
        shares = [(name, self._counts[name] / self._n_rows) for name in self._seen if name in self._counts]
        return sorted(shares, key=lambda one: -one[1])

    @property
    def notes(self) -> list[str]:
        """One note; none if there are no such values."""
        shares = self._shares()
        if not shares:
            return []
        parts = [_part(name, self._examples[name], share, self._seen[name]) for name, share in shares[:COLUMNS_SHOWN]]
        left_out = len(shares) - COLUMNS_SHOWN
        more = [f"and {counted(left_out, 'more column')}"] if left_out > 0 else []
        return ["values that no training row had: " + "; ".join(parts + more)]


@dataclass(frozen=True)
class Bounded:
    """Predictions that were set to the limit of the training labels, and the farthest of them.

    Args:
        row: position of the farthest prediction, from 0.
        n_rows: number of rows whose predictions were set to the limit.
        distance: how far the farthest prediction was beyond it, target units.
        text: what the note says of it.
        excess: how far the row's most unusual number is outside, as a fraction of its training range.
    """

    row: int
    n_rows: int
    distance: float
    text: str
    excess: float

    @classmethod
    def of(
        cls,
        row: int,
        n_rows: int,
        pred: Any,
        bound: Any,
        labels: Sequence[str],
        features: pd.DataFrame,
        seen: Mapping[str, Seen],
    ) -> Self:
        """Describe the farthest prediction.

        Args:
            row: its position, from 0.
            n_rows: number of rows whose predictions were set to the limit.
            pred: the prediction.
            bound: its limit.
            labels: lowest and highest training label, as text.
            features: of that row.
            seen: by feature, what training had.
        """
        excess = {name: float(one.excess(features[name]).iloc[0]) for name, one in seen.items() if name in features}
        name = max(excess, key=lambda key: excess[key], default=None)
        cause = ""
        if name is not None and excess[name] > 0:
            cause = f"; its column {_part(name, features[name].iloc[0], None, seen[name])}"
        before, after = (", ".join(number(float(v)) for v in np.atleast_1d(values)) for values in (pred, bound))
        text = (
            f"prediction {before} is far from the training labels ({labels[0]} to {labels[1]}) and is set to "
            f"{after}{cause}"
        )
        distance = float(np.abs(np.asarray(pred) - np.asarray(bound)).max())
        return cls(row, n_rows, distance, text, 0.0 if name is None else excess[name])

    def joined(self, other: "Bounded") -> "Bounded":
        """Return this with the predictions of other rows."""
        farthest = self if self.distance >= other.distance else other
        return replace(farthest, n_rows=self.n_rows + other.n_rows)

    @property
    def note(self) -> str:
        """A note for the user."""
        others = f"; {self.n_rows - 1:,} other rows are bounded too" if self.n_rows > 1 else ""
        return f"row {self.row + 1:,}: {self.text}{others}"


def _part(name: str, cell: Any, fraction: float | None, before: Seen) -> str:
    percent = "is" if fraction is None else f"{fraction:.0%}, e.g." if fraction >= 0.01 else "under 1%, e.g."
    column = shown(name.removesuffix(_DAYS))
    if before.levels is not None:
        near = before.near(str(cell))
        hint = "" if near is None else f" (training has {shown(near)})"
        return f"{column} {percent} {shown(cell)}{hint}"
    if name.endswith(_DAYS):
        days = [np.datetime64(round(value), "D") for value in (cell, before.low or 0, before.high or 0)]
        return f"{column} {percent} {days[0]} (training: {days[1]} to {days[2]})"
    return f"{column} {percent} {number(cell)} (training: {number(before.low or 0)} to {number(before.high or 0)})"
