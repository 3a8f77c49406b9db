"""The schema of a table: inferred once, then required of later tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import pandas as pd

from tailwise._checks import InputError, did_you_mean, quoted, shown
from tailwise._numbers import counted
from tailwise.data.cell_notes import note_on_target, note_on_total, notes_on_cells, reason_of_identifier
from tailwise.data.cell_rules import NO_RULES, CellRules
from tailwise.data.cell_values import (
    Kind,
    as_booleans,
    as_categories,
    as_numbers,
    check_cells,
    counts_rows,
    date_parts,
    is_identifier,
)
from tailwise.data.column_kinds import recognise
from tailwise.data.frame_blocks import MOST_BLOCKS
from tailwise.data.lags import Lags
from tailwise.data.reading import PLAIN, Reading
from tailwise.data.row_numbers import note_on_identifier
from tailwise.data.row_weight import ROLE
from tailwise.data.seen import Seen, useless
from tailwise.data.targets import named_target, require_column, target_names

_MOST_NOTES, _MOST_UNUSED = 6, 10


@dataclass(frozen=True)
class Column:
    """One feature column and its kind."""

    name: str
    kind: Kind

    @property
    def told_by(self) -> str | None:
        """Feature that has the range of the column; ``None`` of a date without its day, whose phases have none."""
        return {"date": f"{self.name} (days)", "season": None}.get(self.kind, self.name)


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
        readings: how cells are written, by column, where it is not the plain way; targets are among them.
        seen: by feature, what the training rows have.
        lags: of each target, features that are earlier labels of the series, if there are some.
        notes: notes for the user; they are not saved.
    """

    targets: tuple[str, ...]
    columns: tuple[Column, ...]
    unused: dict[str, str]
    media: tuple[Medium, ...] = field(default=())
    readings: Mapping[str, Reading] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    lags: tuple[Lags, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def names(self) -> set[str]:
        """Names of all columns that the table had in training."""
        return {*self.inputs, *self.unused, *self.targets}

    @property
    def inputs(self) -> list[str]:
        """Names of the columns that a model needs."""
        return [column.name for column in self.columns] + [n for medium in self.media for n in medium.columns]

    @property
    def weight(self) -> str | None:
        """Name of the column with the weights of rows; ``None`` if there is none."""
        return next((name for name, reason in self.unused.items() if reason == ROLE), None)

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
        rules: CellRules = NO_RULES,
        readings: Mapping[str, Reading] | None = None,
    ) -> Self:
        """Infer the kind of each column, see :func:`tailwise.data.column_kinds.recognise`.

        Numbers are numeric, also with decimal commas, currencies and the like; true/false and yes/no are boolean; text
        with only dates is a date; other text is nominal. A text column in which nearly every value occurs once is an
        identifier and is left out, unless it is in ``nominal``. So is a column that could be read in two ways.

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
            rules: what the user says about cells.
            readings: how the targets are written.

        Raises:
            InputError: a name that is not a column or is named twice, or no feature left.
        """
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            raise InputError(
                f"column names must be unique; repeated: {quoted(n for n in set(names) if names.count(n) > 1)}"
            )
        targets = target_names(target, names)
        for name in rules.missing:
            require_column(name, names, "`missing`")
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
        columns, how, of_cells, examples = [], dict(readings or {}), [], []
        for name in names:
            if name in targets or name in unused or name in of_media:
                continue
            series = frame[name]
            known = recognise(series, rules, forced=forced.get(name))
            if known.unclear:
                unused[name] = known.unclear
                continue
            if known.kind == "nominal" and name not in nominal and is_identifier(series):
                unused[name] = reason_of_identifier(series)
                continue
            if name.startswith("Unnamed:") and name not in forced and counts_rows(series):
                unused[name] = "row numbers"
                continue
            columns.append(Column(name, known.kind))
            if known.reading != PLAIN:
                how[name] = known.reading
            asked = [known.note] if known.note else []
            if name not in forced:
                told = notes_on_cells(series, known.kind, known.reading)
                asked += told or note_on_identifier(series, known.kind, known.reading)
            of_cells += [(name, note) for note in asked]
            examples += [known.example] if known.example else []
        first = note_on_total(frame)
        first += [note for name in targets for note in note_on_target(frame[name], how.get(name, PLAIN))]
        notes = (*first, *_few(of_cells, examples))
        schema = cls(targets, tuple(columns), unused, tuple(media), how, notes=notes)
        if not columns and not media:
            raise InputError(
                f"no feature column is left besides the target {schema.target!r}; unused: {quoted(unused)}"
                + (f"; {hint}" if hint else "")
            )
        schema.features(frame)
        return schema

    def check(self, names: Sequence[str], *, ignore_extra: bool = False) -> None:
        """Raise unless columns include every feature column and, without ``ignore_extra``, no unknown one.

        Raises:
            InputError: columns that are missing or unknown.
        """
        inputs = self.inputs
        if self.lags:
            made = {name for lags in self.lags for name in lags.columns}
            inputs = list(dict.fromkeys([*(name for name in inputs if name not in made), *self.lags[0].needed]))
        missing = [name for name in inputs if name not in names]
        if missing:
            hint = did_you_mean(missing[0], names) if len(missing) == 1 else ""
            raise InputError(
                f"the table lacks {counted(len(missing), 'column')} the model was trained on: {quoted(missing)}{hint}"
            )
        extra = self.extra(names)
        if extra and not ignore_extra:
            raise InputError(
                f"the table has {counted(len(extra), 'column')} the model was not trained on: {quoted(extra)}; "
                "remove them, or pass `ignore_extra=True`"
            )

    def extra(self, names: Sequence[str]) -> list[str]:
        """Return the columns that the training table did not have, in order."""
        known = self.names
        return [name for name in names if name not in known]

    def note_on_extra(self, names: Sequence[str]) -> list[str]:
        """Return one note on the columns that the training table did not have; none if there are none."""
        extra = self.extra(names)
        return (
            [f"{counted(len(extra), 'column')} the model was not trained on, ignored: {quoted(extra)}"] if extra else []
        )

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return feature columns as float64 (numeric, boolean, date parts) and text (nominal), missing values as NaN.

        Raises:
            InputError: a column whose values do not fit its kind.
        """
        values: dict[str, Any] = {}
        for column in self.columns:
            series, reading = frame[column.name], self.readings.get(column.name, PLAIN)
            if column.kind == "numeric":
                values[column.name] = as_numbers(series, reading)
            elif column.kind == "boolean":
                values[column.name] = as_booleans(series, reading)
            elif column.kind == "nominal":
                before = self.seen.get(column.name)
                values[column.name] = as_categories(series, reading, None if before is None else before.levels)
            else:
                values |= date_parts(series, reading)
                if column.kind == "season":
                    del values[f"{column.name} (days)"]
        return pd.DataFrame(values, index=frame.index, copy=len(values) > MOST_BLOCKS)

    def trained_on(self, frame: pd.DataFrame, *, required: bool = True) -> Self:
        """Return this schema with what the training rows have, without the columns that they cannot learn from.

        Args:
            frame: training rows.
            required: whether a feature must be left; if not, and none is, all stay.

        Raises:
            InputError: no feature left.
        """
        features = self.features(frame)
        reasons = {}
        for column in self.columns:
            name = column.told_by
            if name is not None and (reason := useless(features[name])) is not None:
                reasons[column.name] = reason
        kept = tuple(column for column in self.columns if column.name not in reasons)
        if not kept and not self.media and not required:
            kept, reasons = self.columns, {}
        if not kept and not self.media:
            name, reason = next(iter(reasons.items()))
            raise InputError(f"no feature column is left: {shown(name)}, for example, is {reason}")
        names = [column.told_by for column in kept if column.told_by is not None]
        seen = {name: Seen.of(features[name]) for name in names}
        return replace(self, columns=kept, unused=self.unused | reasons, seen=seen)

    def notes_on_unused(self, roles: Mapping[str, str] | None = None) -> list[str]:
        """Return notes on the columns that are no inputs, at most ten.

        Args:
            roles: reasons in the words of a user, where they are others than :attr:`unused` has.
        """
        notes = [
            f"column {shown(name)} is not an input: {(roles or {}).get(why, why)}" for name, why in self.unused.items()
        ]
        more = len(notes) - _MOST_UNUSED
        return notes[:_MOST_UNUSED] + ([f"{more} more columns are not inputs"] if more > 0 else [])

    @property
    def target_readings(self) -> dict[str, Reading]:
        """How the cells of the targets are written, of a model that knows it; those of others are recognised."""
        return {name: self.readings.get(name, PLAIN) for name in self.targets} if self.seen else {}

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns that a file must keep as text: categories, texts, numbers and dates that are not plain."""
        nominal = [column.name for column in self.columns if column.kind == "nominal"]
        media = [name for medium in self.media for name in medium.columns]
        return (*nominal, *media, *(name for name, reading in self.readings.items() if reading.needs_text))

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that :meth:`from_json` reads."""
        return {
            "target": self.targets[0] if len(self.targets) == 1 else list(self.targets),
            "columns": [asdict(c) for c in self.columns],
            "unused": self.unused,
            "media": [{"kind": m.kind, "columns": m.columns} for m in self.media],
            "readings": {name: reading.to_json() for name, reading in self.readings.items()},
            "seen": {name: seen.to_json() for name, seen in self.seen.items()},
            **_stored_lags(self.lags),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Return the schema from the values of :meth:`to_json`."""
        media = tuple(Medium(m["kind"], tuple(m["columns"])) for m in saved.get("media", ()))
        targets = (saved["target"],) if isinstance(saved["target"], str) else tuple(saved["target"])
        lags = saved.get("lags") or []
        return cls(
            targets,
            tuple(Column(**c) for c in saved["columns"]),
            dict(saved["unused"]),
            media,
            {name: Reading.from_json(reading) for name, reading in saved.get("readings", {}).items()},
            {name: Seen.from_json(seen) for name, seen in saved.get("seen", {}).items()},
            tuple(Lags.from_json(one) for one in (lags if isinstance(lags, list) else [lags])),
        )


def _stored_lags(lags: tuple[Lags, ...]) -> dict[str, Any]:
    """Return plain values for the field of lags: those of one target alone, as a list of several, no field of none."""
    stored = [one.to_json() for one in lags]
    return {} if not stored else {"lags": stored[0] if len(stored) == 1 else stored}


def _few(notes: list[tuple[str, str]], examples: list[str]) -> tuple[str, ...]:
    """Return at most six notes, one with the columns of the others, and one on columns not written plainly.

    Args:
        notes: columns and the notes on them.
        examples: a column with one of its cells, and how it is read.
    """
    others = list(dict.fromkeys(name for name, _ in notes[_MOST_NOTES:]))
    more = [f"and {counted(len(notes) - _MOST_NOTES, 'more note')} on cells of {quoted(others)}"] if others else []
    written = ", ".join(examples[:_MOST_NOTES]) + (" and others" if len(examples) > _MOST_NOTES else "")
    return (*(note for _, note in notes[:_MOST_NOTES]), *more, *([f"read as written: {written}"] if examples else []))
