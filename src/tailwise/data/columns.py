"""The schema of a table: inferred once, then required of later tables."""

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
    """A column with an encoder of its own, or several columns that are read together.

    Args:
        kind: name of a modality, see :mod:`tailwise.modalities.kinds`.
        columns: one column, or those that are read together.
        plural: plural of the kind, for messages; by default ``kind`` with an s.
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
        media: columns with encoders of their own, such as images.
    """

    targets: tuple[str, ...]
    columns: tuple[Column, ...]
    unused: dict[str, str]
    media: tuple[Medium, ...] = field(default=())

    @property
    def target(self) -> str:
        """Name of the target, or the names of several targets, joined."""
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
        """Infer the kind of each column.

        Numbers are numeric; true/false and yes/no are boolean; text with only ISO dates is a date; other text is
        nominal. A text column in which nearly every value occurs once is an identifier and is left out, unless it is in
        ``nominal``.

        Args:
            frame: the table.
            target: name of the target column, or several names.
            drop: columns to leave out.
            nominal: columns to take as nominal, e.g. codes written as numbers.
            numeric: columns to take as numeric.
            date: columns to take as dates.
            not_features: columns with another role (group, split), with the reason.
            media: columns with encoders of their own; with them, no other feature is needed.
            hint: how such columns are named, for the error if no feature is left.

        Raises:
            InputError: a name that is not a column or is named twice, or no feature left.
        """
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            raise InputError(
                f"column names must be unique; repeated: {quoted(n for n in set(names) if names.count(n) > 1)}"
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
                raise InputError(f"column {name!r} is the {role} column and cannot have another role")
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
                f"no feature column is left besides the target {schema.target!r}; unused: {quoted(unused)}"
                + (f"; {hint}" if hint else "")
            )
        schema.features(frame)
        return schema

    def check(self, names: Sequence[str], *, ignore_extra: bool = False) -> None:
        """Raise unless columns include every feature column and no unknown one."""
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
        """Return feature columns as float64 (numeric, boolean, date parts) and text (nominal), missing values as NaN.

        Raises:
            InputError: a column whose values do not fit its kind.
        """
        values: dict[str, Any] = {}
        for column in self.columns:
            series = frame[column.name]
            if column.kind == "numeric":
                values[column.name] = as_numbers(series)
            elif column.kind == "boolean":
                values[column.name] = as_booleans(series)
            elif column.kind == "nominal":
                values[column.name] = as_text(series)
            else:
                values |= date_parts(series)
        return pd.DataFrame(values, index=frame.index)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that :meth:`from_json` reads."""
        return {
            "target": self.targets[0] if len(self.targets) == 1 else list(self.targets),
            "columns": [asdict(c) for c in self.columns],
            "unused": self.unused,
            "media": [{"kind": m.kind, "columns": m.columns} for m in self.media],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Return the schema from the values of :meth:`to_json`."""
        media = tuple(Medium(m["kind"], tuple(m["columns"])) for m in saved.get("media", ()))
        targets = (saved["target"],) if isinstance(saved["target"], str) else tuple(saved["target"])
        return cls(targets, tuple(Column(**c) for c in saved["columns"]), dict(saved["unused"]), media)
