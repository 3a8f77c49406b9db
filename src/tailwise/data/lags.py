"""Lagged values of the target as features: earlier labels of the same series, never the row's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, quoted, shown, whole

_WHOLE_TABLE = ""


@dataclass(frozen=True)
class Lags:
    """Lags and trailing means of the target within each series, in the order of time.

    A lag of k is the label of the k-th row before in the same series; a mean over w is that of the w rows before. Both
    count rows, not hours: a series with gaps should be filled first. A value that is not known, at the start of a
    series or where labels are missing, is missing.

    Args:
        target: column of the target.
        time: column of the time.
        group: column of the series; ``None`` for one series.
        lags: rows back.
        rolling: rows of the trailing means.
        dates: whether the times are dates.
        tails: by series, the times and labels of its last known rows, which rows to predict follow on.

    Raises:
        InputError: lags that are no whole numbers of at least 1 or are given twice, no lag at all.
    """

    target: str
    time: str
    group: str | None
    lags: tuple[int, ...]
    rolling: tuple[int, ...]
    dates: bool
    tails: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("lags", "rolling"):
            given: Sequence[Any] = getattr(self, name)
            checked = tuple(whole(value, f"`{name}`", least=1, most=100_000) for value in given)
            if len(set(checked)) < len(checked):
                raise InputError(f"`{name}` must be different numbers of rows, got {', '.join(map(str, checked))}")
            object.__setattr__(self, name, checked)

    @property
    def columns(self) -> list[str]:
        """Names of the features."""
        of_lags = [f"{self.target} (lag {lag})" for lag in self.lags]
        return of_lags + [f"{self.target} (mean of {rows} before)" for rows in self.rolling]

    @property
    def needed(self) -> list[str]:
        """Columns that rows to predict must have."""
        return [self.time, *([] if self.group is None else [self.group])]

    def series(self, frame: pd.DataFrame) -> NDArray[np.str_]:
        """Return the name of each row's series, ``(n,)``."""
        if self.group is None:
            return np.full(len(frame), _WHOLE_TABLE)
        return frame[self.group].astype(str).to_numpy(dtype=str)

    def check_names(self, names: Sequence[str]) -> None:
        """Raise if a table has a column of the name of a feature already."""
        taken = [name for name in self.columns if name in names]
        if taken:
            raise InputError(f"the table has columns that `lags` and `rolling` would add: {quoted(taken)}; rename them")

    def values(
        self, series: NDArray[np.str_], times: NDArray[np.float64], y: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the features of rows by column, ``(n,)`` each, NaN where they are not known.

        Args:
            series: ``(n,)`` name of each row's series.
            times: ``(n,)`` times.
            y: ``(n,)`` labels, NaN where they are not known.

        Raises:
            InputError: two rows of one series and time, so that their order is not known.

        Example:
            >>> lags = Lags("y", "t", None, (1,), (2,), False)
            >>> found = lags.values(np.full(4, ""), np.arange(4.0), np.array([1.0, 3.0, np.nan, 7.0]))
            >>> found["y (lag 1)"].tolist(), found["y (mean of 2 before)"].tolist()
            ([nan, 1.0, 3.0, nan], [nan, nan, 2.0, nan])
        """
        order = np.lexsort((times, series))
        codes = np.unique(series, return_inverse=True)[1][order]
        same = (np.diff(codes) == 0) & (np.diff(times[order]) == 0)
        if same.any():
            way = "name the column of the series with `group`" if self.group is None else "keep one of them"
            raise InputError(
                f"{int(same.sum()):,} rows have the `time` of another row in their series, so that no lag is defined; "
                f"{way}, or leave `lags` and `rolling` out"
            )
        labels = pd.Series(y[order])
        groups = labels.groupby(codes, sort=False)
        before = groups.shift(1)
        sorted_values = [groups.shift(lag) for lag in self.lags] + [
            before.groupby(codes, sort=False).rolling(rows).mean().reset_index(level=0, drop=True).sort_index()
            for rows in self.rolling
        ]
        found = {}
        for name, values in zip(self.columns, sorted_values, strict=True):
            of_rows = np.empty(len(y))
            of_rows[order] = values.to_numpy(dtype=np.float64)
            found[name] = of_rows
        return found

    def with_tails(self, series: NDArray[np.str_], times: NDArray[np.float64], y: NDArray[np.float64]) -> Self:
        """Return these lags with the last labels of each series, as many as the longest lag or mean needs."""
        most, tails = max((*self.lags, *self.rolling)), {}
        order = np.lexsort((times, series))
        names, first = np.unique(series[order], return_index=True)
        for name, rows in zip(names.tolist(), np.split(order, first[1:]), strict=True):
            last = rows[-most:]
            tails[name] = (tuple(times[last].tolist()), tuple(y[last].tolist()))
        return replace(self, tails=tails)

    def continued(
        self, series: NDArray[np.str_], times: NDArray[np.float64], y: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the features of new rows, which follow on the stored labels that are earlier than all of their series.

        Arguments as in :meth:`values`.
        """
        stored = []
        for name, start in pd.Series(times).groupby(series).min().items():
            tail = self.tails.get(str(name), ((), ()))
            stored += [(str(name), when, label) for when, label in zip(*tail, strict=True) if when < start]
        n = len(stored)
        names = np.concatenate([np.array([one[0] for one in stored], dtype=str), series]) if n else series
        earlier, labels = (np.array([one[i] for one in stored], dtype=np.float64) for i in (1, 2))
        found = self.values(names, np.concatenate([earlier, times]), np.concatenate([labels, y]))
        return {name: values[n:] for name, values in found.items()}

    def note_on_unknown(self, found: Mapping[str, NDArray[np.float64]]) -> list[str]:
        """Return a note on the rows that lack a lag or a mean; none if no row does."""
        lacking = np.isnan(np.stack(list(found.values()))).any(axis=0)
        if not lacking.any():
            return []
        return [
            f"{int(lacking.sum()):,} of {lacking.size:,} rows lack an earlier {shown(self.target)}, which then counts "
            "as missing: a lag of k rows reaches k rows beyond the last known label, a mean 1 row"
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly; labels that are not known are null."""
        tails = {
            name: [list(times), [None if np.isnan(label) else label for label in labels]]
            for name, (times, labels) in self.tails.items()
        }
        plain = {name: getattr(self, name) for name in ("target", "time", "group", "dates")}
        return plain | {"lags": list(self.lags), "rolling": list(self.rolling), "tails": tails}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        tails = {
            name: (tuple(map(float, times)), tuple(np.nan if label is None else float(label) for label in labels))
            for name, (times, labels) in saved["tails"].items()
        }
        lags, rolling = tuple(saved["lags"]), tuple(saved["rolling"])
        return cls(saved["target"], saved["time"], saved["group"], lags, rolling, bool(saved["dates"]), tails)


def with_lags(
    frame: pd.DataFrame, lags: Lags, times: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[pd.DataFrame, list[str]]:
    """Return a new table with the features of its lags, and notes for the user.

    Args:
        frame: rows to predict.
        lags: the lags, with the last labels of the training table.
        times: ``(n,)`` their times.
        y: ``(n,)`` their own labels where they are known, NaN elsewhere.
    """
    found = lags.continued(lags.series(frame), times, y)
    return frame.assign(**found), lags.note_on_unknown(found)
