"""What the columns of a table are: recognised once from a table, then required of every later one."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, did_you_mean, quoted
from tailwise.labels.bin_grid import BinGrid

Kind = Literal["numeric", "boolean", "nominal", "date"]
MediumKind = Literal["image", "text", "signal"]
PATHS = ("image", "signal")  # media whose cells name files

_PAIRS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
_TRUE = frozenset({"true", "t", "yes", "y"})
_FALSE = frozenset({"false", "f", "no", "n"})
_BLANK = frozenset({""})
_MISSING = frozenset({"", "?", "-", "na", "n/a", "nan", "null", "none"})
_LARGEST = 1e30
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}.*)?$")
_IDENTIFIER_SHARE = 0.9
_FEWEST_FOR_IDENTIFIER = 20


@dataclass(frozen=True)
class Column:
    """One feature column and its kind."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Medium:
    """A column of images, texts or signals, or two columns of texts that are read as a pair.

    Args:
        kind: of images and signals the cells are paths of files.
        columns: one column, or the two of a pair.
    """

    kind: MediumKind
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """Feature columns of a table and the columns that are not features.

    Args:
        targets: names of the target columns, usually one.
        columns: feature columns in the order of the table.
        unused: columns that are allowed but ignored, each with the reason.
        media: columns of images, texts and signals.
    """

    targets: tuple[str, ...]
    columns: tuple[Column, ...]
    unused: dict[str, str]
    media: tuple[Medium, ...] = field(default=())

    @property
    def target(self) -> str:
        """Name of the target; of several, one after the other."""
        return ", ".join(self.targets)

    @classmethod
    def infer(
        cls,
        frame: pd.DataFrame,
        target: str | Sequence[str],
        *,
        drop: Sequence[str] = (),
        nominal: Sequence[str] = (),
        numeric: Sequence[str] = (),
        date: Sequence[str] = (),
        not_features: Iterable[tuple[str, str]] = (),
        media: Sequence[Medium] = (),
    ) -> Self:
        """Recognise each column's kind.

        Numbers are numeric; true/false, yes/no are boolean; text whose every value is an ISO date is a date; other text
        is nominal. A text column in which nearly every value occurs once is an identifier and left out, unless it is
        named in ``nominal``.

        Args:
            frame: the table.
            target: name of the target column, or several names.
            drop: columns to leave out.
            nominal: columns to take as nominal, e.g. codes written as numbers.
            numeric: columns to take as numeric.
            date: columns to take as dates.
            not_features: columns with another role (group, split), with the reason.
            media: columns of images, texts and signals; with them there need be no other feature.

        Raises:
            InputError: a name that is not a column, or is named twice, or no feature left.
        """
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            raise InputError(
                f"column names must differ; twice there: {quoted(n for n in set(names) if names.count(n) > 1)}"
            )
        targets = target_names(target, names)
        forced: dict[str, Kind] = {}
        for option, wanted in (("drop", drop), ("nominal", nominal), ("numeric", numeric), ("date", date)):
            for name in wanted:
                require_column(name, names, f"--{option}")
                if name in targets:
                    raise InputError(f"--{option} names {name!r}, which is {_the_target(targets)}")
                if name in forced or (option != "drop" and name in drop):
                    raise InputError(f"column {name!r} is named in two of --drop, --nominal, --numeric, --date")
                if option != "drop":
                    forced[name] = option  # type: ignore[assignment]
        roles = dict(not_features)
        for name, role in roles.items():
            if name in forced or name in drop:
                raise InputError(f"column {name!r} is the {role} column and cannot be something else too")
        taken = dict.fromkeys(targets, "target") | dict.fromkeys(drop, "dropped") | forced | roles
        for medium in media:
            for name in medium.columns:
                require_column(name, names, f"--{medium.kind}")
                if name in taken:
                    raise InputError(f"--{medium.kind} names {name!r}, which is {taken[name]} already")
                taken[name] = medium.kind
                _check_cells(frame[name])
        of_media = {name for medium in media for name in medium.columns}
        unused = dict.fromkeys(drop, "dropped") | roles
        columns = []
        for name in names:
            if name in targets or name in unused or name in of_media:
                continue
            kind = forced.get(name) or _kind(frame[name])
            if kind == "nominal" and name not in nominal and _is_identifier(frame[name]):
                unused[name] = "identifier: nearly every value occurs once"
                continue
            if name.startswith("Unnamed:") and name not in forced and _counts_rows(frame[name]):
                unused[name] = "row numbers"
                continue
            columns.append(Column(name, kind))
        schema = cls(targets, tuple(columns), unused, tuple(media))
        if not columns and not media:
            raise InputError(
                f"no feature column is left beside the target {schema.target!r}; unused: {quoted(unused)}; columns of "
                "images, texts or signals are named with --image, --text or --signal"
            )
        schema.features(frame)
        return schema

    def check(self, names: Sequence[str], *, ignore_extra: bool = False) -> None:
        """Raise unless a table with such columns has every feature column and no unknown one."""
        inputs = [column.name for column in self.columns] + [n for medium in self.media for n in medium.columns]
        missing = [name for name in inputs if name not in names]
        if missing:
            hint = did_you_mean(missing[0], names) if len(missing) == 1 else ""
            raise InputError(
                f"the table lacks {len(missing)} columns the model was trained on: {quoted(missing)}{hint}"
            )
        known = set(inputs) | set(self.unused) | set(self.targets)
        extra = [name for name in names if name not in known]
        if extra and not ignore_extra:
            raise InputError(
                f"the table has {len(extra)} columns the model was not trained on: {quoted(extra)}; "
                "remove them, or pass --ignore-extra"
            )

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Feature columns as float64 (numeric, boolean, parts of dates) and text (nominal), missing values as NaN.

        Raises:
            InputError: a column whose values do not fit its kind.
        """
        made: dict[str, Any] = {}
        for column in self.columns:
            series = frame[column.name]
            if column.kind == "numeric":
                made[column.name] = _numbers(series)
            elif column.kind == "boolean":
                made[column.name] = _booleans(series)
            elif column.kind == "nominal":
                made[column.name] = _text(series)
            else:
                made |= _date_parts(series)
        return pd.DataFrame(made, index=frame.index)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back."""
        return {
            "target": self.targets[0] if len(self.targets) == 1 else list(self.targets),
            "columns": [asdict(c) for c in self.columns],
            "unused": self.unused,
            "media": [asdict(m) for m in self.media],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        media = tuple(Medium(m["kind"], tuple(m["columns"])) for m in saved.get("media", ()))
        targets = (saved["target"],) if isinstance(saved["target"], str) else tuple(saved["target"])
        return cls(targets, tuple(Column(**c) for c in saved["columns"]), dict(saved["unused"]), media)


def require_column(name: str, names: Sequence[str], role: str) -> None:
    """Raise unless ``name`` is a column, naming the nearest one."""
    if name not in names:
        raise InputError(f"{role} {name!r} is not a column of the table{did_you_mean(name, names)}")


def target_names(target: str | Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Names of the target columns, of which there are at most three, each a column."""
    targets = (target,) if isinstance(target, str) else tuple(target)
    if not 1 <= len(targets) <= BinGrid.MOST_AXES:
        raise InputError(f"a model has 1 to {BinGrid.MOST_AXES} targets, got {len(targets)}: {quoted(targets)}")
    for name in targets:
        require_column(name, names, "target")
        if targets.count(name) > 1:
            raise InputError(f"target {name!r} is named twice; name it once")
    return targets


def _the_target(targets: Sequence[str]) -> str:
    return "the target" if len(targets) == 1 else "one of the targets"


def target_rows(
    frame: pd.DataFrame, targets: Sequence[str], *, drop: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Targets of the rows that have them, and which rows these are.

    Args:
        frame: a table with the target columns.
        targets: their names.
        drop: leave rows out that lack a target instead of refusing them.

    Returns:
        ``(m,)`` targets, of K > 1 columns ``(m, K)``, and an ``(n,)`` mask with m rows set.

    Raises:
        InputError: a cell that is not a number, or infinite; empty cells unless rows are to be dropped.
    """
    each = [target_values(frame, name) for name in targets]
    for values in each:
        check_target_cells(values, drop=drop)
    found = np.stack([values.to_numpy() for values in each], axis=1)
    there = ~np.isnan(found).any(axis=1)
    found = found if there.all() else found[there]
    return (found[:, 0].copy() if len(targets) == 1 else found), there


def target_values(frame: pd.DataFrame, target: str) -> pd.Series:
    """The target as float64 with NaN where a cell is empty.

    Raises:
        InputError: a cell that is not a number, or infinite.
    """
    require_column(target, [str(name) for name in frame.columns], "target")
    series = frame[target]
    if _is_time(series) or pd.api.types.is_bool_dtype(series):
        raise InputError(f"target {target!r} must be numeric, but its values are of type {series.dtype}")
    _check_cells(series)
    values = pd.to_numeric(series, errors="coerce").astype(np.float64)
    wrong = _unread(series, values, empty=_BLANK)
    if wrong.any():
        raise InputError(
            f"target {target!r} must be numeric, but {int(wrong.sum())} cells are not, "
            f"e.g. {str(series[wrong].iloc[0])!r} in row {_row(wrong)}"
        )
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(
            f"target {target!r} has {int(infinite.sum())} infinite cells, the first in row {_row(infinite)}; "
            "remove them"
        )
    return values


def check_target_cells(values: pd.Series, *, drop: bool) -> None:
    """Raise if a target has empty cells whose rows are not to be dropped."""
    empty = int(values.isna().sum())
    if empty and not drop:
        raise InputError(
            f"column {values.name!r} has {empty} empty cells in the target; drop them with --drop-missing-target"
        )


def _row(wrong: Any) -> int:
    """Number of the first such row, counted from 1 after the header."""
    return int(np.asarray(wrong).argmax()) + 1


def _is_time(series: pd.Series) -> bool:
    kinds = (pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    return any(is_kind(series) for is_kind in kinds) or isinstance(series.dtype, pd.PeriodDtype)


def _check_cells(series: pd.Series) -> None:
    """Raise if cells hold lists, records or bytes instead of single values."""
    if series.dtype != object:
        return
    odd = series.map(lambda cell: isinstance(cell, bytes) or not (cell is None or pd.api.types.is_scalar(cell)))
    if odd.any():
        kind = type(series[odd].iloc[0]).__name__
        raise InputError(f"column {str(series.name)!r} holds {kind} values, not single ones; unpack or --drop it")


def _counts_rows(series: pd.Series) -> bool:
    return pd.api.types.is_integer_dtype(series) and bool((series.diff().dropna() == 1).all())


def _kind(series: pd.Series) -> Kind:
    _check_cells(series)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "nominal"
    if pd.api.types.is_bool_dtype(series):
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(series) or isinstance(series.dtype, pd.PeriodDtype):
        return "date"
    if pd.api.types.is_numeric_dtype(series):
        return "numeric"
    there = _text(series).dropna()
    if there.empty:
        return "numeric"
    lower = there.str.lower()
    if any(set(lower.unique()) <= pair for pair in _PAIRS):
        return "boolean"
    if pd.to_numeric(there[~lower.isin(_MISSING)], errors="coerce").notna().all():
        return "numeric"
    if (
        there.str.match(_DATE).all()
        and pd.to_datetime(there, errors="coerce", format="ISO8601", utc=True).notna().all()
    ):
        return "date"
    return "nominal"


def _is_identifier(series: pd.Series) -> bool:
    there = series.dropna()
    return len(there) >= _FEWEST_FOR_IDENTIFIER and there.nunique() > _IDENTIFIER_SHARE * len(there)


def _wrong_type(series: pd.Series, wrong: pd.Series, kind: str) -> InputError:
    return InputError(
        f"column {str(series.name)!r} is {kind}, but {int(wrong.sum())} cells are not, "
        f"e.g. {str(series[wrong].iloc[0])!r} in row {_row(wrong)}"
    )


def _unread(series: pd.Series, values: pd.Series, *, empty: frozenset[str]) -> pd.Series:
    """Cells that say something but became no value; only those are written as text, which is slow."""
    wrong = values.isna() & series.notna()
    if wrong.any():
        wrong[wrong] = ~series[wrong].astype(str).str.strip().str.lower().isin(empty)
    return wrong


def _text(series: pd.Series) -> pd.Series:
    """Values as stripped text; empty cells as NaN. Whole numbers are written without a fraction."""
    text = series.astype("string").str.strip()
    if pd.api.types.is_float_dtype(series):
        text = text.str.removesuffix(".0")
    return text.mask(text == "").astype(object).where(text.notna(), np.nan)


def _numbers(series: pd.Series) -> pd.Series:
    if _is_time(series):
        raise InputError(f"column {str(series.name)!r} is numeric, but its values are of type {series.dtype}")
    _check_cells(series)
    values = pd.to_numeric(series, errors="coerce").astype(np.float64)
    wrong = _unread(series, values, empty=_MISSING)
    if wrong.any():
        raise _wrong_type(series, wrong, "numeric")
    huge = np.isfinite(values) & (values.abs() > _LARGEST)
    if huge.any():
        raise InputError(
            f"column {str(series.name)!r} has {float(values[huge].iloc[0])!r} in row {_row(huge)}; "
            f"sizes above {_LARGEST:g} cannot be computed with"
        )
    return values.replace([np.inf, -np.inf], np.nan)


def _booleans(series: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(series) or pd.api.types.is_numeric_dtype(series):
        values = series.astype("Float64")
        wrong = values.notna() & ~values.isin([0, 1])
    else:
        text = _text(series).astype("string").str.lower()
        values = pd.Series(pd.NA, index=series.index, dtype="Float64")
        values = values.mask(text.isin(_TRUE | {"1"}), 1.0).mask(text.isin(_FALSE | {"0"}), 0.0)
        wrong = text.notna() & values.isna()
    if wrong.any():
        raise _wrong_type(series, wrong.astype(bool), "boolean")
    return values.astype(np.float64)


def _date_parts(series: pd.Series) -> dict[str, Any]:
    """Days since 1970, and the phase of the year, the week and the day as sine and cosine."""
    name = str(series.name)
    if series.isna().all():
        series = pd.Series(pd.NaT, index=series.index, name=name, dtype="datetime64[s]")
    if pd.api.types.is_numeric_dtype(series):
        raise _wrong_type(series, pd.Series(True, index=series.index), "a date")
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    is_date = pd.api.types.is_datetime64_any_dtype(series)
    when = pd.to_datetime(series, errors="coerce", format=None if is_date else "ISO8601", utc=True).dt.as_unit("s")
    wrong = _unread(series, when, empty=_BLANK)
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
