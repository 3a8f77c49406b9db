"""What the columns of a table are: recognised once from a table, then required of every later one."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pandas as pd

from tailwise._checks import InputError, did_you_mean, quoted
from tailwise.data.cell_values import (
    Kind,
    as_booleans,
    as_numbers,
    as_text,
    check_cells,
    counts_rows,
    date_parts,
    is_identifier,
    kind_of,
)
from tailwise.data.targets import named_target, require_column, target_names


@dataclass(frozen=True)
class Column:
    """One feature column and its kind."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Medium:
    """A column that a network reads with an encoder of its own, or several columns that are read together.

    Args:
        kind: name of a modality, see :mod:`tailwise.modalities.kinds`.
        columns: one column, or those that are read together.
        plural: several of the kind, for messages; ``kind`` with an s if not given.
    """

    kind: str
    columns: tuple[str, ...]
    plural: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plural", self.plural or f"{self.kind}s")


@dataclass(frozen=True)
class Schema:
    """Feature columns of a table and the columns that are not features.

    Args:
        targets: names of the target columns, usually one.
        columns: feature columns in the order of the table.
        unused: columns that are allowed but ignored, each with the reason.
        media: columns that are read with encoders of their own, such as images.
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
        hint: str = "",
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
            media: columns that are read with encoders of their own; with them there need be no other feature.
            hint: how such columns are named, for the error where no feature is left.

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
                require_column(name, names, f"`{option}`")
                if name in targets:
                    raise InputError(f"`{option}` names {name!r}, which is {named_target(targets)}")
                if name in forced or (option != "drop" and name in drop):
                    raise InputError(f"column {name!r} is named in two of `drop`, `nominal`, `numeric`, `date`")
                if option != "drop":
                    forced[name] = option  # type: ignore[assignment]
        roles = dict(not_features)
        for name, role in roles.items():
            if name in forced or name in drop:
                raise InputError(f"column {name!r} is the {role} column and cannot be something else too")
        taken = dict.fromkeys(targets, "target") | dict.fromkeys(drop, "dropped") | forced | roles
        for medium in media:
            for name in medium.columns:
                require_column(name, names, f"`{medium.kind}`")
                if name in taken:
                    raise InputError(f"`{medium.kind}` names {name!r}, which is {taken[name]} already")
                taken[name] = medium.kind
                check_cells(frame[name])
        of_media = {name for medium in media for name in medium.columns}
        unused = dict.fromkeys(drop, "dropped") | roles
        columns = []
        for name in names:
            if name in targets or name in unused or name in of_media:
                continue
            kind = forced.get(name) or kind_of(frame[name])
            if kind == "nominal" and name not in nominal and is_identifier(frame[name]):
                unused[name] = "identifier: nearly every value occurs once"
                continue
            if name.startswith("Unnamed:") and name not in forced and counts_rows(frame[name]):
                unused[name] = "row numbers"
                continue
            columns.append(Column(name, kind))
        schema = cls(targets, tuple(columns), unused, tuple(media))
        if not columns and not media:
            raise InputError(
                f"no feature column is left beside the target {schema.target!r}; unused: {quoted(unused)}"
                + (f"; {hint}" if hint else "")
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
                "remove them, or pass `ignore_extra=True`"
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
                made[column.name] = as_numbers(series)
            elif column.kind == "boolean":
                made[column.name] = as_booleans(series)
            elif column.kind == "nominal":
                made[column.name] = as_text(series)
            else:
                made |= date_parts(series)
        return pd.DataFrame(made, index=frame.index)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back."""
        return {
            "target": self.targets[0] if len(self.targets) == 1 else list(self.targets),
            "columns": [asdict(c) for c in self.columns],
            "unused": self.unused,
            "media": [{"kind": m.kind, "columns": m.columns} for m in self.media],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        media = tuple(Medium(m["kind"], tuple(m["columns"])) for m in saved.get("media", ()))
        targets = (saved["target"],) if isinstance(saved["target"], str) else tuple(saved["target"])
        return cls(targets, tuple(Column(**c) for c in saved["columns"]), dict(saved["unused"]), media)
